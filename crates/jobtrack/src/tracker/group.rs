//! One commit in the making: commands decided in turn, what is due swept, and the batch of it all.

mod caps;
mod claim;
mod family;
mod keys;
mod log;
mod retention;
mod upkeep;

use std::cell::RefCell;
use std::sync::Arc;

use uuid::Uuid;

use self::caps::Room;
use self::keys::key_taken;
pub(super) use self::log::Logged;
use self::log::Note;
use super::archiving::Removals;
use super::progress::{self, Overlay};
use super::shortlist::Shortlists;
use super::ticket::Entry;
use super::{Applied, Options, View};
use crate::clock::Clock;
use crate::command::{Change, Command, Update};
use crate::error::{Error, ErrorKind, Result};
use crate::job::{Gone, Job, JobId, LogKind, Revision, Tenant};
use crate::lifecycle::{self, Asked, Children, Moment, Outcome};
use crate::limits::check_count;
use crate::store::{
    Batch, Claims, Durability, Expectation, FORGOTTEN_KEY, Forgotten, HEAD_KEY, Head, Key, Space,
    Stay, Tombstone, Write, claims_key, encode_claims, encode_forgotten, encode_head, encode_job,
    encode_tombstone,
};
use crate::table::{FastMap, IdempotencyKey, Part, PlaceId, Row, RowId, Segment, Table};
use crate::timestamp::Timestamp;
use crate::watch::{After, Before, Transition};

/// One part in so many of the memory is kept for jobs that are there already.
const MEMORY_RESERVE: usize = 8;

/// What a tenant hears where there is no room: how many jobs others have is not theirs to know.
const FULL: &str = "there is no room for another job until some have gone";

/// The same where a parent cannot succeed.
const NOT_ROLLED_UP: &str = "the job cannot succeed: its children stand against it";

/// The growing numbers under which the next records will stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct NextKeys {
    pub(super) job: u64,
    pub(super) tombstone: u64,
}

/// One commit in the making, upon a table that does not change meanwhile.
pub(super) struct Group<'a> {
    table: &'a Table,
    options: &'a Options,
    clock: &'a dyn Clock,
    shortlists: &'a mut Shortlists,
    /// Progress that was reported ahead of the store.
    overlay: &'a Overlay,
    now: Moment,
    format: u32,
    epoch: u64,
    /// Whether there are commits that are not synced yet.
    has_deferred: bool,
    removals: Removals,
    /// Whether the store wants records of what is done.
    keeps_records: bool,
    plan: Plan,
    durability: Durability,
    created: usize,
    removed: usize,
    room: Room<'a>,
}

struct Touched {
    key: u64,
    /// The number of the commit that wrote the record before; None for a new job.
    stored: Option<u64>,
    /// What the store has of its claims. Boxed, as what follows, since few of many jobs have any.
    claims: Option<Box<Claims>>,
    /// What the store has of how it was told to stay.
    stay: Option<Box<Stay>>,
    /// Its place among those made; None if it is gone.
    now: Option<usize>,
    /// The head that it is swept from, or the segment and row.
    row: Option<(PlaceId, Option<RowId>)>,
    /// The latest of its notes for the log.
    noted: Option<usize>,
}

/// Where a job's record stands, and what stood there before.
struct Place {
    key: u64,
    /// As of what the group touched.
    stored: Option<u64>,
    /// As those who watch know it: without progress that was reported ahead of the store.
    before: Option<Version>,
}

/// One transition of one job, before the commit has its number.
struct Step {
    before: Option<Version>,
    after: Next,
}

#[derive(Clone)]
enum Version {
    Stored(Arc<Job>),
    Made(usize),
    /// Of a job that was swept: a job is made of its row only if somebody asks.
    Row(Arc<Segment>, RowId),
}

enum Next {
    Made(usize),
    Gone(Arc<Gone>),
}

