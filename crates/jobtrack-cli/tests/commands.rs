//! Every command against a server and against a store, with the exit statuses that scripts go by.

// Tests may unwrap, and the lints see no test in helpers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use common::{JOBTRACK, Server};
use serde_json::{Value, json};

/// Where the commands of a test go.
struct Place(Vec<String>);

/// What a command did.
struct Ran {
    status: i32,
    stdout: String,
    stderr: String,
}

impl Place {
    fn run(&self, arguments: &[&str]) -> Ran {
        let output = Command::new(JOBTRACK)
            .args(arguments)
            .args(&self.0)
            .env_remove("JOBTRACK_SERVER")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran {
            status: output.status.code().unwrap(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// A command that must do what it is told, and the JSON that it prints.
    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.run(arguments);
        assert_eq!(ran.status, 0, "{arguments:?}: {}", ran.stderr);
        serde_json::from_str(&ran.stdout).unwrap()
    }

    /// A command that must end with this status, and the line that says why.
    #[track_caller]
    fn refused(&self, status: i32, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.status, status, "{arguments:?}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.starts_with("jobtrack: "), "{arguments:?}: {}", ran.stderr);
        ran.stderr
    }

    /// A new job's uuid.
    fn create(&self, arguments: &[&str]) -> String {
        let ran = self.run(&[&["create", "-q"], arguments].concat());
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        ran.stdout.trim().to_owned()
    }
}

/// Runs the test against a server, and against a store that each command opens itself.
fn at_both(test: impl Fn(&Place)) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("served"), &[]);
    test(&Place(vec!["--server".to_owned(), server.url.clone()]));
    test(&store(&folder.path().join("own")));
}

fn store(folder: &Path) -> Place {
    Place(vec!["--store".to_owned(), format!("redb:{}", folder.display())])
}

#[test]
fn a_job_is_driven_from_its_creation_to_its_end() {
    at_both(|place| {
        let created = place.json(&[
            "create",
            "Backup of vol1",
            "--kind",
            "backup",
            "--node",
            "node1",
            "--scope",
            "vs0",
            "--label",
            "tier=gold",
            "--label",
            "empty=",
            "--retention",
            "1h",
            "--progress",
            "0/40",
            "--unit",
            "files",
            "--no-pause",
            "--message",
            "to begin",
        ]);
        let uuid = created["uuid"].as_str().unwrap();
        let expected = json!({
            "uuid": uuid, "state": "queued", "description": "Backup of vol1",
            "message": "to begin", "code": 0, "create_time": created["create_time"],
            "update_time": created["update_time"], "retention": 3600,
            "retention_told": "exactly", "kind": "backup",
            "node": "node1", "scope": {"name": "vs0"}, "labels": {"tier": "gold", "empty": ""},
            "progress": {"done": 0, "total": 40, "unit": "files"},
            "allows": {"pause": false, "cancel": true}, "cooperative": false,
            "revision": created["revision"],
        });
        assert_eq!(created, expected);

        assert_eq!(place.json(&["start", uuid])["state"], "running");
        let reported = place.json(&["report", uuid, "copying", "--progress", "7/40"]);
        assert_eq!(
            (&reported["message"], &reported["progress"]["done"]),
            (&json!("copying"), &json!(7))
        );
        place.refused(2, &["report", uuid, &"x".repeat(5_000)]);
        place.refused(7, &["pause", uuid]);
        let ended = place.json(&["succeed", uuid, "40 files", "--code", "3"]);
        assert_eq!((&ended["state"], &ended["code"]), (&json!("success"), &json!(3)));
        assert_eq!(place.json(&["get", uuid]), ended);
        let extended = place.json(&["extend", uuid, "--retention", "2h"]);
        assert_eq!(extended["retention"], 7200);
        assert_eq!(place.json(&["delete", uuid])["uuid"], uuid);
        assert!(place.refused(6, &["get", uuid]).contains("deleted"));
    });
}

