//! Values to compare fields with: their types, and their one text form.

use std::fmt;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result, quoted};
use crate::field::{Field, FieldType, ValueRef};
use crate::job::{Action, Cause, JobId, Revision, State};
use crate::limits::{FILTER_BYTES, check_text};
use crate::timestamp::Timestamp;

/// A value to compare a field with.
///
/// ```
/// use jobtrack::{State, Value};
///
/// assert_eq!(Value::from(State::Running), Value::from("running"));
/// assert_eq!(Value::from(917_658).to_string(), "917658");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// For a text field, or one of a few words.
    Text(String),
    /// For an integer field.
    Integer(i128),
    /// For a time field: that microsecond.
    Time(Timestamp),
    /// For a span field.
    Span(Duration),
    /// For a UUID field.
    Uuid(JobId),
    /// For a Boolean field.
    Bool(bool),
    /// For a revision field.
    Revision(Revision),
}

macro_rules! values_from {
    ($($type:ty => |$value:ident| $made:expr;)+) => {
        $(impl From<$type> for Value {
            fn from($value: $type) -> Self {
                $made
            }
        })+
    };
}

values_from! {
    &str => |text| Value::Text(text.to_owned());
    String => |text| Value::Text(text);
    State => |state| Value::Text(state.as_str().to_owned());
    Cause => |cause| Value::Text(cause.as_str().to_owned());
    Action => |action| Value::Text(action.as_str().to_owned());
    i32 => |number| Value::Integer(number.into());
    u32 => |number| Value::Integer(number.into());
    i64 => |number| Value::Integer(number.into());
    u64 => |number| Value::Integer(number.into());
    i128 => |number| Value::Integer(number);
    Timestamp => |time| Value::Time(time);
    Duration => |span| Value::Span(span);
    JobId => |uuid| Value::Uuid(uuid);
    bool => |value| Value::Bool(value);
    Revision => |revision| Value::Revision(revision);
}

impl From<ValueRef<'_>> for Value {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Text(text) => Value::Text(text.to_owned()),
            ValueRef::Integer(number) => Value::Integer(number),
            ValueRef::Time(time) => Value::Time(time),
            ValueRef::Span(span) => Value::Span(span),
            ValueRef::Uuid(uuid) => Value::Uuid(uuid),
            ValueRef::Bool(value) => Value::Bool(value),
            ValueRef::Revision(revision) => Value::Revision(revision),
        }
    }
}

impl Value {
    /// The value as a job's own values are seen.
    pub fn borrowed(&self) -> ValueRef<'_> {
        match self {
            Value::Text(text) => ValueRef::Text(text),
            Value::Integer(number) => ValueRef::Integer(*number),
            Value::Time(time) => ValueRef::Time(*time),
            Value::Span(span) => ValueRef::Span(*span),
            Value::Uuid(uuid) => ValueRef::Uuid(*uuid),
            Value::Bool(value) => ValueRef::Bool(*value),
            Value::Revision(revision) => ValueRef::Revision(*revision),
        }
    }

    /// The value as this field has it (a word in lower case), or a refusal if the field cannot hold
    /// it.
    pub(crate) fn fitted(self, field: &Field) -> Result<Value> {
        match (self, field.field_type()) {
            (Value::Text(text), FieldType::Text) => {
                check_text(&field.to_string(), &text, FILTER_BYTES)?;
                Ok(Value::Text(text))
            }
            (Value::Text(text), FieldType::Word(words)) => word(&text, words)
                .map(|word| Value::Text(word.to_owned()))
                .ok_or_else(|| Error::new(ErrorKind::InvalidValue, none_of(&text, words)))
                .map_err(|error| error.with_field(field.to_string())),
            (value @ Value::Integer(_), FieldType::Integer)
            | (value @ Value::Time(_), FieldType::Time)
            | (value @ Value::Span(_), FieldType::Span)
            | (value @ Value::Uuid(_), FieldType::Uuid)
            | (value @ Value::Bool(_), FieldType::Bool)
            | (value @ Value::Revision(_), FieldType::Revision) => Ok(value),
            (value, wanted) => Err(Error::new(
                ErrorKind::InvalidValue,
                format!("the field holds {}, and is given {}", kind_of(wanted), value.kind()),
            )
            .with_field(field.to_string())),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "a text",
            Value::Integer(_) => "a whole number",
            Value::Time(_) => "a time",
            Value::Span(_) => "a length of time",
            Value::Uuid(_) => "a uuid",
            Value::Bool(_) => "true or false",
            Value::Revision(_) => "a revision",
        }
    }
}

