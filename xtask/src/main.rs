//! The project's own tasks: `cargo xtask help` lists them.
//!
//! Everything that a person or a machine is asked to run goes through here, so that both run the
//! same. It needs nothing but the standard library.

// This is a program for people at a terminal, and it times what it runs.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

mod arguments;
mod compare;
mod coverage;
mod figures;
mod fuzz;
mod http;
mod keep;
mod layers;
mod mutants;
mod openapi;
mod page;
mod shell;
mod shuttle;
mod steps;
mod stress;
mod test;
mod tools;
mod torture;

use std::process::ExitCode;

use crate::shell::Failed;

const HELP: &str = "\
Tasks of the jobtrack project. Use: cargo xtask TASK

  test                               all that decides whether a change lands; installs what it needs
  fuzz [--seconds N] [TARGET...]     each fuzz target, or those named, for N seconds (600)
  shuttle [--schedules N] [--seed S] commits, readers and watches, each test under N schedules
                                     (20000) drawn from S (the time of day, shown)
  stress [--seconds N]               64 writers and 256 readers for N seconds (120) on each store, all
                                     they were told judged afterwards
  openapi [--seconds N] [--seed S]   requests made up from the server's OpenAPI document by
                                     Schemathesis, for N seconds (600), drawn from S (the time of
                                     day, shown)
  coverage [--uncovered]             lines that the tests run, of the engine and the stores
  mutants [--crate NAME] [--file GLOB] [--changed[=REVISION]]
                                     break the code in one place after another, and list what no
                                     test notices; of what has changed since the branch left main
  figures [--jobs N] [--rounds N] [--only WHAT] [--json]
                                     memory per job, changes, claims and reports of progress per second,
                                     measured in release; or one of memory, changes, claims, progress
  compare [--jobs N,...] [--only PART,...] [--classes TEXT,...] [--seconds S] [--json]
          [--from FILE,...] [--write DIR]
                                     jobtrack beside SQLite: queries, changes, memory (--help tells)
  http [--jobs N] [--connections N] [--seconds S] [--rounds N] [--json]
                                     the list query over HTTP beside a bare handler
  page [--jobs N] [--screenshots FOLDER]
                                     the web page in Chromium with N jobs (100000), or pictures of it
  torture [--only NAME] [--minutes N] [--seed N] [--write FILE]
                                     power cuts, failing disks, killed processes, damage, for every
                                     store, at length (--help tells)
  wear                               bytes written to the disk over one job's life, by store
  keep-stores                        keep a store of each kind as this release writes it; once
  deny                               licences, sources and bans of all dependencies (deny.toml)
  help                               this text
";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let task = words.next();
    let rest: Vec<String> = words.collect();
    let done = match task.as_deref() {
        Some("test") => test::test(&rest),
        Some("fuzz") => fuzz::campaign(&rest),
        Some("shuttle") => shuttle::shuttle(&rest),
        Some("stress") => stress::stress(&rest),
        Some("coverage") => coverage::coverage(&rest),
        Some("mutants") => mutants::mutants(&rest),
        Some("openapi") => openapi::campaign(&rest),
        Some("figures") => figures::figures(&rest),
        Some("compare") => compare::compare(&rest),
        Some("http") => http::http(&rest),
        Some("torture") => torture::torture(&rest),
        Some("page") => page::page(&rest),
        Some("wear") => torture::wear(&rest),
        Some("keep-stores") => keep::keep_stores(&rest),
        Some("deny") => deny(&rest),
        Some("help" | "--help" | "-h") => {
            print!("{HELP}");
            Ok(())
        }
        Some(other) => Err(Failed::new(format!("there is no task {other:?}\n\n{HELP}"))),
        None => Err(Failed::new(format!("which task?\n\n{HELP}"))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            eprintln!("xtask: {failed}");
            ExitCode::FAILURE
        }
    }
}

/// Not a part of `test`: it says something new only when dependencies change.
fn deny(words: &[String]) -> shell::Result {
    if let Some(word) = words.first() {
        return Err(arguments::unknown(word));
    }
    tools::cargo_deny()?;
    // Advisories need the network and change without this project: `cargo deny check advisories`.
    shell::run(&mut shell::cargo(&["deny", "check", "licenses", "bans", "sources"]))
}
