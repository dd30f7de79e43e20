//! The project's own tasks: `cargo xtask help` lists them.
//!
//! Everything that a person or a machine is asked to run goes through here, so that both run the
//! same. It needs nothing but the standard library.

// This is a program for people at a terminal, and it times what it runs.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

mod arguments;
mod compare;
mod figures;
mod fuzz;
mod layers;
mod shell;
mod steps;
mod test;
mod tools;
mod torture;

use std::process::ExitCode;

use crate::shell::Failed;

const HELP: &str = "\
Tasks of the jobtrack project. Use: cargo xtask TASK

  test                               all that decides whether a change lands; installs what it needs
  fuzz [--seconds N] [TARGET...]     each fuzz target, or those named, for N seconds (600)
  figures [--jobs N] [--rounds N] [--json]
                                     memory per job and changes per second, measured in release
  compare [--jobs N,...] [--classes TEXT,...] [--seconds S] [--json] [--plot DIR]
                                     jobtrack beside SQLite: queries, changes, memory (--help tells)
  torture [--only NAME] [--minutes N] [--seed N] [--write FILE]
                                     power cuts, failing disks, killed processes, damage, for every
                                     store, at length (--help tells)
  wear                               bytes written to the disk over one job's life, by store
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
        Some("figures") => figures::figures(&rest),
        Some("compare") => compare::compare(&rest),
        Some("torture") => torture::torture(&rest),
        Some("wear") => torture::wear(&rest),
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
