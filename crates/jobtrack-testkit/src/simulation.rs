//! Workers that crash, stall, lie about the time, come back late and restart under the same name.
//!
//! A simulation is a seed and a number of steps. Its workers behave as badly as they can; what must
//! hold all the same is checked after every answer and, from time to time, against everything that
//! can be asked: no two owners of one job are ever accepted, no job that has ended ever changes, no
//! lease outlives its term once it was looked after, every counter is right, those of children
//! included, a family ends and stays together, and every watcher knows what a listing knows, or was
//! told of a gap. There are never more jobs than may be, none goes that has not ended or is held, and
//! none that an archive did not get, which fails now and then.

// A panic is how a test hears of what does not hold.
#![allow(clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jobtrack::{
    Action, Archive, Cause, Claim, Clock, Command, Direction, Durability, Ending, Error, ErrorKind,
    Expr, Failure, Field, Hold, Job, JobId, LeaseOptions, Limits, Lost, NewJob, Options, Order,
    Query, Report, RetentionRule, State, Success, Timestamp, Tracker,
};

use crate::follower::Follower;
use crate::{CrashStore, ManualClock, Shelf};

/// Workers at a time, and how many names they have among them.
const WORKERS: u64 = 8;
const NAMES: u64 = 3;
/// Jobs that are kept in work.
const JOBS: u64 = 40;
/// Jobs at most, finished ones included.
const CAP: usize = 80;
/// After how many steps everything is compared.
const STEPS_PER_CHECK: u64 = 50;

/// What happened in a simulation, so that a test can prove that it was one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Simulated {
    /// Claims that gave a job.
    pub claims: u64,
    /// Writes that were accepted from the holder of a job.
    pub accepted: u64,
    /// Writes that were refused since the token was not valid any more, or the job had ended.
    pub late: u64,
    /// Jobs whose worker was lost.
    pub lost: u64,
    /// Jobs that ran past their deadline.
    pub timed_out: u64,
    /// Times that the store was opened again.
    pub restarts: u64,
    /// Jobs that were held.
    pub held: u64,
    /// Jobs that had to make room for others.
    pub evicted: u64,
    /// Creations that were refused since there was no room.
    pub refused: u64,
    /// Jobs that the archive got.
    pub archived: u64,
}

/// Lets a simulation of this seed run for so many steps.
///
/// # Panics
///
/// Where something does not hold that must, with what was found.
pub fn run(seed: u64, steps: u64) -> Simulated {
    let mut simulation = Simulation::new(seed);
    for step in 1..=steps {
        simulation.step();
        if step % STEPS_PER_CHECK == 0 || step == steps {
            simulation.check();
        }
    }
    simulation.seen
}

/// What a worker believes: whether that is so is another question.
#[derive(Debug, Clone, Copy)]
struct Belief {
    job: JobId,
    token: u64,
}

#[derive(Debug, Default)]
struct Worker {
    /// The job that it works on.
    at: Option<Belief>,
    /// Jobs that it, or one of its name before it, worked on before: it may come back to them.
    earlier: Vec<Belief>,
    /// For how many of its turns it does nothing.
    stalls: u64,
}

