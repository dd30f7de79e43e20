//! One random history, two judges: the engine and the plain model.
//!
//! A history is bytes, four to an operation, so that a property test and a fuzzer make the same
//! ones. It creates and changes a handful of jobs with either durability, alone and in groups, lets
//! time pass, steps the wall, closes, crashes, and opens again; and asks, now and then, everything
//! that can be asked. Meanwhile it watches, with a history that keeps everything, little or nothing,
//! hangs up and takes up again: what a follower was told must add up to the listing. Workers claim
//! jobs, show the right token, a wrong one or none, and are lost; deadlines pass. Jobs have parents.
//! They stay by rule, by their own word, or held; whatever leaves has been archived before. What the
//! log of each job tells, the model knows as well.
//!
//! The store may stand on any [`Machine`], and that may lose its power in the middle of a step.

// A panic is how a property test and a fuzzer both hear of a disagreement.
#![allow(clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use jobtrack::{
    Action, Allows, Applied, Archive, BULK_KIND, BulkAction, BulkRequest, Cause, Claim, Clock,
    Command, Direction, Durability, Ending, Error, ErrorKind, Expr, Extension, Failure,
    FamilyOptions, Field, HistoryOptions, Hold, Job, JobId, LeaseOptions, LogEntry, LogOptions,
    Lost, MemoryStore, NewJob, Options, Order, Query, Renewal, RetentionRule, Revision, RollUp,
    State, Success, Timestamp, Told, TombstoneOptions, Tracker, Update,
};

use crate::follower::Follower;
use crate::model::{
    MODEL_LOG, Model, ModelEntry, ModelJob, ModelLease, ModelLog, ModelManner, ModelRules,
    ModelUpdate,
};
use crate::shelf::Shelf;
use crate::{CrashMachine, Machine, ManualClock};

/// Jobs that a history works on.
const SLOTS: u8 = 6;
/// Followers at a time.
const FOLLOWERS: usize = 4;
/// How long tombstones stay in a history: long enough to be met, short enough to be outlived.
const TOMBSTONES_STAY: Duration = Duration::from_secs(40);
/// The kinds of jobs, and what becomes of those whose worker is lost.
const KINDS: [(&str, Lost); 3] =
    [("fail", Lost::Fail), ("again", Lost::QueueAgain { at_most: 1 }), ("leave", Lost::Leave)];
/// How long jobs of each kind stay by rule, that were told nothing: what the rules of [`rules`] come
/// to.
const RULED: [(&str, ModelRules); 3] = [
    ("fail", ModelRules { success: seconds(20), failure: seconds(50), canceled: seconds(5) }),
    ("again", ModelRules { success: seconds(70), failure: seconds(90), canceled: seconds(90) }),
    ("leave", ModelRules { success: seconds(20), failure: seconds(0), canceled: seconds(30) }),
];
/// Who claims jobs in the trackers' own process.
const OWNER: &str = "owner";

/// Plays the history that the bytes stand for.
///
/// # Panics
///
/// Where the engine and the model disagree, with the operation and both answers.
pub fn play(bytes: &[u8]) {
    play_on(&mut CrashMachine::default(), bytes);
}

/// Plays it on this machine.
///
/// # Panics
///
/// As [`play`].
pub fn play_on(machine: &mut dyn Machine, bytes: &[u8]) {
    let mut player = Player::new(machine, bytes.first().copied().unwrap_or_default());
    for operation in bytes.chunks_exact(4) {
        if let [what, slot, a, b] = *operation {
            player.step(what, slot % SLOTS, a, b);
        }
    }
    player.check();
}

/// How a tracker came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Closed,
    Crashed,
    /// It may have been closed already, and its end is clean then.
    CrashedClosing,
}

struct Player<'m> {
    clock: ManualClock,
    machine: &'m mut dyn Machine,
    tracker: Tracker,
    model: Model,
    /// What a crash may leave: the model after each change since the last one that is synced.
    possible: Vec<Model>,
    /// The latest expiry that an answer rested on: it holds for ever.
    hidden_until: Timestamp,
    followers: Vec<Follower>,
    /// What has left the stores, of all trackers.
    shelf: Arc<Shelf>,
    /// Transitions that the trackers keep.
    changes: usize,
    /// The latest revision that was seen.
    revision: Revision,
    /// Whether the power went within this step, so that its outcome may be unknown.
    is_dark: bool,
    /// Whether the present operation's commit did what nobody asked for, and so is synced.
    has_lapsed: bool,
}

