//! The two that are asked, each a process of its own.

use std::future::pending;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header;
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use jobtrack_benches::{Jobs, Shape, tracker_of};
use jobtrack_http::{Options, ServerOptions, router, serve as serve_faces};

const SEED: u64 = 20_260_601;
/// What Linux counts a process's time in, on every machine.
const TICKS_PER_SECOND: f64 = 100.0;

/// A side that is being served, until it is dropped.
pub(crate) struct Served {
    process: Child,
    pub(crate) port: u16,
}

impl Served {
    /// The faces of a tracker with so many jobs.
    pub(crate) fn jobtrack(jobs: usize) -> Served {
        Served::start("jobtrack", &jobs.to_string(), &[])
    }

    /// One bare handler, which answers everything with these bytes.
    pub(crate) fn constant(body: &[u8]) -> Served {
        Served::start("constant", &body.len().to_string(), body)
    }

    fn start(side: &str, argument: &str, input: &[u8]) -> Served {
        let this = std::env::current_exe().expect("a program knows its file");
        let mut process = Command::new(this)
            .args(["serve", side, argument])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be run once more");
        let mut stdin = process.stdin.take().expect("it is piped");
        stdin.write_all(input).expect("it reads what it is to answer");
        drop(stdin);
        let mut line = String::new();
        let stdout = process.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
        let port = line.trim().parse().expect("its port");
        Served { process, port }
    }

    /// What it has used of a processor so far.
    pub(crate) fn processor_time(&self) -> Duration {
        let file = format!("/proc/{}/stat", self.process.id());
        let text = std::fs::read_to_string(file).expect("it is measured on Linux");
        // After the name, which may hold anything, user and system time are the 12th and 13th.
        let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
        Duration::from_secs_f64(ticks as f64 / TICKS_PER_SECOND)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Serves one side until the process is killed.
pub(crate) fn serve(mut words: impl Iterator<Item = String>) {
    let side = words.next().expect("which side");
    let argument: usize = words.next().and_then(|n| n.parse().ok()).expect("how many");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime can be made");
    let router = match side.as_str() {
        "jobtrack" => {
            let jobs = Jobs::new(SEED, argument).shaped(Shape::Full);
            router(Arc::new(tracker_of(jobs)), Options::default())
        }
        _ => constant(),
    };
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        println!("{}", listener.local_addr().expect("it is bound").port());
        match side.as_str() {
            "jobtrack" => {
                serve_faces(listener, router, ServerOptions::default(), pending()).await;
            }
            _ => axum::serve(listener, router).await.expect("it serves until it is killed"),
        }
    });
}

fn constant() -> Router {
    let mut body = Vec::new();
    std::io::copy(&mut std::io::stdin(), &mut body).expect("what is to be answered");
    let body = Bytes::from(body);
    let answer = move || async move {
        let mut response = Response::new(Body::from(body));
        let json = header::HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    };
    Router::new().fallback_service(any(answer))
}
