//! The jobs of a store, decoded and made into the table: on one thread, or on as many as the host
//! allows.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use parking_lot::Mutex;

use crate::error::{Error, ErrorKind, Result};
use crate::job::{Job, JobId};
use crate::limits::{OPENING_THREADS, check_count};
use crate::store::{Space, decode_job, shown};
use crate::table::{Row, SEGMENT_ROWS, Segment, Sides, Table};

/// So many jobs are better put in one by one.
const FEW: usize = 512;

/// After so many jobs progress is told.
const PROGRESS_EVERY: usize = 8_192;

/// How a store is opened.
///
/// ```
/// use std::sync::Arc;
/// use jobtrack::{MemoryStore, Opening, Options, Tracker};
///
/// let opening = Opening { threads: 4, progress: Some(Arc::new(|jobs| println!("{jobs} jobs"))) };
/// let tracker = Tracker::open(MemoryStore::new(), Options { opening, ..Options::default() })?;
/// assert_eq!(tracker.opened().jobs, 0);
/// # Ok::<(), jobtrack::Error>(())
/// ```
#[derive(Clone)]
pub struct Opening {
    /// On how many threads jobs are decoded and indexed, the caller's own included: on that alone
    /// unless told otherwise.
    pub threads: usize,
    /// Is told now and then how many jobs are loaded so far.
    pub progress: Option<Arc<dyn Fn(usize) + Send + Sync>>,
}

impl Default for Opening {
    fn default() -> Self {
        Opening { threads: 1, progress: None }
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").field("threads", &self.threads).finish_non_exhaustive()
    }
}

impl Opening {
    pub(super) fn check(&self) -> Result<()> {
        check_count("threads", self.threads, OPENING_THREADS)?;
        if self.threads == 0 {
            let message = "0 threads open nothing; write at least 1";
            return Err(Error::new(ErrorKind::InvalidValue, message).with_field("threads"));
        }
        Ok(())
    }
}

/// A job's record as the store has it.
pub(super) struct RawJob {
    pub(super) key: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) stored: u64,
}

/// The table of all the jobs that `feed` hands over.
pub(super) fn jobs(
    opening: &Opening,
    feed: impl FnOnce(&mut dyn FnMut(RawJob) -> Result<()>) -> Result<()>,
) -> Result<Table> {
    if opening.threads <= 1 {
        let mut loaded = Loaded::default();
        let mut batch = Batch::new(opening);
        feed(&mut |job| match batch.push(job) {
            Some(full) => loaded.add(build(full)?),
            None => Ok(()),
        })?;
        loaded.add(build(batch.jobs)?)?;
        return loaded.finish();
    }
    thread::scope(|scope| {
        let (to_workers, batches) = sync_channel(opening.threads);
        let (to_loader, built) = channel();
        let batches = Arc::new(Mutex::new(batches));
        for _ in 1..opening.threads {
            let (batches, to_loader) = (Arc::clone(&batches), to_loader.clone());
            scope.spawn(move || work(&batches, &to_loader));
        }
        let mut loaded = spread(opening, &to_workers, &built, feed)?;
        // Without a sender the workers end once all is built, and this thread works along.
        drop(to_workers);
        work(&batches, &to_loader);
        drop(to_loader);
        built.iter().try_for_each(|built| loaded.add(built?))?;
        loaded.finish()
    })
}

/// Hands batches to the workers, and takes in what they have built meanwhile.
fn spread(
    opening: &Opening,
    to_workers: &SyncSender<Vec<RawJob>>,
    built: &Receiver<Result<Built>>,
    feed: impl FnOnce(&mut dyn FnMut(RawJob) -> Result<()>) -> Result<()>,
) -> Result<Loaded> {
    let mut loaded = Loaded::default();
    let mut batch = Batch::new(opening);
    // Workers go on for as long as there are batches, so a batch always finds one.
    let send = |full| {
        to_workers
            .send(full)
            .map_err(|_| Error::new(ErrorKind::StoreFailed, "a thread that loads jobs has ended"))
    };
    feed(&mut |job| match batch.push(job) {
        Some(full) => {
            built.try_iter().try_for_each(|built| loaded.add(built?))?;
            send(full)
        }
        None => Ok(()),
    })?;
    send(batch.jobs)?;
    Ok(loaded)
}

fn work(batches: &Mutex<Receiver<Vec<RawJob>>>, to_loader: &Sender<Result<Built>>) {
    loop {
        let next = batches.lock().recv();
        let Ok(batch) = next else { return };
        if to_loader.send(build(batch)).is_err() {
            return;
        }
    }
}

