//! Many threads on one tracker for as long as one likes; `test` does so for seconds.

use crate::arguments::{Arguments, unknown};
use crate::shell::{Result, cargo, run};
use crate::tools;

/// How long unless told otherwise, for each store.
const SECONDS: u64 = 120;

/// `cargo xtask stress [--seconds N]`
pub(crate) fn stress(words: &[String]) -> Result {
    let mut seconds = SECONDS;
    let mut arguments = Arguments::new(words);
    while let Some((word, value)) = arguments.next() {
        match word {
            "--seconds" => seconds = arguments.number(word, value)?,
            other => return Err(unknown(other)),
        }
    }
    tools::nextest()?;
    // The profile of that name lets a test take as long as it must. One store at a time, and what
    // each round found is shown as it ends.
    let tests = ["nextest", "run", "--profile", "campaign", "--no-capture"];
    let which = ["--package", "jobtrack", "--package", "jobtrack-redb", "-E", "binary(=stress)"];
    run(cargo(&tests).args(which).env("JOBTRACK_STRESS_SECONDS", seconds.to_string()))
}
