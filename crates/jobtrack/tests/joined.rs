//! Families, holds, rules, caps, eviction, the archive, logs, claims and sweeps of rows, all at once:
//! what the store, a copy of it, a watch and the archive say after each round must fit together.

// A test that cannot go on stops; outside of `#[test]` functions clippy must be told.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jobtrack::store::{Record, Space, copy, verify};
use jobtrack::{
    Action, Archive, Change, Command, Durability, Ending, ErrorKind, EventKind, Expr, Failure,
    FamilyOptions, Field, HistoryOptions, Hold, Job, JobId, JobParts, LeaseOptions, Limits,
    LogKind, Lost, MemoryStore, NewJob, Options, Query, RetentionRule, Revision, RollUp, State,
    Store, Success, Timestamp, TombstoneOptions, Tracker, Update, Watch,
};
use jobtrack_testkit::{ManualClock, Shelf};

/// Jobs that come and go; enough that heads are sealed and rows are swept.
const UUIDS: u64 = 160;
const ROUNDS: usize = 40;
/// Less than the record of one job can take.
const FEW_BYTES: usize = 16_000;

/// Numbers that look random: xorshift.
struct Lot(u64);

impl Lot {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

fn id(n: u64) -> JobId {
    JobId::from_uuid(uuid::Uuid::from_u128(u128::from(n) + 1))
}

/// A watch, and what it has told so far.
struct Follower {
    filter: Expr,
    watch: Watch,
    seen: BTreeMap<JobId, Arc<Job>>,
}

struct Player {
    lot: Lot,
    clock: ManualClock,
    store: Arc<MemoryStore>,
    shelf: Option<Arc<Shelf>>,
    options: Options,
    tracker: Tracker,
    followers: Vec<Follower>,
    /// Jobs as they were once, to be imported.
    museum: Vec<JobParts>,
    seen: Seen,
}

/// How often what is to meet was met.
#[derive(Debug, Default)]
struct Seen {
    imported: usize,
    held: usize,
    unheld: usize,
    /// Deleted or evicted.
    taken_out: usize,
    expired: u64,
    archived: usize,
    restarts: usize,
}

fn options(seed: u64, clock: &ManualClock, shelf: Option<&Arc<Shelf>>) -> Options {
    let is = |bit: u64| seed & (1 << bit) != 0;
    let stay = |seconds| RetentionRule::any(Duration::from_secs(seconds));
    let limits = Limits {
        bytes: if is(1) { FEW_BYTES } else { usize::MAX },
        jobs: if is(2) && !is(1) { 100 } else { usize::MAX },
        ..Limits::default()
    };
    Options {
        clock: Arc::new(clock.clone()),
        retention: Duration::from_secs(40),
        retention_rules: vec![
            stay(15).ending(Ending::Success),
            stay(60).of_kind("a"),
            stay(0).of_kind("b").ending(Ending::Failure),
        ],
        tombstones: TombstoneOptions {
            keep: Duration::from_secs(if is(3) { 0 } else { 30 }),
            ..TombstoneOptions::default()
        },
        history: HistoryOptions { age: Duration::MAX, ..HistoryOptions::default() },
        limits,
        evict: is(4),
        archive: shelf.map(|shelf| Arc::clone(shelf) as Arc<dyn Archive>),
        leases: LeaseOptions {
            lost: Lost::QueueAgain { at_most: 1 },
            owner: Some("owner".to_owned()),
            ..LeaseOptions::default()
        },
        families: FamilyOptions { roll_up: RollUp::Free, ..FamilyOptions::default() },
        ..Options::default()
    }
}

impl Player {
    fn new(seed: u64) -> Self {
        let clock = ManualClock::new("2026-03-01T10:00:00Z".parse().unwrap());
        let shelf = (seed & 1 != 0).then(Arc::<Shelf>::default);
        let options = options(seed, &clock, shelf.as_ref());
        let store = Arc::new(MemoryStore::new());
        let tracker = Tracker::open(Arc::clone(&store), options.clone()).unwrap();
        let lot = Lot(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let (followers, museum) = (Vec::new(), Vec::new());
        let mut player = Player {
            lot,
            clock,
            store,
            shelf,
            options,
            tracker,
            followers,
            museum,
            seen: Seen::default(),
        };
        player.follow();
        player
    }

    fn follow(&mut self) {
        let filters = [
            Expr::everything(),
            Expr::is_set(Field::HeldTime),
            Expr::is(Field::State, State::Success).unwrap(),
            Expr::is_set(Field::RetentionTold),
        ];
        self.followers = filters
            .into_iter()
            .map(|filter| {
                let watch = self.tracker.watch(filter.clone(), None).unwrap();
                let there = self.tracker.query(&Query::matching(filter.clone())).unwrap().jobs;
                let seen = there.into_iter().map(|job| (job.uuid, job)).collect();
                Follower { filter, watch, seen }
            })
            .collect();
    }

    fn command(&mut self) -> Command {
        let lot = &mut self.lot;
        let job = id(lot.below(UUIDS));
        let seconds = Duration::from_secs(lot.below(90));
        let update = match lot.below(34) {
            0..=7 => return self.create(job),
            8 | 9 if !self.museum.is_empty() => {
                let at = lot.below(self.museum.len() as u64);
                return Command::import(self.museum[usize::try_from(at).unwrap()].clone());
            }
            8..=12 => Update::Start,
            13..=16 => Update::Succeed(Success::default()),
            17 | 18 => Update::Fail(Failure::default()),
            19 => Update::Request(Action::Cancel),
            20 | 21 => Update::Hold,
            22..=24 => Update::Unhold,
            25 => Update::Extend(jobtrack::Extension { retention: seconds }),
            26 => Update::Relabel([("tier", (!lot.one_in(3)).then_some("1"))].into()),
            27 | 28 => Update::Delete,
            29 | 30 => {
                Update::Claim(Hold::leased("w").lasting(seconds.max(Duration::from_secs(1))))
            }
            31 => Update::FreeKey,
            32 => Update::Report("on its way".into()),
            _ => Update::Claim(Hold::in_process()),
        };
        let command = Command::update(job, update).because("so it is");
        if lot.one_in(3) { command } else { command.durability(Durability::Deferred).forced() }
    }

    fn create(&mut self, job: JobId) -> Command {
        let lot = &mut self.lot;
        let retention = lot.one_in(3).then(|| Duration::from_secs(lot.below(60)));
        let parent = lot.one_in(3).then(|| id(lot.below(UUIDS)));
        let key = lot.one_in(5).then(|| format!("k{}", lot.below(12)));
        let kind = ["a", "b", "c", ""][usize::try_from(lot.below(4)).unwrap()];
        let new = NewJob {
            uuid: Some(job),
            kind: kind.to_owned(),
            retention,
            parent,
            idempotency_key: key,
            cooperative: lot.one_in(3),
            ..NewJob::described("x".repeat(usize::try_from(lot.below(60)).unwrap()))
        };
        Command::create(new).durability(Durability::Deferred)
    }

    fn round(&mut self) {
        for _ in 0..self.lot.below(4) {
            let many = 1 + self.lot.below(60);
            let commands: Vec<_> = (0..many).map(|_| self.command()).collect();
            for (command, outcome) in commands.iter().zip(self.tracker.run_all(commands.clone())) {
                match (&command.change, &outcome) {
                    (Change::Import(_), Ok(_)) => self.seen.imported += 1,
                    (Change::Update(_, Update::Hold), Ok(_)) => self.seen.held += 1,
                    (Change::Update(_, Update::Unhold), Ok(_)) => self.seen.unheld += 1,
                    _ => {}
                }
                match outcome {
                    Ok(applied) if self.lot.one_in(8) => {
                        self.museum.push(JobParts::from(&*applied.job));
                    }
                    Ok(_) => {}
                    Err(error) => assert!(
                        error.kind() != ErrorKind::StoreFailed || self.is_archive_failing(),
                        "{error}"
                    ),
                }
            }
        }
        if let Some(shelf) = &self.shelf {
            shelf.fail(self.lot.one_in(3));
        }
        self.clock.advance(Duration::from_secs(self.lot.below(20)));
        if self.lot.one_in(2) {
            self.tracker.maintain(usize::try_from(self.lot.below(300)).unwrap()).unwrap();
        }
        if self.lot.one_in(3) {
            self.settle();
        }
        if self.lot.one_in(8) {
            self.tracker.close().unwrap();
            self.note_end();
            self.seen.restarts += 1;
            self.followers.clear();
            let store = Arc::clone(&self.store);
            self.tracker = Tracker::open(store, self.options.clone()).unwrap();
            self.follow();
        }
    }

    fn note_end(&mut self) {
        self.seen.expired += self.tracker.stats().expired;
        self.seen.archived = self.shelf.as_ref().map_or(0, |shelf| shelf.len());
    }

    fn settle(&self) {
        let more = |_: &u32| self.tracker.maintain(50).unwrap().more;
        assert!((0..1_000).take_while(more).count() < 1_000, "maintenance never ends");
    }

    fn is_archive_failing(&self) -> bool {
        self.tracker.archive_status().unwrap().is_some_and(|status| status.failing.is_some())
    }

    fn check(&mut self) {
        let mut defects = Vec::new();
        let mut note = |defect: jobtrack::store::Defect| defects.push(defect.to_string());
        verify(&*self.store, &mut |_| {}, &mut note).unwrap();
        assert_eq!(defects, [""; 0]);
        self.check_followers();
        self.check_bytes();
        if let Some(shelf) = &self.shelf {
            assert_eq!(shelf.wrong(), None);
        }
    }

    /// Compares it with a copy of its store, once nothing is to happen by itself that an opening might
    /// bring about as well.
    fn check_copy(&mut self) {
        self.settle();
        let copied = MemoryStore::new();
        copy(&*self.store, &copied, &self.clock, &mut |_| {}).unwrap();
        let options = Options {
            archive: None,
            evict: false,
            limits: Limits::default(),
            // As another, so that what the tracker's process holds is not taken for lost.
            leases: LeaseOptions { owner: None, ..self.options.leases.clone() },
            ..self.options.clone()
        };
        let copied = Tracker::open(copied, options).unwrap();
        let all = |tracker: &Tracker| {
            let jobs = tracker.query(&Query::default()).unwrap().jobs;
            jobs.iter().map(without_until).collect::<Vec<_>>()
        };
        let jobs = all(&self.tracker);
        assert_same(&jobs, &all(&copied), "the tracker and the copy");
        for job in &jobs {
            self.check_job(job, &copied);
        }
        for state in State::ALL {
            let [own, other] =
                [&self.tracker, &copied].map(|it| it.counts().unwrap().of_state(*state));
            let counted = jobs.iter().filter(|job| job.state() == *state).count() as u64;
            assert_eq!((own, other), (counted, counted), "{state}");
        }
    }

    fn check_job(&self, job: &Job, copied: &Tracker) {
        let id = job.uuid;
        let log = self.tracker.log(id).unwrap();
        assert_eq!(log, copied.log(id).unwrap(), "{job:?}");
        let latest = self.tracker.get(id).unwrap().job.revision;
        assert!(log.entries.iter().all(|entry| entry.revision <= latest), "{log:?}");
        let is_first = |kind| matches!(kind, LogKind::Created | LogKind::Imported);
        for (at, entry) in log.entries.iter().enumerate() {
            assert_eq!(is_first(entry.kind), at == 0 && log.dropped == 0, "{log:?}");
        }
        if log.dropped == 0 {
            let mut state = None;
            for entry in &log.entries {
                assert_eq!(entry.from, state, "{log:?}");
                state = entry.to.or(state);
            }
            assert_eq!(state, Some(job.state()), "{log:?}");
        }
        let [own, other] = [&self.tracker, copied].map(|it| it.children(id).unwrap());
        assert_eq!(own, other, "{job:?}");
    }

    fn check_followers(&mut self) {
        // What this hides is stored by a commit, which does what is due as well.
        self.tracker.query(&Query::default()).unwrap();
        let now = self.tracker.now();
        let mut gone_now = Vec::new();
        for follower in &mut self.followers {
            while let Some(event) = follower.watch.next(Duration::ZERO).unwrap() {
                match event.kind {
                    EventKind::In(job) => {
                        let before = follower.seen.insert(job.uuid, job);
                        assert!(before.is_none(), "{before:?} comes in again");
                    }
                    EventKind::Changed(job) => {
                        let before = follower.seen.insert(job.uuid, job);
                        assert!(before.is_some(), "changed, and was never in");
                    }
                    EventKind::Out(job) => {
                        assert!(follower.seen.remove(&job.uuid).is_some(), "{job:?}");
                    }
                    EventKind::Gone(gone) => {
                        let before = follower.seen.remove(&gone.uuid);
                        self.seen.taken_out += usize::from(before.is_some() && gone.was_deleted);
                        gone_now.push(gone.uuid);
                    }
                    other => panic!("{other:?}"),
                }
            }
            let shown = self.tracker.query(&Query::matching(follower.filter.clone())).unwrap();
            let seen = follower.seen.values().filter(|job| !job.is_expired(now));
            let seen: Vec<_> = seen.map(|job| Job::clone(job)).map(Arc::new).collect();
            let [seen, shown] =
                [seen, shown.jobs].map(|jobs| jobs.iter().map(without_until).collect::<Vec<_>>());
            assert_same(&seen, &shown, &follower.filter.to_string());
        }
        // One that is gone as soon as it ends stands in the store until it is swept.
        let Some(shelf) = &self.shelf else { return };
        let mut there = Vec::new();
        let mut note = |space, _: &[u8], record: jobtrack::Result<Record>| {
            there.extend((space == Space::Job).then_some(record?.value));
            Ok(())
        };
        self.store.scan(&mut note).unwrap();
        for gone in gone_now {
            let bytes = gone.as_bytes();
            let is_there = there.iter().any(|job| job.windows(16).any(|part| part == bytes));
            assert!(is_there || shelf.has(gone), "{gone}");
        }
    }

    /// What the tracker says that all records take is what they take.
    fn check_bytes(&mut self) {
        if self.options.limits.bytes != FEW_BYTES {
            return;
        }
        let labels = (0..32).map(|n| (format!("label {n}"), "x".repeat(512))).collect();
        let large = NewJob { labels, ..NewJob::default() };
        let error = self.tracker.create(large).unwrap_err();
        assert_eq!(error.field(), Some("limits.bytes"), "{error}");
        let mut bytes = 0;
        let mut count = |space, _: &[u8], record: jobtrack::Result<Record>| {
            bytes += if space == Space::Job { record?.value.len() } else { 0 };
            Ok(())
        };
        self.store.scan(&mut count).unwrap();
        let expected = format!("the records of all jobs take {bytes} bytes");
        assert!(error.message().starts_with(&expected), "{error}: {expected}");
        assert!(self.options.evict || bytes <= 2 * FEW_BYTES);
    }
}

/// Says of the first job in which the two differ, and of that alone, how.
fn assert_same(some: &[Job], others: &[Job], which: &str) {
    for (one, other) in some.iter().zip(others) {
        assert_eq!(one, other, "{which}");
    }
    assert_eq!(some.len(), others.len(), "{which}");
}

/// The job, with no matter until when its lease lasts: an opening renews it.
fn without_until(job: &Arc<Job>) -> Job {
    let mut job = Job::clone(job);
    if let Some(lease) = &mut job.lease {
        lease.until = Timestamp::MAX;
        (job.update_time, job.revision) = (job.create_time, Revision::default());
    }
    job
}

#[test]
fn the_store_a_copy_a_watch_and_the_archive_agree_whatever_meets() {
    let told = std::env::var("JOBTRACK_JOINED").ok().and_then(|text| text.parse().ok());
    let seeds: u64 = told.unwrap_or(32);
    let mut all = Seen::default();
    for seed in 0..seeds {
        let played = std::panic::catch_unwind(|| {
            let mut player = Player::new(seed);
            for _ in 0..ROUNDS {
                player.round();
                player.check();
                if player.lot.one_in(3) {
                    player.check_copy();
                }
            }
            player.note_end();
            player.seen
        });
        let seen = played.unwrap_or_else(|_| panic!("seed {seed}"));
        all.imported += seen.imported;
        all.held += seen.held;
        all.unheld += seen.unheld;
        all.taken_out += seen.taken_out;
        all.expired += seen.expired;
        all.archived += seen.archived;
        all.restarts += seen.restarts;
    }
    println!("{seeds} seeds of {ROUNDS} rounds: {all:?}");
    // What never met proves nothing.
    let counts = [all.imported, all.held, all.unheld, all.taken_out, all.archived, all.restarts];
    let least = u64::try_from(counts.into_iter().min().unwrap_or(0)).unwrap();
    assert!(least.min(all.expired) >= seeds, "{all:?}");
}
