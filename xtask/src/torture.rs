//! Every store under everything that a machine can do to it; a tenth of it is a part of `test`.

use crate::shell::{Result, cargo, run};
use crate::tools;

/// `cargo xtask torture [OPTIONS]`; the program that tortures checks them, and has its own help.
pub(crate) fn torture(words: &[String]) -> Result {
    // Without it one part skips itself, and says so.
    tools::strace();
    // Optimised, and with every assertion.
    let command = [
        "run",
        "--profile",
        "torture",
        "--quiet",
        "--package",
        "jobtrack-torture",
        "--bin",
        "jobtrack-torture",
        "--",
    ];
    run(cargo(&command).args(words))
}

/// `cargo xtask wear [OPTIONS]`: that part of it alone.
pub(crate) fn wear(words: &[String]) -> Result {
    let only = ["--only", "wear"].map(str::to_owned);
    torture(&[&only[..], words].concat())
}
