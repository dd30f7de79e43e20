//! What a tracker promises, written down as plainly as can be.
//!
//! No table of transitions, no index, no store: a map, and one `if` per rule. It shares no code with
//! the engine, so that where the two disagree one of them is wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use jobtrack::{Action, Cause, ErrorKind, State, Timestamp};

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
            return Ok(job);
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

    /// Puts a job into a slot.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` where the slot is not free.
    pub fn create(&mut self, slot: u8, job: ModelJob, now: Timestamp) -> Result<(), ErrorKind> {
        self.settle(now);
        if self.jobs.contains_key(&slot) || self.tombstones.contains_key(&slot) {
            return Err(ErrorKind::AlreadyExists);
        }
        self.jobs.insert(slot, job);
        Ok(())
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
        now: Timestamp,
    ) -> Result<(), ErrorKind> {
        self.get(slot, now)?;
        let Some(job) = self.jobs.get_mut(&slot) else { return Err(ErrorKind::NotFound) };
        let ended = job.expires.is_some();
        if *update == ModelUpdate::Delete {
            if !ended {
                return Err(ErrorKind::StillLive);
            }
            self.jobs.remove(&slot);
            self.tombstones.insert(slot, now);
            return Ok(());
        }
        if let ModelUpdate::Extend(retention) = update {
            if *retention > job.retention {
                let longer = *retention - job.retention;
                job.expires = job.expires.map(|expires| expires.saturating_add(longer));
                job.retention = *retention;
            }
            return Ok(());
        }
        if ended {
            return Err(ErrorKind::JobEnded);
        }
        job.update(update, now)
    }

    /// Takes out what has expired by now.
    fn settle(&mut self, now: Timestamp) {
        let stay = self.tombstones_stay;
        let tombstones = &mut self.tombstones;
        self.jobs.retain(|slot, job| match job.expires {
            Some(expires) if expires <= now => {
                tombstones.insert(*slot, expires);
                false
            }
            _ => true,
        });
        tombstones.retain(|_, gone| gone.saturating_add(stay) > now);
    }
}

impl ModelJob {
    fn update(&mut self, update: &ModelUpdate, now: Timestamp) -> Result<(), ErrorKind> {
        match update {
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
            ModelUpdate::Extend(_) | ModelUpdate::Delete => {}
        }
        Ok(())
    }

    fn request(&mut self, action: Action, now: Timestamp) -> Result<(), ErrorKind> {
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
            return Ok(());
        }
        if action == Action::Pause && !self.can_pause {
            return Err(ErrorKind::CannotPause);
        }
        if action == Action::Cancel && !self.can_cancel {
            return Err(ErrorKind::CannotCancel);
        }
        if self.cooperative && self.state != State::Queued {
            if self.requested == Some(Action::Cancel) && action != Action::Cancel {
                return Err(ErrorKind::CancelPending);
            }
            self.requested = Some(action);
            return Ok(());
        }
        match action {
            Action::Pause => self.pause(),
            Action::Resume => self.resume(),
            Action::Cancel => self.fail(true, None, now),
        }
        Ok(())
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
        self.cause = Some(cause);
        self.code = code.unwrap_or(default_code);
        self.message = message.to_owned();
        self.end(State::Failure, now);
    }

    fn end(&mut self, state: State, now: Timestamp) {
        self.state = state;
        self.requested = None;
        self.expires = Some(now.saturating_add(self.retention));
    }
}
