//! Who a request comes from: HTTP Basic, checked against the users.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Extensions, HeaderMap, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jobtrack::{Actor, quoted};

use crate::errors::{Fault, HttpKind};
use crate::page;
use crate::respond;
use crate::users::Users;

/// The router, for these users alone: whoever is none of them is refused on every path with status
/// 401. Commands carry the user's name as their [`Actor`].
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

/// Who a request comes from; nobody, where the server has no users.
pub(crate) fn actor(extensions: &Extensions) -> Actor {
    extensions.get::<Actor>().cloned().unwrap_or_default()
}

/// The longest header that can hold a name and a password in their lengths.
const LONGEST_HEADER: usize = 2_048;

async fn admit(State(users): State<Arc<Users>>, mut request: Request, next: Next) -> Response {
    // The page asks for name and password itself, so it must be there before them.
    if page::is_asset(&request) {
        request.headers_mut().remove(header::AUTHORIZATION);
        return next.run(request).await;
    }
    let found = credentials(request.headers());
    // Nothing further in needs it, and what is not there cannot be logged.
    request.headers_mut().remove(header::AUTHORIZATION);
    let checked = match found {
        Ok(Credentials { name, password }) if users.check(&name, &password).await => Ok(name),
        Ok(Credentials { name, .. }) => {
            tracing::warn!(user = %quoted(&name), "refused: no such user, or another password");
            Err("there is no such user, or they have another password")
        }
        Err(problem) => Err(problem),
    };
    match checked {
        Ok(name) => {
            request.extensions_mut().insert(Actor::named(name));
            next.run(request).await
        }
        Err(problem) => refusal(&request, problem),
    }
}

fn refusal(request: &Request, problem: &str) -> Response {
    let fault = Fault::new(HttpKind::Unauthorized, problem);
    let mut response = fault.into_response(respond::face_of(request.uri().path()));
    let challenge = HeaderValue::from_static("Basic realm=\"jobtrack\", charset=\"UTF-8\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    respond::complete(&mut response);
    response
}

struct Credentials {
    name: String,
    password: Vec<u8>,
}

/// Name and password in the header, or what is wrong with it. What it holds is never shown.
fn credentials(headers: &HeaderMap) -> Result<Credentials, &'static str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = all.next() else {
        return Err("a user and a password are needed; send them by HTTP Basic");
    };
    if all.next().is_some() {
        return Err("the header Authorization is there twice");
    }
    if value.len() > LONGEST_HEADER {
        return Err("the header Authorization is too long");
    }
    let text = value.to_str().map_err(|_| "the header Authorization is not ASCII")?;
    let (scheme, token) = text.trim().split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("Basic") {
        return Err("the header Authorization has another scheme than Basic");
    }
    let decoded = STANDARD
        .decode(token.trim())
        .map_err(|_| "the header Authorization is malformed: what follows Basic is not base64")?;
    let colon = decoded.iter().position(|byte| *byte == b':');
    let colon = colon.ok_or("the header Authorization is malformed: there is no colon in it")?;
    let (name, password) = decoded.split_at(colon);
    Ok(Credentials {
        name: text_of(name),
        password: text_of(password.get(1..).unwrap_or_default()).into_bytes(),
    })
}

/// Text as clients encode it: in UTF-8, or, as NetApp's and others on Python's requests do, in
/// Latin-1.
fn text_of(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}
