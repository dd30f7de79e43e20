//! The log of a job, as one record under the key of the job's own.

use wincode::config::{Configuration, deserialize_exact, serialize};
use wincode::{SchemaRead, SchemaWrite};

use super::{Encoded, VERSION, damaged, decode, encode, id_of, state_number, state_of, time_of};
use crate::error::Result;
use crate::job::{Actor, JobId, Log, LogEntry, LogKind, Revision, Severity, State};

/// The record of a log. Entries whose revision has number 0 are of the commit that writes it.
pub(crate) fn encode_log(job: JobId, log: Log) -> Result<Vec<u8>> {
    let entries = log.entries.into_iter().map(|entry| EntryV1 {
        epoch: entry.revision.epoch,
        number: entry.revision.number,
        ordinal: entry.ordinal,
        time: entry.time.as_micros(),
        kind: kind_number(entry.kind),
        from: entry.from.map(state_number),
        to: entry.to.map(state_number),
        actor: entry.actor.into_name(),
        reason: entry.reason,
        severity: entry.severity.map(severity_number),
        message: entry.message,
    });
    encode(&LogV1 { uuid: *job.as_bytes(), dropped: log.dropped, entries: entries.collect() })
}

/// The log in a record that the commit of this number wrote, and the job that it is of.
pub(crate) fn decode_log(bytes: &[u8], number: u64) -> Result<(JobId, Log)> {
    let record: LogV1 = decode(bytes, "the log of a job")?;
    let mut entries = Vec::with_capacity(record.entries.len());
    let mut last = None;
    for entry in record.entries {
        let entry = entry_of(entry, number)?;
        let place = (entry.revision, entry.ordinal);
        if last >= Some(place) || entry.revision.number > number {
            return Err(damaged("the entries of a log do not follow one another"));
        }
        last = Some(place);
        entries.push(entry);
    }
    Ok((id_of(record.uuid), Log { entries, dropped: record.dropped }))
}

fn entry_of(entry: EntryV1, number: u64) -> Result<LogEntry> {
    let number = if entry.number == 0 { number } else { entry.number };
    Ok(LogEntry {
        revision: Revision { epoch: entry.epoch, number },
        ordinal: entry.ordinal,
        time: time_of(entry.time)?,
        kind: kind_of(entry.kind)?,
        from: optional_state(entry.from)?,
        to: optional_state(entry.to)?,
        actor: Actor::named(entry.actor),
        reason: entry.reason,
        severity: entry.severity.map(severity_of).transpose()?,
        message: entry.message,
    })
}

#[derive(SchemaWrite, SchemaRead)]
#[cfg_attr(test, derive(Debug, Clone, PartialEq, bincode::Encode, bincode::Decode))]
struct LogV1 {
    uuid: [u8; 16],
    dropped: u64,
    entries: Vec<EntryV1>,
}

#[derive(SchemaWrite, SchemaRead)]
#[cfg_attr(test, derive(Debug, Clone, PartialEq, bincode::Encode, bincode::Decode))]
struct EntryV1 {
    epoch: u64,
    number: u64,
    ordinal: u32,
    time: i64,
    kind: u8,
    from: Option<u8>,
    to: Option<u8>,
    actor: String,
    reason: String,
    severity: Option<u8>,
    message: Option<String>,
}

record!(LogV1);

/// The number of a kind, which is a part of the format: a new kind takes the next one.
fn kind_number(kind: LogKind) -> u8 {
    match kind {
        LogKind::Created => 0,
        LogKind::Imported => 1,
        LogKind::Started => 2,
        LogKind::Message => 3,
        LogKind::Paused => 4,
        LogKind::Resumed => 5,
        LogKind::Succeeded => 6,
        LogKind::Failed => 7,
        LogKind::PauseRequested => 8,
        LogKind::ResumeRequested => 9,
        LogKind::CancelRequested => 10,
        LogKind::Extended => 11,
        LogKind::Claimed => 12,
        LogKind::Released => 13,
        LogKind::KeyFreed => 14,
        LogKind::Lost => 15,
        LogKind::TimedOut => 16,
        LogKind::Held => 17,
        LogKind::Unheld => 18,
        LogKind::Relabeled => 19,
    }
}

