//! A file whose disk fails, fills up, or loses power.
//!
//! The file is in memory, in two halves: what reads see, and what a power cut cannot take. Between
//! the two lies what was done since the last sync, and a power cut keeps any part of that: any of
//! its 512-byte sectors, in any order, and a new length with or without the bytes that belong there.
//!
//! What a sync that failed did not write is seen on, and is never written by a later sync: so Linux
//! has it, which takes the pages for clean then.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::Random;

/// What a disk writes wholly or not at all.
const SECTOR: usize = 512;

/// Linux's numbers: errors must be what a system says, not what a test makes up.
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// One file on a disk that a test can break. Clones are handles on the same file.
///
/// ```
/// use jobtrack_testkit::{Disk, Random};
///
/// let disk = Disk::new(Vec::new());
/// disk.write(0, b"kept")?;
/// disk.sync()?;
/// disk.write(0, b"lost")?;
/// let left = (0..100).map(|seed| disk.after_power_cut(&mut Random::new(seed)));
/// assert!(left.clone().any(|bytes| bytes == b"kept"));
/// assert!(left.clone().any(|bytes| bytes == b"lost"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Disk {
    state: Arc<Mutex<State>>,
}

/// What goes wrong with an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DiskFault {
    /// It is answered with an input/output error, and nothing is done.
    Error,
    /// It is answered that there is no space left, if it asks for any; nothing is done.
    Full,
    /// A write gets half of its bytes onto the disk before it fails; all else fails as with
    /// [`Error`](DiskFault::Error), a sync after a part of its work.
    Short,
}

impl DiskFault {
    /// Every fault.
    pub const ALL: [DiskFault; 3] = [DiskFault::Error, DiskFault::Full, DiskFault::Short];
}

#[derive(Debug)]
struct State {
    /// What reads see.
    seen: Vec<u8>,
    /// What a power cut cannot take.
    synced: Vec<u8>,
    /// What was done since the last sync, in order.
    since: Vec<Change>,
    /// How many operations there were.
    operations: u64,
    syncs: u64,
    /// How many bytes were written.
    written: u64,
    /// The number of the operation that fails, whether all after it do, and how.
    fault: Option<(u64, bool, DiskFault)>,
    /// The number of the operation at which the power goes.
    off_at: Option<u64>,
    /// The length that no write may pass.
    room: Option<u64>,
    /// Whether syncs say that they have done what they have not.
    is_lying: bool,
}

#[derive(Debug, Clone)]
enum Change {
    Length(usize),
    Bytes(usize, Vec<u8>),
}

/// An operation, as far as faults care.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Read,
    Write,
    Sync,
}

impl Disk {
    /// A file with this content, all of it synced.
    pub fn new(bytes: Vec<u8>) -> Disk {
        let state = State {
            synced: bytes.clone(),
            seen: bytes,
            since: Vec::new(),
            operations: 0,
            syncs: 0,
            written: 0,
            fault: None,
            off_at: None,
            room: None,
            is_lying: false,
        };
        Disk { state: Arc::new(Mutex::new(state)) }
    }

    /// Lets the n-th operation from now on fail, and all after it if it is lasting; 1 is the next.
    pub fn fail(&self, n: u64, is_lasting: bool, fault: DiskFault) {
        let mut state = self.state.lock();
        state.fault = Some((state.operations + n, is_lasting, fault));
    }

    /// Cuts the power at the n-th operation from now on, which is not done any more; 1 is the next.
    pub fn cut_power(&self, n: u64) {
        let mut state = self.state.lock();
        state.off_at = Some(state.operations + n);
    }

    /// No write may make the file longer than this; None takes the limit back.
    pub fn set_room(&self, room: Option<u64>) {
        self.state.lock().room = room;
    }

    /// Lets every sync succeed and do nothing, as disks with a cache of their own have done. No store
    /// can stand that: it is there to see that a test would notice.
    pub fn lie(&self) {
        self.state.lock().is_lying = true;
    }

    /// Takes back every fault that is planned, and a power cut that has not come yet.
    pub fn heal(&self) {
        let mut state = self.state.lock();
        state.fault = None;
        if !state.is_off() {
            state.off_at = None;
        }
    }

    /// Whether the power is cut.
    pub fn is_off(&self) -> bool {
        self.state.lock().is_off()
    }

    /// How many operations there were.
    pub fn operations(&self) -> u64 {
        self.state.lock().operations
    }

    /// How many syncs have succeeded.
    pub fn syncs(&self) -> u64 {
        self.state.lock().syncs
    }

    /// How many bytes were written.
    pub fn written(&self) -> u64 {
        self.state.lock().written
    }

    /// What reads see.
    pub fn bytes(&self) -> Vec<u8> {
        self.state.lock().seen.clone()
    }

