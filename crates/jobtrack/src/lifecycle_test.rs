//! Every cell of the table by name, and what lies behind the cells.

use super::*;
use crate::command::{Extension, FailureError, Relabel};
use crate::job::{Allows, Argument, Scope};

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000).unwrap()
}

fn now(second: i64) -> Moment {
    Moment { wall: at(second), engine: at(second) }
}

fn alice() -> Actor {
    Actor::named("alice")
}

fn decide_at(job: &Job, update: &Update, second: i64) -> Result<Outcome> {
    decide(
        job,
        update,
        Asked {
            message_bytes: 4_096,
            holder: Some(Holder { name: "worker-1", term: Some(Duration::from_secs(60)) }),
            ..Asked::of(&alice(), "maintenance")
        },
        now(second),
    )
}

#[track_caller]
fn changed(job: &Job, update: &Update, second: i64) -> Job {
    match decide_at(job, update, second).unwrap() {
        Outcome::Changed(job) => job,
        other => panic!("{other:?}"),
    }
}

fn queued() -> Job {
    let new = NewJob { description: "Backup".to_owned(), ..NewJob::default() };
    create(&new, JobId::from_uuid(uuid::Uuid::nil()), Duration::from_secs(300), now(10))
}

/// A job in each state, as the lifecycle itself makes it.
fn job_in(state: State) -> Job {
    let running = changed(&queued(), &Update::Start, 20);
    match state {
        State::Queued => queued(),
        State::Running => running,
        State::Paused => changed(&running, &Update::Pause, 30),
        State::Success => changed(&running, &Update::Succeed(Success::default()), 30),
        State::Failure => changed(&running, &Update::Fail(Failure::default()), 30),
    }
}

fn cooperative(state: State) -> Job {
    Job { cooperative: true, ..job_in(state) }
}

fn update_named(name: &str) -> Update {
    match name {
        "start" => Update::Start,
        "report" => Update::Report(Report::from("going on")),
        "pause" => Update::Pause,
        "resume" => Update::Resume,
        "succeed" => Update::Succeed(Success::default()),
        "fail" => Update::Fail(Failure::default()),
        "request_pause" => Update::Request(Action::Pause),
        "request_resume" => Update::Request(Action::Resume),
        "request_cancel" => Update::Request(Action::Cancel),
        "extend" => Update::Extend(Extension { retention: Duration::from_secs(500) }),
        "delete" => Update::Delete,
        "claim" => Update::Claim(crate::command::Hold::leased("worker-1")),
        "renew" => Update::Renew(Renewal::default()),
        "release" => Update::Release,
        "free_key" => Update::FreeKey,
        "relabel" => Update::Relabel(Relabel::from([("tier", Some("gold"))])),
        "hold" => Update::Hold,
        "unhold" => Update::Unhold,
        other => panic!("{other}"),
    }
}

/// What a cell leads to: a state, a refusal, or nothing left.
#[derive(Debug, PartialEq)]
enum Leads {
    To(State),
    Refused(ErrorKind),
    Gone,
}

use ErrorKind::{JobEnded, LeaseLost, NotPaused, NotQueued, NotRunning, StillLive};
use Leads::{Gone, Refused, To};
use State::Success as SUCCESS;
use State::{Failure as FAILURE, Paused as PAUSED, Queued as QUEUED, Running as RUNNING};

macro_rules! cells {
    ($($state:ident in $variant:ident { $($update:ident => $leads:expr;)+ })+) => { $(
        mod $state {
            use super::*;
            $(
                #[test]
                fn $update() {
                    let job = job_in(State::$variant);
                    let update = update_named(stringify!($update));
                    let leads = match decide_at(&job, &update, 40) {
                        Err(error) => Refused(error.kind()),
                        Ok(Outcome::Forgotten) => Gone,
                        Ok(Outcome::Unchanged) => To(job.state()),
                        Ok(Outcome::Changed(next)) => {
                            // What the lifecycle makes is what the store would take back.
                            assert_eq!(Job::try_from(JobParts::from(&next)).unwrap(), next);
                            assert_eq!(next.update_time, at(40));
                            To(next.state())
                        }
                    };
                    assert_eq!(leads, $leads);
                }
            )+
        }
    )+ };
}

