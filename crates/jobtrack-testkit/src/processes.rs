//! Two processes and one store; and a process that dies in the middle of its work.
//!
//! [`store_processes!`](crate::store_processes) makes the tests. They start the test program again
//! as the other process, so the macro stands at the top of a file in `tests/`. A program of its own
//! can do the same at length: it runs [`other_process`] when it is started as that, and tells by a
//! [`Start`] how that is done.
//!
//! What the other process was told is kept here, outside of it, and not in what it may lose.

// Test code that is not compiled as a test: to fail is how it speaks.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use jobtrack::store::{Batch, CommitError, Durability, Space, Store};
use jobtrack::{ErrorKind, Result};

use crate::Random;
use crate::conformance::{batch, write};

/// How many processes are killed, if the test shall not choose.
pub const ROUNDS: &str = "JOBTRACK_TEST_KILLS";

/// Names the folder to the other process.
pub const FOLDER: &str = "JOBTRACK_TEST_FOLDER";

/// Makes the tests of this module for one kind of embedded store, given the function that opens it
/// in a folder.
#[macro_export]
macro_rules! store_processes {
    ($open:expr $(,)?) => {
        /// Not a test of its own: the other process.
        #[test]
        #[ignore = "is run by the tests below, in a process of its own"]
        fn other_process() {
            $crate::processes::other_process(&$open);
        }

        #[test]
        fn a_store_held_by_another_process_is_refused_by_its_name_until_it_ends() {
            $crate::processes::held_by_another(&$open);
        }

        #[test]
        fn a_store_open_in_this_process_is_refused_to_a_second_opening() {
            $crate::processes::held_by_this(&$open);
        }

        #[test]
        fn what_a_killed_process_was_told_is_stored_is_there() {
            $crate::processes::killed(&$open, 12);
        }

        #[test]
        fn what_a_crash_has_left_half_written_is_no_error() {
            $crate::processes::half_written(&$open);
        }

        #[test]
        fn after_a_failed_sync_nothing_more_is_taken_or_shown_until_it_is_opened_again() {
            $crate::processes::failed_syncs(&$open);
        }
    };
}

/// After how many commits the other process ends by itself, if it is not killed.
pub const COMMITS: &str = "JOBTRACK_TEST_COMMITS";

/// Opens the store under test.
pub type Open<'a> = dyn Fn(&Path) -> Result<Box<dyn Store>> + 'a;

/// The command that runs [`other_process`].
pub type Start<'a> = dyn Fn() -> Command + 'a;

/// How many rounds go on with the store that the one before has left.
const ROUNDS_OF_A_STORE: u64 = 20;

/// Commits until it is killed, and after each commit says which one has returned, and whether it was
/// synced.
pub fn other_process(open: &Open<'_>) {
    let Some(folder) = env::var_os(FOLDER) else { return };
    let Ok(store) = open(Path::new(&folder)) else { return println!("\nnot opened") };
    let last = store.load(&mut |_, _, _| Ok(())).expect("the loading");
    let most = env::var(COMMITS).ok().and_then(|most| most.parse().ok()).unwrap_or(u64::MAX);
    for n in (last + 1..).take_while(|n| *n <= most) {
        let durability = if n % 3 == 0 { Durability::Deferred } else { Durability::Synced };
        let value = n.to_be_bytes().repeat(50);
        let mut writes = [Space::Job, Space::Blob]
            .map(|space| write(space, &n.to_be_bytes(), Some(&value)))
            .to_vec();
        // What comes must go, and what stays is written over.
        writes.push(write(Space::Job, &n.wrapping_sub(KEPT).to_be_bytes(), None));
        writes.push(write(Space::Meta, b"last", Some(&n.to_be_bytes())));
        let batch = batch([], writes);
        match store.commit(&batch, durability) {
            Ok(number) => assert_eq!(number, n),
            Err(error) => return tell_failure(&*store, &batch, &error),
        }
        let is_synced = durability == Durability::Synced;
        let mut out = std::io::stdout().lock();
        writeln!(out, "\ncommitted {n} {is_synced}").expect("a reader");
    }
}

/// Says how a commit has failed, and whether everything is refused since.
fn tell_failure(store: &dyn Store, batch: &Batch, error: &CommitError) {
    let is_unknown = matches!(error, CommitError::Unknown(_));
    let again = store.commit(batch, Durability::Synced);
    let is_refused = matches!(again, Err(CommitError::Unknown(_)));
    let is_hidden =
        store.read(Space::Meta, b"last").is_err() && store.load(&mut |_, _, _| Ok(())).is_err();
    println!("\nfailed {is_unknown} {is_refused} {is_hidden}");
}