impl<'m> Player<'m> {
    fn new(machine: &'m mut dyn Machine, choice: u8) -> Self {
        let start = Timestamp::from_micros(1_772_359_200_000_000).unwrap_or(Timestamp::MIN);
        let clock = ManualClock::new(start);
        let changes = match choice % 4 {
            0 => 0,
            1 => 3,
            _ => HistoryOptions::default().changes,
        };
        let shelf = Arc::default();
        let tracker =
            open(machine, &clock, changes, &shelf).unwrap_or_else(|error| panic!("{error}"));
        let model = Model::new(TOMBSTONES_STAY);
        Player {
            revision: tracker.revision(),
            clock,
            machine,
            tracker,
            possible: vec![model.clone()],
            model,
            hidden_until: Timestamp::MIN,
            followers: Vec::new(),
            shelf,
            changes,
            is_dark: false,
            has_lapsed: false,
        }
    }

    fn step(&mut self, what: u8, slot: u8, a: u8, b: u8) {
        self.has_lapsed = false;
        let what = what % 25;
        let changes = matches!(what, 0..=9 | 20..);
        match what {
            24 => self.settle(),
            _ if changes => self.has_lapsed = self.model.lapse(self.tracker.now()),
            // A small budget would let but a part of it happen.
            14 if self.is_due() => self.settle(),
            15..=17 => self.settle(),
            // Time passes, and what is due waits for whoever comes next.
            _ => {}
        }
        let writes = changes || what == 14;
        if writes {
            self.machine.threaten(a ^ b.rotate_left(3) ^ slot);
        }
        match what {
            0..=2 => self.create(slot, a, b),
            20..=23 => self.claim(a, b),
            24 => self.bulk(a, b),
            3..=8 => self.update(slot, a, b),
            9 => self.group(slot, a, b),
            10 | 11 => self.clock.advance(Duration::from_secs(u64::from(a))),
            12 => self.step_wall(a, b),
            13 => self.restart(a, b),
            14 => self.maintain(usize::from(a % 4)),
            15 => self.follow(slot, a, b),
            16 | 17 => self.fetch(a, usize::from(b % 8)),
            18 => {
                if let Some(follower) = self.followers.get_mut(usize::from(a) % FOLLOWERS) {
                    follower.hang_up();
                }
            }
            _ => self.check(),
        }
        if writes && (self.machine.has_lost_power() || self.is_dark) {
            // What was on its way may be there, or not.
            self.possible.push(self.model.clone());
            // A bulk is several commits, and in the later ones children follow whom the earlier ones
            // have ended.
            let mut followed = self.model.clone();
            if what == 24 && followed.follow(self.tracker.now()) {
                self.possible.push(followed);
            }
            self.come_back(Stop::Crashed, a, b);
            self.is_dark = false;
        } else if changes {
            // Children follow in the commits that come next, and these are not threatened.
            self.settle();
        }
        let revision = self.tracker.revision();
        assert!(revision >= self.revision, "{revision} after {}", self.revision);
        self.revision = revision;
    }

    fn maintain(&mut self, budget: usize) {
        if let Err(error) = self.tracker.maintain(budget) {
            self.must_be_dark(&error);
        }
    }

    /// Only a loss of power excuses this error.
    fn must_be_dark(&mut self, error: &Error) {
        self.is_dark = self.is_dark || self.machine.has_lost_power();
        assert!(self.is_dark, "{error}");
    }

    /// Whether a lease or a deadline has run out, or a child is to follow.
    fn is_due(&self) -> bool {
        let mut model = self.model.clone();
        let now = self.tracker.now();
        model.lapse(now) | model.follow(now)
    }

    /// Lets happen what is due.
    fn settle(&mut self) {
        self.maintain_all();
        let now = self.tracker.now();
        if self.model.lapse(now) | self.model.follow(now) {
            self.possible = vec![self.model.clone()];
        }
    }

    fn maintain_all(&self) {
        let maintain = || self.tracker.maintain(usize::from(SLOTS));
        while maintain().unwrap_or_else(|error| panic!("{error}")).more {}
    }

