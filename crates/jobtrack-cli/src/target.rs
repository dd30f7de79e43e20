//! Whom a command speaks to: a server, or a store that it opens itself.

use std::collections::BTreeMap;
use std::io::Read;

use jobtrack::{Explanation, JobId, Log, NewJob, Timestamp};
use jobtrack_http::ImportReport;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;

use crate::client::{Client, Server};
use crate::local::Local;
use crate::record::Record;
use crate::store::StoreName;
use crate::{Exit, Failed};

/// Where the jobs are that a command is about.
#[derive(Debug, clap::Args)]
pub(crate) struct TargetArguments {
    #[command(flatten)]
    server: Server,

    /// A store to open directly, redb:FOLDER, while no server has it open
    #[arg(long, value_name = "STORE", help_heading = "Server")]
    store: Option<StoreName>,
}

impl TargetArguments {
    /// Opens what is there.
    pub(crate) fn open(&self) -> Result<Target, Failed> {
        if let Some(store) = &self.store
            && !store.exists()
        {
            let message = format!("there is no store at {store}");
            return Err(Failed::because(message));
        }
        self.open_or_make()
    }

    /// Opens what is there, or makes a new store.
    pub(crate) fn open_or_make(&self) -> Result<Target, Failed> {
        match &self.store {
            None => Ok(Target::Server(self.server.client()?)),
            Some(StoreName::Memory) => {
                let message = "memory: ends with this command; name a store that stays, such as \
                               redb:./jobtrack-data";
                Err(Failed::new(Exit::Usage, message))
            }
            Some(store) => Ok(Target::Store(Local::open(store)?)),
        }
    }
}

/// A server, or an open store. Both are asked in the words of the native REST face.
pub(crate) enum Target {
    Server(Client),
    Store(Local),
}

/// How something is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    Delete,
}

impl Method {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Delete => "DELETE",
        }
    }
}

/// What goes with a request.
pub(crate) enum Content {
    None,
    Json(String),
    /// Jobs, one a line, as long as they come.
    Lines(Box<dyn Read + Send>),
}

/// What comes back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) media_type: String,
    pub(crate) body: Box<dyn Read>,
}

/// A page of jobs.
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    pub(crate) records: Vec<Record>,
    /// The path of the next page.
    pub(crate) next: Option<String>,
    /// When the answer was true, by the clock of whoever gave it.
    pub(crate) horizon: Timestamp,
}

/// A job and all below it.
#[derive(Debug, Deserialize)]
pub(crate) struct Tree {
    pub(crate) records: Vec<Record>,
    /// Whether some are left out.
    pub(crate) is_cut: bool,
}

/// How many jobs there are.
#[derive(Debug, Deserialize)]
pub(crate) struct Counts {
    pub(crate) states: BTreeMap<String, u64>,
    pub(crate) revision: String,
}

impl Target {
    /// The URL of the server; empty where there is none.
    pub(crate) fn url(&self) -> String {
        match self {
            Target::Server(server) => server.url(),
            Target::Store(_) => String::new(),
        }
    }

    /// Makes a job known.
    pub(crate) fn create(&self, job: &NewJob) -> Result<Record, Failed> {
        let job = serde_json::to_string(job)?;
        self.json(Method::Post, "/v1/jobs", Content::Json(job))
    }

    /// Changes a job: start, report, pause, resume, finish, request, extend, claim, renew, release.
    pub(crate) fn change(&self, id: JobId, verb: &str, body: &Value) -> Result<Record, Failed> {
        self.json(Method::Post, &format!("{}/{verb}", path(id)), Content::Json(body.to_string()))
    }

    /// Takes the best queued job that matches.
    pub(crate) fn claim(&self, query: &str, body: &Value) -> Result<Record, Failed> {
        self.json(Method::Post, &format!("/v1/claim{query}"), Content::Json(body.to_string()))
    }

    /// Does something to every job that matches; or, of a dry run, counts them.
    pub(crate) fn bulk(&self, body: &Value) -> Result<Record, Failed> {
        self.json(Method::Post, "/v1/bulk", Content::Json(body.to_string()))
    }

    /// Forgets a job that has ended.
    pub(crate) fn delete(&self, id: JobId) -> Result<Record, Failed> {
        self.json(Method::Delete, &path(id), Content::None)
    }

    /// The job as it stands.
    pub(crate) fn get(&self, id: JobId, query: &str) -> Result<Record, Failed> {
        self.json(Method::Get, &format!("{}{query}", path(id)), Content::None)
    }

    /// A job and all below it.
    pub(crate) fn tree(&self, id: JobId, at_most: u64) -> Result<Tree, Failed> {
        let path = format!("{}/tree?max_records={at_most}", path(id));
        self.json(Method::Get, &path, Content::None)
    }

    /// What happened to a job.
    pub(crate) fn log(&self, id: JobId) -> Result<Log, Failed> {
        self.json(Method::Get, &format!("{}/log", path(id)), Content::None)
    }

    /// A page of jobs; the query comes with its question mark, or from the page before.
    pub(crate) fn page(&self, path: &str) -> Result<Page, Failed> {
        self.json(Method::Get, path, Content::None)
    }

    /// How many jobs match.
    pub(crate) fn count(&self, path: &str) -> Result<u64, Failed> {
        #[derive(Deserialize)]
        struct Count {
            num_records: u64,
        }
        self.json(Method::Get, path, Content::None).map(|count: Count| count.num_records)
    }

