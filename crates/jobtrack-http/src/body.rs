//! The body of a request.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use jobtrack::{Error, ErrorKind, quoted};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tower_http::timeout::TimeoutError;

use crate::errors::{Fault, HttpKind};

/// Reads the body of a request that may have one.
pub(crate) async fn read(body: Body, headers: &HeaderMap, limit: usize) -> Result<Vec<u8>, Fault> {
    let too_large = || too_large(limit);
    // Refused before anything of it is read, where its length is known.
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if length.and_then(|length| length.parse::<u64>().ok()).is_some_and(|n| n > limit as u64) {
        return Err(too_large());
    }
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes().to_vec()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => Err(too_large()),
        Err(error) => Err(cut_short(&*error)),
    }
}

/// The refusal of a body that is longer than may be.
pub(crate) fn too_large(limit: usize) -> Fault {
    Fault::new(HttpKind::BodyTooLarge, format!("the body is longer than {limit} bytes"))
}

/// The refusal of a body that did not come whole.
pub(crate) fn cut_short(error: &(dyn std::error::Error + 'static)) -> Fault {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    let kind = match causes.any(<dyn std::error::Error>::is::<TimeoutError>) {
        true => HttpKind::BodyTooSlow,
        false => HttpKind::BodyCutShort,
    };
    Fault::new(kind, format!("the body could not be read: {error}"))
}

/// Refuses a body on a request that must have none.
pub(crate) async fn expect_none(body: Body) -> Result<(), Fault> {
    let unexpected =
        || Fault::new(HttpKind::BodyNotExpected, "a request of this method must not have a body");
    // Whether it is too long or cannot be read: there was one.
    let body = Limited::new(body, 1).collect().await.map_err(|_| unexpected())?;
    if body.to_bytes().is_empty() { Ok(()) } else { Err(unexpected()) }
}

/// The object in a JSON body; an empty one stands for `{}`, where that is enough.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    let body = &*with_whole_numbers(or_empty_object(body));
    // Read twice: serde takes an array for any object, as its members in their order, and only the
    // plain value shows which of the two it was.
    let plain = serde_json::from_slice::<Value>(body);
    let mut reader = serde_json::Deserializer::from_slice(body);
    let parsed = serde_path_to_error::deserialize(&mut reader);
    let Ok(plain) = plain.as_ref() else {
        let value = parsed.map_err(told)?;
        return plain.map_err(|error| fault(&error, ".")).map(|_| value);
    };
    object(plain, parsed)
}

/// The value in a JSON body, whatever it is; an empty one stands for `{}`.
pub(crate) fn parse_any(body: &[u8]) -> Result<Value, Fault> {
    serde_json::from_slice(or_empty_object(body)).map_err(|error| fault(&error, "."))
}

/// The body with blanks for the fractions that are zero: in JSON `40.0` is a whole number, and some
/// languages write it so. Every other byte stays where it is.
fn with_whole_numbers(body: &[u8]) -> Cow<'_, [u8]> {
    let mut found = Cow::Borrowed(body);
    let (mut is_text, mut is_escaped) = (false, false);
    let mut at = 0;
    while let Some(byte) = body.get(at) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b'-' | b'0'..=b'9' if !is_text => {
                let rest = body.get(at..).unwrap_or_default();
                let is_of_number =
                    |byte: &&u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                let length = rest.iter().take_while(is_of_number).count();
                let number = rest.get(..length).unwrap_or_default();
                if let Some(whole) = whole_part(number)
                    && let Some(fraction) = found.to_mut().get_mut(at + whole..at + length)
                {
                    fraction.fill(b' ');
                }
                // At least one byte is a number's.
                at += length;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// How long the number is without its fraction, if that is there and zero.
fn whole_part(number: &[u8]) -> Option<usize> {
    let whole = number.iter().position(|byte| *byte == b'.')?;
    let (digits, fraction) = number.split_at(whole);
    let zeros = fraction.get(1..)?;
    // There is no whole number -0.
    let is_whole = !zeros.is_empty() && zeros.iter().all(|byte| *byte == b'0') && digits != b"-0";
    is_whole.then_some(whole)
}

fn or_empty_object(body: &[u8]) -> &[u8] {
    if body.trim_ascii().is_empty() { b"{}" } else { body }
}

/// What was read of this value, unless an array stood for an object in it.
pub(crate) fn object<T: DeserializeOwned>(
    plain: &Value,
    parsed: Result<T, serde_path_to_error::Error<serde_json::Error>>,
) -> Result<T, Fault> {
    let array = misplaced_array(plain, "");
    let error = match (parsed, &array) {
        (Ok(value), None) => return Ok(value),
        (Ok(_), Some(path)) => return Err(not_an_object(path)),
        (Err(error), _) => error,
    };
    let (path, text) = (error.path().to_string(), error.inner().to_string());
    if let Some(array) = array {
        // Where no object is expected either, serde knows better what is.
        let is_told = text.starts_with("invalid type: sequence") || text.starts_with("unknown");
        let is_within = array.is_empty() || path.starts_with(&format!("{array}["));
        if is_within || (path == array && !is_told) {
            return Err(not_an_object(&array));
        }
    }
    if error.inner().is_data() {
        return Err(told(error));
    }
    // It is JSON all the same: serde says so of a wrong type where it expects one of some words.
    match serde_path_to_error::deserialize::<_, T>(plain.clone()) {
        Ok(_) => Err(told(error)),
        Err(error) => Err(told(error)),
    }
}

/// The path of the first array that stands elsewhere than an array may.
fn misplaced_array(value: &Value, path: &str) -> Option<String> {
    match value {
        Value::Array(_) if path != ARRAY => Some(path.to_owned()),
        Value::Array(values) => values
            .iter()
            .enumerate()
            .find_map(|(index, value)| misplaced_array(value, &format!("{path}[{index}]"))),
        Value::Object(members) => members.iter().find_map(|(name, value)| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            misplaced_array(value, &path)
        }),
        _ => None,
    }
}

