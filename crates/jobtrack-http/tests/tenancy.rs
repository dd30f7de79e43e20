//! A tenant is told the same, byte for byte, whatever jobs others have.
//!
//! Servers are set up that differ in nothing but in the jobs of other scopes, and asked the same by
//! the same tenant: every field in every way, every order page by page, every route and verb with
//! uuids of every sort. What is asked is made from the catalogue of fields, the server's own index
//! and its own list of verbs, so that what is added to them is asked for as well.
//!
//! Three servers. *Many* holds jobs of other scopes that are made to be confused with the tenant's:
//! copies of each, also with its idempotency key, and some of every sort that the tenant has not.
//! *Few* holds one plain job of nobody's, which was changed until the revision is the same: its
//! answers must be those of *many* to the last byte. *None* holds nothing else: there the revisions
//! of what the tenant did itself are lower, and all else must be the same. So nothing of others is
//! told but how many commits there were.

// Tests may unwrap, and the lints see no test in helpers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use jobtrack::{
    Command, Durability, Failure, Field, Hold, JobId, JobParts, MemoryStore, Names, Progress,
    Report, Scope, Tenant, Tracker,
};
use jobtrack_http::{Grant, Options, PageKey, Role, Users, UsersFile, router, with_users};
use serde_json::{Value, json};
use tower::ServiceExt;

/// How many of the others' jobs there are for each of the tenant's.
const COPIES: usize = 3;

/// The jobs of others on a server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    Many,
    /// One of nobody's, changed up to this number of commits.
    Few(u64),
    None,
}

struct Stage {
    _folder: tempfile::TempDir,
    tracker: Arc<Tracker>,
    router: Router,
    token: String,
    everybody: String,
}

/// What the servers have in common.
struct World {
    tenant: Tenant,
    own: Vec<JobParts>,
    others: Vec<JobParts>,
    /// Which seals what all of them write.
    page_key: PageKey,
}

impl World {
    fn of(tenant: Tenant) -> World {
        let lines: Vec<Value> =
            common::JOBS.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mine = tenant.scope().clone();
        let own: Vec<JobParts> = (0..3)
            .flat_map(|round| lines.iter().map(move |line| (round, line.clone())))
            .enumerate()
            .map(|(n, (round, mut line))| {
                line["uuid"] = json!(uuid(0xa000 + n));
                line["scope"] = serde_json::to_value(&mine).unwrap();
                line["node"] = json!(format!("n{round}"));
                if n % 2 == 0 {
                    line["idempotency_key"] = json!(format!("key {n}"));
                }
                serde_json::from_value(line).unwrap()
            })
            .collect();
        let scopes = [
            None,
            Some(scope("other", "")),
            Some(scope("", "other")),
            Some(scope(&mine.name, "other")),
            Some(scope("other", &mine.id)),
            Some(scope("zother", "zother")),
        ];
        let foreign: Vec<_> =
            scopes.into_iter().filter(|scope| !tenant.owns(scope.as_ref())).collect();
        assert!(foreign.len() >= 3);
        let mut others = Vec::new();
        for n in 0..own.len() * COPIES {
            let of = &own[n % own.len()];
            let mut copy = JobParts { scope: foreign[n % foreign.len()].clone(), ..of.clone() };
            copy.uuid = uuid(if n % 2 == 0 { 0x1000 } else { 0xf000 } + n).parse().unwrap();
            others.push(copy.clone());
            copy.uuid = uuid(0xb000 + n).parse().unwrap();
            copy.description = format!("secret {n}");
            copy.kind = format!("secret-{}", n % 7);
            copy.node = "secret-node".to_owned();
            copy.labels.insert("secret".to_owned(), format!("{n}"));
            copy.idempotency_key = Some(format!("secret {n}"));
            others.push(copy);
        }
        let mut taken = BTreeSet::new();
        for other in &mut others {
            let key = (other.scope.clone().unwrap_or_default(), other.idempotency_key.clone());
            if !taken.insert((key.0.name, key.0.id, key.1)) {
                other.idempotency_key = None;
            }
        }
        World { tenant, own, others, page_key: PageKey::random().unwrap() }
    }

