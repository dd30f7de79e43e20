//! `jobtrack store`: whole stores copied, backed up, verified, compacted and salvaged.

// Tests may unwrap, and the lints see no test in helpers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Output;

use common::{Server, refused, run};
use serde_json::Value;

/// A store of three jobs, of which one runs, and one that is gone.
fn made(folder: &Path) -> String {
    let store = format!("redb:{}", folder.display());
    for n in 0..4 {
        let job = format!("0000000{n}-0000-4000-8000-000000000000");
        assert!(
            run(&["create", "-q", "a job", "--uuid", &job, "--store", &store]).status.success()
        );
        if n > 1 {
            assert!(run(&["start", "-q", &job, "--store", &store]).status.success());
        }
        if n == 3 {
            assert!(run(&["fail", "-q", &job, "broken", "--store", &store]).status.success());
            assert!(run(&["delete", "-q", &job, "--store", &store]).status.success());
        }
    }
    store
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What a command prints, one JSON object a line, and its status.
fn lines(arguments: &[&str]) -> (Vec<Value>, i32) {
    let output = run(arguments);
    let lines = text(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (lines, output.status.code().unwrap())
}

fn jobs(store: &str) -> String {
    let output = run(&["list", "--all", "-o", "ndjson", "--store", store]);
    assert!(output.status.success(), "{output:?}");
    text(&output)
}

#[track_caller]
fn whole(store: &str) {
    let (lines, status) = lines(&["store", "verify", store]);
    assert_eq!((lines.len(), status), (1, 0), "{lines:?}");
    assert_eq!(lines[0]["defects"], 0);
    assert_eq!(lines[0]["records"]["job"], 3);
    assert_eq!(lines[0]["records"]["tombstone"], 1);
}

/// What stands in a folder, hidden names included: nothing half-made may stay.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_store_goes_round_through_every_kind() {
    let folder = tempfile::tempdir().unwrap();
    let first = made(&folder.path().join("a"));
    let before = jobs(&first);
    let mut from = first;
    for (n, kind) in ["fjall", "sled", "redb"].into_iter().enumerate() {
        let to = format!("{kind}:{}", folder.path().join(format!("{n}")).display());
        let (told, status) = lines(&["store", "copy", &from, &to]);
        assert_eq!((status, told[0]["records"].as_u64()), (0, Some(9)), "{told:?}");
        whole(&to);
        assert_eq!(jobs(&to), before, "revisions included");
        from = to;
    }
    assert_eq!(names(folder.path()), ["0", "1", "2", "a"]);
}

#[test]
fn a_running_server_is_backed_up() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let store = made(&data);
    let before = jobs(&store);
    let server = Server::start(&data, &[]);
    let url = server.url.clone();
    let held = refused(&["store", "copy", &store, &format!("redb:{}/x", folder.path().display())]);
    assert!(held.contains(&format!("process {}", server.pid())), "{held}");

    let copy = format!("sled:{}/copy", folder.path().display());
    let (told, status) = lines(&["store", "backup", &copy, "--server", &url]);
    assert_eq!((status, told[0]["records"].as_u64()), (0, Some(9)), "{told:?}");
    whole(&copy);
    assert_eq!(jobs(&copy), before);

    // And by way of a file.
    let lines_of = common::agent().get(format!("{url}/v1/backup")).call().unwrap();
    let file = folder.path().join("backup.ndjson");
    let content = lines_of.into_body().read_to_string().unwrap();
    fs::write(&file, &content).unwrap();
    let restored = format!("redb:{}/restored", folder.path().display());
    let (_, status) = lines(&["store", "restore", file.to_str().unwrap(), &restored]);
    assert_eq!(status, 0);
    whole(&restored);
    assert_eq!(jobs(&restored), before);

    // Half of it is nothing.
    fs::write(&file, &content[..content.len() / 2]).unwrap();
    let half = format!("redb:{}/half", folder.path().display());
    let error = refused(&["store", "restore", file.to_str().unwrap(), &half]);
    assert!(error.contains("it is not whole"), "{error}");
    assert_eq!(names(folder.path()), ["backup.ndjson", "copy", "data", "restored"]);
}

#[test]
fn places_that_are_taken_and_stores_that_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = made(&folder.path().join("data"));
    let at = |name: &str| format!("redb:{}", folder.path().join(name).display());
    fs::write(folder.path().join("file"), "text").unwrap();
    fs::create_dir(folder.path().join("empty")).unwrap();

    let error = refused(&["store", "copy", &store, &store]);
    assert!(error.contains("the folder is not empty"), "{error}");
    let error = refused(&["store", "copy", &store, &at("file")]);
    assert!(error.contains("it is a file"), "{error}");
    let error = refused(&["store", "verify", &at("empty")]);
    assert!(error.contains("there is no store in redb at"), "{error}");
    assert_eq!(names(&folder.path().join("empty")), [""; 0], "and none is made");
    let error = refused(&["store", "verify", &store.replace("redb:", "sled:")]);
    assert!(error.contains("of another kind; write redb:"), "{error}");
    let error = run(&["store", "copy", &store, "memory:"]);
    assert_eq!(error.status.code(), Some(2), "{error:?}");

    // An empty folder is as good as none.
    assert!(run(&["store", "copy", &store, &at("empty")]).status.success());
    whole(&at("empty"));
}

#[test]
fn compacting_tells_what_it_gives_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = made(&folder.path().join("data"));
    let (told, status) = lines(&["store", "compact", &store]);
    assert_eq!(status, 0);
    assert!(told[0]["before"].as_u64() >= told[0]["after"].as_u64(), "{told:?}");
    whole(&store);
    let sled = format!("sled:{}/sled", folder.path().display());
    assert!(run(&["store", "copy", &store, &sled]).status.success());
    let error = refused(&["store", "compact", &sled]);
    assert!(error.contains("copy it into a new one"), "{error}");
    let (told, status) = lines(&["store", "finalize", &sled]);
    assert_eq!((status, &told[0]["before"]), (0, &told[0]["after"]), "there is one level yet");
}

#[test]
fn a_damaged_store_is_verified_and_salvaged() {
    let folder = tempfile::tempdir().unwrap();
    let store = made(&folder.path().join("data"));
    let file = folder.path().join("data/jobs.redb");
    let mut bytes = fs::read(&file).unwrap();
    // In the description of every job, wherever it stands: in use, and in states that were before.
    for at in 0..bytes.len() {
        if bytes[at..].starts_with(b"a job") {
            bytes[at] ^= 1;
        }
    }
    fs::write(&file, &bytes).unwrap();
    let (told, status) = lines(&["store", "verify", &store]);
    assert_eq!((status, told.len()), (1, 2), "{told:?}");
    assert!(told[0]["defect"].as_str().unwrap().contains("jobs.redb"), "{told:?}");

    let saved = format!("fjall:{}/saved", folder.path().display());
    let (told, status) = lines(&["store", "salvage", &store, &saved]);
    let summary = told.last().unwrap();
    assert!(fs::read(&file).unwrap() == bytes, "the damaged one is left as it is");
    assert_eq!(status, 1, "{told:?}");
    assert_eq!(summary["losses"].as_u64(), Some(told.len() as u64 - 1));
    assert!(told[0]["offset"].is_u64() && told[0]["space"] == "job", "{told:?}");
    let (told, status) = lines(&["store", "verify", &saved]);
    assert_eq!((status, &told[0]["defects"]), (0, &0.into()), "{told:?}");
    assert_eq!(names(folder.path()), ["data", "saved"]);
}
