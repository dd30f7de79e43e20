//! Clients that are known by certificates of their own.

// Tests may unwrap, and the lints see no test in helpers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jobtrack::{Clock, MemoryStore, SystemClock, Tenant};
use jobtrack_http::{
    Grant, Options, Role, ServerOptions, Tls, Users, UsersFile, router, serve_tls, with_users,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// An authority, and the certificate of a server.
struct Files {
    folder: TempDir,
    authority: Authority,
}

struct Authority {
    params: CertificateParams,
    key: KeyPair,
    pem: String,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "An authority");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { params, key, pem }
    }

    /// A certificate for this client, and its key.
    fn client(&self, name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }
}

impl Files {
    fn new() -> Files {
        let folder = tempfile::tempdir().unwrap();
        let files = Files { folder, authority: Authority::new() };
        fs::write(files.path("authority.pem"), &files.authority.pem).unwrap();
        files.renew();
        files
    }

    fn renew(&self) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        fs::write(self.path("key.pem"), key.serialize_pem()).unwrap();
        fs::write(self.path("certificate.pem"), certificate.pem()).unwrap();
        fs::write(self.path("certificate.der"), certificate.der()).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn tls(&self, must_show: bool) -> Tls {
        let now = SystemClock::new().wall();
        let tls = Tls::open(self.path("certificate.pem"), self.path("key.pem"), now).unwrap();
        tls.with_clients(self.path("authority.pem"), must_show, now).unwrap()
    }
}

struct Server {
    _runtime: Runtime,
    address: SocketAddr,
    tls: Arc<Tls>,
    token: String,
}

impl Server {
    fn start(files: &Files, must_show: bool) -> Server {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let mut file = UsersFile::open(files.path("users")).unwrap();
        let grant = Grant {
            tenant: Some(Tenant::named("vs1").unwrap()),
            subject: Some("CN=backup, O=Example".to_owned()),
            ..Grant::of(Role::Control)
        };
        file.add_certificate("backup", &grant).unwrap();
        let token = file.add_token("robot", &Grant::of(Role::Read)).unwrap();
        file.save().unwrap();
        let users = Arc::new(Users::open(files.path("users")).unwrap());
        let (tracker, _) = common::tracker(MemoryStore::new());
        let faces = with_users(router(tracker, Options::default()), users);
        let tls = Arc::new(files.tls(must_show));
        let options = ServerOptions::default();
        runtime.spawn(serve_tls(
            listener,
            Arc::clone(&tls),
            faces,
            options,
            std::future::pending(),
        ));
        Server { _runtime: runtime, address, tls, token }
    }

    /// What the server says to who shows this certificate: a status and a body, or nothing.
    fn whoami(
        &self,
        files: &Files,
        shown: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
        more: &str,
    ) -> Option<(u16, Value)> {
        let mut stream = self.connect(files, shown)?;
        let request = format!(
            "GET /v1/whoami HTTP/1.1\r\nhost: localhost\r\n{more}connection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap()))
    }

    fn connect(
        &self,
        files: &Files,
        shown: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
    ) -> Option<StreamOwned<ClientConnection, TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(fs::read(files.path("certificate.der")).unwrap().into()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match shown {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                config.with_client_auth_cert(vec![certificate], key).unwrap()
            }
        };
        let name = ServerName::try_from("localhost").unwrap();
        let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        connection.complete_io(&mut stream).ok()?;
        Some(StreamOwned::new(connection, stream))
    }
}

#[test]
fn a_certificate_says_who_its_user_is() {
    let files = Files::new();
    let server = Server::start(&files, false);
    let backup = || Some(files.authority.client("backup"));
    let (status, told) = server.whoami(&files, backup(), "").unwrap();
    let expected = json!({"user": "backup", "role": "control", "scope": {"name": "vs1"}});
    assert_eq!((status, told), (200, expected));
    // One for which another authority vouches gets through no handshake.
    assert_eq!(server.whoami(&files, Some(Authority::new().client("backup")), ""), None);
    // One that is nobody's, or none at all, is not let in, unless its bearer shows something else.
    let robot = format!("authorization: Bearer {}\r\n", server.token);
    for shown in [|files: &Files| Some(files.authority.client("mallory")), |_: &Files| None] {
        let (status, told) = server.whoami(&files, shown(&files), "").unwrap();
        assert_eq!((status, &told["kind"]), (401, &json!("unauthorized")));
        let (status, told) = server.whoami(&files, shown(&files), &robot).unwrap();
        assert_eq!((status, &told["user"]), (200, &json!("robot")));
    }
    // What is shown and wrong is not made good by a certificate.
    let wrong = "authorization: Bearer jt_wrong\r\n";
    assert_eq!(server.whoami(&files, backup(), wrong).unwrap().0, 401);
}

#[test]
fn who_must_show_a_certificate_gets_nowhere_without() {
    let files = Files::new();
    let server = Server::start(&files, true);
    let robot = format!("authorization: Bearer {}\r\n", server.token);
    assert_eq!(server.whoami(&files, None, &robot), None);
    assert_eq!(server.whoami(&files, Some(files.authority.client("backup")), "").unwrap().0, 200);
}

#[test]
fn files_that_change_are_read_again_and_no_connection_ends() {
    let files = Files::new();
    let server = Server::start(&files, false);
    let now = || SystemClock::new().wall();
    assert_eq!(server.tls.reload_if_changed(now()), Ok(false));
    let fingerprint = server.tls.fingerprint();
    let mut open = server.connect(&files, Some(files.authority.client("backup"))).unwrap();

    // Broken: it is said once, and the old ones stay in use.
    fs::write(files.path("authority.pem"), "nonsense").unwrap();
    let error = server.tls.reload_if_changed(now()).unwrap_err().to_string();
    assert!(error.contains("authority.pem: it holds no certificate"), "{error}");
    assert_eq!(server.tls.reload_if_changed(now()), Ok(false));
    assert_eq!(server.whoami(&files, Some(files.authority.client("backup")), "").unwrap().0, 200);

    // Another authority: clients of the first are strangers from then on.
    let other = Authority::new();
    fs::write(files.path("authority.pem"), &other.pem).unwrap();
    files.renew();
    assert_eq!(server.tls.reload_if_changed(now()), Ok(true));
    assert_ne!(server.tls.fingerprint(), fingerprint);
    assert_eq!(server.whoami(&files, Some(files.authority.client("backup")), ""), None);
    assert_eq!(server.whoami(&files, Some(other.client("backup")), "").unwrap().0, 200);

    let request = "GET /v1/whoami HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    open.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    open.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}