#[test]
fn a_failure_says_what_is_known_of_it() {
    at_both(|place| {
        let uuid = place.create(&["Restore"]);
        place.json(&["start", &uuid]);
        let failed = place.json(&[
            "fail",
            &uuid,
            "vol1 is in use",
            "--code",
            "917658",
            "--error-target",
            "volume",
            "--argument",
            "volume=vol1",
        ]);
        let error = json!({
            "code": "917658", "message": "vol1 is in use", "target": "volume",
            "arguments": [{"code": "volume", "message": "vol1"}],
        });
        assert_eq!(failed["error"], error);
        assert_eq!(failed["cause"], "error");

        let lost = place.create(&[]);
        assert_eq!(place.json(&["fail", &lost, "--cause", "lost"])["cause"], "lost");
        assert_eq!(place.run(&["fail", &lost, "--cause", "bored"]).status, 2);
        place.refused(7, &["fail", &lost]);
    });
}

#[test]
fn an_operator_asks_and_a_cooperative_worker_answers() {
    at_both(|place| {
        let uuid = place.create(&["Replication", "--cooperative"]);
        place.json(&["start", &uuid]);
        let asked = place.json(&["pause", &uuid, "--reason", "peak hours"]);
        assert_eq!(asked["state"], "running");
        assert_eq!(asked["requested"]["reason"], "peak hours");
        assert_eq!(place.json(&["pause", "--worker", &uuid])["state"], "paused");
        assert_eq!(place.json(&["resume", &uuid])["requested"]["action"], "resume");
        assert_eq!(place.json(&["resume", "--worker", &uuid])["state"], "running");
        assert_eq!(place.json(&["cancel", &uuid])["requested"]["action"], "cancel");
        assert_eq!(place.json(&["fail", &uuid])["cause"], "canceled");

        let plain = place.create(&["Snapshot"]);
        place.json(&["start", &plain]);
        assert_eq!(place.json(&["pause", &plain])["state"], "paused");
        assert_eq!(place.json(&["resume", &plain])["state"], "running");
        assert_eq!(place.json(&["cancel", &plain])["cause"], "canceled");
    });
}

#[test]
fn several_jobs_are_done_what_can_be_done_to_them() {
    at_both(|place| {
        let ids: Vec<_> = (0..3).map(|n| place.create(&[&format!("job {n}")])).collect();
        place.json(&["cancel", &ids[1]]);
        let ran = place.run(&["cancel", &ids[0], &ids[1], &ids[2]]);
        assert_eq!(ran.status, 7, "{}", ran.stderr);
        assert!(ran.stderr.contains(&ids[1]), "{}", ran.stderr);
        let canceled: Vec<_> = ran.stdout.lines().collect();
        assert_eq!(canceled.len(), 2);
        assert_eq!(place.run(&["list", "--count", "cause=canceled"]).stdout, "3\n");
        let plan = place.json(&["list", "--explain", "cause=canceled", "--order-by", "end_time"]);
        assert_eq!(plan["records"], 3);
        assert_eq!(plan["order"], "end_time");
        let counted = place.json(&["list", "--explain", "--count", "state=failure"]);
        assert_eq!((&counted["plan"], &counted["records"]), (&json!("tally"), &json!(3)));
        let got = place.run(&["get", &ids[0], &ids[1], &ids[2], "--fields", "state"]);
        assert_eq!(got.stdout.lines().count(), 3);
        let known = json!({"uuid": ids[0], "state": "failure"});
        assert_eq!(
            serde_json::from_str::<Value>(got.stdout.lines().next().unwrap()).unwrap(),
            known
        );
    });
}