    /// A worker takes the first or the last of the queued jobs, of all or of one kind; two of them
    /// in one commit, now and then.
    fn claim(&mut self, a: u8, b: u8) {
        let now = self.tracker.now();
        let is_last = a.is_multiple_of(2);
        let kind = KINDS.get(usize::from(a / 2 % 4));
        let mut filter = Expr::everything();
        if let Some((kind, _)) = kind {
            filter = Expr::is(Field::Kind, *kind).unwrap_or_else(|error| panic!("{error}"));
        }
        let order = match is_last {
            true => Order::by(Field::Uuid, Direction::Descending),
            false => Ok(Order::default()),
        };
        let order = order.unwrap_or_else(|error| panic!("{error}"));
        let (hold, term) = hold(b);
        let mut expected = Vec::new();
        let mut commands = Vec::new();
        for _ in 0..1 + a / 8 % 2 {
            let best =
                self.model.best(is_last, |job| kind.is_none_or(|(_, lost)| job.lost == *lost));
            let update = ModelUpdate::Claim(holder(&hold), term);
            if let Some(slot) = best {
                let made = self.model.update(slot, &update, ModelManner::default(), now);
                assert_eq!(made, Ok(()), "slot {slot}");
            }
            expected.push(best);
            let (filter, order, hold) = (filter.clone(), order.clone(), hold.clone());
            commands.push(Command::claim(Claim { filter, order, hold }));
        }
        for (best, outcome) in expected.into_iter().zip(self.tracker.run_all(commands)) {
            if let Err(error) = &outcome
                && is_of_store(error)
            {
                self.must_be_dark(error);
                continue;
            }
            match best {
                None => {
                    let kind = outcome.as_ref().map(|_| ()).map_err(Error::kind);
                    assert_eq!(kind, Err(ErrorKind::NothingToClaim), "{outcome:?}");
                    self.note_synced_by_itself();
                }
                Some(slot) => {
                    assert_eq!(outcome.as_ref().ok().map(|it| it.job.uuid), Some(id(slot)));
                    self.compare(slot, &Ok(()), &outcome, Durability::Synced);
                }
            }
        }
    }

    /// Something is done to all jobs of a kind, or in a state; in one step, as they are few.
    fn bulk(&mut self, a: u8, b: u8) {
        let (action, update) = match a % 4 {
            0 => (BulkAction::Cancel, ModelUpdate::Request(Action::Cancel)),
            1 => (BulkAction::Delete, ModelUpdate::Delete),
            2 => {
                let retention = Duration::from_secs(u64::from(b));
                (BulkAction::Extend(Extension { retention }), ModelUpdate::Extend(retention))
            }
            _ => match relabel(b) {
                (Update::Relabel(relabel), update) => (BulkAction::Relabel(relabel), update),
                _ => return,
            },
        };
        let kind = KINDS.get(usize::from(a / 4 % 4));
        let filter = match kind {
            Some((kind, _)) => Expr::is(Field::Kind, *kind),
            None => Expr::is(Field::State, State::Running),
        };
        let filter = filter.unwrap_or_else(|error| panic!("{error}"));
        let now = self.tracker.now();
        let done = self.tracker.bulk(BulkRequest::new(filter, action)).and_then(|mut bulk| {
            // Whatever was before it is synced by its beginning.
            self.possible = vec![self.model.clone()];
            self.model.bulk(&update, now, |job| match kind {
                Some((_, lost)) => job.lost == *lost,
                None => job.state == State::Running,
            });
            self.possible.push(self.model.clone());
            while !bulk.step()?.has_ended {}
            self.possible = vec![self.model.clone()];
            self.tracker.run(Command::delete(bulk.job()))
        });
        if let Err(error) = &done {
            assert!(is_of_store(error), "{error}");
            self.must_be_dark(error);
        }
    }

    /// A commit that does what nobody asked for is synced, and all before it. Without power it may
    /// not have come about, and what was told may rest on the time before.
    fn note_synced_by_itself(&mut self) {
        if std::mem::take(&mut self.has_lapsed) && !self.machine.has_lost_power() {
            self.possible = vec![self.model.clone()];
        }
    }

    fn create(&mut self, slot: u8, a: u8, b: u8) {
        let now = self.tracker.now();
        let (new, job) = new_job(slot, a, b, now);
        let expected = self.model.create(slot, job, now);
        let outcome = self.tracker.run(Command::create(new).durability(durability(b)));
        if let (Ok(is_repeat), Ok(applied)) = (expected, &outcome) {
            assert_eq!(applied.is_repeat, is_repeat, "slot {slot}");
        }
        let expected = expected.map(drop);
        self.compare(slot, &expected, &outcome, durability(b));
    }

