//! What a tenant gets from the engine. That faces tell nothing of others is tested there, whole.

// A test that cannot go on stops; outside of `#[test]` functions clippy must be told.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use jobtrack::{
    Access, BulkAction, BulkRequest, Claim, Command, ErrorKind, EventKind, Expr, Field, Hold,
    JobId, JobParts, Limits, MemoryStore, Names, NewJob, Options, Order, Query, Scope, State,
    Tenant, Tracker, limits,
};
use jobtrack_testkit::ManualClock;

fn open(options: Options) -> Tracker {
    let clock = ManualClock::new("2026-03-01T10:00:00Z".parse().unwrap());
    Tracker::open(MemoryStore::new(), Options { clock: Arc::new(clock), ..options }).unwrap()
}

fn of(scope: &str, kind: &str) -> NewJob {
    let scope =
        (!scope.is_empty()).then(|| Scope { name: scope.into(), id: jobtrack::Text::new() });
    NewJob { scope, kind: kind.to_owned(), ..NewJob::described(kind) }
}

fn access(tracker: &Tracker, scope: &str) -> Access {
    tracker.access(Some(Tenant::named(scope).unwrap()))
}

fn create(access: &Access, job: NewJob) -> JobId {
    access.run(Command::create(job)).unwrap().job.uuid
}

#[test]
fn counts_are_of_the_tenant_s_jobs_alone_by_state_and_kind() {
    let tracker = open(Options::default());
    for n in 0..200 {
        let [scope, kind] = [["mine", "other", ""][n % 3], ["", "a", "b", "c"][n % 4]];
        let id = tracker.create(of(scope, kind)).unwrap().uuid;
        if n % 5 == 0 {
            tracker.start(id).unwrap();
        }
    }
    tracker.create(of("other", "secret")).unwrap();
    let counts = access(&tracker, "mine").counts().unwrap();
    let mut total = 0;
    for kind in ["", "a", "b", "c", "secret"] {
        for state in State::ALL {
            let filter = Expr::parse("scope.name", "mine", Names::Native)
                .unwrap()
                .and(Expr::is(Field::State, *state).unwrap())
                .and(match kind {
                    "" => Expr::is_null(Field::Kind),
                    kind => Expr::is(Field::Kind, kind).unwrap(),
                });
            let count = tracker.count(&Query::matching(filter)).unwrap().count;
            assert_eq!(counts.of(kind, *state), count, "{kind:?} {state}");
            total += count;
        }
    }
    assert_eq!((counts.total(), total), (67, 67));
    assert_eq!(counts.kinds().collect::<Vec<_>>(), ["", "a", "b", "c"]);
    assert_eq!(tracker.access(None).counts().unwrap(), tracker.counts().unwrap());
}

#[test]
fn what_a_tenant_makes_is_theirs_and_nothing_else_can_be_made() {
    let tracker = open(Options::default());
    let mine = access(&tracker, "mine");
    for given in [None, Some(Scope::default()), of("mine", "").scope] {
        let job = mine.run(Command::create(NewJob { scope: given, ..NewJob::default() }));
        assert_eq!(job.unwrap().job.scope, of("mine", "").scope);
    }
    let id = create(&mine, NewJob::default());
    let before = tracker.revision();
    let other = mine.run(Command::create(of("other", ""))).unwrap_err();
    assert_eq!((other.kind(), other.field()), (ErrorKind::InvalidValue, Some("scope.name")));
    for uuid in [id, "00000000-0000-0000-0000-000000000001".parse().unwrap()] {
        let named = NewJob { uuid: Some(uuid), ..NewJob::default() };
        let error = mine.run(Command::create(named)).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::NotPermitted, Some("uuid")));
        assert!(!error.message().contains(&uuid.to_string()), "the same for every uuid");
    }
    let parts = JobParts::from(&*tracker.get(id).unwrap().job);
    let error = mine.run(Command::import(parts)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotPermitted);
    assert_eq!(tracker.revision(), before);
    // One that is refused stands in its turn among those that are not.
    let outcomes = mine.run_all([
        Command::start(id),
        Command::create(of("other", "")),
        Command::report(id, "1 of 2"),
    ]);
    let kinds: Vec<_> = outcomes.into_iter().map(|it| it.map_err(|error| error.kind())).collect();
    assert!(kinds[0].is_ok() && kinds[2].is_ok());
    assert_eq!(kinds[1].as_ref().unwrap_err(), &ErrorKind::InvalidValue);
    let ticket = mine.submit(Command::create(of("other", "")));
    assert_eq!(ticket.wait().unwrap_err().kind(), ErrorKind::InvalidValue);
}

