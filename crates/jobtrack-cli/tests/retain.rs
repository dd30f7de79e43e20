//! What `jobtrack serve` is told of how long jobs stay, how many there may be, and where they go.

// Tests may unwrap, and the lints see no test in helpers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::time::Duration;

use common::{Server, agent, call, refused, run};
use serde_json::{Value, json};

fn ended(server: &Server, kind: &str, end: &str) -> Value {
    let body = json!({"kind": kind, "description": "Backup"}).to_string();
    let id = server.call("POST", "/v1/jobs", &body)["uuid"].as_str().unwrap().to_owned();
    server.call("POST", &format!("/v1/jobs/{id}/start"), "{}");
    server.call("POST", &format!("/v1/jobs/{id}/finish"), &json!({ "state": end }).to_string())
}

#[test]
fn jobs_stay_by_rule_and_no_more_than_may_be() {
    let folder = tempfile::tempdir().unwrap();
    let rules =
        ["--retain", ":failure=7d", "--retain", "backup=30d", "--retain", "backup:success=1h"];
    let more = [&rules[..], &["--max-jobs", "4"]].concat();
    let server = Server::start(&folder.path().join("data"), &more);
    assert_eq!(ended(&server, "scrub", "success")["retention"], 300);
    assert_eq!(ended(&server, "scrub", "failure")["retention"], 7 * 86_400);
    assert_eq!(ended(&server, "backup", "success")["retention"], 3_600);
    assert_eq!(ended(&server, "backup", "failure")["retention"], 30 * 86_400);
    let (status, problem) =
        call(&agent(), "POST", &format!("{}/v1/jobs", server.url), "{}").unwrap();
    assert_eq!((status, &problem["kind"]), (400, &json!("limit_exceeded")));
    assert_eq!(problem["detail"], "4 jobs are there, at most 4 may be");

    let store = format!("redb:{}", folder.path().join("other").display());
    for bad in [
        &["--retain", "backup=never"][..],
        &["--retain", "backup:paused=1d"],
        &["--max-jobs", "many"],
        &["--max-bytes", "1T"],
    ] {
        let arguments = [&["serve", "--store", &store, "--listen", "127.0.0.1:0"], bad].concat();
        assert_eq!(run(&arguments).status.code(), Some(2), "{bad:?}");
    }
}

#[test]
fn what_goes_is_archived_and_can_be_imported_again() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("archive.ndjson");
    let path = archive.to_str().unwrap();
    let more = ["--max-jobs", "2", "--evict", "--archive", path, "--retain", ":failure=0s"];
    let server = Server::start(&folder.path().join("data"), &more);
    let evicted = ended(&server, "backup", "success");
    let deleted = ended(&server, "scrub", "success");
    ended(&server, "scrub", "success");
    server.call("DELETE", &format!("/v1/jobs/{}", deleted["uuid"].as_str().unwrap()), "");
    let expired = ended(&server, "", "failure");
    let lines = || fs::read_to_string(&archive).unwrap();
    let mut tries = 0;
    while lines().lines().count() < 3 {
        tries += 1;
        assert!(tries < 200, "it is not swept: {}", lines());
        std::thread::sleep(Duration::from_millis(50));
    }
    let ids: Vec<Value> = lines()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["uuid"].take())
        .collect();
    assert_eq!(ids, [&evicted, &deleted, &expired].map(|job| job["uuid"].clone()));

    // Somebody else's file is not appended to, and a second server does not share it.
    let store = format!("redb:{}", folder.path().join("other").display());
    let serve = ["serve", "--store", &store, "--listen", "127.0.0.1:0", "--archive"];
    let said = refused(&[&serve[..], &[path]].concat());
    assert!(said.contains("another process archives to it"), "{said}");
    drop(server);

    let into = format!("redb:{}", folder.path().join("again").display());
    let imported = run(&["import", path, "--store", &into]);
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    let listed = run(&["list", "--store", &into, "-o", "ndjson"]);
    assert_eq!(String::from_utf8(listed.stdout).unwrap().lines().count(), 2, "one stays 0 s");
}