    fn update(&mut self, slot: u8, a: u8, b: u8) {
        let now = self.tracker.now();
        let manner = self.manner(slot, a, b);
        let (command, update) = change(slot, a, b);
        let command = with_manner(command, manner);
        let expected = self.model.update(slot, &update, manner, now);
        let outcome = self.tracker.run(command.durability(durability(b)));
        self.compare(slot, &expected, &outcome, durability(b));
    }

    /// A creation and three changes of the same job in one commit.
    fn group(&mut self, slot: u8, a: u8, b: u8) {
        let now = self.tracker.now();
        let before = self.model.clone();
        let (new, job) = new_job(slot, a, b, now);
        let mut expected = vec![self.model.create(slot, job, now).map(drop)];
        let mut commands = vec![Command::create(new).durability(durability(b))];
        for n in 1..=3_u8 {
            let a = a.wrapping_mul(n).wrapping_add(b);
            let manner = self.manner(slot, a, b);
            let (command, update) = change(slot, a, b);
            let command = with_manner(command, manner);
            expected.push(self.model.update(slot, &update, manner, now));
            commands.push(command.durability(durability(b)));
        }
        let outcomes = self.tracker.run_all(commands);
        for (expected, outcome) in expected.iter().zip(&outcomes) {
            self.compare(slot, expected, outcome, durability(b));
        }
        if self.is_dark {
            // Those that were so already are acknowledged all the same, upon what was there before.
            self.possible.push(before);
        }
    }

    fn compare(
        &mut self,
        slot: u8,
        expected: &Result<(), ErrorKind>,
        outcome: &Result<Applied, Error>,
        durability: Durability,
    ) {
        let found = outcome.as_ref().map(|_| ()).map_err(Error::kind);
        if let Err(error) = outcome
            && is_of_store(error)
        {
            return self.must_be_dark(error);
        }
        assert_eq!(found, *expected, "slot {slot}: {outcome:?}");
        let is_unsure = self.has_lapsed && self.machine.has_lost_power();
        self.note_synced_by_itself();
        match outcome {
            // Whatever is acknowledged as synced is there after a crash, and all before it: also
            // what was so already, though nothing had to be written for it.
            Ok(_) => {
                if durability == Durability::Synced && !is_unsure {
                    self.possible.clear();
                }
                self.possible.push(self.model.clone());
            }
            // Without power the horizon on which the answer rests could not be stored. It is right,
            // and documented to be forgotten if the clock is set back as well.
            Err(_) if self.machine.has_lost_power() => {}
            Err(error) => self.note_hidden(slot, error),
        }
    }

    /// With what a worker comes that may hold the job, may have lost it, or has none; or an operator
    /// with force.
    fn manner(&mut self, slot: u8, a: u8, b: u8) -> ModelManner {
        let now = self.tracker.now();
        let Ok(job) = self.model.get(slot, now) else { return ModelManner::default() };
        let token = match (&job.lease, b / 4 % 8) {
            (Some(_), 0 | 1) | (None, 0..=6) => None,
            (Some(_), 2) => Some(job.claims.saturating_sub(1)),
            _ => Some(job.claims),
        };
        ModelManner { token, forced: b / 4 % 8 == 1 && matches!(a % CHANGES, 5..=7) }
    }

    /// Begins to watch, in place of the oldest follower if there are enough.
    fn follow(&mut self, slot: u8, a: u8, b: u8) {
        let filter = match a % 6 {
            0 => Ok(Expr::everything()),
            1 => Expr::is(Field::State, State::Running),
            2 => Expr::one_of(&Field::State, [State::Success, State::Failure]),
            3 => Expr::is(Field::Uuid, id(slot)),
            4 => Ok(Expr::is_set(Field::RequestedAction)),
            _ => Expr::is(Field::Uuid, id(slot)).map(Expr::negate),
        };
        let filter = filter.unwrap_or_else(|error| panic!("{error}"));
        let begin = if b.is_multiple_of(2) { Follower::listing } else { Follower::from_now };
        let follower = begin(&self.tracker, filter);
        if self.followers.len() == FOLLOWERS {
            self.followers.remove(0);
        }
        self.followers.push(follower);
    }

    fn fetch(&mut self, a: u8, most: usize) {
        let keeps_all = self.keeps_all();
        if let Some(follower) = self.followers.get_mut(usize::from(a) % FOLLOWERS) {
            let expired = follower.fetch(&self.tracker, most, keeps_all);
            self.note_expired(&expired);
        }
    }

