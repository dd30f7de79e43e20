//! 64 writers and 256 readers at once, and everything they were told judged afterwards.

use jobtrack::Tracker;
use jobtrack_redb::RedbStore;
use jobtrack_testkit::stress;

#[test]
fn many_at_once_are_told_one_story() {
    let parent = tempfile::tempdir().unwrap();
    let mut rounds = 0;
    stress::rounds(&mut || {
        rounds += 1;
        let store = RedbStore::open(parent.path().join(rounds.to_string())).unwrap();
        Tracker::open(store, stress::options()).unwrap()
    });
}
