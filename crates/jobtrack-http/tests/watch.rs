//! Watching over HTTP, as a browser's `EventSource` does it, and across restarts of the server.

// The helpers of tests are a part of them; how long the network takes is no time of jobs.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]
#![allow(clippy::needless_pass_by_value)]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Request;
use common::{Answer, exchange, request_bytes};
use http_body_util::BodyExt;
use jobtrack::{Command, Durability, Failure, JobId, MemoryStore, NewJob, Store, Success, Tracker};
use jobtrack_http::{Options, ServerOptions, router, serve};
use jobtrack_testkit::{CrashStore, ManualClock};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tower::ServiceExt;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

fn id(n: u128) -> JobId {
    JobId::from_uuid(uuid::Uuid::from_u128(n))
}

fn new(n: u128) -> NewJob {
    NewJob { uuid: Some(id(n)), ..NewJob::default() }
}

fn clock() -> ManualClock {
    ManualClock::new("2026-03-01T10:00:00Z".parse().unwrap())
}

fn open(store: impl Store + 'static, clock: &ManualClock) -> Tracker {
    let options = jobtrack::Options { clock: Arc::new(clock.clone()), ..Default::default() };
    Tracker::open(store, options).unwrap()
}

/// A server on a thread or two of its own.
struct Server {
    tracker: Tracker,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
    runtime: Runtime,
}

impl Server {
    fn start(tracker: Tracker, options: Options) -> Server {
        Server::start_at("127.0.0.1:0".parse().unwrap(), tracker, options)
    }

    fn start_at(address: SocketAddr, tracker: Tracker, options: Options) -> Server {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            // A thread for each watcher would be noticed.
            .max_blocking_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind(address)).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let router = router(Arc::new(tracker.clone()), options);
        // A test that fails drops the sender.
        let stopped = async { drop(stopped.await) };
        let served = runtime.spawn(serve(listener, router, ServerOptions::default(), stopped));
        Server { tracker, address, stop, served, runtime }
    }

    /// Stops it in order, and says how long that took.
    fn stop(self) -> Duration {
        let begun = Instant::now();
        self.stop.send(()).unwrap();
        self.runtime.block_on(self.served).unwrap();
        self.tracker.close().unwrap();
        begun.elapsed()
    }

    fn watch(&self, query: &str) -> Client {
        self.watch_from(query, "")
    }

    fn watch_from(&self, query: &str, last_event_id: &str) -> Client {
        Client::connect(self.address, query, last_event_id)
    }

    fn send(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        let headers: BTreeMap<_, _> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        exchange(self.address, &request_bytes(method, target, &headers, b""))
    }
}

/// What a browser keeps of an event stream.
struct Client {
    stream: BufReader<TcpStream>,
    text: String,
    last_event_id: String,
    has_ended: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct SseEvent {
    name: String,
    id: String,
    data: Value,
}

impl SseEvent {
    /// Its name, and the job as its last digit.
    fn told(&self) -> (&str, u128) {
        let uuid = self.data.get("uuid").map(|uuid| uuid.as_str().unwrap());
        let number = uuid.map_or(0, |uuid| uuid::Uuid::parse_str(uuid).unwrap().as_u128());
        (&self.name, number)
    }
}

impl Client {
    /// Connects and waits for the first sign that it is heard.
    fn connect(address: SocketAddr, query: &str, last_event_id: &str) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let mut headers = String::from("host: test\r\n");
        if !last_event_id.is_empty() {
            headers.push_str(&format!("last-event-id: {last_event_id}\r\n"));
        }
        let request = format!("GET /v1/watch{query} HTTP/1.1\r\n{headers}\r\n");
        (&stream).write_all(request.as_bytes()).unwrap();
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(stream.read_line(&mut head).unwrap() > 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.contains("content-type: text/event-stream\r\n"), "{head}");
        let mut client =
            Client { stream, text: String::new(), last_event_id: String::new(), has_ended: false };
        assert_eq!(client.block().unwrap().0, "", "what comes first is no event");
        assert_ne!(client.last_event_id, "");
        client
    }