/// How many jobs the other process keeps.
const KEPT: u64 = 100;

/// The name of the holder is in the refusal, and its end lets the store go.
pub fn held_by_another(open: &Open<'_>) {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut child, out) = run(this_test(), folder.path());
    let mut lines = out.lines().map_while(Result::ok);
    assert!(lines.any(|line| committed(&line).is_some()), "the other process holds the store");

    let error = open(folder.path()).err().expect("a refusal");
    assert_eq!(error.kind(), ErrorKind::StoreHeld);
    let program = env::current_exe().expect("a program").display().to_string();
    for part in [&format!("process {} ", child.id()), &program, " since "] {
        assert!(error.message().contains(part), "{error}: lacks {part}");
    }

    end(&mut child);
    open(folder.path()).expect("the store of a process that has ended");
}

/// Not even the same process gets the store twice.
pub fn held_by_this(open: &Open<'_>) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path()).expect("the store");
    let error = open(folder.path()).err().expect("a refusal");
    assert_eq!(error.kind(), ErrorKind::StoreHeld);
    assert!(error.message().contains(&format!("process {} ", std::process::id())), "{error}");
    drop(store);
    open(folder.path()).expect("the store that was let go");
}

/// Kills process after process, each at work on what the one before has left.
pub fn killed(open: &Open<'_>, rounds: u64) {
    let mut rounds = env::var(ROUNDS).ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(rounds);
    while rounds > 0 {
        let now = rounds.min(ROUNDS_OF_A_STORE);
        kill_rounds(open, &this_test, rounds, now);
        rounds -= now;
    }
}

/// Kills so many processes, each at work on the store that the one before has left; the seed says
/// when.
///
/// # Panics
///
/// If anything is lost that one of them was told is stored.
pub fn kill_rounds(open: &Open<'_>, start: &Start<'_>, seed: u64, rounds: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut random = Random::new(seed);
    let mut begun = 0;
    for round in 0..rounds {
        let (mut child, out) = run(start(), folder.path());
        let mut lines = out.lines().map_while(Result::ok);
        let mut last_synced = begun;
        let kill_after = begun + 1 + random.below(97);
        while last_synced < kill_after {
            let line = lines.next().expect("a process that goes on until it is killed");
            if let Some((number, true)) = committed(&line) {
                last_synced = number;
            }
        }
        end(&mut child);
        // What it said before it died, and was not read yet.
        let mut last = last_synced;
        for (number, is_synced) in lines.filter_map(|line| committed(&line)) {
            last = number;
            last_synced = if is_synced { number } else { last_synced };
        }
        // Twice: what opening does after a crash must not cost anything.
        let left = left(open, folder.path());
        assert_eq!(left, self::left(open, folder.path()), "opened twice, and not the same");
        assert!(left >= last_synced, "round {round}: {left} is left of {last_synced}");
        // The one that was on its way may be there; of those after it none was begun.
        assert!(left <= last + 1, "round {round}: {left} is more than {last}");
        begun = left;
    }
}

/// What a process did under whose feet a system call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Struck {
    /// A commit was answered that its outcome is unknown.
    pub was_unknown: bool,
    /// A commit was answered that it has failed and nothing was written.
    pub was_refused: bool,
    /// The last commit that it was told of.
    pub acknowledged: u64,
    /// The last commit that is left.
    pub left: u64,
}

/// Lets a system call of a process fail, or be its last, by means of strace: `inject` is what
/// strace's option `-e inject=` takes.
///
/// # Errors
///
/// The reason why strace cannot be run.
///
/// # Panics
///
/// If a promise is broken.
pub fn strike(open: &Open<'_>, start: &Start<'_>, inject: &str) -> std::io::Result<Struck> {
    Command::new("strace").arg("-V").stdout(Stdio::null()).status()?;
    let folder = tempfile::tempdir().expect("a folder");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-e", "signal=none", "-o", "/dev/null", "-e"]);
    strace.arg(format!("inject={inject}"));
    let program = start();
    strace.arg(program.get_program()).args(program.get_args());
    strace.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    // A fault may come while the store is being made, or where its failure costs nothing.
    strace.env(COMMITS, "150");
    let (mut child, out) = run(strace, folder.path());
    let mut struck = Struck::default();
    let mut last_synced = 0;
    for line in out.lines().map_while(Result::ok) {
        if let Some((number, is_synced)) = committed(&line) {
            struck.acknowledged = number;
            last_synced = if is_synced { number } else { last_synced };
        }
        match line.strip_prefix("failed ") {
            Some("true true true") => struck.was_unknown = true,
            Some(answers) if answers.starts_with("false") => struck.was_refused = true,
            Some(answers) => panic!("{inject}: unknown, refused after it, hidden: {answers}"),
            None => {}
        }
    }
    child.wait().expect("its end");
    let left = left(open, folder.path());
    assert_eq!(left, self::left(open, folder.path()), "{inject}: opened twice, and not the same");
    assert!(left >= last_synced, "{inject}: {left} is left of {last_synced}");
    // One more may have been stored and not told: the call that failed may have been the telling, and
    // after a commit that failed it is tried once more.
    let most = struck.acknowledged + 1;
    assert!(left <= most, "{inject}: {left} is more than {}", struck.acknowledged);
    struck.left = left;
    Ok(struck)
}

