//! What users of other trackers complain of, as far as it is a server's to answer: the row that
//! `crates/jobtrack/tests/complaints.rs` leaves to this crate.

// Tests may unwrap, and the lints see no test in helpers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use jobtrack::{MemoryStore, NewJob, Scope, Tenant};
use jobtrack_http::{Grant, Options, Role, Users, UsersFile, router, with_users};
use serde_json::Value;
use tower::ServiceExt;

/// 14. Seeing must not mean controlling. A dashboard is shown to many, and each of them could stop
/// what ran; a team sees what is another's. Here whoever may read changes nothing on either face, and
/// whoever is confined to a scope neither sees nor stops what is outside of it, whatever their role.
#[tokio::test]
async fn row_14_seeing_must_not_mean_controlling() {
    let (tracker, _) = common::tracker(MemoryStore::new());
    let job = |scope: &str| NewJob {
        scope: Some(Scope { name: scope.into(), id: jobtrack::Text::new() }),
        ..NewJob::described(scope)
    };
    let [mine, others] = ["mine", "others"].map(|name| tracker.create(job(name)).unwrap().uuid);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    let mut file = UsersFile::open(&path).unwrap();
    let viewer = file.add_token("dashboard", &Grant::of(Role::Read)).unwrap();
    let tenant = Some(Tenant::named("mine").unwrap());
    let team = file.add_token("team", &Grant { tenant, ..Grant::of(Role::Control) }).unwrap();
    file.save().unwrap();
    let users = Arc::new(Users::open(&path).unwrap());
    let router = with_users(router(Arc::clone(&tracker), Options::default()), users);

    // The dashboard sees both, and stops neither.
    let (status, list) = send(&router, &viewer, "GET", "/v1/jobs", "").await;
    assert_eq!((status, list["num_records"].as_u64()), (200, Some(2)));
    let stop = |job| {
        [
            ("POST", format!("/v1/jobs/{job}/request"), r#"{"action": "cancel"}"#),
            ("PATCH", format!("/api/cluster/jobs/{job}?action=cancel"), "{}"),
            ("PATCH", "/api/cluster/jobs?uuid=*&action=cancel".to_owned(), "{}"),
            ("DELETE", format!("/v1/jobs/{job}"), ""),
        ]
    };
    for (method, path, body) in stop(mine) {
        assert_eq!(send(&router, &viewer, method, &path, body).await.0, 403, "{method} {path}");
    }
    // The team sees its own, and stops that alone.
    let (_, list) = send(&router, &team, "GET", "/v1/jobs", "").await;
    assert_eq!(list["num_records"].as_u64(), Some(1));
    for (method, path, body) in stop(others) {
        let (status, told) = send(&router, &team, method, &path, body).await;
        let is_of_all = path.contains("uuid=*");
        assert_eq!(status, if is_of_all { 200 } else { 404 }, "{method} {path}: {told}");
    }
    assert!(!tracker.get(others).unwrap().state().is_terminal());
    assert!(tracker.get(mine).unwrap().state().is_terminal(), "canceled with all of the team's");
}

async fn send(router: &Router, token: &str, method: &str, path: &str, body: &str) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {token}"))
        .body(Body::from(body.to_owned()))
        .unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}
