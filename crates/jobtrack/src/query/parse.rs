//! Text to filters.
//!
//! The grammar, less white space, of which there is none: every blank belongs to a value.
//!
//! ```text
//! filter  = part { "|" part }
//! part    = [ "!" ] ( "null" | value | pattern | value ".." value | compare value )
//! compare = "<" | "<=" | ">" | ">="
//! value   = { run | quote | brace }            at least one
//! pattern = { run | quote | brace | "*" }      at least one "*"
//! quote   = `"` any character but `"` … `"`
//! brace   = "{" any text whose braces match "}"
//! run     = characters other than | * " { } and two dots in a row; a value does not begin with ! < > =
//! ```
//!
//! The parser is a loop over the text, without recursion: no nesting can exhaust the stack.

use super::expr::Expr;
use super::pattern::Pattern;
use super::term::{Comparison, Test, inverted};
use super::value::{self, Interval};
use crate::error::{Error, ErrorKind, Result, quoted};
use crate::field::Field;
use crate::limits::{FILTER_BYTES, FILTER_TERMS, check_text};

/// The filter that a text puts on a field. Errors call the field by `name`.
pub(super) fn filter(field: &Field, name: &str, text: &str) -> Result<Expr> {
    check_text(name, text, FILTER_BYTES)?;
    let mut parser = Parser { field, text, at: 0 };
    // Every error of the parts below is about this field.
    parser.filter().map_err(|error| error.with_field(name))
}

struct Parser<'a> {
    field: &'a Field,
    text: &'a str,
    at: usize,
}

/// A value as it was written: the literal texts between its wildcards.
struct Operand {
    start: usize,
    literals: Vec<String>,
    /// Whether no part of it was quoted, so that `null` has its meaning and positions within the
    /// value are positions within the text.
    is_bare: bool,
}

impl Operand {
    fn is_null(&self) -> bool {
        self.is_bare && matches!(&*self.literals, [only] if only == "null")
    }
}

impl<'a> Parser<'a> {
    fn filter(&mut self) -> Result<Expr> {
        if self.text.is_empty() {
            return Err(self.missing("a value"));
        }
        let mut filter = Expr::nothing();
        for _ in 0..FILTER_TERMS {
            filter = filter.or(self.part()?);
            if !self.eat("|") {
                // A part ends only at a bar, at the end, or at dots, which it has refused.
                return Ok(filter);
            }
        }
        Err(Error::new(
            ErrorKind::LimitExceeded,
            format!("there are more than {FILTER_TERMS} values, which is the most a filter takes"),
        ))
    }

    fn part(&mut self) -> Result<Expr> {
        let is_negated = self.eat("!");
        let comparison = self.comparison();
        let operand = self.operand()?;
        let test = if self.rest().starts_with("..") {
            self.range(comparison, &operand)?
        } else {
            self.single(comparison, operand)?
        };
        let part = Expr::test(self.field.clone(), test)?;
        Ok(if is_negated { part.negate() } else { part })
    }

    fn comparison(&mut self) -> Option<Comparison> {
        // The longer marks first, since the shorter ones begin them.
        use Comparison::{AtLeast, AtMost, Greater, Less};
        [AtMost, AtLeast, Less, Greater].into_iter().find(|how| self.eat(how.mark()))
    }

    fn single(&self, comparison: Option<Comparison>, operand: Operand) -> Result<Test> {
        if comparison.is_some() {
            self.check_plain(&operand, "be compared")?;
        } else if operand.is_null() {
            return Ok(Test::Null);
        } else if operand.literals.len() > 1 {
            return Ok(Test::Like(Pattern::between(operand.literals)));
        }
        let Interval { low, high } = self.value(&operand)?;
        Ok(match comparison {
            Some(how @ (Comparison::Less | Comparison::AtLeast)) => Test::Compare(how, low),
            Some(how @ (Comparison::Greater | Comparison::AtMost)) => Test::Compare(how, high),
            _ if low == high => Test::Compare(Comparison::Equal, low),
            _ => Test::Within(low, high),
        })
    }

    fn range(&mut self, comparison: Option<Comparison>, low: &Operand) -> Result<Test> {
        let dots = self.at;
        if let Some(comparison) = comparison {
            return Err(self.syntax(
                dots,
                &format!("a range takes no {}; quote the text if it is one", comparison.mark()),
            ));
        }
        self.eat("..");
        let high = self.operand().map_err(|error| match error.kind() {
            ErrorKind::MissingValue => self.open_range(self.at),
            _ => error,
        })?;
        if self.rest().starts_with("..") {
            return Err(self.syntax(self.at, "a range has two ends; quote a text that holds .."));
        }
        self.check_plain(low, "end a range")?;
        self.check_plain(&high, "end a range")?;
        let (start, low, high) = (low.start, self.value(low)?.low, self.value(&high)?.high);
        if low.borrowed().order(&high.borrowed()).is_gt() {
            return Err(inverted(&low, &high).with_position(start));
        }
        Ok(Test::Within(low, high))
    }

