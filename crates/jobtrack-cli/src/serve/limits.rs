//! How much is taken on at a time: by the server, and by the process.

use std::time::Duration;

use jobtrack_http::{Options, ServerOptions, parse_span};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Connections at a time of the listener for administration, which clients cannot take up.
pub(super) const ADMIN_CONNECTIONS: usize = 32;
/// Open files beside those of connections: of the store, of what is read again, and to spare.
const OTHER_FILES: usize = 64;

/// How much the server takes on at a time.
#[derive(Debug, clap::Args)]
pub(crate) struct LimitArguments {
    /// Connections at a time; more wait until one ends
    #[arg(long, default_value_t = ServerOptions::default().connections, value_name = "N")]
    pub(super) connections: usize,

    /// Requests that are answered at a time; more are told to come again
    #[arg(long, default_value_t = Options::default().in_flight, value_name = "N")]
    requests: usize,

    /// Queries at work at a time that may read or answer much; more wait until it is their client's turn
    #[arg(long, default_value_t = Options::default().readers, value_name = "N")]
    readers: usize,

    /// How many bytes the answers may fill that wait to be read, before larger ones wait
    #[arg(long, default_value_t = Options::default().answers_bytes, value_name = "BYTES")]
    answers_bytes: usize,

    /// Clients that watch, or wait for a job's end, at a time
    #[arg(long, default_value_t = Options::default().watchers, value_name = "N")]
    watchers: usize,

    /// How long a query may take, whatever its client asks for
    #[arg(long, default_value = "15s", value_parser = parse_span, value_name = "SPAN")]
    query_limit: Duration,

    /// How many rows, or values of a column, a query may read before it is refused
    #[arg(long, default_value_t = Options::default().query_rows, value_name = "N")]
    query_rows: u64,

    /// From how many jobs on a server that stops leaves an image of them in the store's folder, which
    /// opens several times faster
    #[arg(long, default_value_t = jobtrack::Options::default().image_from, value_name = "N")]
    pub(super) image_from: usize,
}

impl LimitArguments {
    /// The options of the faces that these are.
    pub(super) fn faces(&self) -> Options {
        Options {
            in_flight: self.requests,
            readers: self.readers,
            answers_bytes: self.answers_bytes,
            watchers: self.watchers,
            query_limit: self.query_limit,
            query_rows: self.query_rows,
            ..Options::default()
        }
    }

    /// Lets the process open as many files as it may, and warns if that is too few for its connections.
    pub(super) fn raise_open_files(&self) {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        // None is no limit.
        let mut most = current;
        if current.is_some() && current != maximum {
            match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
                Ok(()) => most = maximum,
                Err(error) => tracing::warn!("the limit of open files stays as it is: {error}"),
            }
        }
        let needed = self.connections.saturating_add(ADMIN_CONNECTIONS + OTHER_FILES) as u64;
        if let Some(most) = most.filter(|most| *most < needed) {
            tracing::warn!(
                "the process may open {most} files, and {} connections need up to {needed}: raise \
                 the limit (ulimit -n, or LimitNOFILE= of systemd), or lower --connections",
                self.connections
            );
        }
    }
}
