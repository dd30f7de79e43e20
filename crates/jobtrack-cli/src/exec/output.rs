//! The command's output: passed through as it comes, its last line kept.

use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Event;
use super::child::Pipes;

/// Bytes of a line that are kept: well below the limit of a message, with room for a prefix.
const LINE: usize = 2_048;

/// What the command said last, on either of its outputs.
#[derive(Debug, Default)]
pub(super) struct Output(Mutex<Said>);

#[derive(Debug, Default)]
struct Said {
    last: Option<String>,
    is_news: bool,
}

impl Output {
    /// Passes both outputs through, on threads of their own, and tells when each has ended.
    pub(super) fn pass_through(self: &Arc<Self>, pipes: Pipes, events: Sender<Event>) {
        self.pump(pipes.stdout, io::stdout(), events.clone());
        self.pump(pipes.stderr, io::stderr(), events);
    }

    fn pump(
        self: &Arc<Self>,
        from: Option<impl Read + Send + 'static>,
        to: impl Write + Send + 'static,
        events: Sender<Event>,
    ) {
        let output = Arc::clone(self);
        std::thread::spawn(move || {
            if let Some(from) = from {
                output.copy(from, to);
            }
            let _ = events.send(Event::OutputEnded);
        });
    }

    /// Copies until either end is gone. If our reader goes, the pipe is closed, so that the command
    /// learns of it as it would without us.
    fn copy(&self, mut from: impl Read, mut to: impl Write) {
        let mut lines = Lines::default();
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => buffer.get(..read).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            if let Some(line) = lines.push(read) {
                self.say(line);
            }
            if to.write_all(read).and_then(|()| to.flush()).is_err() {
                break;
            }
        }
        if let Some(line) = lines.end() {
            self.say(line);
        }
    }

    fn say(&self, line: String) {
        *self.said() = Said { last: Some(line), is_news: true };
    }

    /// The last line, if it has not been taken yet.
    pub(super) fn news(&self) -> Option<String> {
        let mut said = self.said();
        let is_news = mem::take(&mut said.is_news);
        said.last.clone().filter(|_| is_news)
    }

    /// What was taken did not arrive, so the last line is news again.
    pub(super) fn again(&self) {
        self.said().is_news = true;
    }

    /// The last line.
    pub(super) fn last(&self) -> Option<String> {
        self.said().last.clone()
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        // Each use leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Finds the last line that a stream has ended. A carriage return ends one too: so does a progress
/// bar that is drawn again and again.
#[derive(Debug, Default)]
struct Lines {
    /// The line that has begun, its first bytes.
    begun: Vec<u8>,
}

impl Lines {
    /// The last line with anything in it that this piece ends.
    fn push(&mut self, piece: &[u8]) -> Option<String> {
        let mut last = None;
        let mut parts = piece.split(|byte| matches!(byte, b'\n' | b'\r')).peekable();
        while let Some(part) = parts.next() {
            let room = LINE.saturating_sub(self.begun.len()).min(part.len());
            self.begun.extend_from_slice(part.get(..room).unwrap_or_default());
            if parts.peek().is_some() {
                last = self.end().or(last);
            }
        }
        last
    }

    /// Ends the line that has begun.
    fn end(&mut self) -> Option<String> {
        let bytes = mem::take(&mut self.begun);
        let text = String::from_utf8_lossy(&bytes);
        // Without colours and other commands to a terminal.
        let text = anstream::adapter::strip_str(&text).to_string();
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        let text = text.trim();
        (!text.is_empty()).then(|| shortened(text, LINE))
    }
}

/// The text, cut to so many bytes.
pub(super) fn shortened(text: &str, bytes: usize) -> String {
    const ELLIPSIS: &str = "…";
    if text.len() <= bytes {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(bytes.saturating_sub(ELLIPSIS.len()));
    format!("{}{ELLIPSIS}", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_wins_however_the_stream_is_cut() {
        let text = b"one\n\x1b[32mtwo\x1b[0m\r\n\n 50 %\r 99 %\r";
        for size in 1..=text.len() {
            let mut lines = Lines::default();
            let mut last = None;
            for piece in text.chunks(size) {
                last = lines.push(piece).or(last);
            }
            assert_eq!(last.as_deref(), Some("99 %"), "pieces of {size}");
            assert_eq!(lines.end(), None);
        }
    }

    #[test]
    fn a_line_without_end_is_kept_in_part() {
        let mut lines = Lines::default();
        for _ in 0..1_000 {
            assert_eq!(lines.push("ü".repeat(1_000).as_bytes()), None);
        }
        let line = lines.end().unwrap();
        assert!(line.len() <= LINE && line.starts_with("üü"));
    }

    #[test]
    fn the_end_of_a_stream_ends_its_line() {
        let output = Output::default();
        output.copy(b"a\nb".as_slice(), io::sink());
        assert_eq!(output.news().as_deref(), Some("b"));
        assert_eq!(output.news(), None);
        output.again();
        assert_eq!(output.news().as_deref(), Some("b"));
        assert_eq!(output.last().as_deref(), Some("b"));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(shortened("äöü", 6), "äöü");
        assert_eq!(shortened("äöüß", 6), "ä…");
    }
}