enum Decided {
    /// Refused. A refusal that rests on what this group has changed holds only if it is committed.
    Refused(Error, RestsOn),
    /// The job as the table has it was asked to be what it is. That may rest on this group's
    /// commit too: to be synced along with it.
    Unchanged(Arc<Job>, RestsOn),
    /// A job that the group made.
    Made(usize),
    /// The creation had been made before.
    Repeat(Box<Decided>),
    /// A job that the group took away, as it last stood.
    Gone(Arc<Job>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum RestsOn {
    Table,
    Group,
}

/// A group that is ready to be committed.
pub(super) struct Prepared {
    pub(super) batch: Batch,
    pub(super) plan: Plan,
}

/// What is to be done once the batch is committed, or has failed.
pub(super) struct Plan {
    pub(super) keys: NextKeys,
    /// What the group has made of each job it touched.
    touched: FastMap<JobId, Touched>,
    /// Every job that the group made, in turn; a later one of the same job replaces the earlier.
    made: Vec<Arc<Job>>,
    /// What the group did, in turn, for those who watch.
    steps: Vec<Step>,
    /// The same for the logs of its jobs, but for what is not worth an entry.
    notes: Vec<Note>,
    buried: Vec<(u64, Tombstone)>,
    /// Whether a job went without a tombstone.
    lost_one: bool,
    forgotten_tombstones: Vec<(u64, JobId)>,
    /// The keys that jobs of this group have, or (None) had.
    keys_taken: FastMap<IdempotencyKey, Option<JobId>>,
    /// What became of each command, in turn.
    decided: Vec<Decided>,
    /// The latest expiry among the jobs swept.
    pub(super) swept_until: Option<Timestamp>,
    pub(super) swept: usize,
    /// Jobs that go, for the archive if there is one.
    pub(super) leaving: Vec<Arc<Job>>,
    /// Jobs that had to make room for others.
    pub(super) evicted: usize,
    /// Jobs whose lease or deadline had run out.
    pub(super) lapsed: usize,
    /// Children that followed a change of their parent.
    pub(super) followed: usize,
    /// Parents whose children were looked at, up to which one; None is all of them.
    pub(super) looked_at: Vec<(JobId, Option<JobId>)>,
    /// The latest report of progress that each job was found with.
    overlaid: RefCell<FastMap<JobId, u64>>,
    /// How many children a job has by now, of parents of what the group touched.
    children: FastMap<JobId, Children>,
}

impl<'a> Group<'a> {
    pub(super) fn new(
        view: &'a View,
        options: &'a Options,
        clock: &'a dyn Clock,
        now: Moment,
        keys: NextKeys,
        shortlists: &'a mut Shortlists,
        overlay: &'a Overlay,
    ) -> Self {
        let plan = Plan {
            keys,
            touched: FastMap::default(),
            made: Vec::new(),
            steps: Vec::new(),
            notes: Vec::new(),
            buried: Vec::new(),
            lost_one: false,
            forgotten_tombstones: Vec::new(),
            keys_taken: FastMap::default(),
            decided: Vec::new(),
            swept_until: None,
            swept: 0,
            leaving: Vec::new(),
            evicted: 0,
            lapsed: 0,
            followed: 0,
            looked_at: Vec::new(),
            overlaid: RefCell::default(),
            children: FastMap::default(),
        };
        Group {
            table: &view.table,
            options,
            clock,
            shortlists,
            overlay,
            now,
            format: view.format,
            epoch: view.table.revision.epoch,
            has_deferred: view.has_deferred,
            removals: Removals::All,
            keeps_records: true,
            plan,
            durability: Durability::Deferred,
            created: 0,
            removed: 0,
            room: Room::with_bytes(view.record_bytes),
        }
    }

    /// Lets the group remove no more than this.
    pub(super) fn removing(self, removals: Removals) -> Self {
        Group { removals, ..self }
    }

    /// Makes records only where the store keeps them.
    pub(super) fn keeping(self, keeps_records: bool) -> Self {
        Group { keeps_records, ..self }
    }

    /// Makes room for what so many commands come to, in one go: what grows by and by is moved several
    /// times.
    pub(super) fn expecting(mut self, commands: usize) -> Self {
        self.plan.touched.reserve(commands);
        self.plan.made.reserve(commands);
        self.plan.steps.reserve(commands);
        self.plan.notes.reserve(commands * usize::from(self.keeps_records));
        self.plan.decided.reserve(commands);
        self
    }

    /// Takes up to `budget` jobs and as many tombstones whose time is up, and as many jobs whose
    /// lease or deadline has run out.
    pub(super) fn sweep(&mut self, budget: usize) {
        let table = self.table;
        let due = table.tombstones.due(self.now.engine, self.options.tombstones.at_most);
        self.plan.forgotten_tombstones.extend(due.take(budget));
        self.sweep_due(budget);
        for id in table.sides.timers.due(self.now.engine).take(budget) {
            if let Ok((job, place)) = self.find(id) {
                self.lapse(&job, place);
            }
        }
        self.follow(budget);
        self.shrink(budget);
    }

    /// Decides one command.
    pub(super) fn decide(&mut self, entry: &Entry) {
        let Command { change, durability, .. } = &entry.command;
        let decided = match change {
            Change::Create(new) => {
                let id = new.uuid.unwrap_or_else(|| JobId::from_uuid(self.clock.new_id()));
                let retention = self.retention_of(&new.kind);
                let now = self.now;
                let (scope, key) = (new.scope.as_ref(), new.idempotency_key.as_deref());
                let key = IdempotencyKey::new(scope, key);
                match key.and_then(|key| self.of_key(&key)) {
                    Some(first) => self.repeat(&first, new, *durability),
                    None => {
                        let check = |parent: &Job| lifecycle::check_parent(parent);
                        let tenant = entry.command.tenant.as_ref();
                        match self.check_family(tenant, new.parent, check) {
                            Err(error) => Decided::Refused(error, RestsOn::Group),
                            Ok(()) => {
                                let make = || Ok(lifecycle::create(new, id, retention, now));
                                let made = self.add(tenant, id, make);
                                self.note_new(&made, LogKind::Created, &entry.command);
                                made
                            }
                        }
                    }
                }
            }
            Change::Import(parts) => {
                let (now, leases) = (self.now, &self.options.leases);
                match self.check_family(None, parts.parent, |_| Ok(())) {
                    Err(error) => Decided::Refused(error, RestsOn::Group),
                    Ok(()) => {
                        let made =
                            self.add(None, parts.uuid, || lifecycle::import(parts, leases, now));
                        self.note_new(&made, LogKind::Imported, &entry.command);
                        made
                    }
                }
            }
            Change::Update(id, update) => self.update(*id, &entry.command, update),
            Change::Claim(claim) => self.claim(&entry.command, claim),
        };
        let durability = match change {
            // Two workers would otherwise be given the same token, one before a crash and one after.
            Change::Claim(_) | Change::Update(_, Update::Claim(_)) => &Durability::Synced,
            _ => durability,
        };
        // Who hears that what was asked is so already may rely on it like any other.
        if !matches!(decided, Decided::Refused(..)) {
            self.durability = self.durability.max(*durability);
        }
        self.plan.decided.push(decided);
    }

    fn add(
        &mut self,
        tenant: Option<&Tenant>,
        id: JobId,
        make: impl FnOnce() -> Result<Job>,
    ) -> Decided {
        let rests_on = self.rests_on(id);
        let is_unknown = self.is_unknown(id);
        if !is_unknown && let Err(error) = self.check_free(id) {
            return Decided::Refused(error.with_field("uuid").with_job(id), rests_on);
        }
        if let Err(error) = self.check_memory(tenant) {
            return Decided::Refused(error.with_job(id), RestsOn::Table);
        }
        match make() {
            Err(error) => Decided::Refused(error, RestsOn::Table),
            Ok(mut job) => {
                // It is a part of the record, which is measured below.
                job.revision.epoch = self.epoch;
                // Of a job that is imported; another would have been found before.
                let key = IdempotencyKey::of(&job);
                if let Some(first) = key.and_then(|key| self.of_key(&key)) {
                    let rests_on = self.rests_on(first.uuid);
                    return Decided::Refused(key_taken(&first, "uuid"), rests_on);
                }
                if let Err(error) = self.make_room(tenant, &job) {
                    return Decided::Refused(error.with_job(id), RestsOn::Group);
                }
                let place = if is_unknown { self.new_place() } else { self.place_for(id) };
                self.created += 1;
                self.make(place, job)
            }
        }
    }

    /// Refuses new jobs before the memory is used up: what is left is for those that are there, which
    /// must still be able to change and to end.
    fn check_memory(&self, tenant: Option<&Tenant>) -> Result<()> {
        let (bytes, limit) = (self.table.bytes(), self.options.limits.memory);
        if bytes < limit - limit / MEMORY_RESERVE {
            return Ok(());
        }
        if tenant.is_some() {
            return Err(Error::new(ErrorKind::LimitExceeded, FULL));
        }
        Err(Error::new(
            ErrorKind::LimitExceeded,
            format!("the jobs take {bytes} bytes of memory, of {limit} that they may"),
        )
        .with_field("limits.memory"))
    }

    /// Answers with a job as it stands.
    fn unchanged(&self, job: &Arc<Job>, durability: Durability) -> Decided {
        match self.plan.touched.get(&job.uuid).and_then(|touched| touched.now) {
            Some(made) => Decided::Made(made),
            // Who asks for more than the job has may lose it with this group's commit.
            None if self.has_deferred && durability == Durability::Synced => {
                Decided::Unchanged(Arc::clone(job), RestsOn::Group)
            }
            None => Decided::Unchanged(Arc::clone(job), RestsOn::Table),
        }
    }

    /// Where a new job's record goes: in place of one that nobody can see any more, or behind all.
    fn place_for(&mut self, id: JobId) -> Place {
        if let Some(touched) = self.plan.touched.get(&id) {
            if touched.now.is_some() {
                self.removed += 1; // Made and expired within the group.
            }
            if touched.stored.is_some() {
                self.durability = Durability::Synced;
            }
            return touched.place();
        }
        if let Some(row) = self.table.row(id) {
            // That it is gone for good is a part of the answer.
            self.durability = Durability::Synced;
            self.removed += 1;
            return Place::of(row);
        }
        self.new_place()
    }

    /// A place behind all others.
    fn new_place(&mut self) -> Place {
        let key = self.plan.keys.job;
        self.plan.keys.job += 1;
        Place { key, stored: None, before: None }
    }

    fn update(&mut self, id: JobId, command: &Command, update: &Update) -> Decided {
        let tenant = command.tenant.as_ref();
        if self.is_anothers(tenant, id) {
            // As with a uuid that nobody ever had: that answer rests on nothing.
            return Decided::Refused(not_found(id), RestsOn::Table);
        }
        let mut rests_on = self.rests_on(id);
        let (mut job, mut place) = match self.find(id) {
            Ok(found) => found,
            Err(error) => return Decided::Refused(error, rests_on),
        };
        if lifecycle::lapses_at(&job).is_some_and(|at| at <= self.now.engine) {
            self.lapse(&job, place);
            rests_on = RestsOn::Group;
            (job, place) = match self.find(id) {
                Ok(found) => found,
                Err(error) => return Decided::Refused(error, rests_on),
            };
        }
        if let Some(expected) = command.expected
            && (rests_on == RestsOn::Group || job.revision != expected)
        {
            let error = Error::new(
                ErrorKind::Conflict,
                format!("the job is not at revision {expected} any more"),
            );
            return Decided::Refused(error.with_job(id), rests_on);
        }
        match self.decide_upon(&job, command, update) {
            Err(error) => Decided::Refused(error, rests_on),
            Ok(Outcome::Unchanged) => self.unchanged(&job, command.durability),
            Ok(Outcome::Changed(next)) => {
                let made = self.make(place, next);
                self.note_update(&made, &job, command, update);
                made
            }
            Ok(Outcome::Forgotten) if self.is_unsettled(id) => {
                let message = "its children have not followed its end yet; try again in a moment";
                let error = Error::new(ErrorKind::StillLive, message).with_job(id);
                Decided::Refused(error, rests_on)
            }
            Ok(Outcome::Forgotten) if let Removals::None(error) = &self.removals => {
                Decided::Refused(error.clone().with_job(id), rests_on)
            }
            Ok(Outcome::Forgotten) => {
                self.bury(&job, place, true);
                Decided::Gone(job)
            }
        }
    }

    fn decide_upon(&self, job: &Job, command: &Command, update: &Update) -> Result<Outcome> {
        let holder = match update {
            Update::Claim(hold) => Some(self.holder(hold)?),
            _ => None,
        };
        let asked = Asked {
            message_bytes: self.options.limits.message,
            token: command.token,
            forced: command.forced,
            holder,
            ..Asked::of(&command.actor, &command.reason)
        };
        let outcome = lifecycle::decide(job, update, asked, self.now)?;
        let families = &self.options.families;
        lifecycle::check_roll_up(job, update, self.children(job.uuid), families).map_err(
            |error| {
                match &command.tenant {
                    None => error,
                    // Those of other scopes are counted along, and how many they are is not theirs to know.
                    Some(_) => Error::new(error.kind(), NOT_ROLLED_UP).with_job(job.uuid),
                }
            },
        )?;
        if let (Update::Relabel(_), Outcome::Changed(next)) = (update, &outcome) {
            check_count("labels", next.labels.iter().count(), self.options.limits.labels)?;
        }
        Ok(outcome)
    }

    fn rests_on(&self, id: JobId) -> RestsOn {
        if self.plan.touched.contains_key(&id) { RestsOn::Group } else { RestsOn::Table }
    }

    /// The job as it stands in this group, and where that is.
    fn find(&self, id: JobId) -> Result<(Arc<Job>, Place)> {
        if let Some(touched) = self.plan.touched.get(&id) {
            return match touched.now.and_then(|made| self.plan.made.get(made)) {
                // With a retention of zero a job is gone as soon as it ends.
                Some(job) if job.is_expired(self.now.engine) => {
                    Err(expired(job, self.options, self.now.engine))
                }
                Some(job) => Ok((Arc::clone(job), touched.place())),
                None => Err(self.gone_by_now(id)),
            };
        }
        match self.table.row(id) {
            Some(row) if row.job.is_expired(self.now.engine) => {
                Err(expired(&row.job, self.options, self.now.engine))
            }
            Some(row) => {
                let job = match self.overlay.get(id) {
                    None => Arc::clone(&row.job),
                    Some((progress, number)) => {
                        self.plan.overlaid.borrow_mut().insert(id, number);
                        progress::with(&row.job, progress)
                    }
                };
                Ok((job, Place::of(row)))
            }
            None => Err(self.gone(id)),
        }
    }

    /// Why there is no such job, if the group has taken it away.
    fn gone_by_now(&self, id: JobId) -> Error {
        let mut of_group = self.plan.buried.iter().map(|(_, tombstone)| tombstone).rev();
        match of_group.find(|tombstone| tombstone.gone.uuid == id) {
            Some(tombstone) => gone(&tombstone.gone),
            None => self.gone(id),
        }
    }

    /// Whether the job of this uuid, or what is left of it, is another's than the tenant's.
    fn is_anothers(&self, tenant: Option<&Tenant>, id: JobId) -> bool {
        let Some(tenant) = tenant else { return false };
        match self.version(id).and_then(|version| self.job_of(&version)) {
            Some(job) => !tenant.owns(job.scope.as_ref()),
            None => {
                let tombstone = self.tombstone(id);
                tombstone.is_some_and(|it| !tenant.owns(it.gone.scope.as_ref()))
            }
        }
    }

    /// Why there is no such job.
    fn gone(&self, id: JobId) -> Error {
        match self.table.tombstones.get(id, self.now.engine) {
            Some(tombstone) => gone(&tombstone.gone),
            None => not_found(id),
        }
    }

    fn tombstone(&self, id: JobId) -> Option<&Tombstone> {
        let of_group = self.plan.buried.iter().map(|(_, tombstone)| tombstone);
        of_group
            .rev()
            .find(|tombstone| tombstone.gone.uuid == id)
            .or_else(|| self.table.tombstones.get(id, self.now.engine))
    }

    /// Whether nothing at all is known of this uuid, as of nearly every new job's: found out without
    /// making up a refusal on the way.
    fn is_unknown(&self, id: JobId) -> bool {
        !self.plan.touched.contains_key(&id)
            && !self.table.contains(id)
            && self.table.tombstones.record(id).is_none()
            && self.children(id).total() == 0
    }

    fn check_free(&mut self, id: JobId) -> Result<()> {
        self.bury_expired_children(id)?;
        match self.find(id) {
            Ok(_) => Err(Error::new(ErrorKind::AlreadyExists, "a job has this uuid already")),
            Err(error) if error.kind() == ErrorKind::Gone => Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("the uuid is not free yet: {}", error.message()),
            )),
            // Otherwise they would be taken for the new job's, and a family could be its own ancestor.
            Err(_) if self.children(id).total() > 0 => {
                let left = self.children(id).total();
                Err(Error::new(
                    ErrorKind::AlreadyExists,
                    format!(
                        "the uuid is not free yet: {left} children of the job that had it are \
                             still there"
                    ),
                ))
            }
            // One that nobody sees any more has its place until the archive takes it.
            Err(_) if self.version(id).is_some() => match &self.removals {
                Removals::None(error) => Err(error.clone()),
                Removals::All | Removals::Asked => Ok(()),
            },
            Err(_) => Ok(()),
        }
    }