#[test]
fn a_list_is_filtered_ordered_and_cut_as_asked() {
    at_both(|place| {
        for n in 0..12 {
            place.create(&[
                &format!("Volume {}", 11 - n),
                "--label",
                if n % 2 == 0 { "odd=no" } else { "odd=yes" },
            ]);
        }
        let descriptions = |arguments: &[&str]| -> Vec<String> {
            let records = place.json(&[&["list"], arguments].concat());
            let records = records.as_array().unwrap().clone();
            records.iter().map(|r| r["description"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(descriptions(&[]).len(), 12);
        let ordered = descriptions(&[
            "labels.odd=yes",
            "description=Volume*",
            "--order-by",
            "description desc",
        ]);
        assert_eq!(
            ordered,
            ["Volume 8", "Volume 6", "Volume 4", "Volume 2", "Volume 10", "Volume 0"]
        );
        let ran = place.run(&["list", "--max", "5", "-o", "ndjson", "--fields", "state"]);
        assert_eq!(ran.stdout.lines().count(), 5);
        assert!(ran.stderr.contains("--all"), "{}", ran.stderr);
        let first: Value = serde_json::from_str(ran.stdout.lines().next().unwrap()).unwrap();
        assert_eq!(first.as_object().unwrap().keys().collect::<Vec<_>>(), ["uuid", "state"]);
        let ran = place.run(&["list", "--all", "-o", "ndjson"]);
        assert_eq!((ran.stdout.lines().count(), ran.stderr.as_str()), (12, ""));
        assert_eq!(place.run(&["list", "--count", "state=queued"]).stdout, "12\n");
        assert_eq!(place.json(&["list", "state=running"]), json!([]));
    });
}

#[test]
fn what_is_wrong_with_a_filter_is_said_with_its_place() {
    at_both(|place| {
        place.create(&[]);
        let said = place.refused(2, &["list", "state=queued|bogus"]);
        assert!(said.contains("\"bogus\"") && said.contains("at byte 7"), "{said}");
        for (filter, said) in [
            ("nosuch=1", "\"nosuch\" is no field of a job"),
            ("return_records=false", "--count"),
            ("svm.name=vs0", "scope.name"),
        ] {
            let ran = place.run(&["list", filter]);
            assert_eq!(ran.status, 2, "{filter}");
            assert!(ran.stderr.contains(said), "{}", ran.stderr);
        }
        assert!(place.refused(2, &["list", "--order-by", "state,bogus"]).contains("bogus"));
        assert!(place.refused(2, &["list", "--fields", "bogus"]).contains("bogus"));
        assert!(place.refused(2, &["export", "code=9..5"]).contains("code"));
        assert!(place.run(&["list", "code>=5"]).stderr.contains("code=>=5"));
        assert_eq!(place.run(&["list", "running"]).status, 2);
        assert_eq!(place.run(&["list", "--max", "0"]).status, 2);
    });
}

#[test]
fn waiting_tells_the_ends_apart() {
    at_both(|place| {
        let (good, bad, live) = (place.create(&["a"]), place.create(&["b"]), place.create(&["c"]));
        place.json(&["start", &good]);
        place.json(&["succeed", &good]);
        place.json(&["fail", &bad]);
        assert_eq!(place.json(&["wait", &good])["state"], "success");
        assert_eq!(place.run(&["wait", "-q", &good, &bad]).status, 4);
        let ran = place.run(&["wait", &live, "--timeout", "0s"]);
        assert_eq!(ran.status, 5, "{}", ran.stderr);
        let unknown = "1cd8a442-86d1-11e0-ae1c-123478563412";
        place.refused(6, &["wait", unknown]);
        assert_eq!(place.run(&["wait", "not-a-uuid"]).status, 2);
    });
}

#[test]
fn a_wait_ends_with_the_job() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"), &[]);
    let place = Place(vec!["--server".to_owned(), server.url.clone()]);
    let uuid = place.create(&["Backup"]);
    let mut waiting = Command::new(JOBTRACK)
        .args(["wait", "-q", &uuid, "--server", &server.url])
        .spawn()
        .unwrap();
    place.json(&["start", &uuid]);
    assert_eq!(waiting.try_wait().unwrap(), None);
    place.json(&["succeed", &uuid]);
    assert_eq!(waiting.wait().unwrap().code(), Some(0));
}

#[test]
fn a_watch_tells_what_happens_across_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    let listen = server.url.strip_prefix("http://").unwrap().to_owned();
    let place = Place(vec!["--server".to_owned(), server.url.clone()]);
    let before = place.create(&["before", "--kind", "backup"]);
    let mut watch = Command::new(JOBTRACK)
        .args(["watch", "kind=backup", "state=queued|running", "--fields", "state"])
        .args(&place.0)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    // The jobs are touched until the watch has begun, which nothing else tells.
    let first = std::thread::scope(|scope| {
        let next = scope.spawn(|| lines.next().unwrap().unwrap());
        while !next.is_finished() {
            place.json(&["report", &before, "touched"]);
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        next.join().unwrap()
    });
    let event = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    assert_eq!(event(&first)["event"], "changed");
    assert_eq!(event(&first)["job"], json!({"uuid": before, "state": "queued"}));

    server.kill();
    let server = Server::start(&data, &["--listen", &listen]);
    let after = place.create(&["after", "--kind", "backup"]);
    place.create(&["of another kind"]);
    place.json(&["cancel", &after]);
    place.json(&["delete", &after]);
    let mut told = Vec::new();
    while !told.contains(&"gone".to_owned()) {
        let line = event(&lines.next().unwrap().unwrap());
        assert!(line["position"].is_string(), "{line}");
        if line["job"]["uuid"] == after.as_str() {
            told.push(line["event"].as_str().unwrap().to_owned());
        }
    }
    // In and out if it was there in time; gone is told in any case.
    assert!(told == ["in", "out", "gone"] || told == ["gone"], "{told:?}");
    watch.kill().unwrap();
    watch.wait().unwrap();
    drop(server);

    let own = store(&folder.path().join("own"));
    own.create(&[]);
    own.refused(2, &["watch"]);
    place.refused(2, &["watch", "-o", "table"]);
    place.refused(2, &["watch", "--order-by", "state"]);
}

#[test]
fn names_of_strangers_do_not_reach_the_terminal() {
    at_both(|place| {
        let hostile = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}gpj.exe\r\nroot# ";
        let uuid = place.create(&[hostile, "--label", "a\u{202e}b=c\u{202e}d"]);
        let mut tables = vec![
            place.run(&["list", "-o", "table"]).stdout,
            place.run(&["list", "-o", "table", "--fields", "*"]).stdout,
            place.run(&["get", &uuid, "-o", "table"]).stdout,
        ];
        tables.push(place.run(&["start", &uuid, "-o", "table"]).stdout);
        for table in tables {
            assert!(table.contains("\\u{1b}]0;owned\\u{7}"), "{table}");
            assert!(table.contains("\\r\\nroot# "), "{table}");
            let bad = table.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
            assert_eq!(bad, None, "{table}");
        }
        // A program gets it as it is.
        assert_eq!(place.json(&["get", &uuid])["description"], hostile);
    });
}

#[test]
fn colour_comes_when_it_is_told_to() {
    at_both(|place| {
        place.create(&["Backup"]);
        let list = |more: &[&str]| place.run(&[&["list", "-o", "table"], more].concat()).stdout;
        assert!(!list(&[]).contains('\u{1b}'));
        assert!(!list(&["--color", "never"]).contains('\u{1b}'));
        let coloured = list(&["--color", "always"]);
        assert!(coloured.contains("\u{1b}[36mqueued\u{1b}[0m"), "{coloured:?}");
    });
}

#[test]
fn import_and_export_go_there_and_back() {
    at_both(|place| {
        for n in 0..20 {
            place.create(&[&format!("job {n}"), "--kind", if n < 5 { "few" } else { "many" }]);
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("jobs.ndjson");
        let file = file.to_str().unwrap();
        assert_eq!(place.run(&["export", "-o", file]).status, 0);
        let exported = std::fs::read_to_string(file).unwrap();
        assert_eq!(exported.lines().count(), 20);
        assert_eq!(place.run(&["export", "kind=few"]).stdout.lines().count(), 5);

        let other = store(&folder.path().join("other"));
        let imported = other.run(&["import", file, "-o", "table"]);
        assert_eq!(
            (imported.status, imported.stdout.as_str()),
            (0, "20 imported, 0 expired, 0 bad\n")
        );
        let without_revision = |text: &str| -> Vec<Value> {
            let jobs = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            jobs.map(|mut job| {
                job.as_object_mut().unwrap().remove("revision");
                job
            })
            .collect()
        };
        let again = other.run(&["export"]).stdout;
        assert_eq!(without_revision(&again), without_revision(&exported));
        let twice = place.run(&["import", file]);
        assert_eq!(twice.status, 3, "{}", twice.stdout);
        assert_eq!(twice.stderr.lines().count(), 20);
        let stopped = place.run(&["import", file, "--fail"]);
        assert_eq!(stopped.status, 3);
        let report: Value = serde_json::from_str(&stopped.stdout).unwrap();
        assert_eq!((&report["stopped_at"], &report["bad_count"]), (&1.into(), &1.into()));
    });
}

#[test]
fn a_wait_begins_with_jobs_that_are_known() {
    at_both(|place| {
        let uuid = place.create(&[]);
        let unknown = "1cd8a442-86d1-11e0-ae1c-123478563412";
        let said = place.refused(6, &["wait", &uuid, unknown, "--timeout", "1s"]);
        assert!(said.contains(unknown), "{said}");
    });
}

#[test]
fn what_changes_a_job_may_be_quiet() {
    at_both(|place| {
        let uuid = place.create(&[]);
        for arguments in [
            &["start", "-q", &uuid][..],
            &["report", "-q", &uuid, "at work"],
            &["pause", "-q", &uuid],
            &["resume", "-q", &uuid],
            &["extend", "-q", &uuid, "--retention", "1h"],
            &["cancel", "-q", &uuid],
            &["delete", "-q", &uuid],
        ] {
            let ran = place.run(arguments);
            assert_eq!((ran.status, ran.stdout.as_str()), (0, ""), "{arguments:?} {}", ran.stderr);
        }
    });
}

#[test]
fn a_command_on_a_store_closes_it_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let place = store(&folder.path().join("own"));
    let found = || {
        let server = Server::start(&folder.path().join("own"), &[]);
        let found = server.said.lines().find(|line| line.starts_with("found")).unwrap().to_owned();
        assert_eq!(server.terminate().0, Some(0));
        assert!(!found.contains("unclean"), "{found}");
    };
    let uuid = place.create(&[]);
    found();
    let own = place.0.iter().map(String::as_str).collect::<Vec<_>>();
    let ran = Command::new(JOBTRACK).arg("exec").args(own).args(["--", "true"]).output().unwrap();
    assert!(ran.status.success());
    found();
    assert_eq!(place.run(&["list", "state=bogus"]).status, 2);
    assert_eq!(place.run(&["delete", &uuid]).status, 7);
    assert_eq!(place.run(&["export"]).status, 0);
    found();
}

#[test]
fn places_that_are_not_there_are_told_apart() {
    let nowhere = Place(vec!["--server".to_owned(), "http://127.0.0.1:1".to_owned()]);
    let unknown = "1cd8a442-86d1-11e0-ae1c-123478563412";
    for command in [vec!["list"], vec!["get", unknown], vec!["create"], vec!["wait", unknown]] {
        assert!(nowhere.refused(8, &command).contains("127.0.0.1:1"));
    }
    let folder = tempfile::tempdir().unwrap();
    let absent = store(&folder.path().join("absent"));
    assert!(absent.refused(1, &["list"]).contains("no store"));
    assert!(!folder.path().join("absent").exists());
    let memory = Place(vec!["--store".to_owned(), "memory:".to_owned()]);
    memory.refused(2, &["create"]);
    let both =
        Place(["--store", "redb:x", "--server", "http://127.0.0.1:1"].map(str::to_owned).into());
    assert_eq!(both.run(&["list"]).status, 2);
    // A store that a server has open is named, and by whom it is held.
    let server = Server::start(&folder.path().join("data"), &[]);
    let held = store(&folder.path().join("data"));
    assert!(held.refused(1, &["list"]).contains(&server.pid().to_string()));
}

#[test]
fn the_environment_names_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"), &[]);
    let run = |arguments: &[&str]| {
        let mut command = Command::new(JOBTRACK);
        command.args(arguments).env("JOBTRACK_SERVER", &server.url).output().unwrap()
    };
    assert!(run(&["create", "Backup"]).status.success());
    assert_eq!(run(&["list", "--count"]).stdout, b"1\n");
    // What stands on the command line wins.
    let own = format!("redb:{}", folder.path().join("own").display());
    assert!(run(&["create", "--store", &own]).status.success());
    assert_eq!(run(&["list", "--count"]).stdout, b"1\n");
    assert_eq!(run(&["list", "--count", "--server", "http://127.0.0.1:1"]).status.code(), Some(8));
}

