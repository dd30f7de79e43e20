//! Rows in order of uuid, in chunks that snapshots share.
//!
//! A snapshot is one more reference to the whole. The first change after it copies the list of
//! chunks, and each change copies the chunk it touches unless nobody else holds it: so a reader
//! costs a writer some microseconds, whatever it does and however long it takes.

use std::sync::{Arc, OnceLock};

use crate::field::Field;
use crate::job::{Job, JobId, Phase};
use crate::timestamp::Timestamp;

/// Most rows in a chunk: a compromise between the copy of a chunk (64 reference counts) and the copy
/// of the list of chunks (some ten of them in a head).
const CHUNK_ROWS: usize = 64;

/// One job with its place in the store.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// The job.
    pub(crate) job: Arc<Job>,
    /// The growing number under which its record stands.
    pub(crate) key: u64,
    /// The number of the commit that wrote its record.
    pub(crate) stored: u64,
}

impl Row {
    fn id(&self) -> JobId {
        self.job.uuid
    }
}

/// What the machine needs beside each piece of memory, and how many pieces a job is in, about.
const ALLOCATION_BYTES: usize = 16;
const ALLOCATIONS: usize = 10;

/// Bytes that a job takes by itself.
pub(crate) fn job_bytes(job: &Job) -> usize {
    let texts = [&job.description, &job.message, &job.kind, &job.node];
    let labels = job.labels.iter();
    let arguments = match &job.phase {
        Phase::Failure { detail, .. } => detail.arguments.as_slice(),
        _ => &[],
    };
    let scope = job.scope.as_ref();
    size_of::<Job>()
        + ALLOCATIONS * ALLOCATION_BYTES
        + texts.iter().map(|text| text.len()).sum::<usize>()
        + labels
            .map(|(name, value)| name.len() + value.len() + 2 * size_of::<&str>())
            .sum::<usize>()
        + arguments.iter().map(|it| it.code.len() + it.message.len()).sum::<usize>()
        + scope.map_or(0, |scope| scope.name.len() + scope.id.len())
}

/// Rows sorted by uuid. No chunk is empty.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    chunks: Vec<Chunk>,
    len: usize,
    /// What the jobs take by themselves.
    job_bytes: usize,
}

/// Where a row is among others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InRows {
    chunk: usize,
    index: usize,
}

#[derive(Debug, Clone)]
struct Chunk {
    /// A copy of the first row's id, so that finding a chunk does not open every chunk on the way.
    first: JobId,
    rows: Arc<Vec<Entry>>,
    /// Found when they are first asked for, and again after each change.
    bounds: OnceLock<[Bounds; TIMES.len()]>,
}

/// A row with what is asked of it without opening its job, which mostly has left the caches by then.
#[derive(Debug, Clone)]
struct Entry {
    id: JobId,
    /// What its job takes by itself.
    job_bytes: u32,
    row: Row,
}

impl Entry {
    fn of(row: Row) -> Entry {
        let job_bytes = u32::try_from(job_bytes(&row.job)).unwrap_or(u32::MAX);
        Entry { id: row.id(), job_bytes, row }
    }
}

/// The fields whose bounds are known of each chunk: those that lists are mostly ordered by.
const TIMES: [(Field, TimeOf); 4] = [
    (Field::CreateTime, |job| Some(job.create_time)),
    (Field::StartTime, Job::start_time),
    (Field::EndTime, Job::end_time),
    (Field::UpdateTime, |job| Some(job.update_time)),
];

type TimeOf = fn(&Job) -> Option<Timestamp>;

/// What is known of one field of some rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// The least and the greatest value, if there are any.
    pub(crate) ends: Option<(Timestamp, Timestamp)>,
    /// Whether some row has none.
    pub(crate) has_unset: bool,
}

/// Some rows that follow each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece<'a>(&'a Chunk);

impl<'a> Piece<'a> {
    /// What is known of this field, if anything is.
    pub(crate) fn bounds(self, field: &Field) -> Option<Bounds> {
        let at = TIMES.iter().position(|(time, _)| time == field)?;
        self.0.bounds.get_or_init(|| TIMES.map(|(_, of)| self.0.bounds_of(of))).get(at).copied()
    }

    /// The rows, in order of uuid.
    pub(crate) fn rows(self) -> impl DoubleEndedIterator<Item = &'a Row> {
        self.0.rows.iter().map(|entry| &entry.row)
    }
}

impl Chunk {
    fn of(rows: Vec<Entry>) -> Option<Chunk> {
        let first = rows.first()?.id;
        Some(Chunk { first, rows: Arc::new(rows), bounds: OnceLock::new() })
    }

    /// The rows, to be changed.
    fn rows_mut(&mut self) -> &mut Vec<Entry> {
        self.bounds = OnceLock::new();
        Arc::make_mut(&mut self.rows)
    }

    fn bounds_of(&self, time: TimeOf) -> Bounds {
        let none = Bounds { ends: None, has_unset: false };
        self.rows.iter().fold(none, |bounds, entry| {
            let Some(time) = time(&entry.row.job) else {
                return Bounds { has_unset: true, ..bounds };
            };
            let (least, most) = bounds.ends.unwrap_or((time, time));
            Bounds { ends: Some((least.min(time), most.max(time))), ..bounds }
        })
    }

