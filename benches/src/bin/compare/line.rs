//! One result: a line of JSON, and of the table.

use serde::{Deserialize, Serialize};

use crate::timing::Timed;

/// What was measured of one class at one size.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Line {
    /// The class's name.
    pub(crate) class: String,
    /// Jobs in each of the two.
    pub(crate) jobs: usize,
    pub(crate) jobtrack_p50_ns: Option<u64>,
    pub(crate) jobtrack_p99_ns: Option<u64>,
    pub(crate) sqlite_p50_ns: Option<u64>,
    pub(crate) sqlite_p99_ns: Option<u64>,
    /// How many times better jobtrack is; none where there is no SQLite side.
    pub(crate) ratio: Option<f64>,
    /// How jobtrack answers.
    pub(crate) plan: Option<String>,
    /// Records returned, or jobs counted.
    pub(crate) rows: Option<u64>,
    /// What sort of thing was measured.
    pub(crate) of: Of,
    /// Of which jobs.
    pub(crate) state: Stage,
    /// The time that 999 of 1,000 changes or random queries kept below, and the longest of all.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) jobtrack_p999_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) jobtrack_worst_ns: Option<u64>,
    /// How many calls the times are of.
    pub(crate) jobtrack_runs: Option<u64>,
    pub(crate) sqlite_runs: Option<u64>,
    /// Changes in a second, over all of them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) jobtrack_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) sqlite_per_second: Option<f64>,
    /// What no program of this machine can do without, where it was measured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) floor_p50_ns: Option<u64>,
    /// How SQLite answers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) sqlite_plan: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) jobtrack_bytes_per_job: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) sqlite_bytes_per_job: Option<u64>,
    /// When and on what it was measured; said once, by the first line of a run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) run: Option<String>,
    /// What else there is to say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) note: Option<String>,
}

/// Of which jobs something was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stage {
    /// As they were loaded.
    #[default]
    Fresh,
    /// After as many whole lives as there are jobs.
    Churned,
    /// Loaded, each with 200 bytes of text that stand in no other.
    Wide,
}

impl Stage {
    pub(crate) const ALL: [Stage; 3] = [Stage::Fresh, Stage::Churned, Stage::Wide];
}

/// What sort of thing was measured, and so what its times are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Of {
    /// Times of one query; the ratio is that of the medians.
    #[default]
    Query,
    /// Times of one change; the ratio is that of the rates.
    Change,
    /// The time that all jobs take together.
    Whole,
    /// Bytes.
    Memory,
}

impl Line {
    pub(crate) fn new(of: Of, class: &str, jobs: usize) -> Self {
        Line { class: class.to_owned(), jobs, of, ..Line::default() }
    }

    /// Measured on such jobs.
    pub(crate) fn at(self, state: Stage) -> Self {
        Line { state, ..self }
    }

    /// With the times of both sides.
    pub(crate) fn timed(mut self, jobtrack: &Timed, sqlite: Option<&Timed>) -> Self {
        self.jobtrack_p50_ns = Some(jobtrack.p50());
        self.jobtrack_p99_ns = Some(jobtrack.p99());
        self.jobtrack_runs = Some(jobtrack.runs());
        if jobtrack.runs() >= 1_000 {
            self.jobtrack_p999_ns = Some(jobtrack.p999());
        }
        self.jobtrack_worst_ns = Some(jobtrack.worst());
        if self.of == Of::Change {
            self.jobtrack_per_second = Some(per_second(jobtrack));
            self.sqlite_per_second = sqlite.map(per_second);
        }
        if let Some(sqlite) = sqlite {
            self.sqlite_p50_ns = Some(sqlite.p50());
            self.sqlite_p99_ns = Some(sqlite.p99());
            self.sqlite_runs = Some(sqlite.runs());
            self.ratio = Some(match self.of {
                Of::Change => quotient(sqlite.mean(), jobtrack.mean()),
                _ => times(sqlite.p50(), jobtrack.p50()),
            });
        }
        self
    }

    /// With the bytes of both sides, as far as they are known.
    pub(crate) fn sized(mut self, jobtrack: Option<u64>, sqlite: Option<u64>) -> Self {
        let per_job = |bytes: u64| bytes / (self.jobs.max(1) as u64);
        self.jobtrack_bytes_per_job = jobtrack.map(per_job);
        self.sqlite_bytes_per_job = sqlite.map(per_job);
        self.ratio = jobtrack.zip(sqlite).map(|(jobtrack, sqlite)| times(sqlite, jobtrack));
        self
    }
}

/// The line as JSON.
pub(crate) fn json(line: &Line) -> String {
    serde_json::to_string(line).expect("a line is JSON")
}

fn per_second(timed: &Timed) -> f64 {
    (1e9 / timed.mean()).round()
}

#[allow(clippy::cast_precision_loss)] // Below 2^52.
fn times(sqlite: u64, jobtrack: u64) -> f64 {
    quotient(sqlite as f64, jobtrack as f64)
}

/// Three digits tell all that there is to tell.
fn quotient(sqlite: f64, jobtrack: f64) -> f64 {
    let exact = sqlite / jobtrack.max(1.0);
    format!("{exact:.2e}").parse().unwrap_or(exact)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn timed(nanos: &[u64]) -> Timed {
        let mut timed = Timed::default();
        nanos.iter().for_each(|nanos| timed.add(Duration::from_nanos(*nanos), 1));
        timed
    }

    #[test]
    fn a_ratio_above_one_says_that_jobtrack_is_better() {
        let (fast, slow) = (timed(&[10, 10, 100]), timed(&[30, 30, 30]));
        let query = Line::new(Of::Query, "q", 5).timed(&fast, Some(&slow));
        assert_eq!(query.ratio, Some(3.0));
        let change = Line::new(Of::Change, "c", 5).timed(&fast, Some(&slow));
        assert_eq!(change.ratio, Some(0.75));
        let memory = Line::new(Of::Memory, "m", 5).sized(Some(1_000), Some(2_500));
        assert_eq!((memory.jobtrack_bytes_per_job, memory.ratio), (Some(200), Some(2.5)));
        assert_eq!(Line::new(Of::Whole, "o", 5).timed(&fast, None).ratio, None);
    }

    #[test]
    fn a_line_survives_json_and_has_every_key() {
        let line = Line::new(Of::Query, "q", 5).timed(&timed(&[7]), None);
        let text = serde_json::to_string(&line).unwrap();
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
        for key in ["class", "jobs", "sqlite_p50_ns", "sqlite_p99_ns", "ratio", "plan", "rows"] {
            assert!(text.contains(&format!("\"{key}\":")), "{key} in {text}");
        }
    }
}