    fn make(&mut self, place: Place, mut job: Job) -> Decided {
        let id = job.uuid;
        // The number is the store's to give; it is set when the batch is committed.
        // Until then it is after every other.
        let number = self.table.revision.number.saturating_add(1);
        job.revision = Revision { epoch: self.epoch, number };
        self.settle_stay(place.before.as_ref(), &mut job);
        if let Some(parent) = job.parent.filter(|_| job.state().is_terminal()) {
            let parent = self.version(parent).and_then(|version| self.job_of(&version));
            lifecycle::keep(&mut job, parent.as_deref());
        }
        let earlier = place.before.as_ref().and_then(|version| self.known(version));
        let (old, old_state) = match earlier {
            None => (None, None),
            Some(job) => (job.parent, Some(job.state())),
        };
        let had_key = earlier.and_then(IdempotencyKey::of);
        let claims = self.claims_before(id, earlier);
        let stay = self.stay_before(id, earlier);
        let noted = self.plan.touched.get(&id).and_then(|touched| touched.noted);
        self.count_bytes(place.before.as_ref(), Some(&job));
        if old == job.parent {
            self.count_child(old, old_state, Some(job.state()));
        } else {
            self.count_child(old, old_state, None);
            self.count_child(job.parent, None, Some(job.state()));
        }
        let Place { key, stored, mut before } = place;
        let expired = before.as_ref().and_then(|version| self.expired_version(version));
        if let Some(gone) = expired {
            self.leaves(before.as_ref().and_then(|version| self.job_of(version)));
            // The new job takes the place of one that nobody swept and that nobody can see.
            self.plan.steps.push(Step { before: before.take(), after: Next::Gone(gone) });
            self.plan.lost_one = true;
        }
        self.take_key(had_key, IdempotencyKey::of(&job), id);
        let made = self.plan.made.len();
        self.plan.steps.push(Step { before, after: Next::Made(made) });
        let job = Arc::new(job);
        if !self.shortlists.is_empty() {
            self.shortlists.changed(id, Some(&job));
        }
        self.plan.made.push(job);
        let touched = Touched { key, stored, claims, stay, now: Some(made), row: None, noted };
        self.plan.touched.insert(id, touched);
        Decided::Made(made)
    }