/// Lets the n-th sync of a process fail, once or from then on, by means of strace.
pub fn failed_syncs(open: &Open<'_>) {
    let mut failures = 0;
    for when in ["3", "12", "21+", "30", "47+", "90"] {
        let inject = format!("fsync,fdatasync:error=EIO:when={when}");
        match strike(open, &this_test, &inject) {
            Ok(struck) => failures += u32::from(struck.was_unknown),
            Err(error) => {
                return eprintln!("SKIPPED: needs strace, which cannot be run here: {error}");
            }
        }
    }
    assert!(failures > 1, "no commit has failed");
}

/// What a crash leaves half written under a temporary name is no error, and does not stay.
pub fn half_written(open: &Open<'_>) {
    let folder = tempfile::tempdir().expect("a folder");
    let names = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).expect("the folder");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    };
    // Before the store was made, and after.
    for round in 0..2_u64 {
        let made: Vec<PathBuf> = match round {
            0 => Vec::new(),
            _ => names(folder.path()).into_iter().filter(|path| path.is_file()).collect(),
        };
        let data = made.iter().filter(|path| path.file_name() != Some("LOCK".as_ref()));
        let halves: Vec<PathBuf> = data.map(|path| path.with_added_extension("new")).collect();
        for half in &halves {
            fs::write(half, "half of it").expect("a file");
        }
        assert_eq!(halves.len() as u64, round, "one file of a store is put in place by its name");
        let store = open(folder.path()).expect("a store beside which half of a file lies");
        let change = batch([], [write(Space::Job, &[1], Some(b"v"))]);
        assert_eq!(store.commit(&change, Durability::Synced).expect("a commit"), round + 1);
        drop(store);
        assert!(halves.iter().all(|half| !half.exists()), "{halves:?} are still there");
    }
}

/// The last commit that is left of what [`other_process`] did, in a store in which each is whole.
///
/// # Panics
///
/// If the store cannot be opened, or one of them is not whole.
pub fn left(open: &Open<'_>, folder: &Path) -> u64 {
    let store = open(folder).expect("the store of a killed process");
    let (mut jobs, mut meta) = (Vec::new(), None);
    let revision = store.load(&mut |space, key, record| {
        match space {
            Space::Job => {
                let number = u64::from_be_bytes(key.try_into().expect("eight bytes"));
                assert_eq!(record.revision, number);
                assert_eq!(record.value, number.to_be_bytes().repeat(50));
                jobs.push(number);
            }
            _ => meta = Some(record),
        }
        Ok(())
    });
    let revision = revision.expect("the loading");
    if revision > 0 {
        let meta = meta.expect("the record of the last commit");
        assert_eq!((meta.revision, meta.value), (revision, revision.to_be_bytes().to_vec()));
    }
    assert!(jobs.into_iter().eq(revision.saturating_sub(KEPT) + 1..=revision), "a hole");
    for number in 1..=revision {
        let blob = store.read(Space::Blob, &number.to_be_bytes()).expect("the reading");
        assert!(blob.is_some(), "half of commit {number}");
    }
    revision
}

/// This test program, as the other process.
fn this_test() -> Command {
    let mut program = Command::new(env::current_exe().expect("a program"));
    program.args(["--exact", "other_process", "--ignored", "--nocapture"]);
    program
}

fn run(mut program: Command, folder: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut child = program
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("another process");
    let out = BufReader::new(child.stdout.take().expect("its output"));
    (child, out)
}

fn end(child: &mut Child) {
    child.kill().expect("a process to kill");
    child.wait().expect("its end");
}

/// The commit that a line of the other process reports, and whether it was synced.
pub fn committed(line: &str) -> Option<(u64, bool)> {
    let (number, is_synced) = line.strip_prefix("committed ")?.split_once(' ')?;
    Some((number.parse().ok()?, is_synced.parse().ok()?))
}
