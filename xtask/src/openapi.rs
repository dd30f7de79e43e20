//! Schemathesis over the document that the server serves of itself: a short run in `test`, and a
//! campaign for as long as one likes.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::arguments::{Arguments, unknown};
use crate::shell::{Result, cargo, command, run, target};
use crate::tools;

/// How long a campaign takes unless told otherwise.
const SECONDS: u64 = 600;

/// `cargo xtask openapi [--seconds N] [--seed S]`
pub(crate) fn campaign(words: &[String]) -> Result {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (mut seconds, mut seed) = (SECONDS, now.as_secs());
    let mut arguments = Arguments::new(words);
    while let Some((word, value)) = arguments.next() {
        match word {
            "--seconds" => seconds = arguments.number(word, value)?,
            "--seed" => seed = arguments.number(word, value)?,
            other => return Err(unknown(other)),
        }
    }
    let python = tools::python_with_requirements()?;
    run(&mut cargo(&["build", "--bin", "jobtrack", "--quiet"]))?;
    println!("seed {seed}");
    let campaign = [format!("--seconds={seconds}"), format!("--seed={seed}")];
    run(script(&python).args(campaign))
}

/// A run of half a minute, the same one each time.
pub(crate) fn short(python: &Path) -> Result {
    run(&mut script(python))
}

fn script(python: &Path) -> std::process::Command {
    let mut script = command(python, &["e2e/openapi.py", "--binary"]);
    script.arg(target().join("debug").join("jobtrack"));
    script
}
