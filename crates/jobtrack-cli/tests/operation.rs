//! The server as operators and service managers know it: settings, health, signals, sockets, logs.

// Tests may unwrap, and the lints see no test in helpers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
// Time is how long to wait for another process here.
#![allow(clippy::disallowed_methods)]

mod common;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{JOBTRACK, run};
use serde_json::Value;

/// A server that has said what it says when it is ready. It is killed when it is dropped.
struct Serving {
    process: Child,
    said: String,
}

impl Serving {
    fn start(command: &mut Command) -> Serving {
        let mut serving = Serving::begin(command);
        serving.read_until("try ");
        serving
    }

    fn begin(command: &mut Command) -> Serving {
        let process = command.stdout(Stdio::piped()).spawn().unwrap();
        Serving { process, said: String::new() }
    }

    /// Reads what it says up to the line that begins so.
    fn read_until(&mut self, word: &str) {
        // A byte at a time, since what comes behind is for the next reader.
        let output = self.process.stdout.as_mut().unwrap();
        let mut byte = [0];
        while !self.said.lines().any(|line| line.starts_with(word)) || !self.said.ends_with('\n') {
            assert!(output.read(&mut byte).unwrap() > 0, "it ended, having said {}", self.said);
            self.said.push(char::from(byte[0]));
        }
    }

    fn place(&self, word: &str) -> String {
        let line = self.said.lines().find_map(|line| line.strip_prefix(word)).unwrap();
        line.trim().rsplit("//").next().unwrap().to_owned()
    }

    fn address(&self) -> String {
        self.place("listening on")
    }

    fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    fn ended(&mut self) -> Option<i32> {
        self.process.wait().unwrap().code()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn serve(more: &[&str]) -> Command {
    let mut command = Command::new(JOBTRACK);
    command.args(["serve", "--listen", "127.0.0.1:0", "--store", "memory:"]).args(more);
    command
}

/// A request on a connection of its own: the head and the body of the answer.
fn ask(mut stream: impl Read + Write, request: &str) -> (String, String) {
    let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
    let head = head.replace('\n', "\r\n");
    let length = body.len();
    let request = format!(
        "{head}\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    (head.to_ascii_lowercase(), body.to_owned())
}

fn get(address: &str, path: &str) -> (u16, String) {
    let (head, body) = ask(TcpStream::connect(address).unwrap(), &format!("GET {path} HTTP/1.1"));
    (status(&head), body)
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Waits until this is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_counts_is_the_flag_then_the_variable_then_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jobtrack.toml");
    let written =
        "retention = '1h'\nlease = '2m'\nconnections = 9\nlost = ['queue:3', 'a=leave']\n";
    fs::write(&file, written).unwrap();
    let output = Command::new(JOBTRACK)
        .args(["config", "--retention", "3h", "--config"])
        .arg(&file)
        .env("JOBTRACK_RETENTION", "2h")
        .env("JOBTRACK_LEASE", "5m")
        .env("JOBTRACK_DEMO", "true")
        // Nothing is as good as not set.
        .env("JOBTRACK_CONNECTIONS", "")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let settings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let setting = |name: &str| {
        let found = settings.iter().find(|setting| setting["setting"] == name).unwrap();
        let place = found["place"].as_str().unwrap_or_default();
        (found["value"].to_string(), found["source"].as_str().unwrap(), place.to_owned())
    };
    let in_file = |line: usize| format!("{}:{line}", file.display());
    let of = |value: &str, source, place: &str| (value.to_owned(), source, place.to_owned());
    assert_eq!(setting("retention"), of("\"3h\"", "command line", ""));
    assert_eq!(setting("lease"), of("\"5m\"", "environment", "JOBTRACK_LEASE"));
    assert_eq!(setting("demo"), of("true", "environment", "JOBTRACK_DEMO"));
    assert_eq!(setting("connections"), of("\"9\"", "file", &in_file(3)));
    assert_eq!(setting("lost"), of("[\"queue:3\",\"a=leave\"]", "file", &in_file(4)));
    // One default follows from another setting.
    assert_eq!(setting("store"), of("\"memory:\"", "default", ""));
    assert_eq!(setting("users"), of("null", "default", ""));
}

#[test]
fn a_file_is_checked_whole_and_serve_refuses_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobtrack.toml");
    let file = path.display().to_string();
    fs::write(&path, "listen = '127.0.0.1:0'\nretension = '1h'\nlease = 'soon'\n").unwrap();
    let checked = run(&["config", "check", &file]);
    assert_eq!(checked.status.code(), Some(2));
    let said = String::from_utf8(checked.stderr).unwrap();
    let lines: Vec<_> = said.lines().collect();
    let expected =
        format!("jobtrack: {file}:2: there is no setting \"retension\"; is retention meant?");
    assert_eq!(lines[0], expected);
    assert!(lines[1].starts_with(&format!("jobtrack: {file}:3: lease = \"soon\": ")), "{said}");
    let served = run(&["serve", "--config", &file]);
    assert_eq!(served.status.code(), Some(2));
    let said = String::from_utf8(served.stderr).unwrap();
    assert!(said.starts_with(&expected) && said.lines().count() == 1, "{said}");

    fs::write(&path, "listen = '127.0.0.1:0'\nstore = 'memory:'\n").unwrap();
    assert!(run(&["config", "check", &file]).status.success());
    let serving = Serving::start(Command::new(JOBTRACK).args(["serve", "--config", &file]));
    assert_eq!(get(&serving.address(), "/v1/counts").0, 200);
    let wrong =
        Command::new(JOBTRACK).arg("serve").env("JOBTRACK_CONNECTIONS", "many").output().unwrap();
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert!(said.starts_with("jobtrack: JOBTRACK_CONNECTIONS=many: "), "{said}");
}

#[test]
fn a_server_that_opens_its_store_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let store = format!("redb:{}", path.display());
    // Enough that a build without optimisation takes its time to read them.
    let jobs = folder.path().join("jobs");
    let mut lines = String::new();
    for n in 0..20_000 {
        let uuid = format!("00000000-0000-7000-8000-{n:012x}");
        lines.push_str(&format!(
            "{{\"uuid\": \"{uuid}\", \"description\": \"Backup of vol{n}\"}}\n"
        ));
    }
    fs::write(&jobs, lines).unwrap();
    let imported = run(&["import", jobs.to_str().unwrap(), "--store", &store]);
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));

    // One that is free: where it listens is told only once it serves.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut command = Command::new(JOBTRACK);
    command.args(["serve", "--listen", &address, "--store", &store]);
    let mut serving = Serving::begin(&mut command);
    serving.read_until("opening");
    until("it listens", || TcpStream::connect(&address).is_ok());
    let (status_now, body) = get(&address, "/readyz");
    assert_eq!((status_now, &*body), (503, "not ready: the store is being opened\n"));
    assert_eq!(get(&address, "/livez").0, 200);
    let stream = TcpStream::connect(&address).unwrap();
    let (head, body) = ask(stream, "GET /v1/jobs HTTP/1.1");
    if status(&head) == 503 {
        assert!(head.contains("\r\nretry-after: "), "{head}");
        assert!(body.contains("\"not_open\""), "{body}");
    }
    until("it opens", || get(&address, "/readyz") == (200, "ready\n".to_owned()));
    let (_, counts) = get(&address, "/v1/counts");
    assert!(counts.contains("20000"), "{counts}");
    assert_eq!(get(&address, "/livez").0, 200);
    let version =
        format!("{{\"name\":\"jobtrack\",\"version\":\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(get(&address, "/version"), (200, version));
}