    /// The next chunk of the body. Whether there is one.
    fn chunk(&mut self) -> bool {
        let mut size = String::new();
        self.stream.read_line(&mut size).unwrap();
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let mut bytes = vec![0; size + 2];
        self.stream.read_exact(&mut bytes).unwrap();
        self.text.push_str(std::str::from_utf8(&bytes[..size]).unwrap());
        self.has_ended = size == 0;
        size > 0
    }

    /// Name and data of the next block of lines, if the stream goes on.
    fn block(&mut self) -> Option<(String, String)> {
        while !self.text.contains("\n\n") {
            if self.has_ended || !self.chunk() {
                assert_eq!(self.text, "", "the stream ended within an event");
                return None;
            }
        }
        let (block, rest) = self.text.split_once("\n\n").unwrap();
        let (block, rest) = (block.to_owned(), rest.to_owned());
        self.text = rest;
        let (mut name, mut data) = (String::new(), String::new());
        for line in block.lines() {
            match line.split_once(": ").unwrap() {
                ("event", value) => name = value.to_owned(),
                ("id", value) => self.last_event_id = value.to_owned(),
                ("data", value) => data = value.to_owned(),
                ("", _) | ("retry", "2000") => {}
                other => panic!("{other:?}"),
            }
        }
        Some((name, data))
    }

    /// The next event, if the stream goes on.
    fn event(&mut self) -> Option<SseEvent> {
        loop {
            let (name, data) = self.block()?;
            if !data.is_empty() {
                let data = serde_json::from_str(&data).unwrap();
                return Some(SseEvent { name, id: self.last_event_id.clone(), data });
            }
        }
    }

    fn events(&mut self, count: usize) -> Vec<SseEvent> {
        (0..count).map(|_| self.event().unwrap()).collect()
    }

