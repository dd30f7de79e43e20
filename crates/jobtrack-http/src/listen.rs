//! Where connections come from: an address, or a socket in the file system.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::health::Monitor;
use crate::peer::Peer;

/// Accepts connections, over TCP or a Unix socket.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    counted: Counted,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Where connections are counted.
#[derive(Debug, Clone, Default)]
struct Counted {
    open: Gauge,
    accepted: Counter,
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Listener { socket: Socket::Tcp(listener), counted: Counted::default() }
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Listener { socket: Socket::Unix(listener), counted: Counted::default() }
    }
}

impl Listener {
    /// The same, whose connections this monitor counts.
    #[must_use]
    pub fn counted_by(mut self, monitor: &Monitor) -> Self {
        let metrics = monitor.metrics();
        self.counted =
            Counted { open: metrics.connections.clone(), accepted: metrics.accepted.clone() };
        self
    }

    pub(crate) async fn accept(&self) -> io::Result<Stream> {
        let (transport, from) = match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, from) = listener.accept().await?;
                // Answers are written in one piece, so there is nothing to gather.
                let _ = stream.set_nodelay(true);
                (Transport::Tcp(stream), Some(from))
            }
            Socket::Unix(listener) => (Transport::Unix(listener.accept().await?.0), None),
        };
        self.counted.accepted.inc();
        self.counted.open.inc();
        Ok(Stream { transport, from, _open: Open(self.counted.open.clone()) })
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Stream {
    transport: Transport,
    /// The address of the client; None of a Unix socket.
    from: Option<SocketAddr>,
    _open: Open,
}

impl Stream {
    /// Who is at the other end.
    pub(crate) fn peer(&self) -> Peer {
        Peer::at(self.from)
    }
}

#[derive(Debug)]
enum Transport {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Counts a connection for as long as it is open.
#[derive(Debug)]
struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Transport::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Transport::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Transport::Unix(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Tcp(stream) => stream.is_write_vectored(),
            Transport::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Transport::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Transport::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