cells! {
    queued_job in Queued {
        start => To(RUNNING);
        report => To(QUEUED);
        pause => Refused(NotRunning);
        resume => Refused(NotPaused);
        succeed => Refused(NotRunning);
        fail => To(FAILURE);
        request_pause => Refused(NotRunning);
        request_resume => Refused(NotPaused);
        request_cancel => To(FAILURE);
        extend => To(QUEUED);
        delete => Refused(StillLive);
        claim => To(RUNNING);
        renew => Refused(LeaseLost);
        release => Refused(LeaseLost);
        free_key => To(QUEUED);
        relabel => To(QUEUED);
        hold => To(QUEUED);
        unhold => To(QUEUED);
    }
    running_job in Running {
        start => Refused(NotQueued);
        report => To(RUNNING);
        pause => To(PAUSED);
        resume => Refused(NotPaused);
        succeed => To(SUCCESS);
        fail => To(FAILURE);
        request_pause => To(PAUSED);
        request_resume => Refused(NotPaused);
        request_cancel => To(FAILURE);
        extend => To(RUNNING);
        delete => Refused(StillLive);
        claim => To(RUNNING);
        renew => Refused(LeaseLost);
        release => Refused(LeaseLost);
        free_key => To(RUNNING);
        relabel => To(RUNNING);
        hold => To(RUNNING);
        unhold => To(RUNNING);
    }
    paused_job in Paused {
        start => Refused(NotQueued);
        report => To(PAUSED);
        pause => Refused(NotRunning);
        resume => To(RUNNING);
        succeed => To(SUCCESS);
        fail => To(FAILURE);
        request_pause => Refused(NotRunning);
        request_resume => To(RUNNING);
        request_cancel => To(FAILURE);
        extend => To(PAUSED);
        delete => Refused(StillLive);
        claim => To(PAUSED);
        renew => Refused(LeaseLost);
        release => Refused(LeaseLost);
        free_key => To(PAUSED);
        relabel => To(PAUSED);
        hold => To(PAUSED);
        unhold => To(PAUSED);
    }
    succeeded_job in Success {
        start => Refused(JobEnded);
        report => Refused(JobEnded);
        pause => Refused(JobEnded);
        resume => Refused(JobEnded);
        succeed => Refused(JobEnded);
        fail => Refused(JobEnded);
        request_pause => Refused(JobEnded);
        request_resume => Refused(JobEnded);
        request_cancel => Refused(JobEnded);
        extend => To(SUCCESS);
        delete => Gone;
        claim => Refused(JobEnded);
        renew => Refused(JobEnded);
        release => Refused(JobEnded);
        free_key => To(SUCCESS);
        relabel => To(SUCCESS);
        hold => To(SUCCESS);
        unhold => To(SUCCESS);
    }
    failed_job in Failure {
        start => Refused(JobEnded);
        report => Refused(JobEnded);
        pause => Refused(JobEnded);
        resume => Refused(JobEnded);
        succeed => Refused(JobEnded);
        fail => Refused(JobEnded);
        request_pause => Refused(JobEnded);
        request_resume => Refused(JobEnded);
        request_cancel => Refused(JobEnded);
        extend => To(FAILURE);
        delete => Gone;
        claim => Refused(JobEnded);
        renew => Refused(JobEnded);
        release => Refused(JobEnded);
        free_key => To(FAILURE);
        relabel => To(FAILURE);
        hold => To(FAILURE);
        unhold => To(FAILURE);
    }
}

