//! The threads: each writes down what it was told, and judges what can be judged at once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use jobtrack::{
    Command, Durability, ErrorKind, Event, Expr, Failure, Field, Job, JobId, NewJob, Order, Query,
    Revision, State, Success, Update, Watch,
};

use super::World;

/// The kind of jobs that stay, or are deleted: a watch tells all of them, however slow it is.
pub(super) const LASTING: &str = "lasting";
/// The kind of jobs whose time is up soon.
pub(super) const BRIEF: &str = "brief";
/// The kind of jobs that come and go two by two, in one commit.
pub(super) const PAIRED: &str = "paired";

/// Jobs that all writers change.
const SHARED: usize = 8;
/// Jobs that stay take memory and time to list, so a writer deletes all but each so many.
const KEPT: u64 = 16;
/// Answers that each reader keeps to be judged afterwards.
const SAMPLES: usize = 4_000;
/// A brief job's stay: from ended to gone.
const STAY: Duration = Duration::from_millis(60);

/// An acknowledged change.
pub(super) struct Change {
    pub(super) job: Arc<Job>,
    pub(super) was_deleted: bool,
    /// When it was asked for and when it was answered.
    pub(super) asked: u64,
    pub(super) answered: u64,
}

/// The last that was acknowledged of a job.
#[derive(Clone)]
pub(super) struct Told {
    job: Arc<Job>,
    was_deleted: bool,
}

/// What a reader was told.
#[derive(Default)]
pub(super) struct Reads {
    pub(super) asked: u64,
    pub(super) gone: u64,
    /// A job as it was shown at a revision.
    pub(super) samples: Vec<(Revision, Arc<Job>)>,
    /// Jobs that were not running at a revision, as a whole listing of the running ones tells.
    pub(super) listings: Vec<(Revision, Vec<JobId>)>,
}

/// The jobs that all writers change, running.
pub(super) fn make_shared(tracker: &jobtrack::Tracker) -> Vec<JobId> {
    let new = || NewJob { kind: LASTING.to_owned(), ..NewJob::default() };
    let made = (0..SHARED).map(|_| tracker.create(new()).expect("a new job").uuid);
    made.inspect(|id| drop(tracker.start(*id).expect("it starts"))).collect()
}

/// Takes jobs through their lives until it is stopped, and ends those it has begun.
pub(super) fn write(world: &World<'_>, number: usize) -> Vec<Change> {
    let _leaves = Leaves(world);
    let mut writer = Writer { world, number, lives: 0, changes: Vec::new() };
    while !world.stops() {
        writer.life();
    }
    writer.changes
}

/// Tells the others that a writer is no more, however it ended.
struct Leaves<'w, 't>(&'w World<'t>);