fn kind_of(number: u8) -> Result<LogKind> {
    let kind = LogKind::ALL.iter().copied().find(|kind| kind_number(*kind) == number);
    kind.ok_or_else(|| damaged(&format!("{number} is no kind of entry in a log")))
}

fn severity_number(severity: Severity) -> u8 {
    match severity {
        Severity::Info => 0,
        Severity::Warning => 1,
        Severity::Error => 2,
    }
}

fn severity_of(number: u8) -> Result<Severity> {
    match number {
        0 => Ok(Severity::Info),
        1 => Ok(Severity::Warning),
        2 => Ok(Severity::Error),
        _ => Err(damaged(&format!("{number} is no severity"))),
    }
}

fn optional_state(number: Option<u8>) -> Result<Option<State>> {
    number.map(state_of).transpose()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::error::ErrorKind;

    fn entry(number: u64, ordinal: u32, kind: LogKind) -> LogEntry {
        LogEntry {
            revision: Revision { epoch: 3, number },
            ordinal,
            time: time_of(1_772_359_200_000_000).unwrap(),
            kind,
            from: Some(State::Running),
            to: Some(State::Failure),
            actor: Actor::named("alice"),
            reason: "maintenance".to_owned(),
            severity: Some(Severity::Error),
            message: Some("The job was canceled".to_owned()),
        }
    }

    fn log() -> Log {
        let kinds = LogKind::ALL.iter();
        let old = (0_u32..).zip(kinds).map(|(n, kind)| entry(u64::from(n / 2) + 1, n % 2, *kind));
        let bare = LogEntry {
            from: None,
            to: None,
            actor: Actor::default(),
            reason: String::new(),
            severity: None,
            message: None,
            ..entry(0, 0, LogKind::Started)
        };
        let new = [bare, entry(0, 1, LogKind::Failed)];
        Log { entries: old.chain(new).collect(), dropped: 70_000 }
    }

    #[test]
    fn a_log_survives_and_its_last_entries_are_of_the_commit_that_wrote_it() {
        let job = JobId::from_uuid(Uuid::from_u128(7));
        let (of, mut read) = decode_log(&encode_log(job, log()).unwrap(), 77).unwrap();
        assert_eq!(of, job);
        let last = read.entries.len() - 2;
        for entry in &mut read.entries[last..] {
            assert_eq!(std::mem::take(&mut entry.revision.number), 77);
        }
        assert_eq!(read, log());
    }

    #[test]
    fn entries_out_of_order_and_later_than_their_record_are_damage() {
        let job = JobId::from_uuid(Uuid::nil());
        let kind = |entries, number| {
            let bytes = encode_log(job, Log { entries, dropped: 0 }).unwrap();
            decode_log(&bytes, number).unwrap_err().kind()
        };
        let of = |number, ordinal| entry(number, ordinal, LogKind::Started);
        assert_eq!(kind(vec![of(5, 0), of(4, 0)], 9), ErrorKind::StoreDamaged);
        assert_eq!(kind(vec![of(5, 1), of(5, 1)], 9), ErrorKind::StoreDamaged);
        assert_eq!(kind(vec![of(10, 0)], 9), ErrorKind::StoreDamaged);
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_no_cut_record_decodes(junk: Vec<u8>) {
            let _ = decode_log(&junk, 1);
            let bytes = encode_log(JobId::from_uuid(Uuid::nil()), log()).unwrap();
            for cut in 0..bytes.len() {
                prop_assert!(decode_log(&bytes[..cut], 77).is_err());
            }
        }
    }

    #[test]
    fn wincode_and_bincode_agree_byte_for_byte() {
        let record =
            LogV1::from_bytes(&encode_log(JobId::from_uuid(Uuid::max()), log()).unwrap()[1..]);
        let record = record.unwrap();
        let theirs = bincode::encode_to_vec(&record, bincode::config::standard()).unwrap();
        // Behind the version.
        assert_eq!(record.to_bytes().unwrap()[1..], theirs);
    }
}
