//! Import and export: a hundred thousand jobs there and back, and every way in which lines are bad.

// Tests may unwrap, and the lints see no test in helpers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use common::{JOBTRACK, Random, Server, refused, run, unreachable};
use serde_json::{Map, Value, json};

const JOBS: u64 = 100_000;
const SEED: u64 = 2026;

/// A job as an application might have left it. It stays for ninety years.
fn job(random: &mut Random) -> Value {
    const KINDS: &[&str] = &["backup", "snapshot", "volume move", "replication", "Prüfung"];
    const STATES: &[&str] = &["queued", "running", "paused", "success", "failure"];
    let mut pick =
        |words: &[&'static str]| words[usize::try_from(random.below(words.len() as u64)).unwrap()];
    let (kind, state) = (pick(KINDS), pick(STATES));
    let volume = random.below(5_000);
    let mut job = Map::new();
    job.insert("uuid".to_owned(), random.uuid().into());
    job.insert("state".to_owned(), state.into());
    job.insert("description".to_owned(), format!("{kind} of vol{volume} — №{volume}").into());
    job.insert("kind".to_owned(), kind.into());
    job.insert("node".to_owned(), format!("node{}", random.below(24)).into());
    // In January and February of 2026, to the microsecond.
    let mut micros = random.below(50 * 86_400 * 1_000_000);
    let mut later = || {
        micros += random.below(3_600 * 1_000_000);
        time(micros)
    };
    job.insert("create_time".to_owned(), later().into());
    if state != "queued" {
        job.insert("start_time".to_owned(), later().into());
    }
    if ["success", "failure"].contains(&state) {
        let end = later();
        job.insert("end_time".to_owned(), end.clone().into());
        job.insert("update_time".to_owned(), end.clone().into());
        job.insert("retained_from".to_owned(), end.into());
    } else {
        job.insert("update_time".to_owned(), later().into());
    }
    job.insert("retention".to_owned(), json!(90_u64 * 366 * 86_400));
    job.insert("message".to_owned(), format!("step {} of 40\nmore", random.below(40)).into());
    if state == "failure" {
        let code = 1 + random.below(1 << 40);
        let message = format!("The volume vol{volume} is in use");
        job.insert("message".to_owned(), message.clone().into());
        job.insert("code".to_owned(), code.into());
        job.insert(
            "cause".to_owned(),
            ["error", "canceled"][usize::from(code.is_multiple_of(3))].into(),
        );
        let arguments = json!([{"code": "volume", "message": format!("vol{volume}")}]);
        let error = json!({"code": code.to_string(), "message": message, "target": "volume",
                           "arguments": arguments});
        job.insert("error".to_owned(), error);
    }
    if random.below(3) == 0 {
        let scope = json!({"name": format!("vs{}", volume % 40), "id": random.uuid()});
        job.insert("scope".to_owned(), scope);
    }
    if random.below(4) == 0 {
        let labels = json!({"tier": "gold", "ticket": format!("INC{}", random.below(1_000_000))});
        job.insert("labels".to_owned(), labels);
    }
    if random.below(2) == 0 {
        let progress =
            json!({"done": random.below(1 << 50), "total": 1_u64 << 50, "unit": "bytes"});
        job.insert("progress".to_owned(), progress);
    }
    if state == "running" && random.below(2) == 0 {
        job.insert("cooperative".to_owned(), true.into());
        let time = job["update_time"].clone();
        let request = json!({"action": "pause", "by": "alice", "time": time, "reason": "night"});
        job.insert("requested".to_owned(), request);
    }
    Value::Object(job)
}

/// So many microseconds after the beginning of 2026, within its first two months.
fn time(micros: u64) -> String {
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let (days, seconds) = (seconds / 86_400, seconds % 86_400);
    let (month, day) = if days < 31 { (1, days + 1) } else { (2, days - 30) };
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let mut text = format!("2026-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if micros != 0 {
        write!(text, ".{micros:06}").unwrap();
    }
    text + "Z"
}

#[test]
fn a_hundred_thousand_jobs_come_through_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut random = Random(SEED);
    let made: Vec<Value> = (0..JOBS).map(|_| job(&mut random)).collect();
    let lines: Vec<String> = made.iter().map(Value::to_string).collect();
    fs::write(at("made.ndjson"), lines.join("\n")).unwrap();

    let server = Server::start(&at("first"), &[]);
    let output = run(&["import", "-otable", text(&at("made.ndjson")), "--server", &server.url]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "100000 imported, 0 expired, 0 bad\n");
    assert_eq!(output.status.code(), Some(0));
    export(&server, &at("first.ndjson"));
    let (status, _) = server.terminate();
    assert_eq!(status, Some(0));

    // Into an empty store, this time from standard input.
    let server = Server::start(&at("second"), &[]);
    let output = Command::new(JOBTRACK)
        .args(["import", "-", "-o", "table", "--server", &server.url])
        .stdin(Stdio::from(File::open(at("first.ndjson")).unwrap()))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "100000 imported, 0 expired, 0 bad\n");
    export(&server, &at("second.ndjson"));

    let first = without_revisions(&at("first.ndjson"));
    let second = without_revisions(&at("second.ndjson"));
    assert_eq!(first.len(), made.len());
    assert!(first == second, "the exports differ");
    // And nothing was lost on the way in: each job has all that was given, as it was given.
    let found: BTreeMap<String, Value> = first
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|job| (job["uuid"].as_str().unwrap().to_owned(), job))
        .collect();
    for made in &made {
        let found = &found[made["uuid"].as_str().unwrap()];
        for (name, value) in made.as_object().unwrap() {
            assert_eq!(found.get(name), Some(value), "{name} of {found}");
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn export(server: &Server, to: &Path) {
    let output = run(&["export", "--server", &server.url, "--output", text(to)]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "100000 jobs exported\n");
}

/// The lines of an export, each less its revision, which stands last.
fn without_revisions(path: &Path) -> Vec<String> {
    let cut = |line: &str| {
        let (job, revision) = line.split_once(",\"revision\":").unwrap();
        assert!(revision.ends_with("\"}") && !revision.contains(','), "{line}");
        format!("{job}}}")
    };
    fs::read_to_string(path).unwrap().lines().map(cut).collect()
}

#[test]
fn bad_lines_are_named_and_have_a_status_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"), &[]);
    let file = folder.path().join("jobs.ndjson");
    let id = |n: u32| format!("{n:08x}-0000-4000-8000-000000000000");
    let lines = [
        json!({"uuid": id(1), "description": "fine"}).to_string(),
        "nonsense".to_owned(),
        json!({"uuid": id(2), "create_time": "9999-01-01T00:00:00Z"}).to_string(),
        json!({"uuid": id(3), "state": "success", "end_time": "2026-01-01T00:00:00Z",
               "expire_time": "2026-01-02T00:00:00Z"})
        .to_string(),
        json!({"uuid": id(4), "state": "success", "end_time": "2026-01-01T00:00:00Z"}).to_string(),
    ];
    fs::write(&file, lines.join("\n")).unwrap();

    let output =
        run(&["import", text(&file), "-otable", "--server", &server.url, "--retain", "30d"]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "2 imported, 1 expired, 2 bad\n");
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<_> = said.lines().collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("line 2: "), "{}", said[0]);
    assert!(said[1].starts_with("line 3: create_time: 9999-01-01T00:00:00Z lies in the future"));
    let kept = server.call("GET", &format!("/v1/jobs/{}", id(4)), "");
    assert_eq!(kept["retention"], 30 * 86_400);

    let output = run(&["import", text(&file), "-otable", "--server", &server.url, "--fail"]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "0 imported, 0 expired, 1 bad\nstopped at line 1; the lines after it were not looked at\n"
    );
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("line 1: "));
}