    /// The job as it stands in this group, expired or not.
    fn version(&self, id: JobId) -> Option<Version> {
        match self.plan.touched.get(&id) {
            Some(touched) => touched.now.map(Version::Made),
            None => self.table.row(id).map(|row| Version::Stored(row.job)),
        }
    }

    fn known<'v>(&'v self, version: &'v Version) -> Option<&'v Job> {
        match version {
            Version::Stored(job) => Some(job),
            Version::Made(index) => self.plan.made.get(*index).map(|job| &**job),
            // What was swept is gone, and nothing is decided upon it any more.
            Version::Row(..) => None,
        }
    }

    fn job_of(&self, version: &Version) -> Option<Arc<Job>> {
        match version {
            Version::Stored(job) => Some(Arc::clone(job)),
            Version::Made(index) => self.plan.made.get(*index).cloned(),
            Version::Row(segment, row) => Some(Arc::new(segment.job(*row))),
        }
    }

    /// What the store has of a job's claims, before this group; `earlier` is the job as it was found.
    fn claims_before(&self, id: JobId, earlier: Option<&Job>) -> Option<Box<Claims>> {
        if !self.keeps_records {
            return None;
        }
        match self.plan.touched.get(&id) {
            Some(touched) => touched.claims.clone(),
            None => earlier.and_then(Claims::of).map(Box::new),
        }
    }

