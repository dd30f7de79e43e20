//! The fuzz targets: a short run of each in `test`, as long as one likes here.

use std::fs;

use crate::arguments::{Arguments, unknown};
use crate::shell::{Failed, Result, cargo, list, root, run};
use crate::steps::Steps;
use crate::tools;

/// How long each target runs unless told otherwise.
const CAMPAIGN_SECONDS: u64 = 600;

/// `cargo xtask fuzz [--seconds N] [TARGET...]`
pub(crate) fn campaign(words: &[String]) -> Result {
    let known = targets()?;
    let mut seconds = CAMPAIGN_SECONDS;
    let mut chosen = Vec::new();
    let mut arguments = Arguments::new(words);
    while let Some((word, value)) = arguments.next() {
        match word {
            "--seconds" => seconds = arguments.number(word, value)?,
            option if option.starts_with('-') => return Err(unknown(option)),
            target if known.iter().any(|name| name == target) => chosen.push(target.to_owned()),
            other => {
                let known = known.join(", ");
                return Err(Failed::new(format!("{other:?} is no fuzz target; there are {known}")));
            }
        }
    }
    tools::fuzzer()?;
    let chosen = if chosen.is_empty() { known } else { chosen };
    let mut steps = Steps::begin();
    for target in &chosen {
        steps.step(target, || run_targets(std::slice::from_ref(target), seconds))?;
    }
    steps.finish();
    Ok(())
}

/// The targets' names, from the files that hold them.
pub(crate) fn targets() -> Result<Vec<String>> {
    let files = list(&root().join("fuzz").join("fuzz_targets"))?;
    Ok(files.iter().filter_map(|path| Some(path.file_stem()?.to_string_lossy().into())).collect())
}

/// Runs each of the targets for so long, starting from the seeds and from what earlier runs found.
pub(crate) fn run_targets(targets: &[String], seconds: u64) -> Result {
    for target in targets {
        // libFuzzer writes what it finds into the first folder, which git does not see, and only
        // reads the others.
        let corpus = format!("fuzz/corpus/{target}");
        let seeds = format!("fuzz/seeds/{target}");
        let found = format!("fuzz/found/{target}");
        let mut folders = vec![&corpus, &seeds];
        if root().join(&found).is_dir() {
            folders.push(&found);
        }
        let total_time = format!("-max_total_time={seconds}");
        for folder in [&corpus, &seeds] {
            let made = fs::create_dir_all(root().join(folder));
            made.map_err(|error| Failed::new(format!("{folder} cannot be made: {error}")))?;
        }
        // All of the engine is safe Rust, so the address sanitizer would find nothing and cost
        // half the speed. Coverage needs compiler flags that stable Rust hides: hence the variable.
        let fuzz = ["fuzz", "run", "--sanitizer=none", target];
        let limits = [
            total_time.as_str(),
            "-timeout=20",
            "-rss_limit_mb=2048",
            "-print_final_stats=1",
            "-verbosity=0",
            "-print_funcs=0",
        ];
        let mut fuzzing = cargo(&fuzz);
        fuzzing.args(folders).arg("--").args(limits).env("RUSTC_BOOTSTRAP", "1");
        run(&mut fuzzing).map_err(|failed| {
            let keep = "mend it, and keep what fuzz/artifacts has of it in fuzz/found";
            Failed::new(format!("{failed}; {keep}/{target}"))
        })?;
    }
    Ok(())
}
