//! What a tracker promises, written down as plainly as can be.
//!
//! No table of transitions, no index, no store: a map, and one `if` per rule. It shares no code with
//! the engine, so that where the two disagree one of them is wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use jobtrack::{Action, Cause, ErrorKind, Lost, RollUp, State, Timestamp, Told};

/// A job as the model knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelJob {
    /// State.
    pub state: State,
    /// The request that its worker has not answered.
    pub requested: Option<Action>,
    /// Where it stands.
    pub message: String,
    /// The final code.
    pub code: i64,
    /// What kind of failure it is.
    pub cause: Option<Cause>,
    /// From when on it is in no answer.
    pub expires: Option<Timestamp>,
    /// Whether its worker answers requests.
    pub cooperative: bool,
    /// Whether it can be paused.
    pub can_pause: bool,
    /// Whether it can be canceled.
    pub can_cancel: bool,
    /// How long it stays after its end.
    pub retention: Duration,
    /// The time past which it does not run.
    pub deadline: Option<Timestamp>,
    /// Who holds it.
    pub lease: Option<ModelLease>,
    /// How often it was claimed.
    pub claims: u32,
    /// How often its worker was lost.
    pub losses: u32,
    /// What becomes of it when its worker is lost.
    pub lost: Lost,
    /// Its idempotency key.
    pub key: Option<String>,
    /// The slot of its parent.
    pub parent: Option<u8>,
    /// When it may succeed.
    pub roll_up: RollUp,
    /// From when on its stay counts.
    pub retained_from: Option<Timestamp>,
    /// The one label that it may have.
    pub label: Option<String>,
    /// What happened to it.
    pub log: ModelLog,
    /// Since when it is held.
    pub held: Option<Timestamp>,
    /// How its retention was told.
    pub told: Option<Told>,
    /// How long it stays if it ends well, badly, or as canceled, where nobody told it.
    pub ruled: ModelRules,
}

/// How long the jobs of one kind stay by rule; None where none is made for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ModelRules {
    /// That succeed.
    pub success: Option<Duration>,
    /// That fail.
    pub failure: Option<Duration>,
    /// That are canceled.
    pub canceled: Option<Duration>,
}

/// The log of a job of the model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelLog {
    /// What happened, as far as it is kept.
    pub entries: Vec<ModelEntry>,
    /// How much is not kept any more.
    pub dropped: u64,
}

/// One entry of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelEntry {
    /// What happened.
    pub kind: &'static str,
    /// The state before, if there was one.
    pub from: Option<State>,
    /// The state after, if it is another.
    pub to: Option<State>,
    /// The message, if one was told.
    pub message: Option<String>,
}

/// Entries that a log of the model keeps.
pub const MODEL_LOG: usize = 6;

/// Who holds a job of the model. Its token is the number of the job's claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelLease {
    /// Who.
    pub holder: String,
    /// For how long; None as long as the process lives.
    pub term: Option<Duration>,
    /// Until when.
    pub until: Timestamp,
}

/// What goes with an update: the token shown, and whether force is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ModelManner {
    /// The token shown.
    pub token: Option<u32>,
    /// Whether force is used.
    pub forced: bool,
}

/// What is asked of a job in the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelUpdate {
    /// Its worker begins.
    Start,
    /// Its worker tells where it stands.
    Report(String),
    /// Its worker has stopped.
    Pause,
    /// Its worker goes on.
    Resume,
    /// Its worker is done.
    Succeed,
    /// Its worker gives up with this code, if it gives one.
    Fail(Option<i64>),
    /// An operator asks.
    Request(Action),
    /// It is to stay at least so long after its end.
    Extend(Duration),
    /// Forget it.
    Delete,
    /// This worker takes it for so long, or (None) for as long as the process lives.
    Claim(String, Option<Duration>),
    /// Its holder needs it for longer, of another term if one is given.
    Renew(Option<Duration>),
    /// Its holder gives it back.
    Release,
    /// Its key is for another job from now on.
    FreeKey,
    /// It has this label, or (None) none.
    Relabel(Option<String>),
    /// It stays until it is let go.
    Hold,
    /// It is let go.
    Unhold,
}