impl Drop for Leaves<'_, '_> {
    fn drop(&mut self) {
        self.0.writers_left.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Writer<'w, 't> {
    world: &'w World<'t>,
    number: usize,
    lives: u64,
    changes: Vec<Change>,
}

impl Writer<'_, '_> {
    /// One job of its own from its creation to its end, reports on a shared one, and a pair.
    fn life(&mut self) {
        self.lives += 1;
        let is_brief = self.lives.is_multiple_of(2);
        let kind = if is_brief { BRIEF } else { LASTING };
        let retention = Some(if is_brief { STAY } else { Duration::from_secs(3_600) });
        let new = NewJob { kind: kind.to_owned(), retention, ..NewJob::default() };
        let id = self.one(Command::create(new)).uuid;
        self.submitted(Command::start(id));
        let words = format!("{} {}", self.number, self.lives);
        let turn = usize::try_from(self.lives).unwrap_or(0) + self.number;
        let shared = self.world.shared.get(turn % SHARED).copied().expect("there are so many");
        self.group(vec![
            Command::report(id, words.as_str()),
            Command::report(shared, words.as_str()),
            Command::update(id, Update::Pause),
        ]);
        self.one(Command::update(id, Update::Resume).durability(Durability::Deferred));
        if self.lives.is_multiple_of(3) {
            self.one(Command::fail(id, Failure::new(7, words.as_str())));
        } else {
            self.submitted(Command::succeed(id, Success::with_message(words.as_str())));
        }
        if !is_brief && !self.lives.is_multiple_of(KEPT + 1) {
            self.one(Command::delete(id));
        }
        if self.lives.is_multiple_of(4) {
            self.pair();
        }
    }

    fn pair(&mut self) {
        let new = || NewJob { kind: PAIRED.to_owned(), ..NewJob::default() };
        let made = self.group(vec![Command::create(new()), Command::create(new())]);
        let ends = made.iter().map(|job| Command::fail(job.uuid, Failure::default()));
        self.group(ends.collect());
        self.group(made.iter().map(|job| Command::delete(job.uuid)).collect());
    }

    /// By the call that blocks and commits.
    fn one(&mut self, command: Command) -> Arc<Job> {
        let mut made = self.noted(vec![command], |commands| {
            commands.into_iter().map(|command| self.world.tracker.run(command)).collect()
        });
        made.pop().expect("one for each")
    }

    /// By a ticket and a drive, which another may do instead.
    fn submitted(&mut self, command: Command) {
        self.noted(vec![command], |commands| {
            let tickets = commands.into_iter().map(|command| self.world.tracker.submit(command));
            let tickets: Vec<_> = tickets.collect();
            self.world.tracker.drive();
            tickets.into_iter().map(jobtrack::Ticket::wait).collect()
        });
    }

    fn group(&mut self, commands: Vec<Command>) -> Vec<Arc<Job>> {
        self.noted(commands, |commands| self.world.tracker.run_all(commands))
    }

    fn noted(
        &mut self,
        commands: Vec<Command>,
        ask: impl FnOnce(Vec<Command>) -> Vec<jobtrack::Result<jobtrack::Applied>>,
    ) -> Vec<Arc<Job>> {
        let deletes: Vec<_> = commands.iter().map(is_delete).collect();
        let asked = self.world.tick();
        let answers = ask(commands);
        let answered = self.world.tick();
        let mut jobs = Vec::new();
        for (answer, was_deleted) in answers.into_iter().zip(deletes) {
            let applied = answer.unwrap_or_else(|error| panic!("{error}"));
            let job = applied.job;
            assert!(was_deleted || job.revision == applied.revision, "{job:?}");
            jobs.push(Arc::clone(&job));
            self.changes.push(Change { job, was_deleted, asked, answered });
        }
        if let Some(last) = self.changes.last()
            && let Some(place) = self.world.latest.get(self.number)
        {
            let told = Told { job: Arc::clone(&last.job), was_deleted: last.was_deleted };
            *place.lock() = Some(told);
        }
        jobs
    }
}

fn is_delete(command: &Command) -> bool {
    matches!(&command.change, jobtrack::Change::Update(_, Update::Delete))
}

/// Gets, lists and counts until the writers have ended.
pub(super) fn read(world: &World<'_>, number: u64) -> Reads {
    let mut reads = Reads::default();
    let mut latest = Revision::default();
    let mut turn = number;
    while world.writers_left.load(Ordering::SeqCst) > 0 {
        // A generator of Lehmer's: it need only wander.
        turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let choice = turn >> 33;
        let seen = match choice % 8 {
            0 => list(world, &mut reads),
            1 => count(world, &mut reads),
            2 => get_shared(world, choice, &mut reads),
            _ => get_latest(world, choice, &mut reads),
        };
        assert!(seen.is_none_or(|seen| seen >= latest), "{seen:?} after {latest}");
        latest = latest.max(seen.unwrap_or_default());
        if choice.is_multiple_of(4) {
            // Or the readers, many as they are, would leave the writers no time on a small machine.
            thread::sleep(Duration::from_millis(5));
        }
    }
    reads
}

/// What a writer was told of a job, every reader must see, until its time is up and not after.
fn get_latest(world: &World<'_>, choice: u64, reads: &mut Reads) -> Option<Revision> {
    let writer = usize::try_from(choice / 8).unwrap_or(0) % world.latest.len();
    let told = world.latest.get(writer)?.lock().clone()?;
    let before = world.now();
    let answer = world.tracker.get(told.job.uuid);
    let after = world.now();
    reads.asked += 1;
    match answer {
        Ok(found) => {
            assert!(!told.was_deleted, "{found:?} was deleted");
            assert!(
                found.job.revision >= told.job.revision,
                "{found:?} is older than {:?}",
                told.job
            );
            assert!(found.horizon >= before && found.revision >= found.job.revision, "{found:?}");
            assert!(!found.is_expired(before), "at {before} {found:?} is shown after its time");
            sample(reads, found.revision, &found.job);
            Some(found.revision)
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Gone, "{error}");
            reads.gone += 1;
            // A job that lives, or ended and stays, may have been ended and gone since it was told.
            let is_early = told.job.is_expired(after) || told.was_deleted;
            let may_change = told.job.expire_time().is_none() || told.job.kind != BRIEF;
            assert!(is_early || may_change, "at {after} {:?} was gone before its time", told.job);
            None
        }
    }
}

fn get_shared(world: &World<'_>, choice: u64, reads: &mut Reads) -> Option<Revision> {
    let id = world.shared.get(usize::try_from(choice / 8).unwrap_or(0) % SHARED)?;
    let found = world.tracker.get(*id).expect("it stays");
    reads.asked += 1;
    sample(reads, found.revision, &found.job);
    Some(found.revision)
}

fn list(world: &World<'_>, reads: &mut Reads) -> Option<Revision> {
    let running = Expr::is(Field::State, State::Running).expect("a filter");
    let lasting = Expr::is(Field::Kind, LASTING).expect("a filter");
    let query = Query { filter: running.and(lasting), order: Order::default(), ..Query::default() };
    let before = world.now();
    let page = world.tracker.query(&query).unwrap_or_else(|error| panic!("{error}"));
    reads.asked += 1;
    assert!(page.horizon >= before, "asked at {before}, answered of {}", page.horizon);
    assert!(page.next.is_none());
    for job in &page.jobs {
        assert!(query.filter.matches(job) && job.revision <= page.revision, "{job:?}");
        sample(reads, page.revision, job);
    }
    if reads.listings.len() < SAMPLES / 64 {
        let ids = page.jobs.iter().map(|job| job.uuid).collect();
        reads.listings.push((page.revision, ids));
    }
    Some(page.revision)
}

/// Jobs that come and go two by two in one commit are never an odd number.
fn count(world: &World<'_>, reads: &mut Reads) -> Option<Revision> {
    let paired = Query::matching(Expr::is(Field::Kind, PAIRED).expect("a filter"));
    let counted = world.tracker.count(&paired).unwrap_or_else(|error| panic!("{error}"));
    assert!(counted.count.is_multiple_of(2), "{counted:?}");
    let counts = world.tracker.counts().unwrap_or_else(|error| panic!("{error}"));
    let of_pairs: u64 = State::ALL.iter().map(|state| counts.of(PAIRED, *state)).sum();
    assert!(of_pairs.is_multiple_of(2), "{counts:?}");
    reads.asked += 2;
    Some(counted.revision)
}

fn sample(reads: &mut Reads, revision: Revision, job: &Arc<Job>) {
    if reads.samples.len() < SAMPLES {
        reads.samples.push((revision, Arc::clone(job)));
    }
}

/// Everything that is told until all has been: nothing comes for a while once the writers ended.
pub(super) fn watch(world: &World<'_>, mut watch: Watch) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        let has_ended = world.writers_left.load(Ordering::SeqCst) == 0;
        let end = world.tracker.revision();
        match watch.next(Duration::from_millis(20)).unwrap_or_else(|error| panic!("{error}")) {
            Some(event) => events.push(event),
            None if has_ended && watch.position().revision() >= end => return events,
            None => {}
        }
    }
}

/// Sweeps while the others work, until all that was brief is gone.
pub(super) fn sweep(world: &World<'_>) {
    let brief = Query::matching(Expr::is(Field::Kind, BRIEF).expect("a filter"));
    loop {
        let has_ended = world.writers_left.load(Ordering::SeqCst) == 0;
        world.tracker.maintain(64).unwrap_or_else(|error| panic!("{error}"));
        let left = world.tracker.count(&brief).unwrap_or_else(|error| panic!("{error}"));
        if has_ended && left.count == 0 {
            while world.tracker.maintain(1_024).is_ok_and(|maintained| maintained.more) {}
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
}
