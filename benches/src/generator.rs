//! Jobs as a busy storage controller has them, made from a seed.
//!
//! Real lists of jobs are far from uniform, and a table or a query is only as fast as it is on such
//! a list. So the generated jobs have: few kinds that make up most of the work; some two thousand
//! templates of descriptions, half of them with a variable part that repeats little or never;
//! bursts, where a schedule starts many jobs of one template at once; nights that are busier than
//! days; durations from milliseconds to hours; a few hundred error codes of which a handful are
//! common; and unfinished jobs that are mostly the latest.

use std::collections::BTreeMap;
use std::num::NonZeroI64;
use std::time::Duration;

use jobtrack::{
    Action, Actor, Allows, Argument, Cause, JobError, JobId, JobParts, Progress, Request, Revision,
    Scope, State, Timestamp,
};

use crate::random::Random;
use crate::vocabulary::{ACTIONS, FAILED, FORMS, OBJECTS, RUNNING, SUCCEEDED, TIERS};

const SECOND: u64 = 1_000_000;
const DAY: u64 = 86_400 * SECOND;
/// Over how long the jobs are created.
const WINDOW: u64 = 30 * DAY;
/// The last creation is so long before the end of the window that even the longest job ends in it.
const LONGEST_JOB: u64 = DAY;
/// Bytes of text of its own that each wide job has.
const WIDE_BYTES: usize = 200;

/// How long a finished job stays after its end: until the last has ended it is twice the window,
/// so that the first one goes a whole window after [`WINDOW_END`].
pub const RETENTION: Duration = Duration::from_secs(60 * 86_400);
/// How long an unfinished one will stay after its own end, so that what is finished soon after
/// `WINDOW_END` is gone with the last of the others.
const RETENTION_OF_UNFINISHED: Duration = Duration::from_secs(29 * 86_400);

/// Just after the last thing that happened to any generated job: 2026-06-01T00:00:00Z.
pub const WINDOW_END: Timestamp = match Timestamp::from_micros(1_780_272_000_000_000) {
    Some(end) => end,
    None => panic!("within the years 1 to 9999"),
};

/// What the jobs hold. Jobs of one seed are alike in all that does not belong to the shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shape {
    /// What is needed and little else: a label here and there, progress while a job runs.
    #[default]
    Usual,
    /// Every field that an import can bring to a job of its state, and two labels in each job.
    Full,
    /// As full, with 200 bytes in each description that stand in no other, so that neither
    /// templates nor dictionaries are of use.
    Wide,
}

/// A stream of jobs, in the order of their creation but for those of one burst.
///
/// ```
/// use jobtrack::Job;
/// use jobtrack_benches::Jobs;
///
/// let jobs: Vec<_> = Jobs::new(1, 100).collect();
/// assert_eq!(jobs, Jobs::new(1, 100).collect::<Vec<_>>());
/// assert!(jobs.into_iter().all(|parts| Job::try_from(parts).is_ok()));
/// ```
#[derive(Debug, Clone)]
pub struct Jobs {
    random: Random,
    shape: Shape,
    /// For what belongs to the shape, so that all else stays as it is.
    of_shape: Random,
    made: u64,
    count: u64,
    burst: Option<Burst>,
}

/// Several jobs that one schedule starts.
#[derive(Debug, Clone, Copy)]
struct Burst {
    left: u64,
    begins: u64,
    template: Template,
}

/// What the jobs of a burst have in common.
#[derive(Debug, Clone, Copy)]
struct Template {
    action: &'static str,
    object: &'static str,
    prefix: &'static str,
    form: &'static str,
    scope: u64,
    node: u64,
}

impl Jobs {
    /// So many jobs of this seed.
    pub fn new(seed: u64, count: usize) -> Self {
        Jobs {
            random: Random::new(seed),
            shape: Shape::Usual,
            of_shape: Random::new(!seed),
            made: 0,
            count: count as u64,
            burst: None,
        }
    }

    /// The same jobs in this shape.
    ///
    /// ```
    /// use jobtrack_benches::{Jobs, Shape};
    ///
    /// assert!(Jobs::new(1, 100).shaped(Shape::Full).all(|job| job.labels.len() == 2));
    /// ```
    #[must_use]
    pub fn shaped(self, shape: Shape) -> Self {
        Jobs { shape, ..self }
    }