    /// What a listing takes.
    pub(crate) fn explain(&self, path: &str) -> Result<Explanation, Failed> {
        self.json(Method::Get, path, Content::None)
    }

    /// How many jobs there are in each state.
    pub(crate) fn counts(&self) -> Result<Counts, Failed> {
        self.json(Method::Get, "/v1/counts", Content::None)
    }

    /// What happens to the jobs that match, as server-sent events.
    pub(crate) fn events(&self, query: &str) -> Result<Box<dyn Read>, Failed> {
        let answer = self.ask(Method::Get, &format!("/v1/watch{query}"), Content::None)?;
        if answer.status == 200 { Ok(answer.body) } else { Err(refusal(answer)) }
    }

    /// All jobs that match, one a line.
    pub(crate) fn export(&self, query: &str) -> Result<Box<dyn Read>, Failed> {
        let answer = self.ask(Method::Get, &format!("/v1/export{query}"), Content::None)?;
        if answer.status == 200 { Ok(answer.body) } else { Err(refusal(answer)) }
    }

    /// Every record of the store, one a line.
    pub(crate) fn backup(&self) -> Result<Box<dyn Read>, Failed> {
        let answer = self.ask(Method::Get, "/v1/backup", Content::None)?;
        if answer.status == 200 { Ok(answer.body) } else { Err(refusal(answer)) }
    }

    /// Takes jobs, one a line.
    pub(crate) fn import(
        &self,
        query: &str,
        lines: Box<dyn Read + Send>,
    ) -> Result<ImportReport, Failed> {
        let answer =
            self.ask(Method::Post, &format!("/v1/import{query}"), Content::Lines(lines))?;
        match answer.status {
            200 => read(answer),
            // Stopped at a bad line: the report says which. Anything else is a refusal of it all.
            400 if answer.media_type == "application/json" => read(answer),
            _ => Err(refusal(answer)),
        }
    }

    fn json<T: for<'de> Deserialize<'de>>(
        &self,
        method: Method,
        path: &str,
        content: Content,
    ) -> Result<T, Failed> {
        let answer = self.ask(method, path, content)?;
        if (200..300).contains(&answer.status) { read(answer) } else { Err(refusal(answer)) }
    }

    /// Asks. An answer of any status is an answer.
    fn ask(&self, method: Method, path: &str, content: Content) -> Result<Answer, Failed> {
        match self {
            Target::Server(server) => server.ask(method, path, content),
            Target::Store(store) => store.ask(method, path, content),
        }
    }
}

/// The path of a job.
fn path(id: JobId) -> String {
    format!("/v1/jobs/{id}")
}

/// The query of these parameters, with its question mark if there are any.
pub(crate) fn query<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for (name, value) in parameters {
        let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        text.push(if text.is_empty() { '?' } else { '&' });
        text.push_str(&format!("{}={}", encoded(name), encoded(value)));
    }
    text
}

fn read<T: for<'de> Deserialize<'de>>(answer: Answer) -> Result<T, Failed> {
    let reader = std::io::BufReader::new(answer.body);
    serde_json::from_reader(reader).map_err(|error| {
        let message = format!("what answers does not speak as jobtrack does: {error}");
        Failed::new(if error.is_io() { Exit::Unreachable } else { Exit::Failed }, message)
    })
}

/// What is wrong, by whoever was asked.
fn refusal(answer: Answer) -> Failed {
    // A problem document is small; what is not one is not worth more.
    let mut text = String::new();
    let _ = answer.body.take(64 * 1024).read_to_string(&mut text);
    let problem: Value = serde_json::from_str(&text).unwrap_or_default();
    let member = |name| problem.get(name).and_then(Value::as_str);
    let Some(detail) = member("detail") else {
        let message =
            format!("the server answers {}, which is not what jobtrack says", answer.status);
        return Failed::because(message);
    };
    if answer.status == 401 {
        let message = format!("the server refuses (401 Unauthorized): {detail} (see --user)");
        return Failed::because(message);
    }
    let mut message = detail.to_owned();
    let field = member("field").filter(|field| !message.contains(field));
    if let Some(field) = field {
        message = format!("{field}: {message}");
    }
    let position = problem.get("position").and_then(Value::as_u64);
    let position = position.and_then(|at| usize::try_from(at).ok());
    if let Some(at) = position {
        message = format!("{message} (at byte {at})");
    }
    let mut failed = Failed::new(Exit::of_kind(member("kind").unwrap_or_default()), message);
    failed.fault = member("field").map(str::to_owned).zip(position);
    failed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_encoded_whole() {
        assert_eq!(query([]), "");
        assert_eq!(
            query([("state", "queued|running"), ("order_by", "start_time desc")]),
            "?state=queued%7Crunning&order%5Fby=start%5Ftime%20desc"
        );
        assert_eq!(query([("labels.a&b", "+=ü")]), "?labels%2Ea%26b=%2B%3D%C3%BC");
    }

    #[test]
    fn a_refusal_is_told_with_its_place() {
        let text = br#"{"detail": "\"x\" is no integer", "kind": "invalid_value",
            "field": "code", "position": 2}"#;
        let answer =
            Answer { status: 400, media_type: String::new(), body: Box::new(text.as_slice()) };
        let failed = refusal(answer);
        assert_eq!(failed.exit, Exit::Usage);
        assert_eq!(failed.message, "code: \"x\" is no integer (at byte 2)");
        assert_eq!(failed.fault, Some(("code".to_owned(), 2)));
    }
}