    /// A server, and how many commits there were.
    fn stage(&self, others: Others) -> Stage {
        let page_key = &self.page_key;
        let (tracker, clock) = common::tracker(MemoryStore::new());
        let import = |jobs: &[JobParts]| {
            let commands = jobs.iter().cloned().map(Command::import);
            let outcomes = tracker.run_all(commands);
            outcomes.into_iter().for_each(|outcome| drop(outcome.unwrap()));
        };
        import(&self.own);
        let later = Duration::from_secs(30);
        match others {
            Others::None => clock.advance(later),
            Others::Many => {
                import(&self.others);
                let mut live = self.others.iter().filter(|it| !it.state.is_terminal());
                let mut ended = self.others.iter().filter(|it| it.state.is_terminal());
                // One of each sort that leaves something behind: held, progress ahead of the store,
                // deleted, expired.
                let held = live.next().unwrap().uuid;
                tracker.run(Command::claim_job(held, Hold::leased("secret worker"))).unwrap();
                tracker.delete(ended.next().unwrap().uuid).unwrap();
                let gone = live.next().unwrap().uuid;
                tracker.run(Command::fail(gone, Failure::default())).unwrap();
                tracker.delete(gone).unwrap();
                clock.advance(later);
                let reported = live.find(|it| it.state.as_str() == "running").unwrap().uuid;
                progress(&tracker, reported);
            }
            Others::Few(commits) => {
                let plain = tracker.create(jobtrack::NewJob::default()).unwrap().uuid;
                clock.advance(later);
                // The ids that the engine gives from here on are the same on all servers.
                // The first report of progress is a commit as well.
                while tracker.revision().number + 1 < commits {
                    let report = Report::from(tracker.revision().to_string());
                    tracker.run(Command::report(plain, report)).unwrap();
                }
                progress(&tracker, plain);
            }
        }
        // Ids come from a count; the plain job took one.
        if !matches!(others, Others::Few(_)) {
            jobtrack::Clock::new_id(&clock);
        }
        let folder = tempfile::tempdir().unwrap();
        let mut file = UsersFile::open(folder.path().join("users")).unwrap();
        let grant = Grant { tenant: Some(self.tenant.clone()), ..Grant::of(Role::Admin) };
        let token = file.add_token("tenant", &grant).unwrap();
        let everybody = file.add_token("everybody", &Grant::of(Role::Admin)).unwrap();
        file.save().unwrap();
        let users = Users::open(folder.path().join("users")).unwrap();
        let options = Options {
            heartbeat: Duration::from_millis(20),
            page_key: Some(page_key.clone()),
            ..Options::default()
        };
        let router = with_users(router(Arc::clone(&tracker), options), Arc::new(users));
        Stage { _folder: folder, tracker, router, token, everybody }
    }

    /// Uuids of every sort: the tenant's, others', what was never there.
    fn uuids(&self, is_own_too: bool) -> Vec<String> {
        let some = |jobs: &[JobParts], n| -> Vec<String> {
            jobs.iter().take(n).map(|job| job.uuid.to_string()).collect()
        };
        let mut uuids = some(&self.others, 10);
        uuids.push(uuid(0xdead));
        if is_own_too {
            uuids.extend(some(&self.own, 5));
        }
        uuids
    }
}

fn progress(tracker: &Tracker, job: JobId) {
    for done in 1..=5 {
        let progress = Progress { done, total: Some(9), unit: jobtrack::Text::new() };
        tracker.progress(job, progress, None).unwrap();
    }
}

fn scope(name: &str, id: &str) -> Scope {
    Scope { name: name.into(), id: id.into() }
}

fn uuid(n: usize) -> String {
    format!("{n:08x}-0000-4000-8000-000000000000")
}

/// One request.
#[derive(Clone)]
struct Call {
    method: &'static str,
    path: String,
    body: String,
    headers: Vec<(&'static str, String)>,
}

impl Call {
    fn new(method: &'static str, path: impl Into<String>, body: impl std::fmt::Display) -> Call {
        Call { method, path: path.into(), body: body.to_string(), headers: Vec::new() }
    }

    fn get(path: impl Into<String>) -> Call {
        Call::new("GET", path, "")
    }
}

/// An answer, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    status: u16,
    headers: String,
    body: String,
}

impl Stage {
    async fn ask(&self, call: &Call) -> Told {
        self.ask_as(&self.token, call).await
    }

