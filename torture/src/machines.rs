//! Other processes: this very program, started again to work on a store or to judge one.

// A judge's verdict is a panic.
#![allow(clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use jobtrack_testkit::processes::{self, FOLDER};

use crate::stores::Kind;

/// No healthy process needs as long.
const HANGS_AFTER: Duration = Duration::from_secs(60);

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Says which program is started as the other process: `jobtrack-torture`.
pub fn set_program(path: impl Into<PathBuf>) {
    let _ = PROGRAM.set(path.into());
}

/// The command that works on a store until it is killed.
pub fn worker(kind: Kind) -> Command {
    other(kind, "work")
}

fn other(kind: Kind, what: &str) -> Command {
    let own = || std::env::current_exe().expect("a program");
    let mut command = Command::new(PROGRAM.get_or_init(own));
    command.args(["other-process", kind.name, what]);
    command
}

/// The number of the last commit that is left of what a worker did, as a process of its own sees it.
///
/// # Errors
///
/// What it said if it found a promise broken, or could not open the store.
pub fn left(kind: Kind, folder: &Path) -> Result<u64, String> {
    let output = other(kind, "left").env(FOLDER, folder).stdin(Stdio::null()).output();
    let output = output.expect("another process");
    let said = String::from_utf8_lossy(&output.stdout);
    let number = said.lines().find_map(|line| line.strip_prefix("left ")?.parse().ok());
    number.ok_or_else(|| {
        format!("{}; {}", output.status, String::from_utf8_lossy(&output.stderr).trim())
    })
}

/// What the other process does; `words` is what it was started with, after its first.
#[allow(clippy::print_stdout, clippy::print_stderr)] // It is how it speaks to the first.
pub fn other_process(kind: Kind, what: &str) {
    thread::spawn(|| {
        thread::sleep(HANGS_AFTER);
        eprintln!("it hangs");
        std::process::abort();
    });
    match what {
        "work" => processes::other_process(&kind.open),
        _ => {
            let folder = std::env::var_os(FOLDER).expect("a folder");
            println!("left {}", processes::left(&kind.open, Path::new(&folder)));
        }
    }
}