    /// Reads up to the end of the part, or to the dots of a range.
    fn operand(&mut self) -> Result<Operand> {
        let start = self.at;
        let mut literals = Vec::new();
        let mut literal = String::new();
        let mut is_bare = true;
        self.check_start()?;
        while let Some(byte) = self.rest().bytes().next() {
            match byte {
                b'|' => break,
                b'.' if self.rest().starts_with("..") => {
                    if self.rest().starts_with("...") {
                        let hint = "three dots have no meaning; quote a text that holds dots";
                        return Err(self.syntax(self.at, hint));
                    }
                    break;
                }
                b'*' => {
                    self.at += 1;
                    // A row of wildcards says no more than one of them.
                    if literals.is_empty() || !literal.is_empty() {
                        literals.push(std::mem::take(&mut literal));
                    }
                }
                b'"' => {
                    is_bare = false;
                    literal.push_str(self.quote()?);
                }
                b'{' => {
                    is_bare = false;
                    literal.push_str(self.brace()?);
                }
                b'}' => {
                    let hint = "the brace } closes none; a text that holds it stands in quotes";
                    return Err(self.syntax(self.at, hint));
                }
                _ => literal.push_str(self.run()),
            }
        }
        if self.at == start {
            return if self.rest().starts_with("..") {
                Err(self.open_range(start))
            } else {
                Err(self.missing("a value"))
            };
        }
        literals.push(literal);
        Ok(Operand { start, literals, is_bare })
    }

    /// Refuses an operator where a value must begin: two in a row, or one that does not exist.
    fn check_start(&self) -> Result<()> {
        let mark = match self.rest().bytes().next() {
            Some(b'!') => "!",
            Some(b'<') => "<",
            Some(b'>') => ">",
            Some(b'=') => "=",
            _ => return Ok(()),
        };
        Err(self.syntax(
            self.at,
            &format!(
                "expected a value, found the operator {mark}; quote a text that begins with it"
            ),
        ))
    }

