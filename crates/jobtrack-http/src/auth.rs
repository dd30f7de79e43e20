//! Who a request comes from, checked against the users: by HTTP Basic, a bearer token, or the
//! certificate of its connection; and whether they may do what it asks.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jobtrack::{Actor, quoted};

use crate::errors::{Fault, HttpKind};
use crate::page;
use crate::peer::Peer;
use crate::respond;
use crate::roles::{self, Caller};
use crate::users::{NotLetIn, Users};

/// The router, for these users alone: whoever is none of them is refused with status 401 on every
/// path but those of a web page's own files and of health, and with 403 what a user may not do
/// ([`Grant`](crate::Grant)). Commands carry the user's name as their [`Actor`].
///
/// ```
/// use std::sync::Arc;
///
/// use jobtrack::{MemoryStore, Tracker};
/// use jobtrack_http::{Options, Users, router, with_users};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("users");
/// # let mut file = jobtrack_http::UsersFile::open(&path)?;
/// # file.add("alice", "correct horse")?;
/// # file.save()?;
/// let tracker = Arc::new(Tracker::open(MemoryStore::new(), jobtrack::Options::default())?);
/// let users = Arc::new(Users::open(path)?);
/// let router = with_users(router(tracker, Options::default()), users);
/// # let _: axum::Router = router;
/// # Ok(())
/// # }
/// ```
pub fn with_users(router: Router, users: Arc<Users>) -> Router {
    router.layer(middleware::from_fn_with_state(users, admit))
}

/// Who gives the commands of a request; nobody, where the server has no users.
pub(crate) fn actor(extensions: &Extensions) -> Actor {
    extensions.get::<Caller>().map(Caller::actor).unwrap_or_default()
}

/// The longest header that can hold a name and a password in their lengths.
const LONGEST_HEADER: usize = 2_048;

/// Why a request is not answered.
enum Refused {
    /// It is not known who sent it.
    Unknown(&'static str),
    /// Nothing from there is looked at for so long.
    Throttled(Duration),
    /// It is known, and they may not do this.
    Forbidden(String),
}

async fn admit(State(users): State<Arc<Users>>, mut request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let found = credentials(request.headers());
    // Nothing further in needs it, and what is not there cannot be logged.
    request.headers_mut().remove(header::AUTHORIZATION);
    let is_open = roles::is_open(&method, &path) || is_page_sought(&request);
    if is_open && matches!(found, Ok(None)) {
        request.extensions_mut().insert(Caller::nobody());
        return next.run(request).await;
    }
    let peer = request.extensions().get::<Peer>().cloned().unwrap_or_default();
    let checked = match found {
        Ok(found) => caller(&users, found, &peer).await,
        Err(problem) => Err(Refused::Unknown(problem)),
    };
    let checked = checked.and_then(|caller| match caller.lacks(&method, &path) {
        None => Ok(caller),
        Some(lack) => Err(Refused::Forbidden(lack)),
    });
    match checked {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refused) => refusal(&request, refused),
    }
}

/// The user who shows this; without anything shown, the one whom the connection's certificate names.
async fn caller(
    users: &Arc<Users>,
    shown: Option<Credentials>,
    peer: &Peer,
) -> Result<Caller, Refused> {
    let unknown = match &shown {
        Some(Credentials::Basic { .. }) => "there is no such user, or they have another password",
        Some(Credentials::Bearer(_)) => "there is no such token, or not any more",
        None => "the certificate of this connection is no user's",
    };
    let found = match (&shown, &peer.subject) {
        (Some(Credentials::Basic { name, password }), _) => {
            users.by_password(name, password, peer.address).await
        }
        (Some(Credentials::Bearer(token)), _) => users.by_token(token, peer.address).await,
        (None, Some(subject)) => users.by_subject(subject).await,
        (None, None) => {
            let problem = "a user and a password are needed, by HTTP Basic, or a bearer token";
            return Err(Refused::Unknown(problem));
        }
    };
    let from = peer.address.map_or("(no address)".to_owned(), |address| address.to_string());
    found.map_err(|why| match why {
        NotLetIn::Unknown => {
            let who = match &shown {
                Some(Credentials::Basic { name, .. }) => quoted(name),
                // What was shown may be a secret of another server.
                Some(Credentials::Bearer(_)) => "a token".to_owned(),
                None => quoted(peer.subject.as_deref().unwrap_or_default()),
            };
            tracing::warn!(user = %who, %from, "refused: {unknown}");
            Refused::Unknown(unknown)
        }
        NotLetIn::Throttled(wait) => {
            tracing::warn!(%from, "refused: too many wrong passwords or tokens came from there");
            Refused::Throttled(wait)
        }
    })
}