/// The one list in a job.
const ARRAY: &str = "error.arguments";

fn not_an_object(path: &str) -> Fault {
    let error = Error::new(ErrorKind::InvalidValue, "an array, where an object is expected");
    if path.is_empty() { error.into() } else { error.with_field(path).into() }
}

fn told(error: serde_path_to_error::Error<serde_json::Error>) -> Fault {
    let path = error.path().to_string();
    fault(&error.into_inner(), &path)
}

/// What serde found wrong, as an error of the engine's kinds.
///
/// Serde tells what kind of fault it is in the wording alone, which has not changed in ten years;
/// a test holds it to that.
pub(crate) fn fault(error: &serde_json::Error, path: &str) -> Fault {
    let text = error.to_string();
    if !error.is_data() {
        let text = text.replacen("expected ident", "expected a value", 1);
        return Fault::new(HttpKind::InvalidJson, format!("the body is not JSON: {text}"));
    }
    let named = |start: &str| {
        let rest = text.strip_prefix(start)?;
        rest.split_once('`').map(|(name, _)| name.to_owned())
    };
    let inside = |name: &str| match path {
        "." | "" => name.to_owned(),
        path if path == name || path.ends_with(&format!(".{name}")) => path.to_owned(),
        path => format!("{path}.{name}"),
    };
    if let Some(name) = named("unknown field `") {
        let known = text.split_once("`, ").map_or("", |(_, rest)| rest);
        let known = known.rsplit_once(" at line").map_or(known, |(known, _)| known);
        let message = format!("{} is no field here: {known}", quoted(&name));
        return Fault::engine(ErrorKind::UnknownField, message).on(&inside(&name));
    }
    if let Some(name) = named("missing field `") {
        return Fault::engine(ErrorKind::MissingValue, "the field must be given")
            .on(&inside(&name));
    }
    if let Some(name) = named("duplicate field `") {
        return Fault::engine(ErrorKind::Duplicate, "the field is given twice").on(&inside(&name));
    }
    let error = Error::new(ErrorKind::InvalidValue, in_words_of_json(&text));
    match path {
        "." | "" => error.into(),
        path => error.with_field(path).into(),
    }
}

/// Serde's text without the names of Rust's types.
pub(crate) fn in_words_of_json(text: &str) -> String {
    if text.starts_with("data did not match any variant of untagged enum Code") {
        return "an integer is expected, or a text that holds one".to_owned();
    }
    // What the client wrote stands before, and may hold anything.
    let Some((found, expected)) = text.rsplit_once(", expected ") else { return text.to_owned() };
    let (expected, place) = match expected.rsplit_once(" at line ") {
        Some((expected, place)) => (expected, format!(" at line {place}")),
        None => (expected, String::new()),
    };
    let found = match found {
        "invalid type: sequence" => "invalid type: array",
        "invalid type: map" => "invalid type: object",
        found => found,
    };
    let expected = match expected {
        // The only numbers with a fraction are times.
        "f64" => "seconds as a number",
        "u64" => "a whole number, 0 or more",
        "i64" => "a whole number",
        "a map" => "an object",
        "string or map" => "a string",
        expected if expected.starts_with("struct ") => "an object",
        expected => expected,
    };
    format!("{found}, expected {expected}{place}")
}

