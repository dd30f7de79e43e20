//! The web page in a real browser: as a step of the tests, with many more jobs, or for pictures.

use std::path::Path;

use crate::arguments::{Arguments, unknown};
use crate::shell::{Result, cargo, command, run, target};
use crate::tools;

const SCRIPT: &str = "e2e/page/run.mjs";

/// Runs the page's checks against this server, with as many jobs as the script has by itself.
pub(crate) fn check(server: &Path) -> Result {
    run(command("node", &[SCRIPT, "--binary"]).arg(server))
}

/// `cargo xtask page [--jobs N] [--screenshots FOLDER]`: the same in release, where ten million jobs
/// are loaded in minutes.
pub(crate) fn page(words: &[String]) -> Result {
    let mut script = command("node", &[SCRIPT, "--binary"]);
    script.arg(target().join("release").join("jobtrack"));
    let mut arguments = Arguments::new(words);
    while let Some((name, value)) = arguments.next() {
        match name {
            "--jobs" => {
                let jobs = arguments.number(name, value)?;
                script.arg("--jobs").arg(jobs.to_string());
            }
            "--screenshots" => {
                script.arg("--screenshots").arg(arguments.text(name, value)?);
            }
            other => return Err(unknown(other)),
        }
    }
    tools::browser()?;
    run(&mut cargo(&["build", "--release", "--package", "jobtrack-cli"]))?;
    run(&mut script)
}