    async fn ask_as(&self, token: &str, call: &Call) -> Told {
        let mut request = Request::builder().method(call.method).uri(&call.path);
        request = request.header("authorization", format!("Bearer {token}"));
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Body::from(call.body.clone())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, mut content) = response.into_parts();
        let mut headers = String::new();
        for (name, value) in &parts.headers {
            writeln!(headers, "{name}: {}", value.to_str().unwrap()).unwrap();
        }
        let mut body = Vec::new();
        let stream = headers.contains("text/event-stream");
        while let Some(frame) = content.frame().await {
            body.extend_from_slice(frame.unwrap().data_ref().unwrap());
            if stream && String::from_utf8_lossy(&body).contains(": nothing new") {
                break;
            }
        }
        Told { status: parts.status.as_u16(), headers, body: String::from_utf8(body).unwrap() }
    }

    /// The answer, and those of the pages after it.
    async fn ask_on(&self, call: &Call) -> Vec<Told> {
        let mut all = vec![self.ask(call).await];
        let mut seen = BTreeSet::new();
        while let Some(link) = all.last().and_then(|told| next(&told.body)) {
            assert!(seen.insert(link.clone()) && seen.len() < 100, "{}: no end", call.path);
            all.push(self.ask(&Call { path: link, ..call.clone() }).await);
        }
        all
    }
}

/// The link to the next page, on either face.
fn next(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    let link = body.get("next").or_else(|| body.pointer("/_links/next/href"))?;
    Some(link.as_str()?.to_owned())
}

/// The answer without what the servers may differ in where nobody else commits: the revisions of the
/// answer, and of what the tenant did itself.
fn without_revisions(told: &Told) -> Told {
    let mut headers = String::new();
    for line in told.headers.lines() {
        let is_tag = line.starts_with("etag: ") || line.starts_with("content-length: ");
        writeln!(headers, "{}", if is_tag { "" } else { line }).unwrap();
    }
    let mut body = String::new();
    for line in told.body.lines() {
        let (name, data) = match line.split_once(": ") {
            Some((name @ ("data" | "id"), data)) => (name, data),
            _ => ("", line),
        };
        match serde_json::from_str::<Value>(data) {
            Ok(mut value) => {
                blank(&mut value);
                writeln!(body, "{name} {value}").unwrap();
            }
            Err(_) if name == "id" => body.push_str("id\n"),
            Err(_) => writeln!(body, "{name} {data}").unwrap(),
        }
    }
    Told { status: told.status, headers, body }
}

fn blank(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match name.as_str() {
                    "revision" => *value = json!("R"),
                    _ => blank(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(blank),
        _ => {}
    }
}

fn encoded(text: &str) -> String {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-._~".contains(&c);
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match plain(byte) {
            true => encoded.push(char::from(byte)),
            false => write!(encoded, "%{byte:02X}").unwrap(),
        }
        encoded
    })
}

/// Everything that jobs like these have in this field, as text, and something that none has.
fn values(world: &World, name: &str) -> Vec<String> {
    let mut found = BTreeSet::new();
    for job in world.own.iter().take(5).chain(world.others.iter().take(4)) {
        let job = serde_json::to_value(job).unwrap();
        let at = name.split('.').try_fold(&job, |value, part| match value {
            Value::Array(values) => values.first()?.get(part),
            value => value.get(part),
        });
        match at {
            Some(Value::String(text)) => drop(found.insert(text.clone())),
            Some(Value::Null | Value::Object(_) | Value::Array(_)) | None => {}
            Some(value) => drop(found.insert(value.to_string())),
        }
    }
    found.into_iter().take(6).chain(["0".to_owned(), "zz".to_owned()]).collect()
}

