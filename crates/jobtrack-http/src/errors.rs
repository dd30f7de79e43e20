//! Every refusal as HTTP shows it.
//!
//! Two tables, one for what the engine refuses and one for what HTTP itself does, say which status
//! and which of ONTAP's numbers stand for it. Each face then has its own body: ONTAP's error object,
//! or a problem document (RFC 9457).

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use jobtrack::{Error, ErrorKind, quoted};
use serde::Serialize;

/// Which face an answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    Ontap,
    Native,
}

/// What the engine refuses: kind, status on the native face, status and number on ONTAP's.
const ENGINE: &[(ErrorKind, u16, u16, &str)] = &[
    (ErrorKind::InvalidValue, 400, 400, "262197"),
    (ErrorKind::MissingValue, 400, 400, "262194"),
    (ErrorKind::InvalidSyntax, 400, 400, "262185"),
    (ErrorKind::UnbalancedBraces, 400, 400, "262286"),
    (ErrorKind::UnknownField, 400, 400, "262197"),
    (ErrorKind::UnknownParameter, 400, 400, "262179"),
    (ErrorKind::Duplicate, 400, 400, "262188"),
    (ErrorKind::NotSortable, 400, 400, "262268"),
    (ErrorKind::InvalidToken, 400, 400, "262185"),
    (ErrorKind::LimitExceeded, 400, 400, "262185"),
    (ErrorKind::Contradiction, 400, 400, "262185"),
    (ErrorKind::NotFound, 404, 404, "4"),
    // ONTAP's clients know one way in which a job is not there.
    (ErrorKind::Gone, 410, 404, "4"),
    (ErrorKind::AlreadyExists, 409, 409, "1"),
    (ErrorKind::Conflict, 409, 409, "8"),
    (ErrorKind::JobEnded, 409, 409, "458762"),
    (ErrorKind::NotQueued, 409, 409, "458771"),
    (ErrorKind::NotRunning, 409, 409, "458776"),
    (ErrorKind::NotPaused, 409, 409, "458771"),
    (ErrorKind::StillLive, 409, 409, "8"),
    (ErrorKind::CannotPause, 400, 400, "458783"),
    (ErrorKind::CannotCancel, 400, 400, "458784"),
    (ErrorKind::CancelPending, 409, 409, "8"),
    (ErrorKind::DeadlineExceeded, 503, 500, "262210"),
    (ErrorKind::StoreHeld, 503, 500, "262145"),
    (ErrorKind::StoreForeign, 500, 500, "262145"),
    (ErrorKind::StoreTooNew, 500, 500, "262145"),
    (ErrorKind::StoreReadOnly, 503, 500, "262145"),
    (ErrorKind::StoreFull, 507, 500, "262145"),
    (ErrorKind::StoreDamaged, 500, 500, "262145"),
    (ErrorKind::StoreFailed, 500, 500, "262145"),
    (ErrorKind::OutcomeUnknown, 500, 500, "262145"),
    (ErrorKind::Unsettled, 503, 503, "458773"),
    (ErrorKind::Closed, 503, 503, "458773"),
];

/// What HTTP refuses before the engine is asked: the name on the native face, status, and number.
const HTTP: &[(HttpKind, &str, u16, &str)] = &[
    (HttpKind::NoSuchPath, "no_such_path", 404, "3"),
    (HttpKind::MethodNotAllowed, "method_not_allowed", 405, "3"),
    (HttpKind::UriTooLong, "uri_too_long", 414, "262185"),
    (HttpKind::BodyTooLarge, "body_too_large", 413, "262185"),
    (HttpKind::BodyCutShort, "body_cut_short", 400, "262199"),
    (HttpKind::BodyEncoded, "body_encoded", 415, "262185"),
    (HttpKind::BodyNotExpected, "body_not_expected", 400, "262198"),
    (HttpKind::InvalidJson, "invalid_json", 400, "262199"),
    (HttpKind::NotSettable, "not_settable", 400, "262203"),
    (HttpKind::MissingParameter, "missing_parameter", 400, "262212"),
    (HttpKind::RevisionChanged, "revision_changed", 412, "8"),
    (HttpKind::Internal, "internal", 500, "262145"),
];

