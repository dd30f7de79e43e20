//! Wildcard patterns.

use std::fmt;

use super::value::write_literal;
use crate::field::ValueRef;

/// A wildcard pattern: `*` stands for any run of characters, also none, and the whole value must
/// match.
///
/// ```
/// use jobtrack::Pattern;
///
/// let pattern = Pattern::new("Volume*1");
/// assert!(pattern.matches("Volume create vol1"));
/// assert!(!pattern.matches("Volume create vol12"));
/// // A literal `*` needs the other way to make a pattern: literals with wildcards between them.
/// assert!(Pattern::between(["a*", ""]).matches("a*b"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    first: String,
    // The literals after each wildcard; none but the last is empty, since two wildcards in a row
    // say no more than one. Without any the pattern is a plain text.
    rest: Vec<String>,
}

impl Pattern {
    /// The pattern that a text writes; nothing in it but `*` has a meaning.
    pub fn new(text: &str) -> Self {
        Pattern::between(text.split('*'))
    }

    /// The pattern of these literals with a wildcard between each two.
    pub fn between<T: Into<String>>(literals: impl IntoIterator<Item = T>) -> Self {
        let mut literals = literals.into_iter().map(Into::into);
        let first = literals.next().unwrap_or_default();
        let mut rest: Vec<String> = Vec::new();
        for literal in literals {
            match rest.last_mut() {
                Some(last) if last.is_empty() => *last = literal,
                _ => rest.push(literal),
            }
        }
        Pattern { first, rest }
    }

    /// Whether the whole text matches.
    ///
    /// The time is linear in text and pattern: the first literal must begin the text, the last one
    /// end it, and each between is taken where it is found first, which leaves the most to the next
    /// ones, so there is never a reason to go back.
    pub fn matches(&self, text: &str) -> bool {
        let Some((last, inner)) = self.rest.split_last() else { return text == self.first };
        let Some(mut left) = text.strip_prefix(&*self.first) else { return false };
        for literal in inner {
            let found = left.find(&**literal).and_then(|at| left.get(at + literal.len()..));
            let Some(after) = found else { return false };
            left = after;
        }
        left.ends_with(&**last)
    }

    /// Whether a job's value matches by its text form.
    pub(super) fn matches_value(&self, value: ValueRef<'_>) -> bool {
        if let ValueRef::Text(text) = value {
            return self.matches(text);
        }
        let mut short = ShortText::default();
        match fmt::write(&mut short, format_args!("{value}")) {
            Ok(()) => self.matches(short.as_str()),
            Err(fmt::Error) => self.matches(&value.to_string()),
        }
    }

    pub(super) fn to_ascii_lowercase(&self) -> Self {
        Pattern {
            first: self.first.to_ascii_lowercase(),
            rest: self.rest.iter().map(|literal| literal.to_ascii_lowercase()).collect(),
        }
    }

    /// Whether it has no wildcard.
    pub(super) fn is_plain(&self) -> bool {
        self.rest.is_empty()
    }

    /// Whether it is a literal and a wildcard after it: all that it asks is how a text begins.
    pub(super) fn is_prefix(&self) -> bool {
        matches!(self.rest.as_slice(), [last] if last.is_empty())
    }

    /// The literals, of which there is at least one.
    pub(super) fn literals(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.first).chain(&self.rest).map(String::as_str)
    }
}

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        Pattern::new(text)
    }
}

impl fmt::Display for Pattern {
    /// The pattern in the filter language.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rest.is_empty() {
            return write_literal(f, &self.first);
        }
        for (n, literal) in self.literals().enumerate() {
            f.write_str(if n > 0 { "*" } else { "" })?;
            if !literal.is_empty() {
                write_literal(f, literal)?;
            }
        }
        Ok(())
    }
}

/// The text form of a number, a time, a uuid, without a heap allocation for every row.
struct ShortText {
    bytes: [u8; 48],
    len: usize,
}

impl Default for ShortText {
    fn default() -> Self {
        ShortText { bytes: [0; 48], len: 0 }
    }
}

impl ShortText {
    fn as_str(&self) -> &str {
        // Only whole texts are copied in, so the bytes are UTF-8.
        self.bytes.get(..self.len).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or("")
    }
}

impl fmt::Write for ShortText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let place = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The textbook definition, exponential and obvious.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|skip| naive(rest, &text[skip..])),
            Some((c, rest)) => text.first() == Some(c) && naive(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*é]{0,8}", text in "[abé]{0,10}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(
                Pattern::new(&pattern).matches(&text),
                naive(&chars(&pattern), &chars(&text))
            );
        }
    }

    #[test]
    fn a_pathological_pattern_takes_no_time() {
        // Backtracking would try some 10^60 ways; this test ends only without it.
        let text = "a".repeat(100_000);
        assert!(!Pattern::new(&("*a".repeat(1_000) + "*b")).matches(&text));
        assert!(Pattern::new(&"*a".repeat(1_000)).matches(&text));
        assert!(Pattern::new(&"*".repeat(100_000)).matches(""));
    }

    #[test]
    fn prefix_and_suffix_may_not_share_characters() {
        assert!(!Pattern::new("aba*ba").matches("aba"));
        assert!(Pattern::new("aba*ba").matches("ababa"));
    }

    #[test]
    fn values_match_by_their_text_form() {
        assert!(Pattern::new("9*58").matches_value(ValueRef::Integer(917_658)));
        assert!(Pattern::new("-170*").matches_value(ValueRef::Integer(i128::MIN)));
        assert!(Pattern::new("tr*").matches_value(ValueRef::Bool(true)));
        let revision = crate::Revision { epoch: u64::MAX, number: u64::MAX };
        assert!(Pattern::new("18*-18*").matches_value(ValueRef::Revision(revision)));
    }
}