    fn template(&mut self) -> Template {
        let random = &mut self.random;
        let (object, prefix) = random.pick_skewed(OBJECTS);
        Template {
            action: random.pick_skewed(ACTIONS),
            object,
            prefix,
            form: random.pick(FORMS),
            scope: random.skewed(300),
            node: random.below(24),
        }
    }

    /// The template and the instant of creation of the next job.
    fn arrival(&mut self) -> (Template, u64) {
        let mut burst = match self.burst.take() {
            Some(burst) if burst.left > 0 => burst,
            _ => {
                let begins = busy_nights(self.spread_evenly());
                let left = if self.random.chance(100) { self.random.spread(1, 8) } else { 1 };
                Burst { left, begins, template: self.template() }
            }
        };
        burst.left -= 1;
        // A schedule starts its jobs within some seconds.
        burst.begins += self.random.spread(8, 16);
        self.burst = Some(burst);
        (burst.template, burst.begins.min(WINDOW - LONGEST_JOB))
    }

    /// How far into the window the next job is, were they spread evenly.
    fn spread_evenly(&self) -> u64 {
        let part = u128::from(WINDOW - LONGEST_JOB) * u128::from(self.made);
        u64::try_from(part / u128::from(self.count.max(1))).unwrap_or(0)
    }

    /// A twentieth of all jobs has not ended: half of the latest tenth, hardly any before.
    fn state(&mut self) -> State {
        let is_late = self.made * 10 >= self.count * 9;
        if self.random.chance(if is_late { 460 } else { 4 }) {
            return match self.random.below(100) {
                0..50 => State::Running,
                50..90 => State::Queued,
                _ => State::Paused,
            };
        }
        if self.random.chance(105) { State::Failure } else { State::Success }
    }
}

impl Iterator for Jobs {
    type Item = JobParts;

    fn next(&mut self) -> Option<JobParts> {
        if self.made >= self.count {
            return None;
        }
        let (template, created) = self.arrival();
        let state = self.state();
        self.made += 1;
        let random = &mut self.random;
        let mut job = blank(random, state, created);
        let number = random.below(5_000);
        job.description = fill(random, template.form, template, number);
        job.kind = format!("{}.{}", word(template.object), word(template.action));
        job.node = format!("node-{:02}", template.node + 1);
        job.scope = Some(scope(template.scope));
        job.labels = labels(random);
        job.cooperative = random.chance(100);
        run(random, &mut job, template, number, created);
        if self.shape != Shape::Usual {
            complete(&mut self.of_shape, &mut job, number);
        }
        if self.shape == Shape::Wide {
            job.description.push_str(", trace ");
            job.description.extend(noise(&mut self.of_shape).take(WIDE_BYTES));
        }
        Some(job)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.count - self.made).unwrap_or(usize::MAX);
        (left, Some(left))
    }
}

/// Moves an even spread so that three fifths of each day's jobs come within four hours of it.
fn busy_nights(at: u64) -> u64 {
    let (day, time) = (at / DAY, at % DAY);
    let even = DAY * 3 / 5;
    let moved = if time < even { time * 5 / 18 } else { DAY / 6 + (time - even) * 25 / 12 };
    day * DAY + moved
}

/// Gives the job the times, messages and codes of its state.
fn run(random: &mut Random, job: &mut JobParts, template: Template, number: u64, created: u64) {
    let started = created + random.spread(10, 25);
    let ended = started + random.spread(15, 34);
    let seen = started + random.spread(10, 30);
    match job.state {
        State::Queued => {
            job.message = if random.chance(300) { "Waiting for a slot" } else { "" }.to_owned();
        }
        State::Running | State::Paused => {
            job.start_time = Some(instant(started));
            job.update_time = instant(seen);
            let done = random.below(100);
            job.message = random.pick_skewed(RUNNING).replace("{p}", &done.to_string());
            job.progress = Some(Progress { done, total: Some(100), unit: "percent".into() });
        }
        State::Success => {
            end(job, started, ended);
            let count = random.spread(4, 40).to_string();
            job.message = random.pick_skewed(SUCCEEDED).replace("{c}", &count);
        }
        State::Failure => {
            end(job, started, ended);
            fail(random, job, template, number);
        }
    }
}

/// Lets the job end; its retention counts from there, as it does for one that ends in a tracker.
fn end(job: &mut JobParts, started: u64, ended: u64) {
    job.start_time = Some(instant(started));
    job.end_time = Some(instant(ended));
    job.update_time = instant(ended);
    job.retained_from = Some(instant(ended));
    job.expire_time = Some(instant(ended).saturating_add(job.retention));
}

