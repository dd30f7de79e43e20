//! The figures that performance is spoken of in; printed, never asserted.

use crate::arguments::{Arguments, unknown};
use crate::shell::{Result, cargo, run};

/// `cargo xtask figures [--jobs N] [--rounds N] [--only WHAT] [--json]`
pub(crate) fn figures(words: &[String]) -> Result {
    let mut passed_on = Vec::new();
    let mut arguments = Arguments::new(words);
    while let Some((word, value)) = arguments.next() {
        match word {
            "--jobs" | "--rounds" => {
                let number = arguments.number(word, value)?;
                passed_on.push(format!("{word}={number}"));
            }
            "--only" => passed_on.push(format!("{word}={}", arguments.text(word, value)?)),
            "--json" => passed_on.push(word.to_owned()),
            other => return Err(unknown(other)),
        }
    }
    let command =
        ["run", "--release", "--quiet", "--package", "jobtrack-benches", "--bin", "figures", "--"];
    run(cargo(&command).args(passed_on))
}
