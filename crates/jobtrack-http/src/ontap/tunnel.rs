//! Requests for one SVM: the headers `X-Dot-SVM-Name` and `X-Dot-SVM-UUID`.

use axum::http::HeaderMap;
use jobtrack::{ErrorKind, Expr, Field, Job, Value, quoted};

use crate::errors::{Fault, HttpKind};

/// The headers, the field that each is about, and ONTAP's name for that.
const HEADERS: [(&str, Field, &str); 2] = [
    ("X-Dot-SVM-Name", Field::ScopeName, "svm.name"),
    ("X-Dot-SVM-UUID", Field::ScopeId, "svm.uuid"),
];

/// The SVM that a request is for, as far as its headers say. Every other job is out of its sight.
#[derive(Debug, Clone)]
pub(super) struct Tunnel {
    /// Header, field, ONTAP's name and value.
    told: Vec<(&'static str, Field, &'static str, String)>,
    filter: Expr,
}

impl Tunnel {
    /// What the headers say. They are taken literally: an operator or a `*` is a character.
    pub(super) fn of(headers: &HeaderMap) -> Result<Tunnel, Fault> {
        let mut tunnel = Tunnel { told: Vec::new(), filter: Expr::everything() };
        for (header, field, name) in HEADERS {
            let mut values = headers.get_all(header).iter();
            let Some(value) = values.next() else { continue };
            if values.next().is_some() {
                let message = format!("the header {header} is given twice");
                return Err(Fault::engine(ErrorKind::Duplicate, message).on(header));
            }
            let Ok(value) = std::str::from_utf8(value.as_bytes()) else {
                let message = "the header is not UTF-8";
                return Err(Fault::engine(ErrorKind::InvalidValue, message).on(header));
            };
            if value.is_empty() {
                let message = "the header has no value";
                return Err(Fault::engine(ErrorKind::MissingValue, message).on(header));
            }
            let is_it = Expr::is(field.clone(), value)
                .map_err(|error| Fault::from(error).on_value(header, value))?;
            tunnel.filter = tunnel.filter.and(is_it);
            tunnel.told.push((header, field, name, value.to_owned()));
        }
        Ok(tunnel)
    }

    /// The filter, for this SVM alone. One that excludes the SVM is refused: an empty answer would
    /// hide that two settings are at odds.
    pub(super) fn narrow(&self, filter: Expr) -> Result<Expr, Fault> {
        filter.check()?;
        for (header, field, name, value) in &self.told {
            if !filter.admits(field, Value::from(value.as_str()).borrowed()) {
                let message = format!(
                    "the request is for the SVM {} by its header {header}, which the query excludes",
                    quoted(value)
                );
                return Err(Fault::new(HttpKind::Excluded, message).on(name));
            }
        }
        Ok(filter.and(self.filter.clone()))
    }

    /// Refuses a job of another SVM as one that is not there.
    pub(super) fn check(&self, job: &Job) -> Result<(), Fault> {
        if self.filter.matches(job) {
            return Ok(());
        }
        Err(Fault::engine(ErrorKind::NotFound, "no job of this SVM has this uuid"))
    }

    /// Whether the request is for any SVM.
    pub(super) fn is_open(&self) -> bool {
        self.told.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use jobtrack::Names;

    use super::*;

    fn headers(values: &[(&'static str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in values {
            headers.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[test]
    fn what_cannot_be_a_name_is_refused_by_the_header_s_name() {
        for (values, kind) in [
            (&[("x-dot-svm-name", &b"a"[..]), ("x-dot-svm-name", b"a")][..], ErrorKind::Duplicate),
            (&[("x-dot-svm-name", b"")], ErrorKind::MissingValue),
            (&[("x-dot-svm-uuid", b"a\xff")], ErrorKind::InvalidValue),
        ] {
            let fault = Tunnel::of(&headers(values)).unwrap_err();
            assert!(fault.is(kind) && fault.line().starts_with("X-Dot-SVM-"), "{}", fault.line());
        }
    }

    #[test]
    fn both_headers_must_hold() {
        let tunnel = Tunnel::of(&headers(&[
            ("x-dot-svm-uuid", b"7".as_slice()),
            ("x-dot-svm-name", "v\u{e9}*".as_bytes()),
        ]))
        .unwrap();
        assert!(!tunnel.is_open());
        let narrowed = tunnel.narrow(Expr::everything()).unwrap();
        assert_eq!(narrowed.to_string(), "scope.name=\"v\u{e9}*\" and scope.id=7");
        let other = Expr::parse("svm.uuid", "!7", Names::Ontap).unwrap();
        assert!(tunnel.narrow(other).is_err());
    }
}
