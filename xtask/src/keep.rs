//! `cargo xtask keep-stores`: what this release writes is kept, for every later one to read.

use crate::arguments::unknown;
use crate::shell::{Result, cargo, run};

/// The kinds of store that are kept.
const KINDS: &[&str] = &["redb", "fjall", "sled"];

/// Writes a store of each kind into `testdata/stores/LEVEL`, and what they hold beside them. A level
/// that is there is refused: what a release has written is never written again.
pub(crate) fn keep_stores(words: &[String]) -> Result {
    if let Some(word) = words.first() {
        return Err(unknown(word));
    }
    for kind in KINDS {
        let package = format!("jobtrack-{kind}");
        let mut test = cargo(&["test", "--quiet", "-p", &package, "--test", "kept"]);
        test.args(["--", "--ignored", "--exact", "keep_a_store"]);
        run(test.env("JOBTRACK_KEEP_STORES", "1"))?;
    }
    println!("Kept in testdata/stores. Add them to the repository with the release.");
    Ok(())
}
