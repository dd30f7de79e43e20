//! Who is let in, and what those hear who are not.

// Tests may unwrap, and the lints see no test in helpers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
// What is measured is how long a client waits, not a time of a job.
#![allow(clippy::disallowed_methods)]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jobtrack::{MemoryStore, Tracker};
use jobtrack_http::{Options, Users, UsersFile, router, with_users};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

const PASSWORD: &str = "correct horse";

struct Stage {
    folder: TempDir,
    tracker: Arc<Tracker>,
    router: Router,
}

impl Stage {
    /// Both faces, for alice alone.
    fn new() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let (tracker, _) = common::tracker(MemoryStore::new());
        let mut file = UsersFile::open(folder.path().join("users")).unwrap();
        file.add("alice", PASSWORD).unwrap();
        file.save().unwrap();
        let users = Users::open(folder.path().join("users")).unwrap();
        let faces = router(Arc::clone(&tracker), Options::default());
        Stage { folder, tracker, router: with_users(faces, Arc::new(users)) }
    }

    fn file(&self) -> UsersFile {
        UsersFile::open(self.folder.path().join("users")).unwrap()
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        authorization: &[&[u8]],
        body: &str,
    ) -> (StatusCode, HeaderMap, Value) {
        let mut request = Request::builder().method(method).uri(path);
        for value in authorization {
            request = request.header("authorization", *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        (parts.status, parts.headers, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// The status for whoever says this of themselves.
    async fn status(&self, authorization: &[u8]) -> u16 {
        self.send("GET", "/v1/jobs", &[authorization], "").await.0.as_u16()
    }
}

fn basic(name: &str, password: &str) -> Vec<u8> {
    basic_bytes(format!("{name}:{password}").as_bytes())
}

fn basic_bytes(pair: &[u8]) -> Vec<u8> {
    format!("Basic {}", STANDARD.encode(pair)).into_bytes()
}

#[tokio::test]
async fn nobody_is_let_in_anywhere() {
    let stage = Stage::new();
    let before = stage.tracker.revision();
    let job = common::uuid_of('a');
    let paths = ["/api/cluster/jobs".to_owned(), format!("/api/cluster/jobs/{job}")];
    for path in paths.iter().map(String::as_str).chain(["/api/no/such"]) {
        for method in ["GET", "PATCH", "POST", "DELETE", "OPTIONS"] {
            let (status, headers, body) = stage.send(method, path, &[], "{}").await;
            assert_eq!(status, 401, "{method} {path}");
            assert_eq!(headers["content-type"], "application/hal+json");
            assert!(headers["www-authenticate"].to_str().unwrap().starts_with("Basic realm="));
            assert_eq!(headers["cache-control"], "no-store");
            assert_eq!(body["error"]["code"], "6691623");
            let message = body["error"]["message"].as_str().unwrap();
            assert!(message.starts_with("User is not authorized"), "{message}");
        }
    }
    let paths = [format!("/v1/jobs/{job}"), format!("/v1/jobs/{job}/start")];
    let others = ["/", "/v1/jobs", "/v1/counts", "/v1/import", "/v1/export", "/no/such"];
    for path in paths.iter().map(String::as_str).chain(others) {
        for method in ["GET", "POST", "DELETE", "OPTIONS"] {
            let (status, headers, body) = stage.send(method, path, &[], "{}").await;
            assert_eq!(status, 401, "{method} {path}");
            assert_eq!(headers["content-type"], "application/problem+json");
            assert!(headers["www-authenticate"].to_str().unwrap().starts_with("Basic realm="));
            assert_eq!((&body["status"], &body["kind"]), (&401.into(), &"unauthorized".into()));
        }
    }
    assert_eq!(stage.tracker.revision(), before);
}

#[tokio::test]
async fn a_user_is_let_in_everywhere() {
    let stage = Stage::new();
    let alice = basic("alice", PASSWORD);
    for (method, path, expected) in [
        ("GET", "/", 200),
        ("GET", "/api/cluster/jobs", 200),
        ("POST", "/v1/jobs", 201),
        ("GET", "/v1/export", 200),
        ("GET", "/no/such", 404),
        ("OPTIONS", "/v1/jobs", 200),
    ] {
        let body = if method == "POST" { "{}" } else { "" };
        let (status, ..) = stage.send(method, path, &[&alice], body).await;
        assert_eq!(status, expected, "{method} {path}");
    }
}

#[tokio::test]
async fn only_name_and_password_together_let_in() {
    let stage = Stage::new();
    for (name, password) in [
        ("alice", "battery staple"),
        ("alice", ""),
        ("alice", "correct horse "),
        ("Alice", PASSWORD),
        ("alice ", PASSWORD),
        ("bob", PASSWORD),
        ("", PASSWORD),
        ("", ""),
        ("alice\0", PASSWORD),
    ] {
        assert_eq!(stage.status(&basic(name, password)).await, 401, "{name:?} {password:?}");
    }
    assert_eq!(stage.status(&basic("alice", PASSWORD)).await, 200);
    // Still none of the others, now that this one is remembered.
    assert_eq!(stage.status(&basic("alice", "battery staple")).await, 401);
    assert_eq!(stage.status(&basic("bob", PASSWORD)).await, 401);
}

#[tokio::test]
async fn a_malformed_header_is_refused_and_not_repeated() {
    let stage = Stage::new();
    let right = String::from_utf8(basic("alice", PASSWORD)).unwrap();
    let token = right.strip_prefix("Basic ").unwrap();
    let long = format!("Basic {}", "QUFB".repeat(1_000));
    for (header, why) in [
        (token.to_owned(), "another scheme"),
        (format!("Bearer {token}"), "no such token"),
        (format!("Digest {token}"), "another scheme"),
        ("Basic".to_owned(), "no colon"),
        ("Basic !!!".to_owned(), "not base64"),
        (format!("Basic {token}!"), "not base64"),
        (format!("Basic {}", STANDARD.encode("alice")), "no colon"),
        (long, "too long"),
        (String::new(), "another scheme"),
    ] {
        let (status, _, body) = stage.send("GET", "/v1/jobs", &[header.as_bytes()], "").await;
        let detail = body["detail"].as_str().unwrap();
        assert_eq!(status, 401, "{header}");
        assert!(detail.contains(why), "{header}: {detail}");
        assert!(!detail.contains(token) && !detail.contains("alice"), "{detail}");
    }
    let (status, _, body) =
        stage.send("GET", "/v1/jobs", &[right.as_bytes(), right.as_bytes()], "").await;
    assert_eq!((status.as_u16(), body["detail"].as_str().unwrap().contains("twice")), (401, true));
    assert_eq!(stage.status(b"Basic \xff").await, 401);
    // The scheme's name has no case.
    assert_eq!(stage.status(format!("bAsIc  {token}").as_bytes()).await, 200);
}

#[tokio::test]
async fn the_longest_password_is_let_in_and_none_longer() {
    let stage = Stage::new();
    let longest = "x".repeat(1_024);
    let mut file = stage.file();
    file.add("bob", &longest).unwrap();
    file.save().unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(stage.status(&basic("bob", &longest)).await, 200);
    assert_eq!(stage.status(&basic("bob", &format!("{longest}x"))).await, 401);
    assert_eq!(stage.status(&basic("alice", &"x".repeat(1_025))).await, 401);
}

#[tokio::test]
async fn a_password_beyond_ascii_is_right_in_either_encoding() {
    let stage = Stage::new();
    let mut file = stage.file();
    file.set_password("alice", "Zürich:ß").unwrap();
    file.save().unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(stage.status(&basic("alice", "Zürich:ß")).await, 200);
    assert_eq!(stage.status(&basic_bytes(b"alice:Z\xfcrich:\xdf")).await, 200);
    assert_eq!(stage.status(&basic_bytes(b"alice:Z\xfcrich:\xde")).await, 401);
}

#[tokio::test]
async fn a_change_of_the_file_counts_within_a_second() {
    let stage = Stage::new();
    assert_eq!(stage.status(&basic("alice", PASSWORD)).await, 200);
    let mut file = stage.file();
    file.set_password("alice", "another").unwrap();
    file.add("bob", "his").unwrap();
    file.save().unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(stage.status(&basic("alice", PASSWORD)).await, 401);
    assert_eq!(stage.status(&basic("alice", "another")).await, 200);
    assert_eq!(stage.status(&basic("bob", "his")).await, 200);
    let mut file = stage.file();
    file.remove("alice").unwrap();
    file.remove("bob").unwrap();
    file.save().unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(stage.status(&basic("alice", "another")).await, 401);
    assert_eq!(stage.status(&basic("bob", "his")).await, 401);
}

#[tokio::test]
async fn a_name_that_nobody_has_takes_as_long_as_one_that_somebody_has() {
    let stage = Stage::new();
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    // In turns, so that what else the machine does strikes both.
    for _ in 0..9 {
        for (name, times) in [("alice", &mut known), ("mallory", &mut unknown)] {
            let header = basic(name, "a guess");
            let began = Instant::now();
            assert_eq!(stage.status(&header).await, 401);
            times.push(began.elapsed());
        }
    }
    known.sort_unstable();
    unknown.sort_unstable();
    let (known, unknown) = (known[4], unknown[4]);
    // Without the work, the one would take a thousandth of the other.
    assert!(known < unknown * 4 && unknown < known * 4, "{known:?} and {unknown:?}");
}

#[tokio::test]
async fn what_a_user_does_bears_their_name() {
    let stage = Stage::new();
    let alice = basic("alice", PASSWORD);
    let job = r#"{"cooperative": true}"#;
    for (method, path, content) in [
        ("PATCH", "/api/cluster/jobs/{}?action=pause", "{}"),
        ("POST", "/v1/jobs/{}/request", r#"{"action": "pause"}"#),
    ] {
        let (_, _, made) = stage.send("POST", "/v1/jobs", &[&alice], job).await;
        let uuid = made["uuid"].as_str().unwrap();
        stage.send("POST", &format!("/v1/jobs/{uuid}/start"), &[&alice], "").await;
        let (status, _, body) =
            stage.send(method, &path.replace("{}", uuid), &[&alice], content).await;
        assert_eq!(status, 200, "{body}");
        let (_, _, job) = stage.send("GET", &format!("/v1/jobs/{uuid}"), &[&alice], "").await;
        assert_eq!(job["requested"]["by"], "alice", "{job}");
    }
}