    fn expired_version(&self, version: &Version) -> Option<Arc<Gone>> {
        let job = self.known(version)?;
        job.is_expired(self.now.engine).then(|| Arc::new(Gone::expired(job)))
    }

    fn bury(&mut self, job: &Arc<Job>, place: Place, was_deleted: bool) {
        self.leaves(Some(Arc::clone(job)));
        let engine = self.now.engine;
        let gone = if was_deleted { Gone::deleted(job, engine) } else { Gone::expired(job) };
        let id = job.uuid;
        let claims = self.claims_before(id, Some(job));
        let stay = self.stay_before(id, Some(job));
        self.count_bytes(place.before.as_ref(), None);
        let Place { key, stored, before } = place;
        self.take_key(IdempotencyKey::of(job), None, id);
        self.count_child(job.parent, Some(job.state()), None);
        let touched = Touched { key, stored, claims, stay, now: None, row: None, noted: None };
        self.lay(gone, before, touched);
    }

    /// Buries the expired job of a row that concerns nothing beside the rows, and makes no job of it.
    fn bury_row(&mut self, part: &Part, row: RowId) {
        let (key, stored) = part.segment.record(row);
        let before = Some(Version::Row(Arc::clone(&part.segment), row));
        let (stored, row_at) = (Some(stored), Some((part.id, Some(row))));
        // Of a plain row there is neither; see `Table::is_plain`.
        let (claims, stay) = (None, None);
        let touched = Touched { key, stored, claims, stay, now: None, row: row_at, noted: None };
        self.lay(part.segment.gone(row), before, touched);
    }

