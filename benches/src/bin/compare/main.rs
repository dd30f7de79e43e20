//! jobtrack beside SQLite and beside the physical floor, on the same jobs, in one run:
//! `cargo xtask compare`.
//!
//! SQLite with the right indexes, in memory, is what one would use otherwise. Both sides are asked
//! the same and must answer the same, record for record, or there is no comparison; then they take
//! turns in slices of some milliseconds, so that ratios mean something even on a machine that has
//! other things to do. Each size, each memory and each opening is measured in a process of its own.
//!
//! In order: `load` fills both sides; `queries` asks every class, `floor` knows what no program can
//! do without; `changes` takes jobs through their life; `apart` measures memory and opening;
//! `table` and `plot` show the `line`s that come out. `sqlite` is the other side.

// Whatever goes wrong while measuring must end the measurement; this is a program for people at a
// terminal; and the machine's clock is what it measures with.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods
)]

mod apart;
mod changes;
mod floor;
mod line;
mod load;
mod plot;
mod queries;
mod sqlite;
mod table;
mod timing;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use jobtrack::{Clock, SystemClock};
use jobtrack_benches::run_apart;
use lexopt::prelude::*;

use crate::apart::{Apart, MEMORY, OPENING};
use crate::line::{Line, Of};

const HELP: &str = "\
Measures jobtrack beside SQLite and prints both. Use: cargo xtask compare [OPTIONS]

  --jobs N,...      how many jobs; several sizes are measured one after the other (1,000,000)
  --classes TEXT,...
                    only the classes whose names contain one of these
  --seconds S       for how long each side is asked in each class, slow ones thrice at least (1)
  --json            one JSON object a class instead of tables
  --plot DIR        writes cost against size into DIR as SVG
  --help            this text
";

/// Jobs that a size has at least: in fewer, some classes have no example.
const FEWEST_JOBS: usize = 1_000;

#[derive(Debug)]
struct Options {
    sizes: Vec<usize>,
    classes: Vec<String>,
    seconds: f64,
    as_json: bool,
    plot: Option<PathBuf>,
    /// Set in the processes that this one starts, each to measure one thing and end.
    measure: Option<Apart>,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => return failed(&error.to_string()),
    };
    if let Some(apart) = options.measure {
        print_apart(&options, apart);
        return ExitCode::SUCCESS;
    }
    if !options.as_json {
        print_heading();
    }
    let mut lines = Vec::new();
    for jobs in &options.sizes {
        let of_size = measure(&options, *jobs);
        if options.as_json {
            print_json(&of_size);
        }
        lines.extend(of_size);
    }
    if lines.is_empty() {
        return failed("no class has such a name; a run without --classes names all of them");
    }
    if !options.as_json {
        table::print(&lines);
    }
    match options.plot.map(|folder| plot::write(&lines, &folder)) {
        Some(Err(error)) => failed(&format!("the plot cannot be written: {error}")),
        _ => ExitCode::SUCCESS,
    }
}

/// Measures everything that is wanted at this size, in processes of their own.
fn measure(options: &Options, jobs: usize) -> Vec<Line> {
    let apart = |what: Apart| {
        let mut arguments = vec![
            format!("--measure={what}"),
            format!("--jobs={jobs}"),
            format!("--seconds={}", options.seconds),
        ];
        arguments.extend(options.classes.iter().map(|class| format!("--classes={class}")));
        run_apart(&arguments)
    };
    let read = |text: String| -> Vec<Line> {
        let line = |line: &str| serde_json::from_str(line).expect("the child prints lines");
        text.lines().map(line).collect()
    };
    let bytes = |what| apart(what).trim().parse().expect("the child prints a number");
    let mut lines = read(apart(Apart::Both));
    if options.is_wanted(OPENING) {
        lines.extend(read(apart(Apart::Opening)));
    }
    if options.is_wanted(MEMORY) {
        let (jobtrack, sqlite) = (bytes(Apart::MemoryOfJobtrack), bytes(Apart::MemoryOfSqlite));
        lines.push(Line::new(Of::Memory, MEMORY, jobs).sized(jobtrack, sqlite));
    }
    lines
}

/// What a process measures that was started to measure one thing.
fn print_apart(options: &Options, apart: Apart) {
    let jobs = options.sizes[0];
    match apart {
        Apart::Both => print_json(&measure_both(options, jobs)),
        Apart::Opening => print_json(&[apart::opening(jobs)]),
        Apart::MemoryOfJobtrack => println!("{}", apart::memory_of_jobtrack(jobs)),
        Apart::MemoryOfSqlite => println!("{}", apart::memory_of_sqlite(jobs)),
    }
}

fn measure_both(options: &Options, jobs: usize) -> Vec<Line> {
    let is_wanted = |class: &str| options.is_wanted(class);
    let budget = Duration::from_secs_f64(options.seconds);
    let (sides, loaded) = load::load(jobs);
    let mut lines = queries::measure(&sides, is_wanted, budget);
    lines.extend(changes::measure(&sides, is_wanted, budget));
    lines.extend(options.is_wanted(&loaded.class).then_some(loaded));
    lines
}

fn print_json(lines: &[Line]) {
    for line in lines {
        println!("{}", serde_json::to_string(line).expect("a line is JSON"));
    }
}

/// When and on what, for whoever reads the tables later.
fn print_heading() {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("an unknown processor", |line| line.trim_matches([' ', '\t', ':']));
    println!(
        "{}: jobtrack {}, SQLite {} in memory; {cores} cores of {model}",
        SystemClock::new().wall().floor_to_second(),
        env!("CARGO_PKG_VERSION"),
        rusqlite::version(),
    );
    println!(
        "A ratio above 1 says how many times better jobtrack is. Reading the clock takes {} ns, \
         which is a part of every time.",
        timing::clock_nanos()
    );
}

impl Options {
    fn is_wanted(&self, class: &str) -> bool {
        self.classes.is_empty() || self.classes.iter().any(|text| class.contains(text))
    }
}

/// The options, or None if help is wanted.
fn options() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options {
        sizes: Vec::new(),
        classes: Vec::new(),
        seconds: 1.0,
        as_json: false,
        plot: None,
        measure: None,
    };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("jobs") => {
                for size in arguments.value()?.string()?.split(',') {
                    options.sizes.push(read_size(size)?);
                }
            }
            Long("classes") => {
                let names = arguments.value()?.string()?;
                options.classes.extend(names.split(',').map(|name| name.trim().to_owned()));
            }
            Long("seconds") => options.seconds = arguments.value()?.parse()?,
            Long("json") => options.as_json = true,
            Long("plot") => options.plot = Some(arguments.value()?.into()),
            Long("measure") => options.measure = Some(arguments.value()?.parse()?),
            Long("help") | Short('h') => return Ok(None),
            _ => return Err(argument.unexpected()),
        }
    }
    if !(options.seconds > 0.0 && options.seconds <= 3_600.0) {
        return Err("--seconds must be above 0 and at most 3600".into());
    }
    if options.sizes.is_empty() {
        options.sizes.push(1_000_000);
    }
    Ok(Some(options))
}

fn read_size(text: &str) -> Result<usize, lexopt::Error> {
    match text.replace('_', "").parse() {
        Ok(size) if size >= FEWEST_JOBS => Ok(size),
        _ => Err(format!("--jobs: {text:?} is no number from {FEWEST_JOBS} on").into()),
    }
}

#[allow(clippy::print_stderr)] // The one line that goes there.
fn failed(message: &str) -> ExitCode {
    eprintln!("compare: {message}");
    ExitCode::FAILURE
}
