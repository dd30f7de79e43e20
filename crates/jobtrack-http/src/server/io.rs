//! A client's connection as the server reads and writes it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Sleep, sleep};

use super::turns::Turn;

/// A client's connection that gives up on a reader who stops, and lingers at its end.
///
/// Lingering: closing a socket that holds unread bytes resets it, and the reset may overtake the
/// answer. A client whose request is refused before all of it was read would see a broken
/// connection in place of the refusal. So what it still sends is read and dropped for a while.
pub(super) struct Io<S> {
    stream: TokioIo<Counted<S>>,
    turn: Arc<Turn>,
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
    pub(super) fn new(stream: S, turn: Arc<Turn>, write_pause: Duration) -> Self {
        let counted = Counted { stream, turn: Arc::clone(&turn) };
        Io { stream: TokioIo::new(counted), turn, write_pause, stalled: None, lingering: None }
    }

    /// Turns "not yet" into an error once that has been the answer for too long.
    fn watched<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.turn.waits_for_reader(polled.is_pending());
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

/// A stream whose every byte is told to its turn, so that it is known who is slow.
struct Counted<S> {
    stream: S,
    turn: Arc<Turn>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.turn.moved(buffer.filled().len().saturating_sub(before));
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.told(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.told(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S> Counted<S> {
    fn told(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &polled {
            self.turn.moved(*bytes);
        }
        polled
    }
}
