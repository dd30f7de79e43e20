//! `jobtrack serve --demo`: a server full of believable jobs that move.
//!
//! A small storage system that is always at work: operations begin at their rates, run for as long
//! as such things take, report, end well mostly, and now and then somebody pauses or cancels one.
//! The same seed tells the same story each time, at the pace of the clock.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use jobtrack::{
    Action, Actor, Command, Durability, Failure, JobId, NewJob, Progress, Report, Result, Scope,
    State, Success, Timestamp, Tracker,
};
use serde_json::json;

/// How often anything moves.
const TURN: Duration = Duration::from_millis(250);
/// How much runs at a time; more waits.
const AT_WORK: usize = 14;
/// Of a thousand turns, in how many an operation begins.
const ARRIVALS: u64 = 420;
/// How many jobs have ended already when it begins.
const HISTORY: u64 = 250;
const SEED: u64 = 2_026;

/// A kind of operation: its name, what is done to what, its unit, how much of that there is, and how
/// much of it one turn does.
struct Kind {
    name: &'static str,
    does: &'static str,
    object: &'static str,
    unit: &'static str,
    total: u64,
    pace: u64,
    says: &'static [&'static str],
}

const KINDS: &[Kind] = &[
    Kind {
        name: "backup",
        does: "Back up volume",
        object: "vol",
        unit: "files",
        total: 9_000,
        pace: 110,
        says: &["Scanning the source", "Copying files", "Verifying checksums"],
    },
    Kind {
        name: "snapshot",
        does: "Create snapshot of volume",
        object: "vol",
        unit: "steps",
        total: 8,
        pace: 1,
        says: &["Quiescing the volume", "Writing the snapshot", "Releasing the volume"],
    },
    Kind {
        name: "replication",
        does: "Update SnapMirror relationship",
        object: "sm",
        unit: "MB",
        total: 60_000,
        pace: 900,
        says: &["Comparing snapshots", "Transferring data", "Waiting for the partner node"],
    },
    Kind {
        name: "volume move",
        does: "Move volume",
        object: "vol",
        unit: "MB",
        total: 240_000,
        pace: 700,
        says: &["Copying the baseline", "Copying what has changed", "Cutting over"],
    },
    Kind {
        name: "restore",
        does: "Restore LUN",
        object: "lun",
        unit: "blocks",
        total: 40_000,
        pace: 480,
        says: &["Mapping blocks", "Restoring data", "Verifying data"],
    },
    Kind {
        name: "certificate",
        does: "Rotate certificate",
        object: "cert",
        unit: "nodes",
        total: 4,
        pace: 1,
        says: &["Generating a key", "Installing the certificate"],
    },
];

/// Why things fail: code and message; `{}` is the object's name.
const FAILURES: &[(i64, &str)] = &[
    (917_658, "{} is in use; retry later"),
    (917_927, "Insufficient space in the aggregate of {}"),
    (918_235, "{} does not exist"),
    (13_303_817, "Cannot reach the partner of {}: connection timed out"),
];

const OPERATORS: &[&str] = &["ana", "joost", "mei"];
const REASONS: &[&str] = &["peak hours", "maintenance window", "wrong volume", "asked by support"];
const SCOPES: &[&str] = &["vs_finance", "vs_home", "vs_media"];
const TIERS: &[&str] = &["gold", "silver", "bronze"];

/// The demonstration while it runs.
#[derive(Debug)]
pub(crate) struct Demo {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Demo {
    /// Fills the tracker, and sets its jobs moving on a thread of their own.
    pub(crate) fn begin(tracker: Tracker) -> Result<Demo> {
        let mut story = Story { tracker, random: Random(SEED), live: Vec::new() };
        story.tell_the_past()?;
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(TURN) {
                if let Err(error) = story.turn() {
                    tracing::warn!("the demonstration is over: {error}");
                    return;
                }
            }
        });
        Ok(Demo { stop, thread })
    }

    /// Lets it come to rest; its jobs stay as they are.
    pub(crate) fn end(self) {
        drop(self.stop);
        // A panic of the thread has been told by its own hook.
        let _ = self.thread.join();
    }
}

struct Story {
    tracker: Tracker,
    random: Random,
    live: Vec<Live>,
}

/// An operation that has not ended.
struct Live {
    id: JobId,
    kind: &'static Kind,
    name: String,
    done: u64,
    total: u64,
    /// Where it will fail, if it will.
    fails_at: Option<u64>,
}

