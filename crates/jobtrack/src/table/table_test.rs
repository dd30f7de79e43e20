//! The table against a plain map, under changes in any order and work at any time.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::job::{Job, JobId, Lease, State};
use crate::query::random_jobs::{job, time};

/// The jobs, and what is kept beside them, which is told of every change whatever that concerns.
#[derive(Default)]
struct Judge {
    jobs: Model,
    sides: Sides,
}

type Model = BTreeMap<JobId, Arc<Job>>;

impl Judge {
    fn put(&mut self, job: &Arc<Job>) {
        let before = self.jobs.insert(job.uuid, Arc::clone(job));
        self.sides.changed(before.as_deref(), Some(job));
    }

    /// Tells of every job as it comes again. Of two with one idempotency key, which no tracker would let
    /// in, the later one is meant, and which that is only the table can say.
    fn begin_again(&mut self, table: &Table) {
        self.sides = Sides::default();
        for part in table.parts.iter() {
            for row in part.living_from(0) {
                let job = self.jobs.get(&part.segment.uuid(row));
                self.sides.changed(None, job.map(|job| &**job));
            }
        }
    }

    fn remove(&mut self, id: JobId) -> bool {
        let before = self.jobs.remove(&id);
        self.sides.changed(before.as_deref(), None);
        before.is_some()
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// Puts a job in, at one of a few ids.
    Put(u8, Box<Job>),
    Remove(u8),
    /// Puts a whole segment in.
    Load(u8, Vec<Job>),
    /// Turns a head that is not full.
    Rest,
    /// Begins a sealing (or a merge), if none is under way.
    Begin(bool),
    /// Goes on with it.
    Work(bool),
    /// Publishes it, done or not.
    Publish(bool),
    Count(Timestamp),
    /// Goes on with a table made of this one's image, if no work is under way.
    Image,
    /// Takes a snapshot to be looked at in the end.
    Hold(Timestamp),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (any::<u8>(), job()).prop_map(|(id, job)| Step::Put(id % 64, Box::new(job))),
        4 => any::<u8>().prop_map(|id| Step::Remove(id % 64)),
        1 => (any::<u8>(), proptest::collection::vec(job(), 1..20))
            .prop_map(|(id, jobs)| Step::Load(id, jobs)),
        1 => Just(Step::Rest),
        5 => any::<bool>().prop_map(Step::Begin),
        6 => any::<bool>().prop_map(Step::Work),
        4 => any::<bool>().prop_map(Step::Publish),
        2 => time().prop_map(Step::Count),
        1 => Just(Step::Image),
        1 => time().prop_map(Step::Hold),
    ]
}

fn id(n: u8) -> JobId {
    // Scattered, so that rows of different segments lie among one another.
    JobId::from_uuid(uuid::Uuid::from_u128(u128::from(n.wrapping_mul(151)) << 64 | 7))
}

/// A job of this id; some are held, have a deadline, a key or a parent among the others.
fn with_id(job: Job, n: u8) -> Arc<Job> {
    let number = job.revision.number;
    let is_live = !job.state().is_terminal();
    let has = |one_in: u64| number.is_multiple_of(one_in);
    let lease = job.lease.clone().filter(|_| is_live && has(2)).map(|lease| {
        let term = has(3).then_some(std::time::Duration::from_secs(number % 100));
        Box::new(Lease { since: term.map(|_| job.update_time), term, ..*lease })
    });
    let claims = if lease.is_some() || has(5) { n.into() } else { 0 };
    Arc::new(Job {
        uuid: id(n),
        lease,
        claims,
        losses: claims / 2,
        deadline: has(4).then_some(job.update_time),
        idempotency_key: has(3).then(|| format!("key {}", number % 7).into()),
        parent: job.parent.map(|parent| id(parent.as_bytes()[15] % 64)),
        ..job
    })
}

fn row(job: &Arc<Job>) -> Row {
    let number = job.revision.number;
    Row { job: Arc::clone(job), key: number * 3, stored: number + (1 << 40) }
}

fn visible(model: &Model, horizon: Timestamp) -> Vec<Arc<Job>> {
    model.values().filter(|job| !job.is_expired(horizon)).cloned().collect()
}