impl ModelUpdate {
    /// What the log calls it, if it is worth an entry.
    fn in_log(&self) -> Option<&'static str> {
        Some(match self {
            ModelUpdate::Start => "started",
            ModelUpdate::Report(_) => "message",
            ModelUpdate::Pause => "paused",
            ModelUpdate::Resume => "resumed",
            ModelUpdate::Succeed => "succeeded",
            ModelUpdate::Fail(_) => "failed",
            ModelUpdate::Request(Action::Pause) => "pause_requested",
            ModelUpdate::Request(Action::Resume) => "resume_requested",
            ModelUpdate::Request(Action::Cancel) => "cancel_requested",
            ModelUpdate::Extend(_) => "extended",
            ModelUpdate::Claim(..) => "claimed",
            ModelUpdate::Release => "released",
            ModelUpdate::FreeKey => "key_freed",
            ModelUpdate::Relabel(_) => "relabeled",
            ModelUpdate::Hold => "held",
            ModelUpdate::Unhold => "unheld",
            ModelUpdate::Delete | ModelUpdate::Renew(_) => return None,
        })
    }

    /// Whether it is an operator's.
    fn is_of_operator(&self) -> bool {
        matches!(
            self,
            ModelUpdate::Request(_)
                | ModelUpdate::Extend(_)
                | ModelUpdate::Delete
                | ModelUpdate::FreeKey
                | ModelUpdate::Relabel(_)
                | ModelUpdate::Hold
                | ModelUpdate::Unhold
        )
    }
}

/// All jobs, each in a slot, and the slots of jobs that went lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    jobs: BTreeMap<u8, ModelJob>,
    /// When the job of a slot went that is not free yet.
    tombstones: BTreeMap<u8, Timestamp>,
    tombstones_stay: Duration,
}

impl Model {
    /// A model without jobs, in which tombstones stay for so long.
    pub fn new(tombstones_stay: Duration) -> Self {
        Model { jobs: BTreeMap::new(), tombstones: BTreeMap::new(), tombstones_stay }
    }

    /// The job in this slot at this time.
    ///
    /// # Errors
    ///
    /// `Gone` where one went lately, else `NotFound`.
    pub fn get(&mut self, slot: u8, now: Timestamp) -> Result<&ModelJob, ErrorKind> {
        self.settle(now);
        if let Some(job) = self.jobs.get(&slot) {
            let is_gone = job.expires.is_some_and(|expires| expires <= now);
            return if is_gone { Err(ErrorKind::Gone) } else { Ok(job) };
        }
        Err(if self.tombstones.contains_key(&slot) { ErrorKind::Gone } else { ErrorKind::NotFound })
    }

    /// When the job of this slot went, while that is still known.
    pub fn gone_time(&self, slot: u8) -> Option<Timestamp> {
        self.tombstones.get(&slot).copied()
    }

    /// All jobs at this time, by slot.
    pub fn jobs(&mut self, now: Timestamp) -> &BTreeMap<u8, ModelJob> {
        self.settle(now);
        &self.jobs
    }

    /// Puts a job into a slot, or says (true) that the very same was put there before.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` where the slot is not free, `KeyTaken` where the key is not.
    pub fn create(&mut self, slot: u8, job: ModelJob, now: Timestamp) -> Result<bool, ErrorKind> {
        self.settle(now);
        let has_key = |first: &ModelJob| job.key.is_some() && first.key == job.key;
        let is_there = |first: &ModelJob| first.expires.is_none_or(|expires| expires > now);
        let first = self.jobs.iter().find(|(_, first)| has_key(first) && is_there(first));
        if let Some((of, first)) = first {
            let content = |job: &ModelJob| {
                let allows = (job.cooperative, job.can_pause, job.can_cancel);
                (job.lost, job.deadline, job.parent, allows)
            };
            let is_same = *of == slot && content(first) == content(&job);
            return if is_same { Ok(true) } else { Err(ErrorKind::KeyTaken) };
        }
        if let Some(parent) = job.parent {
            let parent = self.get(parent, now)?;
            if parent.has_ended() {
                return Err(ErrorKind::JobEnded);
            }
            if parent.requested == Some(Action::Cancel) {
                return Err(ErrorKind::CancelPending);
            }
        }
        let has_children = self.jobs.values().any(|job| job.parent == Some(slot));
        if has_children || self.jobs.contains_key(&slot) || self.tombstones.contains_key(&slot) {
            return Err(ErrorKind::AlreadyExists);
        }
        let mut job = job;
        job.log = ModelLog::default();
        job.note("created", None, "");
        self.jobs.insert(slot, job);
        Ok(false)
    }

