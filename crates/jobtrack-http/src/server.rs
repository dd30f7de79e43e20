//! The server around the faces: HTTP/1.1, plain or over TLS, with limits against slow and hostile
//! clients.
//!
//! An accept loop of our own, since the ready-made ones wait without end for a client that connects
//! and says nothing. Time is the event loop's here: these are limits on the network, not times of
//! jobs.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::{Extension, Router};
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::tls::Tls;

/// What may be told to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerOptions {
    /// Connections at a time; more wait to be accepted: 256.
    pub connections: usize,
    /// How long a client may take for the TLS handshake: 10 s.
    pub handshake_time: Duration,
    /// How long a client may take for the head of a request, and may be idle between two: 30 s.
    pub head_time: Duration,
    /// The same for a client that comes while more than three quarters of the connections are taken,
    /// so that those who do nothing soon make room: 5 s.
    pub crowded_head_time: Duration,
    /// How long a client may read nothing of an answer that waits for it: 60 s.
    pub write_pause: Duration,
    /// How long requests may go on after the stop: 10 s.
    pub grace: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        ServerOptions {
            connections: 256,
            handshake_time: Duration::from_secs(10),
            head_time: Duration::from_secs(30),
            crowded_head_time: Duration::from_secs(5),
            write_pause: Duration::from_secs(60),
            grace: Duration::from_secs(10),
        }
    }
}

/// The largest head of a request, path and query included.
const HEAD_BYTES: usize = 64 * 1024;
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
    listener: TcpListener,
    router: Router,
    options: ServerOptions,
    shutdown: impl Future<Output = ()>,
) {
    run(listener, None, router, options, shutdown).await;
}

/// As [`serve`], over TLS alone. A client that does not finish its handshake is dropped, and holds up
/// no other.
pub async fn serve_tls(
    listener: TcpListener,
    tls: Arc<Tls>,
    router: Router,
    options: ServerOptions,
    shutdown: impl Future<Output = ()>,
) {
    run(listener, Some(tls), router, options, shutdown).await;
}

async fn run(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    options: ServerOptions,
    shutdown: impl Future<Output = ()>,
) {
    let most = options.connections.clamp(1, Semaphore::MAX_PERMITS);
    let permits = Arc::new(Semaphore::new(most));
    let is_crowded = || permits.available_permits() < most / 4;
    let (stop, stopping) = watch::channel(false);
    let router = router.layer(Extension(Stopping(stopping)));
    let mut connections = Connections::new(router, &options);
    // Handshakes are apart from connections, as the stop owes them nothing.
    let mut handshakes = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        // The permit comes before the connection: what cannot be served is not accepted either, and
        // waits in the system's own queue.
        let accepted = async {
            let permit = Arc::clone(&permits).acquire_owned().await;
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            accepted = accepted => accepted,
            Some(shaken) = handshakes.join_next() => {
                if let Ok(Some((stream, permit))) = shaken {
                    connections.start(stream, permit, is_crowded());
                }
                continue;
            }
            () = &mut shutdown => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                if !is_of_the_client(&error) {
                    tracing::warn!("no connection could be accepted: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
                continue;
            }
        };
        // Answers are written in one piece, so there is nothing to gather.
        let _ = stream.set_nodelay(true);
        match &tls {
            None => connections.start(stream, permit, is_crowded()),
            Some(tls) => {
                let handshake = shake_hands(tls.acceptor(), stream, options.handshake_time);
                handshakes.spawn(async move { Some((handshake.await?, permit)) });
            }
        }
    }
    drop(listener);
    drop(handshakes);
    // Nobody may be there to hear it.
    let _ = stop.send(true);
    connections.stop(options.grace).await;
}

/// The stream of a client that speaks TLS, and does so in time.
async fn shake_hands(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    time: Duration,
) -> Option<TlsStream<TcpStream>> {
    match timeout(time, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!("a TLS handshake failed: {error}");
            None
        }
        Err(_) => {
            tracing::debug!("a TLS handshake took longer than {time:?}");
            None
        }
    }
}

