//! The tracker under as many schedules as one likes; `test` runs some thousands of them.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::arguments::{Arguments, unknown};
use crate::shell::{Result, cargo, run};
use crate::tools;

/// How many schedules each test tries unless told otherwise: some minutes in all.
const SCHEDULES: u64 = 20_000;

/// `cargo xtask shuttle [--schedules N] [--seed S]`
pub(crate) fn shuttle(words: &[String]) -> Result {
    let mut schedules = SCHEDULES;
    let mut seed = None;
    let mut arguments = Arguments::new(words);
    while let Some((word, value)) = arguments.next() {
        match word {
            "--schedules" => schedules = arguments.number(word, value)?,
            "--seed" => seed = Some(arguments.number(word, value)?),
            other => return Err(unknown(other)),
        }
    }
    tools::nextest()?;
    // Other schedules each time; the command that is shown says which, to run them again.
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs());
    let seed = seed.unwrap_or_else(now);
    let tests = ["nextest", "run", "--profile", "campaign"];
    let which = ["--package", "jobtrack-interleavings", "--status-level", "pass"];
    run(cargo(&tests)
        .args(which)
        .env("JOBTRACK_SCHEDULES", schedules.to_string())
        .env("JOBTRACK_SEED", seed.to_string()))
}
