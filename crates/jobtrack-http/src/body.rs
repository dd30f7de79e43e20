//! The body of a request.

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use jobtrack::{Error, ErrorKind, quoted};
use serde::de::DeserializeOwned;

use crate::errors::{Fault, HttpKind};

/// Reads the body of a request that may have one.
pub(crate) async fn read(body: Body, headers: &HeaderMap, limit: usize) -> Result<Vec<u8>, Fault> {
    let too_large = || {
        let message = format!("the body is longer than {limit} bytes");
        Fault::new(HttpKind::BodyTooLarge, message)
    };
    // Refused before anything of it is read, where its length is known.
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if length.and_then(|length| length.parse::<u64>().ok()).is_some_and(|n| n > limit as u64) {
        return Err(too_large());
    }
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes().to_vec()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => Err(too_large()),
        Err(error) => Err(cut_short(&error)),
    }
}

/// The refusal of a body that did not come whole.
pub(crate) fn cut_short(error: &dyn std::fmt::Display) -> Fault {
    Fault::new(HttpKind::BodyCutShort, format!("the body could not be read: {error}"))
}

/// Refuses a body on a request that must have none.
pub(crate) async fn expect_none(body: Body) -> Result<(), Fault> {
    let unexpected =
        || Fault::new(HttpKind::BodyNotExpected, "a request of this method must not have a body");
    // Whether it is too long or cannot be read: there was one.
    let body = Limited::new(body, 1).collect().await.map_err(|_| unexpected())?;
    if body.to_bytes().is_empty() { Ok(()) } else { Err(unexpected()) }
}

/// The value in a JSON body; an empty one stands for `{}`, where that is enough.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        fault(&error.into_inner(), &path)
    })?;
    reader.end().map_err(|error| fault(&error, "."))?;
    Ok(value)
}

/// What serde found wrong, as an error of the engine's kinds.
///
/// Serde tells what kind of fault it is in the wording alone, which has not changed in ten years;
/// a test holds it to that.
pub(crate) fn fault(error: &serde_json::Error, path: &str) -> Fault {
    let text = error.to_string();
    if !error.is_data() {
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
    let error = Error::new(ErrorKind::InvalidValue, text);
    match path {
        "." | "" => error.into(),
        path => error.with_field(path).into(),
    }
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
        assert!(
            parse::<serde_json::Value>(deep.as_bytes()).unwrap_err().line().contains("recursion")
        );
    }

    #[test]
    fn an_empty_body_is_an_empty_object() {
        assert_eq!(parse::<NewJob>(b"").unwrap(), NewJob::default());
        assert_eq!(parse::<NewJob>(b" \n").unwrap(), NewJob::default());
    }
}
