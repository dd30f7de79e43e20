//! Jobs from elsewhere, one a line, with every time they bring.

use std::fmt;
use std::time::Duration;

use jobtrack::limits::RETENTION_SECONDS;
use jobtrack::{
    Access, Actor, Applied, Command, Durability, Error, ErrorKind, JobParts, State, Timestamp,
    quoted,
};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::body;
use crate::errors::Fault;
use crate::lines::Line;

/// How many lines go into one commit.
const GROUP: usize = 500;
/// How many bad lines the report tells of.
const TOLD: usize = 100;

/// What became of an import.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ImportReport {
    /// Lines that are jobs now.
    pub imported: u64,
    /// Lines whose time was up already.
    pub expired: u64,
    /// The first hundred bad lines.
    pub bad: Vec<BadLine>,
    /// All bad lines.
    pub bad_count: u64,
    /// The line at which the import stopped, if bad ones were to stop it. Those before it are
    /// imported, those after it are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<u64>,
}

/// A line that is no job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub error: String,
}

/// How lines are to be taken.
#[derive(Debug, Clone)]
pub(crate) struct ImportOptions {
    /// The retention of lines that have neither an expiry nor a retention of their own.
    pub(crate) retention: Duration,
    /// Whether a bad line stops the import.
    pub(crate) stop: bool,
    /// Who imports.
    pub(crate) actor: Actor,
    /// The longest line.
    pub(crate) line_bytes: usize,
}

/// Takes lines, and makes them jobs in groups.
pub(crate) struct Importer {
    tracker: Access,
    options: ImportOptions,
    report: ImportReport,
    waiting: Vec<(u64, Command)>,
}

impl Importer {
    pub(crate) fn new(tracker: Access, options: ImportOptions) -> Self {
        let report = ImportReport::default();
        Importer { tracker, options, report, waiting: Vec::new() }
    }

    /// Whether a bad line has stopped it.
    pub(crate) fn is_stopped(&self) -> bool {
        self.report.stopped_at.is_some()
    }

    /// Takes these lines. What is taken may wait for the next ones.
    pub(crate) fn take(&mut self, lines: Vec<Line>) -> Result<(), Fault> {
        for line in lines {
            if self.is_stopped() {
                return Ok(());
            }
            match self.read(&line) {
                Ok(parts) => {
                    // The sync at the end makes all of them durable.
                    let command = Command::import(parts)
                        .durability(Durability::Deferred)
                        .by(self.options.actor.clone());
                    self.waiting.push((line.number, command));
                    if self.waiting.len() >= self.group() {
                        self.commit()?;
                    }
                }
                Err(fault) => {
                    // Bad lines are told in their order, so what stands before this one is decided first.
                    self.commit()?;
                    self.bad(line.number, fault.line());
                }
            }
        }
        Ok(())
    }

    /// Imports what still waits, makes everything durable, and reports.
    pub(crate) fn finish(mut self) -> Result<ImportReport, Fault> {
        self.commit()?;
        if self.report.imported > 0 {
            self.tracker.sync()?;
        }
        Ok(self.report)
    }

    /// With a bad line to stop at, each line is decided before the next is looked at.
    fn group(&self) -> usize {
        if self.options.stop { 1 } else { GROUP }
    }

    fn commit(&mut self) -> Result<(), Fault> {
        let (numbers, commands): (Vec<_>, Vec<_>) = self.waiting.drain(..).unzip();
        for (number, result) in numbers.into_iter().zip(self.tracker.run_all(commands)) {
            self.decided(number, result)?;
        }
        Ok(())
    }

    fn decided(&mut self, number: u64, result: Result<Applied, Error>) -> Result<(), Fault> {
        match result {
            Ok(_) => self.report.imported += 1,
            Err(error) if error.kind() == ErrorKind::Gone => self.report.expired += 1,
            Err(error) if is_of_the_line(error.kind()) => self.bad(number, error.to_string()),
            Err(error) => {
                let message = format!(
                    "line {number}: {} ({} jobs were imported before it)",
                    error.message(),
                    self.report.imported
                );
                return Err(Error::new(error.kind(), message).into());
            }
        }
        Ok(())
    }