/// The connections that are served.
struct Connections {
    builder: http1::Builder,
    /// For connections that come when few are left.
    crowded: http1::Builder,
    router: Router,
    write_pause: Duration,
    graceful: GracefulShutdown,
    running: JoinSet<()>,
}

impl Connections {
    fn new(router: Router, options: &ServerOptions) -> Self {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(options.head_time)
            .max_buf_size(HEAD_BYTES)
            .keep_alive(true);
        let mut crowded = builder.clone();
        crowded.header_read_timeout(options.crowded_head_time.min(options.head_time));
        Connections {
            builder,
            crowded,
            router,
            write_pause: options.write_pause,
            graceful: GracefulShutdown::new(),
            running: JoinSet::new(),
        }
    }

    /// Serves one, which keeps its permit until its end.
    fn start<S>(&mut self, stream: S, permit: impl Send + 'static, is_crowded: bool)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        while self.running.try_join_next().is_some() {}
        let io = Io::new(stream, self.write_pause);
        let service = TowerToHyperService::new(self.router.clone());
        let builder = if is_crowded { &self.crowded } else { &self.builder };
        let connection = self.graceful.watch(builder.serve_connection(io, service));
        self.running.spawn(async move {
            let _permit = permit;
            if let Err(error) = connection.await {
                tracing::debug!("a connection ended: {error}");
            }
        });
    }

    /// Lets the requests in flight end within the grace.
    async fn stop(mut self, grace: Duration) {
        if timeout(grace, self.graceful.shutdown()).await.is_err() {
            tracing::warn!("requests were cut off: they took longer than the grace of the stop");
        }
        self.running.shutdown().await;
    }
}

/// Whether the client gave up before it was accepted, which says nothing of the server.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}

/// A client's connection that gives up on a reader who stops, and lingers at its end.
///
/// Lingering: closing a socket that holds unread bytes resets it, and the reset may overtake the
/// answer. A client whose request is refused before all of it was read would see a broken
/// connection in place of the refusal. So what it still sends is read and dropped for a while.
struct Io<S> {
    stream: TokioIo<S>,
    write_pause: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    lingering: Option<Lingering>,
}

struct Lingering {
    until: Pin<Box<Sleep>>,
    bytes_left: usize,
    is_shut: bool,
}

/// How long, and for how much, a connection lingers.
const LINGER_TIME: Duration = Duration::from_millis(500);
const LINGER_BYTES: usize = 16 * 1024 * 1024;

impl<S> Io<S> {
    fn new(stream: S, write_pause: Duration) -> Self {
        Io { stream: TokioIo::new(stream), write_pause, stalled: None, lingering: None }
    }

    /// Turns "not yet" into an error once that has been the answer for too long.
    fn watched<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stalled = None;
            return polled;
        }
        let pause = self.write_pause;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(pause)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client stopped reading")))
    }
}

impl<S: AsyncRead + Unpin> Read for Io<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Write for Io<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watched(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watched(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // TLS keeps what it has encrypted until it is flushed, so this too may wait for the reader.
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.watched(context, polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let lingering = this.lingering.get_or_insert_with(|| Lingering {
            until: Box::pin(sleep(LINGER_TIME)),
            bytes_left: LINGER_BYTES,
            is_shut: false,
        });
        if !lingering.is_shut {
            match Pin::new(&mut this.stream).poll_shutdown(context) {
                // TLS says farewell, to a client who may not read.
                Poll::Pending => return lingering.until.as_mut().poll(context).map(Ok),
                Poll::Ready(result) => result?,
            }
            lingering.is_shut = true;
        }
        let mut dropped = [0; 8 * 1024];
        while lingering.bytes_left > 0 && lingering.until.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut dropped);
            match Pin::new(&mut this.stream).poll_read(context, buffer.unfilled()) {
                Poll::Pending => return Poll::Pending,
                // The client has closed, or is gone: nothing is left to wait for.
                Poll::Ready(Err(_)) => break,
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => break,
                Poll::Ready(Ok(())) => {
                    let bytes = buffer.filled().len();
                    lingering.bytes_left = lingering.bytes_left.saturating_sub(bytes);
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}
