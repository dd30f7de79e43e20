//! jobtrack beside SQLite; printed, never asserted.

use crate::shell::{Result, cargo, run};

/// `cargo xtask compare [OPTIONS]`; the program that measures checks them, and has its own help.
pub(crate) fn compare(words: &[String]) -> Result {
    let command =
        ["run", "--release", "--quiet", "--package", "jobtrack-benches", "--bin", "compare", "--"];
    run(cargo(&command).args(words))
}
