//! A server with TLS and users, and the commands that speak to it.

// Tests may unwrap, and the lints see no test in helpers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use common::{JOBTRACK, Server, refused, unreachable};
use tempfile::TempDir;

const PASSWORD: &str = "correct horse battery";

/// A folder with a file of users, in which there is alice.
struct Stage {
    folder: TempDir,
}

impl Stage {
    fn new() -> Stage {
        let stage = Stage { folder: tempfile::tempdir().unwrap() };
        let said = stage.add("alice", PASSWORD, &["--role", "admin"]);
        let expected = format!("alice is added in {}: role=admin\n", stage.users());
        assert_eq!(said, (Some(0), expected));
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn users(&self) -> String {
        self.path("users").display().to_string()
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    fn certificate(&self) -> String {
        self.path("data/tls/certificate.pem").display().to_string()
    }

    /// Adds a user; returns the exit status and what was said.
    fn add(&self, name: &str, password: &str, more: &[&str]) -> (Option<i32>, String) {
        let users = self.users();
        let arguments = ["user", "add", name, "--users", &users, "--password-stdin"];
        let mut process = Command::new(JOBTRACK)
            .args(arguments)
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A name that is refused is refused before the password is read.
        let _ = writeln!(process.stdin.take().unwrap(), "{password}");
        let output = process.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    }

    fn server(&self) -> Server {
        Server::start(&self.data(), &["--tls", "--users", &self.users()])
    }

    /// Exports from a server as somebody with this password.
    fn export(&self, server: &Server, password: &str, more: &[&str]) -> Output {
        Command::new(JOBTRACK)
            .args(["export", "--server", &server.url])
            .args(more)
            .env("JOBTRACK_PASSWORD", password)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// What the server said after this word.
fn line<'a>(server: &'a Server, word: &str) -> &'a str {
    server.said.lines().find_map(|line| line.strip_prefix(word)).unwrap().trim()
}

#[test]
fn a_certificate_is_made_once() {
    let stage = Stage::new();
    let server = stage.server();
    assert!(server.url.starts_with("https://127.0.0.1:"), "{}", server.url);
    assert_eq!(mode(stage.path("data/tls/key.pem")), 0o600);
    assert!(line(&server, "certificate").starts_with(&stage.certificate()));
    let tried = line(&server, "try");
    assert!(tried.contains(&format!("--cacert '{}' -u alice '", stage.certificate())), "{tried}");
    let fingerprint = line(&server, "fingerprint").to_owned();
    assert_eq!(fingerprint.len(), "SHA-256 ".len() + 32 * 3 - 1, "{fingerprint}");
    assert_eq!(server.terminate().0, Some(0));
    // The store does not mind the folder beside it, and the certificate stays.
    let server = stage.server();
    assert_eq!(line(&server, "fingerprint"), fingerprint);
    drop(server);

    fs::remove_file(stage.path("data/tls/key.pem")).unwrap();
    let store = format!("redb:{}", stage.data().display());
    let error = refused(&["serve", "--listen", "127.0.0.1:0", "--store", &store, "--tls"]);
    assert!(error.contains("certificate.pem is there and "), "{error}");
    assert!(error.contains("key.pem is not"), "{error}");
    fs::remove_file(stage.certificate()).unwrap();
    let server = stage.server();
    assert_ne!(line(&server, "fingerprint"), fingerprint);
}

#[test]
fn a_certificate_has_the_names_that_are_asked_for() {
    let stage = Stage::new();
    let tls = stage.path("elsewhere");
    let tls = tls.to_str().unwrap();
    let names = ["--tls-name", "jobs.example.com", "--tls-name", "192.0.2.7"];
    let arguments = [&["--tls", "--tls-dir", tls], &names[..]].concat();
    let server = Server::start(&stage.data(), &arguments);
    assert!(!stage.path("data/tls").exists());
    let certificate = stage.path("elsewhere/certificate.pem");
    let made = jobtrack_http::Tls::open(
        &certificate,
        stage.path("elsewhere/key.pem"),
        "2100-01-01T00:00:00Z".parse().unwrap(),
    );
    assert!(made.unwrap_err().to_string().contains("expired"), "it is good for some ten years");
    let now = jobtrack::Clock::wall(&jobtrack::SystemClock::new());
    let made =
        jobtrack_http::Tls::open(&certificate, stage.path("elsewhere/key.pem"), now).unwrap();
    for name in ["localhost", "127.0.0.1", "::1", "jobs.example.com", "192.0.2.7"] {
        assert!(made.is_for(name), "{name}");
    }
    assert!(!made.is_for("example.com"));
    assert_eq!(line(&server, "fingerprint"), format!("SHA-256 {}", made.fingerprint()));
    let bad = ["--tls", "--tls-dir", tls, "--tls-name", "ü"];
    drop(server);
    fs::remove_dir_all(tls).unwrap();
    let store = format!("redb:{}", stage.data().display());
    let serve = ["serve", "--listen", "127.0.0.1:0", "--store", &store];
    let error = refused(&[&serve[..], &bad[..]].concat());
    assert!(error.contains('ü'), "{error}");
}

#[test]
fn a_certificate_that_is_given_is_shown() {
    let stage = Stage::new();
    drop(stage.server());
    let (certificate, key) = (stage.certificate(), stage.path("data/tls/key.pem"));
    let given = ["--tls-cert", &certificate, "--tls-key", key.to_str().unwrap()];
    let server = Server::start(&stage.path("other"), &given);
    assert!(server.url.starts_with("https://"));
    let output = stage.export(&server, "", &["--cacert", &certificate]);
    assert!(output.status.success(), "{}", said(&output));
    drop(server);

    fs::write(&key, "nothing").unwrap();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--store", "memory:"];
    let error = refused(&[&serve[..], &given[..]].concat());
    assert!(error.contains("key.pem: it holds no private key"), "{error}");
    let error = refused(&[&serve[..], &["--tls"]].concat());
    assert!(error.contains("--tls-dir"), "{error}");
    for half in [&given[..2], &given[2..]] {
        let output = common::run(&[&serve[..], half].concat());
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    }
}

#[test]
fn jobs_go_in_and_out_over_https() {
    let stage = Stage::new();
    let server = stage.server();
    let jobs = r#"{"description": "Backup", "uuid": "0198c2a0-0000-7000-8000-000000000001"}"#;
    fs::write(stage.path("jobs"), format!("{jobs}\n")).unwrap();
    let certificate = stage.certificate();
    let as_alice = ["--user", "alice", "--cacert", &certificate];
    let output = Command::new(JOBTRACK)
        .arg("import")
        .arg(stage.path("jobs"))
        .args(["--server", &server.url])
        .args(as_alice)
        .env("JOBTRACK_PASSWORD", PASSWORD)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let output = stage.export(&server, PASSWORD, &as_alice);
    let exported = String::from_utf8(output.stdout).unwrap();
    assert!(exported.contains("\"Backup\""), "{exported}");
    // All but the password may come from variables.
    let output = Command::new(JOBTRACK)
        .arg("export")
        .env("JOBTRACK_SERVER", &server.url)
        .env("JOBTRACK_USER", "alice")
        .env("JOBTRACK_PASSWORD", PASSWORD)
        .env("JOBTRACK_CACERT", &certificate)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), exported);
}

