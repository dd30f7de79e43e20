//! TLS: how the server proves who it is, and what it speaks.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jobtrack::Timestamp;
use parking_lot::{Mutex, RwLock};
use ring::digest::{SHA256, digest};
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{InconsistentKeys, RootCertStore, ServerConfig, crypto};
use tokio_rustls::TlsAcceptor;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use crate::files::{self, FileError, Stamp};

/// A certificate and its key, from two PEM files: what [`serve_tls`](crate::serve_tls) needs.
///
/// TLS 1.2 and 1.3 are spoken, with the algorithms of one provider (`ring`) whatever else the
/// program links.
pub struct Tls {
    files: Files,
    loaded: RwLock<Arc<Loaded>>,
    /// How the files were when they were last read, whether or not that did any good: one that is
    /// wrong is complained of once.
    seen: Mutex<Stamps>,
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
    clients: Option<Clients>,
}

type Stamps = [Option<Stamp>; 3];

/// Whose certificates clients may show.
struct Clients {
    /// The authorities that vouch for them.
    authorities: PathBuf,
    /// Whether who shows none is sent away.
    must_show: bool,
}

struct Loaded {
    acceptor: TlsAcceptor,
    fingerprint: String,
    expires: Timestamp,
    certificate: CertificateDer<'static>,
}

impl Tls {
    /// Reads the certificate, with those that vouch for it after it in the same file, and the key.
    ///
    /// # Errors
    ///
    /// Names the file and what is wrong with it: unreadable, no PEM, no certificate, out of its time
    /// at `now`, a key with a passphrase, a key of another certificate.
    pub fn open(
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
        now: Timestamp,
    ) -> Result<Tls, FileError> {
        Tls::of(Files { certificate: certificate.into(), key: key.into(), clients: None }, now)
    }

    /// The same, for clients that show certificates of their own, for which the authorities in this
    /// PEM file vouch. A user whose [`Grant`](crate::Grant) names the subject of such a certificate
    /// is known by it. Who shows none is asked for a password or a token, or, where they must show
    /// one, does not get through the handshake.
    ///
    /// # Errors
    ///
    /// As [`open`](Tls::open), of this file as well.
    pub fn with_clients(
        self,
        authorities: impl Into<PathBuf>,
        must_show: bool,
        now: Timestamp,
    ) -> Result<Tls, FileError> {
        let clients = Some(Clients { authorities: authorities.into(), must_show });
        Tls::of(Files { clients, ..self.files }, now)
    }

    fn of(files: Files, now: Timestamp) -> Result<Tls, FileError> {
        // Before they are read: what changes in between is seen at the next look.
        let seen = Mutex::new(files.stamps());
        let loaded = RwLock::new(Arc::new(load(&files, now)?));
        Ok(Tls { files, loaded, seen })
    }

    /// Reads all files again if one of them is another than it was. Whether one was.
    ///
    /// # Errors
    ///
    /// As [`open`](Tls::open); what was read before then stays in use, and the same files are not
    /// read, and not complained of, again.
    pub fn reload_if_changed(&self, now: Timestamp) -> Result<bool, FileError> {
        let stamps = self.files.stamps();
        if std::mem::replace(&mut *self.seen.lock(), stamps) == stamps {
            return Ok(false);
        }
        self.reload(now).map(|()| true)
    }

    /// Reads all files again, for the connections to come.
    ///
    /// # Errors
    ///
    /// As [`open`](Tls::open); what was read before then stays in use.
    pub fn reload(&self, now: Timestamp) -> Result<(), FileError> {
        let loaded = load(&self.files, now)?;
        *self.loaded.write() = Arc::new(loaded);
        Ok(())
    }

    /// The SHA-256 of the certificate, as `openssl x509 -fingerprint -sha256` shows it.
    pub fn fingerprint(&self) -> String {
        self.loaded.read().fingerprint.clone()
    }

    /// When the certificate runs out.
    pub fn expires(&self) -> Timestamp {
        self.loaded.read().expires
    }

    /// Whether the certificate is for this name or address.
    pub fn is_for(&self, name: &str) -> bool {
        let loaded = Arc::clone(&self.loaded.read());
        let Ok(name) = ServerName::try_from(name) else { return false };
        let parsed = ParsedCertificate::try_from(&loaded.certificate);
        parsed.is_ok_and(|parsed| verify_server_name(&parsed, &name).is_ok())
    }

    /// The file of the certificate.
    pub fn certificate(&self) -> &Path {
        &self.files.certificate
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.loaded.read().acceptor.clone()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("certificate", &self.files.certificate)
            .field("fingerprint", &self.fingerprint())
            .finish_non_exhaustive()
    }
}

impl Files {
    fn stamps(&self) -> Stamps {
        let authorities = self.clients.as_ref().map(|clients| &clients.authorities);
        [Some(&self.certificate), Some(&self.key), authorities]
            .map(|path| path.and_then(|path| Stamp::at(path)))
    }
}

