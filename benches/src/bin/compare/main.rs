//! jobtrack beside SQLite and beside the physical floor, on the same jobs, in one run:
//! `cargo xtask compare`.
//!
//! SQLite with the right indexes, in memory, is what one would use otherwise. Both sides are asked
//! the same and must answer the same, record for record, or there is no comparison; then they take
//! turns in slices of some milliseconds, so that ratios mean something even on a machine that has
//! other things to do. Each size, each memory and each opening is measured in a process of its own.
//!
//! In order: `load` fills both sides; `queries` asks every class, `floor` knows what no program can
//! do without, `worst` asks what nobody thought of; `changes` takes jobs through their life,
//! `scattered` changes jobs anywhere, `durable` syncs them, `latency` looks at the slowest; `churn`
//! replaces all jobs by others, and all is asked again; `apart` measures memory and opening. `table`,
//! `plot` and `page` show the `line`s that come out. `sqlite` is the other side, `change` what both do
//! to a job.

// Whatever goes wrong while measuring must end the measurement; this is a program for people at a
// terminal; and the machine's clock is what it measures with.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods
)]

mod apart;
mod change;
mod changes;
mod churn;
mod durable;
mod floor;
mod latency;
mod line;
mod load;
mod options;
mod page;
mod plot;
mod queries;
mod scattered;
mod sqlite;
mod table;
mod timing;
mod worst;

use std::path::Path;
use std::process::ExitCode;

use jobtrack::{Clock, SystemClock};
use jobtrack_benches::{Jobs, Shape, run_apart};

use crate::apart::{MEMORY, OPENING};
use crate::churn::Moved;
use crate::floor::Floors;
use crate::line::{Line, Of, Stage};
use crate::load::{SEED, Sides};
use crate::options::{Apart, HELP, Options, Part};

/// The jobs that are compared: with all fields, as jobs are in earnest.
const SHAPE: Shape = Shape::Full;

fn main() -> ExitCode {
    let options = match Options::read(lexopt::Parser::from_env()) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => return failed(&error.to_string()),
    };
    if let Some(apart) = options.measure {
        match measure_one(&options, apart) {
            Ok(lines) => print_json(&lines),
            // The other parts can be measured all the same.
            Err(error) => _ = failed(&format!("{apart} at {} jobs: {error}", options.sizes[0])),
        }
        return ExitCode::SUCCESS;
    }
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn run(options: &Options) -> Result<(), String> {
    let lines = if options.from.is_empty() { measure(options) } else { read(&options.from)? };
    if lines.is_empty() {
        return Err("no class has such a name; a run without --classes names all of them".into());
    }
    if !options.as_json {
        print!("{}", table::all(&lines));
    } else if !options.from.is_empty() {
        print_json(&lines);
    }
    let written = options.write.as_ref().map(|folder| page::write(&lines, folder));
    written.unwrap_or(Ok(())).map_err(|error| format!("the page cannot be written: {error}"))
}

/// Measures every size, in processes of their own, and prints what each of them tells as soon as it
/// has, if lines are wanted.
fn measure(options: &Options) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut heading = Some(heading(options.seconds));
    let mut report = |mut told: Vec<Line>| {
        if let Some(first) = told.first_mut() {
            first.run = heading.take();
        }
        if options.as_json {
            print_json(&told);
        }
        lines.extend(told);
    };
    for jobs in &options.sizes {
        measure_size(options, *jobs, &mut report);
    }
    lines
}

fn measure_size(options: &Options, jobs: usize, report: &mut dyn FnMut(Vec<Line>)) {
    let apart = |what| {
        let printed = run_apart(&options.of_child(what, jobs));
        let line = |line: &str| serde_json::from_str(line).expect("the child prints lines");
        printed.lines().map(line).collect::<Vec<Line>>()
    };
    let needs_both = [
        Part::Load,
        Part::Queries,
        Part::Random,
        Part::Changes,
        Part::Latency,
        Part::Churn,
        Part::Memory,
    ];
    // What is told of memory is SQLite's half.
    let mut memory = Vec::new();
    let mut report_both = |what| {
        let (of_memory, others) = apart(what).into_iter().partition(|line| line.of == Of::Memory);
        memory.extend::<Vec<Line>>(of_memory);
        report(others);
    };
    if needs_both.iter().any(|part| options.has(*part)) {
        report_both(Apart::Both);
    }
    if options.has(Part::Wide) {
        report_both(Apart::BothWide);
    }
    if options.has(Part::Durable) {
        report(apart(Apart::Durable));
    }
    if options.has(Part::Opening) && options.is_wanted(OPENING) {
        report(apart(Apart::Opening));
    }
    if options.has(Part::Memory) && options.is_wanted(MEMORY) {
        add_memory(&mut memory, &apart(Apart::Memory));
        if options.has(Part::Wide) {
            add_memory(&mut memory, &apart(Apart::MemoryWide));
        }
        report(memory);
    }
}

/// Puts the tracker's memory beside SQLite's, of which another process has told.
fn add_memory(lines: &mut [Line], of_tracker: &[Line]) {
    for line in lines {
        let same = of_tracker.iter().find(|other| other.state == line.state);
        if let Some(bytes) = same.and_then(|same| same.jobtrack_bytes_per_job) {
            let of_all = |bytes: u64| bytes * line.jobs as u64;
            let sqlite = line.sqlite_bytes_per_job.map(of_all);
            *line = line.clone().sized(Some(of_all(bytes)), sqlite);
        }
    }
}