    /// Leaves a tombstone, unless it would be of no use by now.
    fn lay(&mut self, gone: Gone, before: Option<Version>, touched: Touched) {
        let (engine, id, gone) = (self.now.engine, gone.uuid, Arc::new(gone));
        self.plan.steps.push(Step { before, after: Next::Gone(Arc::clone(&gone)) });
        self.shortlists.changed(id, None);
        // The number is the store's to give.
        let revision = Revision { epoch: self.epoch, number: 0 };
        let tombstone = Tombstone { until: self.options.tombstones.until(&gone), gone, revision };
        // A uuid that was free again may still have the record of its earlier tombstone.
        if let Some((before, _)) = self.table.tombstones.record(id)
            && !self.plan.forgotten_tombstones.contains(&(before, id))
        {
            self.plan.forgotten_tombstones.push((before, id));
        }
        self.plan.touched.insert(id, touched);
        self.removed += 1;
        if tombstone.until > engine {
            self.plan.buried.push((self.plan.keys.tombstone, tombstone));
            self.plan.keys.tombstone += 1;
        } else {
            self.plan.lost_one = true;
        }
    }

    /// The batch of this id, with the horizon that goes with every commit.
    pub(super) fn prepare(self, id: Uuid) -> Result<Prepared> {
        let batch = self.batch(id)?;
        Ok(Prepared { batch, plan: self.plan })
    }

    fn batch(&self, id: Uuid) -> Result<Batch> {
        if !self.keeps_records {
            return Ok(Batch { id, expectations: Vec::new(), writes: Vec::new() });
        }
        let mut batch = Batch {
            id,
            expectations: Vec::with_capacity(self.plan.touched.len() + 1),
            // A record of each job, one of its log, and of one that has gone its tombstone.
            writes: Vec::with_capacity(2 * self.plan.touched.len() + self.plan.buried.len() + 1),
        };
        batch.expectations.push(head_expected(Some(self.table.revision.number)));
        for touched in self.plan.touched.values() {
            let key = Key::from(touched.key.to_be_bytes());
            let now = touched.now.and_then(|made| self.plan.made.get(made));
            batch.writes.extend(touched.write_of_claims(now.map(|job| &**job))?);
            batch.writes.extend(touched.write_of_stay(now.map(|job| &**job))?);
            let value = match now {
                None if touched.stored.is_none() => continue, // Made and gone within the group.
                None => None,
                Some(job) => Some(encode_job(job)?),
            };
            let space = Space::Job;
            batch.expectations.push(Expectation {
                space,
                key: key.clone(),
                revision: touched.stored,
            });
            batch.writes.push(Write { space, key, value });
        }
        let space = Space::Tombstone;
        for (key, tombstone) in &self.plan.buried {
            let value = Some(encode_tombstone(tombstone)?);
            batch.writes.push(Write { space, key: key.to_be_bytes().into(), value });
        }
        for (key, _) in &self.plan.forgotten_tombstones {
            batch.writes.push(Write { space, key: key.to_be_bytes().into(), value: None });
        }
        if let Some(forgotten) = self.forgotten() {
            let (space, key) = (Space::Meta, FORGOTTEN_KEY.into());
            batch.writes.push(Write { space, key, value: Some(encode_forgotten(forgotten)?) });
        }
        let (format, epoch, horizon) = (self.format, self.epoch, self.now.engine);
        batch.writes.push(head_write(Head { format, epoch, horizon, is_clean: false })?);
        Ok(batch)
    }