fn fail(random: &mut Random, job: &mut JobParts, template: Template, number: u64) {
    let cause = match random.below(100) {
        0..84 => Cause::Error,
        84..95 => Cause::Canceled,
        95..98 => Cause::Lost,
        _ => Cause::TimedOut,
    };
    job.cause = Some(cause);
    if cause != Cause::Error {
        job.code = cause.default_code().get();
        job.message = cause.default_message().to_owned();
        // Many are canceled before they begin.
        if cause == Cause::Canceled && random.chance(300) {
            job.start_time = None;
        }
        return;
    }
    // Codes as ONTAP's are: a family, and a number within it; some three hundred, few of them common.
    let family = random.skewed(20);
    let within = random.skewed(15);
    let code = i64::try_from(131_072 + family * 65_536 + within * 3).expect("a small number");
    job.code = code;
    let form = random.pick_skewed(FAILED).replace("{e}", &code.to_string());
    job.message = fill(random, &form, template, number);
    if random.chance(400) {
        let name = name(template, number);
        job.error = NonZeroI64::new(code).map(|code| JobError {
            code,
            message: job.message.clone(),
            target: if random.chance(500) { "name".to_owned() } else { String::new() },
            arguments: vec![Argument { code: name.clone(), message: name }],
        });
    }
}

/// Sets every field that an import can bring to a job of this state.
fn complete(random: &mut Random, job: &mut JobParts, number: u64) {
    job.labels = [
        ("tier".to_owned(), random.pick_skewed(TIERS).to_owned()),
        if random.chance(700) {
            ("owner".to_owned(), format!("team-{:02}", random.skewed(40)))
        } else {
            ("ticket".to_owned(), format!("CHG{:07}", random.below(10_000_000)))
        },
    ]
    .into();
    if job.progress.is_none() && job.start_time.is_some() {
        let done = if job.state == State::Success { number } else { random.below(number + 1) };
        job.progress = Some(Progress { done, total: Some(number), unit: "blocks".into() });
    }
    if let (State::Failure, Some(code)) = (job.state, NonZeroI64::new(job.code))
        && job.error.is_none()
    {
        let node = Argument { code: "node".to_owned(), message: job.node.clone() };
        job.error = Some(JobError {
            code,
            message: job.message.clone(),
            target: "node".to_owned(),
            arguments: vec![node],
        });
    }
    // A request waits only with a worker that answers for itself.
    if job.cooperative && matches!(job.state, State::Running | State::Paused) {
        job.requested = Some(Request {
            action: Action::Cancel,
            by: Actor::named(format!("operator-{}", random.below(8))),
            time: job.update_time,
            reason: "Maintenance of the node".into(),
        });
    }
}

/// Characters without any order, six bits in each.
fn noise(random: &mut Random) -> impl Iterator<Item = char> {
    const LETTERS: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
    std::iter::repeat_with(|| char::from(random.pick(LETTERS)))
}

fn blank(random: &mut Random, state: State, created: u64) -> JobParts {
    JobParts {
        uuid: id(random, created),
        state,
        requested: None,
        cause: None,
        description: String::new(),
        message: String::new(),
        code: 0,
        error: None,
        create_time: instant(created),
        start_time: None,
        end_time: None,
        update_time: instant(created),
        retention: if state.is_terminal() { RETENTION } else { RETENTION_OF_UNFINISHED },
        retention_told: None,
        retained_from: None,
        expire_time: None,
        held: None,
        deadline: None,
        kind: String::new(),
        node: String::new(),
        scope: None,
        labels: BTreeMap::new(),
        progress: None,
        parent: None,
        allows: Allows::default(),
        cooperative: false,
        lease: None,
        claims: 0,
        losses: 0,
        payload_bytes: None,
        result_bytes: None,
        idempotency_key: None,
        revision: Revision::default(),
    }
}

/// The instant so far into the window.
fn instant(at: u64) -> Timestamp {
    let begin = WINDOW_END.as_micros() - i64::try_from(WINDOW).expect("thirty days");
    let micros = begin + i64::try_from(at).expect("at most thirty days");
    Timestamp::from_micros(micros).expect("within the window")
}

/// A version 7 UUID of the job's creation.
fn id(random: &mut Random, created: u64) -> JobId {
    let millis = u64::try_from(instant(created).as_micros() / 1_000).expect("after 1970");
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&random.number().to_be_bytes());
    bytes[8..].copy_from_slice(&random.number().to_be_bytes()[..2]);
    let uuid = uuid::Builder::from_unix_timestamp_millis(millis, &bytes);
    JobId::from_uuid(uuid.into_uuid())
}

