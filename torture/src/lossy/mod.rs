//! Power cuts beneath real processes, on a file system that loses what was not synced.
//!
//! The file system is a [`Tree`](tree::Tree) in the memory of this process, mounted by FUSE. Another
//! process works on a store in it until the power goes at some operation. Of all sectors and names
//! that were not synced any may be left; what is mounted then is one of the trees that may be, and a
//! process of its own opens the store in it: twice, and from the same tree once more after the power
//! has gone while it was being opened. What the worker was told is kept here.

// A judge's verdict is a panic.
#![allow(clippy::expect_used, clippy::panic)]

#[cfg(target_os = "linux")]
mod mount;
pub mod tree;

use crate::course::{Broken, Course, Tally};
use crate::stores::Kind;

/// Cuts the power again and again.
///
/// # Errors
///
/// A promise that was broken.
#[cfg(target_os = "linux")]
pub fn run(kind: Kind, course: &Course<'_>) -> Result<Tally, Broken> {
    if let Err(error) = mount::Mounted::new(tree::Tree::default()) {
        let reason = format!("needs FUSE and root, to mount a file system: {error}");
        return Ok(Tally::skipped(reason));
    }
    course.run("power cuts", u64::MAX, crate::course::cores(), |_, seed| cuts::rounds(kind, seed))
}

/// There is no FUSE.
///
/// # Errors
///
/// None.
#[cfg(not(target_os = "linux"))]
pub fn run(_kind: Kind, _course: &Course<'_>) -> Result<Tally, Broken> {
    Ok(Tally::skipped("needs FUSE, which this system does not have"))
}

#[cfg(target_os = "linux")]
mod cuts {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    use jobtrack_testkit::Random;
    use jobtrack_testkit::processes::{COMMITS, FOLDER, committed};

    use super::mount::Mounted;
    use super::tree::Tree;
    use crate::course::Tally;
    use crate::machines;
    use crate::stores::Kind;

    /// How many losses of power one store stands, one after the other.
    const ROUNDS: u64 = 4;
    /// After how many commits a worker ends whose power does not go.
    const MOST: u64 = 120;

    pub(super) fn rounds(kind: Kind, seed: u64) -> Tally {
        let mut random = Random::new(seed);
        let mut tally = Tally::default();
        let mut tree = Tree::default();
        let mut begun = 0;
        for round in 0..ROUNDS {
            let mounted = Mounted::new(tree).expect("a file system");
            let operation = 1 + random.below(600);
            mounted.with(|tree| tree.cut_power(operation));
            let (last, last_synced) = work(kind, &mounted, begun);
            let after = mounted.with(|tree| tree.after_power_cut(&mut random));
            drop(mounted);

            let context = format!("{}, round {round}, cut at {operation}", kind.name);
            let (left, operations, judged) = judge(kind, after.copy(), &context);
            assert!(left >= last_synced, "{context}: {left} is left of {last_synced}");
            assert!(left <= last + 1, "{context}: {left} is more than {last}");
            tally.add("power cuts", 1);
            tally.add("commits kept", left - begun);

            let again = recover(kind, after, 1 + random.below(operations), &mut random);
            let context = format!("{context}, again during recovery");
            assert_eq!(judge(kind, again, &context).0, left, "{context}");
            tally.add("power cuts", 1);
            tally.add("during recovery", 1);
            (tree, begun) = (judged, left);
        }
        tally
    }

    /// Lets a process work until its power goes; the last commit that it was told of, and the last
    /// synced one.
    fn work(kind: Kind, mounted: &Mounted, begun: u64) -> (u64, u64) {
        let mut worker = machines::worker(kind)
            .env(FOLDER, mounted.path().join("store"))
            .env(COMMITS, (begun + MOST).to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("another process");
        let (mut last, mut last_synced) = (begun, begun);
        let out = BufReader::new(worker.stdout.take().expect("its output"));
        for (number, is_synced) in
            out.lines().map_while(Result::ok).filter_map(|line| committed(&line))
        {
            last = number;
            last_synced = if is_synced { number } else { last_synced };
        }
        worker.wait().expect("its end");
        (last, last_synced)
    }

    /// What is left in this tree, seen twice, and the operations that it took to open and close it.
    fn judge(kind: Kind, tree: Tree, context: &str) -> (u64, u64, Tree) {
        let mounted = Mounted::new(tree).expect("a file system");
        let folder = mounted.path().join("store");
        let left =
            || machines::left(kind, &folder).unwrap_or_else(|error| panic!("{context}: {error}"));
        let first = left();
        let operations = mounted.with(|tree| tree.operations());
        assert_eq!(first, left(), "{context}: opened twice, and not the same");
        let tree = mounted.with(|tree| tree.copy());
        (first, operations, tree)
    }

    /// What a power cut leaves while the store is opened.
    fn recover(kind: Kind, tree: Tree, operation: u64, random: &mut Random) -> Tree {
        let mounted = Mounted::new(tree).expect("a file system");
        mounted.with(|tree| tree.cut_power(operation));
        // It fails, since its disk does.
        let _ = machines::left(kind, &mounted.path().join("store"));
        mounted.with(|tree| tree.after_power_cut(random))
    }
}
