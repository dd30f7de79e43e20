//! Tells the server what becomes of the command, and hears what is asked of it.
//!
//! On a thread of its own: a server that is slow or away must hold up neither the command nor its
//! output, nor a Ctrl-C.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use jobtrack::{Action, Cause, JobId};
use serde_json::{Value, json};

use super::Event;
use super::output::Output;
use crate::record::Record;
use crate::target::Target;
use crate::{Exit, Failed};

/// Five reports a second at most; the last line wins.
const PACE: Duration = Duration::from_millis(200);
/// How often to look for requests while there is nothing to report.
const LOOK: Duration = Duration::from_millis(500);
/// How long to leave a server alone that did not answer.
const REST: Duration = Duration::from_secs(1);

/// What the supervisor has to say.
pub(super) enum Word {
    /// Somebody at the command's terminal cancels it, with this reason.
    Canceled(String),
    /// Whether the command is stopped.
    Halted(bool),
    /// The command has ended, and this is the body that says so.
    Ended(Value),
}

pub(super) struct Courier {
    pub(super) target: Target,
    pub(super) id: JobId,
    pub(super) output: Arc<Output>,
    pub(super) retry: Duration,
}

/// What the courier knows.
struct Round {
    courier: Courier,
    events: Sender<Event>,
    /// A reason for which a cancel is to be asked.
    cancel: Option<String>,
    is_halted: bool,
    /// What was told last of being stopped.
    told_halted: bool,
    /// What was passed on to the supervisor last.
    passed_on: Option<Action>,
    /// Whether there is still a job to tell of.
    is_tracked: bool,
    is_away: bool,
    next_look: Instant,
}

impl Courier {
    /// Sets out, and returns where words are taken.
    #[allow(clippy::disallowed_methods)] // The pace of requests is no time of a job.
    pub(super) fn set_out(self, events: Sender<Event>) -> Sender<Word> {
        let (sender, words) = channel();
        let round = Round {
            courier: self,
            events,
            cancel: None,
            is_halted: false,
            told_halted: false,
            passed_on: None,
            is_tracked: true,
            is_away: false,
            next_look: Instant::now(),
        };
        std::thread::spawn(move || round.go(&words));
        sender
    }
}

#[allow(clippy::disallowed_methods)] // As above.
impl Round {
    fn go(mut self, words: &Receiver<Word>) {
        loop {
            match words.recv_timeout(PACE) {
                Ok(Word::Canceled(reason)) => self.cancel = Some(reason),
                Ok(Word::Halted(is_halted)) => self.is_halted = is_halted,
                Ok(Word::Ended(body)) => {
                    self.end(&body);
                    let events = self.events.clone();
                    // The program ends once it is told, and a store is closed before.
                    drop(self);
                    let _ = events.send(Event::Told);
                    return;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.is_tracked && (!self.is_away || Instant::now() >= self.next_look) {
                let told = self.tell();
                self.note(told);
            }
        }
    }

    /// Tells the most pressing of what there is to tell, or looks.
    fn tell(&mut self) -> Result<(), Failed> {
        if let Some(reason) = &self.cancel {
            let body = json!({"action": "cancel", "reason": reason});
            let asked = self.change("request", &body);
            settle(asked)?;
            self.cancel = None;
        }
        if self.is_halted != self.told_halted {
            let verb = if self.is_halted { "pause" } else { "resume" };
            settle(self.change(verb, &json!({})))?;
            self.told_halted = self.is_halted;
        }
        if let Some(line) = self.courier.output.news() {
            let path = "report?durability=deferred";
            let told = self.change(path, &json!({"message": line}));
            let record = told.inspect_err(|_| self.courier.output.again())?;
            self.hear(&record);
        } else if Instant::now() >= self.next_look {
            let record = self.courier.target.get(self.courier.id, "")?;
            self.hear(&record);
        }
        Ok(())
    }

    /// Passes on what is asked, once.
    fn hear(&mut self, record: &Record) {
        self.next_look = Instant::now() + LOOK;
        if record.has_ended() {
            self.lose("somebody else has ended the job");
            return;
        }
        let asked = record.text("requested.action");
        let asked = Action::ALL.iter().find(|action| action.as_str() == asked).copied();
        if let Some(action) = asked.filter(|_| asked != self.passed_on) {
            let _ = self.events.send(Event::Asked(action, canceled_by(record)));
        }
        self.passed_on = asked;
    }

    /// Notes how telling went. No failure of it is one of the command.
    fn note(&mut self, told: Result<(), Failed>) {
        let failed = match told {
            Ok(()) => {
                self.is_away = false;
                return;
            }
            Err(failed) => failed,
        };
        match failed.exit {
            Exit::NoJob => self.lose("the job is gone"),
            Exit::Refused => self.lose(&failed.message),
            _ => {
                if !std::mem::replace(&mut self.is_away, true) {
                    eprintln!("jobtrack: {}; the command goes on", failed.message);
                }
                self.next_look = Instant::now() + REST;
            }
        }
    }

    fn lose(&mut self, why: &str) {
        self.is_tracked = false;
        eprintln!("jobtrack: {why}; the command goes on, and is not tracked any more");
    }

    /// Tells the end, and tries again as long as nobody hears it.
    fn end(&mut self, body: &Value) {
        if !self.is_tracked {
            return;
        }
        let give_up = Instant::now().checked_add(self.courier.retry);
        if let Some(reason) = self.cancel.take() {
            // Only so that it is known who asked; the end says that it was canceled.
            let _ = self.change("request", &json!({"action": "cancel", "reason": reason}));
        }
        let mut is_repeated = false;
        loop {
            let failed = match self.change("finish", body) {
                Ok(_) => return,
                // The answer to an earlier try was lost, and the job has ended by it.
                Err(failed) if failed.exit == Exit::Refused && is_repeated => return,
                Err(failed) => failed,
            };
            let is_final = matches!(failed.exit, Exit::NoJob | Exit::Refused | Exit::Usage);
            if is_final || give_up.is_some_and(|at| Instant::now() >= at) {
                eprintln!("jobtrack: the end of the job was not reported: {}", failed.message);
                return;
            }
            if !std::mem::replace(&mut is_repeated, true) {
                eprintln!(
                    "jobtrack: {}; the command has ended, trying to report it (Ctrl-C gives up)",
                    failed.message
                );
            }
            std::thread::sleep(REST);
        }
    }

    fn change(&self, verb: &str, body: &Value) -> Result<Record, Failed> {
        self.courier.target.change(self.courier.id, verb, body)
    }
}

/// What the end says of a cancel that was asked: by whom and why, as the engine says it.
fn canceled_by(record: &Record) -> String {
    let mut said = Cause::Canceled.default_message().to_owned();
    for (word, name) in [(" by ", "requested.by"), (": ", "requested.reason")] {
        let value = record.text(name);
        if !value.is_empty() {
            said.push_str(&format!("{word}{value}"));
        }
    }
    said
}

/// What is refused needs no second try: it is so already, or somebody asked for the opposite.
fn settle(told: Result<Record, Failed>) -> Result<(), Failed> {
    match told {
        Err(failed) if failed.exit != Exit::Refused => Err(failed),
        _ => Ok(()),
    }
}