#[test]
fn a_stop_lets_balancers_notice_and_watchers_come_again() {
    let mut serving = Serving::start(&mut serve(&["--drain", "2s"]));
    let address = serving.address();
    let mut watcher = TcpStream::connect(&address).unwrap();
    watcher.write_all(b"GET /v1/watch HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut watched = BufReader::new(watcher);
    let mut line = String::new();
    while !line.starts_with("id: ") {
        line.clear();
        assert!(watched.read_line(&mut line).unwrap() > 0);
    }
    assert_eq!(get(&address, "/readyz").0, 200);
    serving.signal("-TERM");
    until("it is not ready", || get(&address, "/readyz").0 == 503);
    assert_eq!(get(&address, "/readyz").1, "not ready: the server is about to stop\n");
    // Meanwhile all else is as before.
    assert_eq!(get(&address, "/v1/counts").0, 200);
    let mut rest = String::new();
    watched.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("\nretry: 2000\n"), "{rest}");
    assert!(rest.ends_with("0\r\n\r\n"), "the answer ends in order: {rest:?}");
    assert_eq!(serving.ended(), Some(0));
    assert!(TcpStream::connect(&address).is_err());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (signal, status) in [("-TERM", 143), ("-INT", 130)] {
        let mut serving = Serving::start(&mut serve(&["--drain", "1h"]));
        let address = serving.address();
        serving.signal(signal);
        until("it is not ready", || get(&address, "/readyz").0 == 503);
        serving.signal(signal);
        assert_eq!(serving.ended(), Some(status));
    }
}

#[test]
fn a_unix_socket_is_served_and_goes_with_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobtrack.sock");
    let name = path.to_str().unwrap();
    let start = || {
        let mut command = Command::new(JOBTRACK);
        command.args(["serve", "--listen", "none", "--unix", name, "--store", "memory:"]);
        Serving::start(&mut command)
    };
    let counts = || ask(UnixStream::connect(&path).unwrap(), "GET /v1/counts HTTP/1.1").0;
    let mut serving = start();
    assert_eq!(status(&counts()), 200);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(serving.said.contains(&format!("listening on  unix:{name}")), "{}", serving.said);
    serving.signal("-TERM");
    assert_eq!(serving.ended(), Some(0));
    assert!(!path.exists());
    // What a killed one leaves behind is in nobody's way.
    let mut serving = start();
    serving.process.kill().unwrap();
    serving.ended();
    assert!(path.exists());
    let _serving = start();
    assert_eq!(status(&counts()), 200);
}

#[test]
fn what_is_for_administration_is_on_its_own_listener_alone() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("admin");
    let serving = Serving::start(&mut serve(&["--admin", &format!("unix:{}", socket.display())]));
    let address = serving.address();
    let admin = |path: &str| {
        let (head, body) =
            ask(UnixStream::connect(&socket).unwrap(), &format!("GET {path} HTTP/1.1"));
        (status(&head), body)
    };
    for path in ["/metrics", "/healthz", "/v1/backup"] {
        assert_eq!(get(&address, path).0, 404, "{path}");
        assert_eq!(admin(path).0, 200, "{path}");
    }
    for path in ["/livez", "/readyz", "/version", "/v1/counts"] {
        assert_eq!((get(&address, path).0, admin(path).0), (200, 200), "{path}");
    }
    let health: Value = serde_json::from_str(&admin("/healthz").1).unwrap();
    assert_eq!((&health["ready"], &health["store"]["jobs"]), (&true.into(), &0.into()));
    let metrics = admin("/metrics").1;
    let line = "jobtrack_http_requests_total{method=\"GET\",route=\"/v1/counts\",status=\"2xx\"} 2";
    assert!(metrics.contains(line), "{metrics}");
    assert!(metrics.contains("\njobtrack_ready 1\n"), "{metrics}");

    let refused =
        run(&["serve", "--store", "memory:", "--listen", "127.0.0.1:0", "--admin", "0.0.0.0:0"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("--admin: 0.0.0.0:0 can be reached from other machines"), "{said}");
}

