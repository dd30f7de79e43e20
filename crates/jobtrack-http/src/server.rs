//! The server around the faces: HTTP/1.1, with limits against slow and hostile clients.
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

use axum::Router;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep, timeout};

/// What may be told to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerOptions {
    /// Connections at a time; more wait to be accepted: 256.
    pub connections: usize,
    /// How long a client may take for the head of a request, and may be idle between two: 30 s.
    pub head_time: Duration,
    /// How long a client may read nothing of an answer that waits for it: 60 s.
    pub write_pause: Duration,
    /// How long requests may go on after the stop: 10 s.
    pub grace: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        ServerOptions {
            connections: 256,
            head_time: Duration::from_secs(30),
            write_pause: Duration::from_secs(60),
            grace: Duration::from_secs(10),
        }
    }
}

/// The largest head of a request, path and query included.
const HEAD_BYTES: usize = 64 * 1024;
/// How long to wait after an accept that failed for want of something, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the router until `shutdown` is done, then lets the requests in flight end within the
/// grace.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: ServerOptions,
    shutdown: impl Future<Output = ()>,
) {
    let permits = Arc::new(Semaphore::new(options.connections.max(1)));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(options.head_time)
        .max_buf_size(HEAD_BYTES)
        .keep_alive(true);
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
            () = &mut shutdown => break,
        };
        while connections.try_join_next().is_some() {}
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
        let io = Io::new(stream, options.write_pause);
        let service = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(builder.serve_connection(io, service));
        connections.spawn(async move {
            let _permit = permit;
            if let Err(error) = connection.await {
                tracing::debug!("a connection ended: {error}");
            }
        });
    }
    drop(listener);
    if timeout(options.grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were cut off: they took longer than the grace of the stop");
    }
    connections.shutdown().await;
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
struct Io {
    stream: TokioIo<TcpStream>,
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

impl Io {
    fn new(stream: TcpStream, write_pause: Duration) -> Self {
        Io { stream: TokioIo::new(stream), write_pause, stalled: None, lingering: None }
    }

    /// Turns "not yet" into an error once that has been the answer for too long.
    fn watched(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
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

impl Read for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Io {
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
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let lingering = this.lingering.get_or_insert_with(|| Lingering {
            until: Box::pin(sleep(LINGER_TIME)),
            bytes_left: LINGER_BYTES,
            is_shut: false,
        });
        if !lingering.is_shut {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
            lingering.is_shut = true;
        }
        let mut dropped = [0; 8 * 1024];
        while lingering.bytes_left > 0 {
            if lingering.until.as_mut().poll(context).is_ready() {
                break;
            }
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
