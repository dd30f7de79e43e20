//! What parents and children are to each other: when a parent may succeed, who is canceled with
//! whom, and who stays as long as whom.

use std::collections::BTreeMap;

use super::{Asked, Moment, Outcome, decide};
use crate::command::Update;
use crate::error::{Error, ErrorKind, Result};
use crate::job::{Action, Actor, Job, Phase, State};

/// When parents may succeed.
///
/// ```
/// use jobtrack::{FamilyOptions, RollUp};
///
/// let options = FamilyOptions {
///     by_kind: [("batch".to_owned(), RollUp::Succeeded)].into(),
///     ..FamilyOptions::default()
/// };
/// assert_eq!(options.roll_up("batch"), RollUp::Succeeded);
/// assert_eq!(options.roll_up("backup"), RollUp::Ended);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FamilyOptions {
    /// When a parent may succeed: once its children have ended.
    pub roll_up: RollUp,
    /// The same for kinds of parents that differ from that.
    pub by_kind: BTreeMap<String, RollUp>,
}

impl FamilyOptions {
    /// When a parent of this kind may succeed.
    pub fn roll_up(&self, kind: &str) -> RollUp {
        self.by_kind.get(kind).copied().unwrap_or(self.roll_up)
    }
}

/// When a parent may succeed. It may fail at any time, and then its children are canceled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RollUp {
    /// At any time.
    Free,
    /// Once its children have ended, however they did.
    #[default]
    Ended,
    /// Once its children have succeeded, all that are still known.
    Succeeded,
}

/// How many children a job has in each state, in the order of [`State::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Children([u32; 5]);

impl Children {
    /// How many are in this state.
    pub fn of_state(&self, state: State) -> u32 {
        self.0.get(place(state)).copied().unwrap_or_default()
    }

    /// How many there are.
    pub fn total(&self) -> u32 {
        self.0.iter().sum()
    }

    /// How many have not ended.
    pub fn live(&self) -> u32 {
        self.total() - self.of_state(State::Success) - self.of_state(State::Failure)
    }

    /// A child has come into a state, or left it.
    pub(crate) fn count(&mut self, before: Option<State>, after: Option<State>) {
        if let Some(count) = after.and_then(|state| self.0.get_mut(place(state))) {
            *count += 1;
        }
        if let Some(count) = before.and_then(|state| self.0.get_mut(place(state))) {
            *count -= 1;
        }
    }
}

fn place(state: State) -> usize {
    match state {
        State::Queued => 0,
        State::Running => 1,
        State::Paused => 2,
        State::Success => 3,
        State::Failure => 4,
    }
}

/// Refuses the success of a parent whose children stand against it.
pub(crate) fn check_roll_up(
    job: &Job,
    update: &Update,
    children: Children,
    options: &FamilyOptions,
) -> Result<()> {
    if !matches!(update, Update::Succeed(_)) || job.state().is_terminal() {
        return Ok(());
    }
    let roll_up = options.roll_up(&job.kind);
    let (live, failed) = (children.live(), children.of_state(State::Failure));
    let message = match roll_up {
        RollUp::Ended | RollUp::Succeeded if live > 0 => {
            format!("{live} of its {} children have not ended", children.total())
        }
        RollUp::Succeeded if failed > 0 => {
            format!("{failed} of its {} children have failed", children.total())
        }
        _ => return Ok(()),
    };
    let message = format!("the job cannot succeed: {message}");
    Err(Error::new(ErrorKind::NotRolledUp, message).with_job(job.uuid))
}

/// Whether a job takes no children any more.
pub(crate) fn check_parent(parent: &Job) -> Result<()> {
    let refused = |kind, message: String| Err(Error::new(kind, message).with_field("parent"));
    let id = parent.uuid;
    if parent.state().is_terminal() {
        return refused(ErrorKind::JobEnded, format!("job {id} has ended in {}", parent.state()));
    }
    if asks_for_end(parent) {
        let message = format!("job {id} is to be canceled, and its children with it");
        return refused(ErrorKind::CancelPending, message);
    }
    Ok(())
}

/// Whether a parent's children are to be canceled.
fn asks_for_end(parent: &Job) -> bool {
    let wants_end = |request: &crate::job::Request| request.action == Action::Cancel;
    parent.state() == State::Failure || parent.requested.as_deref().is_some_and(wants_end)
}

/// Whether a change of a job may concern its children: its end, its stay, or the wish to end it.
pub(crate) fn concerns_children(before: Option<&Job>, after: Option<&Job>) -> bool {
    let aspects = |job: &Job| (job.state().is_terminal(), job.expire_time(), asks_for_end(job));
    before.map(aspects) != after.map(aspects)
}

/// Lets a child that has ended stay as its parent does: without end while the parent lives, and
/// never less than the parent after that.
pub(crate) fn keep(child: &mut Job, parent: Option<&Job>) {
    let Some(from) = child.retention.from else { return };
    let own = from.saturating_add(child.retention.span);
    let is_held = child.held.is_some();
    let (Phase::Success { ended, .. } | Phase::Failure { ended, .. }) = &mut child.phase else {
        return;
    };
    if is_held {
        ended.expire_time = None;
        return;
    }
    ended.expire_time = match parent.map(Job::expire_time) {
        // It lives or is held, or stays itself for somebody who does.
        Some(None) => None,
        Some(Some(expire_time)) => Some(own.max(ended.expire_time.unwrap_or(own)).max(expire_time)),
        None => Some(ended.expire_time.unwrap_or(own)),
    };
}

/// The child after its parent's change, if that changes it: canceled along, or staying as long.
pub(crate) fn follow(
    child: &Job,
    parent: Option<&Job>,
    message_bytes: usize,
    now: Moment,
) -> Option<Job> {
    if child.state().is_terminal() {
        let mut next = child.clone();
        keep(&mut next, parent);
        next.update_time = now.wall.max(child.update_time);
        return (next.expire_time() != child.expire_time()).then_some(next);
    }
    let parent = parent.filter(|parent| asks_for_end(parent))?;
    let reason = match parent.state() {
        State::Failure => format!("its parent {} has failed", parent.uuid),
        _ => format!("its parent {} is to be canceled", parent.uuid),
    };
    let nobody = Actor::default();
    let asked = Asked { message_bytes, ..Asked::of(&nobody, &reason) };
    // What it does not allow, it is not made to do.
    match decide(child, &Update::Request(Action::Cancel), asked, now) {
        Ok(Outcome::Changed(next)) => Some(next),
        _ => None,
    }
}