#[test]
fn who_is_not_trusted_hears_why() {
    let stage = Stage::new();
    let server = stage.server();
    let certificate = stage.certificate();
    let trusting = ["--cacert", certificate.as_str()];
    let cases: [(&[&str], &str, &str); 8] = [
        (&["--user", "alice", trusting[0], trusting[1]], "wrong", "401 Unauthorized"),
        (&["--user", "bob", trusting[0], trusting[1]], PASSWORD, "401 Unauthorized"),
        (&["--user", "alice", trusting[0], trusting[1]], &"x".repeat(1_025), "401 Unauthorized"),
        (&trusting, PASSWORD, "see --user"),
        (&["--user", "alice"], PASSWORD, "--cacert"),
        (&["--user", "a:b", trusting[0], trusting[1]], PASSWORD, "no colon"),
        (&["--cacert", "no/such/file"], PASSWORD, "no/such/file: "),
        (&["--cacert", &stage.users()], PASSWORD, "no certificate in PEM form"),
    ];
    for (arguments, password, why) in cases {
        let output = stage.export(&server, password, arguments);
        let said = said(&output);
        // Who cannot be trusted was not reached.
        let status = if why == "--cacert" { 8 } else { 1 };
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        assert!(said.contains(why) && said.lines().count() == 1, "{arguments:?}: {said}");
        assert!(!said.contains(PASSWORD), "{said}");
    }
    let output = stage.export(&server, PASSWORD, &["--user", "alice", "--insecure"]);
    assert!(output.status.success(), "{}", said(&output));
    // Without a terminal there is nobody to ask.
    let output = Command::new("setsid")
        .args([JOBTRACK, "export", "--server", &server.url, "--user", "alice"])
        .env_remove("JOBTRACK_PASSWORD")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(said(&output).contains("JOBTRACK_PASSWORD"), "{}", said(&output));
    // Plain HTTP to one that speaks TLS, and a password over plain HTTP.
    let plain = server.url.replace("https", "http");
    let error = unreachable(&["export", "--server", &plain]);
    assert!(error.contains("perhaps it is https"), "{error}");
    let error = refused(&["export", "--server", "http://192.0.2.1:1", "--user", "alice"]);
    assert!(error.contains("speak https") && error.contains("--insecure"), "{error}");
    let plain = Server::start(&stage.path("plain"), &[]);
    let error = unreachable(&["export", "--server", &plain.url.replace("http", "https")]);
    assert!(error.contains("perhaps it is http and not https"), "{error}");
}

