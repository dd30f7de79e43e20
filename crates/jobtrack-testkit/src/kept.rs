//! Stores that a release has written, and every later one must read.
//!
//! [`store_kept!`](crate::store_kept) makes the test, and with it the means to keep a store: for each
//! format level there is a folder with one packed store of each kind, and a file with what all of
//! them hold. They are written once, by `cargo xtask keep-stores`, and never again.

// Test code that is not compiled as a test: to fail is how it speaks.
#![allow(clippy::expect_used, clippy::panic)]

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jobtrack::store::{Defect, Durability, Store, verify};
use jobtrack::{
    Action, Actor, Command, ErrorKind, Failure, FailureError, Job, JobId, NewJob, Options, Query,
    Result, Success, Timestamp, TombstoneOptions, Tracker,
};
use uuid::Uuid;

use crate::{Fault, FaultyStore, ManualClock, pack};

/// Set by the command that keeps stores.
pub const KEEP: &str = "JOBTRACK_KEEP_STORES";

/// Opens the store under test.
pub type Open<'a> = dyn Fn(&Path) -> Result<Box<dyn Store>> + 'a;

/// What all stores of a level hold.
const CONTENT: &str = "content.ndjson";

/// Makes the test of one kind of store, given its name and the function that opens it in a folder.
/// The kept stores are in `testdata/stores` of the workspace, two folders above the crate.
#[macro_export]
macro_rules! store_kept {
    ($kind:literal, $open:expr $(,)?) => {
        #[test]
        fn stores_of_every_release_are_read() {
            let stores = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/stores");
            $crate::kept::read_all(&$open, $kind, stores.as_ref());
        }

        /// Not a test: it writes, once for each format level.
        #[test]
        #[ignore = "is run by cargo xtask keep-stores"]
        fn keep_a_store() {
            let stores = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/stores");
            $crate::kept::keep(&$open, $kind, stores.as_ref());
        }
    };
}

/// Unpacks the store of each level, and compares everything in it with what was kept beside it.
pub fn read_all(open: &Open<'_>, kind: &str, stores: &Path) {
    let mut levels = 0;
    for entry in fs::read_dir(stores).expect("the kept stores") {
        let level = entry.expect("a level").path();
        if !level.is_dir() {
            continue;
        }
        let expected = fs::read_to_string(level.join(CONTENT)).expect("the expected content");
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("data");
        let packed = fs::read(level.join(format!("{kind}.pack"))).expect("the kept store");
        pack::unpack(&packed, &folder);
        let store = open(&folder).expect("a store of this level");
        let mut defects = Vec::new();
        verify(&store, &mut |_| {}, &mut |defect: Defect| defects.push(defect))
            .expect("a store that can be verified");
        assert_eq!(defects, [], "{}", level.display());
        let tracker = Tracker::open(store, options(written())).expect("a store of this level");
        let content = content(&tracker);
        for (line, expected) in content.lines().zip(expected.lines()) {
            assert_eq!(line, expected, "{}", level.display());
        }
        assert_eq!(content.len(), expected.len(), "{}", level.display());
        // It is of use, too, and keeps its level.
        let number: u32 = level
            .file_name()
            .and_then(|name| name.to_str()?.parse().ok())
            .expect("a folder named by its level");
        tracker.create(NewJob::described("of a later release")).expect("the creation");
        assert_eq!(tracker.format().store, number);
        drop(tracker);
        let tracker = Tracker::open(open(&folder).expect("it again"), options(written()));
        assert_eq!(tracker.expect("it again").format().store, number);
        levels += 1;
    }
    assert!(levels > 0, "there are no kept stores in {}", stores.display());
}

/// Writes the store of the level that this build writes. Refuses to write one again.
pub fn keep(open: &Open<'_>, kind: &str, stores: &Path) {
    if env::var_os(KEEP).is_none() {
        return;
    }
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join("data");
    let clock = ManualClock::new(begun());
    fill(open(&folder).expect("a new store"), &clock, true);
    fill(open(&folder).expect("the store"), &clock, false);
    let tracker = Tracker::open(open(&folder).expect("the store"), options(written()));
    let tracker = tracker.expect("the store");
    let level = stores.join(tracker.format().store.to_string());
    let text = content(&tracker);
    tracker.close().expect("a clean close");
    drop(tracker);

    let path = level.join(format!("{kind}.pack"));
    assert!(
        !path.exists(),
        "{} is there: what a release has written is never written again; a new level gets a folder \
         of its own",
        path.display()
    );
    fs::create_dir_all(&level).expect("the folder of the level");
    let expected = level.join(CONTENT);
    match fs::read_to_string(&expected) {
        Ok(before) => assert_eq!(text, before, "every kind of store holds the same"),
        Err(_) => fs::write(&expected, &text).expect("the content"),
    }
    fs::write(&path, pack::pack(&folder)).expect("the packed store");
}

fn begun() -> Timestamp {
    "2026-03-01T10:00:00Z".parse().expect("a time")
}

/// When everything was written, and nothing had expired.
fn written() -> ManualClock {
    ManualClock::new("2026-03-01T11:00:00Z".parse().expect("a time"))
}

