//! The server over TLS: its files, its clients, and those who only pretend to be one.

// Tests may unwrap, and the lints see no test in helpers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
// What is measured is how long a client waits, not a time of a job.
#![allow(clippy::disallowed_methods)]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jobtrack::{Clock, Command, MemoryStore, NewJob, SystemClock, Timestamp};
use jobtrack_http::{Options, ServerOptions, Tls, router, serve_tls};
use rcgen::{CertificateParams, CertifiedKey, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned, version,
};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

fn now() -> Timestamp {
    SystemClock::new().wall()
}

/// A folder with a certificate for localhost, valid from so many days from now to so many.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Files {
        Files::valid(-1, 1)
    }

    fn valid(from_days: i64, to_days: i64) -> Files {
        let files = Files { folder: tempfile::tempdir().unwrap() };
        files.renew(from_days, to_days);
        files
    }

    fn renew(&self, from_days: i64, to_days: i64) {
        let today = OffsetDateTime::from_unix_timestamp(now().as_micros() / 1_000_000).unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = today + time::Duration::days(from_days);
        params.not_after = today + time::Duration::days(to_days);
        let signing_key = KeyPair::generate().unwrap();
        let cert = params.self_signed(&signing_key).unwrap();
        let made = CertifiedKey { cert, signing_key };
        fs::write(self.certificate(), made.cert.pem()).unwrap();
        fs::write(self.key(), made.signing_key.serialize_pem()).unwrap();
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    fn open(&self) -> Result<Tls, String> {
        let opened = Tls::open(self.certificate(), self.key(), now());
        opened.map_err(|error| error.to_string())
    }

    /// What is said of these files, which must be in one line.
    #[track_caller]
    fn refused(&self) -> String {
        let error = self.open().unwrap_err();
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.starts_with(self.folder.path().to_str().unwrap()), "{error}");
        error
    }
}

struct Server {
    runtime: Runtime,
    address: SocketAddr,
    tls: Arc<Tls>,
    stop: Option<oneshot::Sender<()>>,
    running: Option<tokio::task::JoinHandle<()>>,
}

impl Server {
    fn start(files: &Files, options: ServerOptions) -> Server {
        let (tracker, _) = common::tracker(MemoryStore::new());
        Server::with_jobs(files, options, &tracker)
    }

