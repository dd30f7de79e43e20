//! A path of the native face, with what each of its methods does.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Method;
use axum::http::request::Parts;

use super::JSON;
use crate::body;
use crate::errors::{Face, Fault};
use crate::respond::{Answer, at, options};
use crate::{App, Shared};

/// A path, and a handler for each of its methods. Where there is GET there is HEAD, and everywhere
/// OPTIONS; every other method is refused with those that there are.
pub(super) struct Served {
    pub(super) path: &'static str,
    methods: Vec<(Method, Handler)>,
}

type Handler = Box<dyn Fn(Arc<App>, Parts, Body) -> Pending + Send + Sync>;
type Pending = Pin<Box<dyn Future<Output = Answer> + Send>>;

impl Served {
    /// This path, which serves nothing yet.
    pub(super) fn at(path: &'static str) -> Self {
        Served { path, methods: Vec::new() }
    }

    /// GET, and HEAD, whose answer loses its body further out. Neither has a body of its own.
    pub(super) fn get<F>(self, handler: fn(Arc<App>, Parts) -> F) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        self.without_body(Method::GET, handler)
    }

    /// DELETE, which has no body either.
    pub(super) fn delete<F>(self, handler: fn(Arc<App>, Parts) -> F) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        self.without_body(Method::DELETE, handler)
    }

    /// POST, with a body that is read whole.
    pub(super) fn post<F>(self, handler: fn(Arc<App>, Parts, Vec<u8>) -> F) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        self.on(Method::POST, move |app, parts, content| {
            Box::pin(async move {
                let limit = app.options.body_bytes;
                let content = body::read(content, &parts.headers, limit).await?;
                handler(app, parts, content).await
            })
        })
    }

    /// POST, with a body that the handler reads as it comes.
    pub(super) fn post_stream<F>(self, handler: fn(Arc<App>, Parts, Body) -> F) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        self.on(Method::POST, move |app, parts, content| Box::pin(handler(app, parts, content)))
    }

    fn without_body<F>(self, method: Method, handler: fn(Arc<App>, Parts) -> F) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        self.on(method, move |app, parts, content| {
            Box::pin(async move {
                body::expect_none(content).await?;
                handler(app, parts).await
            })
        })
    }

    fn on(
        mut self,
        method: Method,
        handler: impl Fn(Arc<App>, Parts, Body) -> Pending + Send + Sync + 'static,
    ) -> Self {
        self.methods.push((method, Box::new(handler)));
        self
    }

    /// Every method that is served, in the order of the alphabet.
    pub(super) fn allowed(&self) -> Vec<&str> {
        let mut methods: Vec<_> = self.methods.iter().map(|(method, _)| method.as_str()).collect();
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        methods.push("OPTIONS");
        methods.sort_unstable();
        methods
    }

    /// The router, which also serves this path.
    pub(super) fn add_to(self, router: Router, shared: &Arc<Shared>) -> Router {
        let (path, allow) = (self.path, self.allowed().join(", "));
        let served = Arc::new((self.methods, allow));
        let handler = move |app, request: axum::extract::Request| {
            let served = Arc::clone(&served);
            async move {
                let (methods, allow) = &*served;
                let (parts, content) = request.into_parts();
                let wanted =
                    if parts.method == Method::HEAD { &Method::GET } else { &parts.method };
                match methods.iter().find(|(method, _)| method == wanted) {
                    Some((_, handler)) => handler(app, parts, content).await,
                    None if parts.method == Method::OPTIONS => Ok(options(JSON, allow)),
                    None => Err(Fault::method_not_allowed(parts.method.as_str(), allow)),
                }
            }
        };
        router.route(path, at(Face::Native, shared, handler))
    }
}
