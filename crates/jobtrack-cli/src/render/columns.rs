//! What stands in the columns of a table of jobs.

use anstyle::{AnsiColor, Style};
use jobtrack::{Field, FieldType, Names, Selection, State, Timestamp};
use serde_json::Value;

use super::table::{Cell, Column};
use super::text::escaped;
use super::time::{about, from_now};
use crate::record::Record;

/// The columns of a table of jobs.
#[derive(Debug, Clone)]
pub(crate) enum Columns {
    /// What people look for first.
    Usual,
    /// These fields, by their native names.
    Fields(Vec<String>),
}

const USUAL: [(&str, bool); 6] = [
    ("UUID", false),
    ("STATE", false),
    ("DONE", false),
    ("CHANGED", false),
    ("DESCRIPTION", true),
    ("MESSAGE", true),
];

impl Columns {
    /// The columns for these fields, if any were asked for. Labels have columns where they are
    /// named, or where a job of these has them.
    pub(crate) fn of(fields: Option<&str>, records: &[Record]) -> Columns {
        let Some(text) = fields else { return Columns::Usual };
        // What the server takes may be of a later release than this program.
        let Ok(selection) = Selection::parse(text, Names::Native, true) else {
            return Columns::Usual;
        };
        let shown = Field::FIXED.iter().filter(|field| selection.shows(field));
        let mut names: Vec<String> = shown.map(ToString::to_string).collect();
        for record in records {
            for (name, _) in record.fields() {
                let is_known = Field::parse(&name, Names::Native)
                    .is_ok_and(|field| !matches!(field, Field::Label(_)));
                if !is_known && !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        // A column without a value in any row only takes room.
        let is_everything = selection == Selection::all();
        names.retain(|name| !is_everything || records.iter().any(|r| r.value(name).is_some()));
        Columns::Fields(names)
    }

    /// Their titles.
    pub(crate) fn columns(&self) -> Vec<Column> {
        let column = |title: &str, gives_way| Column { title: title.to_owned(), gives_way };
        match self {
            Columns::Usual => USUAL.iter().map(|(title, gives)| column(title, *gives)).collect(),
            Columns::Fields(names) => names
                .iter()
                .map(|name| column(&escaped(&name.to_uppercase()), gives_way(name)))
                .collect(),
        }
    }

    /// The cells of one job.
    pub(crate) fn cells(&self, record: &Record, now: Timestamp) -> Vec<Cell> {
        match self {
            Columns::Usual => usual(record, now),
            Columns::Fields(names) => names
                .iter()
                .map(|name| {
                    let style = if name == "state" { style_of(record) } else { Style::new() };
                    let text = record.value(name).map_or(String::new(), |v| value(name, v, now));
                    Cell { text, style }
                })
                .collect(),
        }
    }
}

fn usual(record: &Record, now: Timestamp) -> Vec<Cell> {
    let changed = record.time("update_time").map(|time| from_now(time, now)).unwrap_or_default();
    vec![
        Cell::plain(escaped(record.text("uuid"))),
        Cell { text: state(record), style: style_of(record) },
        Cell::plain(record.percent().map(|percent| format!("{percent} %")).unwrap_or_default()),
        Cell { text: changed, style: DIM },
        Cell::plain(escaped(record.text("description"))),
        Cell { text: escaped(record.text("message")), style: message_style(record) },
    ]
}

const DIM: Style = Style::new().dimmed();

/// Long texts give way, what must be read whole does not.
fn gives_way(name: &str) -> bool {
    match Field::parse(name, Names::Native) {
        Ok(field) => matches!(field.field_type(), FieldType::Text),
        Err(_) => true,
    }
}

/// The state, and what is asked of it.
pub(crate) fn state(record: &Record) -> String {
    let state = match (record.state(), record.text("cause")) {
        (Some(State::Failure), "canceled") => "canceled".to_owned(),
        _ => escaped(record.text("state")),
    };
    match record.text("requested.action") {
        "" => state,
        action => format!("{state}, {} asked", escaped(action)),
    }
}

/// How a job's state looks.
pub(crate) fn style_of(record: &Record) -> Style {
    let color = match record.state() {
        Some(State::Failure) if record.text("cause") == "canceled" => AnsiColor::Yellow,
        Some(state) => color(state),
        None => return Style::new(),
    };
    color.on_default()
}

/// The colour of a state.
pub(crate) fn color(state: State) -> AnsiColor {
    match state {
        State::Queued => AnsiColor::Cyan,
        State::Running => AnsiColor::Blue,
        State::Paused => AnsiColor::Magenta,
        State::Success => AnsiColor::Green,
        State::Failure => AnsiColor::Red,
    }
}

fn message_style(record: &Record) -> Style {
    match (record.state(), record.text("cause")) {
        (Some(State::Failure), cause) if cause != "canceled" => AnsiColor::Red.on_default(),
        _ => Style::new(),
    }
}

/// A field's value as a table shows it.
fn value(name: &str, value: &Value, now: Timestamp) -> String {
    match (field_type(name), value) {
        (Some(FieldType::Time), Value::String(text)) => {
            text.parse().map_or_else(|_| escaped(text), |time| from_now(time, now))
        }
        (_, value) => plain(value),
    }
}

/// A field's value with nothing left out.
pub(crate) fn value_in_full(name: &str, value: &Value, now: Timestamp) -> String {
    let shown = plain(value);
    match field_type(name) {
        Some(FieldType::Time) => match shown.parse() {
            Ok(time) => format!("{shown} ({})", from_now(time, now)),
            Err(_) => shown,
        },
        Some(FieldType::Span) => match value.as_f64().map(std::time::Duration::try_from_secs_f64) {
            Some(Ok(span)) if span.as_secs() >= 60 => format!("{shown} s ({})", about(span)),
            _ => format!("{shown} s"),
        },
        _ => shown,
    }
}

fn field_type(name: &str) -> Option<FieldType> {
    Field::parse(name, Names::Native).ok().map(|field| field.field_type())
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => escaped(text),
        value => escaped(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &str) -> Record {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_request_stands_beside_the_state() {
        let asked = record(r#"{"state": "running", "requested": {"action": "pause"}}"#);
        assert_eq!(state(&asked), "running, pause asked");
        let canceled = record(r#"{"state": "failure", "cause": "canceled"}"#);
        assert_eq!(state(&canceled), "canceled");
        assert_ne!(style_of(&canceled), style_of(&record(r#"{"state": "failure"}"#)));
    }

    #[test]
    fn columns_follow_the_fields_asked_for() {
        let records = [record(r#"{"uuid": "x", "code": 7, "labels": {"tier": "gold"}}"#)];
        let names = |fields| match Columns::of(Some(fields), &records) {
            Columns::Usual => panic!("{fields}"),
            Columns::Fields(names) => names.join(" "),
        };
        assert_eq!(names("code,state"), "uuid state code labels.tier");
        assert_eq!(names("*"), "uuid code labels.tier");
        assert!(matches!(Columns::of(None, &records), Columns::Usual));
    }

    #[test]
    fn times_and_spans_are_told_twice_in_full() {
        let now = "2026-03-01T10:02:00Z".parse().unwrap();
        let shown = |name, json: Value| value_in_full(name, &json, now);
        assert_eq!(
            shown("start_time", "2026-03-01T10:00:00Z".into()),
            "2026-03-01T10:00:00Z (2 min ago)"
        );
        assert_eq!(shown("retention", 3_600.into()), "3600 s (1 h)");
        assert_eq!(shown("retention", 7.5.into()), "7.5 s");
        assert_eq!(shown("message", "a\u{1b}b".into()), "a\\u{1b}b");
    }
}