/// Everything that can be asked of the table, asked of the model as well.
fn check(table: &Table, judge: &Judge, horizon: Timestamp) -> Result<(), TestCaseError> {
    let model = &judge.jobs;
    check_sides(table, judge)?;
    prop_assert_eq!(table.len(), model.len());
    for n in 0..=u8::MAX {
        let found = table.row(id(n));
        let expected = model.get(&id(n)).map(row);
        prop_assert_eq!(
            found.map(|row| (row.job, row.key, row.stored)),
            expected.map(|row| (row.job, row.key, row.stored))
        );
    }
    check_counts(table, model, horizon)?;
    let mut due: Vec<_> = model.values().filter(|job| job.is_expired(horizon)).cloned().collect();
    due.sort_by_key(|job| (job.expire_time(), job.uuid));
    let found: Vec<_> = table.due(horizon).map(|due| table.row(due.id()).unwrap().job).collect();
    prop_assert_eq!(table.has_due(horizon), !due.is_empty());
    prop_assert_eq!(found, due);
    let later = horizon.saturating_add(std::time::Duration::from_secs(1));
    for (from, until) in [(horizon, later), (Timestamp::MIN, horizon), (horizon, Timestamp::MAX)] {
        let expires = |job: &&Arc<Job>| job.is_expired(until) && !job.is_expired(from);
        let any = model.values().any(|job| expires(&job));
        prop_assert_eq!(table.expires_between(from, until), any);
    }
    let seen: Vec<_> = table.snapshot(horizon).jobs_after(None).collect();
    prop_assert_eq!(&seen, &visible(model, horizon));
    for after in (0..=u8::MAX).step_by(37).map(id) {
        let rest: Vec<_> = table.snapshot(horizon).jobs_after(Some(after)).collect();
        let expected: Vec<_> = seen.iter().filter(|job| job.uuid > after).cloned().collect();
        prop_assert_eq!(rest, expected);
    }
    let mut changed: Vec<_> = model.values().map(|job| (job.revision, job.uuid)).collect();
    changed.sort_unstable();
    for place in changed.iter().copied().step_by(7).chain([(Revision::default(), id(0))]) {
        let found: Vec<_> =
            table.snapshot(horizon).changed_after(place).map(|(at, job)| (at, job.uuid)).collect();
        let after = changed.iter().filter(|at| **at > place);
        prop_assert_eq!(found, after.map(|at| (*at, at.1)).collect::<Vec<_>>());
    }
    // What the parts say of themselves.
    for part in table.parts.iter() {
        let all = (0..part.segment.len()).filter_map(|row| RowId::try_from(row).ok());
        let living: Vec<_> = all.filter(|row| part.is_alive(*row)).collect();
        prop_assert_eq!(part.living(), living.len());
        for first in [0, 1, part.segment.len() / 2, part.segment.len()] {
            let from: Vec<_> = part.living_from(u32::try_from(first).unwrap()).collect();
            let later = living.iter().filter(|row| usize::from(**row) >= first);
            prop_assert_eq!(from, later.copied().collect::<Vec<_>>());
        }
        prop_assert_eq!(part.dead(), part.dead_rows().count());
        let next = living.iter().filter_map(|row| part.segment.expire_time(*row)).min();
        prop_assert_eq!(part.next_expiry(), next);
    }
    Ok(())
}

/// What is kept beside the rows. Which children have followed is not: a whole segment is put in as at
/// opening, which asks that of every parent.
fn check_sides(table: &Table, judge: &Judge) -> Result<(), TestCaseError> {
    let (own, plain) = (&table.sides, &judge.sides);
    let due = |sides: &Sides| sides.timers.due(Timestamp::MAX).collect::<Vec<_>>();
    prop_assert_eq!(due(own), due(plain));
    prop_assert_eq!(own.timers.held(), plain.timers.held());
    for key in judge.jobs.values().filter_map(|job| IdempotencyKey::of(job)) {
        prop_assert_eq!(own.keys.get(&key), plain.keys.get(&key));
    }
    prop_assert_eq!(own.keys.len(), plain.keys.len());
    for n in 0..=u8::MAX {
        let parent = id(n);
        prop_assert_eq!(own.families.counts(parent), plain.families.counts(parent));
        let children = own.families.children(parent, None).collect::<Vec<_>>();
        let is_child = |job: &&Arc<Job>| job.parent == Some(parent);
        let expected = judge.jobs.values().filter(is_child).map(|job| job.uuid);
        prop_assert_eq!(children, expected.collect::<Vec<_>>());
    }
    let mut leased = table.leased();
    leased.sort();
    let expected = judge.jobs.values().filter(|job| job.lease.is_some()).map(|job| job.uuid);
    prop_assert_eq!(leased, expected.collect::<Vec<_>>());
    Ok(())
}