#[test]
fn the_rows_of_the_table_are_in_the_order_of_their_names() {
    for (name, _) in TABLE {
        let update = update_named(&name.replace(' ', "_"));
        assert_eq!(update.name(), name);
        // The row that `rule` picks is the row of that name: its first cell is this one's.
        let row = TABLE.iter().find(|(other, _)| *other == update.name()).unwrap();
        for (column, state) in State::ALL.iter().enumerate() {
            assert_eq!(rule(&update, *state), row.1[column], "{name} in {state}");
        }
    }
}

#[test]
fn an_end_is_stamped_and_given_its_time_to_live() {
    let job = changed(&job_in(RUNNING), &Update::Succeed(Success::default()), 40);
    let ended = job.ended().unwrap();
    assert_eq!((ended.start_time, ended.end_time), (Some(at(20)), at(40)));
    assert_eq!(ended.expire_time, Some(at(340)));
    assert_eq!(job.retention.from, Some(at(40)));
    assert!(!job.is_expired(at(339)) && job.is_expired(at(340)));
}

#[test]
fn a_wall_set_back_never_turns_the_times_of_a_job_around() {
    let job = changed(&queued(), &Update::Start, -1_000_000);
    assert_eq!(job.start_time(), Some(job.create_time));
    let job = changed(&job, &Update::Fail(Failure::default()), -2_000_000);
    assert_eq!(job.end_time(), Some(job.create_time));
}

#[test]
fn a_stepped_wall_neither_shortens_nor_lengthens_a_life() {
    let by = alice();
    let asked = Asked { message_bytes: 4_096, ..Asked::of(&by, "") };
    for wall in [at(1_000_000_000), at(35)] {
        let now = Moment { wall, engine: at(40) };
        let update = Update::Succeed(Success::default());
        let Outcome::Changed(job) = decide(&job_in(RUNNING), &update, asked, now).unwrap() else {
            panic!("unchanged")
        };
        assert_eq!(job.end_time(), Some(wall));
        assert_eq!(job.expire_time(), Some(at(340)));
    }
}

#[test]
fn a_success_keeps_its_last_message_or_says_success() {
    let done = Update::Succeed(Success::default());
    assert_eq!(changed(&job_in(RUNNING), &done, 40).message, "success");
    let reported = changed(&job_in(RUNNING), &Update::Report("40 files".into()), 30);
    assert_eq!(changed(&reported, &done, 40).message, "40 files");
    let warned = Update::Succeed(Success { message: Some("slow".to_owned()), code: 12 });
    let job = changed(&reported, &warned, 40);
    assert_eq!((job.message.as_str(), job.code()), ("slow", 12));
}

#[test]
fn a_failure_always_has_a_code_and_a_message() {
    let fail = |failure: Failure| changed(&job_in(RUNNING), &Update::Fail(failure), 40);
    let job = fail(Failure::default());
    assert_eq!((job.code(), job.message.as_str()), (1, "The job failed"));
    let job = fail(Failure { cause: Some(Cause::Lost), ..Failure::default() });
    assert_eq!((job.code(), job.cause()), (3, Some(Cause::Lost)));

    // What the failure leaves out comes from the error it carries.
    let error = FailureError {
        code: Some(7),
        message: Some("disk".to_owned()),
        target: "sda".to_owned(),
        arguments: vec![Argument { code: "name".to_owned(), message: "sda".to_owned() }],
    };
    let job = fail(Failure { error: Some(error.clone()), ..Failure::default() });
    assert_eq!((job.code(), job.message.as_str()), (7, "disk"));
    assert_eq!(job.error().unwrap().arguments, error.arguments);
    let job = fail(Failure { error: Some(FailureError::default()), ..Failure::new(8, "tape") });
    assert_eq!(job.error().unwrap().code.get(), 8);
}