/// What is asked of lists: each field in each way, and each order, page by page.
fn listings(world: &World) -> Vec<Call> {
    let faces = [("/v1/jobs", Names::Native), ("/api/cluster/jobs", Names::Ontap)];
    let mut calls = Vec::new();
    for (path, names) in faces {
        let fields = Field::FIXED.iter().filter_map(|field| field.name(names)).chain(
            (names == Names::Native)
                .then(|| ["labels.tier".into(), "labels.secret".into()])
                .into_iter()
                .flatten(),
        );
        let searched = "message,description";
        calls.push(Call::get(format!("{path}?query=secret&query_fields={searched}&fields=*")));
        calls.push(Call::get(format!("{path}?query=vol&query_fields={searched}&fields=*")));
        for rest in
            ["", "fields=**", "max_records=1&fields=*", "offset=2", "offset=14&max_records=4"]
        {
            calls.push(Call::get(format!("{path}?{rest}")));
            calls.push(Call::get(format!("{path}?{rest}&return_records=false")));
            calls.push(Call::get(format!("{path}?{rest}&return_timeout=0")));
        }
        for field in fields {
            for order in ["asc", "desc"] {
                let order = format!("order_by={field}%20{order}&max_records=4&fields={field}");
                calls.push(Call::get(format!("{path}?{order}")));
                calls.push(Call::get(format!("{path}?{order}&state=queued%7Crunning")));
            }
            let of_native = Field::FIXED.iter().find(|it| it.name(names).as_ref() == Some(&field));
            let native = of_native.and_then(|it| it.name(Names::Native)).unwrap_or(field.clone());
            for value in values(world, &native) {
                for test in [
                    value.clone(),
                    format!("!{value}"),
                    format!(">{value}"),
                    format!("<={value}"),
                    format!("*{value}*"),
                ] {
                    let test = format!("{path}?{field}={}", encoded(&test));
                    calls.push(Call::get(format!("{test}&fields=uuid&max_records=5")));
                    calls.push(Call::get(format!("{test}&return_records=false")));
                }
            }
            for test in ["null", "!null", ">", "a..b", "1..9"] {
                calls.push(Call::get(format!("{path}?{field}={}", encoded(test))));
            }
        }
    }
    for path in ["/v1/export", "/v1/watch?after=1-0", "/v1/watch?after=1-1", "/v1/counts"] {
        calls.push(Call::get(path));
    }
    for rest in ["", "?query=secret&query_fields=description", "?span=31622400&buckets=7"] {
        calls.push(Call::get(format!("/v1/activity{rest}")));
    }
    for filter in ["scope.name=other", "kind=secret-1", "state=queued", "uuid=*", "labels.secret=*"]
    {
        calls.push(Call::get(format!("/v1/export?{filter}")));
        calls.push(Call::get(format!("/v1/activity?span=31622400&{filter}")));
        calls.push(Call::get(format!("/v1/watch?after=1-1&{filter}")));
        calls.push(Call::get(format!("/v1/watch?after=1-0&{filter}&fields=uuid")));
    }
    for (header, value) in [("x-dot-svm-name", "other"), ("x-dot-svm-uuid", "other")] {
        let headers = vec![(header, value.to_owned())];
        calls.push(Call { headers, ..Call::get("/api/cluster/jobs") });
    }
    calls.push(Call::get("/v1/jobs?explain=true"));
    calls
}

