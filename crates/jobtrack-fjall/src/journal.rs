//! fjall's journal, read before fjall opens it.
//!
//! fjall reads a journal up to the first thing that makes no sense, takes that for the end, and cuts
//! the file off there. After a power cut this is right, and after damage in the middle it loses what
//! was stored. Two things tell the two apart: every batch holds a seal that says what was synced
//! before it, and only the last journal can have a torn end. On the other hand fjall does not open a
//! journal whose last batch has its begin and its end, but not its middle, as a power cut can leave
//! it; that end is cut off here.
//!
//! The format is that of fjall 3, all numbers little endian. A batch is
//!
//! ```text
//! 1 · number of entries u32 · sequence number u64
//! 2 · kind u8 · compression u8 (0) · keyspace u64 · key length u16 · value length u32
//!   · stored length u32 · key · value                      for each record
//! 4 · keyspace u64                                          a keyspace was emptied: never used here
//! 3 · xxh3 of the entries u64 · "FJL" 3
//! ```

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use jobtrack::store::Loss;
use jobtrack::{ErrorKind, Result};
use jobtrack_checked::{Place, seals};
use xxhash_rust::xxh3::Xxh3;

/// What fjall's file `version` holds: its format.
const FORMAT: &[u8; 4] = b"FJL\x03";

/// Refuses journals that have lost a synced commit, and cuts off a torn end.
pub(crate) fn inspect(place: &Place) -> Result<()> {
    check_format(place)?;
    let mut journals = journals(place)?;
    let last = journals.pop();
    let mut before = Walked::default();
    for path in &journals {
        let walked = walk(place, path, before)?;
        if let Some(at) = first_written(path, walked.end).map_err(refused(place, path))? {
            // It was synced whole before the next one was begun.
            return Err(damaged(place, path, walked.end, format!("byte {at} is not of a batch")));
        }
        before = Walked { end: 0, ..walked };
    }
    let Some(path) = last else { return Ok(()) };
    let walked = walk(place, &path, before)?;
    if first_written(&path, walked.end).map_err(refused(place, &path))?.is_none() {
        return Ok(());
    }
    // Without any batch it is not known here at which commit the tables stand; what was synced is
    // then compared with what fjall has found.
    if let Some(commit) = walked.commit {
        let mut proof = None;
        tail(&path, walked.end)
            .and_then(|tail| {
                seals(tail, place.store, |offset, seal| {
                    if seal.synced > commit {
                        proof.get_or_insert((walked.end + offset, seal.synced));
                    }
                })
            })
            .map_err(refused(place, &path))?;
        if let Some((at, synced)) = proof {
            return Err(damaged(
                place,
                &path,
                walked.end,
                format!("commit {synced} was stored, as the seal at byte {at} shows"),
            ));
        }
    }
    cut(&path, walked.end).map_err(refused(place, &path))
}

/// Takes out of the journals, which are copies, what is not of a whole batch, so that fjall reads
/// those that follow: it would take the first such place for the end.
pub(crate) fn mend(place: &Place, losses: &mut Vec<Loss>) -> Result<()> {
    check_format(place)?;
    for path in journals(place)? {
        let used = &*read_used(&path).map_err(refused(place, &path))?;
        let (mut whole, mut at, mut gap) = (Vec::with_capacity(used.len()), 0, None);
        let mut close = |gap: &mut Option<usize>, end: usize| {
            if let Some(from) = gap.take() {
                let what = format!("{} bytes are of no whole batch", end - from);
                let offset = Some(from as u64);
                losses.push(Loss { file: path.clone(), offset, record: None, what });
            }
        };
        while let Some(rest) = used.get(at..).filter(|rest| !rest.is_empty()) {
            let mut batches = Batches { file: rest, at: 0, length: rest.len() as u64 };
            let batch = batches.next().map_err(refused(place, &path))?;
            let length = usize::try_from(batches.at).unwrap_or(usize::MAX);
            if batch.is_some() {
                close(&mut gap, at);
                whole.extend(rest.iter().take(length));
                at += length;
            } else {
                gap.get_or_insert(at);
                // A batch begins with this byte.
                at = memchr::memchr(1, rest.get(1..).unwrap_or_default())
                    .map_or(used.len(), |next| at + 1 + next);
            }
        }
        close(&mut gap, used.len());
        fs::write(&path, whole).map_err(refused(place, &path))?;
    }
    Ok(())
}