    /// What a watch said has expired holds for ever. (Of a job that was deleted before, it may say
    /// so too, but nothing rests on that.)
    fn note_expired(&mut self, expired: &[(JobId, Timestamp)]) {
        self.model.jobs(self.tracker.now());
        for slot in 0..SLOTS {
            if let Some(at) = self.model.gone_time(slot)
                && expired.contains(&(id(slot), at))
            {
                self.hidden_until = self.hidden_until.max(at);
            }
        }
    }

    /// Whether the history keeps every transition since the tracker was opened.
    fn keeps_all(&self) -> bool {
        self.changes > 3
    }

    /// An answer that rests on an expiry holds for ever.
    fn note_hidden(&mut self, slot: u8, error: &Error) {
        if matches!(error.kind(), ErrorKind::Gone | ErrorKind::AlreadyExists)
            && let Some((_, at)) = error.message().split_once("expired at ")
        {
            let at: Timestamp = at.parse().unwrap_or_else(|e| panic!("slot {slot}: {e}"));
            self.hidden_until = self.hidden_until.max(at);
        }
    }

    fn step_wall(&self, a: u8, b: u8) {
        let seconds = i64::from(a) * 3 + 2;
        let seconds = if b.is_multiple_of(2) { seconds } else { -seconds };
        let wall = self.clock.wall().as_micros() + seconds * 1_000_000;
        self.clock.step_wall(Timestamp::from_micros(wall).unwrap_or(Timestamp::MAX));
    }

    /// Closes or crashes, sets the wall, and opens again.
    fn restart(&mut self, a: u8, b: u8) {
        if a.is_multiple_of(2) {
            return self.come_back(Stop::Crashed, a, b);
        }
        self.machine.threaten(b ^ (a / 2));
        let closed = self.tracker.close();
        if self.machine.has_lost_power() {
            return self.come_back(Stop::CrashedClosing, a, b);
        }
        closed.unwrap_or_else(|error| panic!("{error}"));
        self.possible = vec![self.model.clone()];
        self.come_back(Stop::Closed, a, b);
    }

    /// Opens again and finds out which of the possible models it is now.
    fn come_back(&mut self, stop: Stop, a: u8, b: u8) {
        let epoch = self.tracker.revision().epoch;
        if stop != Stop::Closed {
            self.machine.crash(a);
        }
        self.followers.iter_mut().for_each(Follower::is_cut_off);
        // The tracker of before must let its store go; where it crashed, that does no harm.
        self.tracker = Tracker::open(MemoryStore::new(), Options::default())
            .unwrap_or_else(|error| panic!("{error}"));
        self.clock.restart();
        if b.is_multiple_of(3) {
            self.step_wall(b, a / 16);
        }
        // The power may go again while the store recovers.
        let mut openings = 1;
        loop {
            if openings < 3 {
                self.machine.threaten(a.wrapping_mul(31).wrapping_add(b));
            }
            let opened = open(self.machine, &self.clock, self.changes, &self.shelf);
            let is_off = self.machine.has_lost_power();
            match opened {
                Ok(tracker) if !is_off => {
                    self.tracker = tracker;
                    break;
                }
                Ok(_) => {}
                Err(error) => assert!(is_off, "{error}"),
            }
            openings += 1;
            self.machine.crash(b);
        }
        let epochs = self.tracker.revision().epoch - epoch;
        let least = u64::from(stop == Stop::Crashed);
        let most = match stop {
            Stop::Closed => openings - 1,
            // Of the openings that were cut off each may have begun its epoch, or not.
            Stop::Crashed | Stop::CrashedClosing => openings,
        };
        assert!((least..=most).contains(&epochs), "{epochs} epochs, {stop:?}, {openings} openings");
        self.maintain_all();
        // A bulk that was cut off is lost; it is no job of the model's.
        let bulks = Expr::is(Field::Kind, BULK_KIND)
            .and_then(|kind| self.tracker.query(&Query::matching(kind)).map(|page| page.jobs));
        for bulk in bulks.unwrap_or_else(|error| panic!("{error}")) {
            assert!(bulk.state().is_terminal(), "{bulk:?}");
            self.tracker.delete(bulk.uuid).unwrap_or_else(|error| panic!("{error}"));
        }

        let now = self.tracker.now();
        assert!(now >= self.clock.wall() && now >= self.hidden_until, "engine time is {now}");
        for model in &mut self.possible {
            model.reopen(now);
            model.follow(now);
        }
        let found = self.possible.iter().rposition(|model| self.agrees(&mut model.clone(), now));
        let Some(found) = found else {
            panic!(
                "after a restart ({stop:?}, {openings} openings) {:?} is none of what may be left: {:?}",
                (0..SLOTS).map(|slot| self.of_slot(slot)).collect::<Vec<_>>(),
                self.possible.iter().rev().take(3).collect::<Vec<_>>()
            );
        };
        self.model = self.possible.swap_remove(found);
        self.possible = vec![self.model.clone()];
    }