#[test]
fn a_failure_that_contradicts_itself_is_refused() {
    let refused =
        |failure: Failure| decide_at(&job_in(RUNNING), &Update::Fail(failure), 40).unwrap_err();
    let error = |code, message: &str| {
        let message = Some(message.to_owned());
        Some(FailureError { code, message, ..FailureError::default() })
    };
    let refusal = refused(Failure { error: error(Some(7), "disk"), ..Failure::new(8, "disk") });
    assert_eq!((refusal.kind(), refusal.field()), (ErrorKind::Contradiction, Some("error.code")));
    let refusal = refused(Failure { error: error(Some(7), "disk"), ..Failure::new(7, "tape") });
    assert_eq!(refusal.field(), Some("error.message"));
    let refusal = refused(Failure::new(0, "disk"));
    assert_eq!((refusal.kind(), refusal.field()), (ErrorKind::InvalidValue, Some("code")));
}

#[test]
fn a_cooperative_job_keeps_a_request_until_its_worker_answers() {
    let asked = changed(&cooperative(RUNNING), &Update::Request(Action::Pause), 30);
    let request = asked.requested.clone().unwrap();
    assert_eq!((asked.state(), request.action, request.time), (RUNNING, Action::Pause, at(30)));
    assert_eq!((request.by.name(), request.reason.as_str()), ("alice", "maintenance"));

    let paused = changed(&asked, &Update::Pause, 40);
    assert_eq!((paused.state(), paused.requested), (PAUSED, None));
    let asked = changed(&cooperative(PAUSED), &Update::Request(Action::Resume), 40);
    assert_eq!(changed(&asked, &Update::Resume, 50).requested, None);
}

#[test]
fn a_pending_request_is_asked_once_and_can_be_taken_back() {
    let asked = changed(&cooperative(RUNNING), &Update::Request(Action::Pause), 30);
    let again = decide_at(&asked, &Update::Request(Action::Pause), 40).unwrap();
    assert!(matches!(again, Outcome::Unchanged));
    let taken_back = changed(&asked, &Update::Request(Action::Resume), 40);
    assert_eq!((taken_back.state(), taken_back.requested), (RUNNING, None));

    let canceling = changed(&asked, &Update::Request(Action::Cancel), 40);
    assert_eq!(canceling.requested.as_ref().unwrap().action, Action::Cancel);
    let error = decide_at(&canceling, &Update::Request(Action::Pause), 50).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CancelPending);
}

#[test]
fn a_canceled_job_is_never_mistaken_for_a_broken_one() {
    let canceled = changed(&job_in(RUNNING), &Update::Request(Action::Cancel), 40);
    assert_eq!((canceled.cause(), canceled.code()), (Some(Cause::Canceled), 2));
    assert_eq!(canceled.message, "The job was canceled by alice: maintenance");

    let asked = changed(&cooperative(RUNNING), &Update::Request(Action::Cancel), 30);
    let answered = changed(&asked, &Update::Fail(Failure::default()), 40);
    assert_eq!((answered.cause(), answered.requested), (Some(Cause::Canceled), None));
    assert_eq!(answered.message, "The job was canceled by alice: maintenance");
    let own = Failure { cause: Some(Cause::Error), ..Failure::new(9, "broken anyway") };
    assert_eq!(changed(&asked, &Update::Fail(own), 40).cause(), Some(Cause::Error));
    // A worker that was faster than the request has succeeded all the same.
    assert_eq!(changed(&asked, &Update::Succeed(Success::default()), 40).state(), SUCCESS);
    // A queued job has no worker that could answer.
    let canceled = changed(&cooperative(QUEUED), &Update::Request(Action::Cancel), 40);
    assert_eq!((canceled.state(), canceled.start_time()), (FAILURE, None));
}