    /// Changes the job in a slot.
    ///
    /// # Errors
    ///
    /// The refusal that the engine must give.
    pub fn update(
        &mut self,
        slot: u8,
        update: &ModelUpdate,
        manner: ModelManner,
        now: Timestamp,
    ) -> Result<(), ErrorKind> {
        // What has lapsed within this very commit.
        if let Some(job) = self.jobs.get_mut(&slot)
            && job.lapse(now)
        {
            self.keep(slot);
        }
        self.get(slot, now)?;
        let of_it = |job: &&ModelJob| job.parent == Some(slot);
        let live = self.jobs.values().filter(of_it).filter(|job| !job.has_ended()).count();
        let failed = self.jobs.values().filter(of_it).filter(|job| job.state == State::Failure);
        let failed = failed.count();
        let is_followed = !self.is_unsettled(slot);
        let outcome =
            self.update_one(slot, update, manner, now, is_followed, |roll_up| match roll_up {
                RollUp::Free => true,
                RollUp::Ended => live == 0,
                RollUp::Succeeded => live == 0 && failed == 0,
            });
        if outcome.is_ok() {
            self.keep(slot);
        }
        outcome
    }

    fn update_one(
        &mut self,
        slot: u8,
        update: &ModelUpdate,
        manner: ModelManner,
        now: Timestamp,
        is_followed: bool,
        may_succeed: impl Fn(RollUp) -> bool,
    ) -> Result<(), ErrorKind> {
        let Some(job) = self.jobs.get_mut(&slot) else { return Err(ErrorKind::NotFound) };
        let ended = job.has_ended();
        if !ended {
            job.check_holder(update, manner)?;
        }
        if *update == ModelUpdate::Delete {
            if !ended {
                return Err(ErrorKind::StillLive);
            }
            if job.held.is_some() {
                return Err(ErrorKind::Held);
            }
            if !is_followed {
                return Err(ErrorKind::StillLive);
            }
            self.jobs.remove(&slot);
            self.tombstones.insert(slot, now);
            return Ok(());
        }
        if let ModelUpdate::Extend(retention) = update {
            if *retention > job.retention {
                job.retention = *retention;
                if !ended && job.told.is_none() {
                    job.told = Some(Told::AtLeast);
                }
                let from = job.retained_from;
                if job.expires.is_some() {
                    job.expires = from.map(|from| from.saturating_add(*retention));
                }
                job.hear_of(manner, now);
                job.note_same("extended");
            }
            return Ok(());
        }
        if matches!(update, ModelUpdate::Hold | ModelUpdate::Unhold) {
            let changed =
                if *update == ModelUpdate::Hold { job.hold(now) } else { job.unhold(now) };
            if changed {
                job.hear_of(manner, now);
                job.note_same(update.in_log().unwrap_or_default());
            }
            return Ok(());
        }
        if *update == ModelUpdate::FreeKey {
            if job.key.take().is_some() {
                job.hear_of(manner, now);
                job.note_same("key_freed");
            }
            return Ok(());
        }
        if let ModelUpdate::Relabel(label) = update {
            if job.label != *label {
                job.label.clone_from(label);
                job.hear_of(manner, now);
                job.note_same("relabeled");
            }
            return Ok(());
        }
        if ended {
            return Err(ErrorKind::JobEnded);
        }
        if *update == ModelUpdate::Succeed
            && job.state != State::Queued
            && !may_succeed(job.roll_up)
        {
            return Err(ErrorKind::NotRolledUp);
        }
        let (from, message) = (job.state, job.message.clone());
        if job.update(update, now)? {
            job.hear_of(manner, now);
            if let Some(kind) = update.in_log() {
                job.note(kind, Some(from), &message);
            }
        }
        Ok(())
    }