fn check_counts(table: &Table, model: &Model, horizon: Timestamp) -> Result<(), TestCaseError> {
    let counts = table.counts(horizon);
    let living = visible(model, horizon);
    for state in State::ALL {
        let of_state = living.iter().filter(|job| job.state() == *state).count();
        prop_assert_eq!(counts.of_state(*state), of_state as u64);
    }
    let kinds: std::collections::BTreeSet<_> = living.iter().map(|job| &*job.kind).collect();
    prop_assert_eq!(counts.kinds().collect::<Vec<_>>(), kinds.into_iter().collect::<Vec<_>>());
    for job in living {
        let same = |other: &&Arc<Job>| other.kind == job.kind && other.state() == job.state();
        let expected = visible(model, horizon).iter().filter(same).count();
        prop_assert_eq!(counts.of(&job.kind, job.state()), expected as u64);
    }
    Ok(())
}

fn through_image(table: &Table) -> Table {
    let mut again = Table::shaped(table.shape);
    let mut jobs = 0;
    let told = table.image(|living, bytes| {
        let part = Part::of_image(bytes)?;
        assert_eq!(part.living(), living);
        jobs += living;
        again.add_part_of_image(part);
        Ok::<(), Damaged>(())
    });
    assert_eq!((told, jobs), (Ok(()), table.len()));
    again
}