#[test]
fn what_is_another_s_is_not_there() {
    let tracker = open(Options::default());
    let mine = access(&tracker, "mine");
    let other = tracker.create(of("other", "")).unwrap().uuid;
    let deleted = tracker.create(of("other", "")).unwrap().uuid;
    tracker.fail(deleted, jobtrack::Failure::default()).unwrap();
    tracker.delete(deleted).unwrap();
    let never: JobId = "00000000-0000-0000-0000-000000000001".parse().unwrap();
    let before = tracker.revision();
    for id in [other, deleted, never] {
        let said = |error: jobtrack::Error| (error.kind(), error.to_string());
        let expected = (ErrorKind::NotFound, format!("there is no job {id}"));
        assert_eq!(said(mine.get(id).unwrap_err()), expected);
        assert_eq!(said(mine.tree(id, 9).unwrap_err()), expected);
        assert_eq!(said(mine.wait(id, Duration::ZERO).unwrap_err()), expected);
        assert_eq!(said(mine.run(Command::start(id)).unwrap_err()), expected);
        assert_eq!(said(mine.run(Command::delete(id)).unwrap_err()), expected);
        let progress = jobtrack::Progress { done: 1, total: None, unit: jobtrack::Text::new() };
        assert_eq!(said(mine.progress(id, progress, None).unwrap_err()), expected);
        let child = NewJob { parent: Some(id), ..NewJob::default() };
        let error = mine.run(Command::create(child)).unwrap_err();
        assert_eq!((error.kind(), error.message()), (expected.0, &*expected.1));
    }
    let claim = Command::claim(Claim::matching(Expr::everything(), Hold::leased("w")));
    assert_eq!(mine.run(claim.clone()).unwrap_err().kind(), ErrorKind::NothingToClaim);
    assert_eq!(tracker.revision(), before);
    let own = create(&mine, NewJob::default());
    assert_eq!(mine.run(claim).unwrap().job.uuid, own);
    for error in [
        mine.whole().unwrap_err(),
        mine.explain(&Query::default()).unwrap_err(),
        mine.explain_count(&Query::default()).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotPermitted);
    }
    assert!(tracker.access(None).whole().is_ok());
}

#[test]
fn a_watch_tells_of_no_other_however_far_back_it_begins() {
    let history = jobtrack::HistoryOptions { changes: 4, ..Default::default() };
    let tracker = open(Options { history, ..Options::default() });
    let mine = access(&tracker, "mine");
    let mut own = Vec::new();
    for n in 0..10 {
        let other = tracker.create(of("other", "")).unwrap().uuid;
        tracker.fail(other, jobtrack::Failure::default()).unwrap();
        if n % 2 == 0 {
            tracker.delete(other).unwrap();
        }
        own.push(create(&mine, NewJob::default()));
    }
    let first = jobtrack::Revision { epoch: 1, number: 1 };
    let mut watch = mine.watch(Expr::everything(), Some(first.into())).unwrap();
    let mut told = Vec::new();
    while let Some(event) = watch.next(Duration::ZERO).unwrap() {
        assert!(matches!(event.kind, EventKind::In(_)), "{event:?}");
        told.extend(event.kind.uuid());
    }
    assert_eq!(told, own);
}

