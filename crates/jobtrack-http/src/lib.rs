//! The REST faces of jobtrack, and the server around them.
//!
//! [`router`] serves two faces of one [`Tracker`]:
//!
//! - `/api/cluster/jobs`, as NetApp ONTAP has it, so that its clients work unmodified;
//! - `/v1`, jobtrack's own: what ONTAP lacks. Jobs are made and driven there, watched, imported and
//!   exported. `/` says where things are, and sends browsers to the page at `/ui/`.
//!
//! # The native face
//!
//! In short; `docs/native-api.md` describes it whole, and so does the OpenAPI document at
//! `/v1/openapi.json`.
//!
//! | Request | What it does |
//! |---|---|
//! | `POST /v1/jobs` | Makes a job: every member of [`NewJob`](jobtrack::NewJob), none needed. 201, `Location`, the job. |
//! | `GET /v1/jobs` | A page of jobs: ONTAP's parameters with jobtrack's names of fields, whole records by default, and the revision and horizon of the answer. |
//! | `GET`, `DELETE /v1/jobs/{uuid}` | One job. 410 once it has expired or was deleted. |
//! | `GET /v1/jobs/{uuid}/wait` | One job, once it has ended. |
//! | `POST /v1/jobs/{uuid}/start`, `/pause`, `/resume` | The worker's transitions; `{"reason"}` if there is one. |
//! | `POST /v1/jobs/{uuid}/report` | `{"message", "progress": {"done", "total", "unit"}}`, either or both. |
//! | `POST /v1/jobs/{uuid}/finish` | `{"state": "success" or "failure", "code", "message", "error", "cause"}`. |
//! | `POST /v1/jobs/{uuid}/request` | What an operator wants: `{"action": "pause", "resume" or "cancel", "reason"}`. |
//! | `POST /v1/jobs/{uuid}/hold`, `/unhold` | Keeps a job from expiring until it is let go; `{"reason"}` if there is one. |
//! | `GET /v1/counts` | How many jobs there are, by state and by kind. |
//! | `GET /v1/activity` | How many began and ended in each stretch of time. |
//! | `GET /v1/whoami` | Who asks, with which role, confined to which scope. |
//! | `POST /v1/import` | Jobs, one a line, with every time they bring. `retain=30d`, `on_bad=skip` or `fail`. |
//! | `GET /v1/export` | All jobs, one a line, or those that the fields in the query select. |
//!
//! Each change answers with the job as it then is. It takes `durability=synced` (the default) or
//! `deferred`, and `If-Match` with the job's `ETag`, which is its revision. An error is a problem
//! document (RFC 9457) with the members `kind`, and where they are known `field` and `position`.
//!
//! # Use
//!
//! Both faces are thin: they parse, call the tracker on a thread that may block, and render. The router
//! has a route at `/` and a fallback, so it is not merged with others but nested in them, under any
//! path, with which its links then begin; or it is their own fallback. `examples/mounted.rs` shows it.
//! [`serve`] runs it with the limits that a server needs against slow and hostile clients,
//! [`serve_tls`] does so over TLS, and [`with_users`] lets in those alone whom a file names.
//!
//! ```
//! use std::sync::Arc;
//!
//! use jobtrack::{MemoryStore, Tracker};
//! use jobtrack_http::{Options, ServerOptions, router, serve};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tracker = Arc::new(Tracker::open(MemoryStore::new(), jobtrack::Options::default())?);
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let stop = async { /* wait for a signal */ };
//! serve(listener, router(tracker, Options::default()), ServerOptions::default(), stop).await;
//! # Ok(())
//! # }
//! ```

mod admission;
mod answers;
mod auth;
mod backup;
mod base;
mod body;
#[cfg(test)]
mod docs_test;
mod errors;
mod fair;
mod files;
mod guard;
mod health;
mod import;
mod layout;
mod lines;
mod listen;
mod listing;
mod metrics;
mod native;
mod ontap;
mod page;
mod page_key;
mod params;
mod peer;
mod rendered;
mod respond;
mod roles;
mod server;
mod tags;
mod tls;
mod users;

use std::num::NonZero;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use jobtrack::{Access, Tracker};
use tokio::sync::Semaphore;

use crate::admission::Admission;
use crate::fair::Client;
use crate::peer::Peer;
use crate::rendered::Rendered;
use crate::roles::Caller;
pub use auth::with_users;
pub use backup::restore;
pub use files::FileError;
pub use health::{Front, Monitor, without_administration};
pub use import::{BadLine, ImportReport, parse_span};
pub use listen::Listener;
pub use page_key::PageKey;
pub use roles::Role;
pub use server::{ServerOptions, serve, serve_tls};
pub use tls::Tls;
pub use users::{Grant, Users, UsersFile};

