//! Every refusal as HTTP shows it.
//!
//! Two tables, one for what the engine refuses and one for what HTTP itself does, say which status
//! and which of ONTAP's numbers stand for it. Each face then has its own body: ONTAP's error object,
//! or a problem document (RFC 9457).

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use jobtrack::{Error, ErrorKind, JobId, quoted};
use serde::Serialize;

/// Which face an answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    Ontap,
    Native,
}

/// What the engine refuses: kind, status on the native face, status and number on ONTAP's.
pub(crate) const ENGINE: &[(ErrorKind, u16, u16, &str)] = &[
    (ErrorKind::InvalidValue, 400, 400, "262197"),
    (ErrorKind::MissingValue, 400, 400, "262194"),
    (ErrorKind::InvalidSyntax, 400, 400, "262185"),
    (ErrorKind::UnbalancedBraces, 400, 400, "262286"),
    (ErrorKind::UnknownField, 400, 400, "262197"),
    (ErrorKind::UnknownParameter, 400, 400, "262179"),
    (ErrorKind::Duplicate, 400, 400, "262188"),
    (ErrorKind::NotSortable, 400, 400, "262268"),
    (ErrorKind::InvalidToken, 400, 400, "262247"),
    (ErrorKind::LimitExceeded, 400, 400, "262245"),
    (ErrorKind::Contradiction, 400, 400, "262245"),
    (ErrorKind::NotFound, 404, 404, "4"),
    // ONTAP's clients know one way in which a job is not there.
    (ErrorKind::Gone, 410, 404, "4"),
    (ErrorKind::AlreadyExists, 409, 409, "1"),
    (ErrorKind::KeyTaken, 409, 409, "8"),
    (ErrorKind::Conflict, 409, 409, "8"),
    (ErrorKind::JobEnded, 409, 409, "458762"),
    (ErrorKind::NotQueued, 409, 409, "458771"),
    (ErrorKind::NotRunning, 409, 409, "458776"),
    (ErrorKind::NotPaused, 409, 409, "458771"),
    (ErrorKind::StillLive, 409, 409, "8"),
    (ErrorKind::Held, 409, 409, "8"),
    (ErrorKind::CannotPause, 409, 400, "458783"),
    (ErrorKind::CannotCancel, 409, 400, "458784"),
    (ErrorKind::CancelPending, 409, 409, "8"),
    (ErrorKind::NotRolledUp, 409, 409, "8"),
    (ErrorKind::NothingToClaim, 404, 404, "4"),
    (ErrorKind::Leased, 409, 409, "8"),
    (ErrorKind::LeaseLost, 409, 409, "8"),
    (ErrorKind::NotPermitted, 403, 403, "6"),
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
    (ErrorKind::StoreCannot, 501, 501, "262145"),
    (ErrorKind::Closed, 503, 503, "458773"),
];

/// Where ONTAP has a number of its own for a fault in one place.
pub(crate) const PLACES: &[(ErrorKind, Place, &str)] = &[
    (ErrorKind::MissingValue, Place::Parameter, "262177"),
    (ErrorKind::MissingValue, Place::Within("query"), "262274"),
    (ErrorKind::InvalidSyntax, Place::Within("query"), "262272"),
    (ErrorKind::MissingValue, Place::Within("query_fields"), "262275"),
    (ErrorKind::Duplicate, Place::Within("query_fields"), "262276"),
    (ErrorKind::Duplicate, Place::Within("order_by"), "262222"),
];

/// Where in a request a fault lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A parameter, a header or a member as a whole.
    Parameter,
    /// At some byte of this parameter.
    Within(&'static str),
}