    /// Whether every job is as this model has it.
    fn agrees(&self, model: &mut Model, now: Timestamp) -> bool {
        (0..SLOTS).all(|slot| {
            self.of_slot(slot) == model.get(slot, now).cloned()
                && self.gone_time(slot) == model.gone_time(slot)
        })
    }

    /// When a job went, as its refusal tells it.
    fn gone_time(&self, slot: u8) -> Option<Timestamp> {
        let error = self.tracker.get(id(slot)).err()?;
        error.message().rsplit(' ').next()?.parse().ok()
    }

    fn of_slot(&self, slot: u8) -> Result<ModelJob, ErrorKind> {
        let found = self.tracker.get(id(slot)).map_err(|error| error.kind())?;
        Ok(ModelJob {
            state: found.state(),
            requested: found.requested.as_ref().map(|request| request.action),
            message: without_who(&found.message),
            code: found.code(),
            cause: found.cause(),
            expires: found.expire_time(),
            cooperative: found.cooperative,
            can_pause: found.allows.pause,
            can_cancel: found.allows.cancel,
            retention: found.retention(),
            deadline: found.deadline,
            lease: found.lease.as_ref().map(|lease| {
                assert_eq!(lease.token, u64::from(found.claims));
                let holder = lease.holder.to_string();
                ModelLease { holder, term: lease.term, until: lease.until }
            }),
            claims: found.claims,
            losses: found.losses,
            key: found.idempotency_key.as_ref().map(String::from),
            parent: found.parent.map(|parent| parent.as_bytes()[15] - 1),
            roll_up: roll_up(&found.kind),
            retained_from: found.retention.from,
            held: found.held.as_ref().map(|held| held.time),
            told: found.retention.told,
            ruled: ruled(&found.kind),
            lost: KINDS.iter().find(|(kind, _)| *kind == found.kind).map_or(Lost::Fail, |it| it.1),
            label: found.labels.get(LABEL).map(Into::into),
            log: self.log_of(&found),
        })
    }

    /// The log of a job, which must be in order within itself, and no later than the job.
    fn log_of(&self, job: &Job) -> ModelLog {
        let log = self.tracker.log(job.uuid).unwrap_or_else(|error| panic!("{error}"));
        let mut last = None;
        let entry = |entry: &LogEntry| {
            let place = (entry.revision, entry.ordinal, entry.time);
            assert!(last < Some(place), "{log:?}");
            let is_first = last.is_none_or(|(revision, ..)| revision < entry.revision);
            // What came before it in the same commit may be dropped.
            assert!(!is_first || entry.ordinal == 0 || log.dropped > 0, "{log:?}");
            assert!(entry.revision <= job.revision && entry.time <= job.update_time, "{log:?}");
            assert_eq!(entry.message.is_some(), entry.severity.is_some(), "{log:?}");
            last = Some(place);
            ModelEntry {
                kind: entry.kind.as_str(),
                from: entry.from,
                to: entry.to,
                message: entry.message.as_deref().map(without_who),
            }
        };
        ModelLog { entries: log.entries.iter().map(entry).collect(), dropped: log.dropped }
    }

    /// Asks everything, and compares.
    fn check(&mut self) {
        self.settle();
        let now = self.tracker.now();
        for slot in 0..SLOTS {
            let expected = self.model.get(slot, now).cloned();
            assert_eq!(self.of_slot(slot), expected, "slot {slot} at {now}");
            assert_eq!(self.gone_time(slot), self.model.gone_time(slot), "slot {slot} at {now}");
            if let Err(error) = self.tracker.get(id(slot)) {
                self.note_hidden(slot, &error);
            }
            if let Some(gone) = self.model.gone_time(slot) {
                assert!(self.shelf.has(id(slot)), "slot {slot} left at {gone}, and nobody kept it");
            }
        }
        let jobs = self.model.jobs(now);
        let page = self.tracker.query(&Query::default()).unwrap_or_else(|e| panic!("{e}"));
        let listed: Vec<_> = page.jobs.iter().map(|job| job.uuid).collect();
        assert_eq!(listed, jobs.keys().map(|slot| id(*slot)).collect::<Vec<_>>());
        assert_eq!(page.horizon, now);
        let counts = self.tracker.counts().unwrap_or_else(|error| panic!("{error}"));
        for state in State::ALL {
            let expected = jobs.values().filter(|job| job.state == *state).count();
            assert_eq!(counts.of_state(*state), expected as u64, "{state} at {now}");
        }
        let keeps_all = self.keeps_all();
        let followers = self.followers.iter_mut();
        let expired: Vec<_> =
            followers.flat_map(|follower| follower.check(&self.tracker, keeps_all)).collect();
        self.note_expired(&expired);
    }
}

