//! Searches: words that are looked for in several fields at once.
//!
//! ```text
//! search = any { blank any }        each must be found
//! any    = word { "|" word }        one of these must be; blanks around the bar do not matter
//! word   = { run | quote | "*" }
//! quote  = `"` any character but `"` … `"`
//! run    = characters other than blanks and | * "
//! ```
//!
//! As in the filters, `|` stands within what all must match. A brace is a character here: there is
//! one way to quote, since the language has one error for a quote that is open.

use std::collections::BTreeSet;

use super::expr::Expr;
use super::pattern::Pattern;
use super::selection::Named;
use crate::error::{Error, ErrorKind, Result, quoted};
use crate::field::{Field, Names};
use crate::limits::{FILTER_BYTES, check_text};

/// The parameters that errors name.
const TEXT: &str = "query";
const FIELDS: &str = "query_fields";

/// The filter that asks for each of the words in any of these fields.
pub(super) fn filter(text: &str, fields: &[Field]) -> Result<Expr> {
    check_text(TEXT, text, FILTER_BYTES)?;
    if fields.is_empty() {
        return Err(refusal(ErrorKind::MissingValue, FIELDS, "no field is left to search", 0));
    }
    let mut words = Words { text, at: 0 };
    let mut filter = Expr::everything();
    words.skip_blanks();
    loop {
        let mut any = Expr::nothing();
        loop {
            any = any.or(in_one_of(fields, &words.word()?)?);
            // A limit is refused where it is passed, before the rest is read in vain.
            any.check().map_err(|error| error.with_field(TEXT))?;
            words.skip_blanks();
            if !words.eat('|') {
                break;
            }
            words.skip_blanks();
        }
        filter = filter.and(any);
        filter.check().map_err(|error| error.with_field(TEXT))?;
        if words.rest().is_empty() {
            return Ok(filter);
        }
    }
}

/// The fields that a list names.
pub(super) fn fields(text: &str, names: Names) -> Result<Vec<Field>> {
    check_text(FIELDS, text, FILTER_BYTES)?;
    let (mut searched, mut left_out) = (Named::default(), Named::default());
    let mut seen = BTreeSet::new();
    let mut takes_only_out = true;
    let mut at = 0;
    for part in text.split(',') {
        let start = at + (part.len() - part.trim_start().len());
        at += part.len() + 1;
        let part = part.trim();
        let (name, is_left_out) = match part.strip_prefix('!') {
            Some(name) => (name.trim_start(), true),
            None => (part, false),
        };
        if name.is_empty() {
            let message = "expected the name of a field";
            return Err(refusal(ErrorKind::MissingValue, FIELDS, message, start));
        }
        if !seen.insert(part) {
            let message = format!("{} is named twice", quoted(part));
            return Err(refusal(ErrorKind::Duplicate, FIELDS, &message, start));
        }
        takes_only_out &= is_left_out;
        let named = if is_left_out { &mut left_out } else { &mut searched };
        // All labels together are no field: which ones there are is known of each job alone.
        let is_all_labels = matches!(name, "labels" | "labels.*" | "labels.**");
        if is_all_labels || !named.add(name, names) {
            let message = format!("The value {} is invalid for field {FIELDS:?}", quoted(name));
            return Err(refusal(ErrorKind::InvalidValue, FIELDS, &message, start));
        }
    }
    if takes_only_out {
        searched.fields.extend(Field::FIXED.iter().cloned());
    }
    let is_searched =
        |field: &Field| field.name(names).is_some() && !left_out.fields.contains(field);
    Ok(searched.fields.into_iter().filter(is_searched).collect())
}

fn in_one_of(fields: &[Field], word: &Pattern) -> Result<Expr> {
    fields.iter().try_fold(Expr::nothing(), |any, field| {
        let found = Expr::like(field.clone(), word.clone());
        Ok(any.or(found.map_err(|error| error.with_field(TEXT))?))
    })
}