/// How far a journal could be read.
#[derive(Debug, Clone, Copy, Default)]
struct Walked {
    /// Where the last whole batch ends.
    end: u64,
    /// The commit of the last batch, if there was any.
    commit: Option<u64>,
    /// Its sequence number.
    sequence: Option<u64>,
}

/// Reads batches up to the first that is not whole.
fn walk(place: &Place, path: &Path, before: Walked) -> Result<Walked> {
    let mut walked = before;
    // Not of the journal before: those that are no longer needed are removed, and after a power cut
    // one may be back between two that are not.
    let mut last = None;
    let file = File::open(path).map_err(refused(place, path))?;
    let length = file.metadata().map_err(refused(place, path))?.len();
    let mut reader = Batches { file: BufReader::new(file), at: 0, length };
    while let Some(batch) = reader.next().map_err(refused(place, path))? {
        let mut commits = Vec::new();
        // From memory, so without an error.
        let _ = seals(&batch.entries[..], place.store, |_, seal| commits.push(seal.commit));
        // A value may hold a copy of an older seal; that of the batch itself is the newest.
        let commit = commits.into_iter().max();
        // A store that another was copied into begins with the numbers of that one.
        if let (Some(last), Some(commit)) = (last, commit)
            && last != 0
            && commit != last + 1
        {
            let why = format!("after commit {last} comes commit {commit}");
            return Err(damaged(place, path, walked.end, why));
        }
        if walked.sequence.is_some_and(|last| batch.sequence <= last) {
            return Err(damaged(place, path, walked.end, "a batch is out of order"));
        }
        last = commit.or(last);
        walked = Walked {
            end: reader.at,
            commit: commit.or(walked.commit),
            sequence: Some(batch.sequence),
        };
    }
    Ok(walked)
}

/// One batch that is whole and matches its checksum.
struct Batch {
    sequence: u64,
    /// Its entries, as they stand in the file.
    entries: Vec<u8>,
}

struct Batches<R> {
    file: R,
    at: u64,
    length: u64,
}

impl<R: Read> Batches<R> {
    /// The next batch; None at the end, and where there is no whole one.
    fn next(&mut self) -> io::Result<Option<Batch>> {
        match self.read_batch() {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            outcome => outcome,
        }
    }

    fn read_batch(&mut self) -> io::Result<Option<Batch>> {
        let [1] = self.bytes::<1>()? else { return Ok(None) };
        let count = u32::from_le_bytes(self.bytes()?);
        let sequence = u64::from_le_bytes(self.bytes()?);
        let mut entries = Vec::new();
        for _ in 0..count {
            if !self.read_entry(&mut entries)? {
                return Ok(None);
            }
        }
        let [3] = self.bytes::<1>()? else { return Ok(None) };
        let check = u64::from_le_bytes(self.bytes()?);
        let trailer = self.bytes()?;
        let mut hasher = Xxh3::new();
        hasher.update(&entries);
        Ok((&trailer == FORMAT && check == hasher.digest()).then_some(Batch { sequence, entries }))
    }