#[cfg(test)]
mod tests {
    use jobtrack::NewJob;

    use super::*;

    #[track_caller]
    fn line(body: &str) -> String {
        parse::<NewJob>(body.as_bytes()).unwrap_err().line()
    }

    #[test]
    fn the_wording_of_serde_is_what_the_kinds_are_told_by() {
        let fault = parse::<NewJob>(br#"{"descripton": "x"}"#).unwrap_err();
        assert!(fault.is(ErrorKind::UnknownField));
        assert!(fault.line().starts_with("descripton: \"descripton\" is no field here: expected"));
        assert!(line(r#"{"scope": {"nam": "x"}}"#).starts_with("scope.nam: "));
        assert!(line(r#"{"progress": {"total": 1}}"#).starts_with("progress.done: the field must"));
        assert_eq!(line(r#"{"kind": "a", "kind": "b"}"#), "kind: the field is given twice");
        assert!(line(r#"{"scope": {"name": 7}}"#).starts_with("scope.name: invalid type"));
    }

    #[test]
    fn what_is_not_json_says_where() {
        assert!(line("{").contains("line 1 column 1"));
        assert!(line("{}\n x").contains("line 2 column 2"));
        assert!(line("\u{feff}{}").contains("line 1 column 1"));
        let deep = "[".repeat(10_000);
        assert!(parse_any(deep.as_bytes()).unwrap_err().line().contains("recursion"));
    }

    #[test]
    fn an_array_is_no_object() {
        assert_eq!(line(" []"), "an array, where an object is expected");
        assert_eq!(line(r#"[null, "evil", 7]"#), "an array, where an object is expected");
        for scope in [r#"["a", "b"]"#, r#"["a"]"#, "[7]", "[[]]"] {
            let found = line(&format!(r#"{{"description": "x", "scope": {scope}}}"#));
            assert_eq!(found, "scope: an array, where an object is expected");
        }
        // Where something else is expected, that is what is told.
        let text = line(r#"{"kind": []}"#);
        assert!(text.starts_with("kind: invalid type: array, expected a string"), "{text}");
        assert!(
            line(r#"{"descripton": []}"#).starts_with("descripton: \"descripton\" is no field")
        );
        let other = line(r#"{"uuid": 7, "scope": []}"#);
        assert!(other.starts_with("uuid: "), "{other}");
    }

    #[test]
    fn no_type_of_rust_is_told() {
        for (body, told) in [
            (r#"{"retention": "1h"}"#, "expected seconds as a number at line"),
            (r#"{"progress": {"done": -5}}"#, "expected a whole number, 0 or more at line"),
            ("null", "invalid type: null, expected an object"),
            ("nonsense", "the body is not JSON: expected a value at line"),
            (r#"{"kind": {"a": 1}}"#, "invalid type: object, expected a string"),
            (r#"{"labels": 7}"#, "expected an object"),
        ] {
            assert!(line(body).contains(told), "{body}: {}", line(body));
        }
        // What the client wrote is not touched.
        let quoted = line(r#"{"cooperative": ", expected u64"}"#);
        assert!(quoted.contains(r#"string ", expected u64", expected a boolean"#), "{quoted}");
    }

    #[test]
    fn a_whole_number_may_have_a_fraction_of_zero() {
        let whole =
            |body: &str| String::from_utf8(with_whole_numbers(body.as_bytes()).into()).unwrap();
        assert_eq!(
            whole(r#"{"done": 40.0, "n":[-1.00,0.5,1.0e3]}"#),
            r#"{"done": 40  , "n":[-1   ,0.5,1.0e3]}"#
        );
        for same in [r#"{"a\\\"1.0": "2.0"}"#, "[-0.0, 1., .0, 10.50, 1.0.0]", "1.", "-", "\"1.0"] {
            assert_eq!(whole(same), same);
        }
        let job: NewJob = parse(br#"{"progress": {"done": 7.0, "total": 40.0}}"#).unwrap();
        assert_eq!(job.progress.unwrap().total, Some(40));
        assert!(line(r#"{"progress": {"done": 7.5}}"#).starts_with("progress.done: invalid type"));
    }

    #[test]
    fn an_empty_body_is_an_empty_object() {
        assert_eq!(parse::<NewJob>(b"").unwrap(), NewJob::default());
        assert_eq!(parse::<NewJob>(b" \n").unwrap(), NewJob::default());
    }
}
