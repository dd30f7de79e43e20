//! A backup on its way: every record of a store, one a line, between a first line and a last one.
//!
//! ```text
//! {"backup":1,"commit":54}
//! {"space":"job","key":"0000000000000001","revision":12,"value":"AQ…"}
//! {"end":54,"records":1}
//! ```
//!
//! Keys are in hexadecimal and values in base64: they are the records of `docs/storage-format.md`, as
//! they stand in the store. `backup` is the version of this form. The number in `end` is the commit as
//! of which the records are; that in `commit` is the same or comes shortly before it. Without the last
//! line a backup is not whole, and is not taken.

use std::io::{self, BufRead, Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jobtrack::store::{Record, Restorer, Space, Store};
use jobtrack::{Clock, Error, ErrorKind, Result, Tracker};
use serde::{Deserialize, Serialize};

/// The version of the form that is written here, and the one that is read.
const VERSION: u32 = 1;

/// The longest line that is read: a value of 64 MiB.
const LONGEST: u64 = 96 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Begin {
    backup: u32,
    commit: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    space: String,
    key: String,
    revision: u64,
    value: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    end: u64,
    records: u64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Later {
    Line(Line),
    End(End),
}

/// Writes a backup of the store that this tracker has open.
pub(crate) fn write(tracker: &Tracker, to: &mut dyn Write) -> Result<()> {
    let mut records = 0;
    line(to, &Begin { backup: VERSION, commit: tracker.revision().number })?;
    let end = tracker.backup(&mut |space, key, record| {
        let record = record?;
        records += 1;
        line(
            to,
            &Line {
                space: space.name().to_owned(),
                key: key.iter().map(|byte| format!("{byte:02x}")).collect(),
                revision: record.revision,
                value: STANDARD.encode(&record.value),
            },
        )
    })?;
    line(to, &End { end, records })
}

fn line(to: &mut dyn Write, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_vec(value).map_err(io::Error::from).map_err(unwritten)?;
    text.push(b'\n');
    to.write_all(&text).map_err(unwritten)
}

fn unwritten(error: io::Error) -> Error {
    Error::new(ErrorKind::StoreFailed, format!("the backup cannot be written: {error}"))
        .with_source(error)
}

/// Makes a store of a backup, as `GET /v1/backup` gives it; returns how many records there are.
///
/// The store must be new. `progress` is told how many records have been read.
///
/// # Errors
///
/// `InvalidSyntax`, naming the line, for what is no backup or not a whole one; `StoreTooNew` for one
/// of a later form; as [`Restorer`] otherwise.
pub fn restore(
    from: impl BufRead,
    to: &dyn Store,
    clock: &dyn Clock,
    progress: &mut dyn FnMut(u64),
) -> Result<u64> {
    let mut lines = Lines { from, number: 0 };
    let Begin { backup, commit } = lines.first()?;
    if backup > VERSION {
        let why = format!("it is a backup of form {backup}, this jobtrack reads up to {VERSION}");
        return Err(Error::new(ErrorKind::StoreTooNew, why));
    }
    let mut restorer = Restorer::begin(to, commit)?;
    let mut read = 0;
    loop {
        let line = match lines.next()? {
            Later::Line(line) => line,
            Later::End(End { end, records }) if records == read => {
                lines.expect_end()?;
                restorer.finish(end, clock)?;
                return Ok(read);
            }
            Later::End(End { records, .. }) => {
                let why = format!("{records} records were written, and {read} are there");
                return Err(lines.wrong(why));
            }
        };
        read += 1;
        let space = Space::ALL.iter().find(|space| space.name() == line.space);
        let space = space.ok_or_else(|| lines.wrong(format!("no space {:?}", line.space)))?;
        let key = unhex(&line.key).ok_or_else(|| lines.wrong("the key is not hexadecimal"))?;
        let value = STANDARD.decode(&line.value).map_err(|error| lines.wrong(error))?;
        restorer.put(*space, &key, Record { revision: line.revision, value })?;
        progress(read);
    }
}

struct Lines<R> {
    from: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    fn first(&mut self) -> Result<Begin> {
        let text = self.text()?;
        serde_json::from_slice(&text).map_err(|_| self.wrong("it does not begin as a backup does"))
    }

    fn next(&mut self) -> Result<Later> {
        let text = self.text()?;
        serde_json::from_slice(&text).map_err(|_| self.wrong("it is neither a record nor the end"))
    }

    fn expect_end(&mut self) -> Result<()> {
        match self.from.fill_buf() {
            Ok([]) => Ok(()),
            Ok(_) => Err(self.wrong("something follows the end")),
            Err(error) => Err(unread(error)),
        }
    }

    fn text(&mut self) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        (&mut self.from).take(LONGEST).read_until(b'\n', &mut text).map_err(unread)?;
        self.number += 1;
        if text.pop() != Some(b'\n') {
            return Err(self.wrong("the backup breaks off here, so it is not whole"));
        }
        Ok(text)
    }

    fn wrong(&self, why: impl std::fmt::Display) -> Error {
        Error::new(ErrorKind::InvalidSyntax, format!("line {} of the backup: {why}", self.number))
    }
}

fn unread(error: io::Error) -> Error {
    let message = format!("the backup is not whole, reading it failed: {error}");
    Error::new(ErrorKind::StoreFailed, message).with_source(error)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jobtrack::store::verify;
    use jobtrack::{Failure, MemoryStore, NewJob, Options, SystemClock};

    use super::*;

    fn backup() -> (Tracker, String) {
        let tracker = Tracker::open(MemoryStore::new(), Options::default()).unwrap();
        for n in 0..3 {
            let job = tracker.create(NewJob::described(format!("job {n}"))).unwrap().uuid;
            tracker.start(job).unwrap();
            if n == 1 {
                tracker.fail(job, Failure::default()).unwrap();
                tracker.delete(job).unwrap();
            }
        }
        let mut text = Vec::new();
        write(&tracker, &mut text).unwrap();
        (tracker, String::from_utf8(text).unwrap())
    }

    fn restored(text: &str) -> Result<Arc<MemoryStore>> {
        let store = Arc::new(MemoryStore::new());
        restore(text.as_bytes(), &*store, &SystemClock::new(), &mut |_| {})?;
        Ok(store)
    }

    #[test]
    fn a_backup_comes_back_with_its_revisions() {
        let (tracker, text) = backup();
        let store = restored(&text).unwrap();
        assert_eq!(verify(&store, &mut |_| {}, &mut |_| {}).unwrap().defects, 0);
        let again = Tracker::open(store, Options::default()).unwrap();
        assert!(again.opened().was_clean);
        let jobs = |tracker: &Tracker| tracker.query(&jobtrack::Query::default()).unwrap().jobs;
        assert_eq!(jobs(&tracker).len(), 2);
        assert_eq!(jobs(&tracker), jobs(&again));
    }

    #[test]
    fn what_is_not_a_whole_backup_is_refused_by_its_line() {
        let (_, text) = backup();
        let refused = |text: &str| restored(text).map(drop).unwrap_err();
        let lines: Vec<_> = text.lines().collect();
        for cut in 0..text.len() {
            assert_eq!(refused(&text[..cut]).kind(), ErrorKind::InvalidSyntax, "cut at {cut}");
        }
        for n in 1..lines.len() {
            let mut fewer = lines.clone();
            fewer.remove(n);
            assert_eq!(refused(&(fewer.join("\n") + "\n")).kind(), ErrorKind::InvalidSyntax);
        }
        let changed = |from: &str, to: &str| {
            assert!(text.contains(from));
            refused(&text.replacen(from, to, 1)).to_string()
        };
        let wrong = changed("\"space\":\"job\"", "\"space\":\"jobs\"");
        assert_eq!(wrong, "line 2 of the backup: no space \"jobs\"");
        let wrong = changed("\"key\":\"00", "\"key\":\"0");
        assert_eq!(wrong, "line 2 of the backup: the key is not hexadecimal");
        let wrong = changed("{\"backup\":1", "{\"backup\":2");
        assert_eq!(wrong, "it is a backup of form 2, this jobtrack reads up to 1");
        let wrong = refused(&format!("{text}more\n")).to_string();
        assert!(wrong.ends_with("something follows the end"), "{wrong}");
    }
}
