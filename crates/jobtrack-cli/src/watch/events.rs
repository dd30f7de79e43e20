//! Server-sent events, as `GET /v1/watch` has them.

use std::io::{BufRead, BufReader, Read};

/// What happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Event {
    /// in, changed, out, gone or gap.
    pub(super) name: String,
    /// JSON.
    pub(super) data: String,
}

/// Reads events as they come.
pub(super) struct Events {
    lines: BufReader<Box<dyn Read>>,
    /// Where to take up again; it moves on without events, too.
    pub(super) position: Option<String>,
}

impl Events {
    pub(super) fn new(body: Box<dyn Read>) -> Self {
        Events { lines: BufReader::new(body), position: None }
    }

    /// The next event; None where the stream ends, as it does when the server stops.
    ///
    /// # Errors
    ///
    /// The connection's.
    pub(super) fn next(&mut self) -> std::io::Result<Option<Event>> {
        let mut event = Event::default();
        let mut id = None;
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line)? == 0 || !line.ends_with('\n') {
                // What the end cut off is told again after the last position.
                return Ok(None);
            }
            let line = line.trim_end_matches(['\n', '\r']);
            if line.is_empty() {
                self.position = id.take().or(self.position.take());
                if event.data.is_empty() {
                    event = Event::default();
                    continue;
                }
                return Ok(Some(event));
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut event.name),
                "id" => id = Some(value.to_owned()),
                "data" => event.data.push_str(value),
                // Comments, and how long to wait before connecting again, which we know best.
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_with_their_positions() {
        let text = "retry: 2000\nid: 1-4\n\nevent: in\nid: 1-5\ndata: {\"a\": 1}\n\n\
                    : nothing new\nid: 1-6\n\nevent: gone\nid: 1-7\ndata: {";
        let mut events = Events::new(Box::new(text.as_bytes()));
        let event = events.next().unwrap().unwrap();
        assert_eq!((event.name.as_str(), event.data.as_str()), ("in", "{\"a\": 1}"));
        assert_eq!(events.position.as_deref(), Some("1-5"));
        assert_eq!(events.next().unwrap(), None);
        assert_eq!(events.position.as_deref(), Some("1-6"));
    }
}
