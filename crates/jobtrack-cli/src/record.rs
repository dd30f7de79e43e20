//! A job as an answer shows it: whichever fields were asked for, those of later releases included.

use jobtrack::{JobId, State, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Failed;

/// A job's JSON.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct Record(pub(crate) Map<String, Value>);

impl Record {
    /// The value of a field, by its native name.
    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        // The name of a label may have dots of its own.
        if let Some(label) = name.strip_prefix("labels.") {
            return self.0.get("labels")?.get(label);
        }
        let (first, rest) = match name.split_once('.') {
            None => (name, None),
            Some((first, rest)) => (first, Some(rest)),
        };
        let member = self.0.get(first)?;
        rest.map_or(Some(member), |rest| rest.split('.').try_fold(member, |v, name| v.get(name)))
    }

    /// The text of a field; empty if it is unset.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.value(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.value(name).and_then(Value::as_u64)
    }

    pub(crate) fn time(&self, name: &str) -> Option<Timestamp> {
        self.text(name).parse().ok()
    }

    /// Who it is, which every answer says.
    pub(crate) fn id(&self) -> Result<JobId, Failed> {
        Ok(self.text("uuid").parse()?)
    }

    pub(crate) fn state(&self) -> Option<State> {
        State::ALL.iter().find(|state| state.as_str() == self.text("state")).copied()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.state().is_some_and(State::is_terminal)
    }

    /// How far it is, in percent, where that is known.
    pub(crate) fn percent(&self) -> Option<u64> {
        let done = self.number("progress.done")?;
        let total = self.number("progress.total").filter(|total| *total > 0)?;
        let percent = u128::from(done) * 100 / u128::from(total);
        Some(u64::try_from(percent).unwrap_or(u64::MAX))
    }

    /// Every field that is set, by its native name, objects laid flat.
    pub(crate) fn fields(&self) -> Vec<(String, &Value)> {
        let mut fields = Vec::new();
        for (name, value) in &self.0 {
            flatten(name.clone(), value, &mut fields);
        }
        fields
    }
}

fn flatten<'a>(name: String, value: &'a Value, fields: &mut Vec<(String, &'a Value)>) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                flatten(format!("{name}.{member}"), value, fields);
            }
        }
        value => fields.push((name, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &str) -> Record {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn fields_are_found_by_their_names() {
        let record = record(
            r#"{"state": "running", "labels": {"a.b": "c"}, "scope": {"name": "vs0"},
                "progress": {"done": 45, "total": 90}, "of_later": {"x": [1]}}"#,
        );
        assert_eq!(record.state(), Some(State::Running));
        assert_eq!(record.text("labels.a.b"), "c");
        assert_eq!(record.text("scope.name"), "vs0");
        assert_eq!(record.text("scope.name.x"), "");
        assert_eq!(record.percent(), Some(50));
        let names: Vec<_> = record.fields().into_iter().map(|(name, _)| name).collect();
        let expected =
            ["state", "labels.a.b", "scope.name", "progress.done", "progress.total", "of_later.x"];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_percentage_needs_a_total() {
        assert_eq!(record(r#"{"progress": {"done": 45}}"#).percent(), None);
        assert_eq!(record(r#"{"progress": {"done": 45, "total": 0}}"#).percent(), None);
        let all = format!(r#"{{"progress": {{"done": {0}, "total": {0}}}}}"#, u64::MAX);
        assert_eq!(record(&all).percent(), Some(100));
    }
}
