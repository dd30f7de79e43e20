//! What import and export share: how a server is spoken to.

use std::io::Read;
use std::time::Duration;

use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, Body};

use crate::Failed;

const CONNECT_TIME: Duration = Duration::from_secs(10);

/// A server, as `--server` names it.
#[derive(Debug, clap::Args)]
pub(crate) struct Server {
    /// The server
    #[arg(long = "server", default_value = "http://127.0.0.1:8080", value_name = "URL",
          value_parser = url)]
    url: String,
}

impl Server {
    /// The URL of a path on it.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

fn url(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("http://").unwrap_or_default().trim_end_matches('/');
    if host.is_empty() || host.contains(['/', '?', '#']) {
        return Err("write it as http://HOST:PORT; nothing but plain HTTP is spoken yet".to_owned());
    }
    Ok(format!("http://{host}"))
}

/// One connection's worth of requests. An answer of any status is an answer.
pub(crate) fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(CONNECT_TIME))
        .user_agent(concat!("jobtrack/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

/// What went wrong on the way to the server.
pub(crate) fn unreachable(url: &str, error: &ureq::Error) -> Failed {
    Failed(format!("{url}: {error}"))
}

/// What the server says is wrong.
pub(crate) fn refusal(mut response: Response<Body>) -> Failed {
    let status = response.status();
    // A problem document is small; what is not one is not worth more.
    let mut text = String::new();
    let _ = response.body_mut().as_reader().take(64 * 1024).read_to_string(&mut text);
    let problem: Value = serde_json::from_str(&text).unwrap_or_default();
    match problem.get("detail").and_then(Value::as_str) {
        Some(detail) => Failed(format!("the server refuses ({status}): {detail}")),
        None => Failed(format!("the server answers {status}, which is not what jobtrack says")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_host_and_a_port() {
        assert_eq!(url("http://localhost:8080/"), Ok("http://localhost:8080".to_owned()));
        for bad in ["", "localhost:8080", "https://localhost", "http://", "http://x/v1"] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }
}