/// What is asked of single jobs, and of none: every verb with every body. `verbs` and `paths` are the
/// server's own.
fn changes(world: &World, verbs: &[String], paths: &[String]) -> Vec<Call> {
    let bodies = [
        json!({}),
        json!({"reason": "why"}),
        json!({"message": "m", "progress": {"done": 3, "total": 9}}),
        json!({"done": 4, "total": 9}),
        json!({"state": "success"}),
        json!({"state": "failure", "code": 7, "message": "m"}),
        json!({"action": "cancel"}),
        json!({"action": "pause"}),
        json!({"retention": 4000}),
        json!({"holder": "w", "term": 60}),
        json!({"term": 60}),
    ];
    let mut calls = Vec::new();
    // First those of others, which change nothing; then the tenant's own.
    for uuids in [world.uuids(false), world.uuids(true).split_off(world.uuids(false).len())] {
        for uuid in &uuids {
            for (face, rest) in [("/v1/jobs", "fields=*"), ("/api/cluster/jobs", "fields=*")] {
                calls.push(Call::get(format!("{face}/{uuid}?{rest}")));
                calls.push(Call::new("HEAD", format!("{face}/{uuid}"), ""));
                calls.push(Call::new("OPTIONS", format!("{face}/{uuid}"), ""));
            }
            for action in ["pause", "resume", "cancel"] {
                let path = format!("/api/cluster/jobs/{uuid}?action={action}");
                calls.push(Call::new("PATCH", &path, "{}"));
                let headers = vec![("x-dot-svm-name", "other".to_owned())];
                calls.push(Call { headers, ..Call::new("PATCH", path, "{}") });
            }
            for verb in verbs {
                let path = format!("/v1/jobs/{uuid}/{verb}");
                // An end that does not come would be waited for.
                let at_once = if verb == "wait" { "?timeout=0" } else { "" };
                calls.push(Call::get(format!("{path}{at_once}")));
                for body in &bodies {
                    calls.push(Call::new("POST", &path, body));
                    calls.push(Call::new("POST", format!("{path}?token=1"), body));
                    let headers = vec![("if-match", "\"1-2\"".to_owned())];
                    calls.push(Call {
                        headers,
                        ..Call::new("POST", format!("{path}?force=true"), body)
                    });
                }
            }
            calls.push(Call::new("DELETE", format!("/v1/jobs/{uuid}"), ""));
            let child = json!({"parent": uuid, "description": "child"});
            calls.push(Call::new("POST", "/v1/jobs", child));
            calls.push(Call::new("POST", "/v1/jobs", json!({"uuid": uuid})));
            let line = json!({"uuid": uuid, "state": "queued"});
            calls.push(Call::new("POST", "/v1/import", line));
        }
    }
    for other in world.others.iter().take(8) {
        let new = json!({"scope": other.scope, "idempotency_key": other.idempotency_key});
        calls.push(Call::new("POST", "/v1/jobs", new));
        let new = json!({"idempotency_key": other.idempotency_key, "kind": other.kind});
        calls.push(Call::new("POST", "/v1/jobs", &new));
        calls.push(Call::new("POST", "/v1/jobs", &new));
    }
    for path in paths {
        for method in ["GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS", "PUT"] {
            calls.push(Call::new(method, path, if method == "POST" { "{}" } else { "" }));
        }
    }
    let claim = json!({"holder": "w", "term": 60});
    for filter in ["kind=secret-1", "scope.name=other", "scope.name=!other", "labels.secret=*", ""]
    {
        for order in ["order_by=create_time", "order_by=uuid%20desc"] {
            calls.push(Call::new("POST", format!("/v1/claim?{filter}&{order}"), &claim));
        }
    }
    for filter in ["svm.name=other", "description=secret*", "state=queued", "uuid=*"] {
        for action in ["resume", "pause", "cancel"] {
            let path = format!(
                "/api/cluster/jobs?{filter}&action={action}&continue_on_failure=true&return_records=true"
            );
            calls.push(Call::new("PATCH", path, "{}"));
        }
    }
    calls
}

/// The verbs that the server knows: it lists them to whoever names another.
async fn verbs(stage: &Stage) -> Vec<String> {
    let told = stage.ask(&Call::new("POST", format!("/v1/jobs/{}/no-such", uuid(1)), "{}")).await;
    let (_, list) = told.body.split_once("there are ").unwrap_or_else(|| panic!("{told:?}"));
    let list = list.split('"').next().unwrap();
    let mut verbs: Vec<String> = list.split(", ").map(str::to_owned).collect();
    assert!(verbs.len() > 8, "{verbs:?}");
    verbs.push("no-such".to_owned());
    verbs
}

/// The paths that the server's index names, and those of its document, which has all of the native
/// face; but those of a job.
async fn paths(stage: &Stage) -> Vec<String> {
    let index: Value = serde_json::from_str(&stage.ask(&Call::get("/")).await.body).unwrap();
    let document = stage.ask(&Call::get("/v1/openapi.json")).await;
    let document: Value = serde_json::from_str(&document.body).unwrap();
    let is_path =
        |value: &Value| value.as_str().filter(|text| text.starts_with('/')).map(str::to_owned);
    let mut paths: BTreeSet<String> =
        index.as_object().unwrap().values().filter_map(is_path).collect();
    paths.extend(document["paths"].as_object().unwrap().keys().cloned());
    assert!(paths.contains("/v1/finalize") && paths.contains("/ui/"), "{paths:?}");
    paths.extend(["/metrics", "/healthz", "/no/such"].map(str::to_owned));
    // It is asked elsewhere, for events.
    paths.retain(|path| path != "/v1/watch" && !path.contains('{'));
    paths.into_iter().collect()
}

