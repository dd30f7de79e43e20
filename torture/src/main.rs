//! `cargo xtask torture`: every store under everything that a machine can do to it.

// A program for people at a terminal.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

use std::io::{IsTerminal, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use jobtrack::{Clock, SystemClock};
use jobtrack_torture::parts::{self, Part};
use jobtrack_torture::report::{self, Done};
use jobtrack_torture::{course, machines, stores};
use lexopt::{Arg, ValueExt};

const HELP: &str = "\
Tortures every store, and counts what it has stood. Use: cargo xtask torture [OPTIONS]

  --only NAME      one part (power-cuts, kills, ...), one of one store (kills-sled), or all of one
                   store (sled); may be given more than once
  --minutes N      no longer than so many minutes in all; a whole run takes up to an hour
  --seed N         the seed of the first case; else one of the clock. What is broken prints its own
  --count N        so many cases of each part, or what it counts, in place of a whole run
  --json           one JSON object a line, as without a terminal
  --write FILE     puts the table between the marks of this page (docs/reliability.md)
  --list           the parts and how much of each is a whole run
";

struct Options {
    only: Vec<String>,
    minutes: Option<f64>,
    seed: Option<u64>,
    count: Option<u64>,
    json: bool,
    write: Option<PathBuf>,
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() == Some("other-process") {
        let kind = words.next().and_then(|name| stores::named(&name));
        if let (Some(kind), Some(what)) = (kind, words.next()) {
            machines::other_process(kind, &what);
        }
        return ExitCode::SUCCESS;
    }
    match read_options().and_then(|options| options.map_or(Ok(true), |options| torture(&options))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("torture: {why}");
            ExitCode::FAILURE
        }
    }
}

fn read_options() -> Result<Option<Options>, String> {
    let mut options = Options {
        only: Vec::new(),
        minutes: None,
        seed: None,
        count: None,
        json: false,
        write: None,
    };
    let mut parser = lexopt::Parser::from_env();
    let words = |error: lexopt::Error| format!("{error}; --help tells what there is");
    while let Some(argument) = parser.next().map_err(words)? {
        let Arg::Long(name) = argument else { return Err(words(argument.unexpected())) };
        match name {
            "only" => {
                let value = parser.value().and_then(ValueExt::string).map_err(words)?;
                options.only.extend(value.split(',').map(str::to_owned));
            }
            "minutes" => {
                let minutes: f64 = parser.value().and_then(|value| value.parse()).map_err(words)?;
                if !(minutes > 0.0 && minutes < 100_000.0) {
                    return Err(format!("--minutes: {minutes} is no length of time"));
                }
                options.minutes = Some(minutes);
            }
            "seed" => {
                options.seed = Some(parser.value().and_then(|value| value.parse()).map_err(words)?);
            }
            "count" => {
                options.count =
                    Some(parser.value().and_then(|value| value.parse()).map_err(words)?);
            }
            "json" => options.json = true,
            "write" => {
                options.write = Some(parser.value().map_err(words)?.into());
            }
            "list" => {
                for part in parts::all() {
                    let target = match part.target {
                        u64::MAX => "all".to_owned(),
                        target => target.to_string(),
                    };
                    let (name, counted) = (part.full_name(), part.counted);
                    println!("{name:20} {target} {counted}, {} s at most", part.seconds);
                }
                return Ok(None);
            }
            "help" => {
                print!("{HELP}");
                return Ok(None);
            }
            _ => return Err(words(argument.unexpected())),
        }
    }
    Ok(Some(options))
}

/// Runs what was chosen; whether every promise was kept.
fn torture(options: &Options) -> Result<bool, String> {
    let chosen = choose(&options.only)?;
    let whole: u64 = chosen.iter().map(|part| part.seconds).sum();
    let share = options.minutes.map_or(1.0, |minutes| minutes * 60.0 / whole as f64);
    // A seed of few digits is easier to type again.
    let clock = SystemClock::new();
    let seed = options.seed.unwrap_or(clock.wall().as_micros().unsigned_abs() % 100_000_000);
    let is_json = options.json || !stdout().is_terminal();
    eprintln!(
        "seed {seed}; {} parts, up to {:.0} minutes",
        chosen.len(),
        whole as f64 * share / 60.0
    );
    // Panics are verdicts, and told at the end of their part.
    std::panic::set_hook(Box::new(course::remember_place));

    let mut done: Vec<Done> = Vec::new();
    for part in chosen {
        let target = options.count.unwrap_or(part.target);
        let limit = Duration::from_secs_f64(part.seconds as f64 * share);
        let bar = progress_bar(&part, target);
        let (took, outcome) = part.run(seed, target, limit, &|count| bar.set_position(count));
        bar.finish_and_clear();
        let result = Done { part, seed, target, took, outcome };
        if is_json {
            println!("{}", result.line());
        } else {
            println!("{}", result.line_for_people());
        }
        if result.is_broken() {
            eprintln!("{} is BROKEN; to see it again:\n    {}", part.full_name(), result.command());
        }
        done.push(result);
    }
    let about = about(&clock, options, share);
    let table = report::table(&done, &about);
    if !is_json {
        println!("\n{table}");
    }
    if let Some(page) = &options.write {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
        report::put_into(&root.join(page), &table)?;
    }
    Ok(!done.iter().any(Done::is_broken))
}

fn choose(only: &[String]) -> Result<Vec<Part>, String> {
    let parts = parts::all();
    for word in only {
        if !parts.iter().any(|part| part.is_meant_by(word)) {
            let mut names: Vec<&str> = parts.iter().map(|part| part.name).collect();
            names.dedup();
            return Err(format!("--only: there is no {word:?}; there are {}", names.join(", ")));
        }
    }
    let is_meant = |part: &Part| only.is_empty() || only.iter().any(|word| part.is_meant_by(word));
    Ok(parts.into_iter().filter(is_meant).collect())
}

fn progress_bar(part: &Part, target: u64) -> ProgressBar {
    let bar =
        if target == u64::MAX { ProgressBar::new_spinner() } else { ProgressBar::new(target) };
    let template = if target == u64::MAX {
        "{prefix:20} {spinner} {human_pos} {msg} [{elapsed_precise}]"
    } else {
        "{prefix:20} {bar:30} {human_pos}/{human_len} {msg} [{elapsed_precise}]"
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_prefix(part.full_name());
    bar.set_message(part.counted);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Which run this was: when, how, and on what.
fn about(clock: &SystemClock, options: &Options, share: f64) -> String {
    let mut command = "cargo xtask torture".to_owned();
    for only in &options.only {
        command.push_str(&format!(" --only {only}"));
    }
    if let Some(minutes) = options.minutes {
        command.push_str(&format!(" --minutes {minutes}"));
    }
    let seconds = clock.wall().to_string();
    let seconds = seconds.split('.').next().unwrap_or_default();
    let time = format!("{}Z", seconds.trim_end_matches('Z'));
    let scale = if share < 1.0 { " (shortened)" } else { "" };
    format!(
        "`{command}`{scale}, {time}, jobtrack {}, {} cores.",
        env!("CARGO_PKG_VERSION"),
        course::cores()
    )
}
