//! Changes that survive power loss, beside SQLite in a file and beside a bare log.
//!
//! All three sync once a commit, on the same disk and in turn. The stores begin empty: what a commit
//! costs at many jobs is a matter of the store, and is measured with it.

use std::time::{Duration, Instant};

use jobtrack::{Clock, Command, Durability, Tracker};
use jobtrack_benches::{BareLog, BenchClock, MeteredStore, progress_bar};
use jobtrack_redb::RedbStore;

use crate::apart::folder;
use crate::change::{Change, Changer, commit};
use crate::changes::new_jobs;
use crate::line::{Line, Of};
use crate::sqlite::Sqlite;
use crate::timing::Timed;

/// How many jobs are created in one commit.
const BATCHES: &[(usize, &str)] = &[(1, "create, synced"), (64, "create, synced, 64 at once")];
/// Commits of one side before it is the other's turn.
const TURN: usize = 10;
/// Bytes of the bare log, which begins again when they are full.
const LOG_BYTES: usize = 16 << 20;

/// Measures creations in each size of commit, each side for so long.
pub(crate) fn measure(
    jobs: usize,
    is_wanted: impl Fn(&str) -> bool,
    budget: Duration,
) -> Vec<Line> {
    let wanted = BATCHES.iter().filter(|(_, name)| is_wanted(name));
    wanted.map(|(batch, name)| measure_batch(jobs, *batch, name, budget)).collect()
}

fn measure_batch(jobs: usize, batch: usize, name: &str, budget: Duration) -> Line {
    let folder = folder();
    let clock = BenchClock::default();
    let store = RedbStore::open(folder.path().join("redb")).expect("a new store opens");
    let (store, meter) = MeteredStore::new(store);
    let tracker = Tracker::open(store, BenchClock::options()).expect("a new store opens");
    let sqlite = Sqlite::in_file(&folder.path().join("sqlite"));
    let mut changer = Changer::of(&sqlite);
    let mut log = BareLog::create(folder.path(), LOG_BYTES);
    let [mut on_tracker, mut on_sqlite, mut on_log] = <[Timed; 3]>::default();

    let bar = progress_bar(0, name);
    let mut round = 0;
    while on_tracker.total() < budget || on_sqlite.total() < budget {
        let creates = new_jobs(&clock, round).into_iter().map(|job| Change::Create(Box::new(job)));
        let creates: Vec<Change> = creates.collect();
        let batches: Vec<&[Change]> = creates.chunks_exact(batch).take(TURN).collect();
        let (bytes, commits) = (meter.bytes(), meter.commits());
        for batch in &batches {
            let synced = |change: &Change| change.command().durability(Durability::Synced);
            let commands: Vec<Command> = batch.iter().map(synced).collect();
            let began = Instant::now();
            commit(&tracker, commands);
            on_tracker.add(began.elapsed(), batch.len());
        }
        for batch in &batches {
            let began = Instant::now();
            changer.commit(batch, clock.wall(), None);
            on_sqlite.add(began.elapsed(), batch.len());
        }
        // A frame of the bare log is as long as what the store was given for such a commit.
        let frame = (meter.bytes() - bytes) / (meter.commits() - commits);
        let frame = vec![0xa5; usize::try_from(frame).expect("some thousands")];
        for batch in &batches {
            let began = Instant::now();
            log.append(&frame);
            on_log.add(began.elapsed(), batch.len());
        }
        round += 1;
    }
    bar.finish_and_clear();
    drop(changer);
    assert_eq!(sqlite.counts().rows(), tracker.counts().expect("counts").total(), "{name}");
    let mut line = Line::new(Of::Change, name, jobs).timed(&on_tracker, Some(&on_sqlite));
    line.floor_p50_ns = Some(on_log.p50());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_commit_and_sync() {
        let lines = measure(1_000, |_| true, Duration::from_millis(1));
        assert_eq!(lines.len(), BATCHES.len());
        for line in lines {
            assert!(line.ratio.is_some() && line.floor_p50_ns > Some(0), "{line:?}");
        }
    }
}