async fn nothing_of_others_is_told(tenant: Tenant) {
    let world = World::of(tenant);
    let many = world.stage(Others::Many);
    let few = world.stage(Others::Few(many.tracker.revision().number));
    let none = world.stage(Others::None);
    assert_eq!(many.tracker.revision(), few.tracker.revision());

    // They are there, for those who may see them.
    let all = many.ask_as(&many.everybody, &Call::get("/v1/jobs?return_records=false")).await;
    let mine = many.ask(&Call::get("/v1/jobs?return_records=false")).await;
    let number = |told: &Told| {
        serde_json::from_str::<Value>(&told.body).unwrap()["num_records"].as_u64().unwrap()
    };
    assert_eq!(number(&mine), world.own.len() as u64);
    assert!(number(&all) > 5 * number(&mine));

    let mut calls = listings(&world);
    calls.extend(changes(&world, &verbs(&many).await, &paths(&many).await));
    calls.extend(listings(&world).into_iter().step_by(7));
    let mut answered = 0;
    for call in &calls {
        let told = many.ask_on(call).await;
        let others = few.ask_on(call).await;
        assert_eq!(told, others, "{} {} {}", call.method, call.path, call.body);
        let alone = none.ask_on(call).await;
        answered += usize::from(told[0].status == 200);
        // Filters by revision tell of the commits that the tenant itself made when; and so do the
        // tokens of an order by them.
        if call.path.contains("revision") {
            continue;
        }
        let told: Vec<_> = told.iter().map(without_revisions).collect();
        let alone: Vec<_> = alone.iter().map(without_revisions).collect();
        assert_eq!(told, alone, "{} {} {}", call.method, call.path, call.body);
        assert!(!told.iter().any(|told| told.body.contains("secret worker")), "{}", call.path);
    }
    // Most are about jobs that are not there, on purpose.
    assert!(answered > 2_000, "{answered} of {} were answered", calls.len());
    assert_eq!(many.tracker.revision(), few.tracker.revision(), "as many commits");
}

#[tokio::test]
async fn nothing_of_others_is_told_to_a_tenant_by_name() {
    nothing_of_others_is_told(Tenant::new(scope("mine", "")).unwrap()).await;
}

#[tokio::test]
async fn nothing_of_others_is_told_to_a_tenant_by_id() {
    nothing_of_others_is_told(Tenant::new(scope("", "7")).unwrap()).await;
}

#[tokio::test]
async fn nothing_of_others_is_told_to_a_tenant_by_both() {
    nothing_of_others_is_told(Tenant::new(scope("mine", "7")).unwrap()).await;
}

#[tokio::test]
async fn a_child_of_another_scope_is_none_of_the_tenant_s() {
    let world = World::of(Tenant::named("mine").unwrap());
    let stage = world.stage(Others::None);
    let parent = stage.tracker.create(jobtrack::NewJob {
        scope: Some(scope("mine", "1")),
        ..jobtrack::NewJob::described("parent")
    });
    let parent = parent.unwrap().uuid;
    for name in ["mine", "other", "mine", "other", "other"] {
        let child = jobtrack::NewJob {
            scope: Some(scope(name, "2")),
            parent: Some(parent),
            ..jobtrack::NewJob::default()
        };
        stage.tracker.run(Command::create(child).durability(Durability::Deferred)).unwrap();
    }
    let tree = |most: usize| Call::get(format!("/v1/jobs/{parent}/tree?max_records={most}"));
    let told: Value = serde_json::from_str(&stage.ask(&tree(100)).await.body).unwrap();
    assert_eq!(told["num_records"], 3);
    assert_eq!(told["is_cut"], false);
    assert_eq!(told["records"][0]["children"], json!({"queued": 2}));
    let told: Value = serde_json::from_str(&stage.ask(&tree(2)).await.body).unwrap();
    assert_eq!((&told["num_records"], &told["is_cut"]), (&json!(2), &json!(true)));
    let told = stage.ask_as(&stage.everybody, &tree(100)).await;
    let told: Value = serde_json::from_str(&told.body).unwrap();
    assert_eq!(told["records"][0]["children"], json!({"queued": 5}));
}