/// What HTTP itself refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HttpKind {
    /// Nothing is served at this path.
    NoSuchPath,
    /// The path has no such method.
    MethodNotAllowed,
    /// The path with its query is too long.
    UriTooLong,
    /// The body is too large.
    BodyTooLarge,
    /// The body ended or stalled before its time.
    BodyCutShort,
    /// The body is compressed.
    BodyEncoded,
    /// A body on a request that has none.
    BodyNotExpected,
    /// The body is not JSON.
    InvalidJson,
    /// A member of the body that cannot be set here.
    NotSettable,
    /// A parameter that must be given is not.
    MissingParameter,
    /// The job is at another revision than `If-Match` says.
    RevisionChanged,
    /// A fault of the server.
    Internal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Engine(ErrorKind),
    Http(HttpKind),
}

/// A refusal on its way to the client.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    kind: Kind,
    message: String,
    target: Option<String>,
    position: Option<usize>,
    /// What the client wrote for the target, quoted and cut.
    value: Option<String>,
    /// The methods that the path has, where another was used.
    allow: Option<&'static str>,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault {
            kind: Kind::Engine(error.kind()),
            message: error.message().to_owned(),
            target: error.field().map(str::to_owned),
            position: error.position(),
            value: None,
            allow: None,
        }
    }
}

impl Fault {
    pub(crate) fn new(kind: HttpKind, message: impl Into<String>) -> Self {
        Fault {
            kind: Kind::Http(kind),
            message: message.into(),
            target: None,
            position: None,
            value: None,
            allow: None,
        }
    }

    pub(crate) fn engine(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error::new(kind, message).into()
    }

    pub(crate) fn method_not_allowed(method: &str, allow: &'static str) -> Self {
        let message = format!("{} is not served here, only {allow}", quoted(method));
        Fault { allow: Some(allow), ..Fault::new(HttpKind::MethodNotAllowed, message) }
    }

    pub(crate) fn unexpected_parameter(name: &str) -> Self {
        let message = format!("Unexpected argument {}.", quoted(name));
        Fault::engine(ErrorKind::UnknownParameter, message).on(name)
    }

    /// Names the field or parameter at fault.
    pub(crate) fn on(mut self, target: &str) -> Self {
        self.target = Some(target.to_owned());
        self
    }

    /// Names the parameter at fault and what was written for it.
    pub(crate) fn on_value(mut self, target: &str, value: &str) -> Self {
        self.value = Some(quoted(value));
        self.on(target)
    }

    /// Names the byte at fault.
    pub(crate) fn at(mut self, position: usize) -> Self {
        self.position = Some(position);
        self
    }

    /// Whether it is the engine's refusal of this kind.
    pub(crate) fn is(&self, kind: ErrorKind) -> bool {
        self.kind == Kind::Engine(kind)
    }

    /// The same refusal as one of HTTP's own.
    pub(crate) fn into_http(mut self, kind: HttpKind) -> Self {
        self.kind = Kind::Http(kind);
        self
    }

    /// One line for people, with field and position.
    pub(crate) fn line(&self) -> String {
        let field = self.target.as_ref().map(|target| format!("{target}: ")).unwrap_or_default();
        let position = self.position.map(|at| format!(" (at byte {at})")).unwrap_or_default();
        format!("{field}{}{position}", self.message)
    }