    /// What a power cut at this moment leaves: one of the many files it may be, by the random
    /// numbers. The disk itself goes on as it is.
    pub fn after_power_cut(&self, random: &mut Random) -> Vec<u8> {
        let state = self.state.lock();
        let mut left = state.synced.clone();
        // Between nothing and everything, since either is rare where each sector has its own luck.
        let kept = match random.below(8) {
            0 => 0,
            1 => 1_000,
            2 => 20,
            3 => 980,
            _ => random.below(1_001),
        };
        for change in &state.since {
            change.survive(&mut left, |_| random.chance(kept));
        }
        left
    }

    /// The length of the file.
    ///
    /// # Errors
    ///
    /// As planned; so it is with every operation.
    pub fn len(&self) -> io::Result<u64> {
        let mut state = self.state.lock();
        state.begin(Operation::Read)?;
        Ok(state.seen.len() as u64)
    }

    /// Whether the file is empty.
    ///
    /// # Errors
    ///
    /// As planned.
    pub fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|length| length == 0)
    }

    /// Reads exactly so many bytes.
    ///
    /// # Errors
    ///
    /// As planned, and beyond the end of the file.
    pub fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.state.lock();
        state.begin(Operation::Read)?;
        let at = place(offset)?;
        let bytes = state.seen.get(at..at.saturating_add(out.len()));
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    /// Writes these bytes; the file grows if it must.
    ///
    /// # Errors
    ///
    /// As planned, and beyond the room there is.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock();
        let at = place(offset)?;
        let outcome = state.begin(Operation::Write).and_then(|()| {
            let end = offset.saturating_add(bytes.len() as u64);
            if state.room.is_some_and(|room| end > room) { Err(full()) } else { Ok(()) }
        });
        let written = match &outcome {
            Ok(()) => bytes,
            Err(_) if state.is_short() => bytes.get(..bytes.len() / 2).unwrap_or_default(),
            Err(_) => &[],
        };
        if !written.is_empty() {
            state.written += written.len() as u64;
            state.change(Change::Bytes(at, written.to_vec()));
        }
        outcome
    }

    /// Cuts the file, or makes it longer by zeros. A longer file takes no room until it is written.
    ///
    /// # Errors
    ///
    /// As planned.
    pub fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        state.begin(Operation::Write)?;
        let length = place(length)?;
        state.change(Change::Length(length));
        Ok(())
    }

    /// Makes everything that was done before proof against power cuts.
    ///
    /// # Errors
    ///
    /// As planned. A sync that fails short has done a part of its work.
    pub fn sync(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        let outcome = state.begin(Operation::Sync);
        if state.is_lying && outcome.is_ok() {
            return Ok(());
        }
        if outcome.is_ok() {
            state.syncs += 1;
            for change in std::mem::take(&mut state.since) {
                change.survive(&mut state.synced, |_| true);
            }
        } else if !state.is_off() {
            let done = if state.is_short() { state.since.len() / 2 } else { 0 };
            for change in std::mem::take(&mut state.since).into_iter().take(done) {
                change.survive(&mut state.synced, |_| true);
            }
        }
        outcome
    }
}

impl State {
    fn is_off(&self) -> bool {
        self.off_at.is_some_and(|at| self.operations >= at)
    }