fn load(files: &Files, now: Timestamp) -> Result<Loaded, FileError> {
    let (certificate, key) = (&*files.certificate, &*files.key);
    let chain = chain(certificate)?;
    let (own, expires) = check(certificate, &chain, now)?;
    let private = private_key(key)?;
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| FileError::new(certificate, error))?;
    let config = match &files.clients {
        None => config.with_no_client_auth(),
        Some(clients) => config.with_client_cert_verifier(clients.verifier(provider, now)?),
    };
    let config = config.with_single_cert(chain, private);
    let mut config = config.map_err(|error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => FileError::new(
            key,
            format!("it is the key of another certificate than {}", certificate.display()),
        ),
        error => FileError::new(key, format!("the key cannot be used: {error}")),
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Loaded {
        acceptor: TlsAcceptor::from(Arc::new(config)),
        fingerprint: fingerprint(&own),
        expires,
        certificate: own,
    })
}

impl Clients {
    fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
        now: Timestamp,
    ) -> Result<Arc<dyn ClientCertVerifier>, FileError> {
        let path = &*self.authorities;
        let authorities = chain(path)?;
        check(path, &authorities, now)?;
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority).map_err(|error| FileError::new(path, error))?;
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = if self.must_show { builder } else { builder.allow_unauthenticated() };
        builder.build().map_err(|error| FileError::new(path, error))
    }
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let content = files::read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    let chain = chain.map_err(|error| FileError::new(path, not_pem(&error)))?;
    if chain.is_empty() {
        let hint = if String::from_utf8_lossy(&content).contains("PRIVATE KEY-----") {
            "it holds a key and no certificate; are certificate and key mixed up?"
        } else {
            "it holds no certificate in PEM form, which begins with -----BEGIN CERTIFICATE-----"
        };
        return Err(FileError::new(path, hint));
    }
    Ok(chain)
}

/// Checks what TLS itself leaves to the client, who would only say that it does not trust the
/// server. Returns the server's own certificate and its end.
fn check(
    path: &Path,
    chain: &[CertificateDer<'static>],
    now: Timestamp,
) -> Result<(CertificateDer<'static>, Timestamp), FileError> {
    let mut own = None;
    for (index, der) in chain.iter().enumerate() {
        let wrong = |problem: String| {
            FileError::new(path, format!("certificate {} of it {problem}", index + 1))
        };
        let (_, parsed) = X509Certificate::from_der(der)
            .map_err(|error| wrong(format!("is not an X.509 certificate: {error}")))?;
        let validity = parsed.validity();
        let (begins, expires) = (time_of(validity.not_before), time_of(validity.not_after));
        if now < begins {
            return Err(wrong(format!("is not valid before {begins}, and it is {now}")));
        }
        if expires < now {
            return Err(wrong(format!("has expired at {expires}, and it is {now}")));
        }
        own = own.or(Some((der.clone(), expires)));
    }
    own.ok_or_else(|| FileError::new(path, "it holds no certificate"))
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, FileError> {
    let content = files::read(path)?;
    let key = PrivateKeyDer::from_pem_slice(&content);
    key.map_err(|error| FileError::new(path, no_key(&content, &error)))
}

fn no_key(content: &[u8], error: &pem::Error) -> String {
    let text = String::from_utf8_lossy(content);
    let has = |part: &str| text.contains(part);
    // As PKCS#8 has it, and as OpenSSL wrote it before.
    if has("BEGIN ENCRYPTED PRIVATE KEY-----") || has("Proc-Type: 4,ENCRYPTED") {
        return "the key has a passphrase, which nobody is there to enter; take it away with \
                openssl pkey -in WITH -out WITHOUT"
            .to_owned();
    }
    match error {
        pem::Error::NoItemsFound if has("BEGIN CERTIFICATE-----") => {
            "it holds a certificate and no key; are certificate and key mixed up?".to_owned()
        }
        pem::Error::NoItemsFound => {
            "it holds no private key in PEM form, which begins with -----BEGIN PRIVATE KEY-----"
                .to_owned()
        }
        error => not_pem(error),
    }
}

/// The library shows lines as lists of bytes, and those of a key are better not shown at all.
fn not_pem(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => {
            "it is cut short: the line with -----END is missing".to_owned()
        }
        pem::Error::IllegalSectionStart { .. } => {
            "it is not PEM: a line with -----BEGIN is malformed".to_owned()
        }
        pem::Error::Base64Decode(_) => "it is not PEM: a section of it is not base64".to_owned(),
        error => format!("it is not PEM: {error}"),
    }
}

fn fingerprint(der: &[u8]) -> String {
    let bytes: Vec<_> =
        digest(&SHA256, der).as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
}

/// A time of a certificate; one beyond what a timestamp holds is its nearest end.
fn time_of(time: ASN1Time) -> Timestamp {
    let micros = time.timestamp().saturating_mul(1_000_000);
    let clamped = micros.clamp(Timestamp::MIN.as_micros(), Timestamp::MAX.as_micros());
    Timestamp::from_micros(clamped).unwrap_or(Timestamp::MAX)
}