#[test]
fn a_reader_that_goes_ends_a_list_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let place = store(&folder.path().join("data"));
    let lines: String = (0..2_000).map(|n| format!("{{\"description\": \"job {n}\"}}\n")).collect();
    let file = folder.path().join("jobs.ndjson");
    std::fs::write(&file, lines).unwrap();
    assert_eq!(place.run(&["import", file.to_str().unwrap()]).status, 3);
    let lines: String = (0..2_000_u32)
        .map(|n| format!("{{\"uuid\": \"00000000-0000-4000-8000-{n:012}\"}}\n"))
        .collect();
    std::fs::write(&file, lines).unwrap();
    assert_eq!(place.run(&["import", file.to_str().unwrap()]).status, 0);
    let mut list = Command::new(JOBTRACK)
        .args(["list", "--all"])
        .args(&place.0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(list.stdout.take());
    let output = list.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    let place = Place(Vec::new());
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = place.run(&["completions", shell]).stdout;
        for word in ["exec", "succeed", "order-by"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man");
    assert_eq!(place.run(&["man", "--dir", pages.to_str().unwrap()]).status, 0);
    let page = std::fs::read_to_string(pages.join("jobtrack-exec.1")).unwrap();
    assert!(page.contains("SIGTERM"), "{page}");
    assert!(pages.join("jobtrack.1").exists());
    assert!(place.run(&["man"]).stdout.contains("Exit status"));
}

#[test]
fn every_exit_status_stands_in_help_and_manual() {
    let help = Place(Vec::new()).run(&["--help"]).stdout;
    let manual = include_str!("../../../docs/cli.md");
    let after = help.split("Exit status:\n").nth(1).unwrap();
    let rows: Vec<_> = after.lines().map_while(|line| line.trim().split_once("  ")).collect();
    assert_eq!(rows.len(), 12, "{after}");
    for (status, meaning) in rows {
        assert!(manual.contains(&format!("| {status} | {meaning} |")), "{status} {meaning}");
    }
}

#[test]
fn the_manual_tells_of_every_command_and_of_no_other() {
    let help = Place(Vec::new()).run(&["--help"]).stdout;
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let first_word = |line: &str| line.split_whitespace().next().unwrap().to_owned();
    let known: BTreeSet<_> = commands.lines().map(first_word).collect();
    let told: BTreeSet<_> = include_str!("../../../docs/cli.md")
        .split("jobtrack ")
        .skip(1)
        .map(|rest| rest.chars().take_while(char::is_ascii_lowercase).collect::<String>())
        .filter(|word| !word.is_empty())
        .collect();
    assert_eq!(told.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new());
    let elsewhere = ["help", "token", "user"].map(str::to_owned).into();
    let untold: BTreeSet<_> = known.difference(&told).cloned().collect();
    assert_eq!(untold, elsewhere, "docs/operating.md and security.md tell of users");
}

#[test]
fn the_demonstration_moves() {
    let server = {
        let folder = tempfile::tempdir().unwrap();
        Server::start(&folder.path().join("data"), &["--demo", "--retention", "1h"])
    };
    let place = Place(vec!["--server".to_owned(), server.url.clone()]);
    let count = || place.run(&["list", "--count"]).stdout.trim().parse::<u64>().unwrap();
    let first = count();
    assert!(first >= 200, "{first}");
    let mut tries = 0;
    while count() == first {
        tries += 1;
        assert!(tries < 200, "nothing moves");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn a_worker_claims_holds_and_gives_back() {
    at_both(|place| {
        let id = place.create(&["Scrub", "--kind", "scrub"]);
        let claim = ["claim", "kind=scrub", "--holder", "worker-1", "--term", "2m"];
        let job = place.json(&[&claim[..], &["-o", "json"]].concat());
        assert_eq!((&job["uuid"], &job["state"]), (&json!(id), &json!("running")));
        assert_eq!((&job["lease"]["token"], &job["lease"]["term"]), (&json!(1), &json!(120)));
        place.refused(6, &claim); // Nothing is left.
        let held = place.refused(7, &["report", &id, "hm"]);
        assert!(held.contains("held by worker-1"), "{held}");
        place.refused(7, &["succeed", &id, "--token", "2"]);
        place.json(&["report", &id, "going on", "--token", "1", "-o", "json"]);
        let renewed = place.json(&["renew", &id, "--token", "1", "--term", "5m", "-o", "json"]);
        assert_eq!(renewed["lease"]["term"], json!(300));
        let back = place.json(&["release", &id, "--token", "1", "-o", "json"]);
        assert_eq!(back["state"], json!("queued"));
        let again = place.run(&["claim", "--uuid", &id, "--holder", "worker-2", "-q"]);
        assert_eq!((again.status, again.stdout.trim()), (0, format!("{id} 2").as_str()));
        let ended = place.json(&["fail", &id, "stuck", "--force", "-o", "json"]);
        assert_eq!(ended["message"], json!("stuck"));
    });
}

#[test]
fn a_tree_shows_a_job_and_all_below_it() {
    at_both(|place| {
        let top = place.create(&["All volumes"]);
        let below = place.create(&["vol1", "--parent", &top]);
        place.create(&["a file", "--parent", &below]);
        let drawn = place.run(&["tree", &top, "-o", "table"]).stdout;
        let lines: Vec<_> = drawn.lines().collect();
        assert_eq!(lines.len(), 3, "{drawn}");
        assert_eq!(lines[0], format!("{top}  queued  All volumes  (1 queued)"));
        assert_eq!(lines[1], format!("  {below}  queued  vol1  (1 queued)"));
        assert!(lines[2].starts_with("    ") && lines[2].ends_with("a file"), "{drawn}");
        let cut = place.run(&["tree", &top, "--max", "2", "-o", "ndjson"]);
        assert_eq!(cut.stdout.lines().count(), 2);
        assert!(cut.stderr.contains("there are more"), "{}", cut.stderr);
        place.json(&["start", &top, "-o", "json"]);
        let early = place.refused(7, &["succeed", &top]);
        assert!(early.contains("have not ended"), "{early}");
    });
}

#[test]
fn a_log_tells_what_happened_to_a_job() {
    at_both(|place| {
        let id = place.create(&["Backup of vol1"]);
        place.json(&["start", &id, "-o", "json"]);
        place.json(&["report", &id, "a slow\tdisk", "--severity", "warning", "-o", "json"]);
        place.json(&["cancel", &id, "--reason", "too slow", "-o", "json"]);
        let drawn = place.run(&["log", &id, "-o", "table"]).stdout;
        let lines: Vec<_> = drawn.lines().collect();
        assert_eq!(lines.len(), 5, "{drawn}");
        let starts =
            lines[0].split_whitespace().eq(["TIME", "WHAT", "STATE", "WHO", "WHY", "MESSAGE"]);
        assert!(starts, "{drawn}");
        assert!(lines[2].contains("started") && lines[2].contains("queued → running"), "{drawn}");
        assert!(lines[3].ends_with("a slow\\tdisk"), "{drawn}");
        assert!(lines[4].contains("cancel requested") && lines[4].contains("too slow"), "{drawn}");
        let log = place.json(&["log", &id]);
        assert_eq!(log["entries"][2]["severity"], "warning", "JSON where it is piped");
        assert_eq!(log["entries"][3]["to"], "failure");
        assert_eq!(place.run(&["log", &id, "-o", "ndjson"]).stdout.lines().count(), 4);
        let refused = place.run(&["report", &id, "m", "--severity", "fatal"]);
        assert!(refused.stderr.contains("write one of info, warning, error"), "{}", refused.stderr);
    });
}

#[test]
fn a_bulk_changes_all_that_match_and_says_what_refused() {
    at_both(|place| {
        for _ in 0..3 {
            place.create(&["Backup", "--kind", "backup"]);
        }
        let kept = place.create(&["Restore", "--kind", "restore"]);
        let dry = place.run(&["bulk", "cancel", "kind=backup", "--dry-run", "-o", "table"]);
        assert_eq!(dry.stdout, "3 jobs match\n");
        assert_eq!(place.json(&["bulk", "cancel", "kind=x", "--dry-run"])["num_records"], 0);

        let set = ["--set", "tier=gold", "--remove", "draft"];
        let told = place.json(&[&["bulk", "relabel"], &set[..], &["kind=backup|restore"]].concat());
        assert_eq!(told["message"], "relabel: 4 of 4 jobs changed");
        let canceled = place.json(&["bulk", "cancel", "kind=backup", "--reason", "no room"]);
        assert_eq!(canceled["message"], "cancel: 3 of 3 jobs changed");
        let extended = ["bulk", "extend", "--retention", "1d", "labels.tier=gold"];
        assert_eq!(place.json(&extended)["message"], "extend: 4 of 4 jobs changed");
        let deleted = place.run(&["bulk", "delete", "labels.tier=gold"]);
        assert_eq!(deleted.status, 7, "{}{}", deleted.stdout, deleted.stderr);
        assert!(
            deleted.stdout.contains("delete: 3 of 4 jobs changed; 1 refused"),
            "{}",
            deleted.stdout
        );
        assert_eq!(place.json(&["get", &kept])["labels"]["tier"], "gold");
        let all = place.refused(2, &["bulk", "delete"]);
        assert!(all.contains("at least one filter"), "{all}");
    });
}

#[test]
fn a_creation_with_a_key_is_made_once() {
    at_both(|place| {
        let first = place.create(&["Nightly", "--key", "nightly-1"]);
        assert_eq!(place.create(&["Nightly", "--key", "nightly-1"]), first);
        let other = place.refused(7, &["create", "Weekly", "--key", "nightly-1"]);
        assert!(other.contains("whose description differs"), "{other}");
    });
}

#[test]
fn a_held_job_stays_and_goes_once_it_is_let_go() {
    at_both(|place| {
        let id = place.create(&["Backup", "--retention", "0s"]);
        let held = place.json(&["hold", &id, "--reason", "ticket 4711", "-o", "json"]);
        assert_eq!(held["held"]["reason"], json!("ticket 4711"));
        place.json(&["start", &id, "-o", "json"]);
        let ended = place.json(&["succeed", &id, "-o", "json"]);
        assert_eq!(ended.get("expire_time"), None);
        let listed = place.run(&["list", "held.time=!null", "-o", "ndjson"]).stdout;
        assert!(listed.contains(&id), "{listed}");
        let refused = place.refused(7, &["delete", &id]);
        assert!(refused.contains("(ticket 4711): let it go first"), "{refused}");
        let free = place.json(&["unhold", &id, "-o", "json"]);
        assert_eq!(free.get("held"), None);
        place.refused(6, &["get", &id]);
    });
}
