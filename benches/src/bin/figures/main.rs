//! The figures that jobtrack's performance is spoken of in, printed and never asserted:
//! `cargo xtask figures`.
//!
//! Memory is a number of bytes per job. Rates are spoken of as ratios to what the disk gives a bare
//! loop of append and fdatasync in the same run, since absolute ones tell more of the machine.

// Whatever goes wrong while measuring must end the measurement; this is a program for people at a
// terminal; and the machine's clock is what it measures with.
#![allow(clippy::expect_used, clippy::print_stdout, clippy::disallowed_methods)]

mod changes;
mod claims;
mod floor;
mod memory;
mod progress;
mod report;

use std::process::ExitCode;

use lexopt::prelude::*;

use crate::memory::Held;

const HELP: &str = "\
Measures jobtrack and prints the figures. Use: cargo xtask figures [OPTIONS]

  --jobs N     jobs in memory (1,000,000)
  --rounds N   rounds in which rates are measured; the median is shown (7)
  --only WHAT  memory, changes, claims or progress
  --json       one JSON object a line instead of a table
  --help       this text
";

#[derive(Debug)]
struct Options {
    jobs: usize,
    rounds: usize,
    as_json: bool,
    /// The only figures wanted, if not all are.
    only: Option<String>,
    /// Set in the processes that this one starts, each to measure one memory and end.
    measure: Option<Held>,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprint_line(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    if let Some(held) = options.measure {
        println!("{}", memory::bytes_held(held, options.jobs));
        return ExitCode::SUCCESS;
    }
    let is_wanted = |what| options.only.as_deref().is_none_or(|only| only == what);
    let mut figures = Vec::new();
    if is_wanted("memory") {
        figures.extend(memory::figures(options.jobs));
    }
    if is_wanted("changes") {
        figures.extend(changes::figures(options.rounds));
    }
    if is_wanted("claims") {
        figures.extend(claims::figures(options.jobs));
    }
    if is_wanted("progress") {
        figures.extend(progress::figures());
    }
    if options.as_json {
        report::print_json(&figures);
    } else {
        report::print_table(&figures);
    }
    ExitCode::SUCCESS
}

/// The options, or None if help is wanted.
fn options() -> Result<Option<Options>, lexopt::Error> {
    let mut options =
        Options { jobs: 1_000_000, rounds: 7, as_json: false, only: None, measure: None };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("jobs") => options.jobs = arguments.value()?.parse()?,
            Long("rounds") => options.rounds = arguments.value()?.parse()?,
            Long("only") => options.only = Some(arguments.value()?.parse()?),
            Long("json") => options.as_json = true,
            Long("measure") => options.measure = Some(arguments.value()?.parse()?),
            Long("help") | Short('h') => return Ok(None),
            _ => return Err(argument.unexpected()),
        }
    }
    if options.jobs == 0 || options.rounds == 0 {
        return Err("--jobs and --rounds must be above 0".into());
    }
    Ok(Some(options))
}

#[allow(clippy::print_stderr)] // The one line that goes there.
fn eprint_line(message: &str) {
    eprintln!("figures: {message}");
}
