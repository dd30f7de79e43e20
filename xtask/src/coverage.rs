//! Which lines the tests run, in the crates that hold people's jobs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::arguments::{Arguments, unknown};
use crate::shell::{Failed, Result, cargo, root, run, target};
use crate::tools;

/// The crates whose lines are counted: the engine with its queries, and the stores.
const COUNTED: &[&str] =
    &["jobtrack", "jobtrack-checked", "jobtrack-fjall", "jobtrack-redb", "jobtrack-sled"];

/// Whose tests are run beside theirs: they come to the same lines through other doors.
const ALSO_RUN: &[&str] = &["jobtrack-doors"];

/// Lines of a file that hold code, and how many of them were run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Lines {
    code: usize,
    run: usize,
}

/// `cargo xtask coverage [--uncovered]`
pub(crate) fn coverage(words: &[String]) -> Result {
    let mut shows_uncovered = false;
    let mut arguments = Arguments::new(words);
    while let Some((word, value)) = arguments.next() {
        match (word, value) {
            ("--uncovered", None) => shows_uncovered = true,
            (other, _) => return Err(unknown(other)),
        }
    }
    tools::nextest()?;
    tools::coverage()?;
    // Its flags make other binaries, for which it has a folder of its own in the target folder.
    let mut tests = cargo(&["llvm-cov", "nextest", "--no-report", "--status-level", "fail"]);
    for package in COUNTED.iter().chain(ALSO_RUN) {
        tests.args(["--package", package]);
    }
    run(&mut tests)?;
    let file = target().join("coverage.lcov");
    let report = ["llvm-cov", "report", "--lcov", "--output-path"];
    run(cargo(&report).arg(&file))?;
    let text = fs::read_to_string(&file)
        .map_err(|error| Failed::new(format!("{} cannot be read: {error}", file.display())))?;

    let mut crates: BTreeMap<&str, Lines> = BTreeMap::new();
    for (path, runs) in files(&text) {
        let Ok(path) = Path::new(path).strip_prefix(root()) else { continue };
        let name = path.iter().nth(1).and_then(|name| name.to_str()).unwrap_or_default();
        let Some(counted) = COUNTED.iter().find(|counted| **counted == name) else { continue };
        let is_code = path.starts_with("crates") && path.iter().nth(2).is_some_and(|p| p == "src");
        if !is_code || is_module_of_tests(&root().join(path)) {
            continue;
        }
        let source = fs::read_to_string(root().join(path)).unwrap_or_default();
        let (lines, uncovered) = count(&runs, first_line_of_tests(&source));
        if lines.code == 0 {
            continue;
        }
        println!("{}  {}", shown(lines), path.display());
        if shows_uncovered && !uncovered.is_empty() {
            let uncovered: Vec<_> = uncovered.iter().map(usize::to_string).collect();
            println!("                        not run: {}", uncovered.join(" "));
        }
        let sum = crates.entry(counted).or_default();
        sum.code += lines.code;
        sum.run += lines.run;
    }
    println!();
    for (name, lines) in &crates {
        println!("{}  {name}", shown(*lines));
    }
    let all = crates.values().fold(Lines::default(), |all, lines| Lines {
        code: all.code + lines.code,
        run: all.run + lines.run,
    });
    println!("{}  all of these", shown(all));
    Ok(())
}

/// Each file of a report in lcov's form, with how often each of its lines was run.
fn files(text: &str) -> Vec<(&str, BTreeMap<usize, u64>)> {
    let mut files: Vec<(&str, BTreeMap<usize, u64>)> = Vec::new();
    for line in text.lines() {
        if let Some(path) = line.strip_prefix("SF:") {
            files.push((path, BTreeMap::new()));
        } else if let Some(data) = line.strip_prefix("DA:")
            && let Some((number, times)) = data.split_once(',')
            && let (Ok(number), Ok(times)) = (number.parse(), times.parse::<u64>())
            && let Some((_, lines)) = files.last_mut()
        {
            *lines.entry(number).or_default() += times;
        }
    }
    files
}

/// Tests stand at the foot of a file, and are not what is to be counted.
fn first_line_of_tests(source: &str) -> usize {
    let before = source.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or(source);
    before.lines().count() + 1
}

/// Whether the module above this one has it for tests alone.
fn is_module_of_tests(path: &Path) -> bool {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let declared = format!("#[cfg(test)]\nmod {name};");
    let above = ["mod.rs", "lib.rs"].map(|file| path.with_file_name(file));
    let above = above.iter().map(|file| fs::read_to_string(file).unwrap_or_default());
    above.into_iter().any(|source| source.contains(&declared))
}

fn count(runs: &BTreeMap<usize, u64>, until: usize) -> (Lines, Vec<usize>) {
    let of_code = runs.range(..until);
    let uncovered: Vec<_> =
        of_code.clone().filter(|(_, times)| **times == 0).map(|(line, _)| *line).collect();
    let code = of_code.count();
    (Lines { code, run: code - uncovered.len() }, uncovered)
}

fn shown(lines: Lines) -> String {
    // In tenths of a percent, rounded down: 100.0 % means all.
    let tenths = lines.run * 1_000 / lines.code.max(1);
    format!("{:>5}.{} %  {:>5} of {:>5}", tenths / 10, tenths % 10, lines.run, lines.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_up_to_the_tests_at_the_foot() {
        let report = "TN:\nSF:/a.rs\nDA:1,3\nDA:2,0\nDA:5,1\nend_of_record\nSF:/b.rs\nDA:1,0\n";
        let files = files(report);
        assert_eq!(files.iter().map(|(path, _)| *path).collect::<Vec<_>>(), ["/a.rs", "/b.rs"]);
        let source = "fn a() {}\nfn b() {}\n\n#[cfg(test)]\nmod tests {\n    fn c() {}\n}\n";
        let (lines, uncovered) = count(&files[0].1, first_line_of_tests(source));
        assert_eq!((lines, uncovered), (Lines { code: 2, run: 1 }, vec![2]));
        assert_eq!(shown(lines), "   50.0 %      1 of     2");
        assert_eq!(shown(Lines { code: 1_001, run: 1_000 }), "   99.9 %   1000 of  1001");
        let query = root().join("crates/jobtrack/src/query");
        assert!(is_module_of_tests(&query.join("corpus_test.rs")));
        assert!(!is_module_of_tests(&query.join("parse.rs")));
    }
}
