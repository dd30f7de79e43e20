//! What each user may do, by what they are known, and what every answer has.

// Tests may unwrap, and the lints see no test in helpers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jobtrack::{MemoryStore, Tenant, Tracker};
use jobtrack_http::{Grant, Options, Role, Users, UsersFile, router, with_users};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

struct Stage {
    folder: TempDir,
    tracker: Arc<Tracker>,
    router: Router,
}

impl Stage {
    /// Both faces, for the users that this adds to the file.
    fn new(add: impl FnOnce(&mut UsersFile)) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let (tracker, _) = common::tracker(MemoryStore::new());
        let mut file = UsersFile::open(folder.path().join("users")).unwrap();
        add(&mut file);
        file.save().unwrap();
        let users = Users::open(folder.path().join("users")).unwrap();
        let router = router(Arc::clone(&tracker), Options::default());
        Stage { folder, tracker, router: with_users(router, Arc::new(users)) }
    }

    async fn send(
        &self,
        (method, path, body): (&str, &str, &str),
        headers: &[(&str, &str)],
    ) -> (u16, HeaderMap, Value) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        if parts.headers.get("content-type").is_some_and(|it| it == "text/event-stream") {
            // It has no end.
            return (parts.status.as_u16(), parts.headers, Value::Null);
        }
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        (parts.status.as_u16(), parts.headers, body)
    }

    async fn status(&self, call: (&str, &str, &str), token: &str) -> u16 {
        self.send(call, &[("authorization", &format!("Bearer {token}"))]).await.0
    }
}

/// What only an admin may do, and what only those who may control, besides what changes anything.
const OF_ADMINS: [&str; 4] = ["/v1/backup", "/v1/import", "/v1/maintain", "/v1/finalize"];
const OF_CONTROLLERS: [&str; 1] = ["/v1/sync"];

/// Every path that there is, in every way: path, method, body. Those of the native face are the ones
/// of its document, which has all of them.
async fn calls(stage: &Stage, uuid: &str) -> Vec<(String, &'static str, &'static str)> {
    let open = router(Arc::clone(&stage.tracker), Options::default());
    let request = Request::get("/v1/openapi.json").body(Body::empty()).unwrap();
    let document = open.oneshot(request).await.unwrap().into_body();
    let document: Value =
        serde_json::from_slice(&to_bytes(document, usize::MAX).await.unwrap()).unwrap();
    let of_native = document["paths"].as_object().unwrap().keys().map(|path| {
        // An end that does not come would be waited for.
        let at_once = if path.ends_with("/wait") { "?timeout=0" } else { "" };
        format!("{}{at_once}", path.replace("{uuid}", uuid))
    });
    let paths: Vec<_> = of_native
        .chain(["/api/cluster/jobs", "/no/such"].map(str::to_owned))
        .chain([format!("/api/cluster/jobs/{uuid}")])
        .collect();
    for path in OF_ADMINS.iter().chain(&OF_CONTROLLERS) {
        assert!(paths.iter().any(|served| served == path), "{path}");
    }
    let mut calls = Vec::new();
    for path in paths {
        for method in ["GET", "HEAD", "OPTIONS", "POST", "PATCH", "PUT", "DELETE"] {
            let body = if ["POST", "PATCH", "PUT"].contains(&method) { "{}" } else { "" };
            calls.push((path.clone(), method, body));
        }
    }
    calls
}