impl Story {
    fn turn(&mut self) -> Result<()> {
        if self.random.below(1_000) < ARRIVALS {
            self.arrive()?;
        }
        let mut at_work = 0;
        let mut live = std::mem::take(&mut self.live);
        let mut ended = Vec::new();
        for (at, job) in live.iter_mut().enumerate() {
            let state = match self.tracker.get(job.id) {
                Ok(found) => found.state(),
                // Whoever watches may join in: cancel a job, end it, delete it.
                Err(_) => State::Failure,
            };
            let has_ended = match state {
                State::Queued if at_work < AT_WORK => {
                    at_work += 1;
                    self.try_run(Command::start(job.id))?;
                    false
                }
                State::Running => {
                    at_work += 1;
                    self.work(job)?
                }
                State::Paused => self.perhaps_resume(job)?,
                state => state.is_terminal(),
            };
            if has_ended {
                ended.push(at);
            }
        }
        for at in ended.into_iter().rev() {
            live.swap_remove(at);
        }
        self.live = live;
        Ok(())
    }

    /// An operation begins, or waits for its turn.
    fn arrive(&mut self) -> Result<()> {
        let (kind, name, job) = self.new_job();
        let total = self.total(kind);
        let fails_at = (self.random.below(12) == 0).then(|| self.random.below(total));
        let id = self.tracker.create(job)?.uuid;
        self.live.push(Live { id, kind, name, done: 0, total, fails_at });
        Ok(())
    }

    /// One turn of an operation that runs, and whether that was its last.
    fn work(&mut self, job: &mut Live) -> Result<bool> {
        if self.random.below(1_500) == 0 {
            return self.interfere(job);
        }
        let pace = job.kind.pace;
        // What has few steps does not take one each turn.
        if pace == 1 && self.random.below(6) > 0 {
            return Ok(false);
        }
        job.done = (job.done + pace / 2 + self.random.below(pace) + 1).min(job.total);
        if job.fails_at.is_some_and(|at| job.done >= at) {
            let (code, message) = self.pick(FAILURES);
            let failure = Failure::new(*code, message.replace("{}", &job.name));
            self.try_run(Command::fail(job.id, failure))?;
            return Ok(true);
        }
        if job.done == job.total {
            let message = format!("{} {} done", job.total, job.kind.unit);
            self.try_run(Command::succeed(job.id, Success::with_message(message)))?;
            return Ok(true);
        }
        let says = job.kind.says;
        let step = u128::from(job.done) * says.len() as u128 / u128::from(job.total.max(1));
        let message = usize::try_from(step).ok().and_then(|step| says.get(step));
        let unit = job.kind.unit.into();
        let report = Report {
            message: message.map(|message| (*message).to_owned()),
            severity: None,
            progress: Some(Progress { done: job.done, total: Some(job.total), unit }),
        };
        let report = Command::report(job.id, report).durability(Durability::Deferred);
        self.try_run(report)?;
        Ok(false)
    }

    /// An operator steps in.
    fn interfere(&mut self, job: &Live) -> Result<bool> {
        let is_cancel = self.random.below(2) == 0;
        let action = if is_cancel { Action::Cancel } else { Action::Pause };
        self.ask(job, action)?;
        Ok(is_cancel)
    }

    fn perhaps_resume(&mut self, job: &Live) -> Result<bool> {
        if self.random.below(80) == 0 {
            self.ask(job, Action::Resume)?;
        }
        Ok(false)
    }

    fn ask(&mut self, job: &Live, action: Action) -> Result<()> {
        let by = Actor::named(*self.pick(OPERATORS));
        let reason = *self.pick(REASONS);
        self.try_run(Command::request(job.id, action).by(by).because(reason))
    }

    /// Runs it. That a job is not where the story has it means that somebody else moved it.
    fn try_run(&self, command: Command) -> Result<()> {
        use jobtrack::ErrorKind::{
            CancelPending, Gone, JobEnded, NotFound, NotPaused, NotQueued, NotRunning,
        };
        match self.tracker.run(command) {
            Err(error)
                if !matches!(
                    error.kind(),
                    JobEnded | NotQueued | NotRunning | NotPaused | CancelPending | NotFound | Gone
                ) =>
            {
                Err(error)
            }
            _ => Ok(()),
        }
    }

    /// Jobs that have ended within the retention, so that there is something to see at once.
    fn tell_the_past(&mut self) -> Result<()> {
        let now = self.tracker.now();
        let retention = self.tracker.options().retention;
        let window = u64::try_from(retention.as_micros()).unwrap_or(u64::MAX).max(1);
        let mut commands = Vec::new();
        for _ in 0..HISTORY {
            let ago = Duration::from_micros(self.random.below(window));
            let took = Duration::from_millis(500 + self.random.below(180_000));
            if let Some(command) = self.ended(before(now, ago), took, retention) {
                commands.push(command.durability(Durability::Deferred));
            }
        }
        for result in self.tracker.run_all(commands) {
            // One whose time is up by now is no loss.
            if let Err(error) = result
                && error.kind() != jobtrack::ErrorKind::Gone
            {
                return Err(error);
            }
        }
        self.tracker.sync()
    }