#[test]
fn a_job_that_lacks_the_ability_says_so() {
    let rigid = Job { allows: Allows { pause: false, cancel: false }, ..job_in(RUNNING) };
    let kind = |job: &Job, action| decide_at(job, &Update::Request(action), 40).unwrap_err().kind();
    assert_eq!(kind(&rigid, Action::Pause), ErrorKind::CannotPause);
    assert_eq!(kind(&rigid, Action::Cancel), ErrorKind::CannotCancel);
    let rigid = Job { allows: Allows { pause: false, cancel: false }, ..queued() };
    assert_eq!(kind(&rigid, Action::Cancel), ErrorKind::CannotCancel);
    // The worker itself is not asked for permission.
    let rigid = Job { allows: Allows { pause: false, cancel: false }, ..job_in(RUNNING) };
    assert_eq!(changed(&rigid, &Update::Pause, 40).state(), PAUSED);
}

#[test]
fn a_life_is_stretched_but_never_cut_short() {
    let extend = |job: &Job, seconds, at| {
        let retention = Duration::from_secs(seconds);
        decide_at(job, &Update::Extend(Extension { retention }), at).unwrap()
    };
    let ended = job_in(SUCCESS);
    assert_eq!(ended.expire_time(), Some(at(330)));
    let Outcome::Changed(longer) = extend(&ended, 400, 40) else { panic!("unchanged") };
    assert_eq!((longer.expire_time(), longer.end_time()), (Some(at(430)), Some(at(30))));
    for seconds in [0, 399, 400] {
        assert!(matches!(extend(&longer, seconds, 50), Outcome::Unchanged));
    }
    let Outcome::Changed(live) = extend(&job_in(RUNNING), 400, 40) else { panic!("unchanged") };
    assert_eq!((live.retention(), live.expire_time()), (Duration::from_secs(400), None));
}

#[test]
fn who_canceled_a_job_is_told_where_the_message_has_room() {
    let (by, reason) = (alice(), "x".repeat(100));
    let asked = Asked { message_bytes: 50, ..Asked::of(&by, &reason) };
    let update = Update::Request(Action::Cancel);
    let Outcome::Changed(job) = decide(&job_in(RUNNING), &update, asked, now(40)).unwrap() else {
        panic!("unchanged")
    };
    assert_eq!(job.message, "The job was canceled");
}

#[test]
fn a_wall_a_little_behind_shortens_no_life() {
    let by = alice();
    let asked = Asked { message_bytes: 4_096, ..Asked::of(&by, "") };
    let brief = Job {
        retention: Retention { span: Duration::from_millis(800), from: None, told: None },
        ..job_in(RUNNING)
    };
    let engine = at(40);
    let wall = Timestamp::from_micros(engine.as_micros() - 900_000).unwrap();
    let update = Update::Succeed(Success::default());
    let moment = Moment { wall, engine };
    let Outcome::Changed(job) = decide(&brief, &update, asked, moment).unwrap() else {
        panic!("unchanged")
    };
    assert_eq!(job.expire_time(), Some(engine.saturating_add(Duration::from_millis(800))));
}

#[test]
fn a_retention_is_kept_as_the_store_will_have_it() {
    let new = NewJob { retention: Some(Duration::from_nanos(1_999)), ..NewJob::default() };
    let job = create(&new, JobId::from_uuid(uuid::Uuid::nil()), Duration::ZERO, now(10));
    assert_eq!(job.retention(), Duration::from_micros(1));
}

mod imported {
    use super::*;

    fn leases() -> LeaseOptions {
        LeaseOptions::default()
    }

    fn parts(state: State) -> JobParts {
        let mut parts = JobParts::from(&job_in(state));
        parts.retained_from = None;
        parts.expire_time = None;
        parts
    }

    #[test]
    fn an_ended_job_is_retained_from_now_on_unless_it_says_otherwise() {
        let job = import(&parts(SUCCESS), &leases(), now(1_000)).unwrap();
        assert_eq!(job.end_time(), Some(at(30)));
        assert_eq!(job.retention.from, Some(at(1_000)));
        assert_eq!(job.expire_time(), Some(at(1_300)));

        let told = JobParts { expire_time: Some(at(2_000)), ..parts(SUCCESS) };
        let job = import(&told, &leases(), now(1_000)).unwrap();
        assert_eq!(job.expire_time(), Some(at(2_000)));
        assert_eq!(job.retention.from, Some(at(30)));
        // An export of it is imported as it is.
        assert_eq!(import(&JobParts::from(&job), &leases(), now(1_500)).unwrap(), job);
    }