    /// Adds an entry's bytes; whether it is one.
    fn read_entry(&mut self, entries: &mut Vec<u8>) -> io::Result<bool> {
        let [tag] = self.bytes::<1>()?;
        entries.push(tag);
        match tag {
            2 => {
                let head = self.bytes::<20>()?;
                entries.extend(head);
                let [_kind, compression, .., k0, k1, _, _, _, _, s0, s1, s2, s3] = head;
                if compression != 0 {
                    return Ok(false);
                }
                let key = u64::from(u16::from_le_bytes([k0, k1]));
                let stored = u64::from(u32::from_le_bytes([s0, s1, s2, s3]));
                self.append(key + stored, entries)?;
                Ok(true)
            }
            4 => {
                self.append(8, entries)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        self.at += N as u64;
        Ok(bytes)
    }

    /// Adds so many bytes, if the file has them: a damaged length must not ask for gigabytes.
    fn append(&mut self, count: u64, to: &mut Vec<u8>) -> io::Result<()> {
        if count > self.length.saturating_sub(self.at) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let read = (&mut self.file).take(count).read_to_end(to)? as u64;
        self.at += read;
        if read < count { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

/// The journals in the order in which they were begun.
fn journals(place: &Place) -> Result<Vec<PathBuf>> {
    let mut journals = Vec::new();
    for entry in fs::read_dir(&place.path).map_err(refused(place, &place.path))? {
        let path = entry.map_err(refused(place, &place.path))?.path();
        if path.extension() == Some(OsStr::new("jnl")) {
            let number = path.file_stem().and_then(OsStr::to_str).map(str::parse::<u64>);
            match number {
                Some(Ok(number)) => journals.push((number, path)),
                _ => return Err(place.damaged(format!("{} is no journal", path.display()))),
            }
        }
    }
    journals.sort_unstable();
    Ok(journals.into_iter().map(|(_, path)| path).collect())
}

/// fjall only says that the version is not the right one.
fn check_format(place: &Place) -> Result<()> {
    let path = place.path.join("version");
    let found = fs::read(&path).map_err(refused(place, &path))?;
    match found.strip_prefix(b"FJL") {
        Some([3, ..]) => Ok(()),
        Some([version, ..]) if *version > 3 => {
            let why = format!("its fjall format is {version}, this build reads 3");
            Err(place.error(ErrorKind::StoreTooNew, "is of a newer jobtrack", why))
        }
        _ => Err(place.damaged(format!("{} is not as fjall writes it", path.display()))),
    }
}

/// The offset of the first byte from here on that is not zero: beyond its last batch a journal is
/// empty, made in advance.
fn first_written(path: &Path, from: u64) -> io::Result<Option<u64>> {
    const BLOCK: usize = 256 << 10;
    let zeros = vec![0; BLOCK];
    let mut block = vec![0; BLOCK];
    let mut tail = tail(path, from)?;
    let mut at = from;
    loop {
        let length = tail.read(&mut block)?;
        let read = block.get(..length).unwrap_or_default();
        if length == 0 {
            return Ok(None);
        }
        if zeros.get(..length) != Some(read) {
            let inside = read.iter().position(|byte| *byte != 0).unwrap_or(0);
            return Ok(Some(at + inside as u64));
        }
        at += length as u64;
    }
}

/// What stands in a file, without the empty rest that was made in advance.
fn read_used(path: &Path) -> io::Result<Vec<u8>> {
    const BLOCK: usize = 64 << 10;
    let zeros = vec![0; BLOCK];
    let mut block = vec![0; BLOCK];
    let mut file = File::open(path)?;
    let (mut bytes, mut empty) = (Vec::new(), 0);
    loop {
        let length = file.read(&mut block)?;
        let read = block.get(..length).unwrap_or_default();
        if length == 0 {
            break;
        } else if zeros.get(..length) == Some(read) {
            empty += length;
        } else {
            bytes.resize(bytes.len() + std::mem::take(&mut empty), 0);
            bytes.extend(read);
        }
    }
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes.truncate(used);
    Ok(bytes)
}

fn tail(path: &Path, from: u64) -> io::Result<File> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    Ok(file)
}

fn cut(path: &Path, at: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(at)?;
    file.sync_all()
}

fn refused<'a>(place: &'a Place, path: &'a Path) -> impl Fn(io::Error) -> jobtrack::Error + 'a {
    move |error| place.refusal("read", path, error)
}

fn damaged(place: &Place, path: &Path, at: u64, why: impl std::fmt::Display) -> jobtrack::Error {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    place.damaged(format!("{name} cannot be read from byte {at} on, but {why}"))
}
