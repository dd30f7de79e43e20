//! The few options that tasks take.

use crate::shell::{Failed, Result};

/// The words after a task's name, taken one by one.
#[derive(Debug)]
pub(crate) struct Arguments<'a> {
    words: std::slice::Iter<'a, String>,
}

impl<'a> Arguments<'a> {
    pub(crate) fn new(words: &'a [String]) -> Self {
        Arguments { words: words.iter() }
    }

    /// The next word, with what follows its `=` if it is an option written so.
    pub(crate) fn next(&mut self) -> Option<(&'a str, Option<&'a str>)> {
        let word = self.words.next()?;
        match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => Some((name, Some(value))),
            _ => Some((word, None)),
        }
    }

    /// What belongs to this option: after its `=`, or the next word.
    pub(crate) fn text(&mut self, name: &str, value: Option<&'a str>) -> Result<&'a str> {
        let value = value.or_else(|| self.words.next().map(String::as_str));
        value.ok_or_else(|| Failed::new(format!("{name} needs a value")))
    }

    /// The number that belongs to this option: after its `=`, or the next word.
    pub(crate) fn number(&mut self, name: &str, value: Option<&str>) -> Result<u64> {
        let value = value.or_else(|| self.words.next().map(String::as_str));
        let Some(value) = value else {
            return Err(Failed::new(format!("{name} needs a number")));
        };
        let digits = value.replace('_', "");
        match digits.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(Failed::new(format!("{name}: {value:?} is no number above 0"))),
        }
    }
}

/// The refusal of a word that a task does not know.
pub(crate) fn unknown(word: &str) -> Failed {
    Failed::new(format!("unknown argument {word:?}; see cargo xtask help"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_takes_its_number_either_way() {
        let words = ["--seconds=5", "--seconds", "1_000", "history", "--seconds"].map(String::from);
        let mut arguments = Arguments::new(&words);
        for expected in [5, 1_000] {
            let (name, value) = arguments.next().unwrap();
            assert_eq!(arguments.number(name, value).unwrap(), expected);
        }
        assert_eq!(arguments.next(), Some(("history", None)));
        let (name, value) = arguments.next().unwrap();
        let failed = arguments.number(name, value).unwrap_err();
        assert_eq!(failed.to_string(), "--seconds needs a number");
        assert!(arguments.number("--seconds", Some("-1")).is_err());
        assert_eq!(arguments.text("--file", Some("a.rs")).unwrap(), "a.rs");
        assert!(arguments.text("--file", None).is_err());
    }
}