impl fmt::Display for Value {
    /// The value in the filter language, so that it reads back as exactly this one: quoted where
    /// it holds marks, a time always with its fraction.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => write_literal(f, text),
            Value::Time(time) => {
                let text = time.to_string();
                match text.strip_suffix('Z') {
                    Some(whole) if !text.contains('.') => write!(f, "{whole}.000000Z"),
                    _ => f.write_str(&text),
                }
            }
            value => value.borrowed().fmt(f),
        }
    }
}

/// The values that one written value stands for: a single one, or all of a second.
#[derive(Debug)]
pub(super) struct Interval {
    pub(super) low: Value,
    pub(super) high: Value,
}

impl Interval {
    fn single(value: Value) -> Self {
        Interval { low: value.clone(), high: value }
    }
}

/// Reads a value as the field has it. Errors say what would be right and, where known, the position
/// within the text.
pub(super) fn read(field: &Field, text: &str) -> Result<Interval> {
    let value = match field.field_type() {
        FieldType::Text => Value::Text(text.to_owned()),
        FieldType::Word(words) => match word(text, words) {
            Some(word) => Value::Text(word.to_owned()),
            None => return Err(Error::new(ErrorKind::InvalidValue, none_of(text, words))),
        },
        FieldType::Integer => Value::Integer(read_integer(field, text)?),
        FieldType::Time => {
            let parsed = Timestamp::parse(text)?;
            if !parsed.has_fraction {
                return Ok(Interval {
                    low: Value::Time(parsed.at),
                    high: Value::Time(parsed.at.end_of_second()),
                });
            }
            Value::Time(parsed.at)
        }
        FieldType::Span => Value::Span(read_span(text)?),
        FieldType::Uuid => Value::Uuid(text.parse()?),
        FieldType::Bool => match word(text, &["true", "false"]) {
            Some(word) => Value::Bool(word == "true"),
            None => {
                return Err(invalid(text, "neither true nor false"));
            }
        },
        FieldType::Revision => Value::Revision(text.parse()?),
    };
    Ok(Interval::single(value))
}

/// Whether the field's text form has no letter case, so that patterns on it have none either.
pub(super) fn ignores_case(field: &Field) -> bool {
    matches!(field.field_type(), FieldType::Word(_) | FieldType::Uuid | FieldType::Bool)
}

/// Writes a text so that the filter language reads it as exactly this text: bare where nothing in
/// it could be a mark, else quoted.
pub(super) fn write_literal(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-/:".contains(&byte);
    if !text.is_empty() && text != "null" && text.bytes().all(is_plain) {
        return f.write_str(text);
    }
    if !text.contains('"') {
        return write!(f, "\"{text}\"");
    }
    if braces_match(text) {
        return write!(f, "{{{text}}}");
    }
    // A quotation mark beside an unmatched brace: each stands in the quotes that it does not end.
    for (n, part) in text.split('"').enumerate() {
        if n > 0 {
            f.write_str("{\"}")?;
        }
        if !part.is_empty() {
            write!(f, "\"{part}\"")?;
        }
    }
    Ok(())
}

fn braces_match(text: &str) -> bool {
    let mut open = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'{' => open += 1,
            b'}' if open == 0 => return false,
            b'}' => open -= 1,
            _ => {}
        }
    }
    open == 0
}

fn word<'a>(text: &str, words: &[&'a str]) -> Option<&'a str> {
    words.iter().copied().find(|word| word.eq_ignore_ascii_case(text))
}

fn none_of(text: &str, words: &[&str]) -> String {
    format!("{} is none of {}", quoted(text), words.join(", "))
}

fn invalid(text: &str, why: &str) -> Error {
    Error::new(ErrorKind::InvalidValue, format!("{} is {why}", quoted(text)))
}