/// What may be told to the faces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How long a query may take, whatever its client asks for: 15 s.
    pub query_limit: Duration,
    /// The largest body, but for imports, which are read line by line: 1 MiB.
    pub body_bytes: usize,
    /// The longest line of an import: 1 MiB.
    pub line_bytes: usize,
    /// The longest path with its query: 16 KiB.
    pub uri_bytes: usize,
    /// How many rows, or values of a column, a query may read before it is refused: a thousand
    /// million.
    pub query_rows: u64,
    /// Requests that are being answered at a time, those not counted whose body is still on its way:
    /// 256.
    pub in_flight: usize,
    /// How long one more waits for a place before it is told to come again: half a second.
    pub patience: Duration,
    /// Queries at work at a time that may read or answer much: four for each processor. Clients take
    /// turns at these places, and whoever asks for little needs none.
    pub readers: usize,
    /// How many bytes the answers may fill that wait for their clients to read them, before larger
    /// ones wait: 128 MiB.
    pub answers_bytes: usize,
    /// Imports, exports and backups at a time: 16.
    pub transfers: usize,
    /// How many bytes the bodies may fill that are on their way or being answered, those of imports
    /// not counted: 64 MiB.
    pub bodies_bytes: usize,
    /// How long a client may pause while it sends a body: 60 s.
    pub body_pause: Duration,
    /// How long all of a body may take, but for imports: 120 s.
    pub body_time: Duration,
    /// How many clients may watch at a time; each keeps a connection: 1,024.
    pub watchers: usize,
    /// After how long a client that watches is told that there is nothing to tell: 15 s.
    pub heartbeat: Duration,
    /// The names by which clients may address the server, beside addresses and `localhost`; any
    /// unless told otherwise. For a server without users, which a browser must not be led to under
    /// the name of another site.
    pub hosts: Option<Vec<String>>,
    /// The key under which page tokens are sealed, so that they can be neither read nor made up. None
    /// leaves them as the engine writes them: valid everywhere, and open to who decodes them.
    pub page_key: Option<PageKey>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            query_limit: Duration::from_secs(15),
            body_bytes: 1024 * 1024,
            line_bytes: 1024 * 1024,
            uri_bytes: 16 * 1024,
            query_rows: 1_000_000_000,
            in_flight: 256,
            patience: Duration::from_millis(500),
            readers: 4 * std::thread::available_parallelism().map_or(1, NonZero::get),
            answers_bytes: 128 * 1024 * 1024,
            transfers: 16,
            bodies_bytes: 64 * 1024 * 1024,
            body_pause: Duration::from_secs(60),
            body_time: Duration::from_secs(120),
            watchers: 1_024,
            heartbeat: Duration::from_secs(15),
            hosts: None,
            page_key: None,
        }
    }
}

/// What all requests have in common. Handlers do not get at the tracker here: see [`App`].
#[derive(Debug)]
pub(crate) struct Shared {
    tracker: Arc<Tracker>,
    pub(crate) options: Arc<Options>,
    /// Which requests may be in progress.
    pub(crate) admission: Arc<Admission>,
    watchers: Arc<Semaphore>,
    rendered: Arc<Rendered>,
    document: Arc<OnceLock<serde_json::Value>>,
}

impl Shared {
    /// What the handler of a request by this caller, and from this peer, gets.
    pub(crate) fn app_for(&self, caller: Caller, peer: Option<&Peer>) -> Arc<App> {
        let address = peer.and_then(|peer| peer.address);
        let client = caller.user.clone().map_or(Client::Address(address), Client::User);
        Arc::new(App {
            tracker: self.tracker.access(caller.tenant.clone()),
            caller,
            client,
            options: Arc::clone(&self.options),
            admission: Arc::clone(&self.admission),
            watchers: Arc::clone(&self.watchers),
            rendered: Arc::clone(&self.rendered),
            document: Arc::clone(&self.document),
        })
    }
}

/// What the handler of one request has at hand: the tracker as its caller may use it, and no other.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) tracker: Access,
    pub(crate) caller: Caller,
    /// Who takes turns with others.
    pub(crate) client: Client,
    pub(crate) options: Arc<Options>,
    /// Gives places to what goes on for longer than a request.
    pub(crate) admission: Arc<Admission>,
    /// A permit for each client that may watch.
    pub(crate) watchers: Arc<Semaphore>,
    /// Records of the native face as they were rendered lately.
    pub(crate) rendered: Arc<Rendered>,
    /// The native face's OpenAPI document, once somebody has asked for it.
    pub(crate) document: Arc<OnceLock<serde_json::Value>>,
}

/// Both faces of this tracker.
pub fn router(tracker: Arc<Tracker>, options: Options) -> Router {
    let watchers = Arc::new(Semaphore::new(options.watchers.min(Semaphore::MAX_PERMITS)));
    let admission = Arc::new(Admission::new(&options));
    let (options, document, rendered) = (Arc::new(options), Arc::default(), Arc::default());
    let shared = Arc::new(Shared { tracker, options, admission, watchers, rendered, document });
    let routes = Router::new()
        .merge(ontap::routes(&shared))
        .merge(native::routes(&shared))
        .merge(page::routes(&shared))
        .fallback(respond::no_such_path);
    respond::layers(routes, &shared)
}
