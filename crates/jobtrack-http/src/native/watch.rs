//! What happens to the jobs that match, as server-sent events.
//!
//! Each watcher is a task that waits for the tracker without a thread of its own; only the making
//! of events, which may read the table or sync the store, goes to a thread that may block. A slow
//! reader is not written to, so its watch falls behind in the tracker, where that costs nothing.

use std::future::{pending, poll_fn};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::Response;
use bytes::Bytes;
use jobtrack::{ErrorKind, Event, EventKind, Gone, Names, Position, Revision, Selection, Watch};
use jobtrack::{State, Timestamp};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;

use super::openapi::shapes;
use super::render;
use crate::App;
use crate::errors::{Fault, HttpKind, to_json};
use crate::listing;
use crate::params::Params;
use crate::respond::Answer;
use crate::server::Stopping;

const EVENT_STREAM: &str = "text/event-stream";
/// The header with which a client that lost its connection says where it stood.
const LAST_EVENT_ID: &str = "last-event-id";
/// Parameters beside the filter.
const PARAMETERS: &[&str] = &["after", "fields", "ignore_unknown_fields"];
/// What a client is told of how long to wait before it connects again: two seconds.
const RECONNECT: &str = "retry: 2000\n";
/// What a client is told when the server stops: to come again soon, and go on from the last id.
const FAREWELL: &[u8] =
    b": the server stops; connect again and go on from the last id\nretry: 2000\n\n";
/// How long a client may take to read what is before that.
const FAREWELL_TIME: Duration = Duration::from_secs(1);
/// Bytes after which a piece is sent rather than filled further.
const PIECE_BYTES: usize = 64 * 1024;

/// Tell what happens to the jobs that match, as it happens, until the client goes.
///
/// Server-sent events: `in`, `changed` and `out` have the job as data, `gone` how it went, `gap` a
/// revision before which things may have happened that are not known. The `id` of an event is the
/// position after it, from which a client goes on that comes again.
#[utoipa::path(get, path = "/v1/watch", operation_id = "watch", tag = "jobs",
    params(shapes::WatchParams, shapes::LastEventId),
    responses((status = 200, description = "Events", content_type = "text/event-stream",
        body = String)))]
pub(super) async fn watch(app: Arc<App>, parts: Parts) -> Answer {
    let params = Params::parse(parts.uri.query())?;
    let fields = listing::selection(&params, Names::Native)?;
    let filter = listing::matching(&params, Names::Native, PARAMETERS)?;
    let after = match last_event_id(&parts.headers)? {
        None => params.given("after")?.map(|text| position("after", text)).transpose()?,
        after => after,
    };
    if parts.method == Method::HEAD {
        return Ok(event_stream(Body::empty()));
    }
    let Ok(permit) = Arc::clone(&app.watchers).try_acquire_owned() else {
        return Err(too_many(&app));
    };
    let watch = app.tracker.watch(filter, after)?;
    // One piece waits at most: what a slow reader has not taken is better left to the watch.
    let (sender, receiver) = mpsc::channel(1);
    let stopping = parts.extensions.get::<Stopping>().cloned();
    let heartbeat = app.options.heartbeat;
    tokio::spawn(Watcher { watch, fields, heartbeat, sender, stopping, _permit: permit }.run());
    Ok(event_stream(Body::from_stream(ReceiverStream::new(receiver))))
}

/// Where the client stood, if it says so: it overrides the URL, which it repeats unchanged.
fn last_event_id(headers: &HeaderMap) -> Result<Option<Position>, Fault> {
    let Some(value) = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    position("Last-Event-ID", &text).map(Some)
}

fn position(name: &str, text: &str) -> Result<Position, Fault> {
    let refused = |error: jobtrack::Error| Fault::from(error).on_value(name, text);
    text.parse().map_err(refused)
}

pub(super) fn too_many(app: &App) -> Fault {
    let message = format!("{} clients watch already, which is the most", app.options.watchers);
    Fault::new(HttpKind::TooManyWatchers, message)
}

fn event_stream(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
    response
}

/// One client that watches.
struct Watcher {
    watch: Watch,
    fields: Option<Selection>,
    heartbeat: Duration,
    sender: mpsc::Sender<io::Result<Bytes>>,
    /// None where the router runs in a server that says nothing of its end.
    stopping: Option<Stopping>,
    _permit: OwnedSemaphorePermit,
}

