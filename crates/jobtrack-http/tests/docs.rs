//! The examples of the pages on HTTP come out as the pages say.

// Tests may unwrap, and the lints see no test in a module that tests share.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use common::{JOBS, tracker, uuid_of};
use jobtrack::MemoryStore;
use jobtrack_http::{Options, ServerOptions, router, serve};
use serde_json::Value;
use tower::ServiceExt;

async fn send(router: &Router, method: &str, target: &str, body: &str) -> (u16, Value) {
    let request = Request::builder().method(method).uri(target);
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

/// The status, and the jobs by letter or the error's number.
fn outcome(status: u16, body: &Value) -> String {
    let letter = |record: &Value| {
        ('A'..='E').find(|letter| record["uuid"] == uuid_of(*letter).as_str()).unwrap()
    };
    let records = body["records"].as_array().into_iter().flatten();
    let code = body["error"]["code"].as_str().map(str::to_owned);
    let mut words = vec![status.to_string()];
    words.extend(code);
    words.extend(records.map(|record| letter(record).to_string()));
    words.join(" ")
}

#[tokio::test]
async fn every_request_comes_out_as_the_page_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ontap.md");
    let page = std::fs::read_to_string(path).unwrap();
    let mut requests = 0;
    for block in page.split("```request\n").skip(1) {
        let (block, _) = block.split_once("```").unwrap();
        for line in block.lines() {
            let (tracker, _clock) = tracker(MemoryStore::new());
            let router = router(Arc::clone(&tracker), Options::default());
            assert_eq!(send(&router, "POST", "/v1/import", JOBS).await.0, 200);
            let (request, expected) = line.split_once(" # ").unwrap();
            let (method, target) = request.trim_end().split_once(' ').unwrap();
            let filled = ('A'..='F').fold(target.to_owned(), |target, letter| {
                target.replace(&format!("{{{letter}}}"), &uuid_of(letter))
            });
            // The page writes marks as they are meant; a URI takes these two encoded alone.
            let target = filled.replace('|', "%7C").replace('>', "%3E");
            let (status, body) = send(&router, method, &target, "").await;
            assert_eq!(outcome(status, &body), expected.trim(), "{line}: {body}");
            requests += 1;
        }
    }
    assert!(requests > 20, "the page has examples");
}

/// Pastes each block of a page into a shell, beside a server of its own, and looks for what the lines
/// with a `#` say in the output of the command above them.
#[cfg(unix)]
fn paste(page: &str, jobs: &str) {
    use std::process::Command;

    let path = format!("{}/../../docs/{page}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut looked_for = 0;
    for block in text.split("```sh\n").skip(1) {
        let (block, _) = block.split_once("```").unwrap();
        let (tracker, _clock) = tracker(MemoryStore::new());
        let router = router(Arc::clone(&tracker), Options::default());
        assert_eq!(runtime.block_on(send(&router, "POST", "/v1/import", jobs)).0, 200);
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        runtime.spawn(serve(listener, router, ServerOptions::default(), std::future::pending()));
        // A mark after each command tells the outputs apart.
        let lines = block.lines().filter(|line| !line.starts_with("# "));
        let script: String = lines.map(|line| format!("{line}\necho; echo ----\n")).collect();
        let script = script.replace("localhost:8080", &address);
        let ran = Command::new("sh").arg("-c").arg(&script).current_dir(&folder).output().unwrap();
        let output = String::from_utf8(ran.stdout).unwrap();
        let mut outputs = output.split("\n----\n");
        let mut current = "";
        for line in block.lines() {
            match line.strip_prefix("# ") {
                None => current = outputs.next().unwrap(),
                Some(expected) => {
                    assert!(current.contains(expected), "{page}: {line}\n{current}\n{script}");
                    looked_for += 1;
                }
            }
        }
    }
    assert!(looked_for > 0, "{page} has examples to paste");
}

#[cfg(unix)]
#[test]
fn what_the_native_face_s_page_shows_can_be_pasted() {
    paste("native-api.md", "");
}

#[cfg(unix)]
#[test]
fn what_the_ontap_face_s_page_shows_can_be_pasted() {
    paste("ontap.md", JOBS);
}

#[cfg(unix)]
#[test]
fn what_the_query_language_s_page_shows_can_be_pasted() {
    paste("query-language.md", JOBS);
}