/// Jobs that wait until there are enough for a segment.
struct Batch<'a> {
    jobs: Vec<RawJob>,
    taken: usize,
    opening: &'a Opening,
}

impl<'a> Batch<'a> {
    fn new(opening: &'a Opening) -> Self {
        Batch { jobs: Vec::new(), taken: 0, opening }
    }

    fn push(&mut self, job: RawJob) -> Option<Vec<RawJob>> {
        self.taken += 1;
        if self.taken.is_multiple_of(PROGRESS_EVERY)
            && let Some(progress) = &self.opening.progress
        {
            progress(self.taken);
        }
        self.jobs.push(job);
        (self.jobs.len() >= SEGMENT_ROWS).then(|| std::mem::take(&mut self.jobs))
    }
}

/// What becomes of one batch: a segment of the jobs that have ended, and the others, which are few.
struct Built {
    ended: Option<Block>,
    live: Vec<Row>,
}

/// A segment, with those of its jobs that concern what the table keeps beside its rows.
struct Block {
    segment: Segment,
    beside: Vec<Arc<Job>>,
}

fn build(jobs: Vec<RawJob>) -> Result<Built> {
    let decode = |raw: RawJob| {
        let RawJob { key, bytes, stored } = raw;
        let job = decode_job(&bytes, stored)
            .map_err(|error| named(Space::Job, &key.to_be_bytes(), &error))?;
        Ok(Row { job: Arc::new(job), key, stored })
    };
    let rows: Vec<Row> = jobs.into_iter().map(decode).collect::<Result<_>>()?;
    let (ended, live): (Vec<Row>, Vec<Row>) =
        rows.into_iter().partition(|row| row.job.state().is_terminal());
    if ended.len() < FEW {
        return Ok(Built { ended: None, live: ended.into_iter().chain(live).collect() });
    }
    Ok(Built { ended: Some(block(ended)?), live })
}

fn block(mut rows: Vec<Row>) -> Result<Block> {
    rows.sort_unstable_by_key(|row| row.job.uuid);
    let twice = rows.windows(2).find_map(|pair| match pair {
        [one, other] if one.job.uuid == other.job.uuid => Some(one.job.uuid),
        _ => None,
    });
    if let Some(id) = twice {
        return Err(second_record(id));
    }
    let segment = Segment::build(&rows);
    let concerns = |row: &Row| Sides::concern(|field| field.value(&row.job).is_some());
    let beside = rows.into_iter().filter(concerns).map(|row| row.job).collect();
    Ok(Block { segment, beside })
}

#[derive(Default)]
struct Loaded {
    table: Table,
    live: Vec<Row>,
}

impl Loaded {
    fn add(&mut self, built: Built) -> Result<()> {
        if let Some(ended) = built.ended {
            self.add_block(ended)?;
        }
        self.live.extend(built.live);
        if self.live.len() >= SEGMENT_ROWS {
            let rest = self.live.split_off(SEGMENT_ROWS);
            let full = std::mem::replace(&mut self.live, rest);
            self.settle(full)?;
        }
        Ok(())
    }

    fn add_block(&mut self, block: Block) -> Result<()> {
        self.table.add_segment(block.segment, &block.beside).map_err(second_record)
    }

    fn finish(mut self) -> Result<Table> {
        let rest = std::mem::take(&mut self.live);
        self.settle(rest)?;
        Ok(self.table)
    }

    /// Puts in what has come together.
    fn settle(&mut self, rows: Vec<Row>) -> Result<()> {
        let (ended, live): (Vec<Row>, Vec<Row>) =
            rows.into_iter().partition(|row| row.job.state().is_terminal());
        for rows in [ended, live] {
            if rows.len() >= FEW {
                self.add_block(block(rows)?)?;
                continue;
            }
            for row in rows {
                if self.table.row(row.job.uuid).is_some() {
                    return Err(second_record(row.job.uuid));
                }
                self.table.put(row);
            }
        }
        Ok(())
    }
}

fn second_record(id: JobId) -> Error {
    Error::new(ErrorKind::StoreDamaged, format!("a second record holds the job {id}"))
}

/// The error with the name of the record that it is about.
pub(super) fn named(space: Space, key: &[u8], error: &Error) -> Error {
    let named = format!("record {} of space {}", shown(key), space.name());
    Error::new(error.kind(), error.to_string()).with_field(named)
}