    fn bad(&mut self, line: u64, error: String) {
        self.report.bad_count += 1;
        if self.report.bad.len() < TOLD {
            self.report.bad.push(BadLine { line, error });
        }
        if self.options.stop && self.report.stopped_at.is_none() {
            self.report.stopped_at = Some(line);
        }
    }

    /// The job on this line.
    fn read(&self, line: &Line) -> Result<JobParts, Fault> {
        let text = line.text.as_ref().map_err(|length| {
            let limit = self.options.line_bytes;
            let message = format!("the line is {length} bytes long, at most {limit} may be");
            Fault::engine(ErrorKind::LimitExceeded, message)
        })?;
        let Members(mut members) = serde_json::from_slice(text).map_err(|error| {
            // A line has one line; the column is what helps.
            let text = error.to_string().replace(" at line 1 column ", " at column ");
            if error.is_data() {
                return Fault::engine(ErrorKind::InvalidValue, body::in_words_of_json(&text));
            }
            let text = text.replacen("expected ident", "expected a value", 1);
            Fault::engine(ErrorKind::InvalidSyntax, format!("the line is not JSON: {text}"))
        })?;
        let now = self.tracker.now();
        let given = Given::of(&members)?;
        given.fill(&mut members, now, self.options.retention);
        let members = Value::Object(members);
        body::object(&members, serde_path_to_error::deserialize(&members))
    }
}

/// Refusals that say something of the line, and not of the store it should go to.
fn is_of_the_line(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::InvalidValue
            | ErrorKind::MissingValue
            | ErrorKind::UnknownField
            | ErrorKind::LimitExceeded
            | ErrorKind::Contradiction
            | ErrorKind::AlreadyExists
            | ErrorKind::Conflict
    )
}

/// What a line says of itself, as far as the rest of it follows from that.
#[derive(Debug, Default)]
struct Given {
    create_time: Option<Timestamp>,
    start_time: Option<Timestamp>,
    end_time: Option<Timestamp>,
    update_time: Option<Timestamp>,
    retained_from: Option<Timestamp>,
    expire_time: Option<Timestamp>,
}

impl Given {
    fn of(members: &Map<String, Value>) -> Result<Given, Fault> {
        let time = |name: &str| {
            // What is no text is refused later, where all members are read.
            let text = members.get(name).and_then(Value::as_str);
            let parsed = text.map(str::parse::<Timestamp>).transpose();
            parsed.map_err(|error| Fault::from(error).on(name))
        };
        Ok(Given {
            create_time: time("create_time")?,
            start_time: time("start_time")?,
            end_time: time("end_time")?,
            update_time: time("update_time")?,
            retained_from: time("retained_from")?,
            expire_time: time("expire_time")?,
        })
    }

    /// Adds what the line leaves out. When the retention of a job that has ended begins, and when it
    /// ends, the engine settles.
    fn fill(&self, members: &mut Map<String, Value>, now: Timestamp, retention: Duration) {
        let times = [self.create_time, self.start_time, self.end_time, self.update_time];
        let earliest = times.into_iter().flatten().min().unwrap_or(now);
        let latest = times.into_iter().flatten().max().unwrap_or(now);
        let span = match (self.retained_from, self.expire_time) {
            (Some(from), Some(expire_time)) => expire_time.saturating_since(from),
            _ => retention,
        };
        let mut absent = |name: &str, value: Value| {
            members.entry(name).or_insert(value);
        };
        absent("state", State::Queued.as_str().into());
        absent("create_time", earliest.to_string().into());
        absent("update_time", latest.to_string().into());
        absent("retention", seconds(span));
    }
}

/// A retention as JSON has it.
fn seconds(span: Duration) -> Value {
    if span.subsec_micros() == 0 { span.as_secs().into() } else { span.as_secs_f64().into() }
}