    /// The answer of this face.
    pub(crate) fn into_response(self, face: Face) -> Response {
        let (name, native, ontap, code) = self.row();
        if native >= 500 {
            tracing::warn!(kind = name, "{}", self.line());
        }
        let (status, media_type, body) = match face {
            Face::Ontap => (ontap, "application/hal+json", self.ontap_body(code)),
            Face::Native => (native, "application/problem+json", self.problem(name, native)),
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() =
            StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        response
    }

    /// Name, native status, ONTAP's status, ONTAP's number.
    fn row(&self) -> (&'static str, u16, u16, &'static str) {
        let found = match self.kind {
            Kind::Engine(kind) => ENGINE
                .iter()
                .find(|row| row.0 == kind)
                .map(|&(kind, native, ontap, code)| (kind.as_str(), native, ontap, code)),
            Kind::Http(kind) => HTTP
                .iter()
                .find(|row| row.0 == kind)
                .map(|&(_, name, status, code)| (name, status, status, code)),
        };
        // The tests prove that both tables are whole.
        found.unwrap_or(("internal", 500, 500, "262145"))
    }

    fn ontap_body(&self, code: &str) -> Vec<u8> {
        #[derive(Serialize)]
        struct Body<'a> {
            error: Detail<'a>,
        }
        #[derive(Serialize)]
        struct Detail<'a> {
            message: &'a str,
            code: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            target: Option<&'a str>,
        }
        let mut message = self.message.clone();
        let mut target = self.target.as_deref();
        match (&self.kind, target, &self.value) {
            (Kind::Engine(ErrorKind::NotFound | ErrorKind::Gone), ..) => {
                "entry doesn't exist".clone_into(&mut message);
                target = Some("uuid");
            }
            // ONTAP's own words first, since people search for them; then what is wrong.
            (Kind::Engine(ErrorKind::InvalidValue), Some(target), Some(value)) => {
                message =
                    format!("{value} is an invalid value for field {target:?}: {}", self.message);
            }
            _ => {}
        }
        if let Some(position) = self.position {
            message = format!("{message} (at byte {position})");
        }
        to_json(&Body { error: Detail { message: &message, code, target } })
    }

    fn problem(&self, kind: &'static str, status: u16) -> Vec<u8> {
        #[derive(Serialize)]
        struct Problem<'a> {
            status: u16,
            title: &'a str,
            detail: &'a str,
            kind: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            field: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            position: Option<usize>,
        }
        let title = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        to_json(&Problem {
            status,
            title: title.unwrap_or("Error"),
            detail: &self.message,
            kind,
            field: self.target.as_deref(),
            position: self.position,
        })
    }
}

/// The value as JSON. What is written here has text keys only, so it cannot fail.
pub(crate) fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_each_kind_of_the_engine_once() {
        for kind in ErrorKind::ALL {
            let rows = ENGINE.iter().filter(|row| row.0 == *kind).count();
            assert_eq!(rows, 1, "{kind}");
        }
        assert_eq!(ENGINE.len(), ErrorKind::ALL.len());
    }

    #[test]
    fn every_status_is_one_and_every_number_is_a_number() {
        let engine = ENGINE.iter().flat_map(|row| [(row.1, row.3), (row.2, row.3)]);
        for (status, code) in engine.chain(HTTP.iter().map(|row| (row.2, row.3))) {
            assert!(StatusCode::from_u16(status).unwrap().canonical_reason().is_some(), "{status}");
            assert!((400..600).contains(&status));
            assert!(code.parse::<u32>().is_ok(), "{code}");
        }
    }

    #[test]
    fn the_table_of_http_has_each_kind_once() {
        let kinds = [
            HttpKind::NoSuchPath,
            HttpKind::MethodNotAllowed,
            HttpKind::UriTooLong,
            HttpKind::BodyTooLarge,
            HttpKind::BodyCutShort,
            HttpKind::BodyEncoded,
            HttpKind::BodyNotExpected,
            HttpKind::InvalidJson,
            HttpKind::NotSettable,
            HttpKind::MissingParameter,
            HttpKind::RevisionChanged,
            HttpKind::Internal,
        ];
        for kind in kinds {
            assert_eq!(HTTP.iter().filter(|row| row.0 == kind).count(), 1, "{kind:?}");
        }
        assert_eq!(HTTP.len(), kinds.len());
    }
}