#[tokio::test]
async fn who_may_read_changes_nothing_and_who_may_control_backs_up_nothing() {
    let (mut reader, mut controller, mut admin) = Default::default();
    let stage = Stage::new(|file| {
        reader = file.add_token("reader", &Grant::of(Role::Read)).unwrap();
        controller = file.add_token("controller", &Grant::of(Role::Control)).unwrap();
        admin = file.add_token("admin", &Grant::of(Role::Admin)).unwrap();
    });
    let job = stage.tracker.create(jobtrack::NewJob::default()).unwrap();
    let before = stage.tracker.revision();
    let calls = calls(&stage, &job.uuid.to_string()).await;
    for (path, method, body) in &calls {
        let status = stage.status((method, path, body), &reader).await;
        let reads = ["GET", "HEAD"].contains(method);
        let is_of_others = OF_ADMINS.contains(&&**path) || OF_CONTROLLERS.contains(&&**path);
        let may = *method == "OPTIONS" || (reads && !is_of_others);
        assert_eq!(status != 403, may, "{method} {path}: {status}");
    }
    assert_eq!(stage.tracker.revision(), before, "nothing was changed");
    for (path, method, body) in &calls {
        let is_of_admins = OF_ADMINS.contains(&&**path) && *method != "OPTIONS";
        let status = stage.status((method, path, body), &controller).await;
        assert_eq!(status == 403, is_of_admins, "{method} {path}: {status}");
        let status = stage.status((method, path, body), &admin).await;
        assert_ne!(status, 403, "{method} {path}");
    }
    let call = ("POST", "/v1/jobs", "{}");
    let (status, _, body) =
        stage.send(call, &[("authorization", &format!("Bearer {reader}"))]).await;
    assert_eq!((status, &body["kind"]), (403, &json!("forbidden")));
    assert_eq!(body["detail"], "this needs the role control, and yours is read");
    let call = ("PATCH", "/api/cluster/jobs?uuid=*&action=cancel", "{}");
    let (status, _, body) =
        stage.send(call, &[("authorization", &format!("Bearer {reader}"))]).await;
    assert_eq!((status, &body["error"]["code"]), (403, &json!("6")));
}

#[tokio::test]
async fn roles_hold_in_a_router_that_is_nested_under_users() {
    let (mut reader, mut admin) = Default::default();
    let stage = Stage::new(|file| {
        reader = file.add_token("reader", &Grant::of(Role::Read)).unwrap();
        admin = file.add_token("admin", &Grant::of(Role::Admin)).unwrap();
    });
    let nested = router(Arc::clone(&stage.tracker), Options::default());
    let users = Users::open(stage.folder.path().join("users")).unwrap();
    let router = with_users(Router::new().nest("/tracking", nested), Arc::new(users));
    let stage = Stage { router, ..stage };
    let backup = ("GET", "/tracking/v1/backup", "");
    assert_eq!(stage.status(("GET", "/tracking/v1/jobs", ""), &reader).await, 200);
    assert_eq!(stage.status(backup, &reader).await, 403);
    assert_eq!(stage.status(backup, &admin).await, 200);
}

