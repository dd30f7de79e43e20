//! What `jobtrack serve` is told of how long jobs stay, how many there may be, and where they go.

use std::path::PathBuf;
use std::sync::Arc;

use jobtrack::{Archive, Ending, Limits, Options, RetentionRule, Tracker};
use jobtrack_http::parse_span;

use crate::Failed;
use crate::archive::ArchiveFile;

/// The archive is put aside at this size, unless told otherwise.
const ARCHIVE_BYTES: &str = "1G";

#[derive(Debug, clap::Args)]
pub(crate) struct RetentionArguments {
    /// How long jobs stay that differ from --retention: those of a kind, those that ended so
    /// (success, failure, or a cause of failure: error, canceled, lost, timed_out), or both. The
    /// most specific one wins, and a job's own retention over all. May be given several times; such
    /// as :failure=7d, backup=30d, backup:canceled=1h
    #[arg(long, value_parser = rule, value_name = "[KIND][:END]=SPAN")]
    retain: Vec<RetentionRule>,

    /// Jobs at most, finished and held ones included; one more is refused. What has expired goes first
    #[arg(long, value_name = "N")]
    max_jobs: Option<usize>,

    /// Bytes that the records of all jobs take at most in the store: a number, or one and K, M or G;
    /// a job that takes more is refused
    #[arg(long, value_parser = bytes, value_name = "BYTES")]
    max_bytes: Option<u64>,

    /// At --max-jobs or --max-bytes let those go that have been finished for the longest time, in place
    /// of refusing new ones. None goes that has not finished or is held
    #[arg(long)]
    evict: bool,

    /// Append every job that expires, is deleted or evicted to this file before it goes, one a line
    /// as jobtrack export does; jobtrack import takes them back. While that fails no job goes
    #[arg(long, value_name = "FILE")]
    archive: Option<PathBuf>,

    /// The size at which the archive is put aside, as FILE.1, FILE.2 and so on: a number, or one and
    /// K, M or G
    #[arg(long, default_value = ARCHIVE_BYTES, value_parser = bytes, value_name = "BYTES")]
    archive_size: u64,
}

impl RetentionArguments {
    /// Adds what it says to the options, and opens the archive.
    pub(crate) fn add_to(&self, options: Options) -> Result<Options, Failed> {
        let all = Limits::default();
        let bytes = self.max_bytes.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let archive = match &self.archive {
            None => None,
            Some(path) => {
                let file = ArchiveFile::open(path, self.archive_size)?;
                Some(Arc::new(file) as Arc<dyn Archive>)
            }
        };
        Ok(Options {
            retention_rules: self.retain.clone(),
            limits: Limits {
                jobs: self.max_jobs.unwrap_or(all.jobs),
                bytes: bytes.unwrap_or(all.bytes),
                ..options.limits
            },
            evict: self.evict,
            archive,
            ..options
        })
    }
}

/// Tells the log when the archive begins to fail, and when it does no more.
#[derive(Debug, Default)]
pub(crate) struct ArchiveWatch {
    told: bool,
}

impl ArchiveWatch {
    pub(crate) fn look(&mut self, tracker: &Tracker) {
        // A tracker that is closed has nothing to tell.
        let Ok(Some(status)) = tracker.archive_status() else { return };
        let waiting = status.waiting;
        match status.failing {
            Some((since, error)) if !self.told => {
                tracing::error!(%since, waiting, "{error}");
                self.told = true;
            }
            None if self.told => {
                tracing::warn!(waiting, "the archive takes jobs again");
                self.told = false;
            }
            _ => {}
        }
    }
}

fn rule(text: &str) -> Result<RetentionRule, String> {
    let (which, span) =
        text.rsplit_once('=').ok_or("write it as [KIND][:END]=SPAN, such as backup:failure=7d")?;
    let rule = RetentionRule::any(parse_span(span).map_err(|error| error.to_string())?);
    let (kind, ending) = which.rsplit_once(':').unwrap_or((which, ""));
    let rule = if kind.is_empty() { rule } else { rule.of_kind(kind) };
    match ending {
        "" => Ok(rule),
        ending => {
            let ending = ending.parse::<Ending>().map_err(|error| {
                format!("{error}; after a kind that has a colon in its name write another")
            })?;
            Ok(rule.ending(ending))
        }
    }
}

fn bytes(text: &str) -> Result<u64, String> {
    let wrong =
        || format!("{text:?} is no size; write a number, or one and K, M or G, such as 512M");
    let (number, unit) = match text.strip_suffix(['K', 'M', 'G']) {
        None => (text, 1),
        Some(number) if text.ends_with('K') => (number, 1 << 10),
        Some(number) if text.ends_with('M') => (number, 1 << 20),
        Some(number) => (number, 1 << 30),
    };
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jobtrack::Cause;

    use super::*;

    #[test]
    fn a_rule_names_a_kind_an_end_both_or_neither() {
        let day = Duration::from_secs(86_400);
        assert_eq!(rule("=1d"), Ok(RetentionRule::any(day)));
        assert_eq!(rule("backup=1d"), Ok(RetentionRule::any(day).of_kind("backup")));
        assert_eq!(rule(":failure=1d"), Ok(RetentionRule::any(day).ending(Ending::Failure)));
        let lost = Ending::Cause(Cause::Lost);
        assert_eq!(rule("a=b:lost=1d"), Ok(RetentionRule::any(day).of_kind("a=b").ending(lost)));
        assert_eq!(rule("a:b:=1d"), Ok(RetentionRule::any(day).of_kind("a:b")));
        for bad in ["", "1d", "backup=", "backup=1", "backup:paused=1d", "a:b=1d"] {
            assert!(rule(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_size_has_a_number_and_maybe_a_unit() {
        assert_eq!(bytes("0"), Ok(0));
        assert_eq!(bytes("3K"), Ok(3_072));
        assert_eq!(bytes("2G"), Ok(2 << 30));
        for bad in ["", "K", "-1", "1.5M", "1T", "1MB", "99999999999G"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }
}
