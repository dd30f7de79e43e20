//! Who may import whom, as ARCHITECTURE.md says. A rule that nothing checks does not last.

use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::{Failed, Result, list, root};

/// The engine's modules. Each imports only from those before it.
const MODULES: &[&str] = &[
    "error",
    "timestamp",
    "limits",
    "clock",
    "job",
    "archive",
    "field",
    "command",
    "lifecycle",
    "store",
    "table",
    "query",
    "watch",
    "tracker",
];

/// What they import from further on all the same.
const EXCEPTIONS: &[(&str, &str)] = &[
    // An error names the job concerned.
    ("error", "job::JobId"),
    // A command says what it must survive, in the words of the store.
    ("command", "store::Durability"),
    // A claim says which jobs, in the words of a query.
    ("command", "query::{Expr, Order}"),
];

/// What each crate takes from the others: backends and faces do not know each other.
const CRATES: &[(&str, &[&str])] = &[
    ("jobtrack", &[]),
    ("jobtrack-redb", &["jobtrack"]),
    ("jobtrack-checked", &["jobtrack"]),
    ("jobtrack-fjall", &["jobtrack", "jobtrack-checked"]),
    ("jobtrack-sled", &["jobtrack", "jobtrack-checked"]),
    ("jobtrack-testkit", &["jobtrack"]),
    ("jobtrack-http", &["jobtrack"]),
    (
        "jobtrack-cli",
        &["jobtrack", "jobtrack-fjall", "jobtrack-http", "jobtrack-redb", "jobtrack-sled"],
    ),
];

/// Fails on the first import or dependency that the rules do not allow.
pub(crate) fn check() -> Result {
    let sources = root().join("crates/jobtrack/src");
    for path in rust_files(&sources)? {
        let relative = path.strip_prefix(&sources).unwrap_or(&path);
        let name = relative.iter().next().map(|part| part.to_string_lossy().into_owned());
        let module = name.unwrap_or_default().trim_end_matches(".rs").to_owned();
        // `lib` sees everything, and tests may.
        if module == "lib" || relative.to_string_lossy().ends_with("_test.rs") {
            continue;
        }
        if let Some(fault) = wrong_import(&module, &read(&path)?) {
            return Err(Failed::new(format!("{}: {fault}", path.display())));
        }
    }
    for entry in list(&root().join("crates"))? {
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(fault) = wrong_dependency(&name, &read(&entry.join("Cargo.toml"))?) {
            return Err(Failed::new(format!("crates/{name}/Cargo.toml: {fault}")));
        }
    }
    Ok(())
}

fn wrong_import(module: &str, source: &str) -> Option<String> {
    let Some(place) = MODULES.iter().position(|name| *name == module) else {
        return Some(format!("the module {module} has no place in the order of modules"));
    };
    // Tests stand at the foot of a file.
    let source = source.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or(source);
    source.split("crate::").skip(1).find_map(|rest| {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let imported: String = rest.chars().take_while(|c| is_name(*c)).collect();
        let allowed = MODULES.iter().take(place + 1).any(|name| *name == imported);
        // `crate::Error` and the like are what `lib` hands out again, which starts with a capital.
        let is_module = MODULES.contains(&imported.as_str());
        let is_exception =
            EXCEPTIONS.iter().any(|(of, what)| *of == module && rest.starts_with(what));
        (is_module && !allowed && !is_exception)
            .then(|| format!("{module} imports from {imported}, which comes after it"))
    })
}

fn wrong_dependency(name: &str, manifest: &str) -> Option<String> {
    let Some((_, allowed)) = CRATES.iter().find(|(of, _)| *of == name) else {
        return Some("the crate has no place in the order of crates".to_owned());
    };
    let (_, dependencies) = manifest.split_once("\n[dependencies]")?;
    let dependencies = dependencies.split("\n[").next().unwrap_or(dependencies);
    dependencies.lines().find_map(|line| {
        let dependency = line.split(['.', ' ', '=']).next().unwrap_or(line);
        let is_ours = dependency == "jobtrack" || dependency.starts_with("jobtrack-");
        (is_ours && !allowed.contains(&dependency))
            .then(|| format!("{name} must not depend on {dependency}"))
    })
}

fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in list(folder)? {
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path)
        .map_err(|error| Failed::new(format!("{} cannot be read: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_from_further_on_is_found() {
        assert_eq!(wrong_import("query", "use crate::table::Snapshot;\nuse crate::Error;"), None);
        assert_eq!(wrong_import("error", "use crate::job::JobId;"), None);
        let later = wrong_import("lifecycle", "fn f(_: crate::store::Batch) {}").unwrap();
        assert_eq!(later, "lifecycle imports from store, which comes after it");
        let in_a_test = "use crate::job::Job;\n#[cfg(test)]\nmod tests { use crate::tracker::T; }";
        assert_eq!(wrong_import("store", in_a_test), None);
        assert!(wrong_import("error", "use crate::job::Job;").is_some());
        assert!(wrong_import("planner", "").unwrap().contains("no place"));
    }

    #[test]
    fn a_face_that_takes_a_backend_is_found() {
        let manifest = "[package]\nname = \"x\"\n\n[dependencies]\njobtrack.workspace = true\n\
                        jobtrack-redb = { workspace = true }\n\n[dev-dependencies]\n";
        let fault = wrong_dependency("jobtrack-http", manifest).unwrap();
        assert_eq!(fault, "jobtrack-http must not depend on jobtrack-redb");
        assert_eq!(wrong_dependency("jobtrack-cli", manifest), None);
        let in_tests = manifest.replace("[dependencies]", "[dev-dependencies]");
        assert_eq!(wrong_dependency("jobtrack-http", &in_tests), None);
    }
}
