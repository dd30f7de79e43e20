//! What happens, one JSON object a line, for programs.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::events::{Event, Events};
use crate::listing::Listing;
use crate::render::Output;
use crate::target::{Target, query};
use crate::{Exit, Failed};

/// How long to leave a server alone that does not answer.
const REST: Duration = Duration::from_secs(1);
/// How long it may be away before that is an error.
const AWAY: Duration = Duration::from_secs(30);

/// Prints events until the reader goes or the server stays away. A lost connection is taken up
/// again where it broke; what cannot be told any more is told as a gap.
// How long a server may be away is no time of a job.
#[allow(clippy::disallowed_methods)]
pub(super) fn stream(
    target: &Target,
    listing: &Listing,
    after: Option<&str>,
    output: Output,
) -> Result<Exit, Failed> {
    let mut position = after.map(str::to_owned);
    let mut has_answered = false;
    let mut away_since = None;
    loop {
        let after = position.as_deref().map(|position| ("after", position));
        let query = query(listing.parameters().chain(after));
        match target.events(&query) {
            Ok(body) => {
                (has_answered, away_since) = (true, None);
                let mut events = Events::new(body);
                while let Ok(Some(event)) = events.next() {
                    let line = line(&event, events.position.as_deref())?;
                    output.print(&format!("{line}\n"))?;
                }
                position = events.position.or(position);
            }
            // Away, or starting up, or with too many who watch: all of that passes.
            Err(failed) if has_answered && failed.exit != Exit::Usage => {
                let since = *away_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= AWAY {
                    return Err(failed);
                }
            }
            Err(failed) => return Err(listing.point_out(failed)),
        }
        std::thread::sleep(REST);
    }
}

/// An event as a line: what happened, where it stands, and the job or what is left of it; of a gap,
/// which is of no job, the revision up to which nothing can be told.
fn line(event: &Event, position: Option<&str>) -> Result<Value, Failed> {
    let data: Value = serde_json::from_str(&event.data)?;
    if event.name == "gap" {
        let revision = data.get("revision");
        return Ok(json!({ "event": event.name, "position": position, "revision": revision }));
    }
    Ok(json!({ "event": event.name, "position": position, "job": data }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_has_a_revision_and_no_job() {
        let line = |name: &str, data: &str| {
            let event = Event { name: name.to_owned(), data: data.to_owned() };
            line(&event, Some("1-5")).unwrap().to_string()
        };
        assert_eq!(
            line("gap", r#"{"revision": "1-5"}"#),
            r#"{"event":"gap","position":"1-5","revision":"1-5"}"#
        );
        assert_eq!(
            line("in", r#"{"uuid": "a"}"#),
            r#"{"event":"in","position":"1-5","job":{"uuid":"a"}}"#
        );
    }
}
