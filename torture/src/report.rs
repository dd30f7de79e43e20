//! What a run has found: lines for programs, a table for people, and the page that keeps both.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::course::{Broken, Tally};
use crate::parts::Part;

/// One part and how it came out.
pub struct Done {
    /// The part.
    pub part: Part,
    /// The seed that it began with.
    pub seed: u64,
    /// How many were wanted.
    pub target: u64,
    /// How long it took.
    pub took: Duration,
    /// What it came to.
    pub outcome: Result<Tally, Broken>,
}

impl Done {
    /// Whether a promise was broken.
    pub fn is_broken(&self) -> bool {
        self.outcome.is_err()
    }

    fn status(&self) -> &'static str {
        match &self.outcome {
            Err(_) => "broken",
            Ok(tally) if !tally.skipped.is_empty() => "skipped",
            Ok(_) => "kept",
        }
    }

    /// The command that repeats it; from the case that failed, if one did.
    pub fn command(&self) -> String {
        let seed = self.outcome.as_ref().err().map_or(self.seed, |broken| broken.seed);
        format!("cargo xtask torture --only {} --seed {seed}", self.part.full_name())
    }

    /// It as one line of JSON.
    pub fn line(&self) -> Value {
        let mut line = json!({
            "part": self.part.full_name(),
            "status": self.status(),
            "seed": self.seed,
            "seconds": (self.took.as_secs_f64() * 10.0).round() / 10.0,
            "command": self.command(),
        });
        if let Some(fields) = line.as_object_mut() {
            match &self.outcome {
                Ok(tally) => {
                    let counts =
                        tally.counts().map(|(kind, count)| (kind.to_owned(), json!(count)));
                    fields.insert("counts".to_owned(), counts.collect::<Value>());
                    if !tally.skipped.is_empty() {
                        fields.insert("skipped".to_owned(), json!(tally.skipped));
                    }
                }
                Err(broken) => drop(fields.insert("broken".to_owned(), json!(broken.what))),
            }
        }
        line
    }

    /// It as one line to read.
    pub fn line_for_people(&self) -> String {
        format!("{:20} {:5} s  {}", self.part.full_name(), self.took.as_secs(), self.counts())
    }

    fn counts(&self) -> String {
        match &self.outcome {
            Err(broken) => format!("BROKEN: {broken}"),
            Ok(tally) if !tally.skipped.is_empty() => {
                format!("SKIPPED: {}", tally.skipped.join("; "))
            }
            Ok(tally) => {
                // What was to be counted comes first.
                let (first, rest): (Vec<_>, Vec<_>) =
                    tally.counts().partition(|(kind, _)| *kind == self.part.counted);
                let counts = first.into_iter().chain(rest);
                let counts: Vec<String> =
                    counts.map(|(kind, count)| format!("{} {kind}", grouped(count))).collect();
                counts.join(", ")
            }
        }
    }
}

/// All of it as a table of Markdown, which a terminal can show as well.
pub fn table(done: &[Done], about: &str) -> String {
    let mut text = format!("{about}\n\n| part | aim | this run | seconds | seed |\n");
    text.push_str("|---|---|---|---|---|\n");
    for done in done {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            done.part.full_name(),
            done.part.aim,
            done.counts().replace('|', "/").replace('\n', " "),
            done.took.as_secs(),
            done.seed,
        );
    }
    text
}

/// Puts the table between the marks of a page, in place of what is there.
///
/// # Errors
///
/// The reason why that cannot be done.
pub fn put_into(page: &Path, table: &str) -> Result<(), String> {
    let cannot = |error: &dyn std::fmt::Display| format!("{}: {error}", page.display());
    let text = fs::read_to_string(page).map_err(|error| cannot(&error))?;
    let put = put(&text, table).ok_or_else(|| cannot(&format!("it lacks {BEGIN} and {END}")))?;
    fs::write(page, put).map_err(|error| cannot(&error))
}

const BEGIN: &str = "<!-- figures: written by cargo xtask torture -->";
const END: &str = "<!-- end of figures -->";

fn put(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))
}

/// A number with a comma between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let shown = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_table_replaces_the_one_before_and_nothing_else() {
        let page = format!("above\n{BEGIN}\nold\n{END}\nbelow\n");
        let once = put(&page, "new").unwrap();
        assert_eq!(once, format!("above\n{BEGIN}\n\nnew\n{END}\nbelow\n"));
        assert_eq!(put(&once, "new").unwrap(), once);
        assert_eq!(put("no marks", "new"), None);
    }
}
