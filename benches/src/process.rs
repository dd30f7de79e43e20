//! What a measuring process knows of itself, and shows while it measures.

use std::process::{Command, Stdio};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Bytes of this process that are in memory.
///
/// # Panics
///
/// Anywhere but on Linux.
pub fn resident() -> u64 {
    memory("/proc/self/status", "VmRSS:")
}

/// Bytes of memory that programs can still be given.
///
/// # Panics
///
/// Anywhere but on Linux.
pub fn available() -> u64 {
    memory("/proc/meminfo", "MemAvailable:")
}

fn memory(file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(file).expect("memory is measured on Linux");
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
    let kibibytes: u64 = kibibytes.and_then(|text| text.parse().ok()).expect("it is in kB");
    kibibytes * 1_024
}

/// Runs this program once more, with these arguments, and returns what it prints: a measurement in
/// a process of its own begins with a clean heap.
///
/// # Panics
///
/// If it fails: then there is nothing to report.
pub fn run_apart(arguments: &[String]) -> String {
    let this = std::env::current_exe().expect("a program knows its file");
    let child = Command::new(this)
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .expect("this program can be run once more");
    assert!(child.status.success(), "measuring {arguments:?} failed: {}", child.status);
    String::from_utf8(child.stdout).expect("what it prints is text")
}

/// A bar on standard error, which hides itself where that is no terminal.
pub fn progress_bar(length: u64, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}")
        .expect("the template is right");
    let bar = ProgressBar::new(length).with_style(style).with_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A number as people read it: no fraction where that is noise, commas between thousands.
///
/// ```
/// use jobtrack_benches::grouped;
///
/// assert_eq!(grouped(7.25), "7.2");
/// assert_eq!(grouped(1_234.5), "1,234");
/// ```
pub fn grouped(value: f64) -> String {
    if value < 100.0 { format!("{value:.1}") } else { with_commas(&format!("{value:.0}")) }
}

/// A whole number with commas between thousands.
///
/// ```
/// use jobtrack_benches::grouped_whole;
///
/// assert_eq!(grouped_whole(12), "12");
/// assert_eq!(grouped_whole(1_234_567), "1,234,567");
/// ```
pub fn grouped_whole(value: u64) -> String {
    with_commas(&value.to_string())
}

fn with_commas(digits: &str) -> String {
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let shown: Vec<_> = [0.0, 7.25, 100.4, 1_234.5, 1e6].map(grouped).into();
        assert_eq!(shown, ["0.0", "7.2", "100", "1,234", "1,000,000"]);
    }
}