#[tokio::test]
async fn who_asks_is_told_who_they_are() {
    let mut token = String::new();
    let tenant = Tenant::named("vs1").unwrap();
    let stage = Stage::new(|file| {
        file.add("alice", "correct horse").unwrap();
        let grant = Grant { tenant: Some(tenant), ..Grant::of(Role::Control) };
        token = file.add_token("robot", &grant).unwrap();
    });
    let whoami = ("GET", "/v1/whoami", "");
    let (_, _, body) = stage.send(whoami, &[("authorization", &format!("Bearer {token}"))]).await;
    let expected = json!({"user": "robot", "role": "control", "scope": {"name": "vs1"}});
    assert_eq!(body, expected);
    let basic = format!("Basic {}", STANDARD.encode("alice:correct horse"));
    let (_, _, body) = stage.send(whoami, &[("authorization", &basic)]).await;
    assert_eq!(body, json!({"user": "alice", "role": "admin", "scope": null}));
    // What a token does bears its name.
    let call = ("POST", "/v1/jobs", r#"{"cooperative": true}"#);
    let bearer = format!("Bearer {token}");
    let (_, _, made) = stage.send(call, &[("authorization", &bearer)]).await;
    let path = format!("/v1/jobs/{}", made["uuid"].as_str().unwrap());
    stage.send(("POST", &format!("{path}/start"), ""), &[("authorization", &bearer)]).await;
    let ask = (&*format!("{path}/request"), r#"{"action": "pause"}"#);
    let (_, _, job) = stage.send(("POST", ask.0, ask.1), &[("authorization", &bearer)]).await;
    assert_eq!(job["requested"]["by"], "robot", "{job}");

    let open = router(Arc::clone(&stage.tracker), Options::default());
    let stage = Stage { router: open, ..stage };
    let (_, _, body) = stage.send(whoami, &[]).await;
    assert_eq!(body, json!({"user": null, "role": "admin", "scope": null}));
}

#[tokio::test]
async fn a_token_ends_in_time_and_a_password_with_it() {
    let past = Some("2020-01-01T00:00:00Z".parse().unwrap());
    let future = Some("2900-01-01T00:00:00Z".parse().unwrap());
    let (mut old, mut new) = Default::default();
    let stage = Stage::new(|file| {
        let grant = |expires| Grant { expires, ..Grant::of(Role::Read) };
        old = file.add_token("old", &grant(past)).unwrap();
        new = file.add_token("new", &grant(future)).unwrap();
        file.add("alice", "correct horse").unwrap();
        file.grant("alice", &grant(past)).unwrap();
    });
    let list = ("GET", "/v1/jobs", "");
    assert_eq!(stage.status(list, &new).await, 200);
    assert_eq!(stage.status(list, &old).await, 401);
    let basic = format!("Basic {}", STANDARD.encode("alice:correct horse"));
    for _ in 0..2 {
        assert_eq!(stage.send(list, &[("authorization", &basic)]).await.0, 401);
    }
    // A token is no password, nor the other way round.
    let basic = format!("Basic {}", STANDARD.encode(format!("new:{new}")));
    assert_eq!(stage.send(list, &[("authorization", &basic)]).await.0, 401);
    assert_eq!(stage.status(list, "correct horse").await, 401);
    let text = std::fs::read_to_string(stage.folder.path().join("users")).unwrap();
    assert!(!text.contains(&new[3..]));
}

#[tokio::test]
async fn a_file_from_before_there_were_roles_is_read_as_it_was_meant() {
    let stage = Stage::new(|file| file.add("alice", "correct horse").unwrap());
    let path = stage.folder.path().join("users");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace(" role=admin", "")).unwrap();
    let users = Users::open(&path).unwrap();
    let router = router(Arc::clone(&stage.tracker), Options::default());
    let stage = Stage { router: with_users(router, Arc::new(users)), ..stage };
    let basic = format!("Basic {}", STANDARD.encode("alice:correct horse"));
    for call in [("POST", "/v1/jobs", "{}"), ("GET", "/v1/backup", "")] {
        assert!(stage.send(call, &[("authorization", &basic)]).await.0 < 300);
    }
}

#[tokio::test]
async fn who_guesses_too_often_has_to_wait() {
    let mut token = String::new();
    let stage = Stage::new(|file| {
        file.add("alice", "correct horse").unwrap();
        token = file.add_token("robot", &Grant::of(Role::Read)).unwrap();
    });
    let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
    let list = ("GET", "/v1/jobs", "");
    let mut statuses = Vec::new();
    let mut waits = None;
    for n in 0..14 {
        let guess = basic(&format!("alice:guess {n}"));
        let (status, headers, _) = stage.send(list, &[("authorization", &guess)]).await;
        statuses.push(status);
        waits = headers.get("retry-after").cloned().or(waits);
    }
    assert_eq!(statuses[..10], [401; 10]);
    assert_eq!(statuses[10..], [429; 4]);
    let waits: u64 = waits.unwrap().to_str().unwrap().parse().unwrap();
    assert!((1..=11).contains(&waits), "{waits}");
    let (status, _, body) = stage.send(list, &[("authorization", &basic("alice:x"))]).await;
    assert_eq!((status, &body["kind"]), (429, &json!("too_many_logins")));
    // Whoever is not there waits as well, so that nothing is told of who is; a token that is right
    // does not.
    for n in 0..11 {
        let guess = basic(&format!("nobody:guess {n}"));
        let (status, ..) = stage.send(list, &[("authorization", &guess)]).await;
        assert_eq!(status, if n < 10 { 401 } else { 429 });
    }
    assert_eq!(stage.status(list, &token).await, 200);
}

#[tokio::test]
async fn the_server_s_own_page_is_not_overtaken_by_the_browser_s_question() {
    let stage = Stage::new(|file| file.add("alice", "correct horse").unwrap());
    let challenges = |headers: &HeaderMap| -> Vec<String> {
        let all = headers.get_all("www-authenticate").iter();
        all.map(|value| value.to_str().unwrap().split(' ').next().unwrap().to_owned()).collect()
    };
    let list = ("GET", "/v1/jobs", "");
    let (status, headers, _) = stage.send(list, &[]).await;
    assert_eq!((status, challenges(&headers)), (401, vec!["Basic".into(), "Bearer".into()]));
    let (status, headers, _) = stage.send(list, &[("x-requested-with", "jobtrack")]).await;
    assert_eq!((status, challenges(&headers)), (401, vec!["Bearer".into()]));
    // A browser that comes for the first time is sent on by the page, if there is one.
    assert_ne!(stage.send(("GET", "/", ""), &[("accept", "text/html,*/*")]).await.0, 401);
    assert_eq!(stage.send(("GET", "/", ""), &[("accept", "application/json")]).await.0, 401);
}

#[tokio::test]
async fn every_answer_keeps_browsers_in_bounds() {
    let mut token = String::new();
    let stage =
        Stage::new(|file| token = file.add_token("robot", &Grant::of(Role::Admin)).unwrap());
    let job = stage.tracker.create(jobtrack::NewJob::default()).unwrap();
    let bearer = format!("Bearer {token}");
    let mut statuses = std::collections::BTreeSet::new();
    for headers in [&[("authorization", &*bearer)][..], &[]] {
        for (path, method, body) in calls(&stage, &job.uuid.to_string()).await {
            let (status, headers, _) = stage.send((method, &path, body), headers).await;
            statuses.insert(status);
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "no-referrer"),
                ("cache-control", "no-store"),
                ("x-frame-options", "DENY"),
                ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
                ("cross-origin-resource-policy", "same-origin"),
            ] {
                assert_eq!(headers.get(name).unwrap(), value, "{method} {path}: {status}");
            }
            for name in ["access-control-allow-origin", "server", "set-cookie"] {
                assert!(headers.get(name).is_none(), "{name}");
            }
        }
    }
    assert!(statuses.len() > 6, "{statuses:?}");
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing() {
    let (tracker, _) = common::tracker(MemoryStore::new());
    let hosts = Some(vec!["jobs.example.com".to_owned()]);
    let options = Options { hosts, ..Options::default() };
    let folder = tempfile::tempdir().unwrap();
    let router = router(Arc::clone(&tracker), options);
    let stage = Stage { folder, tracker, router };
    let job = stage.tracker.create(jobtrack::NewJob::default()).unwrap();
    let before = stage.tracker.revision();
    let (host, evil) = (("host", "localhost"), ("origin", "http://evil.example"));
    for (path, method, body) in calls(&stage, &job.uuid.to_string()).await {
        let reads = ["GET", "HEAD", "OPTIONS"].contains(&method);
        let (status, ..) = stage.send((method, &path, body), &[host, evil]).await;
        assert_eq!(status == 403, !reads, "{method} {path}");
        let rebound = [("host", "evil.example"), ("origin", "http://evil.example")];
        let (status, ..) = stage.send((method, &path, body), &rebound).await;
        assert_eq!(status, 421, "{method} {path}");
    }
    assert_eq!(stage.tracker.revision(), before);
    let own = [("host", "jobs.example.com"), ("origin", "https://jobs.example.com")];
    assert_eq!(stage.send(("POST", "/v1/jobs", "{}"), &own).await.0, 201);
}
