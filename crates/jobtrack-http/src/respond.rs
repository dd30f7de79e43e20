//! What all answers have in common.

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{MethodRouter, any};
use http_body_util::{BodyExt, Collected};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;
use tower_http::trace::TraceLayer;

use crate::errors::{Face, Fault, HttpKind};
use crate::guard;
use crate::peer::Peer;
use crate::roles::Caller;
use crate::server::Turn;
use crate::{App, Shared};

/// What a handler gives: an answer, or a refusal for its face to render.
pub(crate) type Answer = Result<Response, Fault>;

/// A path of one face, all of whose methods go to one handler, so that the handler's own `match`
/// shows what the path serves.
pub(crate) fn at<H, F>(face: Face, shared: &Arc<Shared>, handler: H) -> MethodRouter
where
    H: Fn(Arc<App>, Request) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let shared = Arc::clone(shared);
    any(move |request: Request| {
        // Without users there is nobody to be told apart.
        let caller = request.extensions().get::<Caller>().cloned().unwrap_or_default();
        let peer = request.extensions().get::<Peer>();
        // Whoever asked for a user may have done so around a router that nests this one, under paths
        // which the table of roles does not know.
        let answer = match caller.lacks(request.method(), request.uri().path()) {
            None => Ok(handler(shared.app_for(caller, peer), request)),
            Some(lack) => Err(Fault::new(HttpKind::Forbidden, lack)),
        };
        async move {
            let answer = match answer {
                Ok(answer) => answer.await,
                Err(fault) => Err(fault),
            };
            answer.unwrap_or_else(|fault| fault.into_response(face))
        }
    })
}

/// Runs what blocks (a commit, a scan, a large page's JSON) where it disturbs no other request.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    // What is logged there belongs to the request, too.
    let span = tracing::Span::current();
    match tokio::task::spawn_blocking(move || span.in_scope(work)).await {
        Ok(result) => result,
        Err(error) => {
            tracing::error!("a request ended in a fault of the server: {error}");
            Err(Fault::new(HttpKind::Internal, "a fault of the server; its log says more"))
        }
    }
}

/// The same for what may read or answer much: few of these are at work together, and clients take
/// turns at it.
pub(crate) async fn reading<T: Send + 'static>(
    app: Arc<App>,
    work: impl FnOnce(&App) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let place = app.admission.reader(&app.client).await?;
    blocking(move || {
        // Kept to the end, even if the client goes meanwhile.
        let _place = place;
        work(&app)
    })
    .await
}

/// An answer with a body that is ready made.
pub(crate) fn json(media_type: &'static str, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// The answer, with the link to the next page in its head as well.
pub(crate) fn with_next(mut response: Response, next: Option<&str>) -> Response {
    // A link holds nothing but ASCII, all marks encoded.
    let link = next.and_then(|next| HeaderValue::try_from(format!("<{next}>; rel=\"next\"")).ok());
    if let Some(link) = link {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}

/// The answer to OPTIONS: an empty object, and the methods that there are.
pub(crate) fn options(media_type: &'static str, allow: &str) -> Response {
    let mut response = json(media_type, b"{}".to_vec());
    if let Ok(allow) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

/// The answer to a path that there is not.
pub(crate) async fn no_such_path(request: Request) -> Response {
    let path = request.uri().path();
    let message = format!("Nothing is served at {}", jobtrack::quoted(path));
    Fault::new(HttpKind::NoSuchPath, message).into_response(face_of(path))
}

/// Puts around the routes what every request goes through, the outermost last.
pub(crate) fn layers(routes: Router, shared: &Arc<Shared>) -> Router {
    routes
        .layer(middleware::from_fn_with_state(Arc::clone(shared), common))
        .layer(RequestBodyTimeoutLayer::new(shared.options.body_pause))
        .layer(CatchPanicLayer::custom(|_panic: Box<dyn std::any::Any + Send>| {
            // The panic's own message goes to the log by way of the panic hook, not to the client.
            let message = "a fault of the server; its log says more";
            let mut response = Fault::new(HttpKind::Internal, message).into_response(Face::Native);
            complete(&mut response);
            response
        }))
        // A refusal that is the server's fault is logged where it is rendered, and says why.
        .layer(TraceLayer::new_for_http().on_failure(()))
}

/// Refuses what no path can serve, and gives each answer what each must have.
async fn common(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let face = face_of(request.uri().path());
    let is_head = request.method() == Method::HEAD;
    let turn = request.extensions().get::<Arc<Turn>>().cloned();
    let admitted = match check(&shared, &request) {
        Ok(()) => shared.admission.admit(request, &shared.options).await,
        Err(fault) => Err(fault),
    };
    let mut response = match admitted {
        Ok((request, _place)) => next.run(request).await,
        Err(fault) => fault.into_response(face),
    };
    complete(&mut response);
    let length = response.body().size_hint().exact();
    if is_head {
        *response.body_mut() = Body::empty();
        if let Some(length) = length {
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
    } else if length.is_some() {
        response = counted(response, &shared, turn).await;
    }
    response
}

/// The same answer, whose bytes are counted until its client has read them.
async fn counted(response: Response, shared: &Shared, turn: Option<Arc<Turn>>) -> Response {
    let (parts, body) = response.into_parts();
    // Its length is known, so it is ready made: its bytes are there at once, in one piece.
    let body = body.collect().await.map(Collected::to_bytes);
    let counted = body.map(|bytes| Body::from(shared.admission.count_answer(bytes, turn)));
    Response::from_parts(parts, counted.unwrap_or_default())
}

/// Adds the headers that every answer has.
pub(crate) fn complete(response: &mut Response) {
    let headers = response.headers_mut();
    for (name, value) in SECURE {
        // A handler that knows better has said so: a page says what it may load.
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// What keeps browsers from doing with an answer what it is not for: guessing what it is, keeping
/// it, running or framing it, lending it to other sites, telling them where it was read.
const SECURE: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

fn check(shared: &Shared, request: &Request) -> Result<(), Fault> {
    let uri = request.uri();
    let length = uri.path_and_query().map_or(0, |path_and_query| path_and_query.as_str().len());
    let limit = shared.options.uri_bytes;
    if length > limit {
        let message = format!("path and query are {length} bytes long, at most {limit} may be");
        return Err(Fault::new(HttpKind::UriTooLong, message));
    }
    guard::check(shared.options.hosts.as_deref(), request.method(), request.headers())?;
    // Nothing is unpacked here, so a small body cannot become a large one.
    if let Some(encoding) = request.headers().get(header::CONTENT_ENCODING)
        && encoding != "identity"
    {
        let encoding = String::from_utf8_lossy(encoding.as_bytes());
        let message = format!(
            "a body with Content-Encoding {} is not read; send it as it is",
            jobtrack::quoted(&encoding)
        );
        return Err(Fault::new(HttpKind::BodyEncoded, message));
    }
    Ok(())
}

/// The face that a path belongs to.
pub(crate) fn face_of(path: &str) -> Face {
    if path.starts_with("/api/") { Face::Ontap } else { Face::Native }
}