    #[track_caller]
    fn expect(&mut self, expected: &[(&str, u128)]) {
        let events = self.events(expected.len());
        assert_eq!(events.iter().map(SseEvent::told).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn each_transition_is_an_event_with_the_job_and_a_place_to_go_on() {
    let clock = clock();
    let server = Server::start(open(MemoryStore::new(), &clock), Options::default());
    let tracker = &server.tracker;
    let mut watch = server.watch("?state=running&fields=state,message");
    assert_eq!(watch.last_event_id, tracker.revision().to_string());
    tracker.create(new(1)).unwrap();
    tracker.start(id(1)).unwrap();
    tracker.report(id(1), "two\nlines").unwrap();
    let reported = tracker.revision();
    tracker.succeed(id(1), Success::default()).unwrap();
    let events = watch.events(3);
    let told: Vec<_> = events.iter().map(SseEvent::told).collect();
    assert_eq!(told, [("in", 1), ("changed", 1), ("out", 1)]);
    assert_eq!(events[1].id, reported.to_string());
    let uuid = id(1).to_string();
    let job = serde_json::json!({"uuid": uuid, "state": "running", "message": "two\nlines"});
    assert_eq!(events[1].data, job);

    let mut whole = server.watch(&format!("?after={reported}"));
    let ended = whole.event().unwrap();
    let answer = server.send("GET", &format!("/v1/jobs/{uuid}"), &[]);
    assert_eq!(ended.data, answer.json(), "the same as elsewhere");
    clock.advance(Duration::from_secs(300));
    tracker.maintain(1).unwrap();
    let gone = whole.event().unwrap();
    assert_eq!(gone.told(), ("gone", 1));
    let expected = serde_json::json!({
        "uuid": uuid, "how": "expired", "time": "2026-03-01T10:05:00Z", "state": "success",
        "code": 0, "end_time": "2026-03-01T10:00:00Z", "revision": gone.id,
    });
    assert_eq!(gone.data, expected);

    // The header is what a browser adds to the URL it was first given.
    let mut again = server.watch_from(&format!("?after={reported}"), &ended.id);
    again.expect(&[("gone", 1)]);
}

#[test]
fn a_watch_held_over_a_restart_loses_nothing() {
    let clock = clock();
    let store = Arc::new(MemoryStore::new());
    let mut server = Server::start(open(Arc::clone(&store), &clock), Options::default());
    let mut watch = server.watch("?state=running");
    for n in 1..=3 {
        server.tracker.create(new(n)).unwrap();
        server.tracker.start(id(n)).unwrap();
    }
    watch.expect(&[("in", 1), ("in", 2), ("in", 3)]);
    for round in 0..3 {
        let address = server.address;
        let took = server.stop();
        assert!(took < Duration::from_secs(5), "watchers held up the stop: {took:?}");
        assert_eq!(watch.event(), None, "the stream ends in order");
        // What happens before the client is back.
        let tracker = open(Arc::clone(&store), &clock);
        let ended = id(round + 1);
        tracker.fail(ended, Failure::default()).unwrap();
        tracker.create(new(round + 11)).unwrap();
        tracker.start(id(round + 11)).unwrap();
        server = Server::start_at(address, tracker, Options::default());
        watch = Client::connect(address, "?state=running", &watch.last_event_id);
        watch.expect(&[("out", round + 1), ("in", round + 11)]);
        server.tracker.delete(ended).unwrap();
        server.tracker.report(id(round + 11), "on").unwrap();
        watch.expect(&[("changed", round + 11)]);
    }
    server.stop();
}

#[test]
fn a_watch_held_over_a_crash_is_told_of_what_it_took() {
    let clock = clock();
    let store = Arc::new(CrashStore::new());
    let server = Server::start(open(Arc::clone(&store), &clock), Options::default());
    let address = server.address;
    server.tracker.create(new(1)).unwrap();
    let (mut unlucky, mut lucky) = (server.watch(""), server.watch("?uuid=!null"));
    server.tracker.run(Command::start(id(1))).unwrap();
    lucky.expect(&[("changed", 1)]);
    let durable = lucky.last_event_id.clone();
    let deferred = Command::report(id(1), "never was").durability(Durability::Deferred);
    server.tracker.run(deferred).unwrap();
    unlucky.expect(&[("changed", 1), ("changed", 1)]);
    let left = store.crash(0);
    server.stop();

    let server = Server::start_at(address, open(left, &clock), Options::default());
    assert!(!server.tracker.opened().was_clean);
    let mut unlucky = server.watch_from("", &unlucky.last_event_id);
    let gap = unlucky.event().unwrap();
    let now = server.tracker.revision().to_string();
    assert_eq!((gap.told(), &gap.id), (("gap", 0), &now));
    assert_eq!(gap.data, serde_json::json!({ "revision": now }));
    server.tracker.pause(id(1)).unwrap();
    let mut lucky = server.watch_from("", &durable);
    lucky.expect(&[("in", 1)]);
    unlucky.expect(&[("changed", 1)]);
}

#[test]
fn beyond_the_tombstones_a_client_is_told_to_list_again() {
    let clock = clock();
    let store = Arc::new(MemoryStore::new());
    let server = Server::start(open(Arc::clone(&store), &clock), Options::default());
    let mut watch = server.watch("");
    server.tracker.create(new(1)).unwrap();
    watch.expect(&[("in", 1)]);
    server.stop();
    let tracker = open(Arc::clone(&store), &clock);
    tracker.fail(id(1), Failure::default()).unwrap();
    tracker.delete(id(1)).unwrap();
    clock.advance(Duration::from_secs(3_600));
    tracker.maintain(1).unwrap();
    tracker.close().unwrap();
    let server = Server::start(open(store, &clock), Options::default());
    let mut watch = server.watch_from("", &watch.last_event_id);
    watch.expect(&[("gap", 0)]);
}

#[test]
fn many_watch_without_a_thread_of_their_own_and_no_more_than_may() {
    const MOST: usize = 40;
    let options = Options { watchers: MOST, ..Options::default() };
    let server = Server::start(open(MemoryStore::new(), &clock()), options);
    let mut watchers: Vec<_> = (0..MOST).map(|_| server.watch("")).collect();
    let refused = server.send("GET", "/v1/watch", &[]);
    assert_eq!(refused.status, 503);
    assert_eq!(refused.headers.get("retry-after").map(String::as_str), Some("5"));
    assert_eq!(refused.json()["kind"], "too_many_watchers");
    // There are two threads that may block, and they are free.
    assert_eq!(server.send("GET", "/v1/jobs", &[]).status, 200);
    server.tracker.create(new(1)).unwrap();
    for watch in &mut watchers {
        watch.expect(&[("in", 1)]);
    }
    // Who leaves makes room, though nothing is sent meanwhile.
    watchers.pop();
    let begun = Instant::now();
    loop {
        let stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        (&stream).write_all(b"GET /v1/watch HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
        let mut status = String::new();
        BufReader::new(&stream).read_line(&mut status).unwrap();
        if status.starts_with("HTTP/1.1 200") {
            break;
        }
        assert!(begun.elapsed() < LONG, "{status}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_silent_watch_is_told_that_it_is_alive_and_where_it_stands() {
    let options = Options { heartbeat: Duration::from_millis(30), ..Options::default() };
    let server = Server::start(open(MemoryStore::new(), &clock()), options);
    let mut watch = server.watch("?state=running");
    assert_eq!(watch.block(), Some((String::new(), String::new())));
    server.tracker.create(new(1)).unwrap();
    let now = server.tracker.revision().to_string();
    let begun = Instant::now();
    while watch.last_event_id != now {
        assert_eq!(watch.block(), Some((String::new(), String::new())));
        assert!(begun.elapsed() < LONG);
    }
}

/// A client that takes nothing for a while neither holds up commits nor loses anything.
#[test]
fn a_slow_client_is_told_the_rest_once_it_reads() {
    let server = Server::start(open(MemoryStore::new(), &clock()), Options::default());
    let mut watch = server.watch("");
    server.tracker.create(new(1)).unwrap();
    // More than the sockets between them hold, and less than the history keeps.
    const REPORTS: usize = 3_500;
    let text = "x".repeat(4_000);
    for n in 0..REPORTS {
        let report = format!("{n} {text}");
        let command = Command::report(id(1), report.as_str()).durability(Durability::Deferred);
        server.tracker.run(command).unwrap();
    }
    watch.expect(&[("in", 1)]);
    for n in 0..REPORTS {
        let event = watch.event().unwrap();
        let message = event.data["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("{n} ")), "{n}: {}", &message[..8]);
    }
    assert_eq!(watch.last_event_id, server.tracker.revision().to_string());
}

#[test]
fn what_is_wrong_with_a_watch_is_said() {
    let server = Server::start(open(MemoryStore::new(), &clock()), Options::default());
    let cases = [
        ("/v1/watch?after=yesterday", "", "after"),
        ("/v1/watch?after=", "", "after"),
        ("/v1/watch?after=1-1", "7", "Last-Event-ID"),
        ("/v1/watch?order_by=uuid", "", "order_by"),
        ("/v1/watch?colour=red", "", "colour"),
        ("/v1/watch?state=x", "", "state"),
        ("/v1/jobs?after=1-1", "", "after"),
    ];
    for (target, last_event_id, field) in cases {
        let answer = server.send("GET", target, &[("last-event-id", last_event_id)]);
        assert_eq!(answer.status, 400, "{target}");
        assert_eq!(answer.json()["field"], field, "{target}");
    }
    let answer = server.send("POST", "/v1/watch", &[]);
    assert_eq!(answer.status, 405);
    assert_eq!(answer.headers["allow"], "GET, HEAD, OPTIONS");
    let answer = server.send("HEAD", "/v1/watch?state=running", &[]);
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    assert_eq!(server.send("OPTIONS", "/v1/watch", &[]).status, 200);
    assert_eq!(server.send("GET", "/", &[]).json()["watch"], "/v1/watch");
}

/// Without the server around it: in a host's own.
#[test]
fn in_process_a_watch_ends_with_the_tracker() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let tracker = open(MemoryStore::new(), &clock());
    let router = router(Arc::new(tracker.clone()), Options::default());
    let text = runtime.block_on(async {
        let request = Request::get("/v1/watch?state=queued").body(Body::empty()).unwrap();
        let mut body = router.oneshot(request).await.unwrap().into_body();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(first.starts_with(b"retry: 2000\nid: 1-1\n"), "{first:?}");
        tracker.create(new(1)).unwrap();
        tracker.close().unwrap();
        body.collect().await.unwrap().to_bytes()
    });
    let text = std::str::from_utf8(&text).unwrap();
    assert!(text.starts_with("event: in\nid: 1-2\ndata: {\"uuid\":"), "{text}");
    assert!(text.ends_with("}\n\n"), "{text}");
}