#[test]
fn other_machines_are_let_in_with_tls_and_users_alone() {
    let stage = Stage::new();
    let users = stage.users();
    let serve = ["serve", "--listen", "0.0.0.0:0", "--store", "memory:"];
    for (more, why) in [
        (&[][..], "change every job"),
        (&["--tls"], "change every job"),
        (&["--users", &users], "passwords"),
    ] {
        let error = refused(&[&serve[..], more].concat());
        assert!(error.contains(why) && error.contains("--allow-remote"), "{more:?}: {error}");
    }
    let all = ["--listen", "0.0.0.0:0", "--tls", "--users", &users];
    let server = Server::start(&stage.data(), &all);
    let port = server.url.rsplit_once(':').unwrap().1;
    let near = format!("https://127.0.0.1:{port}");
    assert!(line(&server, "try").contains(&near));
    let mut server = server;
    server.url = near;
    let certificate = stage.certificate();
    let output = stage.export(&server, PASSWORD, &["--user", "alice", "--cacert", &certificate]);
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn users_come_and_go() {
    let stage = Stage::new();
    let users = stage.users();
    assert_eq!(mode(&users), 0o600);
    let list = || String::from_utf8(common::run(&["user", "list", "--users", &users]).stdout);
    assert_eq!(stage.add("bob", "his own", &[]).0, Some(0));
    let alice = "alice  password     role=admin\n";
    assert_eq!(list().unwrap(), format!("{alice}bob    password     role=read\n"));
    for (name, password, more, why) in [
        ("alice", "x", &[][..], "--replace"),
        ("a b", "x", &[], "letters"),
        ("carol", "", &[], "empty"),
        ("carol", "two\nlines", &[], "nothing else"),
        ("carol", &"x".repeat(1_025), &[], "1024"),
    ] {
        let (status, said) = stage.add(name, password, more);
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains(why) && said.lines().count() == 1, "{said}");
    }
    let server = stage.server();
    let certificate = stage.certificate();
    let works = |name, password| {
        let arguments = ["--user", name, "--cacert", &certificate];
        stage.export(&server, password, &arguments).status.success()
    };
    assert!(works("bob", "his own") && works("alice", PASSWORD));
    assert_eq!(stage.add("alice", "another", &["--replace"]).0, Some(0));
    assert!(common::run(&["user", "remove", "bob", "--users", &users]).status.success());
    assert_eq!(list().unwrap(), alice);
    // The running server sees it by itself.
    std::thread::sleep(Duration::from_millis(1_100));
    assert!(!works("bob", "his own") && !works("alice", PASSWORD) && works("alice", "another"));
    let error = refused(&["user", "remove", "bob", "--users", &users]);
    assert!(error.contains("\"bob\""), "{error}");
    drop(server);
    assert!(common::run(&["user", "remove", "alice", "--users", &users]).status.success());
    let serve = ["serve", "--listen", "127.0.0.1:0", "--store", "memory:", "--users", &users];
    assert!(refused(&serve).contains("names no user"));
    fs::set_permissions(&users, Permissions::from_mode(0o644)).unwrap();
    assert!(refused(&serve).contains("chmod 600"));
    assert!(refused(&["user", "list", "--users", &users]).contains("chmod 600"));
}

