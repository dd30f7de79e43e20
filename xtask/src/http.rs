//! Our server beside a bare one; printed, never asserted.

use crate::shell::{Result, cargo, run};

/// `cargo xtask http [OPTIONS]`; the program that measures checks them, and has its own help.
pub(crate) fn http(words: &[String]) -> Result {
    let command =
        ["run", "--release", "--quiet", "--package", "jobtrack-benches", "--bin", "http", "--"];
    run(cargo(&command).args(words))
}
