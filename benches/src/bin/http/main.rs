//! The list query over HTTP beside a bare handler that returns a constant of the same size:
//! `cargo xtask http`.
//!
//! Each side is a process of its own with one worker thread, and is asked over connections that stay
//! open, by one process, in turn. Shown are requests per second, times, and how much of a processor's
//! time a request costs the server, which does not depend on who asks.

// Whatever goes wrong while measuring must end the measurement; this is a program for people at a
// terminal; and the machine's clock is what it measures with.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout, clippy::print_stderr)]
#![allow(clippy::disallowed_methods)]

mod client;
mod serve;

use std::process::ExitCode;
use std::time::Duration;

use jobtrack_benches::{grouped, grouped_whole};
use lexopt::prelude::*;

use crate::client::Measured;
use crate::serve::Served;

const HELP: &str = "\
Measures the list query over HTTP beside a bare handler. Use: cargo xtask http [OPTIONS]

  --jobs N         jobs that the server holds (100,000)
  --connections N  connections that ask at a time (16)
  --seconds S      how long each side is asked in each of the rounds (1)
  --rounds N       how often the two take turns (5)
  --json           one JSON object a line instead of a table
  --help           this text
";

/// What is asked for: some of the records that a person's screen holds, a page, and one job.
const ASKED: [(&str, &str); 4] = [
    ("20 records", "/v1/jobs?state=success&order_by=start_time+desc&max_records=20"),
    ("100 records", "/v1/jobs?state=success&order_by=start_time+desc&max_records=100"),
    ("100 records, 4 fields", "/v1/jobs?fields=uuid,state,description,start_time&max_records=100"),
    ("counts", "/v1/counts"),
];

#[derive(Debug)]
struct Options {
    jobs: usize,
    connections: usize,
    seconds: f64,
    rounds: usize,
    as_json: bool,
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    // A process that this one starts to serve one side.
    if words.next().as_deref() == Some("serve") {
        serve::serve(words);
        return ExitCode::SUCCESS;
    }
    match options() {
        Ok(Some(options)) => measure(&options),
        Ok(None) => print!("{HELP}"),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    let mut options =
        Options { jobs: 100_000, connections: 16, seconds: 1.0, rounds: 5, as_json: false };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("jobs") => options.jobs = parser.value()?.parse()?,
            Long("connections") => options.connections = parser.value()?.parse()?,
            Long("seconds") => options.seconds = parser.value()?.parse()?,
            Long("rounds") => options.rounds = parser.value()?.parse()?,
            Long("json") => options.as_json = true,
            Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

fn measure(options: &Options) {
    let engine = Served::jobtrack(options.jobs);
    if !options.as_json {
        println!(
            "{} jobs, {} connections, {} rounds of {} s each; ratios above 1 are better than bare",
            grouped_whole(options.jobs as u64),
            options.connections,
            options.rounds,
            options.seconds
        );
        println!(
            "{:<22} {:>8}  {:>12} {:>12} {:>6}  {:>9} {:>9} {:>6}  {:>9} {:>9} {:>6}",
            "query",
            "bytes",
            "jobtrack/s",
            "bare/s",
            "ratio",
            "p99",
            "bare p99",
            "ratio",
            "CPU each",
            "bare",
            "ratio"
        );
    }
    for (name, target) in ASKED {
        let body = client::body_of(engine.port, target);
        let bare = Served::constant(&body);
        let (mut ours, mut theirs) = (Measured::default(), Measured::default());
        for _ in 0..options.rounds {
            for (served, measured) in [(&engine, &mut ours), (&bare, &mut theirs)] {
                let span = Duration::from_secs_f64(options.seconds);
                let before = served.processor_time();
                measured.add(client::ask(served.port, target, options.connections, span));
                measured.processor += served.processor_time() - before;
            }
        }
        report(name, body.len(), &mut ours, &mut theirs, options.as_json);
    }
}

fn report(name: &str, bytes: usize, ours: &mut Measured, theirs: &mut Measured, as_json: bool) {
    let (rate, bare_rate) = (ours.rate(), theirs.rate());
    let (p99, bare_p99) = (ours.percentile(99), theirs.percentile(99));
    let (each, bare_each) = (ours.processor_each(), theirs.processor_each());
    if as_json {
        let line = serde_json::json!({
            "query": name,
            "bytes": bytes,
            "jobtrack_per_second": rate,
            "bare_per_second": bare_rate,
            "rate_ratio": rate / bare_rate,
            "jobtrack_p99_us": p99,
            "bare_p99_us": bare_p99,
            "p99_ratio": bare_p99 / p99,
            "jobtrack_processor_us": each,
            "bare_processor_us": bare_each,
            "processor_ratio": bare_each / each,
        });
        println!("{line}");
        return;
    }
    println!(
        "{name:<22} {:>8}  {:>12} {:>12} {:>6.2}  {:>6} µs {:>6} µs {:>6.2}  {:>6} µs {:>6} µs {:>6.2}",
        grouped_whole(bytes as u64),
        grouped(rate),
        grouped(bare_rate),
        rate / bare_rate,
        grouped(p99),
        grouped(bare_p99),
        bare_p99 / p99,
        grouped(each),
        grouped(bare_each),
        bare_each / each,
    );
}
