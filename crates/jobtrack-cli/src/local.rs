//! A store opened by the command itself.
//!
//! The command asks it through the same face as a server, in the same words, only without a network
//! between them; so filters, refusals and answers are the same by construction.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use bytes::{Buf, Bytes};
use http_body_util::BodyExt;
use jobtrack::{Actor, Options, Tracker};
use jobtrack_http::router;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tower::ServiceExt;

use crate::Failed;
use crate::store::StoreName;
use crate::target::{Answer, Content, Method};

/// How much of a body is read at a time.
const PIECE: usize = 64 * 1024;
/// Who waits for the body is the user at this terminal, who may take a break.
const BODY_PAUSE: Duration = Duration::from_secs(365 * 86_400);

/// An open store.
#[derive(Debug)]
pub(crate) struct Local {
    tracker: Tracker,
    runtime: Arc<Runtime>,
    router: Router,
}

impl Local {
    /// Opens the store, with all its jobs.
    pub(crate) fn open(store: &StoreName) -> Result<Local, Failed> {
        let tracker: Tracker = store.open(Options::default())?;
        let options =
            jobtrack_http::Options { body_pause: BODY_PAUSE, ..jobtrack_http::Options::default() };
        let router = router(Arc::new(tracker.clone()), options);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Local { tracker, runtime: Arc::new(runtime), router })
    }

    /// Asks it as a server is asked.
    pub(crate) fn ask(
        &self,
        method: Method,
        path: &str,
        content: Content,
    ) -> Result<Answer, Failed> {
        let body = match content {
            Content::None => Body::empty(),
            Content::Json(text) => Body::from(text),
            Content::Lines(reader) => Body::from_stream(stream(reader)),
        };
        let mut request = Request::builder().method(method.as_str()).uri(path).body(body)?;
        // Nobody checks it here: whoever can write the store's files may say anything.
        if let Ok(user) = std::env::var("USER") {
            request.extensions_mut().insert(Actor::named(user));
        }
        let response = self.runtime.block_on(self.router.clone().oneshot(request))?;
        let media_type = response.headers().get(header::CONTENT_TYPE);
        let media_type = media_type.and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
        let status = response.status().as_u16();
        let body = BodyReader {
            runtime: Arc::clone(&self.runtime),
            body: response.into_body(),
            piece: Bytes::new(),
        };
        Ok(Answer { status, media_type, body: Box::new(body) })
    }
}

/// Closes the store, whoever still holds a part of it, so that whoever opens it next finds it clean.
impl Drop for Local {
    fn drop(&mut self) {
        if let Err(error) = self.tracker.close() {
            eprintln!("jobtrack: the store was not closed cleanly: {error}");
        }
    }
}

/// The pieces of a body that a thread of its own reads, since reading blocks.
fn stream(mut reader: Box<dyn Read + Send>) -> ReceiverStream<io::Result<Bytes>> {
    let (sender, receiver) = mpsc::channel(2);
    std::thread::spawn(move || {
        loop {
            let mut piece = vec![0; PIECE];
            let read = match reader.read(&mut piece) {
                Ok(0) => return,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    // Whoever listened is gone if this fails, and nobody is left to tell.
                    let _ = sender.blocking_send(Err(error));
                    return;
                }
            };
            piece.truncate(read);
            if sender.blocking_send(Ok(piece.into())).is_err() {
                return;
            }
        }
    });
    ReceiverStream::new(receiver)
}

/// Reads a body as it comes.
struct BodyReader {
    runtime: Arc<Runtime>,
    body: Body,
    piece: Bytes,
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.runtime.block_on(self.body.frame()) {
                None => return Ok(0),
                Some(frame) => {
                    let frame = frame.map_err(io::Error::other)?;
                    self.piece = frame.into_data().unwrap_or_default();
                }
            }
        }
        let count = self.piece.len().min(buffer.len());
        if let (Some(into), Some(from)) = (buffer.get_mut(..count), self.piece.get(..count)) {
            into.copy_from_slice(from);
        }
        self.piece.advance(count);
        Ok(count)
    }
}
