//! What a commit notes for the logs of its jobs, until it has its number.

use super::{Decided, Group, Plan, Touched};
use crate::command::{Command, Report, Update};
use crate::job::{Action, Actor, Cause, Job, JobId, LogEntry, LogKind, Revision, Severity, State};

/// One change of a job, for its log.
pub(super) struct Note {
    /// The job as the change left it, among those made.
    made: usize,
    /// The note before it of the same job.
    earlier: Option<usize>,
    kind: LogKind,
    from: Option<State>,
    actor: Actor,
    reason: String,
    /// How much the message matters, if the change told one.
    severity: Option<Severity>,
}

/// What a commit does to the log of one job.
pub(in crate::tracker) enum Logged {
    /// These entries come behind those that are there.
    Grows(u64, JobId, Vec<LogEntry>),
    /// The job is new, and so is its log. It may have the key of one that nobody can see any more.
    Begins(u64, JobId, Vec<LogEntry>),
    /// The job is gone, and its log with it.
    Ends(u64),
}

impl Group<'_> {
    /// Notes that a job has become known.
    pub(super) fn note_new(&mut self, decided: &Decided, kind: LogKind, command: &Command) {
        let Some(made) = self.to_note(decided) else { return };
        let has_message = self.plan.made.get(made).is_some_and(|job| !job.message.is_empty());
        let severity = has_message.then_some(Severity::Info);
        let (actor, reason) = (command.actor.clone(), command.reason.clone());
        self.note(Note { made, earlier: None, kind, from: None, actor, reason, severity });
    }

    /// Notes what a command has made of a job.
    pub(super) fn note_update(
        &mut self,
        decided: &Decided,
        before: &Job,
        command: &Command,
        update: &Update,
    ) {
        let (Some(kind), Some(made)) = (kind_of(update), self.to_note(decided)) else { return };
        let Some(job) = self.plan.made.get(made) else { return };
        let told = match update {
            Update::Report(report) => report.severity.or(Some(Severity::Info)),
            _ => severity_of_change(before, job),
        };
        let mut actor = command.actor.clone();
        if let (LogKind::Claimed, "", Some(lease)) = (kind, actor.name(), &job.lease) {
            actor = Actor::named(&*lease.holder);
        }
        let reason = command.reason.clone();
        let (from, severity) = (Some(before.state()), told);
        self.note(Note { made, earlier: None, kind, from, actor, reason, severity });
    }

    /// Notes what has become of a job whose lease or deadline had run out.
    pub(super) fn note_lapse(&mut self, decided: &Decided, before: &Job) {
        let Some(made) = self.to_note(decided) else { return };
        let Some(job) = self.plan.made.get(made) else { return };
        let (kind, reason) = match (job.cause(), &before.lease) {
            (Some(Cause::TimedOut), _) | (_, None) => (LogKind::TimedOut, String::new()),
            (_, Some(lease)) => {
                (LogKind::Lost, format!("{} was not heard of in time", lease.holder))
            }
        };
        self.note_by_itself(made, kind, before, reason);
    }

    /// Notes that a child has followed its parent's end. That one which has ended stays as long as
    /// its parent does is worth no entry.
    pub(super) fn note_follow(&mut self, decided: &Decided, before: &Job) {
        let Some(made) = self.to_note(decided) else { return };
        let Some(job) = self.plan.made.get(made) else { return };
        if before.state().is_terminal() {
            return;
        }
        let reason = job.requested.as_ref().map(|request| request.reason.to_string());
        self.note_by_itself(made, LogKind::CancelRequested, before, reason.unwrap_or_default());
    }

    fn note_by_itself(&mut self, made: usize, kind: LogKind, before: &Job, reason: String) {
        let Some(job) = self.plan.made.get(made) else { return };
        let severity = severity_of_change(before, job);
        let (from, actor) = (Some(before.state()), Actor::default());
        self.note(Note { made, earlier: None, kind, from, actor, reason, severity });
    }

    /// The job of which to note something: one that was made, where there is a store that keeps logs.
    fn to_note(&self, decided: &Decided) -> Option<usize> {
        match decided {
            Decided::Made(made) if self.keeps_records => Some(*made),
            _ => None,
        }
    }

    /// Puts the note behind those of the same job.
    fn note(&mut self, note: Note) {
        let Some(job) = self.plan.made.get(note.made) else { return };
        let Some(touched) = self.plan.touched.get_mut(&job.uuid) else { return };
        let earlier = touched.noted.replace(self.plan.notes.len());
        self.plan.notes.push(Note { earlier, ..note });
    }
}