#[test]
fn a_token_is_shown_once_and_works_until_it_is_revoked() {
    let stage = Stage::new();
    let users = stage.users();
    let add =
        |more: &[&str]| common::run(&[&["token", "add"], more, &["--users", &users]].concat());
    let made = add(&["robot", "--role", "control", "--scope", "vs 1", "--expires", "90d"]);
    assert!(made.status.success(), "{}", said(&made));
    assert!(
        said(&made).contains("robot is added in ") && said(&made).contains("scope.name=vs%201")
    );
    let token = String::from_utf8(made.stdout).unwrap();
    let token = token.strip_suffix('\n').unwrap();
    assert!(token.starts_with("jt_") && token.len() == 46, "{token}");
    assert!(!fs::read_to_string(&users).unwrap().contains(&token[3..]));
    assert!(said(&add(&["robot"])).contains("is a user already"));
    assert!(said(&add(&["other", "--scope", ""])).contains("a scope has a name"));
    assert!(!add(&["other", "--role", "root"]).status.success());

    let server = stage.server();
    let certificate = stage.certificate();
    let list = |token: &str| {
        Command::new(JOBTRACK)
            .args(["list", "--server", &server.url, "--cacert", &certificate, "-o", "json"])
            .env("JOBTRACK_TOKEN", token)
            .output()
            .unwrap()
    };
    let create = Command::new(JOBTRACK)
        .args(["create", "Backup", "--server", &server.url, "--cacert", &certificate, "-o", "json"])
        .env("JOBTRACK_TOKEN", token)
        .output()
        .unwrap();
    assert!(create.status.success(), "{}", said(&create));
    assert!(String::from_utf8_lossy(&create.stdout).contains("\"vs 1\""));
    assert!(String::from_utf8_lossy(&list(token).stdout).contains("Backup"));
    assert!(!list(&token.replace("jt_", "jt-")).status.success());
    let tokens = common::run(&["token", "list", "--users", &users]).stdout;
    let tokens = String::from_utf8(tokens).unwrap();
    assert!(tokens.starts_with("robot  token ") && tokens.lines().count() == 1, "{tokens}");
    assert!(refused(&["token", "revoke", "alice", "--users", &users]).contains("is no token"));
    let more = ["--role", "read", "--scope", "vs 2"];
    let granted =
        common::run(&[&["user", "grant", "robot", "--users", &users], &more[..]].concat());
    assert!(granted.status.success(), "{}", said(&granted));
    std::thread::sleep(Duration::from_millis(1_100));
    assert!(!String::from_utf8_lossy(&list(token).stdout).contains("Backup"));
    let revoked = common::run(&["token", "revoke", "robot", "--users", &users]);
    assert!(revoked.status.success(), "{}", said(&revoked));
    std::thread::sleep(Duration::from_millis(1_100));
    assert!(!list(token).status.success());
}

#[test]
fn without_users_the_server_goes_by_names_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"), &["--allow-host", "jobs.example.com"]);
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let status = |host: &str, more: &str| {
        use std::io::Read;
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        let request = format!(
            "POST /v1/jobs HTTP/1.1\r\nhost: {host}\r\n{more}connection: close\r\n\
             content-length: 2\r\n\r\n{{}}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer[9..12].to_owned()
    };
    assert_eq!(status(&address, ""), "201");
    assert_eq!(status("jobs.example.com", ""), "201");
    assert_eq!(status("rebound.example.com", ""), "421");
    assert_eq!(status(&address, "origin: http://evil.example\r\n"), "403");
    assert_eq!(status(&address, &format!("origin: http://{address}\r\n")), "201");
}