#[test]
fn metrics_are_for_users_where_there_are_users() {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users");
    let name = users.to_str().unwrap();
    let mut added = Command::new(JOBTRACK)
        .args(["user", "add", "alice", "--users", name, "--password-stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    writeln!(added.stdin.take().unwrap(), "correct horse").unwrap();
    assert!(added.wait().unwrap().success());
    let serving = Serving::start(&mut serve(&["--users", name]));
    let address = serving.address();
    for path in ["/metrics", "/healthz", "/v1/counts"] {
        assert_eq!(get(&address, path).0, 401, "{path}");
    }
    // Those who probe have no password, and learn nothing but that.
    for path in ["/livez", "/readyz", "/version"] {
        assert_eq!(get(&address, path).0, 200, "{path}");
    }
    let login = "authorization: Basic YWxpY2U6Y29ycmVjdCBob3JzZQ==";
    let request = format!("GET /metrics HTTP/1.1\n{login}");
    let (head, metrics) = ask(TcpStream::connect(&address).unwrap(), &request);
    assert_eq!(status(&head), 200);
    let line = "jobtrack_refusals_total{kind=\"unauthorized\"} 3";
    assert!(metrics.contains(line), "{metrics}");
}

#[test]
fn a_socket_that_systemd_opened_is_served() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // As systemd passes it: the third descriptor, and variables that name the process.
    let script = "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";
    let mut command = Command::new("sh");
    command
        .args(["-c", script, "sh", JOBTRACK, "serve", "--store", "memory:"])
        .stdin(Stdio::from(OwnedFd::from(listener)));
    let mut serving = Serving::start(&mut command);
    assert_eq!(serving.address(), address);
    assert_eq!(get(&address, "/v1/counts").0, 200);
    serving.signal("-TERM");
    assert_eq!(serving.ended(), Some(0));

    // One that other machines reach is refused as if it were made here.
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let refused = Command::new("sh")
        .args(["-c", script, "sh", JOBTRACK, "serve", "--store", "memory:"])
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .output()
        .unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("can be reached from other machines"), "{said}");
}

#[test]
fn systemd_is_told_what_happens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let next = || {
        let mut buffer = [0; 1024];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    let mut command = serve(&[]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "300000");
    let mut serving = Serving::start(&mut command);
    let mut told = next();
    while !told.contains("WATCHDOG=1") {
        told.push_str(&next());
    }
    let at = |word: &str| told.find(word).unwrap_or_else(|| panic!("{word}: {told}"));
    assert!(at("STATUS=opening the store\n") < at("READY=1\n"), "{told}");
    assert!(at("READY=1\n") <= at("WATCHDOG=1\n"), "{told}");

    serving.signal("-HUP");
    let mut told = next();
    while !told.contains("READY=1\n") {
        told.push_str(&next());
    }
    assert!(told.contains("RELOADING=1\nMONOTONIC_USEC="), "{told}");
    serving.signal("-TERM");
    while !told.contains("STOPPING=1\n") {
        told.push_str(&next());
    }
    assert_eq!(serving.ended(), Some(0));
}

/// A server whose log goes to a file.
fn logging(folder: &Path, more: &[&str]) -> (Serving, PathBuf) {
    let path = folder.join("log");
    let mut command = serve(more);
    command.stderr(File::create(&path).unwrap());
    (Serving::start(&mut command), path)
}

#[test]
fn a_request_is_one_line_with_its_id() {
    let folder = tempfile::tempdir().unwrap();
    let (serving, log) = logging(folder.path(), &["--log", "info", "--log-format", "json"]);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = format!(
        "POST /v1/jobs HTTP/1.1\nx-request-id: mine-1\ntraceparent: 00-{trace}-00f067aa0ba902b7-01\
         \n\n{{\"description\": \"a secret name\"}}"
    );
    let (head, _) = ask(TcpStream::connect(serving.address()).unwrap(), &request);
    assert!(head.contains("\r\nx-request-id: mine-1"), "{head}");
    let odd = "GET /v1/jobs/none?description=secret HTTP/1.1\nx-request-id: \"odd\" id";
    let (head, _) = ask(TcpStream::connect(serving.address()).unwrap(), odd);
    let made = head.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap();
    assert_eq!(made.len(), 32, "{head}");
    let lines = || -> Vec<Value> {
        let text = fs::read_to_string(&log).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["message"] == "answered").collect()
    };
    until("both are logged", || lines().len() == 2);
    let lines = lines();
    assert_eq!(lines[0]["route"], "/v1/jobs");
    assert_eq!((&lines[0]["status"], &lines[1]["status"]), (&201.into(), &400.into()));
    assert_eq!(lines[0]["span"]["id"], "mine-1");
    assert_eq!(lines[0]["span"]["trace"], trace);
    assert_eq!(lines[1]["span"]["id"], made);
    assert!(lines[0]["milliseconds"].as_f64().unwrap() > 0.0);
    assert!(!fs::read_to_string(&log).unwrap().contains("secret"));
}