/// What a process measures that was started to measure one thing.
fn measure_one(options: &Options, apart: Apart) -> Result<Vec<Line>, String> {
    let jobs = options.sizes[0];
    Ok(match apart {
        Apart::Both => measure_both(options, jobs)?,
        Apart::BothWide => measure_wide(options, jobs)?,
        Apart::Durable => {
            durable::measure(jobs, |class| options.is_wanted(class), options.budget())
        }
        Apart::Memory => apart::memory(jobs, SHAPE, options.has(Part::Churn)),
        Apart::MemoryWide => apart::memory(jobs, Shape::Wide, false),
        Apart::Opening => apart::opening(jobs, SHAPE),
    })
}

fn measure_both(options: &Options, jobs: usize) -> Result<Vec<Line>, String> {
    let (budget, is_wanted) = (options.budget(), |class: &str| options.is_wanted(class));
    let (sides, loaded) = load::load(jobs, SHAPE)?;
    let loaded_jobs = || Jobs::new(SEED, jobs).shaped(SHAPE);
    let mut lines = Vec::new();
    if options.has(Part::Queries) || options.has(Part::Random) {
        let (examples, floors) = Floors::and_examples(loaded_jobs(), jobs);
        if options.has(Part::Queries) {
            lines.extend(queries::measure(&sides, &examples, floors, is_wanted, budget));
        }
        if options.has(Part::Random) && is_wanted(worst::NAME) {
            lines.push(worst::measure(&sides, &examples, budget));
        }
    }
    if options.has(Part::Load) && is_wanted(&loaded.class) {
        lines.push(loaded);
    }
    lines.extend(memory_of_sqlite(options, &sides));
    let mut moved = Moved::new();
    if options.has(Part::Changes) {
        lines.extend(changes::measure(&sides, is_wanted, budget));
        let population = loaded_jobs().map(|job| (job.uuid, job.state));
        lines.extend(scattered::measure(&sides, population, &mut moved, is_wanted, budget));
    }
    if options.has(Part::Latency) {
        lines.extend(latency::measure(&sides, is_wanted, budget));
    }
    if options.has(Part::Churn) {
        let churned = measure_churned(options, &sides, &moved);
        lines.extend(churned.into_iter().map(|line| line.at(Stage::Churned)));
    }
    Ok(lines)
}

fn measure_churned(options: &Options, sides: &Sides, moved: &Moved) -> Vec<Line> {
    let (budget, is_wanted) = (options.budget(), |class: &str| options.is_wanted(class));
    let (jobs, shape) = (sides.jobs, sides.shape);
    let rate = churn::churn(sides, moved);
    let mut lines = Vec::new();
    if options.has(Part::Queries) {
        let (examples, floors) = Floors::and_examples(churn::later(jobs, shape), jobs);
        lines.extend(queries::measure(sides, &examples, floors, is_wanted, budget));
    }
    lines.extend(is_wanted(&rate.class).then_some(rate));
    lines.extend(memory_of_sqlite(options, sides));
    if options.has(Part::Changes) {
        lines.extend(changes::measure(sides, is_wanted, budget));
        let population = churn::population(jobs, shape, moved);
        let mut moved = Moved::new();
        lines.extend(scattered::measure(sides, population, &mut moved, is_wanted, budget));
    }
    lines
}

fn measure_wide(options: &Options, jobs: usize) -> Result<Vec<Line>, String> {
    let is_wanted = |class: &str| options.is_wanted(class);
    let (sides, loaded) = load::load(jobs, Shape::Wide)?;
    let wide_jobs = || Jobs::new(SEED, jobs).shaped(Shape::Wide);
    let (examples, floors) = Floors::and_examples(wide_jobs(), jobs);
    let mut lines = queries::measure(&sides, &examples, floors, is_wanted, options.budget());
    lines.extend(is_wanted(&loaded.class).then_some(loaded));
    lines.extend(memory_of_sqlite(options, &sides));
    Ok(lines.into_iter().map(|line| line.at(Stage::Wide)).collect())
}

fn memory_of_sqlite(options: &Options, sides: &Sides) -> Option<Line> {
    let is_wanted = options.has(Part::Memory) && options.is_wanted(MEMORY);
    let bytes = is_wanted.then(|| sides.sqlite.bytes())?;
    Some(Line::new(Of::Memory, MEMORY, sides.jobs).sized(None, Some(bytes)))
}

/// The lines that were written before.
fn read(files: &[impl AsRef<Path>]) -> Result<Vec<Line>, String> {
    let mut lines: Vec<Line> = Vec::new();
    for file in files {
        let name = file.as_ref().display();
        let text = std::fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
        for (n, line) in text.lines().enumerate() {
            let line = serde_json::from_str(line);
            lines.push(line.map_err(|error| format!("{name}, line {}: {error}", n + 1))?);
        }
    }
    // Runs of several sizes may have been written into files of their own.
    lines.sort_by_key(|line| line.jobs);
    Ok(lines)
}

fn print_json(lines: &[Line]) {
    for line in lines {
        println!("{}", line::json(line));
    }
}

/// When and on what, for whoever reads the tables later.
fn heading(seconds: f64) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("an unknown processor", |line| line.trim_matches([' ', '\t', ':']));
    format!(
        "{}: jobtrack {}, SQLite {} in memory; {cores} cores of {model}; \
         each side asked for {seconds} s\n\
         A ratio above 1 says how many times better jobtrack is. Reading the clock takes {} ns, \
         which is a part of every time.",
        SystemClock::new().wall().floor_to_second(),
        env!("CARGO_PKG_VERSION"),
        rusqlite::version(),
        timing::clock_nanos()
    )
}

#[allow(clippy::print_stderr)] // The one line that goes there.
fn failed(message: &str) -> ExitCode {
    eprintln!("compare: {message}");
    ExitCode::FAILURE
}
