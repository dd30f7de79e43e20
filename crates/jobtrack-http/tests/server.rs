//! Slow, greedy and absent-minded clients, and a stop in the middle of things.

// Tests may unwrap, and the lints see no test in helpers. The time measured here is the network's.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use common::{Answer, exchange, request_bytes};
use jobtrack::{ErrorKind, MemoryStore, Store, Tracker};
use jobtrack_http::{Options, ServerOptions, router, serve};
use jobtrack_testkit::{Fault, FaultyStore};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Long enough for a busy machine, short enough to wait for.
const SOON: Duration = Duration::from_millis(300);
/// When "never" is believed.
const LATE: Duration = Duration::from_secs(20);

struct Server {
    runtime: Runtime,
    tracker: Arc<Tracker>,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Server {
    fn start(options: Options, server: ServerOptions) -> Server {
        Server::on(MemoryStore::new(), options, server)
    }

    fn on(store: impl Store + 'static, options: Options, server: ServerOptions) -> Server {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let (tracker, _) = common::tracker(store);
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let router = router(Arc::clone(&tracker), options);
        let (stop, stopped) = oneshot::channel();
        let served = runtime.spawn(serve(listener, router, server, async {
            let _ = stopped.await;
        }));
        Server { runtime, tracker, address, stop, served }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LATE)).unwrap();
        stream
    }

    fn get(&self, target: &str) -> Answer {
        exchange(self.address, &request_bytes("GET", target, &BTreeMap::new(), b""))
    }

    fn post(&self, target: &str, body: &[u8]) -> Answer {
        exchange(self.address, &request_bytes("POST", target, &BTreeMap::new(), body))
    }
}

/// Reads until the other side closes, and says how long that took.
fn closed(stream: &mut TcpStream) -> (Duration, Vec<u8>) {
    let began = Instant::now();
    let mut read = Vec::new();
    match stream.read_to_end(&mut read) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("not closed: {error}"),
    }
    (began.elapsed(), read)
}

#[test]
fn a_transfer_that_drips_makes_room_for_another() {
    let server =
        Server::start(Options { transfers: 1, ..Options::default() }, ServerOptions::default());
    let mut dripping = server.connect();
    let head = "POST /v1/import HTTP/1.1\r\nhost: test\r\ncontent-length: 1000000\r\n\r\n{";
    dripping.write_all(head.as_bytes()).unwrap();
    // At first it is not known to be slow.
    let began = Instant::now();
    while server.get("/v1/export").status != 503 {
        assert!(began.elapsed() < LATE, "the import took no place");
    }
    while server.get("/v1/export").status != 200 {
        assert!(began.elapsed() < LATE, "a drip holds the place for ever");
        dripping.write_all(b" ").unwrap();
    }
    assert!(closed(&mut dripping).1.is_empty());
}

#[test]
fn a_client_that_says_nothing_or_too_little_is_let_go() {
    let options = ServerOptions { head_time: SOON, ..ServerOptions::default() };
    let server = Server::start(Options::default(), options);
    for said in ["", "GET / HT", "GET / HTTP/1.1\r\nhost: test\r\nx-half: "] {
        let mut stream = server.connect();
        stream.write_all(said.as_bytes()).unwrap();
        let (took, answer) = closed(&mut stream);
        assert!(took >= SOON / 2 && took < LATE, "{said:?}: {took:?}");
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{said:?}");
    }
    // The time is for the whole head: a byte now and then buys no more of it.
    let mut stream = server.connect();
    let began = Instant::now();
    while stream.write_all(b"G").is_ok() {
        thread::sleep(SOON / 10);
        assert!(began.elapsed() < LATE, "a dripping head is read for ever");
    }
    // Between two requests it is the same.
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    let (took, answer) = closed(&mut stream);
    assert!(took >= SOON / 2 && answer.starts_with(b"HTTP/1.1 200"), "{took:?}");
}

#[test]
fn a_body_that_stalls_is_refused() {
    let options = Options { body_pause: SOON, ..Options::default() };
    let server = Server::start(options, ServerOptions::default());
    for target in ["/v1/jobs", "/v1/import"] {
        let mut stream = server.connect();
        let head = format!("POST {target} HTTP/1.1\r\nhost: test\r\ncontent-length: 100\r\n\r\n{{");
        stream.write_all(head.as_bytes()).unwrap();
        let (took, answer) = closed(&mut stream);
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains("\"kind\":\"body_too_slow\""), "{answer}");
        assert!(took >= SOON / 2);
    }
    assert_eq!(server.tracker.counts().unwrap().total(), 0);
}