#[test]
fn nothing_secret_and_no_line_of_a_stranger_is_logged() {
    let folder = tempfile::tempdir().unwrap();
    let (serving, log) = logging(folder.path(), &["--log", "trace", "--log-requests", "debug"]);
    let address = serving.address();
    let secret = "c2VjcmV0OnBhc3N3b3Jk";
    let request = format!(
        "POST /v1/jobs HTTP/1.1\nauthorization: Basic {secret}\nx-api-key: {secret}\n\n\
         {{\"description\": \"{secret}\"}}"
    );
    assert_eq!(status(&ask(TcpStream::connect(&address).unwrap(), &request).0), 201);
    // A line end in a path cannot be: it is encoded there. In a name it can be.
    let evil = "POST /v1/jobs HTTP/1.1\n\n{\"description\": \"x\\n2026 ERROR forged\\u001b[31m\"}";
    assert_eq!(status(&ask(TcpStream::connect(&address).unwrap(), evil).0), 201);
    until("it is logged", || fs::read_to_string(&log).unwrap().matches("answered").count() == 2);
    let text = fs::read_to_string(&log).unwrap();
    assert!(!text.contains(secret), "{text}");
    assert!(!text.contains("\u{1b}"), "{text}");
    assert!(!text.lines().any(|line| line.starts_with("2026 ERROR")), "{text}");
}

#[test]
fn what_to_log_can_change_while_it_serves() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("jobtrack.toml");
    fs::write(&config, "log = 'warn'\n").unwrap();
    let (serving, log) = logging(folder.path(), &["--config", config.to_str().unwrap()]);
    let address = serving.address();
    assert_eq!(get(&address, "/v1/counts").0, 200);
    assert_eq!(fs::read_to_string(&log).unwrap(), "");
    fs::write(&config, "log = 'info'\nretention = '1h'\n").unwrap();
    serving.signal("-HUP");
    until("it is read", || {
        get(&address, "/v1/counts");
        fs::read_to_string(&log).unwrap().contains("route=\"/v1/counts\"")
    });
    until("the rest is told", || {
        let text = fs::read_to_string(&log).unwrap();
        text.contains("count after the next start: retention")
    });
    // One that is wrong changes nothing, and stops nothing.
    fs::write(&config, "lgo = 'trace'\n").unwrap();
    serving.signal("-HUP");
    until("it is refused", || fs::read_to_string(&log).unwrap().contains("is log meant?"));
    assert_eq!(get(&address, "/v1/counts").0, 200);
}

#[test]
fn the_files_that_a_package_brings_are_right() {
    let dist = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../dist"));
    let checked = run(&["config", "check", dist.join("jobtrack.toml").to_str().unwrap()]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    // Not every machine has systemd's own judge; where it is, it decides.
    if Command::new("systemd-analyze").arg("--version").stdout(Stdio::null()).status().is_err() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let unit = fs::read_to_string(dist.join("systemd/jobtrack.service")).unwrap();
    // The judge wants the program to be there.
    let unit = unit.replace("/usr/bin/jobtrack", JOBTRACK);
    let (service, socket) =
        (folder.path().join("jobtrack.service"), folder.path().join("jobtrack.socket"));
    fs::write(&service, unit).unwrap();
    fs::copy(dist.join("systemd/jobtrack.socket"), &socket).unwrap();
    let analyze = |arguments: &[&str], units: &[&Path]| {
        let output = Command::new("systemd-analyze").args(arguments).args(units).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    analyze(&["verify", "--man=no"], &[&service, &socket]);
    // Of 100; a unit without any confinement has 96.
    analyze(&["security", "--offline=true", "--threshold=20"], &[&service]);
}

#[cfg(feature = "otel")]
/// What was sent to a collector: the head of each request, and its body.
fn collector() -> (String, std::sync::mpsc::Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, sent) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if stream.read_line(&mut head).unwrap() == 0 {
                    return;
                }
            }
            let head = head.to_ascii_lowercase();
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            let mut body = vec![0; length.parse().unwrap()];
            stream.read_exact(&mut body).unwrap();
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
            if sender.send((head, body)).is_err() {
                return;
            }
        }
    });
    (url, sent)
}