    /// Does this to the job in each slot that is wanted, in order; what refuses stays as it is.
    pub fn bulk(
        &mut self,
        update: &ModelUpdate,
        now: Timestamp,
        is_wanted: impl Fn(&ModelJob) -> bool,
    ) {
        let wanted = self.jobs(now).iter().filter(|(_, job)| is_wanted(job));
        let slots: Vec<u8> = wanted.map(|(slot, _)| *slot).collect();
        for slot in slots {
            let _refused = self.update(slot, update, ModelManner::default(), now);
        }
    }

    /// The slot of the best queued job: the first, or the last.
    pub fn best(&self, last: bool, is_wanted: impl Fn(&ModelJob) -> bool) -> Option<u8> {
        let mut queued = self
            .jobs
            .iter()
            .filter(|(_, job)| job.state == State::Queued && is_wanted(job))
            .map(|(slot, _)| *slot);
        if last { queued.next_back() } else { queued.next() }
    }

    /// Does to every job whose lease or deadline has run out what becomes of it then; says whether
    /// there was one.
    pub fn lapse(&mut self, now: Timestamp) -> bool {
        // In the order in which they were due, as a child's end may come before its parent's.
        let due = |(slot, job): (&u8, &ModelJob)| Some((job.due(now)?, *slot));
        let mut slots: Vec<(Timestamp, u8)> = self.jobs.iter().filter_map(due).collect();
        slots.sort_unstable();
        let mut any = false;
        for (_, slot) in slots {
            if self.jobs.get_mut(&slot).is_some_and(|job| job.lapse(now)) {
                any = true;
                self.keep(slot);
            }
        }
        any
    }

    /// Opens the store again: a full term for every lease, and none for who was in the process.
    pub fn reopen(&mut self, now: Timestamp) {
        for job in self.jobs.values_mut() {
            if let Some(lease) = &mut job.lease {
                lease.until = lease.term.map_or(now, |term| now.saturating_add(term));
            }
        }
        self.lapse(now);
    }

    /// A child that has ended stays as its parent does.
    fn keep(&mut self, slot: u8) {
        let Some(job) = self.jobs.get(&slot) else { return };
        let (Some(from), true) = (job.retained_from, job.has_ended()) else { return };
        let is_held = job.held.is_some();
        let own = from.saturating_add(job.retention);
        let own = own.max(job.expires.unwrap_or(own));
        let parent = job.parent.and_then(|parent| self.jobs.get(&parent));
        let expires = match parent.map(|parent| parent.expires) {
            _ if is_held => None,
            None => Some(own),
            Some(None) => None,
            Some(Some(expires)) => Some(own.max(expires)),
        };
        if let Some(job) = self.jobs.get_mut(&slot) {
            job.expires = expires;
        }
    }

    /// Whether a child of this job is yet to follow it.
    fn is_unsettled(&self, slot: u8) -> bool {
        let mut next = self.clone();
        next.follow_once(slot, Timestamp::MIN)
    }

    /// Lets every child follow its parent, and theirs; says whether one did.
    pub fn follow(&mut self, now: Timestamp) -> bool {
        let mut any = false;
        // As many generations as there may be slots.
        for _ in 0..=self.jobs.len() {
            let parents: Vec<u8> = self.jobs.values().filter_map(|job| job.parent).collect();
            for parent in parents {
                any |= self.follow_once(parent, now);
            }
        }
        any
    }

