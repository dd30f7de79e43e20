//! The server around the faces: HTTP/1.1, plain or over TLS, with limits against slow and hostile
//! clients.
//!
//! An accept loop of our own, since the ready-made ones wait without end for a client that connects
//! and says nothing. Time is the event loop's here: these are limits on the network, not times of
//! jobs.

mod io;
mod turns;

use std::convert::Infallible;
use std::future::Future;
use std::io as std_io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{Request, Response};
use axum::{Extension, Router};
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use self::io::Io;
use self::turns::{Place, Turns};
pub(crate) use self::turns::{Turn, make_room};
use crate::listen::{Listener, Stream};
use crate::peer::Peer;
use crate::tls::Tls;

/// What may be told to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerOptions {
    /// Connections at a time: 2,048. One more takes the place of who has kept the server waiting
    /// longest, by silence or by slowness; where all are being served, it waits.
    pub connections: usize,
    /// How long a client may take for the TLS handshake: 10 s.
    pub handshake_time: Duration,
    /// How long a client may take for the head of a request, and may be idle between two: 30 s.
    pub head_time: Duration,
    /// How long a client may read nothing of an answer that waits for it: 60 s.
    pub write_pause: Duration,
    /// After how long a connection takes no more requests: 1 h. An answer that is still being sent may
    /// go on for as long again.
    pub age: Duration,
    /// How long requests may go on after the stop: 10 s.
    pub grace: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        ServerOptions {
            connections: 2_048,
            handshake_time: Duration::from_secs(10),
            head_time: Duration::from_secs(30),
            write_pause: Duration::from_secs(60),
            age: Duration::from_secs(3_600),
            grace: Duration::from_secs(10),
        }
    }
}

/// The largest head of a request, path and query included.
const HEAD_BYTES: usize = 64 * 1024;
/// How many headers a request may have.
const HEADERS: usize = 64;
/// How long to wait after an accept that failed for want of something, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Tells answers that have no end of their own when the server stops.
#[derive(Debug, Clone)]
pub(crate) struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// Done once the server stops, or is gone.
    pub(crate) async fn wait(&mut self) {
        let _gone = self.0.wait_for(|stops| *stops).await;
    }
}

/// Serves the router until `shutdown` is done, then lets the requests in flight end within the
/// grace.
pub async fn serve(
    listener: impl Into<Listener>,
    router: Router,
    options: ServerOptions,
    shutdown: impl Future<Output = ()>,
) {
    run(listener.into(), None, router, options, shutdown).await;
}

/// As [`serve`], over TLS alone. A client that does not finish its handshake is dropped, and holds up
/// no other.
pub async fn serve_tls(
    listener: impl Into<Listener>,
    tls: Arc<Tls>,
    router: Router,
    options: ServerOptions,
    shutdown: impl Future<Output = ()>,
) {
    run(listener.into(), Some(tls), router, options, shutdown).await;
}

async fn run(
    listener: Listener,
    tls: Option<Arc<Tls>>,
    router: Router,
    options: ServerOptions,
    shutdown: impl Future<Output = ()>,
) {
    let turns = Turns::new(options.connections);
    let (stop, stopping) = watch::channel(false);
    let stopping = Stopping(stopping);
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
        };
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                if !is_of_the_client(&error) {
                    tracing::warn!("no connection could be accepted: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
                continue;
            }
        };
        // Those who come after it wait in the system's own queue.
        let place = tokio::select! {
            place = turns.enter() => place,
            () = &mut shutdown => break,
        };
        while connections.try_join_next().is_some() {}
        let connection = Connection {
            router: router.clone().layer(Extension(stopping.clone())),
            options: options.clone(),
            stopping: stopping.clone(),
            place,
        };
        match &tls {
            None => {
                let peer = stream.peer();
                connections.spawn(connection.serve(stream, peer))
            }
            Some(tls) => connections.spawn(connection.serve_tls(tls.acceptor(), stream)),
        };
    }
    drop(listener);
    // Nobody may be there to hear it.
    let _ = stop.send(true);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if timeout(options.grace, all_ended).await.is_err() {
        tracing::warn!("requests were cut off: they took longer than the grace of the stop");
    }
    connections.shutdown().await;
}

/// One client's connection.
struct Connection {
    router: Router,
    options: ServerOptions,
    stopping: Stopping,
    /// Kept until the end.
    place: Place,
}

impl Connection {
    /// Serves a client that speaks TLS, if it does so in time.
    async fn serve_tls(mut self, acceptor: TlsAcceptor, stream: Stream) {
        let (time, peer) = (self.options.handshake_time, stream.peer());
        let shaken = tokio::select! {
            shaken = timeout(time, acceptor.accept(stream)) => shaken,
            () = self.place.turn.must_leave() => return,
            // The stop owes nothing to who has not asked yet.
            () = self.stopping.wait() => return,
        };
        match shaken {
            Ok(Ok(stream)) => {
                let peer = peer.with_certificate(&stream);
                self.serve(stream, peer).await;
            }
            Ok(Err(error)) => tracing::debug!("a TLS handshake failed: {error}"),
            Err(_) => tracing::debug!("a TLS handshake took longer than {time:?}"),
        }
    }

    /// Serves a client until it goes, is too slow, too old, or the server stops.
    async fn serve<S>(self, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Connection { router, options, mut stopping, place } = self;
        let turn = &place.turn;
        let io = Io::new(stream, Arc::clone(turn), options.write_pause);
        let service = Service { router, turn: Arc::clone(turn), peer };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(options.head_time)
            .max_buf_size(HEAD_BYTES)
            .max_headers(HEADERS)
            .keep_alive(true)
            .serve_connection(io, service);
        let mut connection = std::pin::pin!(connection);
        let old = sleep(options.age);
        let ended = tokio::select! {
            // First, so that who is told to leave does not have another request carried out.
            biased;
            () = turn.must_leave() => {
                tracing::debug!("a connection makes room for another: it kept the server waiting");
                return;
            }
            ended = connection.as_mut() => Some(ended),
            () = old => None,
            () = stopping.wait() => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                // What is being answered is answered to its end.
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection => ended,
                    () = turn.must_leave() => return,
                    () = sleep(options.age) => {
                        tracing::debug!("a connection was cut off: it is twice as old as may be");
                        return;
                    }
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!("a connection ended: {error}");
        }
    }
}

/// The router, which is told with each request from whom it comes, and tells the connection's turn.
struct Service {
    router: Router,
    turn: Arc<Turn>,
    peer: Peer,
}

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        // Without a body all of it is there; its client is not to blame for what takes long from here.
        match request.body().is_end_stream() {
            true => self.turn.is_served(),
            false => self.turn.sends(),
        }
        request.extensions_mut().insert(Arc::clone(&self.turn));
        request.extensions_mut().insert(self.peer.clone());
        let answer = TowerToHyperService::new(self.router.clone()).call(request);
        let turn = Arc::clone(&self.turn);
        Box::pin(async move {
            let response = answer.await?;
            turn.reads();
            Ok(response.map(|body| Body::new(Answered { body, turn })))
        })
    }
}

/// The body of an answer; at its end the client is to ask again.
struct Answered {
    body: Body,
    turn: Arc<Turn>,
}

impl HttpBody for Answered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        self.turn.asks();
    }
}

/// Whether the client gave up before it was accepted, which says nothing of the server.
fn is_of_the_client(error: &std_io::Error) -> bool {
    matches!(
        error.kind(),
        std_io::ErrorKind::ConnectionAborted
            | std_io::ErrorKind::ConnectionRefused
            | std_io::ErrorKind::ConnectionReset
    )
}
