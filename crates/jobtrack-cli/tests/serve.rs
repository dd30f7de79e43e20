//! How the server starts, and how it stops.

// Tests may unwrap, and the lints see no test in helpers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::{Server, refused};

fn store(folder: &Path) -> String {
    format!("redb:{}", folder.display())
}

#[test]
fn the_line_it_prints_works_as_pasted() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"), &[]);
    server.call("POST", "/v1/jobs", r#"{"description": "Backup"}"#);
    let line = server.said.lines().find_map(|line| line.strip_prefix("try ")).unwrap();
    // curl may not be there; what the line asks for is asked all the same.
    let path = line.trim().strip_prefix(&format!("curl '{}", server.url)).unwrap();
    let answer = server.call("GET", path.strip_suffix('\'').unwrap(), "");
    assert_eq!(answer["records"][0]["description"], "Backup");
    assert!(server.said.contains(folder.path().join("data").to_str().unwrap()), "{}", server.said);
}

#[test]
fn a_stop_by_sigterm_is_clean() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("data");
    let server = Server::start(&folder, &[]);
    server.call("POST", "/v1/jobs?durability=deferred", r#"{"description": "Backup"}"#);
    // A client that keeps its connection does not keep the server.
    let address = server.url.strip_prefix("http://").unwrap();
    let mut idle = TcpStream::connect(address).unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    assert!(idle.read(&mut [0; 1024]).unwrap() > 0);
    let (status, said) = server.terminate();
    assert_eq!(status, Some(0));
    assert_eq!(said, "stopped; every change is in the store\n");
    drop(idle);

    let server = Server::start(&folder, &[]);
    assert!(server.said.contains("1 jobs in epoch 1"), "{}", server.said);
    assert!(!server.said.contains("unclean"), "{}", server.said);
}

#[test]
fn a_hangup_stops_no_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"), &[]);
    for _ in 0..3 {
        let pid = server.pid().to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
        server.call("GET", "/v1/counts", "");
    }
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn a_store_that_is_held_is_refused_and_says_by_whom() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("data");
    let server = Server::start(&folder, &[]);
    let said = refused(&["serve", "--listen", "127.0.0.1:0", "--store", &store(&folder)]);
    assert!(said.contains(&format!("process {}", server.pid())), "{said}");
    server.call("POST", "/v1/jobs", "{}");
    // What held it and died holds it no more.
    server.kill();
    Server::start(&folder, &[]);
}

#[test]
fn a_folder_that_is_not_a_store_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.txt"), "irreplaceable").unwrap();
    let said = refused(&["serve", "--listen", "127.0.0.1:0", "--store", &store(folder.path())]);
    assert!(said.contains(folder.path().to_str().unwrap()), "{said}");
    let left: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["thesis.txt"]);
    let file = folder.path().join("thesis.txt");
    refused(&["serve", "--listen", "127.0.0.1:0", "--store", &store(&file)]);
    assert_eq!(fs::read_to_string(file).unwrap(), "irreplaceable");
}

#[test]
fn an_address_is_loopback_unless_said_otherwise() {
    let said = refused(&["serve", "--listen", "0.0.0.0:0", "--store", "memory:"]);
    assert!(said.contains("--allow-remote"), "{said}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refused(&["serve", "--listen", &address, "--store", "memory:"]);
    assert!(said.contains(&address), "{said}");
    assert!(refused(&["serve", "--listen", "nowhere", "--store", "memory:"]).contains("nowhere"));
}

#[test]
fn finished_jobs_are_taken_out_while_nobody_asks() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"), &["--retention", "1s"]);
    let job = server.call("POST", "/v1/jobs", "{}");
    let path = format!("/v1/jobs/{}", job["uuid"].as_str().unwrap());
    server.call("POST", &format!("{path}/start"), "");
    let before = server.call("POST", &format!("{path}/finish"), r#"{"state": "success"}"#);
    std::thread::sleep(Duration::from_millis(3_500));
    let counts = server.call("GET", "/v1/counts", "");
    assert_eq!(counts["total"], 0);
    // Sweeping is a commit like any other, so the revision says that it was done.
    assert_ne!(counts["revision"], before["revision"]);
}

#[test]
fn help_and_version_are_there() {
    let output = Command::new(common::JOBTRACK).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for word in ["serve", "import", "export", "Exit status"] {
        assert!(help.contains(word), "{word}");
    }
    let output = Command::new(common::JOBTRACK).arg("--version").output().unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!("jobtrack {}\n", env!("CARGO_PKG_VERSION"))
    );
}
