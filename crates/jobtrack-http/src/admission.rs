//! Which requests are let in, once all of them is there.
//!
//! A request takes one of few places only when its body has come whole: who sends slowly keeps a
//! connection, which can be taken away (`server`), but keeps nobody else from being served. Bodies
//! that are on their way share a number of bytes, so that memory stays flat however many there are.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use crate::Options;
use crate::body;
use crate::errors::{Fault, HttpKind};
use crate::server::Turn;

/// Bulks that may be under way at a time.
const BULKS: usize = 4;
/// How often the log tells, at most, that requests are refused.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// The one path whose bodies have no end that could be waited for.
const STREAMED: &str = "/v1/import";

/// What may be in progress.
#[derive(Debug)]
pub(crate) struct Admission {
    requests: Semaphore,
    most_requests: usize,
    transfers: Arc<Semaphore>,
    most_transfers: usize,
    bulks: Arc<Semaphore>,
    bytes: Semaphore,
    most_bytes: usize,
    refused: Mutex<Refused>,
}

/// What the log was not told yet.
#[derive(Debug, Default)]
struct Refused {
    requests: u64,
    last_told: Option<Instant>,
}

/// What a request holds until there is an answer: to send that is the connection's affair.
#[derive(Debug)]
pub(crate) enum Admitted<'a> {
    Request { _place: SemaphorePermit<'a>, _bytes: Option<SemaphorePermit<'a>> },
    Transfer { _place: OwnedSemaphorePermit },
}

impl Admission {
    pub(crate) fn new(options: &Options) -> Admission {
        let [most_requests, most_transfers, most_bytes] =
            [options.in_flight, options.transfers, options.bodies_bytes]
                .map(|most| most.clamp(1, Semaphore::MAX_PERMITS));
        Admission {
            requests: Semaphore::new(most_requests),
            most_requests,
            transfers: Arc::new(Semaphore::new(most_transfers)),
            most_transfers,
            bulks: Arc::new(Semaphore::new(BULKS)),
            bytes: Semaphore::new(most_bytes),
            most_bytes,
            refused: Mutex::default(),
        }
    }

    /// Waits for the whole request, and takes a place for it.
    pub(crate) async fn admit(
        &self,
        request: Request,
        options: &Options,
    ) -> Result<(Request, Admitted<'_>), Fault> {
        if request.uri().path().ends_with(STREAMED) {
            return Ok((request, Admitted::Transfer { _place: self.transfer()? }));
        }
        let (request, bytes) = self.whole(request, options).await?;
        if let Some(turn) = request.extensions().get::<Arc<Turn>>() {
            turn.is_served();
        }
        let place = self.requests.try_acquire().map_err(|_| {
            self.too_many(&format!("{} requests are in progress", self.most_requests))
        })?;
        Ok((request, Admitted::Request { _place: place, _bytes: bytes }))
    }

    /// A place for what goes on for as long as its client takes: an import, an export, a backup. Each
    /// has a thread to itself meanwhile.
    pub(crate) fn transfer(&self) -> Result<OwnedSemaphorePermit, Fault> {
        Arc::clone(&self.transfers).try_acquire_owned().map_err(|_| {
            let most = self.most_transfers;
            self.too_many(&format!("{most} imports, exports and backups are in progress"))
        })
    }

    /// A place for an action on many jobs, each of which has a thread to itself as well.
    pub(crate) fn bulk(&self) -> Result<OwnedSemaphorePermit, Fault> {
        let place = Arc::clone(&self.bulks).try_acquire_owned();
        place.map_err(|_| self.too_many(&format!("{BULKS} bulks are under way")))
    }

    /// The request with all of its body in memory.
    async fn whole(
        &self,
        request: Request,
        options: &Options,
    ) -> Result<(Request, Option<SemaphorePermit<'_>>), Fault> {
        if request.body().is_end_stream() {
            return Ok((request, None));
        }
        let (parts, body) = request.into_parts();
        let limit = options.body_bytes;
        if declared(&parts.headers).is_some_and(|length| length > limit as u64) {
            return Err(body::too_large(limit));
        }
        let gathered = timeout(options.body_time, self.gather(body, limit)).await;
        let (bytes, permit) = gathered.map_err(|_| {
            let most = options.body_time.as_secs_f32();
            let message = format!("the body could not be read: it took longer than {most} s");
            Fault::new(HttpKind::BodyTooSlow, message)
        })??;
        Ok((Request::from_parts(parts, Body::from(bytes)), permit))
    }

    /// All bytes of the body, and the room that they take.
    async fn gather(
        &self,
        mut body: Body,
        limit: usize,
    ) -> Result<(Vec<u8>, Option<SemaphorePermit<'_>>), Fault> {
        let mut bytes = Vec::new();
        let mut taken: Option<SemaphorePermit<'_>> = None;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| body::cut_short(&error))?;
            // What else there is are trailers, which nobody reads.
            let Ok(piece) = frame.into_data() else { continue };
            if bytes.len().saturating_add(piece.len()) > limit {
                return Err(body::too_large(limit));
            }
            let length = u32::try_from(piece.len()).unwrap_or(u32::MAX);
            let more = self.bytes.try_acquire_many(length).map_err(|_| {
                self.too_many(&format!(
                    "the bodies that are on their way fill {} bytes",
                    self.most_bytes
                ))
            })?;
            match &mut taken {
                Some(taken) => taken.merge(more),
                None => taken = Some(more),
            }
            bytes.extend_from_slice(&piece);
        }
        Ok((bytes, taken))
    }

    fn too_many(&self, what: &str) -> Fault {
        let mut refused = self.refused.lock();
        refused.requests += 1;
        if refused.last_told.is_none_or(|last| last.elapsed() >= TELL_EVERY) {
            tracing::warn!(refused = refused.requests, "overloaded: {what}, which is the most");
            *refused = Refused { requests: 0, last_told: Some(Instant::now()) };
        }
        let message = format!("{what}, which is the most; try again later");
        Fault::new(HttpKind::TooManyRequests, message)
    }
}

fn declared(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