/// What HTTP refuses before the engine is asked: the name on the native face, its status, status and
/// number on ONTAP's.
pub(crate) const HTTP: &[(HttpKind, &str, u16, u16, &str)] = &[
    // ONTAP's list pairs this number with 400, but a client looks for the status: 401 it is.
    (HttpKind::Unauthorized, "unauthorized", 401, 401, "6691623"),
    (HttpKind::Forbidden, "forbidden", 403, 403, "6"),
    (HttpKind::TooManyLogins, "too_many_logins", 429, 429, "6691623"),
    (HttpKind::ForeignHost, "foreign_host", 421, 421, "6"),
    (HttpKind::ForeignOrigin, "foreign_origin", 403, 403, "6"),
    (HttpKind::NoSuchPath, "no_such_path", 404, 404, "3"),
    (HttpKind::MethodNotAllowed, "method_not_allowed", 405, 405, "3"),
    (HttpKind::TooManyRequests, "too_many_requests", 503, 429, "262160"),
    (HttpKind::UriTooLong, "uri_too_long", 414, 414, "262185"),
    (HttpKind::BodyTooLarge, "body_too_large", 413, 413, "262185"),
    (HttpKind::BodyCutShort, "body_cut_short", 400, 400, "262199"),
    (HttpKind::BodyTooSlow, "body_too_slow", 408, 408, "262199"),
    (HttpKind::BodyEncoded, "body_encoded", 415, 415, "262185"),
    (HttpKind::BodyNotExpected, "body_not_expected", 400, 400, "262198"),
    (HttpKind::InvalidJson, "invalid_json", 400, 400, "262199"),
    (HttpKind::ArrayNotExpected, "array_not_expected", 400, 400, "262255"),
    (HttpKind::NotSettable, "not_settable", 400, 400, "262203"),
    (HttpKind::NothingToChange, "nothing_to_change", 400, 400, "262190"),
    (HttpKind::MissingParameter, "missing_parameter", 400, 400, "262212"),
    (HttpKind::Excluded, "excluded", 400, 400, "262186"),
    (HttpKind::HalfASearch, "half_a_search", 400, 400, "262273"),
    (HttpKind::SearchNotRead, "search_not_read", 400, 400, "262277"),
    (HttpKind::RevisionChanged, "revision_changed", 412, 412, "8"),
    (HttpKind::TooManyWatchers, "too_many_watchers", 503, 503, "458773"),
    (HttpKind::NotOpen, "not_open", 503, 503, "458773"),
    (HttpKind::Internal, "internal", 500, 500, "262145"),
];

/// What HTTP itself refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HttpKind {
    /// The request comes from none of the users.
    Unauthorized,
    /// The user may not do this.
    Forbidden,
    /// Too many wrong passwords or tokens came from there.
    TooManyLogins,
    /// The request is for another host than this server is.
    ForeignHost,
    /// A page of another site sent the request.
    ForeignOrigin,
    /// Nothing is served at this path.
    NoSuchPath,
    /// The path has no such method.
    MethodNotAllowed,
    /// As many requests as may be are being answered.
    TooManyRequests,
    /// The path with its query is too long.
    UriTooLong,
    /// The body is too large.
    BodyTooLarge,
    /// The body ended before its time.
    BodyCutShort,
    /// The client paused for too long within the body.
    BodyTooSlow,
    /// The body is compressed.
    BodyEncoded,
    /// A body on a request that has none.
    BodyNotExpected,
    /// The body is not JSON.
    InvalidJson,
    /// The body is an array.
    ArrayNotExpected,
    /// A member of the body that cannot be set here.
    NotSettable,
    /// A change that says nothing of what is to change.
    NothingToChange,
    /// A parameter that must be given is not.
    MissingParameter,
    /// Two things of which each excludes the other.
    Excluded,
    /// The text of a search without its fields, or the other way round.
    HalfASearch,
    /// A search where something is changed.
    SearchNotRead,
    /// The job is at another revision than `If-Match` says.
    RevisionChanged,
    /// As many clients watch as may.
    TooManyWatchers,
    /// The store is not open yet.
    NotOpen,
    /// A fault of the server.
    Internal,
}