    fn follow_once(&mut self, slot: u8, now: Timestamp) -> bool {
        let asks = self.jobs.get(&slot).is_some_and(|parent| {
            parent.state == State::Failure || parent.requested == Some(Action::Cancel)
        });
        let of_it = |(_, job): &(&u8, &ModelJob)| job.parent == Some(slot);
        let children: Vec<u8> = self.jobs.iter().filter(of_it).map(|(child, _)| *child).collect();
        let mut any = false;
        for child in children {
            let Some(before) = self.jobs.get(&child).cloned() else { continue };
            if let Some(job) = self.jobs.get_mut(&child)
                && asks
                && !before.has_ended()
                // What it does not allow, it is not made to do.
                && job.request(Action::Cancel, now) == Ok(true)
            {
                job.note("cancel_requested", Some(before.state), &before.message);
            }
            self.keep(child);
            any |= self.jobs.get(&child) != Some(&before);
        }
        any
    }

    /// Takes out what has expired by now.
    fn settle(&mut self, now: Timestamp) {
        // Who has children that are yet to follow is hidden, and goes after they have.
        let is_gone = |job: &ModelJob| job.expires.is_some_and(|expires| expires <= now);
        let gone = self.jobs.iter().filter(|(_, job)| is_gone(job)).map(|(slot, _)| *slot);
        let held: Vec<u8> = gone.filter(|slot| self.is_unsettled(*slot)).collect();
        let stay = self.tombstones_stay;
        let tombstones = &mut self.tombstones;
        self.jobs.retain(|slot, job| match job.expires {
            Some(expires) if expires <= now && !held.contains(slot) => {
                tombstones.insert(*slot, expires);
                false
            }
            _ => true,
        });
        tombstones.retain(|_, gone| gone.saturating_add(stay) > now);
    }
}

impl ModelJob {
    /// Refuses whoever is not the holder of a live job, where it matters.
    fn check_holder(&self, update: &ModelUpdate, manner: ModelManner) -> Result<(), ErrorKind> {
        match (&self.lease, manner.token) {
            (Some(_), Some(token)) if token != self.claims => Err(ErrorKind::LeaseLost),
            (Some(_), None) if !update.is_of_operator() && !manner.forced => Err(ErrorKind::Leased),
            (None, Some(_)) if !update.is_of_operator() => Err(ErrorKind::LeaseLost),
            (None, None) if matches!(update, ModelUpdate::Renew(_) | ModelUpdate::Release) => {
                Err(ErrorKind::LeaseLost)
            }
            _ => Ok(()),
        }
    }

    /// Notes in its log what has become of it, from this state and with this message before.
    fn note(&mut self, kind: &'static str, from: Option<State>, message: &str) {
        let to = (from != Some(self.state)).then_some(self.state);
        let is_told = kind == "message" || self.message != message;
        let message = is_told.then(|| self.message.clone());
        self.log.entries.push(ModelEntry { kind, from, to, message });
        while self.log.entries.len() > MODEL_LOG {
            let older = self.log.entries.len() - 1;
            let is_message = |entry: &ModelEntry| entry.kind == "message";
            let messages = self.log.entries.iter().take(older).filter(|it| is_message(it)).count();
            let wanted = messages >= older - messages;
            let at = self.log.entries.iter().position(|entry| is_message(entry) == wanted);
            self.log.entries.remove(at.unwrap_or_default());
            self.log.dropped += 1;
        }
    }

    /// Notes what has left state and message as they were.
    fn note_same(&mut self, kind: &'static str) {
        let (state, message) = (self.state, self.message.clone());
        self.note(kind, Some(state), &message);
    }

    fn has_ended(&self) -> bool {
        matches!(self.state, State::Success | State::Failure)
    }

    /// Its holder has shown the token.
    fn hear_of(&mut self, manner: ModelManner, now: Timestamp) {
        if let (Some(_), Some(lease)) = (manner.token, &mut self.lease) {
            lease.until = lease.term.map_or(Timestamp::MAX, |term| now.saturating_add(term));
        }
    }

    /// Since when its lease or its deadline has run out.
    fn due(&self, now: Timestamp) -> Option<Timestamp> {
        let lease = self.lease.as_ref().map(|lease| lease.until);
        let deadline = self.deadline.filter(|_| self.state == State::Running);
        lease.into_iter().chain(deadline).min().filter(|at| *at <= now)
    }