impl Watcher {
    /// Sends events until the client, the tracker or the server is gone.
    async fn run(mut self) {
        let mut stopping = self.stopping.take();
        let stopped = async {
            match &mut stopping {
                Some(stopping) => stopping.wait().await,
                None => pending().await,
            }
        };
        let sender = self.sender.clone();
        tokio::select! {
            () = self.send_all() => {}
            () = stopped => {
                let farewell = sender.send(Ok(Bytes::from_static(FAREWELL)));
                let _unread = timeout(FAREWELL_TIME, farewell).await;
            }
            // While nothing is sent, nothing else would tell.
            () = sender.closed() => {}
        }
    }

    async fn send_all(mut self) {
        // The client knows at once that it is heard, and where it stands.
        let mut piece = format!("{RECONNECT}{}", id_line(self.watch.position())).into_bytes();
        piece.push(b'\n');
        loop {
            if !piece.is_empty() && self.sender.send(Ok(piece.into())).await.is_err() {
                return;
            }
            let silent_until = Instant::now() + self.heartbeat;
            piece = loop {
                tokio::select! {
                    () = poll_fn(|context| self.watch.poll_ready(context)) => {
                        let Made { watcher, piece, has_ended } = match self.make().await {
                            Some(made) => made,
                            None => return,
                        };
                        self = watcher;
                        if has_ended {
                            let _ = self.sender.send(Ok(piece.into())).await;
                            return;
                        }
                        if !piece.is_empty() {
                            break piece;
                        }
                    }
                    // A comment keeps the connection from being taken for dead; and the position
                    // moves on without events, so that it does not fall out of the history.
                    () = sleep_until(silent_until) => {
                        break format!(": nothing new\n{}\n", id_line(self.watch.position())).into();
                    }
                }
            };
        }
    }

    /// Makes a piece of the events that are there.
    async fn make(mut self) -> Option<Made> {
        let made = tokio::task::spawn_blocking(move || {
            let mut piece = Vec::new();
            let has_ended = loop {
                match self.watch.try_next() {
                    Ok(Some(event)) => write(&event, self.fields.as_ref(), &mut piece),
                    Ok(None) => break false,
                    Err(error) => {
                        if error.kind() != ErrorKind::Closed {
                            tracing::warn!("a watch has ended: {error}");
                        }
                        break true;
                    }
                }
                if piece.len() >= PIECE_BYTES {
                    break false;
                }
            };
            Made { watcher: self, piece, has_ended }
        });
        match made.await {
            Ok(made) => Some(made),
            Err(error) => {
                tracing::error!("a watch ended in a fault of the server: {error}");
                None
            }
        }
    }
}

struct Made {
    watcher: Watcher,
    piece: Vec<u8>,
    has_ended: bool,
}

fn id_line(position: Position) -> String {
    format!("id: {position}\n")
}

fn write(event: &Event, fields: Option<&Selection>, piece: &mut Vec<u8>) {
    let data = match &event.kind {
        EventKind::In(job) | EventKind::Changed(job) | EventKind::Out(job) => {
            render::record(job, fields)
        }
        EventKind::Gone(gone) => to_json(&GoneBody::of(gone, event.revision)),
        EventKind::Gap => to_json(&GapBody { revision: event.revision }),
    };
    piece.extend(format!("event: {}\n", event.kind.name()).bytes());
    piece.extend(id_line(event.position).bytes());
    piece.extend_from_slice(b"data: ");
    // JSON escapes line ends, so it is one line.
    piece.extend(data);
    piece.extend_from_slice(b"\n\n");
}

#[derive(Serialize)]
struct GoneBody {
    uuid: String,
    how: &'static str,
    /// When it went.
    time: Timestamp,
    state: State,
    code: i64,
    end_time: Timestamp,
    revision: Revision,
}

impl GoneBody {
    fn of(gone: &Gone, revision: Revision) -> GoneBody {
        GoneBody {
            uuid: gone.uuid.to_string(),
            how: if gone.was_deleted { "deleted" } else { "expired" },
            time: gone.gone_time,
            state: gone.state,
            code: gone.code,
            end_time: gone.end_time,
            revision,
        }
    }
}

#[derive(Serialize)]
struct GapBody {
    revision: Revision,
}
