//! Whether the tests notice what is broken on purpose, one small change of the code after another.

use std::fs;

use crate::arguments::{Arguments, unknown};
use crate::shell::{Failed, Result, cargo, command, output, run, target};
use crate::tools;

/// A change after which the tests still run is one that they noticed: it may never end.
const TIMEOUT_SECONDS: &str = "300";

/// `cargo xtask mutants [--crate NAME] [--file GLOB] [--changed [REVISION]]`
pub(crate) fn mutants(words: &[String]) -> Result {
    let mut chosen = Vec::new();
    let mut package = "jobtrack".to_owned();
    let mut arguments = Arguments::new(words);
    while let Some((word, value)) = arguments.next() {
        match word {
            "--crate" => package = arguments.text(word, value)?.to_owned(),
            "--file" => {
                chosen.extend(["--file".to_owned(), arguments.text(word, value)?.to_owned()]);
            }
            "--changed" => {
                let since = value.map_or_else(branched_off, |revision| Ok(revision.to_owned()))?;
                chosen.extend(["--in-diff".to_owned(), diff_since(&since)?]);
            }
            other => return Err(unknown(other)),
        }
    }
    tools::nextest()?;
    tools::mutants()?;
    // It works on a copy, and writes what it found to mutants.out in the target folder.
    let options = ["mutants", "--test-tool", "nextest", "--timeout", TIMEOUT_SECONDS, "--output"];
    let mut mutants = cargo(&options);
    mutants.arg(target()).args(["--package", &package]).args(chosen);
    run(&mut mutants)
        .map_err(|failed| Failed::new(format!("{failed}; see mutants.out/missed.txt in target/")))
}

/// Where this branch has left main; on main itself, the commit before.
fn branched_off() -> Result<String> {
    let git = |arguments: &[&str]| output(&mut command("git", arguments));
    let base = git(&["merge-base", "main", "HEAD"]);
    let base =
        base.ok_or_else(|| Failed::new("there is no branch main; give --changed=REVISION"))?;
    let is_here = git(&["rev-parse", "HEAD"]).as_ref() == Some(&base);
    Ok(if is_here { "HEAD~1".to_owned() } else { base })
}

/// The file with all changes since the revision, those not committed among them.
fn diff_since(revision: &str) -> Result<String> {
    let diff = output(&mut command("git", &["diff", revision, "--", "*.rs"]));
    let diff = diff.ok_or_else(|| Failed::new(format!("git knows no revision {revision:?}")))?;
    if diff.is_empty() {
        return Err(Failed::new(format!("nothing has changed since {revision}")));
    }
    let file = target().join("changed.diff");
    let written = fs::create_dir_all(target()).and_then(|()| fs::write(&file, diff + "\n"));
    written
        .map_err(|error| Failed::new(format!("{} cannot be written: {error}", file.display())))?;
    Ok(file.to_string_lossy().into_owned())
}