fn shape() -> impl Strategy<Value = Shape> {
    (1..9_usize, 2..4_usize, prop_oneof![Just(5_usize), Just(20), Just(SEGMENT_ROWS)])
        .prop_map(|(head_rows, fan, segment_rows)| Shape { head_rows, fan, segment_rows })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_table_agrees_with_a_map(
        shape in shape(),
        steps in proptest::collection::vec(step(), 0..250),
        horizon in time(),
    ) {
        let mut table = Table::shaped(shape);
        let mut judge = Judge::default();
        let mut work: [Option<Work>; 2] = [None, None];
        let mut held = Vec::new();
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Put(id, job) => {
                    let job = with_id(*job, id);
                    table.put(row(&job));
                    judge.put(&job);
                }
                Step::Remove(n) => {
                    prop_assert_eq!(table.remove(id(n)), judge.remove(id(n)));
                }
                Step::Load(first, jobs) => {
                    // Segments are of jobs that have ended, or of those that have not.
                    let ended = jobs[0].state().is_terminal();
                    let jobs = jobs.into_iter().zip(0..).map(|(job, n): (Job, u8)| {
                        with_id(job, 64 + (first.wrapping_add(n) % 192))
                    });
                    let mut rows: Vec<Row> = jobs
                        .filter(|job| job.state().is_terminal() == ended)
                        .map(|job| row(&job))
                        .collect();
                    rows.sort_by_key(|row| row.job.uuid);
                    let taken = rows.iter().find(|row| judge.jobs.contains_key(&row.job.uuid));
                    let expected = taken.map_or(Ok(()), |row| Err(row.job.uuid));
                    let concerns =
                        |job: &Arc<Job>| Sides::concern(|field| field.value(job).is_some());
                    let beside = rows.iter().map(|row| Arc::clone(&row.job)).filter(concerns);
                    let added = table.add_segment(Segment::build(&rows), &beside.collect::<Vec<_>>());
                    prop_assert_eq!(added, expected);
                    if expected.is_ok() {
                        rows.into_iter().for_each(|row| judge.put(&row.job));
                    }
                }
                Step::Rest => table.rest(),
                Step::Begin(merge) => {
                    let work = &mut work[usize::from(merge)];
                    if work.is_none() {
                        *work = if merge { table.next_merge() } else { table.next_seal() };
                    }
                }
                Step::Work(merge) => {
                    let work = &mut work[usize::from(merge)];
                    if work.as_mut().is_some_and(Work::step) {
                        work.take().into_iter().for_each(|work| drop(table.publish(work)));
                    }
                }
                Step::Publish(merge) => {
                    let work = work[usize::from(merge)].take();
                    work.into_iter().for_each(|work| drop(table.publish(work)));
                }
                Step::Image => {
                    if work.iter().all(Option::is_none) {
                        table = through_image(&table);
                        judge.begin_again(&table);
                    }
                }
                Step::Count(horizon) => check_counts(&table, &judge.jobs, horizon)?,
                Step::Hold(horizon) => held.push((table.snapshot(horizon), judge.jobs.clone())),
            }
            if n % 32 == 0 {
                check(&table, &judge, horizon)?;
            }
        }
        check(&table, &judge, horizon)?;
        work.into_iter().flatten().for_each(|work| drop(table.publish(work)));
        table.rest();
        let mut left = 1_000;
        while let Some(work) = table.next_seal().or_else(|| table.next_merge()) {
            table.publish(work);
            left -= 1;
            prop_assert!(left > 0, "work never ends");
        }
        prop_assert!(!table.seals_behind() && !table.merges_behind());
        check(&table, &judge, horizon)?;
        for (snapshot, model) in held {
            let seen: Vec<_> = snapshot.jobs_after(None).collect();
            prop_assert_eq!(seen, visible(&model, snapshot.horizon));
        }
    }

    /// How often jobs were claimed is learned when all are in.
    #[test]
    fn claims_are_set_wherever_a_job_stands(
        jobs in proptest::collection::vec((any::<u8>(), job()), 1..60),
        of in proptest::collection::vec(any::<Option<(u8, u8)>>(), 256),
        sealed in any::<bool>(),
    ) {
        // As the records of jobs are read: without.
        let unclaimed = |job: Arc<Job>| Arc::new(Job { claims: 0, losses: 0, ..Job::clone(&job) });
        let jobs = jobs.into_iter().map(|(n, job)| (id(n), unclaimed(with_id(job, n))));
        let jobs: Model = jobs.collect();
        let mut table = Table::shaped(Shape { head_rows: 8, fan: 3, segment_rows: 20 });
        for (job, key) in jobs.values().zip(0..) {
            table.put(Row { job: Arc::clone(job), key, stored: 1 });
        }
        while let Some(work) = table.next_seal().filter(|_| sealed) {
            table.publish(work);
        }
        let counts = |key: u64| {
            let (claims, losses) = (*of.get(usize::try_from(key).ok()?)?)?;
            Some((u32::from(claims), u32::from(losses)))
        };
        table.set_claims(&|key, id| {
            assert_eq!(jobs.keys().nth(usize::try_from(key).unwrap()), Some(&id));
            counts(key)
        });
        for (job, key) in jobs.values().zip(0..) {
            let (claims, losses) = counts(key).unwrap_or((0, 0));
            let expected = Job { claims, losses, ..Job::clone(job) };
            prop_assert_eq!(&*table.row(job.uuid).unwrap().job, &expected);
        }
    }

    /// A segment gives back what was put in, merged or not.
    #[test]
    fn a_segment_holds_the_jobs(
        jobs in proptest::collection::vec((any::<u8>(), job()), 1..60),
        parts in 1..4_usize,
    ) {
        let jobs: Model = jobs.into_iter().map(|(n, job)| (id(n), with_id(job, n))).collect();
        let rows: Vec<Row> = jobs.values().map(row).collect();
        let same = |segment: &Segment| {
            let own = (0..).take(segment.len()).map(|at| segment.row(at, Arc::new(segment.job(at))));
            let own: Vec<_> = own.map(|row| (row.job, row.key, row.stored)).collect();
            let put = rows.iter().map(|row| (Arc::clone(&row.job), row.key, row.stored));
            assert_eq!(own, put.collect::<Vec<_>>());
        };
        same(&Segment::build(&rows));
        let mut split: Vec<Vec<Row>> = vec![Vec::new(); parts];
        for (n, row) in rows.iter().enumerate() {
            split[n % parts].push(row.clone());
        }
        let segments = split.iter().filter(|rows| !rows.is_empty()).map(|rows| {
            (Arc::new(Segment::build(rows)), (0..).take(rows.len()).collect())
        });
        let merged = segment::Merge::new(segments.collect()).finish();
        same(&merged);
        // Every column's order is that of its values, ties by row.
        for (field, column) in Field::FIXED.iter().zip(0..).map(|(f, _): (_, u8)| (f, merged.column(f).unwrap())) {
            for run in column.runs() {
                let listed: Vec<_> = column.rows_of(run, 1..column.end_code()).iter().collect();
                let mut sorted = listed.clone();
                sorted.sort_by_key(|row| (column.code(*row), *row));
                prop_assert_eq!(&listed, &sorted, "{}", field);
                for code in 1..column.end_code() {
                    let of_code: Vec<_> = column.rows_of(run, code..code + 1).iter().collect();
                    let expected: Vec<_> = listed
                        .iter()
                        .filter(|row| u32::from(column.code(**row)) == code)
                        .copied()
                        .collect();
                    prop_assert_eq!(of_code, expected, "{} {}", field, code);
                }
            }
            let listed: usize = column.runs().map(|run| column.rows_of(run, 1..column.end_code()).len()).sum();
            prop_assert_eq!(listed, column.set());
        }
    }
}