    fn lapse(&mut self, now: Timestamp) -> bool {
        let (from, message) = (self.state, self.message.clone());
        let has_lapsed = self.lapse_at(now);
        if has_lapsed {
            let kind = if self.cause == Some(Cause::TimedOut) { "timed_out" } else { "lost" };
            self.note(kind, Some(from), &message);
        }
        has_lapsed
    }

    fn lapse_at(&mut self, now: Timestamp) -> bool {
        let lease = self.lease.as_ref().map(|lease| lease.until).filter(|at| *at <= now);
        let deadline = self.deadline.filter(|at| self.state == State::Running && *at <= now);
        match (deadline, lease) {
            (None, None) => return false,
            (Some(deadline), lease) if lease.is_none_or(|lease| deadline <= lease) => {
                self.end_badly(Cause::TimedOut, 4, "The job ran past its deadline".to_owned(), now);
                return true;
            }
            _ => {}
        }
        let holder = self.lease.take().map(|lease| lease.holder).unwrap_or_default();
        self.losses += 1;
        if self.requested == Some(Action::Cancel) {
            self.fail(true, None, now);
            return true;
        }
        match self.lost {
            Lost::QueueAgain { at_most } if self.losses <= at_most => {
                self.message = format!("Queued again: its worker {holder} was lost");
                self.requested = None;
                self.state = State::Queued;
            }
            Lost::Leave => {
                if !self.cooperative {
                    match self.requested {
                        Some(Action::Pause) => self.pause(),
                        Some(Action::Resume) => self.resume(),
                        _ => {}
                    }
                }
            }
            _ => {
                let message = format!("The worker of the job was lost: {holder}");
                self.end_badly(Cause::Lost, 3, message, now);
            }
        }
        // Of several things that are due, all are.
        self.lapse_at(now);
        true
    }

    /// Whether something has changed.
    fn update(&mut self, update: &ModelUpdate, now: Timestamp) -> Result<bool, ErrorKind> {
        match update {
            ModelUpdate::Claim(holder, term) => {
                if self.state == State::Queued {
                    self.state = State::Running;
                }
                self.claims += 1;
                self.lease = Some(ModelLease {
                    holder: holder.clone(),
                    term: *term,
                    until: term.map_or(Timestamp::MAX, |term| now.saturating_add(term)),
                });
            }
            ModelUpdate::Renew(term) => {
                let Some(lease) = &mut self.lease else { return Err(ErrorKind::LeaseLost) };
                match (&mut lease.term, term) {
                    (None, Some(_)) => return Err(ErrorKind::InvalidValue),
                    (None, None) => return Ok(false),
                    (Some(old), Some(new)) => *old = *new,
                    (Some(_), None) => {}
                }
            }
            ModelUpdate::Release => {
                self.lease = None;
                if self.requested == Some(Action::Cancel) {
                    self.fail(true, None, now);
                } else {
                    self.requested = None;
                    self.state = State::Queued;
                }
            }
            ModelUpdate::Start => {
                if self.state != State::Queued {
                    return Err(ErrorKind::NotQueued);
                }
                self.state = State::Running;
            }
            ModelUpdate::Report(message) => self.message.clone_from(message),
            ModelUpdate::Pause => {
                if self.state != State::Running {
                    return Err(ErrorKind::NotRunning);
                }
                self.pause();
            }
            ModelUpdate::Resume => {
                if self.state != State::Paused {
                    return Err(ErrorKind::NotPaused);
                }
                self.resume();
            }
            ModelUpdate::Succeed => {
                if self.state == State::Queued {
                    return Err(ErrorKind::NotRunning);
                }
                if self.message.is_empty() {
                    self.message = "success".to_owned();
                }
                self.end(State::Success, now);
            }
            ModelUpdate::Fail(code) => {
                if *code == Some(0) {
                    return Err(ErrorKind::InvalidValue);
                }
                let canceled = self.requested == Some(Action::Cancel);
                self.fail(canceled, *code, now);
            }
            ModelUpdate::Request(action) => return self.request(*action, now),
            ModelUpdate::Extend(_)
            | ModelUpdate::Delete
            | ModelUpdate::FreeKey
            | ModelUpdate::Relabel(_)
            | ModelUpdate::Hold
            | ModelUpdate::Unhold => {}
        }
        Ok(true)
    }