fn open(
    machine: &mut dyn Machine,
    clock: &ManualClock,
    changes: usize,
    shelf: &Arc<Shelf>,
) -> jobtrack::Result<Tracker> {
    let archive: Arc<dyn Archive> = Arc::clone(shelf) as _;
    let options = Options {
        archive: Some(archive),
        retention_rules: rules(),
        clock: Arc::new(clock.clone()),
        tombstones: TombstoneOptions { keep: TOMBSTONES_STAY, ..TombstoneOptions::default() },
        // Time passes fast here; what goes, goes by number.
        history: HistoryOptions {
            changes,
            age: Duration::MAX,
            catch_up: 2,
            ..HistoryOptions::default()
        },
        leases: LeaseOptions {
            by_kind: KINDS.iter().map(|(kind, lost)| ((*kind).to_owned(), *lost)).collect(),
            owner: Some(OWNER.to_owned()),
            ..LeaseOptions::default()
        },
        log: LogOptions { entries: MODEL_LOG, ..LogOptions::default() },
        image_from: 0,
        families: FamilyOptions {
            by_kind: KINDS.iter().map(|(kind, _)| ((*kind).to_owned(), roll_up(kind))).collect(),
            ..FamilyOptions::default()
        },
        ..Options::default()
    };
    Tracker::open(machine.open()?, options)
}

/// By whom a job was canceled, and why, is no matter of the model's.
fn without_who(message: &str) -> String {
    const CANCELED: &str = "The job was canceled";
    if message.starts_with(CANCELED) { CANCELED.to_owned() } else { message.to_owned() }
}

/// Whether the store has failed, or may have.
fn is_of_store(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StoreFailed | ErrorKind::OutcomeUnknown | ErrorKind::Unsettled
    )
}

fn id(slot: u8) -> JobId {
    JobId::from_uuid(uuid::Uuid::from_u128(u128::from(slot) + 1))
}

fn durability(b: u8) -> Durability {
    if b.is_multiple_of(4) { Durability::Synced } else { Durability::Deferred }
}

/// Rules of every sort: of all, of a kind, of an end, of a cause, and of several of these.
fn rules() -> Vec<RetentionRule> {
    let stay = |seconds| RetentionRule::any(Duration::from_secs(seconds));
    let canceled = Ending::Cause(Cause::Canceled);
    vec![
        stay(50),
        stay(20).ending(Ending::Success),
        stay(5).ending(canceled),
        stay(90).of_kind("again"),
        stay(70).of_kind("again").ending(Ending::Success),
        stay(0).of_kind("leave").ending(Ending::Failure),
        stay(30).of_kind("leave").ending(canceled),
        stay(20).of_kind("leave").ending(Ending::Success),
    ]
}

const fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

fn ruled(kind: &str) -> ModelRules {
    RULED.iter().find(|(of, _)| *of == kind).map_or_else(ModelRules::default, |it| it.1)
}

/// When a job of this kind may succeed.
fn roll_up(kind: &str) -> RollUp {
    match kind {
        "again" => RollUp::Succeeded,
        "leave" => RollUp::Free,
        _ => RollUp::Ended,
    }
}

/// How a worker holds its job, and for how long that is.
fn hold(b: u8) -> (Hold, Option<Duration>) {
    let worker = Hold::leased(format!("w{}", b % 3));
    let term = Duration::from_secs(u64::from(b));
    match b % 4 {
        0 => (Hold::in_process(), None),
        1 => (worker, Some(Duration::from_secs(60))),
        _ => (worker.lasting(term), Some(term)),
    }
}

fn holder(hold: &Hold) -> String {
    if hold.holder.is_empty() { OWNER.to_owned() } else { hold.holder.clone() }
}

fn with_manner(command: Command, manner: ModelManner) -> Command {
    let command = if manner.forced { command.forced() } else { command };
    match manner.token {
        None => command,
        Some(token) => command.holding(token.into()),
    }
}