    fn quote(&mut self) -> Result<&'a str> {
        let open = self.at;
        let inner = self.text.get(open + 1..).unwrap_or_default();
        let Some((quoted, _)) = inner.split_once('"') else {
            return Err(self.syntax(open, "the quotation mark is never closed"));
        };
        self.at = open + quoted.len() + 2;
        Ok(quoted)
    }

    fn brace(&mut self) -> Result<&'a str> {
        let open = self.at;
        let mut depth = 0_usize;
        for (offset, byte) in self.rest().bytes().enumerate() {
            match byte {
                b'{' => depth += 1,
                b'}' => depth -= 1,
                _ => continue,
            }
            if depth == 0 {
                self.at = open + offset + 1;
                return Ok(self.text.get(open + 1..open + offset).unwrap_or_default());
            }
        }
        Err(self.syntax(open, "the brace { is never closed; a text that holds it stands in quotes"))
    }

    /// Characters that mean themselves; at least one, which the caller has looked at.
    fn run(&mut self) -> &'a str {
        let text = self.text;
        let rest = text.get(self.at..).unwrap_or_default();
        let end = rest.find(['|', '*', '"', '{', '}']).unwrap_or(rest.len());
        let run = rest.get(..end).unwrap_or_default();
        // Looked for only before the next mark: over all of the rest, a text of many short runs
        // would take quadratic time.
        let run = run.split_once("..").map_or(run, |(before, _)| before);
        self.at += run.len();
        run
    }

    fn value(&self, operand: &Operand) -> Result<Interval> {
        let text = operand.literals.first().map(String::as_str).unwrap_or_default();
        value::read(self.field, text).map_err(|error| {
            let within = if operand.is_bare { error.position() } else { None };
            error.with_position(operand.start + within.unwrap_or(0))
        })
    }

    /// Refuses what is no single value.
    fn check_plain(&self, operand: &Operand, what: &str) -> Result<()> {
        if operand.is_null() {
            let hint = format!("null cannot {what}; quote it if the text is meant");
            return Err(self.syntax(operand.start, &hint));
        }
        if operand.literals.len() > 1 {
            let hint = format!("a pattern cannot {what}; quote the * if it is meant");
            return Err(self.syntax(operand.start, &hint));
        }
        Ok(())
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn eat(&mut self, mark: &str) -> bool {
        let hit = self.rest().starts_with(mark);
        if hit {
            self.at += mark.len();
        }
        hit
    }

    fn missing(&self, what: &str) -> Error {
        Error::new(ErrorKind::MissingValue, format!("expected {what}")).with_position(self.at)
    }

    fn open_range(&self, at: usize) -> Error {
        Error::new(ErrorKind::MissingValue, "a range has two ends; write >= or <= for one without")
            .with_position(at)
    }

    fn syntax(&self, at: usize, what: &str) -> Error {
        Error::new(ErrorKind::InvalidSyntax, format!("{}: {what}", quoted(self.text)))
            .with_position(at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn description(text: &str) -> Result<Expr> {
        filter(&Field::Description, "description", text)
    }

    #[test]
    fn nesting_cannot_exhaust_the_stack() {
        let nested = "{".repeat(10_000) + "x" + &"}".repeat(10_000);
        let literal = &nested[1..nested.len() - 1];
        let expected = Expr::is(Field::Description, literal).unwrap();
        assert_eq!(description(&nested).unwrap(), expected);

        let error = description(&"{".repeat(10_000)).unwrap_err();
        assert_eq!((error.kind(), error.position()), (ErrorKind::InvalidSyntax, Some(0)));
        let error = description(&"!".repeat(10_000)).unwrap_err();
        assert_eq!((error.kind(), error.position()), (ErrorKind::InvalidSyntax, Some(1)));
        assert!(error.to_string().len() < 300, "{error}");
    }

    #[test]
    fn a_value_has_limits_in_bytes_and_in_parts() {
        assert!(description(&"x".repeat(FILTER_BYTES)).is_ok());
        let error = description(&"x".repeat(1_000_000)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        assert_eq!(error.field(), Some("description"));

        let parts = |count: usize| vec!["x"; count].join("|");
        assert!(description(&parts(FILTER_TERMS)).is_ok());
        let error = description(&parts(FILTER_TERMS + 1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    }

    #[test]
    fn what_can_be_written_takes_linear_time() {
        // Each of these is as long as a value may be; quadratic work on one would take minutes in
        // a debug build.
        for unit in ["x*", "*", "\"x\"", "{x}", "{\"}", "x.", "é*"] {
            let text = unit.repeat(FILTER_BYTES / unit.len());
            assert!(description(&text).is_ok(), "{unit}");
        }
    }

    proptest! {
        /// Whatever is written, it is read or refused with a position within it.
        #[test]
        fn no_text_can_panic(text in "[!<>=|*.\"{}nul0-9:TZé -]{0,24}|\\PC{0,24}") {
            for field in Field::FIXED {
                let name = field.to_string();
                match Expr::parse(&name, &text, crate::Names::Native) {
                    Ok(filter) => prop_assert!(filter.check().is_ok()),
                    Err(error) => {
                        prop_assert_eq!(error.field(), Some(&*name));
                        prop_assert!(error.position().is_some_and(|at| at <= text.len()));
                    }
                }
            }
        }

        /// Every text can be quoted, and what a filter shows reads back as itself.
        #[test]
        fn every_text_can_be_written(texts in proptest::collection::vec("[a\"{}*|!<.=]{0,8}|\\PC{0,8}", 1..4)) {
            let filter = Expr::one_of(&Field::Description, texts.clone()).unwrap();
            let shown = filter.to_string();
            let value = shown.strip_prefix("description=").unwrap();
            prop_assert_eq!(description(value).unwrap(), filter);

            let pattern = Expr::like(Field::Description, Pattern::between(texts.clone())).unwrap();
            let shown = pattern.to_string();
            let value = shown.strip_prefix("description=").unwrap();
            if texts.len() > 1 {
                prop_assert_eq!(description(value).unwrap(), pattern);
            }
        }
    }

    #[test]
    fn what_a_filter_shows_reads_back_on_every_field() {
        for (field, text) in [
            ("state", "queued|!running..success|!<paused"),
            ("code", "!<=-5|1..2|>9|null|!null|4*2"),
            ("start_time", "2026-03-01T10:00:00Z|!2026-03-01T10:00:00.5Z|>2026-03-01T10:00Z"),
            ("retention", "0.5|<300"),
            ("uuid", "1cd8a442-86d1-11e0-ae1c-123478563412|1CD*"),
            ("cooperative", "TRUE|!false"),
            ("revision", ">=2-10"),
        ] {
            let filter = Expr::parse(field, text, crate::Names::Native).unwrap();
            let shown = filter.to_string();
            let value = shown.strip_prefix(&format!("{field}=")).unwrap();
            assert_eq!(Expr::parse(field, value, crate::Names::Native).unwrap(), filter, "{shown}");
        }
    }
}
