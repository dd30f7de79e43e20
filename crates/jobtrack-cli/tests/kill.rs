//! kill -9 of the server under load.
//!
//! Eight writers change jobs of their own, each change synced and each answer written down here. The
//! server is killed in the middle of it and started again on the same folder, twenty times over.
//! Then every change that was acknowledged must be there. One that was under way may be there or
//! not, but not in part. Nothing else may have changed: above all, running jobs still run.
//!
//! This tests what the process owes. What the disk owes is tested with the stores: a killed process
//! loses nothing that the system has taken, synced or not.

// Tests may unwrap, and the lints see no test in helpers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use common::{Random, Server, agent, call};
use serde_json::{Value, json};

const ROUNDS: u64 = 20;
const WRITERS: u64 = 8;
const SEED: u64 = 0x6a6f_6274_7261_636b;

/// What a change sets. If it is there only in part, no two of these are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    state: &'static str,
    message: String,
    done: Option<u64>,
    code: i64,
}

/// What is known here of one job.
#[derive(Debug, Default)]
struct Known {
    /// As it was last acknowledged; None before its creation was.
    acknowledged: Option<Seen>,
    /// As it will be once the change that was under way is made.
    under_way: Option<Seen>,
}

/// One writer: its jobs live on from round to round.
struct Writer {
    random: Random,
    jobs: BTreeMap<String, Known>,
    steps: u64,
    acknowledged: u64,
}

impl Writer {
    /// Changes jobs until the server does not answer any more.
    fn run(&mut self, url: &str) {
        let agent = agent();
        loop {
            let (id, path, body, next) = self.step();
            let job = self.jobs.entry(id).or_default();
            job.under_way = Some(next);
            // Whatever goes wrong on the way, the change may have been made.
            let Ok((status, answer)) = call(&agent, "POST", &format!("{url}{path}"), &body) else {
                return;
            };
            assert!((200..300).contains(&status), "{path} {body}: {status} {answer}");
            job.acknowledged = job.under_way.take();
            self.acknowledged += 1;
        }
    }

    /// A change that the job's state allows: uuid, path, body, and how the job stands after it.
    fn step(&mut self) -> (String, String, String, Seen) {
        self.steps += 1;
        let n = self.steps;
        let live: Vec<_> = self
            .jobs
            .iter()
            .filter_map(|(id, known)| Some((id, known.acknowledged.as_ref()?)))
            .filter(|(_, seen)| !["success", "failure"].contains(&seen.state))
            .collect();
        if live.len() < 5 || self.random.below(4) == 0 {
            let id = self.random.uuid();
            let message = format!("made {n}");
            let seen = Seen { state: "queued", message: message.clone(), done: None, code: 0 };
            let body = json!({"uuid": id, "message": message}).to_string();
            return (id, "/v1/jobs".to_owned(), body, seen);
        }
        let at = usize::try_from(self.random.below(live.len() as u64)).unwrap();
        let (id, seen) = (live[at].0.clone(), live[at].1.clone());
        let choice = self.random.below(8);
        let (verb, body, next) = match (seen.state, choice) {
            ("queued", _) => ("start", json!({}), Seen { state: "running", ..seen }),
            ("running", 0) => ("pause", json!({}), Seen { state: "paused", ..seen }),
            ("paused", _) => ("resume", json!({}), Seen { state: "running", ..seen }),
            (_, 1) => {
                let message = format!("done {n}");
                let code = i64::try_from(n).unwrap();
                let body = json!({"state": "success", "message": message, "code": code});
                ("finish", body, Seen { state: "success", message, code, ..seen })
            }
            (_, 2) => {
                let message = format!("failed {n}");
                let code = i64::try_from(n).unwrap();
                let body = json!({"state": "failure", "message": message, "code": code});
                ("finish", body, Seen { state: "failure", message, code, ..seen })
            }
            _ => {
                let message = format!("at {n}");
                let body = json!({"message": message, "progress": {"done": n}});
                ("report", body, Seen { message, done: Some(n), ..seen })
            }
        };
        (id.clone(), format!("/v1/jobs/{id}/{verb}"), body.to_string(), next)
    }

    /// Compares what is known with what is found, and goes on from there.
    fn check(&mut self, found: &mut BTreeMap<String, Seen>) {
        self.jobs.retain(|id, known| {
            let found = found.remove(id);
            let is_as_acknowledged = found == known.acknowledged;
            let is_as_under_way = known.under_way.is_some() && found == known.under_way;
            assert!(
                is_as_acknowledged || is_as_under_way,
                "{id} is {found:?}; acknowledged was {:?}, under way {:?}",
                known.acknowledged,
                known.under_way
            );
            *known = Known { acknowledged: found, under_way: None };
            known.acknowledged.is_some()
        });
    }
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("data");
    let mut writers: Vec<_> = (0..WRITERS)
        .map(|number| Writer {
            random: Random(SEED ^ number),
            jobs: BTreeMap::new(),
            steps: number << 32,
            acknowledged: 0,
        })
        .collect();
    let mut random = Random(SEED);
    for round in 0..ROUNDS {
        let server = Server::start(&folder, &["--retention", "30d"]);
        assert_eq!(server.said.contains("unclean stop"), round > 0, "{}", server.said);
        check(&server, &mut writers);
        let before: u64 = writers.iter().map(|writer| writer.acknowledged).sum();
        let url = server.url.clone();
        thread::scope(|scope| {
            for writer in &mut writers {
                scope.spawn(|| writer.run(&url));
            }
            thread::sleep(Duration::from_millis(150 + random.below(250)));
            // The writers end when nobody answers them.
            server.kill();
        });
        let after: u64 = writers.iter().map(|writer| writer.acknowledged).sum();
        assert!(after > before + WRITERS, "round {round} was no load: {} changes", after - before);
    }
    let server = Server::start(&folder, &["--retention", "30d"]);
    check(&server, &mut writers);
    let running = server.call("GET", "/v1/jobs?state=running&return_records=false", "");
    assert!(running["num_records"].as_u64() > Some(0), "no job was left running");
}

/// Reads all jobs and lets every writer find its own; none may be left over.
fn check(server: &Server, writers: &mut [Writer]) {
    let mut found = BTreeMap::new();
    let mut path = Some("/v1/jobs?max_records=5000".to_owned());
    while let Some(next) = path {
        let page = server.call("GET", &next, "");
        for job in page["records"].as_array().unwrap() {
            found.insert(job["uuid"].as_str().unwrap().to_owned(), seen(job));
        }
        path = page["next"].as_str().map(str::to_owned);
    }
    for writer in writers {
        writer.check(&mut found);
    }
    assert!(found.is_empty(), "jobs that nobody made: {found:?}");
}

fn seen(job: &Value) -> Seen {
    let states = ["queued", "running", "paused", "success", "failure"];
    let state = states.into_iter().find(|state| job["state"] == *state).unwrap();
    let ended = ["success", "failure"].contains(&state);
    assert_eq!(job.get("end_time").is_some(), ended, "{job}");
    assert_eq!(job.get("expire_time").is_some(), ended, "{job}");
    assert_eq!(job.get("start_time").is_some(), state != "queued", "{job}");
    Seen {
        state,
        message: job["message"].as_str().unwrap_or("").to_owned(),
        done: job.pointer("/progress/done").and_then(Value::as_u64),
        code: job["code"].as_i64().unwrap(),
    }
}
