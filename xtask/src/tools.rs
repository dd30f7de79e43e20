//! What the tasks need beside Rust, Python 3 and a C compiler, and how they get it.
//!
//! Each function checks first and installs only what is missing, saying so.

use std::fs;
use std::path::PathBuf;

use crate::shell::{Failed, Result, cargo, command, output, root, run, succeeds, target};

/// What the end-to-end test needs of Python's packages.
const REQUIREMENTS: &str = "e2e/requirements.txt";

/// Where Debian puts it, and where the test looks for it.
const CHROMIUM: &str = "/usr/bin/chromium";

/// rustfmt and clippy: parts of the toolchain, which rustup adds if it is there.
pub(crate) fn formatter_and_linter() -> Result {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        let is_there = || succeeds(&mut cargo(&[subcommand, "--version"]));
        if is_there() {
            continue;
        }
        println!("{component} is missing; rustup is asked for it");
        let added = run(&mut command("rustup", &["component", "add", component]));
        if added.is_err() || !is_there() {
            return Err(Failed::new(format!(
                "{component} is missing; install it (rustup component add {component}) and run \
                 this again"
            )));
        }
    }
    Ok(())
}

/// cargo-nextest, the one test runner. There is no way round it: the tests count on a process each.
pub(crate) fn nextest() -> Result {
    cargo_subcommand("nextest", "cargo-nextest")
}

/// cargo-deny.
pub(crate) fn cargo_deny() -> Result {
    cargo_subcommand("deny", "cargo-deny")
}

/// cargo-mutants.
pub(crate) fn mutants() -> Result {
    cargo_subcommand("mutants", "cargo-mutants")
}

/// cargo-llvm-cov, and the part of the toolchain that reads what instrumented programs write.
pub(crate) fn coverage() -> Result {
    cargo_subcommand("llvm-cov", "cargo-llvm-cov")?;
    // The component's programs are not on the path, so rustc is asked where they would be.
    let libraries = output(&mut command("rustc", &["--print", "target-libdir"]));
    let is_there = || {
        let programs = libraries.as_ref().map(|folder| PathBuf::from(folder).join("../bin"));
        programs.is_some_and(|folder| folder.join("llvm-profdata").exists())
    };
    if is_there() {
        return Ok(());
    }
    println!("llvm-tools is missing; rustup is asked for it");
    let added = run(&mut command("rustup", &["component", "add", "llvm-tools"]));
    if added.is_err() || !is_there() {
        return Err(Failed::new(
            "llvm-tools is missing; install it (rustup component add llvm-tools) and run this again",
        ));
    }
    Ok(())
}

/// cargo-fuzz, and the C++ compiler that its libFuzzer is built with.
pub(crate) fn fuzzer() -> Result {
    cxx_compiler()?;
    cargo_subcommand("fuzz", "cargo-fuzz")
}

/// The Python of a virtual environment that has what the end-to-end test needs.
pub(crate) fn python_with_requirements() -> Result<PathBuf> {
    let folder = target().join("venv");
    let python = folder.join("bin").join("python");
    let wanted = fs::read_to_string(root().join(REQUIREMENTS))
        .map_err(|error| Failed::new(format!("{REQUIREMENTS} cannot be read: {error}")))?;
    // A copy of the list is put into the environment once all of it is installed.
    let mark = folder.join("installed.txt");
    let is_ready = fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted)
        && succeeds(&mut command(&python, &["--version"]));
    if is_ready {
        return Ok(python);
    }
    if !succeeds(&mut command("python3", &["--version"])) {
        return Err(Failed::new("python3 is missing; install it and run this again"));
    }
    // Debian ships Python without the part of `venv` that brings pip.
    if !succeeds(&mut command("python3", &["-c", "import venv, ensurepip"])) {
        debian_package("python3-venv", "Python's venv and ensurepip")?;
    }
    // `--clear` also mends an environment that was left half made.
    run(command("python3", &["-m", "venv", "--clear"]).arg(&folder))?;
    let pip =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS];
    run(&mut command(&python, &pip))?;
    fs::write(&mark, wanted)
        .map_err(|error| Failed::new(format!("{} cannot be written: {error}", mark.display())))?;
    Ok(python)
}

/// What the test of the web page needs: node, Chromium, and the packages of its lock file.
pub(crate) fn browser() -> Result {
    if !succeeds(&mut command("node", &["--version"])) {
        debian_package("nodejs", "node")?;
    }
    if !succeeds(&mut command("npm", &["--version"])) {
        debian_package("npm", "npm")?;
    }
    if !succeeds(&mut command(CHROMIUM, &["--version", "--no-sandbox"])) {
        debian_package("chromium", "Chromium")?;
    }
    let folder = root().join("e2e").join("page");
    let lock = folder.join("package-lock.json");
    let wanted = fs::read_to_string(&lock)
        .map_err(|error| Failed::new(format!("{} cannot be read: {error}", lock.display())))?;
    // A copy of the lock file is put beside the packages once all of them are installed.
    let mark = folder.join("node_modules").join("installed.json");
    if fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let install = ["ci", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"];
    run(command("npm", &install).arg(&folder))?;
    fs::write(&mark, wanted)
        .map_err(|error| Failed::new(format!("{} cannot be written: {error}", mark.display())))
}

/// curl, with which the examples of the documentation are run as they stand.
pub(crate) fn curl() -> Result {
    if succeeds(&mut command("curl", &["--version"])) {
        return Ok(());
    }
    debian_package("curl", "curl")
}

/// slowhttptest, a tester of slow clients; what it shows is shown by our own as well, without it.
pub(crate) fn slowhttptest() {
    // It has no option that ends well without a test.
    if !succeeds(&mut command("sh", &["-c", "command -v slowhttptest"]))
        && let Err(missing) = debian_package("slowhttptest", "slowhttptest")
    {
        println!("{missing}: its part will be skipped");
    }
}

/// strace, with which tests let a sync fail. They skip themselves loudly without it, so nothing
/// depends on whether it can be had.
pub(crate) fn strace() {
    if !succeeds(&mut command("strace", &["-V"]))
        && let Err(missing) = debian_package("strace", "strace")
    {
        println!("{missing}: tests that need it will be skipped");
    }
}

fn cargo_subcommand(subcommand: &str, package: &str) -> Result {
    if succeeds(&mut cargo(&[subcommand, "--version"])) {
        return Ok(());
    }
    println!("{package} is missing; cargo builds it, which takes some minutes");
    run(&mut cargo(&["install", "--locked", package]))
}

fn cxx_compiler() -> Result {
    // The same places in which the `cc` crate looks.
    let named = std::env::var_os("CXX");
    let is_there = || {
        let candidates = named.iter().map(PathBuf::from).chain(["c++".into(), "g++".into()]);
        candidates.into_iter().any(|name| succeeds(&mut command(name, &["--version"])))
    };
    if is_there() {
        return Ok(());
    }
    debian_package("g++", "a C++ compiler")
}

/// Installs a Debian package where that can be done, and else says what is to be done.
fn debian_package(package: &str, what: &str) -> Result {
    let is_root = output(&mut command("id", &["-u"])).as_deref() == Some("0");
    if !is_root || !succeeds(&mut command("apt-get", &["--version"])) {
        return Err(Failed::new(format!(
            "{what} is missing; install it (Debian's package is {package}) and run this again"
        )));
    }
    println!("{what} is missing; apt-get installs {package}");
    run(&mut command("apt-get", &["update", "--quiet"]))?;
    let install = ["install", "--quiet", "--yes", "--no-install-recommends", package];
    run(command("apt-get", &install).env("DEBIAN_FRONTEND", "noninteractive"))
}