struct Simulation {
    random: Random,
    clock: ManualClock,
    store: Arc<CrashStore>,
    tracker: Tracker,
    left_behind: Vec<Tracker>,
    workers: Vec<Worker>,
    followers: Vec<Follower>,
    /// The latest token that was given for each job, and the end of its lease as last told.
    tokens: BTreeMap<JobId, (u64, Timestamp)>,
    /// Jobs as they had ended.
    ended: BTreeMap<JobId, Arc<Job>>,
    /// Jobs that are held, and jobs that were deleted.
    held: BTreeSet<JobId>,
    deleted: BTreeSet<JobId>,
    shelf: Arc<Shelf>,
    seen: Simulated,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let start = Timestamp::from_micros(1_772_359_200_000_000).unwrap_or(Timestamp::MIN);
        let clock = ManualClock::new(start);
        let store = Arc::new(CrashStore::new());
        let shelf = Arc::default();
        let tracker = open(&store, &clock, &shelf);
        let followers = ["state=running", "kind=again", ""].map(|filter| {
            let filter = match filter.split_once('=') {
                Some((name, value)) => Expr::parse(name, value, jobtrack::Names::Native),
                None => Ok(Expr::everything()),
            };
            Follower::listing(&tracker, filter.unwrap_or_else(|error| fail(&error)))
        });
        Simulation {
            random: Random(seed),
            clock,
            store,
            followers: followers.into(),
            tracker,
            left_behind: Vec::new(),
            workers: (0..WORKERS).map(|_| Worker::default()).collect(),
            tokens: BTreeMap::new(),
            ended: BTreeMap::new(),
            held: BTreeSet::new(),
            deleted: BTreeSet::new(),
            shelf,
            seen: Simulated::default(),
        }
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..=54 => {
                let which = self.random.below(WORKERS);
                self.work(usize::try_from(which).unwrap_or_default());
            }
            55..=60 => self.claim_together(),
            61..=72 => self.create(),
            73..=84 => self.pass_time(),
            85..=92 => self.operate(),
            93..=95 => {
                let which = self.random.below(3);
                let most = usize::try_from(self.random.below(10)).unwrap_or_default();
                if let Some(follower) =
                    usize::try_from(which).ok().and_then(|n| self.followers.get_mut(n))
                {
                    follower.fetch(&self.tracker, most, true);
                }
            }
            96..=98 => drop(self.tracker.maintain(2).unwrap_or_else(|error| fail(&error))),
            _ => self.restart(),
        }
    }

    /// A worker's turn.
    fn work(&mut self, which: usize) {
        let Some(worker) = self.workers.get_mut(which) else { return };
        if worker.stalls > 0 {
            worker.stalls -= 1;
            return;
        }
        let roll = self.random.below(100);
        let Some(belief) = worker.at else {
            // Somebody who was thought dead, or an heir who found its notes, writes all the same.
            if roll < 40 && !worker.earlier.is_empty() {
                let late = self.random.below(worker.earlier.len() as u64);
                let late = usize::try_from(late).ok().and_then(|n| worker.earlier.get(n)).copied();
                if let Some(late) = late {
                    self.write(late, roll % 6);
                }
                return;
            }
            self.claim(which);
            return;
        };
        match roll {
            0..=59 => {
                let is_over = self.write(belief, roll % 6);
                if is_over {
                    self.leave(which, belief);
                }
            }
            // It stops, and does not know for how long.
            60..=79 => worker.stalls = roll - 58,
            // It crashes, and another of the same name starts in its place.
            80..=94 => self.leave(which, belief),
            // It lies about the time, to whoever reads its wall.
            _ => {
                let wall = self.clock.wall().as_micros();
                let lie = i64::try_from(self.random.below(200_000_000)).unwrap_or_default();
                let wall = Timestamp::from_micros(wall + lie - 100_000_000);
                self.clock.step_wall(wall.unwrap_or(Timestamp::MIN));
            }
        }
    }

    fn leave(&mut self, which: usize, belief: Belief) {
        if let Some(worker) = self.workers.get_mut(which) {
            worker.at = None;
            worker.earlier.push(belief);
            if worker.earlier.len() > 8 {
                worker.earlier.remove(0);
            }
        }
    }

    fn claim(&mut self, which: usize) {
        let claim = self.random_claim(which);
        match self.tracker.run(Command::claim(claim)) {
            Ok(applied) => self.note_claimed(which, &applied.job),
            Err(error) => assert_eq!(error.kind(), ErrorKind::NothingToClaim, "{error}"),
        }
    }

    /// All idle workers at once, in one commit.
    fn claim_together(&mut self) {
        let idle: Vec<usize> = (0..self.workers.len())
            .filter(|n| self.workers.get(*n).is_some_and(|w| w.at.is_none()))
            .collect();
        let claims: Vec<_> =
            idle.iter().map(|which| Command::claim(self.random_claim(*which))).collect();
        for (which, outcome) in idle.into_iter().zip(self.tracker.run_all(claims)) {
            match outcome {
                Ok(applied) => self.note_claimed(which, &applied.job),
                Err(error) => assert_eq!(error.kind(), ErrorKind::NothingToClaim, "{error}"),
            }
        }
    }

    fn random_claim(&mut self, which: usize) -> Claim {
        let name = which as u64 % NAMES;
        let term = Duration::from_secs(5 + self.random.below(40));
        let hold = Hold::leased(format!("worker-{name}")).lasting(term);
        let (filter, order) = match name {
            0 => (Expr::everything(), Order::default()),
            1 => (
                kind("again"),
                Order::by(Field::CreateTime, Direction::Descending).unwrap_or_default(),
            ),
            _ => (
                kind("fail"),
                Order::by(Field::Description, Direction::Ascending).unwrap_or_default(),
            ),
        };
        Claim { order, ..Claim::matching(filter, hold) }
    }

    fn note_claimed(&mut self, which: usize, job: &Job) {
        let Some(lease) = &job.lease else { panic!("claimed, but not held: {job:?}") };
        if let Some((earlier, until)) = self.tokens.get(&job.uuid) {
            assert!(lease.token > *earlier, "token {} after {earlier}", lease.token);
            let is_free = *until <= self.tracker.now();
            assert!(is_free, "given to another while it was held: {job:?}");
        }
        assert_eq!(job.state(), State::Running);
        self.tokens.insert(job.uuid, (lease.token, lease.until));
        self.seen.claims += 1;
        let belief = Belief { job: job.uuid, token: lease.token };
        if let Some(worker) = self.workers.get_mut(which) {
            worker.at = Some(belief);
        }
    }

    /// A worker writes what it believes; says whether it is done with the job.
    fn write(&mut self, belief: Belief, what: u64) -> bool {
        let Belief { job, token } = belief;
        let command = match what {
            0 => Command::renew(job, token, None),
            1 => {
                let report = Report::from(format!("at {}", self.random.below(100)));
                Command::report(job, report).durability(Durability::Deferred)
            }
            2 => Command::pause(job).durability(Durability::Deferred),
            3 => Command::resume(job).durability(Durability::Deferred),
            4 => match self.random.below(2) {
                0 => Command::succeed(job, Success::default()),
                _ => Command::fail(job, Failure::default()),
            },
            _ => Command::release(job, token),
        };
        let now = self.tracker.now();
        let (latest, until) = self.tokens.get(&job).copied().unwrap_or((token, Timestamp::MAX));
        match self.tracker.run(command.holding(token)) {
            Ok(applied) => {
                assert_eq!(token, latest, "a late owner was accepted: {applied:?}");
                assert!(now < until, "accepted at {now}, after {until}: {applied:?}");
                self.seen.accepted += 1;
                let job = applied.job;
                let until = match &job.lease {
                    Some(lease) => lease.until,
                    // It gave the job away itself, so any other may have it from now on.
                    None => now,
                };
                self.tokens.insert(job.uuid, (latest, until));
                self.note_ended(&job);
                job.lease.is_none()
            }
            Err(error) => match error.kind() {
                ErrorKind::NotRunning | ErrorKind::NotPaused | ErrorKind::NotRolledUp => {
                    assert!(token == latest && now < until, "a late owner gets as far as this");
                    false
                }
                ErrorKind::LeaseLost => {
                    assert!(token != latest || now >= until, "{error}, held until {until}");
                    self.seen.late += 1;
                    true
                }
                ErrorKind::JobEnded | ErrorKind::Gone | ErrorKind::NotFound => {
                    // By force, by its deadline, or since its worker was thought lost.
                    if let Ok(found) = self.tracker.get(job) {
                        assert!(found.state().is_terminal(), "{error}, but {found:?}");
                        self.note_ended(&found.job);
                    }
                    self.seen.late += 1;
                    true
                }
                _ => fail(&error),
            },
        }
    }

    fn create(&mut self) {
        let counts = self.tracker.counts().unwrap_or_else(|error| fail(&error));
        if counts.of_state(State::Queued) >= JOBS {
            return;
        }
        let kinds = ["fail", "again", "leave"];
        let which = usize::try_from(self.random.below(3)).unwrap_or_default();
        let now = self.tracker.now();
        let deadline = now.saturating_add(Duration::from_secs(self.random.below(300)));
        let is_child = self.random.below(3) == 0;
        let parent = self.random_job().filter(|_| is_child).map(|job| job.uuid);
        let job = NewJob {
            parent,
            kind: kinds.get(which).copied().unwrap_or_default().to_owned(),
            deadline: (self.random.below(4) == 0).then_some(deadline),
            retention: (self.random.below(2) == 0)
                .then(|| Duration::from_secs(self.random.below(60))),
            cooperative: self.random.below(4) == 0,
            ..NewJob::described(format!("{}", self.random.below(1_000)))
        };
        // A job that a crash takes back was never claimed: claims are synced.
        let command = Command::create(job).durability(Durability::Deferred);
        if let Err(error) = self.tracker.run(command) {
            match error.field() {
                Some("parent") => {}
                Some("limits.jobs") => self.seen.refused += 1,
                _ => fail(&error),
            }
        }
    }

    fn pass_time(&mut self) {
        if self.random.below(10) == 0 {
            self.shelf.fail(!self.shelf.fails());
        }
        self.clock.advance(Duration::from_millis(self.random.below(20_000)));
    }

    /// An operator asks, insists, or takes up what nobody holds.
    fn operate(&mut self) {
        let Some(job) = self.random_job() else { return };
        let id = job.uuid;
        let command = match self.random.below(11) {
            0 | 1 => Command::request(id, Action::Cancel),
            2 => Command::request(id, Action::Pause),
            3 => Command::request(id, Action::Resume),
            4 => Command::fail(id, Failure::new(9, "by force")).forced(),
            5 => Command::extend(id, Duration::from_secs(self.random.below(90))),
            6 => Command::delete(id),
            7 => Command::hold(id),
            8 | 9 => Command::unhold(self.held.first().copied().unwrap_or(id)),
            _ => Command::claim_job(id, Hold::leased("operator")),
        };
        let (now, tokens) = (self.tracker.now(), self.tokens.clone());
        let is_delete = command == Command::delete(id);
        let applied = match self.tracker.run(command) {
            Ok(applied) => applied,
            Err(error) => {
                let is_held = self.held.contains(&id);
                assert!(error.kind() != ErrorKind::Held || is_held, "{error}");
                return;
            }
        };
        let job = applied.job;
        let id = job.uuid;
        if is_delete {
            assert!(!self.held.contains(&id), "deleted though it is held: {job:?}");
            self.deleted.insert(id);
        } else if job.held.is_none() {
            self.held.remove(&id);
        } else if self.held.insert(id) {
            self.seen.held += 1;
        }
        if let (Some(lease), Some((token, until))) = (&job.lease, tokens.get(&id).copied())
            && lease.token != token
        {
            assert!(lease.token > token && now >= until, "taken from its holder: {job:?}");
        }
        if let Some(lease) = &job.lease {
            self.tokens.insert(id, (lease.token, lease.until));
        }
        self.note_ended(&job);
    }

    fn random_job(&mut self) -> Option<Arc<Job>> {
        let page = self.tracker.query(&Query::default()).unwrap_or_else(|error| fail(&error));
        let which = self.random.below(page.jobs.len().max(1) as u64);
        page.jobs.get(usize::try_from(which).ok()?).cloned()
    }

    /// A job that has ended stays as it ended; only its stay may be extended. No end is deferred, so
    /// no crash takes it back.
    fn note_ended(&mut self, job: &Arc<Job>) {
        if !job.state().is_terminal() {
            return;
        }
        match self.ended.get(&job.uuid) {
            Some(before) => {
                let end = |job: &Job| {
                    let code = (job.state(), job.code(), job.cause());
                    (code, job.end_time(), job.message.clone(), job.claims, job.losses)
                };
                assert_eq!(end(job), end(before), "an end was changed");
            }
            None => {
                self.seen.lost += u64::from(job.cause() == Some(Cause::Lost));
                self.seen.timed_out += u64::from(job.cause() == Some(Cause::TimedOut));
                self.ended.insert(job.uuid, Arc::clone(job));
            }
        }
    }

    /// Closes or crashes, and opens again. The workers go on as if nothing had happened.
    fn restart(&mut self) {
        self.seen.restarts += 1;
        if self.random.below(3) == 0 {
            self.tracker.close().unwrap_or_else(|error| fail(&error));
        } else {
            let kept = usize::try_from(self.random.below(4)).unwrap_or_default();
            self.store = Arc::new(self.store.crash(kept));
        }
        self.followers.iter_mut().for_each(Follower::is_cut_off);
        self.clock.restart();
        let tracker = open(&self.store, &self.clock, &self.shelf);
        self.left_behind.push(std::mem::replace(&mut self.tracker, tracker));
        if self.left_behind.len() > 2 {
            // A tracker of a store that is no more closes nothing that matters.
            self.left_behind.remove(0);
        }
        // Every lease lasts a full term from now on.
        let jobs = self.tracker.query(&Query::default()).unwrap_or_else(|error| fail(&error)).jobs;
        for job in jobs {
            if let Some(lease) = &job.lease {
                let known = self.tokens.get(&job.uuid).map_or(0, |(token, _)| *token);
                assert_eq!(lease.token, known, "a token was forgotten: {job:?}");
                self.tokens.insert(job.uuid, (lease.token, lease.until));
            }
        }
    }

    fn check(&mut self) {
        let status = self.tracker.archive_status().unwrap_or_else(|error| fail(&error));
        if self.shelf.fails() || status.is_some_and(|status| status.failing.is_some()) {
            // What waits for it is told to nobody who watches, and it is tried once a second.
            self.shelf.fail(false);
            self.clock.advance(Duration::from_secs(1));
        }
        while self.tracker.maintain(1_000).unwrap_or_else(|error| fail(&error)).more {}
        let page = self.tracker.query(&Query::default()).unwrap_or_else(|error| fail(&error));
        let now = self.tracker.now();
        for job in &page.jobs {
            if let Some(lease) = &job.lease {
                assert!(lease.until > now, "held for ever: {job:?}");
                assert!(!job.state().is_terminal() && job.state() != State::Queued, "{job:?}");
            }
            let is_late = job.state() == State::Running && job.deadline.is_some_and(|at| at <= now);
            assert!(!is_late, "past its deadline: {job:?}");
            self.note_ended(job);
        }
        let counts = self.tracker.counts().unwrap_or_else(|error| fail(&error));
        for state in State::ALL {
            let found = page.jobs.iter().filter(|job| job.state() == *state).count();
            assert_eq!(counts.of_state(*state), found as u64, "{state}");
        }
        for job in &page.jobs {
            let children = self.tracker.children(job.uuid).unwrap_or_else(|error| fail(&error));
            let of_it = || page.jobs.iter().filter(|child| child.parent == Some(job.uuid));
            for state in State::ALL {
                let found = of_it().filter(|child| child.state() == *state).count();
                assert_eq!(children.of_state(*state) as usize, found, "{state} of {job:?}");
            }
            if job.state() == State::Failure {
                let wanted = |child: &&Arc<Job>| {
                    let is_asked =
                        child.requested.as_ref().map(|it| it.action) == Some(Action::Cancel);
                    !child.state().is_terminal() && !is_asked
                };
                assert_eq!(of_it().find(wanted), None, "not canceled along with {job:?}");
            }
            for child in of_it().filter(|child| child.state().is_terminal()) {
                let stays = match (job.expire_time(), child.expire_time()) {
                    (None, stays) => stays.is_none(),
                    (Some(parent), Some(child)) => child >= parent,
                    (Some(_), None) => child.held.is_some(),
                };
                assert!(stays, "{child:?} does not stay as long as {job:?}");
            }
        }
        for follower in &mut self.followers {
            follower.check(&self.tracker, true);
        }
        assert!(page.jobs.len() <= CAP, "{} jobs are more than may be", page.jobs.len());
        let there: Vec<_> = page.jobs.iter().map(|job| job.uuid).collect();
        let is_there = |id: &JobId| there.binary_search(id).is_ok();
        let vanished = self.held.iter().find(|id| !is_there(id));
        assert_eq!(vanished, None, "it was held, and is gone");
        assert_eq!(self.shelf.wrong(), None, "it went, but had not ended or was held");
        for id in self.ended.keys().filter(|id| !is_there(id)) {
            assert!(self.shelf.has(*id), "{id} is gone, and nobody kept it");
            let how = self.tracker.get(*id).err();
            let is_expired = how.is_none_or(|error| !error.message().contains("was deleted"));
            self.seen.evicted += u64::from(!is_expired && !self.deleted.contains(id));
        }
        self.seen.archived = self.shelf.len() as u64;
        // What is gone needs no memory.
        self.ended.retain(|id, _| is_there(id));
    }
}