    fn with_jobs(
        files: &Files,
        options: ServerOptions,
        tracker: &Arc<jobtrack::Tracker>,
    ) -> Server {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let tls = Arc::new(files.open().unwrap());
        let faces = router(Arc::clone(tracker), Options::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let served = serve_tls(listener, Arc::clone(&tls), faces, options, async {
            let _ = stopped.await;
        });
        let running = Some(runtime.spawn(served));
        Server { runtime, address, tls, stop: Some(stop), running }
    }

    /// Stops it, and says how long that took.
    fn stop(&mut self) -> Duration {
        let began = Instant::now();
        self.stop.take().unwrap().send(()).unwrap();
        self.runtime.block_on(self.running.take().unwrap()).unwrap();
        began.elapsed()
    }
}

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A client that trusts the certificate in these files, on a connection of its own.
fn connect(
    address: SocketAddr,
    files: &Files,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> std::io::Result<Stream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(files.certificate()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    connection.complete_io(&mut stream)?;
    Ok(StreamOwned::new(connection, stream))
}

const BOTH: &[&rustls::SupportedProtocolVersion] = &[&version::TLS12, &version::TLS13];

fn send(stream: &mut Stream, request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

const GET: &str = "GET /v1/jobs HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

#[track_caller]
fn is_served(server: &Server, files: &Files) {
    let mut stream = connect(server.address, files, BOTH).unwrap();
    let answer = send(&mut stream, GET);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[test]
fn both_versions_are_spoken() {
    let files = Files::new();
    let server = Server::start(&files, ServerOptions::default());
    for (version, expected) in
        [(&version::TLS12, ProtocolVersion::TLSv1_2), (&version::TLS13, ProtocolVersion::TLSv1_3)]
    {
        let mut stream = connect(server.address, &files, &[version]).unwrap();
        assert_eq!(stream.conn.protocol_version(), Some(expected));
        assert!(send(&mut stream, GET).starts_with("HTTP/1.1 200 OK\r\n"));
    }
}

#[test]
fn a_connection_is_kept_between_requests() {
    let files = Files::new();
    let server = Server::start(&files, ServerOptions::default());
    let mut stream = connect(server.address, &files, BOTH).unwrap();
    let keep = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for _ in 0..3 {
        stream.write_all(keep.as_bytes()).unwrap();
        let mut answer = [0; 4_096];
        let count = stream.read(&mut answer).unwrap();
        assert!(answer[..count].starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
}

#[test]
fn who_shakes_no_hands_is_dropped_and_holds_up_nobody() {
    let files = Files::new();
    let handshake_time = Duration::from_secs(2);
    let server =
        Server::start(&files, ServerOptions { handshake_time, ..ServerOptions::default() });
    let began = Instant::now();
    let mut pretenders: Vec<_> =
        (0..20).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    // Some say something, and then no more: the beginning of a handshake.
    for stream in pretenders.iter_mut().take(10) {
        stream.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00]).unwrap();
    }
    for _ in 0..5 {
        is_served(&server, &files);
    }
    assert!(began.elapsed() < handshake_time, "the others had to wait: {:?}", began.elapsed());
    for stream in &mut pretenders {
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        assert_eq!(stream.read(&mut [0; 64]).unwrap(), 0, "it was not dropped");
    }
    assert!(began.elapsed() >= handshake_time, "{:?}", began.elapsed());
}

#[test]
fn pretenders_cannot_take_all_connections_for_long() {
    let files = Files::new();
    let handshake_time = Duration::from_millis(300);
    let options = ServerOptions { connections: 4, handshake_time, ..ServerOptions::default() };
    let server = Server::start(&files, options);
    let _pretenders: Vec<_> = (0..8).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    is_served(&server, &files);
}

#[test]
fn who_speaks_no_tls_or_trusts_nobody_is_dropped() {
    let files = Files::new();
    let server = Server::start(&files, ServerOptions::default());
    for bytes in [GET.as_bytes(), &[0xff; 1_024], b"\x16\x03\x01\x00\x05hello"] {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        // An alert of TLS may come; an answer of HTTP does not. A reset is as good as an end.
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
    let others = Files::new();
    assert!(connect(server.address, &others, BOTH).is_err());
    is_served(&server, &files);
}

#[test]
fn the_stop_waits_for_no_handshake() {
    let files = Files::new();
    let handshake_time = Duration::from_secs(60);
    let grace = Duration::from_secs(30);
    let options = ServerOptions { handshake_time, grace, ..ServerOptions::default() };
    let mut server = Server::start(&files, options);
    let _pretender = TcpStream::connect(server.address).unwrap();
    let mut idle = connect(server.address, &files, BOTH).unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    assert!(idle.read(&mut [0; 4_096]).unwrap() > 0);
    let took = server.stop();
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_refusal_is_heard_by_who_still_sends() {
    let files = Files::new();
    let server = Server::start(&files, ServerOptions::default());
    let mut stream = connect(server.address, &files, BOTH).unwrap();
    let length = 8 * 1024 * 1024;
    let head =
        format!("POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    // Whether or not all of it can be sent: what counts is what is answered.
    let _ = stream.write_all(&vec![b'x'; length]);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer:?}");
}

#[test]
fn who_stops_reading_is_dropped() {
    let files = Files::new();
    let (tracker, _) = common::tracker(MemoryStore::new());
    let text = "x".repeat(1_000);
    // Far more than the buffers of the system hold.
    let job = NewJob { description: text.clone(), message: text.repeat(4), ..NewJob::default() };
    let commands: Vec<_> = (0..4_000).map(|_| Command::create(job.clone())).collect();
    for made in tracker.run_all(commands) {
        made.unwrap();
    }
    let write_pause = Duration::from_millis(500);
    let options = ServerOptions { write_pause, ..ServerOptions::default() };
    let server = Server::with_jobs(&files, options, &tracker);
    let get = GET.replace("/v1/jobs", "/v1/export");
    let whole = {
        let mut stream = connect(server.address, &files, BOTH).unwrap();
        send(&mut stream, &get).len()
    };
    let mut stream = connect(server.address, &files, BOTH).unwrap();
    stream.write_all(get.as_bytes()).unwrap();
    std::thread::sleep(write_pause * 4);
    let mut answer = Vec::new();
    let ended = stream.read_to_end(&mut answer);
    assert!(answer.len() < whole, "all {whole} bytes came");
    // Cut off, and not ended as if it were whole.
    assert!(ended.is_err() || !answer.ends_with(b"0\r\n\r\n"));
}

#[test]
fn a_new_certificate_is_shown_from_the_next_connection_on() {
    let files = Files::new();
    let server = Server::start(&files, ServerOptions::default());
    let before = server.tls.fingerprint();
    let old = fs::read(files.certificate()).unwrap();
    files.renew(-1, 1);
    server.tls.reload(now()).unwrap();
    assert_ne!(server.tls.fingerprint(), before);
    is_served(&server, &files);
    // A certificate that is no good changes nothing.
    let new = fs::read(files.certificate()).unwrap();
    fs::write(files.certificate(), old).unwrap();
    assert!(server.tls.reload(now()).unwrap_err().to_string().contains("another certificate"));
    fs::write(files.certificate(), new).unwrap();
    is_served(&server, &files);
}

#[test]
fn a_certificate_says_whom_it_is_for_and_how_long() {
    let files = Files::new();
    let tls = files.open().unwrap();
    assert!(tls.is_for("localhost"));
    for other in ["127.0.0.1", "example.com", "", "no name"] {
        assert!(!tls.is_for(other), "{other}");
    }
    let left = tls.expires().saturating_since(now());
    assert!(left <= Duration::from_secs(86_400) && left > Duration::from_secs(86_000), "{left:?}");
    let fingerprint = tls.fingerprint();
    assert_eq!(fingerprint.len(), 32 * 3 - 1, "{fingerprint}");
    assert!(!format!("{tls:?}").contains("PRIVATE"));
}

#[test]
fn files_that_do_not_fit_are_refused() {
    let files = Files::new();
    let others = Files::new();
    fs::copy(others.key(), files.key()).unwrap();
    let error = files.refused();
    assert!(error.contains("key.pem: it is the key of another certificate"), "{error}");

    let files = Files::new();
    fs::copy(files.certificate(), files.key()).unwrap();
    let error = files.refused();
    assert!(error.contains("key.pem: it holds a certificate and no key"), "{error}");

    let files = Files::new();
    fs::copy(files.key(), files.certificate()).unwrap();
    let error = files.refused();
    assert!(error.contains("certificate.pem: it holds a key and no certificate"), "{error}");
}

#[test]
fn a_certificate_out_of_its_time_is_refused() {
    let error = Files::valid(-10, -2).refused();
    assert!(error.contains("certificate.pem: certificate 1 of it has expired at 20"), "{error}");
    let error = Files::valid(2, 10).refused();
    assert!(error.contains("is not valid before 20"), "{error}");
    // One that vouches for the first is looked at too.
    let files = Files::new();
    let mut chain = fs::read_to_string(files.certificate()).unwrap();
    chain.push_str(&fs::read_to_string(Files::valid(-10, -2).certificate()).unwrap());
    fs::write(files.certificate(), chain).unwrap();
    assert!(files.refused().contains("certificate 2 of it has expired"));
}

#[test]
fn a_certificate_that_is_none_is_refused() {
    let files = Files::new();
    let good = fs::read_to_string(files.certificate()).unwrap();
    let cut = good.split_once("-----END").unwrap().0.to_owned();
    let short = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned();
    for (content, why) in [
        (String::new(), "no certificate in PEM form"),
        ("hello\n".repeat(10), "no certificate in PEM form"),
        (cut, "cut short"),
        (short.clone(), "certificate 1 of it is not an X.509 certificate"),
        (format!("{good}{short}"), "certificate 2 of it is not an X.509 certificate"),
        (short.replace("AAAA", "!!!!"), "not base64"),
    ] {
        fs::write(files.certificate(), &content).unwrap();
        let error = files.refused();
        assert!(error.contains("certificate.pem: ") && error.contains(why), "{content}: {error}");
    }
    // DER, as it is: the same words as for anything that is not PEM.
    let der = CertificateDer::from_pem_slice(good.as_bytes()).unwrap();
    fs::write(files.certificate(), &der).unwrap();
    assert!(files.refused().contains("PEM"));
    fs::remove_file(files.certificate()).unwrap();
    assert!(files.refused().contains("certificate.pem: No such file"));
    fs::create_dir(files.certificate()).unwrap();
    assert!(files.refused().contains("certificate.pem: it is not a file"));
}

#[test]
fn a_key_that_is_none_is_refused_and_not_shown() {
    let files = Files::new();
    let good = fs::read_to_string(files.key()).unwrap();
    let secret = good.lines().nth(1).unwrap();
    let cut = good.split_once("-----END").unwrap().0.to_owned();
    let locked = good.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let older = good.replace("PRIVATE KEY-----", "RSA PRIVATE KEY-----").replacen(
        '\n',
        "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n",
        1,
    );
    let malformed = good.replace("-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY");
    for (content, why) in [
        (String::new(), "no private key in PEM form"),
        (cut, "cut short"),
        (locked, "has a passphrase"),
        (malformed, "PEM"),
        (older, "has a passphrase"),
        (good.replace(secret, "AAAA"), "cannot be used"),
    ] {
        fs::write(files.key(), &content).unwrap();
        let error = files.refused();
        assert!(error.contains("key.pem: ") && error.contains(why), "{content}: {error}");
        assert!(!error.contains(&secret[..16]), "{error}");
    }
}