fn options(clock: ManualClock) -> Options {
    // Whoever opens it years later still finds what is gone.
    let keep = Duration::from_secs(90 * 366 * 86_400);
    let tombstones = TombstoneOptions { keep, at_most: 15 };
    let retention = Duration::from_secs(7_200);
    Options { clock: Arc::new(clock), retention, tombstones, ..Options::default() }
}

const JOBS: u128 = 100;

fn id(n: u128) -> JobId {
    JobId::from_uuid(Uuid::from_u128(0x4000_8000_0000_0000_0000 | (n << 96)))
}

/// Jobs in every state, with every field that a caller can set, and some that are gone: the first
/// half before an unclean stop, the second after it.
fn fill(store: Box<dyn Store>, clock: &ManualClock, is_first: bool) {
    let store = Arc::new(FaultyStore::new(store));
    let tracker = Tracker::open(Arc::clone(&store), options(clock.clone())).expect("the store");
    let half = JOBS / 2;
    let numbers = if is_first { 0..half } else { half..JOBS };
    for n in numbers {
        clock.advance(Duration::from_micros(1_234_567));
        let number = u64::try_from(n).expect("a small number");
        let mut job =
            NewJob { uuid: Some(id(n)), ..NewJob::described(format!("job {n} — №{n}")) };
        if n % 3 == 0 {
            job.kind = if n.is_multiple_of(2) { "backup" } else { "volume move" }.to_owned();
            job.node = format!("node{}", n % 7);
            job.message = "queued by a test".to_owned();
            let (name, id) = (format!("svm{}", n % 5).into(), n.to_string().into());
            job.scope = Some(jobtrack::Scope { name, id });
            job.labels.insert("tier".to_owned(), "gold".to_owned());
            job.labels.insert("naïve".to_owned(), "ü\u{1F600}".to_owned());
        }
        if n % 4 == 0 {
            job.progress =
                Some(jobtrack::Progress { done: number, total: Some(1_000), unit: "files".into() });
        }
        job.cooperative = n % 5 == 0;
        job.allows = jobtrack::Allows { pause: n % 11 != 0, cancel: n % 13 != 0 };
        job.retention = (n % 6 == 0).then_some(Duration::from_secs(86_400 + number));
        run(&tracker, Command::create(job));
        drive(&tracker, n);
    }
    if is_first {
        // The mark of a clean close is not written, so the next opening begins an epoch.
        store.fail_commit(1, Fault::Failed(ErrorKind::StoreFailed));
    }
}

/// Leads a job to one of every place where it can be.
fn drive(tracker: &Tracker, n: u128) {
    let id = id(n);
    let ana = || Actor::named("ana".to_owned());
    if n.is_multiple_of(10) {
        return;
    }
    run(tracker, Command::start(id));
    run(tracker, Command::report(id, format!("step {n}").as_str()));
    match n % 10 {
        1 => {}
        2 => run(tracker, Command::pause(id)),
        3 => {
            run(tracker, Command::request(id, Action::Cancel).by(ana()).because("wrong volume"));
        }
        4 => run(tracker, Command::request(id, Action::Pause).by(ana()).because("peak hours")),
        5 => run(tracker, Command::succeed(id, Success::with_message("done"))),
        6 => {
            let error: FailureError = serde_json::from_value(serde_json::json!({
                "target": "volume",
                "arguments": [{"code": "a", "message": "b"}, {"message": "ü"}],
            }))
            .expect("an error");
            let failure = Failure { error: Some(error), ..Failure::new(-917_658, "in use") };
            run(tracker, Command::fail(id, failure));
        }
        7 => {
            run(tracker, Command::fail(id, Failure::default()));
            run(tracker, Command::extend(id, Duration::from_secs(100_000)));
        }
        8 => {
            run(tracker, Command::succeed(id, Success::default()));
            run(tracker, Command::delete(id));
        }
        _ => {
            run(tracker, Command::fail(id, Failure::new(7, "gone")));
            run(tracker, Command::delete(id));
        }
    }
}

fn run(tracker: &Tracker, command: Command) {
    match tracker.run(command.durability(Durability::Deferred)) {
        Ok(_) => {}
        // Some jobs do not allow what is asked of them.
        Err(error) => assert!(
            [ErrorKind::CannotPause, ErrorKind::CannotCancel].contains(&error.kind()),
            "{error}"
        ),
    }
}

/// Everything that a tracker tells of its jobs, and of those that are gone, one a line.
fn content(tracker: &Tracker) -> String {
    let mut text = String::new();
    let opened = tracker.opened();
    writeln!(text, "{{\"epoch\": {}, \"jobs\": {}}}", opened.epoch, opened.jobs).expect("a line");
    let all = Query { max_records: Some(1_000), ..Query::default() };
    for job in tracker.query(&all).expect("the jobs").jobs {
        let line = serde_json::to_string::<Job>(&job).expect("JSON");
        writeln!(text, "{line}").expect("a line");
    }
    for n in 0..JOBS {
        if let Err(error) = tracker.get(id(n)) {
            // Not an object of serde_json, whose order depends on how the workspace is built.
            let message = serde_json::to_string(error.message()).expect("JSON");
            let (kind, id) = (error.kind(), id(n));
            writeln!(text, r#"{{"kind":"{kind}","message":{message},"uuid":"{id}"}}"#)
                .expect("a line");
        }
    }
    text
}
