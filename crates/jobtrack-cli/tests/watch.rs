//! A watch held over stops and kills of the real server: what it was told adds up to the listing.

// The helpers of tests are a part of them; how long the network takes is no time of jobs.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(30);

/// The server as a process; one that a failing test leaves behind is killed.
struct Server {
    process: Child,
    url: String,
    /// Held, since a server whose output nobody takes any more cannot end in order.
    _output: BufReader<ChildStdout>,
}

impl Server {
    fn start(store: &Path, listen: &str) -> Server {
        let mut process = Command::new(env!("CARGO_BIN_EXE_jobtrack"))
            .args(["serve", "--listen", listen, "--store"])
            .arg(format!("redb:{}", store.display()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let url = loop {
            let mut line = String::new();
            assert!(output.read_line(&mut line).unwrap() > 0, "it does not say where it listens");
            if let Some(url) = line.trim_end().strip_prefix("listening on  ") {
                break url.to_owned();
            }
        };
        Server { process, url, _output: output }
    }

    /// Where it listens, to listen there again.
    fn address(&self) -> String {
        self.url.trim_start_matches("http://").to_owned()
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn terminate(mut self) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let begun = Instant::now();
        while self.process.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < LONG, "it does not stop");
            thread::sleep(Duration::from_millis(5));
        }
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A listing kept in step by events, as a web page does it: revisions by uuid.
#[derive(Default)]
struct Page {
    jobs: BTreeMap<String, String>,
    last_event_id: String,
    events: usize,
    gaps: usize,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

impl Page {
    /// Follows until the connection ends, however it does, or until it is done.
    fn follow(&mut self, url: &str, is_done: impl Fn(&Page) -> bool) {
        let request = ureq::get(format!("{url}/v1/watch?fields=revision"))
            .header("last-event-id", &self.last_event_id);
        let Ok(response) = request.call() else { return };
        let lines = BufReader::new(response.into_body().into_reader()).lines();
        let (mut id, mut name, mut data) = (String::new(), String::new(), None);
        for line in lines {
            // What a killed server leaves of an event is none: its empty line is missing.
            let Ok(line) = line else { return };
            match line.split_once(": ") {
                Some(("id", value)) => value.clone_into(&mut id),
                Some(("event", value)) => value.clone_into(&mut name),
                Some(("data", value)) => data = Some(value.to_owned()),
                None if line.is_empty() => {
                    self.last_event_id.clone_from(&id);
                    if let Some(data) = data.take() {
                        self.apply(url, &name, &serde_json::from_str(&data).unwrap());
                    }
                    if is_done(self) {
                        return;
                    }
                }
                _ => {}
            }
        }
    }

    fn apply(&mut self, url: &str, name: &str, data: &Value) {
        self.events += 1;
        match name {
            "in" | "changed" => {
                drop(self.jobs.insert(text(&data["uuid"]), text(&data["revision"])));
            }
            "out" | "gone" => drop(self.jobs.remove(&text(&data["uuid"]))),
            "gap" => {
                self.gaps += 1;
                self.jobs = list(url).0;
            }
            other => panic!("{other}"),
        }
    }
}

/// All jobs, and the revision at which they were listed.
fn list(url: &str) -> (BTreeMap<String, String>, String) {
    let response = ureq::get(format!("{url}/v1/jobs?fields=revision")).call().unwrap();
    let page: Value = serde_json::from_reader(response.into_body().into_reader()).unwrap();
    let records = page["records"].as_array().unwrap();
    let jobs = records.iter().map(|job| (text(&job["uuid"]), text(&job["revision"]))).collect();
    (jobs, text(&page["revision"]))
}

/// Makes, changes, ends and deletes jobs until the server is gone.
fn work(url: &str, name: &str) {
    for n in 0.. {
        let body = format!(r#"{{"description": "{name} {n}"}}"#);
        let created = answered(ureq::post(format!("{url}/v1/jobs")).send(body));
        let created = created.map(|response| response.into_body().into_reader());
        let created = created.map(serde_json::from_reader::<_, Value>);
        let Some(Ok(created)) = created else { return };
        let job = format!("{url}/v1/jobs/{}", text(&created["uuid"]));
        let steps = [
            ("start", "{}"),
            ("report", r#"{"message": "half"}"#),
            ("finish", r#"{"state": "failure"}"#),
        ];
        for (step, body) in steps.into_iter().take(n % 4) {
            if answered(ureq::post(format!("{job}/{step}")).send(body)).is_none() {
                return;
            }
        }
        if n % 8 == 3 && answered(ureq::delete(&job).call()).is_none() {
            return;
        }
    }
}

/// The answer, unless the server is gone. What it refuses is a fault of the test.
fn answered<T>(outcome: Result<T, ureq::Error>) -> Option<T> {
    match outcome {
        Err(ureq::Error::StatusCode(status)) => panic!("refused with {status}"),
        outcome => outcome.ok(),
    }
}

#[test]
fn over_kills_and_stops_a_watch_adds_up_to_the_listing() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("data");
    let mut server = Server::start(&store, "127.0.0.1:0");
    let (url, address) = (server.url.clone(), server.address());
    let (jobs, revision) = list(&url);
    let mut page = Page { jobs, last_event_id: revision, ..Page::default() };
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let (url, stop) = (&url, &stop);
        let follower = scope.spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                page.follow(url, |_| stop.load(Ordering::SeqCst));
                thread::sleep(Duration::from_millis(2));
            }
            page
        });
        for round in 0..6 {
            let workers = [0, 1].map(|worker| {
                scope.spawn(move || work(url, &format!("round {round}, worker {worker}")))
            });
            thread::sleep(Duration::from_millis(250));
            if round % 3 == 2 {
                server.terminate();
            } else {
                server.kill();
            }
            workers.into_iter().for_each(|worker| worker.join().unwrap());
            server = Server::start(&store, &address);
        }
        stop.store(true, Ordering::SeqCst);
        // An event more, so that the follower sees that it is to stop.
        ureq::post(format!("{url}/v1/jobs")).send(r#"{"description": "the last"}"#).unwrap();
        let mut page = follower.join().unwrap();
        let (listed, _) = list(url);
        let begun = Instant::now();
        while page.jobs != listed {
            assert!(begun.elapsed() < LONG, "{:?} is not {listed:?}", page.jobs);
            page.follow(url, |page| page.jobs == listed || begun.elapsed() > LONG);
        }
        assert_eq!(page.gaps, 0, "every change that was told is in the store");
        assert!(page.events > listed.len(), "{} events for {} jobs", page.events, listed.len());
        println!("{} events, {} jobs", page.events, listed.len());
    });
}