fn new_job(slot: u8, a: u8, b: u8, now: Timestamp) -> (NewJob, ModelJob) {
    let (kind, lost) = KINDS.get(usize::from(b / 4 % 3)).copied().unwrap_or(("", Lost::Fail));
    let deadline = now.saturating_add(Duration::from_secs(u64::from(a) * 2));
    let parent = Some(b % 11).filter(|parent| *parent < SLOTS);
    let key = (a / 32 % 4).checked_sub(2).map(|n| format!("k{n}"));
    let deadline = (b / 16).is_multiple_of(4).then_some(deadline);
    // Half of them are told nothing, and have what the rules say of their kind alone until they end.
    let own = Duration::from_secs(u64::from(a));
    let told = (b & 2 == 0).then_some(Told::Exactly);
    let of_kind = if kind == "again" { 90 } else { 50 };
    let retention = if told.is_some() { own } else { Duration::from_secs(of_kind) };
    let (cooperative, pause, cancel) = (a & 1 == 0, a & 6 != 6, a & 24 != 24);
    let new = NewJob {
        uuid: Some(id(slot)),
        cooperative,
        allows: Allows { pause, cancel },
        retention: told.map(|_| own),
        kind: kind.to_owned(),
        deadline,
        idempotency_key: key.clone(),
        parent: parent.map(id),
        ..NewJob::default()
    };
    let job = ModelJob {
        state: State::Queued,
        requested: None,
        message: String::new(),
        code: 0,
        cause: None,
        expires: None,
        cooperative,
        can_pause: pause,
        can_cancel: cancel,
        retention,
        deadline,
        lease: None,
        claims: 0,
        losses: 0,
        lost,
        key,
        parent,
        roll_up: roll_up(kind),
        retained_from: None,
        label: None,
        log: ModelLog::default(),
        held: None,
        told,
        ruled: ruled(kind),
    };
    (new, job)
}

/// The label that jobs are given.
const LABEL: &str = "tier";

/// Another label, or none.
fn relabel(b: u8) -> (Update, ModelUpdate) {
    let label = (!b.is_multiple_of(3)).then(|| format!("{}", b % 3));
    let update = Update::Relabel([(LABEL, label.as_deref())].into());
    (update, ModelUpdate::Relabel(label))
}

/// How many sorts of changes there are.
const CHANGES: u8 = 22;

fn change(slot: u8, a: u8, b: u8) -> (Command, ModelUpdate) {
    let (update, model) = match a % CHANGES {
        0 | 1 => (Update::Start, ModelUpdate::Start),
        2 => {
            let message = format!("{b}");
            (Update::Report(message.as_str().into()), ModelUpdate::Report(message))
        }
        3 => (Update::Pause, ModelUpdate::Pause),
        4 => (Update::Resume, ModelUpdate::Resume),
        5 => (Update::Succeed(Success::default()), ModelUpdate::Succeed),
        6 => (Update::Fail(Failure::default()), ModelUpdate::Fail(None)),
        7 => {
            let code = Some(i64::from(b % 3));
            (Update::Fail(Failure { code, ..Failure::default() }), ModelUpdate::Fail(code))
        }
        8 => (Update::Request(Action::Pause), ModelUpdate::Request(Action::Pause)),
        9 => (Update::Request(Action::Resume), ModelUpdate::Request(Action::Resume)),
        10 => (Update::Request(Action::Cancel), ModelUpdate::Request(Action::Cancel)),
        11 => {
            let retention = Duration::from_secs(u64::from(b));
            (Update::Extend(Extension { retention }), ModelUpdate::Extend(retention))
        }
        12 => (Update::Delete, ModelUpdate::Delete),
        13 | 14 => {
            let (hold, term) = hold(b / 2);
            let claim = ModelUpdate::Claim(holder(&hold), term);
            (Update::Claim(hold), claim)
        }
        15 => {
            let term = (!b.is_multiple_of(3)).then(|| Duration::from_secs(u64::from(b)));
            (Update::Renew(Renewal { term }), ModelUpdate::Renew(term))
        }
        16 => (Update::Release, ModelUpdate::Release),
        17 => relabel(b),
        18 => (Update::FreeKey, ModelUpdate::FreeKey),
        19 => (Update::Hold, ModelUpdate::Hold),
        _ => (Update::Unhold, ModelUpdate::Unhold),
    };
    (Command::update(id(slot), update), model)
}