/// The words of a search, one after the other.
struct Words<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Words<'a> {
    fn word(&mut self) -> Result<Pattern> {
        let start = self.at;
        let mut literals = Vec::new();
        let mut literal = String::new();
        while let Some(mark) = self.rest().chars().next() {
            match mark {
                '|' => break,
                blank if blank.is_whitespace() => break,
                '*' => {
                    self.at += 1;
                    literals.push(std::mem::take(&mut literal));
                }
                '"' => literal.push_str(self.quote()?),
                _ => literal.push_str(self.run()),
            }
        }
        if literals.is_empty() {
            if literal.is_empty() {
                return Err(refusal(ErrorKind::MissingValue, TEXT, "expected a word", start));
            }
            // Without a wildcard a word may stand anywhere.
            return Ok(Pattern::between([String::new(), literal, String::new()]));
        }
        literals.push(literal);
        Ok(Pattern::between(literals))
    }

    fn quote(&mut self) -> Result<&'a str> {
        let open = self.at;
        let inner = self.text.get(open + 1..).unwrap_or_default();
        let Some((quoted, _)) = inner.split_once('"') else {
            let message = "the quotation mark is never closed";
            return Err(refusal(ErrorKind::InvalidSyntax, TEXT, message, open));
        };
        self.at = open + quoted.len() + 2;
        Ok(quoted)
    }

    /// Characters that mean themselves; at least one, which the caller has looked at.
    fn run(&mut self) -> &'a str {
        let is_mark = |c: char| c.is_whitespace() || matches!(c, '|' | '*' | '"');
        let rest = self.rest();
        let run = rest.get(..rest.find(is_mark).unwrap_or(rest.len())).unwrap_or_default();
        self.at += run.len();
        run
    }

    fn skip_blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, mark: char) -> bool {
        let hit = self.rest().starts_with(mark);
        self.at += if hit { mark.len_utf8() } else { 0 };
        hit
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }
}