fn fill(random: &mut Random, form: &str, template: Template, number: u64) -> String {
    let mut text = form.replace("{a}", template.action).replace("{o}", template.object);
    if text.contains("{n}") {
        text = text.replace("{n}", &name(template, number));
    }
    if text.contains("{x}") {
        text = text.replace("{x}", &format!("{:016x}", random.number()));
    }
    text
}

fn name(template: Template, number: u64) -> String {
    format!("{}_{number:04}", template.prefix)
}

fn scope(number: u64) -> Scope {
    let id = uuid::Builder::from_random_bytes(u128::from(number + 1).to_be_bytes()).into_uuid();
    Scope { name: format!("svm{number}").into(), id: id.to_string().into() }
}

fn labels(random: &mut Random) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    if random.chance(600) {
        labels.insert("tier".to_owned(), random.pick_skewed(TIERS).to_owned());
    }
    if random.chance(300) {
        labels.insert("owner".to_owned(), format!("team-{:02}", random.skewed(40)));
    }
    if random.chance(100) {
        labels.insert("ticket".to_owned(), format!("CHG{:07}", random.below(10_000_000)));
    }
    labels
}

/// The text as one lower-case word.
fn word(text: &str) -> String {
    text.to_lowercase().replace(' ', "_")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jobtrack::Job;

    use super::*;

    const COUNT: usize = 20_000;

    fn share(jobs: &[Job], test: impl Fn(&Job) -> bool) -> usize {
        jobs.iter().filter(|job| test(job)).count() * 1_000 / jobs.len()
    }

    #[test]
    fn the_jobs_are_legal_and_as_mixed_as_they_are_said_to_be() {
        let jobs: Vec<Job> = Jobs::new(1, COUNT).map(|job| Job::try_from(job).unwrap()).collect();
        assert_eq!(jobs.len(), COUNT);
        let ids: BTreeSet<_> = jobs.iter().map(|job| job.uuid).collect();
        assert_eq!(ids.len(), COUNT);
        assert!(jobs.iter().all(|job| job.update_time < WINDOW_END));

        let unfinished = share(&jobs, |job| !job.state().is_terminal());
        let failed = share(&jobs, |job| job.state() == State::Failure);
        assert!((40..60).contains(&unfinished), "{unfinished}");
        assert!((80..120).contains(&failed), "{failed}");

        let descriptions: BTreeSet<_> = jobs.iter().map(|job| &job.description).collect();
        let distinct = descriptions.len() * 1_000 / COUNT;
        assert!((250..750).contains(&distinct), "{distinct}");
        let codes: BTreeSet<_> = jobs.iter().map(Job::code).collect();
        assert!((100..=304).contains(&codes.len()), "{}", codes.len());
        let snap = share(&jobs, |job| job.description.contains("snap"));
        assert!((50..400).contains(&snap), "{snap}");
    }

    #[test]
    fn a_shape_adds_and_changes_nothing_else() {
        let of = |shape| Jobs::new(1, 2_000).shaped(shape);
        for (usual, (full, wide)) in of(Shape::Usual).zip(of(Shape::Full).zip(of(Shape::Wide))) {
            assert_eq!(
                (full.uuid, full.state, &full.message),
                (usual.uuid, usual.state, &usual.message)
            );
            assert_eq!(full.description, usual.description);
            assert_eq!(full.labels.len(), 2);
            assert_eq!(full.progress.is_some(), full.start_time.is_some());
            assert_eq!(full.error.is_some(), full.state == State::Failure);
            assert_eq!(wide.description.len(), usual.description.len() + 8 + WIDE_BYTES);
            assert!(Job::try_from(full).is_ok() && Job::try_from(wide).is_ok());
        }
        assert!(of(Shape::Full).any(|job| job.requested.is_some()));
    }

    #[test]
    fn another_seed_makes_other_jobs() {
        let first = |seed| Jobs::new(seed, 1).next();
        assert_eq!(first(1), first(1));
        assert_ne!(first(1), first(2));
    }

    #[test]
    fn nights_are_busy_and_days_keep_their_order() {
        let moved: Vec<_> = (0..48).map(|hour| busy_nights(hour * DAY / 24)).collect();
        assert!(moved.is_sorted());
        assert!(moved.iter().filter(|at| **at < DAY / 6).count() > 12);
    }
}