    /// Counts an operation, and fails it if that is planned.
    fn begin(&mut self, operation: Operation) -> io::Result<()> {
        self.operations += 1;
        if self.is_off() {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        match self.struck() {
            Some(DiskFault::Full) if operation == Operation::Write => Err(full()),
            // Whoever only reads, or syncs what has its place already, asks for no room.
            Some(DiskFault::Full) | None => Ok(()),
            Some(DiskFault::Error | DiskFault::Short) => Err(io::Error::from_raw_os_error(EIO)),
        }
    }

    fn struck(&self) -> Option<DiskFault> {
        let (at, is_lasting, fault) = self.fault?;
        let is_struck = self.operations == at || (is_lasting && self.operations > at);
        is_struck.then_some(fault)
    }

    fn is_short(&self) -> bool {
        !self.is_off() && self.struck() == Some(DiskFault::Short)
    }

    fn change(&mut self, change: Change) {
        change.survive(&mut self.seen, |_| true);
        self.since.push(change);
    }
}

impl Change {
    /// Makes the change in a file, of its sectors those alone for which `keeps` says so.
    fn survive(&self, file: &mut Vec<u8>, mut keeps: impl FnMut(usize) -> bool) {
        match self {
            Change::Length(length) => {
                if keeps(0) {
                    file.resize(*length, 0);
                }
            }
            Change::Bytes(at, bytes) => {
                let mut from = 0;
                while from < bytes.len() {
                    // Up to the end of the sector in which it begins.
                    let until = (from + SECTOR - (at + from) % SECTOR).min(bytes.len());
                    if keeps(at + from) {
                        let end = at + until;
                        file.resize(file.len().max(end), 0);
                        let place = file.get_mut(at + from..end).unwrap_or_default();
                        place.copy_from_slice(bytes.get(from..until).unwrap_or_default());
                    }
                    from = until;
                }
            }
        }
    }
}

fn full() -> io::Error {
    io::Error::from_raw_os_error(ENOSPC)
}

fn place(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

#[cfg(feature = "redb")]
impl redb::StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Disk::len(self)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        Disk::read(self, offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        Disk::set_len(self, length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        Disk::write(self, offset, data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the bytes are what they were, what was written since, or empty, sector by sector.
    fn is_mixture(left: &[u8], of: &[&[u8]]) -> bool {
        let sector = |bytes: &[u8], at: usize| -> Vec<u8> {
            let mut sector = bytes.iter().skip(at).take(SECTOR).copied().collect::<Vec<_>>();
            sector.resize(SECTOR, 0);
            sector
        };
        (0..left.len()).step_by(SECTOR).all(|at| {
            let found = sector(left, at);
            found.iter().all(|byte| *byte == 0) || of.iter().any(|one| sector(one, at) == found)
        })
    }

    #[test]
    fn a_power_cut_keeps_what_is_synced_and_any_sectors_of_the_rest() {
        let disk = Disk::new(Vec::new());
        disk.write(0, &[1; 2_000]).unwrap();
        disk.sync().unwrap();
        let before = disk.bytes();
        disk.write(700, &[2; 600]).unwrap();
        disk.set_len(5_000).unwrap();
        disk.write(3_000, &[3; 1_500]).unwrap();
        let now = disk.bytes();
        assert_eq!(now.len(), 5_000);
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..500 {
            let left = disk.after_power_cut(&mut Random::new(seed));
            assert_eq!(left[..700], [1; 700], "what was synced and not touched since");
            assert!(is_mixture(&left[..2_000], &[&before, &now[..2_000]]), "seed {seed}");
            let is_long_without_data = left.len() == 5_000 && left[3_000..].iter().all(|b| *b == 0);
            let is_torn = left.len() > 3_100 && left[700] == 1 && left[3_050] == 3;
            seen.insert((left == before, left == now, is_long_without_data, is_torn));
        }
        for (what, is_seen) in [
            ("nothing is left", seen.iter().any(|kind| kind.0)),
            ("all is left", seen.iter().any(|kind| kind.1)),
            ("a length without its data", seen.iter().any(|kind| kind.2)),
            ("a later write without an earlier one", seen.iter().any(|kind| kind.3)),
        ] {
            assert!(is_seen, "{what}: never seen");
        }
        disk.sync().unwrap();
        assert!((0..50).all(|seed| disk.after_power_cut(&mut Random::new(seed)) == now));
    }

    #[test]
    fn the_planned_operation_fails_and_lasts_if_told() {
        for (is_lasting, expected) in
            [(false, [true, false, true, true]), (true, [true, false, false, false])]
        {
            let disk = Disk::new(Vec::new());
            disk.fail(2, is_lasting, DiskFault::Error);
            let outcomes = [(); 4].map(|()| disk.write(0, b"x").is_ok());
            assert_eq!(outcomes, expected);
            disk.heal();
            disk.write(0, b"x").unwrap();
        }
    }

    #[test]
    fn a_full_disk_is_read_and_synced_and_a_short_write_leaves_half() {
        let disk = Disk::new(b"old".to_vec());
        disk.fail(1, true, DiskFault::Full);
        let error = disk.write(0, b"new").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        disk.read(0, &mut [0; 3]).unwrap();
        disk.sync().unwrap();
        disk.heal();
        disk.set_room(Some(4));
        disk.write(0, b"room").unwrap();
        assert_eq!(disk.write(1, b"room").unwrap_err().kind(), io::ErrorKind::StorageFull);

        let disk = Disk::new(b"olds".to_vec());
        disk.fail(1, false, DiskFault::Short);
        assert!(disk.write(0, b"news").is_err());
        assert_eq!(disk.bytes(), b"neds");
    }

    #[test]
    fn what_a_sync_could_not_write_is_seen_and_never_written_unless_it_is_written_again() {
        let disk = Disk::new(b"ab".to_vec());
        disk.write(0, b"c").unwrap();
        disk.fail(1, false, DiskFault::Error);
        assert!(disk.sync().is_err());
        disk.write(1, b"d").unwrap();
        disk.sync().unwrap();
        assert_eq!(disk.bytes(), b"cd");
        assert_eq!(disk.after_power_cut(&mut Random::new(1)), b"ad");
        disk.write(0, b"c").unwrap();
        disk.sync().unwrap();
        assert_eq!(disk.after_power_cut(&mut Random::new(1)), b"cd");
    }

    #[test]
    fn a_lying_disk_syncs_nothing() {
        let disk = Disk::new(b"a".to_vec());
        disk.lie();
        disk.write(0, b"b").unwrap();
        disk.sync().unwrap();
        assert!((0..50).any(|seed| disk.after_power_cut(&mut Random::new(seed)) == b"a"));
    }

    #[test]
    fn without_power_nothing_is_done_any_more() {
        let disk = Disk::new(b"a".to_vec());
        disk.cut_power(2);
        disk.write(0, b"b").unwrap();
        assert!(disk.write(0, b"c").is_err());
        assert!(disk.is_off());
        disk.heal();
        assert!(disk.sync().is_err(), "power comes back with a new disk alone");
        assert_eq!(disk.bytes(), b"b");
    }
}