    fn find(&self, id: JobId) -> Result<usize, usize> {
        self.rows.binary_search_by_key(&id, |entry| entry.id)
    }
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes that the jobs take by themselves.
    pub(crate) fn job_bytes(&self) -> usize {
        self.job_bytes
    }

    /// The index of the only chunk that may hold the id.
    fn chunk_of(&self, id: JobId) -> Option<usize> {
        self.chunks.partition_point(|chunk| chunk.first <= id).checked_sub(1)
    }

    pub(crate) fn get(&self, id: JobId) -> Option<&Row> {
        self.at(self.find(id)?)
    }

    /// Where the row of this id is, until one is put in or taken out.
    pub(crate) fn find(&self, id: JobId) -> Option<InRows> {
        let chunk = self.chunk_of(id)?;
        let index = self.chunks.get(chunk)?.find(id).ok()?;
        Some(InRows { chunk, index })
    }

    /// The row at this place.
    pub(crate) fn at(&self, place: InRows) -> Option<&Row> {
        self.chunks.get(place.chunk)?.rows.get(place.index).map(|entry| &entry.row)
    }

    /// Puts the row in place of the one of the same id, which is at this place, and returns that.
    pub(crate) fn replace(&mut self, place: InRows, row: Row) -> Option<Row> {
        self.replace_entry(place, Entry::of(row))
    }

    fn replace_entry(&mut self, place: InRows, entry: Entry) -> Option<Row> {
        let slot = self.chunks.get_mut(place.chunk)?.rows_mut().get_mut(place.index)?;
        self.job_bytes += entry.job_bytes as usize;
        let before = std::mem::replace(slot, entry);
        self.job_bytes -= before.job_bytes as usize;
        Some(before.row)
    }

    /// Puts the row in and returns the one that it replaces.
    pub(crate) fn put(&mut self, row: Row) -> Option<Row> {
        let entry = Entry::of(row);
        let (id, job_bytes) = (entry.id, entry.job_bytes as usize);
        // An id before every other goes into the first chunk.
        let at = self.chunk_of(id).unwrap_or(0);
        let is_last = at + 1 >= self.chunks.len();
        let Some(chunk) = self.chunks.get_mut(at) else {
            self.chunks.extend(Chunk::of(vec![entry]));
            (self.len, self.job_bytes) = (1, job_bytes);
            return None;
        };
        match chunk.find(id) {
            Ok(index) => self.replace_entry(InRows { chunk: at, index }, entry),
            Err(index) => {
                self.len += 1;
                self.job_bytes += job_bytes;
                let is_full = chunk.rows.len() >= CHUNK_ROWS;
                // Most ids are of version 7 and come in order: the full last chunk stays full.
                if is_full && is_last && index == chunk.rows.len() {
                    self.chunks.extend(Chunk::of(vec![entry]));
                    return None;
                }
                let rows = chunk.rows_mut();
                rows.insert(index, entry);
                let upper = if is_full { rows.split_off(CHUNK_ROWS / 2) } else { Vec::new() };
                chunk.first = chunk.first.min(id);
                if let Some(upper) = Chunk::of(upper) {
                    self.chunks.insert(at + 1, upper);
                }
                None
            }
        }
    }

    /// Takes out the row at this place.
    pub(crate) fn remove(&mut self, place: InRows) -> Option<Row> {
        let InRows { chunk: at, index } = place;
        let chunk = self.chunks.get_mut(at)?;
        if index >= chunk.rows.len() {
            return None;
        }
        let rows = chunk.rows_mut();
        let Entry { row, job_bytes, .. } = rows.remove(index);
        self.len -= 1;
        self.job_bytes -= job_bytes as usize;
        match rows.first() {
            None => {
                self.chunks.remove(at);
            }
            Some(first) => {
                chunk.first = first.id;
                self.join_with_next(at);
            }
        }
        Some(row)
    }

    /// Joins a chunk with the next one where both together fill no more than half a chunk, so that
    /// scattered removals do not leave a list of nearly empty chunks.
    fn join_with_next(&mut self, at: usize) {
        let Some([chunk, next]) = self.chunks.get_mut(at..at + 2) else { return };
        if chunk.rows.len() + next.rows.len() > CHUNK_ROWS / 2 {
            return;
        }
        let rows = chunk.rows_mut();
        rows.extend(next.rows.iter().cloned());
        self.chunks.remove(at + 1);
    }

    /// All rows in pieces, in order of uuid.
    pub(crate) fn pieces(&self) -> impl DoubleEndedIterator<Item = Piece<'_>> {
        self.chunks.iter().map(Piece)
    }

    /// The rows after this id, or all of them.
    pub(crate) fn after(&self, after: Option<JobId>) -> impl Iterator<Item = &Row> {
        let start = after.and_then(|id| self.chunk_of(id)).unwrap_or(0);
        self.chunks
            .iter()
            .skip(start)
            .flat_map(|chunk| chunk.rows.iter())
            .skip_while(move |entry| after.is_some_and(|after| entry.id <= after))
            .map(|entry| &entry.row)
    }
}