fn refusal(kind: ErrorKind, parameter: &str, message: &str, at: usize) -> Error {
    Error::new(kind, message).with_field(parameter).with_position(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::FILTER_TERMS;

    fn shown(text: &str) -> String {
        filter(text, &[Field::Description]).unwrap().to_string()
    }

    fn names(text: &str, names: Names) -> String {
        let fields = fields(text, names).unwrap();
        fields.iter().map(|field| field.name(names).unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn words_bars_quotes_and_wildcards() {
        for (text, filter) in [
            ("vol1", "description=*vol1*"),
            ("  vol1\t", "description=*vol1*"),
            ("vol1|vol2", "description=*vol1*|*vol2*"),
            ("vol1 | vol2", "description=*vol1*|*vol2*"),
            ("vol1 vol2", "description=*vol1* and description=*vol2*"),
            ("a|b c", "description=*a*|*b* and description=*c*"),
            ("*1", "description=*1"),
            ("vol*", "description=vol*"),
            ("v**1", "description=v*1"),
            ("\"a b\"", "description=*\"a b\"*"),
            ("\"a|\"b\"*\"", "description=*\"a|b*\"*"),
            ("\"a*\"*", "description=\"a*\"*"),
            ("{a", "description=*\"{a\"*"),
            ("!a", "description=*\"!a\"*"),
        ] {
            assert_eq!(shown(text), filter, "{text}");
        }
    }

    #[test]
    fn each_word_may_be_found_in_another_field() {
        let filter = filter("a b", &[Field::Description, Field::Message]).unwrap();
        assert_eq!(
            filter.to_string(),
            "(description=*a* or message=*a*) and (description=*b* or message=*b*)"
        );
    }

    #[test]
    fn faults_are_named_with_their_position() {
        for (text, kind, position) in [
            ("", ErrorKind::MissingValue, 0),
            ("  ", ErrorKind::MissingValue, 2),
            ("\"\"", ErrorKind::MissingValue, 0),
            ("|a", ErrorKind::MissingValue, 0),
            ("a|", ErrorKind::MissingValue, 2),
            ("a | | b", ErrorKind::MissingValue, 4),
            ("a \"b", ErrorKind::InvalidSyntax, 2),
            ("a\0", ErrorKind::InvalidValue, 1),
        ] {
            let error = filter(text, &[Field::Description]).unwrap_err();
            assert_eq!((error.kind(), error.position()), (kind, Some(position)), "{text}");
            assert_eq!(error.field(), Some("query"));
        }
        let error = filter("a", &[]).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::MissingValue, Some("query_fields")));
    }

    #[test]
    fn words_times_fields_have_a_limit() {
        let words = |count: usize| vec!["x"; count].join(" ");
        let two = [Field::Description, Field::Message];
        assert!(filter(&words(FILTER_TERMS / 2), &two).is_ok());
        let error = filter(&words(FILTER_TERMS / 2 + 1), &two).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::LimitExceeded, Some("query")));
    }

    #[test]
    fn fields_are_named_one_by_one_by_object_or_all() {
        assert_eq!(names("description, message", Names::Ontap), "description message");
        assert_eq!(names("svm,!svm.uuid", Names::Ontap), "svm.name");
        assert_eq!(names("labels.tier", Names::Native), "labels.tier");
        let all = |n| Field::FIXED.iter().filter_map(|field| field.name(n)).collect::<Vec<_>>();
        assert_eq!(names("*", Names::Ontap), all(Names::Ontap).join(" "));
        assert_eq!(names("*", Names::Native), all(Names::Native).join(" "));
        assert_eq!(names("*,!uuid", Names::Ontap), names("!uuid", Names::Ontap));
        assert_eq!(names("message,!message", Names::Ontap), "");
    }

    #[test]
    fn faults_in_the_list_of_fields_are_named_with_their_position() {
        for (text, kind, position) in [
            ("", ErrorKind::MissingValue, 0),
            ("state,", ErrorKind::MissingValue, 6),
            ("!", ErrorKind::MissingValue, 0),
            ("state, nosuch", ErrorKind::InvalidValue, 7),
            ("labels", ErrorKind::InvalidValue, 0),
            ("state,labels.*", ErrorKind::InvalidValue, 6),
            ("state,code,state", ErrorKind::Duplicate, 11),
            ("state,!state,!state", ErrorKind::Duplicate, 13),
        ] {
            let error = fields(text, Names::Native).unwrap_err();
            assert_eq!((error.kind(), error.position()), (kind, Some(position)), "{text}");
            assert_eq!(error.field(), Some("query_fields"));
        }
    }

    /// Words and bars as anyone would look for them, without the filter behind it.
    fn finds(text: &str, fields: &[Field], job: &crate::job::Job) -> bool {
        // A bar belongs to the words beside it, with or without blanks.
        let text = text.split('|').map(str::trim).collect::<Vec<_>>().join("|");
        let is_in = |word: &str, field: &Field| {
            field.any(job, &mut |value| {
                let value = value.to_string();
                let folds = crate::query::value::ignores_case(field);
                value.contains(&*if folds { word.to_ascii_lowercase() } else { word.to_owned() })
            })
        };
        text.split_whitespace()
            .all(|any| any.split('|').any(|word| fields.iter().any(|field| is_in(word, field))))
    }

    proptest! {
        #[test]
        fn a_search_finds_what_one_would_look_for(
            job in crate::query::random_jobs::job(),
            text in "[a-eR0-2:]{1,2}([ |]{1,3}[a-eR0-2:]{1,2}){0,3}",
            chosen in proptest::sample::subsequence(Field::FIXED.to_vec(), 1..6),
        ) {
            match filter(&text, &chosen) {
                Ok(filter) => {
                    prop_assert_eq!(filter.matches(&job), finds(&text, &chosen, &job), "{}", text);
                }
                // Two bars in a row.
                Err(error) => prop_assert_eq!(error.kind(), ErrorKind::MissingValue),
            }
        }

        #[test]
        fn no_text_can_panic(text in "[a-z|*!\"{} \\PC]{0,40}") {
            let searched = [Field::State, Field::Code, Field::StartTime];
            match filter(&text, &searched) {
                Ok(filter) => prop_assert!(filter.check().is_ok()),
                Err(error) => prop_assert!(error.position().is_some_and(|at| at <= text.len())),
            }
            let _ = fields(&text, Names::Native);
        }
    }
}