    /// Whether something has changed.
    fn request(&mut self, action: Action, now: Timestamp) -> Result<bool, ErrorKind> {
        // Asking for what is so already takes back the opposite request, or is refused.
        let is_so = match action {
            Action::Pause => self.state != State::Running,
            Action::Resume => self.state != State::Paused,
            Action::Cancel => false,
        };
        if is_so {
            let (opposite, refusal) = match action {
                Action::Pause => (Action::Resume, ErrorKind::NotRunning),
                _ => (Action::Pause, ErrorKind::NotPaused),
            };
            if self.state == State::Queued || self.requested != Some(opposite) {
                return Err(refusal);
            }
            self.requested = None;
            return Ok(true);
        }
        if action == Action::Pause && !self.can_pause {
            return Err(ErrorKind::CannotPause);
        }
        if action == Action::Cancel && !self.can_cancel {
            return Err(ErrorKind::CannotCancel);
        }
        if (self.cooperative || self.lease.is_some()) && self.state != State::Queued {
            if self.requested == Some(Action::Cancel) && action != Action::Cancel {
                return Err(ErrorKind::CancelPending);
            }
            let is_new = self.requested != Some(action);
            self.requested = Some(action);
            return Ok(is_new);
        }
        match action {
            Action::Pause => self.pause(),
            Action::Resume => self.resume(),
            Action::Cancel => self.fail(true, None, now),
        }
        Ok(true)
    }

    fn pause(&mut self) {
        self.state = State::Paused;
        if self.requested == Some(Action::Pause) {
            self.requested = None;
        }
    }

    fn resume(&mut self) {
        self.state = State::Running;
        if self.requested == Some(Action::Resume) {
            self.requested = None;
        }
    }

    fn fail(&mut self, canceled: bool, code: Option<i64>, now: Timestamp) {
        let (cause, default_code, message) = if canceled {
            (Cause::Canceled, 2, "The job was canceled")
        } else {
            (Cause::Error, 1, "The job failed")
        };
        self.end_badly(cause, code.unwrap_or(default_code), message.to_owned(), now);
    }

    fn end_badly(&mut self, cause: Cause, code: i64, message: String, now: Timestamp) {
        self.cause = Some(cause);
        self.code = code;
        self.message = message;
        self.end(State::Failure, now);
    }

    fn hold(&mut self, now: Timestamp) -> bool {
        if self.held.is_some() {
            return false;
        }
        self.held = Some(now);
        // What its parent's stay has given it is its own from now on.
        if let (Some(from), Some(expires)) = (self.retained_from, self.expires.take()) {
            self.retention = self.retention.max(expires.saturating_since(from));
        }
        true
    }

    fn unhold(&mut self, now: Timestamp) -> bool {
        let Some(since) = self.held.take() else { return false };
        if let Some(from) = self.retained_from {
            let from = from.saturating_add(now.saturating_since(since.max(from)));
            self.retained_from = Some(from);
            self.expires = Some(from.saturating_add(self.retention));
        }
        true
    }

    fn end(&mut self, state: State, now: Timestamp) {
        let ruled = match self.cause {
            _ if state == State::Success => self.ruled.success,
            Some(Cause::Canceled) => self.ruled.canceled,
            _ => self.ruled.failure,
        };
        match (self.told.take(), ruled) {
            (None, Some(ruled)) => self.retention = ruled,
            (Some(Told::AtLeast), Some(ruled)) => self.retention = self.retention.max(ruled),
            _ => {}
        }
        self.state = state;
        self.requested = None;
        self.lease = None;
        self.retained_from = Some(now);
        let expires = now.saturating_add(self.retention);
        self.expires = Some(expires).filter(|_| self.held.is_none());
    }
}
