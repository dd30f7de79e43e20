//! A server of its own for each test, and a way to speak to it.

// Each test binary uses a part of it.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;

/// The program under test.
pub(crate) const JOBTRACK: &str = env!("CARGO_BIN_EXE_jobtrack");

/// A running server. It is killed when it is dropped.
pub(crate) struct Server {
    process: Child,
    /// What it said on standard output before it was ready.
    pub(crate) said: String,
    pub(crate) url: String,
}

impl Server {
    /// Starts a server on this folder, on a free port, and waits until it listens.
    pub(crate) fn start(folder: &Path, more: &[&str]) -> Server {
        Server::start_logging(folder, more, Stdio::inherit())
    }

    /// The same, with its log going there.
    pub(crate) fn start_logging(folder: &Path, more: &[&str], log: impl Into<Stdio>) -> Server {
        let listen: &[&str] =
            if more.contains(&"--listen") { &[] } else { &["--listen", "127.0.0.1:0"] };
        let mut process = Command::new(JOBTRACK)
            .arg("serve")
            .args(listen)
            .arg("--store")
            .arg(format!("redb:{}", folder.display()))
            .args(more)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut lines = BufReader::new(process.stdout.as_mut().unwrap());
        while !said.contains("\ntry ") {
            assert!(
                lines.read_line(&mut said).unwrap() > 0,
                "the server ended, having said {said}"
            );
        }
        let line = said.lines().find(|line| line.starts_with("listening on")).unwrap();
        let url = line.split_whitespace().last().unwrap().to_owned();
        Server { process, said, url }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// As a power cut would, as far as a process goes.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Sends SIGTERM, and returns the exit status and what was said last.
    pub(crate) fn terminate(mut self) -> (Option<i32>, String) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let mut rest = String::new();
        self.process.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
        (self.process.wait().unwrap().code(), rest)
    }

    /// A call that must succeed.
    pub(crate) fn call(&self, method: &str, path: &str, body: &str) -> Value {
        let (status, answer) =
            call(&agent(), method, &format!("{}{path}", self.url), body).unwrap();
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Keeps its connection between calls.
pub(crate) fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into()
}

/// A call of the native face: status and JSON. An error means that no whole answer came.
pub(crate) fn call(
    agent: &Agent,
    method: &str,
    url: &str,
    body: &str,
) -> Result<(u16, Value), ureq::Error> {
    let mut response = match method {
        "GET" => agent.get(url).call()?,
        "DELETE" => agent.delete(url).call()?,
        _ => agent.post(url).send(body)?,
    };
    let status = response.status().as_u16();
    let text = response.body_mut().with_config().limit(u64::MAX).read_to_string()?;
    Ok((status, serde_json::from_str(&text).unwrap()))
}

/// Runs the program to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(JOBTRACK).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// What a run that must fail said on standard error: one line.
pub(crate) fn refused(arguments: &[&str]) -> String {
    ended_with(1, arguments)
}

/// What a run said that must not reach its server.
pub(crate) fn unreachable(arguments: &[&str]) -> String {
    ended_with(8, arguments)
}

#[track_caller]
fn ended_with(status: i32, arguments: &[&str]) -> String {
    let output = run(arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(status), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

/// A small generator of numbers (splitmix64), the same on every machine.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            a >> 32,
            a >> 16 & 0xffff,
            a & 0xfff,
            b >> 52,
            b & 0xffff_ffff_ffff
        )
    }
}