    #[test]
    fn what_has_expired_lies_ahead_or_contradicts_itself_is_refused() {
        let refused = |parts: JobParts| {
            let error = import(&parts, &leases(), now(1_000)).unwrap_err();
            (error.kind(), error.field().map(str::to_owned))
        };
        let told = JobParts { expire_time: Some(at(1_000)), ..parts(SUCCESS) };
        assert_eq!(refused(told).0, ErrorKind::Gone);
        let ahead = JobParts { update_time: at(1_001), ..parts(RUNNING) };
        assert_eq!(refused(ahead), (ErrorKind::InvalidValue, Some("update_time".to_owned())));
        let sum = JobParts {
            expire_time: Some(at(2_000)),
            retained_from: Some(at(30)),
            ..parts(SUCCESS)
        };
        assert_eq!(refused(sum), (ErrorKind::Contradiction, Some("expire_time".to_owned())));
        let for_ever = JobParts { expire_time: Some(Timestamp::MAX), ..parts(SUCCESS) };
        assert_eq!(refused(for_ever), (ErrorKind::LimitExceeded, Some("expire_time".to_owned())));
        let order = JobParts { start_time: Some(at(5)), ..parts(RUNNING) };
        assert_eq!(refused(order), (ErrorKind::Contradiction, Some("start_time".to_owned())));
        let asked = |state, cooperative, action| JobParts {
            requested: Some(Request { action, by: alice(), time: at(20), reason: Text::new() }),
            cooperative,
            ..parts(state)
        };
        for parts in [
            asked(RUNNING, false, Action::Cancel),
            asked(QUEUED, true, Action::Cancel),
            asked(PAUSED, true, Action::Pause),
            asked(RUNNING, true, Action::Resume),
        ] {
            assert_eq!(refused(parts), (ErrorKind::Contradiction, Some("requested".to_owned())));
        }
        assert!(import(&asked(PAUSED, true, Action::Cancel), &leases(), now(1_000)).is_ok());
        let brings = JobParts { payload_bytes: Some(5), ..parts(RUNNING) };
        assert_eq!(refused(brings), (ErrorKind::InvalidValue, Some("payload_bytes".to_owned())));
        let held = |state, token, claims| {
            let (holder, until) = ("w".to_owned(), at(70));
            let lease = Lease { holder: holder.into(), token, since: None, term: None, until };
            JobParts { lease: Some(lease), claims, ..parts(state) }
        };
        let contradiction = |field: &str| (ErrorKind::Contradiction, Some(field.to_owned()));
        assert_eq!(refused(held(QUEUED, 1, 1)), contradiction("lease"));
        assert_eq!(refused(held(SUCCESS, 1, 1)), contradiction("lease"));
        assert_eq!(refused(held(RUNNING, 2, 1)), contradiction("lease.token"));
        // Whoever held it elsewhere has a full term from now on.
        let job = import(&held(RUNNING, 2, 2), &leases(), now(1_000)).unwrap();
        assert_eq!(job.lease.unwrap().until, at(1_060));
    }
}

#[test]
fn a_scope_without_name_and_id_is_none() {
    let of_scope = |name: &str, id: &str| {
        let scope = Some(Scope { name: name.into(), id: id.into() });
        let new = NewJob { scope, ..NewJob::default() };
        create(&new, JobId::from_uuid(uuid::Uuid::nil()), Duration::ZERO, now(10)).scope
    };
    assert_eq!(of_scope("", ""), None);
    assert_eq!(of_scope("svm1", "").unwrap().name, "svm1");
    assert_eq!(of_scope("", "7").unwrap().id, "7");
}