/// Rides on the answer to a request that is refused, for those who count refusals by kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refused(pub(crate) &'static str);

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
    allow: Option<Box<HeaderValue>>,
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

    pub(crate) fn method_not_allowed(method: &str, allow: &str) -> Self {
        let message = format!("{} is not served here, only {allow}", quoted(method));
        let allow = HeaderValue::from_str(allow).ok().map(Box::new);
        Fault { allow, ..Fault::new(HttpKind::MethodNotAllowed, message) }
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
    #[cfg(test)]
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
    pub(crate) fn into_response(mut self, face: Face) -> Response {
        let (refused, ..) = self.row();
        let (allow, retry_after) = (self.allow.take(), self.retry_after());
        let (status, media_type, body) = match face {
            Face::Ontap => {
                let (status, error) = self.into_ontap();
                (status, "application/hal+json", to_json(&OntapBody { error }))
            }
            Face::Native => {
                let (name, status, ..) = self.row();
                self.log(name, status);
                (status, "application/problem+json", self.problem(name, status))
            }
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        response.extensions_mut().insert(Refused(refused));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        if let Some(allow) = allow {
            headers.insert(header::ALLOW, *allow);
        }
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        response
    }

    /// After how many seconds to try again, where that is known to help. The clients that heed it
    /// take whole ones.
    fn retry_after(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Http(HttpKind::TooManyRequests) => Some("1"),
            Kind::Http(HttpKind::TooManyWatchers) => Some("5"),
            _ => None,
        }
    }

    /// Status and error as ONTAP shows them.
    pub(crate) fn into_ontap(self) -> (StatusCode, OntapError) {
        let (name, _, status, code) = self.row();
        self.log(name, status);
        let code = self.place_code().unwrap_or(code);
        let (mut message, mut target) = (self.message, self.target);
        match (self.kind, &target, self.value) {
            (Kind::Engine(ErrorKind::NotFound | ErrorKind::Gone), ..) => {
                "entry doesn't exist".clone_into(&mut message);
                target = Some("uuid".to_owned());
            }
            (Kind::Http(HttpKind::Unauthorized), ..) => {
                message = format!("User is not authorized: {message}");
            }
            // ONTAP's own words first, since people search for them; then what is wrong.
            (Kind::Engine(ErrorKind::InvalidValue), Some(target), Some(value)) => {
                message = format!("{value} is an invalid value for field {target:?}: {message}");
            }
            _ => {}
        }
        if let Some(position) = self.position {
            message = format!("{message} (at byte {position})");
        }
        (status, OntapError { message, code, target, arguments: Vec::new() })
    }

    fn log(&self, name: &str, status: StatusCode) {
        if self.kind == Kind::Http(HttpKind::TooManyRequests) {
            // A flood of requests must not become one of lines; `admission` tells of it now and then.
            tracing::debug!(kind = name, "{}", self.line());
        } else if status.is_server_error() && self.kind != Kind::Http(HttpKind::NotOpen) {
            // That the store takes its time to open is no fault, and told to whoever asks meanwhile.
            tracing::warn!(kind = name, "{}", self.line());
        }
    }

    /// Name, native status, ONTAP's status, ONTAP's number.
    fn row(&self) -> (&'static str, StatusCode, StatusCode, &'static str) {
        let found = match self.kind {
            Kind::Engine(kind) => ENGINE
                .iter()
                .find(|row| row.0 == kind)
                .map(|&(kind, native, ontap, code)| (kind.as_str(), native, ontap, code)),
            Kind::Http(kind) => HTTP
                .iter()
                .find(|row| row.0 == kind)
                .map(|&(_, name, native, ontap, code)| (name, native, ontap, code)),
        };
        // The tests prove that both tables are whole.
        let (name, native, ontap, code) = found.unwrap_or(("internal", 500, 500, "262145"));
        let status = |code| StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (name, status(native), status(ontap), code)
    }

    /// ONTAP's number for the fault in this place, if the place has one.
    fn place_code(&self) -> Option<&'static str> {
        let Kind::Engine(kind) = self.kind else { return None };
        let target = self.target.as_deref()?;
        // What the engine finds within a text it names by its byte.
        let is_here = |place: Place| match place {
            Place::Parameter => self.position.is_none(),
            Place::Within(parameter) => self.position.is_some() && parameter == target,
        };
        PLACES.iter().find(|row| row.0 == kind && is_here(row.1)).map(|row| row.2)
    }

    fn problem(&self, kind: &'static str, status: StatusCode) -> Vec<u8> {
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
        to_json(&Problem {
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or("Error"),
            detail: &self.message,
            kind,
            field: self.target.as_deref(),
            position: self.position,
        })
    }
}

/// An error as ONTAP shows it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct OntapError {
    message: String,
    /// A number, as text.
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    arguments: Vec<OntapArgument>,
}

#[derive(Debug, Clone, Serialize)]
struct OntapArgument {
    code: &'static str,
    message: String,
}

impl OntapError {
    /// Says at which of many jobs the error came, and after how many changed ones.
    pub(crate) fn stopped_at(&mut self, id: JobId, changed: usize) {
        self.message = format!("{} (at job {id}, after {changed} changed)", self.message);
        self.arguments.push(OntapArgument { code: "uuid", message: id.to_string() });
    }
}

#[derive(Serialize)]
struct OntapBody {
    error: OntapError,
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
        let http = HTTP.iter().flat_map(|row| [(row.2, row.4), (row.3, row.4)]);
        for (status, code) in engine.chain(http).chain(PLACES.iter().map(|row| (400, row.2))) {
            assert!(StatusCode::from_u16(status).unwrap().canonical_reason().is_some(), "{status}");
            assert!((400..600).contains(&status));
            assert!(code.parse::<u32>().is_ok(), "{code}");
        }
    }

    #[test]
    fn the_table_of_http_has_each_kind_once() {
        // In the order of their declaration, which the compiler numbers.
        for (number, row) in HTTP.iter().enumerate() {
            assert_eq!(row.0 as usize, number, "{:?}", row.0);
        }
        assert_eq!(HTTP.len(), HttpKind::Internal as usize + 1);
    }

    #[test]
    fn a_place_has_its_own_number_and_others_have_the_kind_s() {
        let code = |fault: Fault| fault.into_ontap().1.code;
        let missing = || Fault::engine(ErrorKind::MissingValue, "x");
        assert_eq!(code(missing().on("max_records")), "262177");
        assert_eq!(code(missing().on("state").at(0)), "262194");
        assert_eq!(code(missing().on("query").at(0)), "262274");
        let twice = || Fault::engine(ErrorKind::Duplicate, "x").on("order_by");
        assert_eq!((code(twice()), code(twice().at(6))), ("262188", "262222"));
    }
}