#[test]
fn a_store_that_is_full_tells_a_tenant_nothing_of_how_full() {
    let tracker =
        open(Options { limits: Limits { jobs: 7, ..Limits::default() }, ..Options::default() });
    for _ in 0..6 {
        tracker.create(of("other", "")).unwrap();
    }
    let mine = access(&tracker, "mine");
    create(&mine, NewJob::default());
    let error = mine.run(Command::create(NewJob::default())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(!error.to_string().contains('7'), "{error}");
    assert!(tracker.create(NewJob::default()).unwrap_err().to_string().contains('7'));
}

#[test]
fn a_parent_that_cannot_succeed_tells_a_tenant_nothing_of_how_many_children_others_have() {
    let tracker = open(Options::default());
    let mine = access(&tracker, "mine");
    let parent = create(&mine, NewJob::default());
    mine.run(Command::start(parent)).unwrap();
    for _ in 0..7 {
        tracker.create(NewJob { parent: Some(parent), ..of("other", "") }).unwrap();
    }
    assert_eq!(mine.tree(parent, 9).unwrap().nodes[0].children.total(), 0);
    let succeed = Command::succeed(parent, jobtrack::Success::default());
    let error = mine.run(succeed.clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotRolledUp);
    assert!(!error.message().contains('7'), "{error}");
    assert!(tracker.run(succeed).unwrap_err().message().contains("7 of its 7 children"));
}

#[test]
fn a_tenant_may_ask_as_much_as_anybody() {
    let tracker = open(Options::default());
    let mine =
        tracker.access(Some(Tenant::new(Scope { name: "mine".into(), id: "7".into() }).unwrap()));
    create(&mine, of("", "5"));
    tracker.create(of("mine", "5")).unwrap();
    let kinds = (0..limits::FILTER_TERMS).map(|n| n.to_string());
    let widest = Expr::one_of(&Field::Kind, kinds).unwrap();
    for filter in [widest.clone(), widest.clone().and(Expr::everything())] {
        assert_eq!(mine.query(&Query::matching(filter)).unwrap().jobs.len(), 1);
    }
    let too_wide = widest.or(Expr::is(Field::Code, 7).unwrap());
    let error = mine.query(&Query::matching(too_wide)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
}

/// How long a tenant's query takes must not tell how many jobs others have: what it reads does not
/// rise with them.
#[test]
fn a_tenant_s_query_does_not_read_through_others_jobs() {
    let read = |others: usize| {
        let tracker = open(Options::default());
        let mine = access(&tracker, "mine");
        for _ in 0..100 {
            create(&mine, of("", "backup"));
        }
        let new = |n: usize| Command::create(of(&format!("other {}", n % 7), "backup"));
        for first in (0..others).step_by(500) {
            let outcomes = tracker.run_all((first..first + 500).map(new));
            assert!(outcomes.iter().all(Result::is_ok));
        }
        while tracker.maintain(1_000).unwrap().more {}
        let own = Expr::parse("scope.name", "mine", Names::Native).unwrap();
        let orders = ["", "create_time desc", "description"];
        let of_order = |order: &str| {
            let order = match order {
                "" => Order::default(),
                order => Order::parse(order, Names::Native).unwrap(),
            };
            let filter = Expr::parse("description", "*ack*", Names::Native).unwrap();
            let filter = filter.and(own.clone());
            let query = Query { order, max_records: Some(20), ..Query::matching(filter) };
            let explained = tracker.explain(&query).unwrap();
            assert_eq!(explained.records, 20);
            explained.steps.iter().map(|step| step.read).sum::<u64>()
        };
        orders.map(of_order)
    };
    let (few, many) = (read(20_000), read(80_000));
    for (few, many) in few.into_iter().zip(many) {
        assert!(many < few * 2 + 1_000, "{few} rows were read, and {many} with four times as many");
    }
}

#[test]
fn a_bulk_of_a_tenant_goes_over_their_own_jobs_and_its_job_is_theirs() {
    let tracker = open(Options::default());
    let [mine, other] = ["mine", "other"].map(|scope| access(&tracker, scope));
    let (own, others) = (create(&mine, of("mine", "a")), create(&other, of("other", "a")));
    let request = BulkRequest::new(Expr::everything(), BulkAction::Cancel);
    let bulk = mine.bulk(request.clone()).unwrap();
    let job = bulk.job();
    assert_eq!(bulk.run().unwrap().message, "cancel: 1 of 1 jobs changed");
    assert_eq!(mine.get(own).unwrap().state(), State::Failure);
    assert_eq!(other.get(others).unwrap().state(), State::Queued);
    assert_eq!(mine.get(job).unwrap().state(), State::Success);
    assert_eq!(other.get(job).unwrap_err().kind(), ErrorKind::NotFound);
    // Nor does one that comes between, of another's job, reach it.
    let mut bulk = mine.bulk(request).unwrap();
    assert!(bulk.step().unwrap().has_ended);
    assert_eq!(other.count(&Query::default()).unwrap().count, 1);
}
