//! A body cut into lines as it comes, none of them longer than the limit.

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its number in the body, from 1.
    pub(crate) number: u64,
    /// Its text without the line feed, or how long it is if that is too long.
    pub(crate) text: Result<Vec<u8>, usize>,
}

/// Cuts chunks into lines. Empty lines are counted and left out.
#[derive(Debug)]
pub(crate) struct Lines {
    limit: usize,
    number: u64,
    /// The line that has begun, up to the limit.
    begun: Vec<u8>,
    /// Bytes of the line that has begun, those beyond the limit included.
    length: usize,
}

impl Lines {
    pub(crate) fn new(limit: usize) -> Self {
        Lines { limit, number: 0, begun: Vec::new(), length: 0 }
    }

    /// Adds the lines that this chunk ends to those that are ready.
    pub(crate) fn push(&mut self, chunk: &[u8], ready: &mut Vec<Line>) {
        let mut pieces = chunk.split(|byte| *byte == b'\n');
        // There is always a first piece, and the last one is of a line that goes on.
        if let Some(first) = pieces.next() {
            self.extend(first);
        }
        for piece in pieces {
            self.end(ready);
            self.extend(piece);
        }
    }

    /// Ends the last line, which may lack its line feed.
    pub(crate) fn finish(&mut self, ready: &mut Vec<Line>) {
        self.end(ready);
    }

    fn extend(&mut self, piece: &[u8]) {
        self.length += piece.len();
        if self.length <= self.limit {
            self.begun.extend_from_slice(piece);
        }
    }

    fn end(&mut self, ready: &mut Vec<Line>) {
        self.number += 1;
        let text = std::mem::take(&mut self.begun);
        let length = std::mem::take(&mut self.length);
        if length > self.limit {
            ready.push(Line { number: self.number, text: Err(length) });
        } else if !text.trim_ascii().is_empty() {
            ready.push(Line { number: self.number, text: Ok(text) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &[u8], chunk: usize) -> Vec<(u64, Result<String, usize>)> {
        let mut lines = Lines::new(5);
        let mut ready = Vec::new();
        for chunk in text.chunks(chunk) {
            lines.push(chunk, &mut ready);
        }
        lines.finish(&mut ready);
        let shown =
            |line: Line| (line.number, line.text.map(|text| String::from_utf8(text).unwrap()));
        ready.into_iter().map(shown).collect()
    }

    #[test]
    fn lines_are_the_same_however_the_body_is_cut() {
        let text = b"one\n\n  \r\ntoo long\nfive5\nend";
        let expected = vec![
            (1, Ok("one".to_owned())),
            (4, Err(8)),
            (5, Ok("five5".to_owned())),
            (6, Ok("end".to_owned())),
        ];
        for chunk in 1..=text.len() {
            assert_eq!(cut(text, chunk), expected, "chunks of {chunk}");
        }
    }

    #[test]
    fn nothing_has_no_lines() {
        assert_eq!(cut(b"", 1), []);
        assert_eq!(cut(b"\n\n", 1), []);
    }
}