    /// The latest revision among forgotten tombstones, if this group makes it a later one.
    fn forgotten(&self) -> Option<Forgotten> {
        if self.plan.lost_one {
            return Some(Forgotten { epoch: self.epoch, number: None });
        }
        let tombstones = &self.table.tombstones;
        let ids = self.plan.forgotten_tombstones.iter().map(|(_, id)| *id);
        let latest = ids.filter_map(|id| tombstones.record(id)).map(|(_, revision)| revision).max();
        latest
            .filter(|latest| *latest > tombstones.forgotten())
            .map(|latest| Forgotten { epoch: latest.epoch, number: Some(latest.number) })
    }

    /// The strongest durability among the commands.
    pub(super) fn durability(&self) -> Durability {
        self.durability
    }

    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.plan.touched.is_empty()
            && self.plan.buried.is_empty()
            && self.plan.forgotten_tombstones.is_empty()
    }
}

impl Place {
    /// That of a job which the group has not touched.
    fn of(row: Row) -> Place {
        let Row { job, key, stored } = row;
        Place { key, stored: Some(stored), before: Some(Version::Stored(job)) }
    }
}

impl Touched {
    fn place(&self) -> Place {
        let Touched { key, stored, now, .. } = *self;
        Place { key, stored, before: now.map(Version::Made) }
    }

    /// The write of the record of the job's claims, where that changes.
    fn write_of_claims(&self, now: Option<&Job>) -> Result<Option<Write>> {
        let before = self.claims.as_deref();
        let now = now.and_then(Claims::of);
        let is_known = |now: &Claims| {
            // Without a lease the record is as good as it was.
            before.is_some_and(|before| {
                now == before
                    || (now.since.is_none()
                        && (now.job, now.claims, now.losses)
                            == (before.job, before.claims, before.losses))
            })
        };
        let value = match &now {
            None if before.is_none() => return Ok(None),
            None => None,
            Some(now) if is_known(now) => return Ok(None),
            Some(now) => Some(encode_claims(now)?),
        };
        Ok(Some(Write { space: Space::Meta, key: claims_key(self.key), value }))
    }
}

/// What every batch expects: the head as this tracker last wrote it, with every commit.
pub(super) fn head_expected(revision: Option<u64>) -> Expectation {
    Expectation { space: Space::Meta, key: HEAD_KEY.into(), revision }
}

/// The write of the engine's own record.
pub(super) fn head_write(head: Head) -> Result<Write> {
    Ok(Write { space: Space::Meta, key: HEAD_KEY.into(), value: Some(encode_head(&head)?) })
}

/// The answers to the commands of a plan, in turn: to be given once everything is visible.
pub(super) type Answers = Vec<Result<Applied>>;

/// What is to be told of a plan that was carried out.
pub(super) struct Published {
    /// To those who asked for it.
    pub(super) answers: Answers,
    /// To those who wait for an end: the jobs that have ended.
    pub(super) ended: Vec<Arc<Job>>,
    /// To those who watch: everything, in turn.
    pub(super) transitions: Vec<Transition>,
}

impl Plan {
    /// The job as the group has made it, if it has.
    fn job(&self, id: JobId) -> Option<Arc<Job>> {
        let made = self.touched.get(&id)?.now?;
        self.made.get(made).cloned()
    }

    /// Notes how far children were looked at, before anything else that the group did: what has
    /// changed since is looked at anew.
    pub(super) fn note_looked_at(&self, table: &mut Table) {
        for (parent, up_to) in &self.looked_at {
            table.sides.families.looked_at(*parent, *up_to);
        }
    }

    pub(super) fn forgotten_tombstones(&self) -> usize {
        self.forgotten_tombstones.len()
    }