/// Whether a browser asks for the first page, which sends it on to one that asks for a user.
fn is_page_sought(request: &Request) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
        && request.uri().path() == "/"
        && page::is_for_a_browser(request.headers())
}

fn refusal(request: &Request, refused: Refused) -> Response {
    let face = respond::face_of(request.uri().path());
    let mut response = match refused {
        Refused::Forbidden(lack) => Fault::new(HttpKind::Forbidden, lack).into_response(face),
        Refused::Throttled(wait) => {
            // Whole seconds, so that who heeds it does not come too early.
            let seconds = wait.as_secs() + 1;
            let message = format!(
                "too many wrong passwords or tokens came from there; try again in {seconds} s"
            );
            let fault = Fault::new(HttpKind::TooManyLogins, message);
            let mut response = fault.into_response(face);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            response
        }
        Refused::Unknown(problem) => {
            let fault = Fault::new(HttpKind::Unauthorized, problem);
            let mut response = fault.into_response(face);
            let challenges = response.headers_mut();
            // The server's own page asks for a user itself, and a browser that hears of Basic would
            // do so before it.
            if request.headers().get(REQUESTED_WITH).is_none_or(|by| by != "jobtrack") {
                let basic = "Basic realm=\"jobtrack\", charset=\"UTF-8\"";
                challenges.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(basic));
            }
            let bearer = HeaderValue::from_static("Bearer realm=\"jobtrack\"");
            challenges.append(header::WWW_AUTHENTICATE, bearer);
            response
        }
    };
    respond::complete(&mut response);
    response
}

/// The header with which the server's own page says that it is the page.
const REQUESTED_WITH: &str = "x-requested-with";

/// What a client shows of itself.
enum Credentials {
    Basic { name: String, password: Vec<u8> },
    Bearer(String),
}

/// What the header holds, or what is wrong with it. What it holds is never shown.
fn credentials(headers: &HeaderMap) -> Result<Option<Credentials>, &'static str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = all.next() else { return Ok(None) };
    if all.next().is_some() {
        return Err("the header Authorization is there twice");
    }
    if value.len() > LONGEST_HEADER {
        return Err("the header Authorization is too long");
    }
    let text = value.to_str().map_err(|_| "the header Authorization is not ASCII")?;
    let (scheme, token) = text.trim().split_once(' ').unwrap_or((text, ""));
    if scheme.eq_ignore_ascii_case("Bearer") {
        return Ok(Some(Credentials::Bearer(token.trim().to_owned())));
    }
    if !scheme.eq_ignore_ascii_case("Basic") {
        return Err("the header Authorization has another scheme than Basic and Bearer");
    }
    let decoded = STANDARD
        .decode(token.trim())
        .map_err(|_| "the header Authorization is malformed: what follows Basic is not base64")?;
    let colon = decoded.iter().position(|byte| *byte == b':');
    let colon = colon.ok_or("the header Authorization is malformed: there is no colon in it")?;
    let (name, password) = decoded.split_at(colon);
    Ok(Some(Credentials::Basic {
        name: text_of(name),
        password: text_of(password.get(1..).unwrap_or_default()).into_bytes(),
    }))
}

/// Text as clients encode it: in UTF-8, or, as NetApp's and others on Python's requests do, in
/// Latin-1.
fn text_of(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}