#[cfg(feature = "otel")]
#[test]
fn a_trace_that_a_client_has_begun_goes_on_here() {
    let (url, sent) = collector();
    let mut command = serve(&[]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", url).env("OTEL_SERVICE_NAME", "jobs of the night");
    let mut serving = Serving::start(&mut command);
    let address = serving.address();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let uuid = "0198c2a0-0000-7000-8000-000000000001";
    let request = format!(
        "GET /v1/jobs/{uuid} HTTP/1.1\nx-request-id: mine-2\n\
         traceparent: 00-{trace}-00f067aa0ba902b7-01"
    );
    assert_eq!(status(&ask(TcpStream::connect(&address).unwrap(), &request).0), 404);
    // One whose client says that it is not traced is not.
    let untraced = format!("GET /v1/counts HTTP/1.1\ntraceparent: 00-{trace}-00f067aa0ba902b7-00");
    assert_eq!(status(&ask(TcpStream::connect(&address).unwrap(), &untraced).0), 200);
    // What has not been sent is sent at the end.
    serving.signal("-TERM");
    assert_eq!(serving.ended(), Some(0));
    let (head, body) = sent.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
    assert!(head.contains("content-type: application/x-protobuf"), "{head}");
    let has = |bytes: &[u8]| body.windows(bytes.len()).any(|window| window == bytes);
    let bytes = |hex: &str| -> Vec<u8> {
        let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(digit).collect()
    };
    for text in ["GET /v1/jobs/{uuid}", "jobs of the night", "http.route", "mine-2"] {
        assert!(has(text.as_bytes()), "{text}");
    }
    assert!(has(&bytes(trace)) && has(&bytes("00f067aa0ba902b7")));
    assert!(!has(b"/v1/counts") && !has(uuid.as_bytes()));
    assert!(sent.try_recv().is_err());
}

#[cfg(feature = "otel")]
#[test]
fn a_collector_that_is_not_there_holds_up_nobody() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = serve(&["--log", "off"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{nobody}"));
    let mut serving = Serving::start(&mut command);
    assert_eq!(get(&serving.address(), "/v1/counts").0, 200);
    serving.signal("-TERM");
    assert_eq!(serving.ended(), Some(0));
}

#[test]
fn what_is_taken_on_at_a_time_can_be_told() {
    let server = Serving::start(&mut serve(&["--watchers", "0"]));
    let (status, body) = get(&server.address(), "/v1/watch");
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("0 clients watch already"), "{body}");
}

#[test]
fn the_server_opens_as_many_files_as_it_may_and_says_if_that_is_too_few() {
    let limited = |limit: &str| {
        let script = format!("ulimit {limit}; exec \"$0\" \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script, JOBTRACK, "serve"]);
        command.args(["--listen", "127.0.0.1:0", "--store", "memory:"]);
        command.stderr(Stdio::piped());
        command
    };
    let server = Serving::start(&mut limited("-S -n 64"));
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.process.id())).unwrap();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let files: Vec<_> = files.split_whitespace().collect();
    assert_eq!(files[0], files[1], "{files:?}");
    let mut server = Serving::start(&mut limited("-n 100"));
    server.signal("-TERM");
    let mut told = String::new();
    server.process.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert!(told.contains("may open 100 files") && told.contains("LimitNOFILE"), "{told}");
}