    fn ended(&mut self, end: Timestamp, took: Duration, retention: Duration) -> Option<Command> {
        let (kind, name, job) = self.new_job();
        let start = before(end, took);
        let total = self.total(kind);
        let mut parts = json!({
            "uuid": self.random.uuid(),
            "state": "success",
            "message": format!("{total} {} done", kind.unit),
            "create_time": before(start, Duration::from_millis(self.random.below(9_000))),
            "start_time": start,
            "end_time": end,
            "update_time": end,
            "retained_from": end,
            "retention": retention.as_secs(),
            "description": job.description,
            "kind": job.kind,
            "node": job.node,
            "scope": job.scope,
            "labels": job.labels,
            "progress": {"done": total, "total": total, "unit": kind.unit},
        });
        if self.random.below(12) == 0 {
            let (code, message) = self.pick(FAILURES);
            let failed = self.random.below(total);
            let failure = json!({
                "state": "failure", "cause": "error", "code": code,
                "message": message.replace("{}", &name),
                "progress": {"done": failed, "total": total, "unit": kind.unit},
            });
            let (parts, failure) = (parts.as_object_mut()?, failure.as_object()?);
            parts.extend(failure.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        serde_json::from_value(parts).ok().map(Command::import)
    }

    fn new_job(&mut self) -> (&'static Kind, String, NewJob) {
        let kind = self.pick(KINDS);
        let name = format!("{}{}", kind.object, self.random.below(240));
        let scope = Scope { name: (*self.pick(SCOPES)).into(), id: jobtrack::Text::new() };
        let tier = ("tier".to_owned(), (*self.pick(TIERS)).to_owned());
        let job = NewJob {
            kind: kind.name.to_owned(),
            node: format!("node{}", 1 + self.random.below(4)),
            scope: Some(scope),
            labels: [tier].into(),
            ..NewJob::described(format!("{} {name}", kind.does))
        };
        (kind, name, job)
    }

    /// How much there is to do: from a third of the usual to all of it.
    fn total(&mut self, kind: &Kind) -> u64 {
        kind.total / 3 + self.random.below(kind.total - kind.total / 3) + 1
    }

    fn pick<T>(&mut self, list: &'static [T]) -> &'static T {
        let at = usize::try_from(self.random.below(list.len() as u64)).unwrap_or(0);
        #[allow(clippy::indexing_slicing)] // No list above is empty, and `below` ends before it.
        &list[at]
    }
}

fn before(time: Timestamp, span: Duration) -> Timestamp {
    let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(time.as_micros().saturating_sub(micros)).unwrap_or(Timestamp::MIN)
}

/// Numbers from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if that is 0.
    fn below(&mut self, end: u64) -> u64 {
        self.next().checked_rem(end).unwrap_or(0)
    }

    fn uuid(&mut self) -> uuid::Uuid {
        uuid::Builder::from_random_bytes(
            (u128::from(self.next()) << 64 | u128::from(self.next())).to_be_bytes(),
        )
        .into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use jobtrack::{Expr, MemoryStore, Names, Options, Query};

    use super::*;

    #[test]
    fn the_story_is_full_at_once_and_every_state_comes_up() {
        let tracker = Tracker::open(MemoryStore::new(), Options::default()).unwrap();
        let mut story = Story { tracker: tracker.clone(), random: Random(SEED), live: Vec::new() };
        story.tell_the_past().unwrap();
        let counts = tracker.counts().unwrap();
        assert!(counts.of_state(State::Success) > HISTORY / 2);
        assert!(counts.of_state(State::Failure) > 0);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..20_000 {
            story.turn().unwrap();
            let counts = tracker.counts().unwrap();
            let states = State::ALL.iter().filter(|state| counts.of_state(**state) > 0);
            seen.extend(states.map(|state| state.as_str()));
            if seen.len() == State::ALL.len() {
                break;
            }
        }
        assert_eq!(seen.len(), State::ALL.len(), "{seen:?}");
        assert!(story.live.len() < 200, "{} are live", story.live.len());
        let canceled = Expr::parse("cause", "canceled", Names::Native).unwrap();
        for job in tracker.query(&Query::matching(canceled)).unwrap().jobs {
            assert!(!job.message.is_empty());
        }
    }
}