fn read_integer(field: &Field, text: &str) -> Result<i128> {
    let (digits, unit) = if is_size(field) { split_unit(text) } else { (text, 1) };
    if let Some(number) = digits.parse::<i128>().ok().and_then(|n| n.checked_mul(unit)) {
        return Ok(number);
    }
    let unsigned = digits.trim_start_matches(['+', '-']);
    if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid(text, "too large; the largest number is 2^127 - 1"));
    }
    Err(invalid(text, "no whole number; write it as 42"))
}

/// Whether the field counts bytes, so that a number may carry a unit.
fn is_size(field: &Field) -> bool {
    matches!(field, Field::PayloadBytes | Field::ResultBytes)
}

/// The number and its unit: as everywhere in ONTAP, each is 1,024 times the one before.
fn split_unit(text: &str) -> (&str, i128) {
    let mut unit = 1;
    for name in ["KB", "MB", "GB", "TB", "PB"] {
        unit *= 1_024;
        if let Some((digits, suffix)) = text.split_at_checked(text.len().saturating_sub(2))
            && suffix.eq_ignore_ascii_case(name)
        {
            return (digits, unit);
        }
    }
    (text, 1)
}

/// Seconds, with up to six digits of fraction. Read digit by digit, since a float has no exact 0.1.
fn read_span(text: &str) -> Result<Duration> {
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if !is_digits(seconds) || !is_digits(fraction) || fraction.len() > 6 {
        return Err(invalid(text, "no length of time; write seconds as 300 or 0.5"));
    }
    let micros = format!("{fraction:0<6}").parse().ok();
    match (seconds.parse().ok().map(Duration::from_secs), micros.map(Duration::from_micros)) {
        (Some(whole), Some(part)) => whole.checked_add(part),
        _ => None,
    }
    .ok_or_else(|| invalid(text, "too large; the longest time has 2^64 - 1 seconds"))
}

fn kind_of(field_type: FieldType) -> &'static str {
    match field_type {
        FieldType::Text => "a text",
        FieldType::Word(_) => "one of a few words",
        FieldType::Integer => "a whole number",
        FieldType::Time => "a time",
        FieldType::Span => "a length of time",
        FieldType::Uuid => "a uuid",
        FieldType::Bool => "true or false",
        FieldType::Revision => "a revision",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_to_the_microsecond() {
        assert_eq!(read_span("300").unwrap(), Duration::from_secs(300));
        assert_eq!(read_span("0.5").unwrap(), Duration::from_millis(500));
        assert_eq!(read_span("1.000001").unwrap(), Duration::from_micros(1_000_001));
        for bad in ["", ".5", "1.", "-1", "+1", "1e3", "1.0000001", "18446744073709551616"] {
            assert_eq!(read_span(bad).unwrap_err().kind(), ErrorKind::InvalidValue, "{bad}");
        }
    }

    #[test]
    fn sizes_take_units_and_other_numbers_do_not() {
        assert_eq!(read_integer(&Field::PayloadBytes, "2kb").unwrap(), 2_048);
        assert_eq!(read_integer(&Field::ResultBytes, "1PB").unwrap(), 1 << 50);
        assert!(read_integer(&Field::Code, "2KB").is_err());
        assert!(read_integer(&Field::PayloadBytes, "KB").is_err());
        assert!(read_integer(&Field::PayloadBytes, "é").is_err());
    }

    #[test]
    fn a_number_beyond_the_range_is_said_to_be_too_large() {
        let error = read_integer(&Field::Code, &"9".repeat(40)).unwrap_err();
        assert!(error.message().contains("too large"), "{error}");
        let error = read_integer(&Field::Code, "1.5").unwrap_err();
        assert!(error.message().contains("no whole number"), "{error}");
    }

    #[test]
    fn a_value_must_be_of_the_field_s_type() {
        let error = Value::from(5).fitted(&Field::Description).unwrap_err();
        assert_eq!(
            error.to_string(),
            "description: the field holds a text, and is given a whole number"
        );
        assert_eq!(Value::from("RUNNING").fitted(&Field::State).unwrap(), "running".into());
        assert!(Value::from("bogus").fitted(&Field::State).is_err());
        assert_eq!(Value::from("a\0b").fitted(&Field::Kind).unwrap_err().position(), Some(1));
    }
}