#[test]
fn an_export_leaves_what_it_writes_to_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"), &[]);
    server.call("POST", "/v1/jobs", r#"{"description": "Backup"}"#);
    let export = |to: &str| {
        Command::new(JOBTRACK)
            .args(["export", "--server", &server.url, "--output", to])
            .current_dir(folder.path())
            .output()
            .unwrap()
    };
    // A name of a device, so that no device of this machine is at risk.
    symlink("/dev/full", folder.path().join("full")).unwrap();
    let output = export("full");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("No space left"), "{said}");
    assert!(folder.path().join("full").is_symlink());

    for name in ["-", "/dev/stdout"] {
        let output = export(name);
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stdout).contains("\"Backup\""), "{name}");
    }
    assert!(!folder.path().join("-").exists());

    let (file, link) = (folder.path().join("file"), folder.path().join("link"));
    fs::write(&file, "before").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(folder.path().join("file.partial"), "of somebody else").unwrap();
    symlink("file", &link).unwrap();
    assert!(export("link").status.success());
    assert!(link.is_symlink());
    assert!(fs::read_to_string(&file).unwrap().contains("\"Backup\""));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(folder.path().join("file.partial")).unwrap(), "of somebody else");
    let left = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 5, "data, full, file, file.partial and link");
}

#[test]
fn what_cannot_be_done_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"), &[]);
    let nowhere = folder.path().join("no").join("such");
    let said = refused(&["import", text(&nowhere), "--server", &server.url]);
    assert!(said.contains("No such file"), "{said}");
    let said = refused(&["export", "--server", &server.url, "--output", text(&nowhere)]);
    assert!(said.contains("No such file"), "{said}");
    assert!(refused(&["import", text(folder.path())]).contains("it is a folder"));

    // Nobody listens there: the port was free a moment ago, and belonged to a server that is gone.
    let url = server.url.clone();
    server.kill();
    let said = unreachable(&["export", "--server", &url]);
    assert!(said.contains(&url) && said.contains("jobtrack serve"), "{said}");
    assert!(!said.contains("io:"), "{said}");
    let output = run(&["create", "--retention", "2x"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("'--retention <SPAN>': \"2x\" is no length of time"), "{said}");

    for arguments in [
        &["import", "-", "--retain", "30"][..],
        &["export", "--server", "ftp://localhost"],
        &["export", "--nosuch"],
        &[],
    ] {
        assert_eq!(run(arguments).status.code(), Some(2), "{arguments:?}");
    }
}