/// The members of a line's object, each once, those that are `null` left out.
struct Members(Map<String, Value>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a job as an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Members, A::Error> {
                let mut members = Map::new();
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    if value.is_null() {
                        continue;
                    }
                    if members.contains_key(&name) {
                        return Err(A::Error::custom(format!("{name} is given twice")));
                    }
                    members.insert(name, value);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// Reads a retention as the command line and the import have it: a number and `s`, `m`, `h` or `d`.
///
/// ```
/// use std::time::Duration;
///
/// use jobtrack_http::parse_span;
///
/// assert_eq!(parse_span("30d")?, Duration::from_secs(30 * 86_400));
/// assert!(parse_span("30").is_err());
/// # Ok::<(), jobtrack::Error>(())
/// ```
///
/// # Errors
///
/// `InvalidValue` where it is something else, or longer than a job may stay.
pub fn parse_span(text: &str) -> Result<Duration, Error> {
    let unit = match text.as_bytes().last() {
        Some(b's') => Some(1),
        Some(b'm') => Some(60),
        Some(b'h') => Some(3_600),
        Some(b'd') => Some(86_400),
        _ => None,
    };
    // The last byte is ASCII where there is a unit, so it ends a character.
    let number = text.get(..text.len().saturating_sub(1)).unwrap_or_default();
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = unit
        .and_then(|unit: u64| number.parse::<u64>().ok()?.checked_mul(unit))
        .filter(|seconds| digits && *seconds <= RETENTION_SECONDS);
    seconds.map(Duration::from_secs).ok_or_else(|| {
        let message = format!(
            "{} is no length of time; write a number and s, m, h or d, such as 30d, up to {} days",
            quoted(text),
            RETENTION_SECONDS / 86_400
        );
        Error::new(ErrorKind::InvalidValue, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_a_number_and_a_unit() {
        assert_eq!(parse_span("0s").unwrap(), Duration::ZERO);
        assert_eq!(parse_span("90m").unwrap(), Duration::from_secs(5_400));
        for bad in [
            "",
            "d",
            "30",
            "-1d",
            "+1d",
            "1.5h",
            "1w",
            "1d ",
            "é",
            "99999999999999999999d",
            "36601d",
        ] {
            assert_eq!(parse_span(bad).unwrap_err().kind(), ErrorKind::InvalidValue, "{bad}");
        }
    }

    fn filled(line: &str) -> Map<String, Value> {
        let Members(mut members) = serde_json::from_str(line).unwrap();
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        Given::of(&members).unwrap().fill(&mut members, now, Duration::from_secs(60));
        members
    }

    #[track_caller]
    fn has(members: &Map<String, Value>, name: &str, value: impl Into<Value>) {
        assert_eq!(members.get(name), Some(&value.into()), "{name}");
    }

    #[test]
    fn what_a_line_leaves_out_follows_from_what_it_says() {
        let bare = filled(r#"{"start_time": null}"#);
        has(&bare, "state", "queued");
        has(&bare, "create_time", "2026-03-01T12:00:00Z");
        has(&bare, "update_time", "2026-03-01T12:00:00Z");
        has(&bare, "retention", 60);
        assert!(!bare.contains_key("expire_time") && !bare.contains_key("start_time"));

        let ended = filled(
            r#"{"state": "success", "start_time": "2026-03-01T10:00:00Z",
                "end_time": "2026-03-01T10:00:05Z"}"#,
        );
        has(&ended, "create_time", "2026-03-01T10:00:00Z");
        has(&ended, "update_time", "2026-03-01T10:00:05Z");
        has(&ended, "retention", 60);
    }

    #[test]
    fn the_retention_of_a_line_is_its_own() {
        let own =
            filled(r#"{"state": "success", "end_time": "2026-03-01T10:00:05Z", "retention": 7}"#);
        has(&own, "retention", 7);

        let both = filled(
            r#"{"state": "success", "retained_from": "2026-03-01T10:00:00Z",
                "expire_time": "2026-03-01T10:00:01.5Z"}"#,
        );
        has(&both, "retention", 1.5);
    }

    #[test]
    fn a_member_is_given_once() {
        assert!(serde_json::from_str::<Members>(r#"{"code": 1, "code": 2}"#).is_err());
        assert!(serde_json::from_str::<Members>("[]").is_err());
    }
}
