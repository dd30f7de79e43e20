//! Commands run as tracked jobs: how they end, and what reaches them.

// Tests may unwrap, and the lints see no test in helpers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use common::{JOBTRACK, Server};
use serde_json::Value;
use tempfile::TempDir;

/// A server with a folder of its own.
struct Served {
    server: Server,
    folder: TempDir,
}

impl Served {
    fn new() -> Served {
        let folder = tempfile::tempdir().unwrap();
        Served { server: Server::start(&folder.path().join("data"), &[]), folder }
    }

    fn exec(&self, options: &[&str], command: &[&str]) -> Exec {
        Exec::spawn(&[&["--server", self.server.url.as_str()], options].concat(), command)
    }

    /// The job as it stands.
    fn job(&self, uuid: &str) -> Value {
        self.server.call("GET", &format!("/v1/jobs/{uuid}"), "")
    }

    /// The job once it is so.
    fn job_when(&self, uuid: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let mut job = Value::Null;
        for _ in 0..400 {
            job = self.job(uuid);
            if is_so(&job) {
                return job;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("it never came: {job}");
    }

    fn ask(&self, uuid: &str, action: &str) {
        let body = format!(r#"{{"action": "{action}", "reason": "a test"}}"#);
        self.server.call("POST", &format!("/v1/jobs/{uuid}/request"), &body);
    }
}

/// A command that runs as a job.
struct Exec {
    process: Child,
    stderr: BufReader<ChildStderr>,
    uuid: String,
}

/// How it ended.
struct Ran {
    status: Option<i32>,
    stdout: String,
    stderr: String,
    uuid: String,
}

impl Exec {
    fn spawn(options: &[&str], command: &[&str]) -> Exec {
        let mut process = Command::new(JOBTRACK)
            .arg("exec")
            .args(options)
            .arg("--")
            .args(command)
            .env_remove("JOBTRACK_SERVER")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        let uuid = line.trim_end().rsplit(' ').next().unwrap().to_owned();
        assert!(line.starts_with("jobtrack: this is job "), "{line}");
        Exec { process, stderr, uuid }
    }

    fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    fn end(mut self) -> Ran {
        let mut stdout = String::new();
        self.process.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        let mut stderr = String::new();
        self.stderr.read_to_string(&mut stderr).unwrap();
        Ran { status: self.process.wait().unwrap().code(), stdout, stderr, uuid: self.uuid }
    }
}

/// Whether a process runs, is stopped, or is not there, as ps has it.
fn state_of(pid: &str) -> Option<char> {
    let output = Command::new("ps").args(["-o", "stat=", "-p", pid]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().chars().next()
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..400 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("it never came: {what}");
}

#[test]
fn a_command_that_ends_well_is_a_success() {
    let served = Served::new();
    let script =
        "echo $JOBTRACK_JOB; echo to stderr >&2; sleep 0.05; printf '\\033[31mred\\033[0m\\r'";
    let options = ["--description", "A test", "--kind", "test", "--label", "a=b"];
    let ran = served.exec(&options, &["sh", "-c", script]).end();
    assert_eq!(ran.status, Some(0));
    assert_eq!(ran.stdout, format!("{}\n\u{1b}[31mred\u{1b}[0m\r", ran.uuid));
    assert_eq!(ran.stderr, "to stderr\n");
    let job = served.job(&ran.uuid);
    assert_eq!(job["state"], "success");
    assert_eq!(job["message"], "red");
    assert_eq!(job["description"], "A test");
    assert_eq!((&job["kind"], &job["labels"]["a"]), (&"test".into(), &"b".into()));
    assert_eq!(job["cooperative"], true);
    assert!(!job["node"].as_str().unwrap().is_empty());
}

#[test]
fn the_status_of_the_command_is_the_code_of_the_job() {
    let served = Served::new();
    let ran = served.exec(&[], &["sh", "-c", "echo boom; exit 3"]).end();
    assert_eq!(ran.status, Some(3));
    let job = served.job(&ran.uuid);
    assert_eq!((&job["state"], &job["cause"]), (&"failure".into(), &"error".into()));
    assert_eq!((&job["code"], &job["message"]), (&3.into(), &"exit status 3: boom".into()));
    assert_eq!(job["description"], "sh -c echo boom; exit 3");
    assert_eq!(job["kind"], "command");
}

#[test]
fn a_command_that_is_killed_says_by_which_signal() {
    let served = Served::new();
    let ran = served.exec(&[], &["sh", "-c", "kill -9 $$"]).end();
    assert_eq!(ran.status, Some(137));
    let job = served.job(&ran.uuid);
    assert_eq!((&job["code"], &job["message"]), (&137.into(), &"killed by SIGKILL".into()));
    assert_eq!(job["cause"], "error");
}

#[test]
fn a_cancel_ends_the_whole_group() {
    let served = Served::new();
    let exec = served.exec(&[], &["sh", "-c", "sleep 600 & echo $!; wait"]);
    let uuid = exec.uuid.clone();
    let job = served.job_when(&uuid, |job| job["message"].is_string());
    let grandchild = job["message"].as_str().unwrap().to_owned();
    assert!(state_of(&grandchild).is_some());
    served.ask(&uuid, "cancel");
    let ran = exec.end();
    assert_eq!(ran.status, Some(143));
    let job = served.job(&uuid);
    assert_eq!((&job["state"], &job["cause"]), (&"failure".into(), &"canceled".into()));
    assert_eq!(job["code"], 143);
    let message = job["message"].as_str().unwrap();
    assert!(message.starts_with("The job was canceled: a test (killed by SIGTERM"), "{job}");
    until("the end of the grandchild", || matches!(state_of(&grandchild), None | Some('Z')));
}

#[test]
fn a_command_that_does_not_listen_is_killed_after_the_grace() {
    let served = Served::new();
    let script = "trap '' TERM; echo deaf; while :; do sleep 0.1; done";
    let exec = served.exec(&["--grace", "1s"], &["sh", "-c", script]);
    served.job_when(&exec.uuid, |job| job["message"] == "deaf");
    served.ask(&exec.uuid, "cancel");
    let ran = exec.end();
    assert_eq!(ran.status, Some(137));
    assert_eq!(served.job(&ran.uuid)["cause"], "canceled");
}

#[test]
fn a_command_may_end_its_own_way_when_it_is_canceled() {
    let served = Served::new();
    // The shell has a word of its own on standard error for what is terminated.
    let script = "exec 2>/dev/null; trap 'echo rolled back; exit 9' TERM; echo at work; while :; do sleep 0.05; done";
    let exec = served.exec(&[], &["sh", "-c", script]);
    served.job_when(&exec.uuid, |job| job["message"] == "at work");
    exec.signal("-INT");
    let ran = exec.end();
    assert_eq!(ran.status, Some(9));
    let job = served.job(&ran.uuid);
    assert_eq!((&job["code"], &job["cause"]), (&9.into(), &"canceled".into()));
    assert_eq!(
        job["message"],
        "The job was canceled: SIGINT at the command (exit status 9: rolled back)"
    );
}

#[test]
fn a_second_signal_ends_the_patience() {
    let served = Served::new();
    let script =
        "exec 2>/dev/null; trap 'echo no' TERM; echo at work; while :; do sleep 0.05; done";
    let exec = served.exec(&["--grace", "1h"], &["sh", "-c", script]);
    served.job_when(&exec.uuid, |job| job["message"] == "at work");
    exec.signal("-INT");
    served.job_when(&exec.uuid, |job| job["message"] == "no");
    exec.signal("-TERM");
    assert_eq!(exec.end().status, Some(137));
}

#[test]
fn pause_and_resume_reach_the_command() {
    let served = Served::new();
    let script = "echo $$; exec sleep 600";
    let exec = served.exec(&[], &["sh", "-c", script]);
    let uuid = exec.uuid.clone();
    let job = served.job_when(&uuid, |job| job["message"].is_string());
    let pid = job["message"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        served.ask(&uuid, "pause");
        served.job_when(&uuid, |job| job["state"] == "paused" && job["requested"].is_null());
        assert_eq!(state_of(&pid), Some('T'));
        served.ask(&uuid, "resume");
        served.job_when(&uuid, |job| job["state"] == "running" && job["requested"].is_null());
        assert_ne!(state_of(&pid), Some('T'));
    }
    // One that is stopped hears the cancel all the same.
    served.ask(&uuid, "pause");
    served.job_when(&uuid, |job| job["state"] == "paused");
    served.ask(&uuid, "cancel");
    assert_eq!(exec.end().status, Some(143));
    assert_eq!(served.job(&uuid)["cause"], "canceled");
}

#[test]
fn a_server_that_goes_and_comes_hears_of_the_end() {
    let served = Served::new();
    let Served { server, folder } = served;
    let listen = server.url.strip_prefix("http://").unwrap().to_owned();
    let flag = folder.path().join("go on");
    let script = "echo before; while ! test -e \"$0\"; do sleep 0.02; done; echo after; exit 5";
    let options = ["--server", server.url.as_str()];
    let exec = Exec::spawn(&options, &["sh", "-c", script, flag.to_str().unwrap()]);
    let uuid = exec.uuid.clone();
    let path = format!("/v1/jobs/{uuid}");
    until("the first report", || server.call("GET", &path, "")["message"] == "before");
    server.kill();
    fs::write(&flag, "").unwrap();
    // The command is at its end; nobody is there to hear it.
    std::thread::sleep(Duration::from_millis(300));
    let server = Server::start(&folder.path().join("data"), &["--listen", &listen]);
    let ran = exec.end();
    assert_eq!(ran.status, Some(5));
    assert!(ran.stderr.contains("trying to report"), "{}", ran.stderr);
    let job = server.call("GET", &path, "");
    assert_eq!((&job["code"], &job["message"]), (&5.into(), &"exit status 5: after".into()));
}

#[test]
fn a_server_that_stays_away_does_not_change_how_the_command_ends() {
    let served = Served::new();
    let script = "echo before; while ! test -e \"$0\"; do sleep 0.02; done; exit 6";
    let flag = served.folder.path().join("go on");
    let command = ["sh", "-c", script, flag.to_str().unwrap()];
    let exec = served.exec(&["--retry", "0s"], &command);
    served.job_when(&exec.uuid, |job| job["message"] == "before");
    let Served { server, folder: _folder } = served;
    server.kill();
    fs::write(&flag, "").unwrap();
    let ran = exec.end();
    assert_eq!(ran.status, Some(6));
    assert!(ran.stderr.contains("was not reported"), "{}", ran.stderr);
}

#[test]
fn a_command_that_cannot_run_is_a_failed_job() {
    let served = Served::new();
    let ran = served.exec(&[], &["/nonexistent/command"]).end();
    assert_eq!(ran.status, Some(127));
    let job = served.job(&ran.uuid);
    assert_eq!((&job["state"], &job["code"]), (&"failure".into(), &127.into()));
    assert!(job["message"].as_str().unwrap().contains("/nonexistent/command"), "{job}");

    let file = served.folder.path().join("not-executable");
    fs::write(&file, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let ran = served.exec(&[], &[file.to_str().unwrap()]).end();
    assert_eq!(ran.status, Some(126));
    assert_eq!(served.job(&ran.uuid)["code"], 126);
}

#[test]
fn what_cannot_be_tracked_is_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let flag = folder.path().join("ran");
    let output = Command::new(JOBTRACK)
        .args(["exec", "--server", "http://127.0.0.1:1", "--", "touch", flag.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(!flag.exists());
}

#[test]
fn a_flood_of_lines_is_a_few_reports() {
    let served = Served::new();
    let script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; sleep 0.3";
    let ran = served.exec(&[], &["sh", "-c", script]).end();
    assert_eq!(ran.stdout.lines().count(), 20_000);
    let job = served.job(&ran.uuid);
    assert_eq!(job["message"], "line 19999");
    let commits = job["revision"].as_str().unwrap().rsplit('-').next().unwrap();
    let commits: u32 = commits.parse().unwrap();
    // Created, started, ended, and between them no more than five a second.
    assert!(commits < 60, "{commits}");
}

#[test]
fn a_command_runs_as_a_job_of_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("redb:{}", folder.path().join("data").display());
    let ran = Exec::spawn(&["--store", &store], &["sh", "-c", "echo done; exit 2"]).end();
    assert_eq!(ran.status, Some(2));
    let output = Command::new(JOBTRACK).args(["get", &ran.uuid, "--store", &store]).output();
    let job: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    assert_eq!((&job["code"], &job["message"]), (&2.into(), &"exit status 2: done".into()));
}

#[test]
fn what_a_command_leaves_behind_is_not_waited_for() {
    let served = Served::new();
    let ran = served.exec(&[], &["sh", "-c", "sleep 30 & echo $!"]);
    let mut ran = ran;
    assert_eq!(ran.process.wait().unwrap().code(), Some(0));
    let job = served.job(&ran.uuid);
    assert_eq!(job["state"], "success");
    let left = job["message"].as_str().unwrap();
    assert!(Command::new("kill").arg(left).status().unwrap().success());
}