    /// Makes the table what the committed batch says.
    pub(super) fn publish(self, table: &mut Table, number: u64, overlay: &Overlay) -> Published {
        let revision = Revision { epoch: table.revision.epoch, number };
        self.note_looked_at(table);
        let mut made = self.made;
        // Hardly anybody else has it yet, so hardly any is copied for that.
        made.iter_mut().for_each(|job| Arc::make_mut(job).revision = revision);
        // Also of jobs that were deleted in the same commit: who waits for the end hears of it.
        let ended = made.iter().filter(|job| job.state().is_terminal()).cloned().collect();
        let overlaid = self.overlaid.into_inner();
        // What goes does so first: its key may be another's by now.
        let gone = self.touched.iter().filter(|(_, touched)| touched.now.is_none());
        for (id, touched) in gone {
            overlay.forget(*id);
            match touched.row {
                Some((head, None)) => table.remove_from_head(*id, head),
                Some((part, Some(row))) => table.remove_row(*id, part, row),
                None => _ = table.remove(*id),
            }
        }
        // What stays goes in as it was made, which mostly is in order of uuid.
        for (job, index) in made.iter().zip(0..) {
            let id = job.uuid;
            let Some(touched) = self.touched.get(&id).filter(|it| it.now == Some(index)) else {
                continue;
            };
            match overlaid.get(&id) {
                _ if job.state().is_terminal() => overlay.forget(id),
                Some(number) => overlay.stored(id, *number),
                None => {}
            }
            let row = Row { job: Arc::clone(job), key: touched.key, stored: number };
            match touched.stored {
                Some(_) => table.put(row),
                None => table.put_new(row),
            }
        }
        // A child that comes to a parent which has ended meanwhile, or before, has yet to follow it.
        for step in &self.steps {
            if let (None, Next::Made(index)) = (&step.before, &step.after)
                && let Some(parent) = made.get(*index).and_then(|job| job.parent)
                && table.sides.families.is_parent(parent)
                && table.row(parent).is_none_or(|row| lifecycle::check_parent(&row.job).is_err())
            {
                table.sides.families.unsettle(parent);
            }
        }
        for (_, id) in self.forgotten_tombstones {
            table.tombstones.remove(id);
        }
        for (key, tombstone) in self.buried {
            table.tombstones.put(key, Tombstone { revision, ..tombstone });
        }
        if self.lost_one {
            table.tombstones.forget(revision);
        }
        if self.swept > 0 {
            table.find_next_expiry();
        }
        table.revision = revision;
        let transitions =
            self.steps.into_iter().filter_map(|step| step.transition(&made)).collect();
        let answers =
            self.decided.into_iter().map(|decided| decided.answer(&made, revision)).collect();
        Published { answers, ended, transitions }
    }

    /// The answers when nothing was to be committed.
    pub(super) fn without_commit(self, revision: Revision) -> Answers {
        let answer = |decided: Decided| decided.answer(&[], revision);
        self.decided.into_iter().map(answer).collect()
    }

    /// The answers when the commit failed: what rests on the table alone still holds.
    pub(super) fn failed(self, error: &Error, revision: Revision) -> Answers {
        let answer = |decided: Decided| match decided.rests_on_table() {
            true => decided.answer(&[], revision),
            false => Err(error.clone()),
        };
        self.decided.into_iter().map(answer).collect()
    }
}

impl Step {
    /// The step with the jobs as they were made. Indices come from `Group::make`, so it is never
    /// None.
    fn transition(self, made: &[Arc<Job>]) -> Option<Transition> {
        let before = match self.before {
            Some(Version::Made(index)) => Some(Before::Job(Arc::clone(made.get(index)?))),
            Some(Version::Stored(job)) => Some(Before::Job(job)),
            Some(Version::Row(segment, row)) => Some(Before::Row(segment, row)),
            None => None,
        };
        let after = match self.after {
            Next::Made(index) => After::Job(Arc::clone(made.get(index)?)),
            Next::Gone(gone) => After::Gone(gone),
        };
        Some(Transition { before, after })
    }
}

impl Decided {
    /// Whether it holds even if the group is not committed.
    fn rests_on_table(&self) -> bool {
        match self {
            Decided::Refused(_, rests_on) | Decided::Unchanged(_, rests_on) => {
                *rests_on == RestsOn::Table
            }
            Decided::Repeat(decided) => decided.rests_on_table(),
            Decided::Made(_) | Decided::Gone(_) => false,
        }
    }

    fn answer(self, made: &[Arc<Job>], revision: Revision) -> Result<Applied> {
        match self {
            Decided::Refused(error, _) => Err(error),
            Decided::Unchanged(job, _) | Decided::Gone(job) => {
                Ok(Applied { job, revision, is_repeat: false })
            }
            Decided::Repeat(decided) => {
                decided.answer(made, revision).map(|applied| Applied { is_repeat: true, ..applied })
            }
            Decided::Made(index) => match made.get(index) {
                Some(job) => Ok(Applied { job: Arc::clone(job), revision, is_repeat: false }),
                // Indices come from `Group::make`, and nothing is taken out of what it made.
                None => Err(Error::new(ErrorKind::StoreFailed, "the group lost a job")),
            },
        }
    }
}

pub(super) fn not_found(id: JobId) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no job {id}")).with_job(id)
}

/// What is said of a job whose time was up before this horizon, whether it was swept or not: an
/// answer must not depend on that.
pub(super) fn expired(job: &Job, options: &Options, horizon: Timestamp) -> Error {
    let it = Gone::expired(job);
    if options.tombstones.until(&it) > horizon { gone(&it) } else { not_found(job.uuid) }
}

pub(super) fn gone(it: &Gone) -> Error {
    let how = if it.was_deleted { "was deleted" } else { "expired" };
    let (state, end_time, gone_time) = (it.state, it.end_time, it.gone_time);
    Error::new(
        ErrorKind::Gone,
        format!("the job ended in {state} at {end_time} and {how} at {gone_time}"),
    )
    .with_job(it.uuid)
}