impl Plan {
    /// What the commit does to the logs of its jobs.
    pub(in crate::tracker) fn logged(&self, epoch: u64) -> impl Iterator<Item = Logged> {
        self.touched.iter().filter_map(move |(id, touched)| {
            let Touched { key, stored, now, noted, .. } = *touched;
            if now.is_none() {
                return stored.map(|_| Logged::Ends(key));
            }
            let mut entries = Vec::with_capacity(1);
            let mut begins = false;
            let notes =
                std::iter::successors(self.notes.get(noted?), |note| self.notes.get(note.earlier?));
            for note in notes {
                entries.extend(self.made.get(note.made).map(|job| note.entry(job, epoch)));
                begins = matches!(note.kind, LogKind::Created | LogKind::Imported);
                // One of the same uuid that the group had before is gone.
                if begins {
                    break;
                }
            }
            entries.reverse();
            for (entry, ordinal) in entries.iter_mut().zip(0..) {
                entry.ordinal = ordinal;
            }
            Some(if begins {
                Logged::Begins(key, *id, entries)
            } else {
                Logged::Grows(key, *id, entries)
            })
        })
    }
}

impl Note {
    /// The entry, but for which one it is.
    fn entry(&self, job: &Job, epoch: u64) -> LogEntry {
        let Note { kind, from, severity, .. } = *self;
        let (actor, reason, ordinal) = (self.actor.clone(), self.reason.clone(), 0);
        let to = Some(job.state()).filter(|to| from != Some(*to));
        // The number is the store's to give.
        let revision = Revision { epoch, number: 0 };
        let message = severity.map(|_| job.message.to_string());
        let time = job.update_time;
        LogEntry { revision, ordinal, time, kind, from, to, actor, reason, severity, message }
    }
}

/// What an update is called in the log; None if it is not worth an entry: a lease that is renewed,
/// or progress alone.
fn kind_of(update: &Update) -> Option<LogKind> {
    match update {
        Update::Start => Some(LogKind::Started),
        Update::Report(Report { message: Some(_), .. }) => Some(LogKind::Message),
        Update::Report(_) | Update::Renew(_) | Update::Delete => None,
        Update::Pause => Some(LogKind::Paused),
        Update::Resume => Some(LogKind::Resumed),
        Update::Succeed(_) => Some(LogKind::Succeeded),
        Update::Fail(_) => Some(LogKind::Failed),
        Update::Request(Action::Pause) => Some(LogKind::PauseRequested),
        Update::Request(Action::Resume) => Some(LogKind::ResumeRequested),
        Update::Request(Action::Cancel) => Some(LogKind::CancelRequested),
        Update::Extend(_) => Some(LogKind::Extended),
        Update::Hold => Some(LogKind::Held),
        Update::Unhold => Some(LogKind::Unheld),
        Update::Relabel(_) => Some(LogKind::Relabeled),
        Update::Claim(_) => Some(LogKind::Claimed),
        Update::Release => Some(LogKind::Released),
        Update::FreeKey => Some(LogKind::KeyFreed),
    }
}

/// How much the message matters that a change told; None if it told none.
fn severity_of_change(before: &Job, after: &Job) -> Option<Severity> {
    if after.message == before.message {
        return None;
    }
    Some(match after.state() {
        State::Failure => Severity::Error,
        State::Success if after.code() != 0 => Severity::Warning,
        _ => Severity::Info,
    })
}