fn open(store: &Arc<CrashStore>, clock: &ManualClock, shelf: &Arc<Shelf>) -> Tracker {
    let lost = [("again", Lost::QueueAgain { at_most: 2 }), ("leave", Lost::Leave)];
    let by_kind = lost.map(|(kind, lost)| (kind.to_owned(), lost)).into();
    let archive: Arc<dyn Archive> = Arc::clone(shelf) as _;
    let minute = Duration::from_secs(60);
    let options = Options {
        clock: Arc::new(clock.clone()),
        retention_rules: vec![
            RetentionRule::any(minute),
            RetentionRule::any(2 * minute).ending(Ending::Cause(Cause::Lost)),
            RetentionRule::any(minute / 2).of_kind("again").ending(Ending::Success),
        ],
        limits: Limits { jobs: CAP, ..Limits::default() },
        evict: true,
        archive: Some(archive),
        leases: LeaseOptions { by_kind, ..LeaseOptions::default() },
        ..Options::default()
    };
    Tracker::open(Arc::clone(store), options).unwrap_or_else(|error| fail(&error))
}

fn kind(kind: &str) -> Expr {
    Expr::is(Field::Kind, kind).unwrap_or_else(|error| fail(&error))
}

fn fail(error: &Error) -> ! {
    panic!("{error}")
}

/// Numbers that follow from a seed: splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }
}
