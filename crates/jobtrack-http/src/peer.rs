//! Who is at the other end of a connection, told with each of its requests.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio_rustls::server::TlsStream;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// The other end of a connection, as far as it is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Peer {
    /// From where it was made; unknown of a socket of the file system.
    pub(crate) address: Option<IpAddr>,
    /// The subject of the certificate that the client proved to be its own, and for which the
    /// server's own authorities vouch.
    pub(crate) subject: Option<Arc<str>>,
}

impl Peer {
    /// A client at this address, if it has one.
    pub(crate) fn at(address: Option<SocketAddr>) -> Peer {
        Peer { address: address.map(|address| address.ip()), subject: None }
    }

    /// The same, with what its certificate says, if it has shown one.
    pub(crate) fn with_certificate<S>(self, stream: &TlsStream<S>) -> Peer {
        let (_, session) = stream.get_ref();
        let own = session.peer_certificates().and_then(|chain| chain.first());
        // It was verified in the handshake, so it can be read.
        let parsed = own.and_then(|der| X509Certificate::from_der(der).ok());
        let subject = parsed.map(|(_, certificate)| certificate.subject().to_string().into());
        Peer { subject, ..self }
    }
}
