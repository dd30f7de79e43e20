//! All that decides whether a change lands.

use crate::arguments::unknown;
use crate::fuzz;
use crate::layers;
use crate::openapi;
use crate::page;
use crate::shell::{Result, cargo, command, run, target};
use crate::steps::{Outcome, Steps};
use crate::tools;

/// How long each of the twelve fuzz targets runs: enough to see that it runs and that nothing shallow
/// is broken. `cargo xtask fuzz` is the campaign.
const FUZZ_SECONDS: u64 = 8;

/// Cheap steps come first, so that a change that is not ready is sent back soon. All builds are of
/// the dev profile and share one folder; only the fuzz targets have flags, and so a folder, of
/// their own.
pub(crate) fn test(words: &[String]) -> Result {
    if let Some(word) = words.first() {
        return Err(unknown(word));
    }
    let mut steps = Steps::begin();
    let python = steps.step("tools", || {
        tools::formatter_and_linter()?;
        tools::nextest()?;
        tools::curl()?;
        tools::strace();
        tools::slowhttptest();
        tools::browser()?;
        tools::python_with_requirements()
    })?;
    steps.step("format", || {
        run(&mut cargo(&["fmt", "--all", "--check"]))?;
        run(&mut cargo(&["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]))
    })?;
    steps.step("layers", layers::check)?;
    // Every target, so the benches are known to compile; optimising them would prove no more.
    steps.step("lints", || {
        run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    })?;
    steps.step("tests", || run(&mut cargo(&["nextest", "run", "--workspace"])))?;
    steps.step("doc tests", || {
        // The same sources once more, under another name.
        let but = &["--exclude", "jobtrack-interleavings"];
        run(cargo(&["test", "--doc", "--workspace", "--quiet"]).args(but))
    })?;
    steps.step("documentation", || {
        let doc = &["doc", "--workspace", "--no-deps", "--document-private-items"];
        run(cargo(doc).env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    // With the tests, or features would be resolved anew and half the dependencies built again.
    steps.step("the server", || {
        run(&mut cargo(&["build", "--workspace", "--bins", "--tests", "--quiet"]))
    })?;
    steps.step("NetApp's client against the server", || {
        let server = target().join("debug").join("jobtrack");
        for script in ["e2e/netapp_client.py", "e2e/netapp_more.py", "e2e/netapp_https.py"] {
            run(command(&python, &[script, "--binary"]).arg(&server))?;
        }
        Ok(())
    })?;
    steps.step("hostile clients against the server", || {
        let server = target().join("debug").join("jobtrack");
        run(command(&python, &["e2e/hostile_clients.py", "--binary"]).arg(&server))
    })?;
    steps.step("metrics as Prometheus reads them", || {
        let server = target().join("debug").join("jobtrack");
        run(command(&python, &["e2e/metrics.py", "--binary"]).arg(&server))
    })?;
    steps.step("the server's OpenAPI document", || openapi::short(&python))?;
    steps
        .step("the page in a browser", || page::check(&target().join("debug").join("jobtrack")))?;
    steps.step_or_skip("fuzz targets", || match tools::fuzzer() {
        // Reported here and in the summary; all else still decides.
        Err(missing) => Ok(Outcome::Skipped(missing.to_string())),
        Ok(()) => fuzz::run_targets(&fuzz::targets()?, FUZZ_SECONDS).map(|()| Outcome::Passed),
    })?;
    steps.finish();
    Ok(())
}