#[test]
fn sighup_has_certificate_and_users_read_again() {
    let stage = Stage::new();
    let server = stage.server();
    let certificate = stage.certificate();
    // A new pair, made by another server.
    let others = Stage::new();
    drop(others.server());
    let before = fs::read(&certificate).unwrap();
    fs::copy(others.certificate(), &certificate).unwrap();
    fs::copy(others.path("data/tls/key.pem"), stage.path("data/tls/key.pem")).unwrap();
    let old = stage.path("old.pem");
    fs::write(&old, before).unwrap();
    let works = |trusted: &str| {
        let arguments = ["--user", "alice", "--cacert", trusted];
        stage.export(&server, PASSWORD, &arguments).status.success()
    };
    assert!(works(old.to_str().unwrap()) && !works(&certificate));
    let pid = server.pid().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    let mut tries = 0;
    while !works(&certificate) {
        tries += 1;
        assert!(tries < 50, "the new certificate is not shown");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(!works(old.to_str().unwrap()));
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn no_secret_is_ever_logged() {
    let stage = Stage::new();
    let log = stage.path("log");
    let arguments = ["--tls", "--users", &stage.users(), "--log", "trace"];
    let server = Server::start_logging(&stage.data(), &arguments, File::create(&log).unwrap());
    let certificate = stage.certificate();
    let guess = "a wrong guess";
    for (name, password) in [("alice", PASSWORD), ("alice", guess), ("bob", guess)] {
        stage.export(&server, password, &["--user", name, "--cacert", &certificate]);
    }
    // A file that breaks is complained of, and not shown either.
    let mut users = fs::OpenOptions::new().append(true).open(stage.users()).unwrap();
    users.write_all(b"carol:a plain password\n").unwrap();
    drop(users);
    for _ in 0..2 {
        std::thread::sleep(Duration::from_millis(1_100));
        stage.export(&server, PASSWORD, &["--user", "alice", "--cacert", &certificate]);
    }
    assert_eq!(server.terminate().0, Some(0));
    let logged = fs::read_to_string(&log).unwrap();
    assert!(logged.contains("DEBUG") && logged.contains("/v1/export"), "{logged}");
    assert!(logged.contains("another password") && logged.contains("\"bob\""), "{logged}");
    assert_eq!(logged.matches("no PHC string").count(), 1, "{logged}");
    let hashes = fs::read_to_string(stage.users()).unwrap();
    let hash = hashes.lines().next().unwrap().rsplit_once('$').unwrap().1;
    let key = fs::read_to_string(stage.path("data/tls/key.pem")).unwrap();
    let pair = |name: &str, password: &str| base64(format!("{name}:{password}").as_bytes());
    for secret in [
        PASSWORD.to_owned(),
        guess.to_owned(),
        "a plain password".to_owned(),
        pair("alice", PASSWORD),
        pair("alice", guess),
        pair("bob", guess),
        hash.to_owned(),
        key.lines().nth(1).unwrap().to_owned(),
        "Basic ".to_owned(),
    ] {
        assert!(!logged.contains(&secret), "{secret} is in the log");
    }
}

/// The page tells of options that there are.
#[test]
fn the_first_user_makes_the_folder_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("etc/jobtrack/users");
    let password = folder.path().join("password");
    fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    let output = Command::new(JOBTRACK)
        .args(["user", "add", "alice", "--password-stdin", "--users"])
        .arg(&users)
        .stdin(File::open(&password).unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(fs::read_to_string(&users).unwrap().starts_with("alice:"));
}

#[test]
fn the_pages_name_no_option_that_is_not_there() {
    let pages = concat!(
        include_str!("../../../docs/operating.md"),
        include_str!("../../../docs/security.md")
    );
    // Other programs have options of their own.
    let others = ["useradd", "systemctl", "curl"];
    let is_ours = |line: &&str| others.iter().all(|other| !line.contains(other));
    let page: String = pages.lines().filter(is_ours).map(|line| format!("{line}\n")).collect();
    let commands = [&["serve"][..], &["export"], &["import"], &["user", "add"], &["token", "add"]];
    let helps: String = commands
        .into_iter()
        .map(|command| common::run(&[command, &["--help"]].concat()))
        .map(|output| String::from_utf8(output.stdout).unwrap())
        .collect();
    let is_of_a_name = |letter: char| letter.is_ascii_lowercase() || letter == '-';
    let mut options: Vec<_> = page
        .split("--")
        .skip(1)
        .map(|rest| rest.split(|letter| !is_of_a_name(letter)).next().unwrap())
        // Not the lines of tables.
        .filter(|name| name.starts_with(|letter: char| letter.is_ascii_lowercase()))
        .collect();
    options.sort_unstable();
    options.dedup();
    for option in &options {
        assert!(helps.contains(&format!("--{option}")), "--{option}");
    }
    for option in ["tls", "tls-dir", "tls-name", "tls-cert", "tls-key", "users", "allow-remote"]
        .into_iter()
        .chain(["client-ca", "client-certificates", "allow-host", "page-key", "role", "scope"])
        .chain(["scope-id", "expires", "subject", "no-password"])
    {
        assert!(options.contains(&option), "the page does not tell of --{option}");
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