#[test]
fn connections_beyond_the_limit_wait_for_their_turn() {
    let options = ServerOptions { connections: 2, head_time: SOON, ..ServerOptions::default() };
    let server = Server::start(Options::default(), options);
    let idle: Vec<_> = (0..50).map(|_| server.connect()).collect();
    // All before it say nothing and are let go in turn, two at a time.
    assert_eq!(server.get("/").status, 200);
    drop(idle);
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn idle_clients_make_room_for_who_asks() {
    let options =
        ServerOptions { connections: 4, head_time: 10 * LATE, ..ServerOptions::default() };
    let server = Server::start(Options::default(), options);
    // One says nothing, one half of a head, the others ask once and keep their connections.
    let silent = server.connect();
    let mut half = server.connect();
    half.write_all(b"GET / HTTP/1.1\r\nhost: te").unwrap();
    let mut idle = Vec::new();
    for _ in 0..2 {
        let mut stream = server.connect();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        idle.push(stream);
    }
    for _ in 0..8 {
        assert_eq!(server.get("/").status, 200);
    }
    drop((silent, half, idle));
}

#[test]
fn who_sends_a_body_slowly_makes_room_as_well() {
    let server = Server::start(
        Options { body_pause: 10 * LATE, ..Options::default() },
        ServerOptions { connections: 2, ..ServerOptions::default() },
    );
    let slow: Vec<_> = (0..2)
        .map(|_| {
            let mut stream = server.connect();
            let head = "POST /v1/jobs HTTP/1.1\r\nhost: test\r\ncontent-length: 100\r\n\r\n{";
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    assert_eq!(server.get("/").status, 200);
    drop(slow);
}

#[test]
fn a_connection_grows_old_between_requests_and_is_told_so() {
    let options = ServerOptions { age: SOON, head_time: LATE, ..ServerOptions::default() };
    let server = Server::start(Options::default(), options);
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    let (took, answer) = closed(&mut stream);
    assert!(took >= SOON / 2 && took < LATE && answer.starts_with(b"HTTP/1.1 200"), "{took:?}");
}

#[test]
fn a_client_that_stops_reading_is_let_go() {
    let options = ServerOptions { connections: 1, write_pause: SOON, ..ServerOptions::default() };
    let server = Server::start(Options::default(), options);
    // More than the buffers of both sides hold.
    let text = "x".repeat(1_000);
    let mut lines = String::new();
    for n in 0..20_000 {
        lines.push_str(&format!(
            "{{\"uuid\":\"{n:08x}-0000-4000-8000-000000000000\",\"description\":\"{text}\"}}\n"
        ));
    }
    let imported = server.post("/v1/import", lines.as_bytes());
    assert_eq!(imported.json()["imported"], 20_000);
    let mut stream = server.connect();
    stream.write_all(b"GET /v1/export HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    // There is one connection, and its reader sleeps: this answer waits for its end.
    assert_eq!(server.get("/v1/counts").json()["total"], 20_000);
    let (_, answer) = closed(&mut stream);
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    assert!(
        common::unchunk(&answer[head + 4..]).is_err(),
        "the export was cut, and does not show it"
    );
}

#[test]
fn a_stop_lets_requests_end() {
    let server = Server::start(Options::default(), ServerOptions::default());
    let mut stream = server.connect();
    let body = br#"{"description": "Backup"}"#;
    let head =
        format!("POST /v1/jobs HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body[..5]).unwrap();
    let idle = server.connect();
    thread::sleep(SOON);
    server.stop.send(()).unwrap();
    thread::sleep(SOON);
    assert!(TcpStream::connect(server.address).is_err(), "connections are still taken");
    stream.write_all(&body[5..]).unwrap();
    let (_, answer) = closed(&mut stream);
    assert!(answer.starts_with(b"HTTP/1.1 201 "), "{:?}", String::from_utf8_lossy(&answer));
    server.runtime.block_on(server.served).unwrap();
    drop(idle);
    assert_eq!(server.tracker.counts().unwrap().total(), 1);
}

#[test]
fn a_stop_waits_no_longer_than_its_grace() {
    let options = ServerOptions { grace: SOON, ..ServerOptions::default() };
    let server = Server::start(Options::default(), options);
    let mut stream = server.connect();
    stream
        .write_all(b"POST /v1/jobs HTTP/1.1\r\nhost: test\r\ncontent-length: 9\r\n\r\n{")
        .unwrap();
    thread::sleep(SOON);
    let began = Instant::now();
    server.stop.send(()).unwrap();
    server.runtime.block_on(server.served).unwrap();
    assert!(began.elapsed() >= SOON / 2 && began.elapsed() < LATE);
    assert_eq!(server.tracker.counts().unwrap().total(), 0);
}

#[test]
fn an_import_comes_in_chunks_of_any_size() {
    let server = Server::start(Options::default(), ServerOptions::default());
    let lines: String = (0..1_200)
        .map(|n| format!("{{\"uuid\":\"{n:08x}-0000-4000-8000-000000000000\"}}\r\n"))
        .collect();
    let mut stream = server.connect();
    let head = "POST /v1/import HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\
                connection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut rest = lines.as_bytes();
    let mut size = 1;
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(size.min(rest.len()));
        stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).unwrap();
        stream.write_all(chunk).unwrap();
        stream.write_all(b"\r\n").unwrap();
        rest = after;
        size = (size * 3 + 1) % 5_003 + 1;
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    let (_, answer) = closed(&mut stream);
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.contains("{\"imported\":1200,"), "{answer}");
    // And back again: what is exported can be imported elsewhere.
    let exported = server.get("/v1/export");
    assert_eq!(exported.headers["content-type"], "application/x-ndjson");
    assert_eq!(exported.text().lines().count(), 1_200);
    let other = Server::start(Options::default(), ServerOptions::default());
    assert_eq!(other.post("/v1/import", &exported.body).json()["imported"], 1_200);
    let only = server.get("/v1/export?uuid=00000000-0000-4000-8000-000000000000");
    assert_eq!(only.text().lines().count(), 1);
    assert_eq!(server.get("/v1/export?max_records=1").status, 400);
}

#[test]
fn a_body_without_a_length_has_a_limit_too() {
    let server = Server::start(
        Options { body_bytes: 1_000, line_bytes: 1_000, ..Options::default() },
        ServerOptions::default(),
    );
    let send = |target: &str| {
        let chunk = "x".repeat(1_001);
        let bytes = format!(
            "POST {target} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
             transfer-encoding: chunked\r\n\r\n3e9\r\n{chunk}\r\n0\r\n\r\n"
        );
        exchange(server.address, bytes.as_bytes())
    };
    let answer = send("/v1/jobs");
    assert_eq!((answer.status, &answer.json()["kind"]), (413, &"body_too_large".into()));
    // An import has no limit on its length, but on that of each line.
    let answer = send("/v1/import");
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json()["bad"][0]["error"],
        "the line is 1001 bytes long, at most 1000 may be"
    );
}

#[test]
fn a_request_that_can_be_read_in_two_ways_is_refused() {
    let server = Server::start(Options::default(), ServerOptions::default());
    for bytes in [
        "POST /v1/jobs HTTP/1.1\r\nhost: t\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{} ",
        "POST /v1/jobs HTTP/1.1\r\nhost: t\r\ncontent-length: +2\r\n\r\n{}",
        "POST /v1/jobs HTTP/1.1\r\nhost: t\r\ntransfer-encoding: gzip\r\n\r\n{}",
        "POST /v1/jobs HTTP/1.1\r\nhost : t\r\n\r\n",
        "POST  /v1/jobs HTTP/1.1\r\n\r\n",
        "POST /v1/jobs\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{fc}",
    ] {
        let mut stream = server.connect();
        stream.write_all(bytes.as_bytes()).unwrap();
        let (_, answer) = closed(&mut stream);
        assert!(answer.starts_with(b"HTTP/1.1 400 "), "{bytes:?}: {answer:?}");
    }
    assert_eq!(server.tracker.counts().unwrap().total(), 0);
}

#[test]
fn what_a_failing_disk_leaves_open_is_said() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let server = Server::on(Arc::clone(&store), Options::default(), ServerOptions::default());
    let refused = |status: u16, kind: &str| {
        let answer = server.post("/v1/jobs", b"{}");
        assert_eq!((answer.status, &answer.json()["kind"]), (status, &kind.into()));
    };
    store.fail_commit(1, Fault::Failed(ErrorKind::StoreFull));
    refused(507, "store_full");
    assert_eq!(server.post("/v1/jobs", b"{}").status, 201);

    // An import that cannot be stored is no matter of its lines.
    store.fail_commit(1, Fault::Failed(ErrorKind::StoreFull));
    let answer = server.post("/v1/import", common::JOBS.as_bytes());
    assert_eq!((answer.status, &answer.json()["kind"]), (507, &"store_full".into()));
    assert!(answer.text().contains("line 1: "), "{}", answer.text());

    store.fail_commit(1, Fault::Unknown { was_written: true });
    refused(500, "outcome_unknown");
    refused(503, "unsettled");
    let id = server.get("/v1/jobs").json()["records"][0]["uuid"].as_str().unwrap().to_owned();
    let target = format!("/api/cluster/jobs/{id}?action=cancel");
    let bytes = request_bytes("PATCH", &target, &BTreeMap::new(), b"");
    let answer = exchange(server.address, &bytes);
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (503, &"458773".into()));
    // What is known is answered as ever.
    assert_eq!(server.get("/v1/counts").json()["total"], 1);
}
