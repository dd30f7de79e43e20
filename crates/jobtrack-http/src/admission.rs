//! Which requests are let in, once all of them is there.
//!
//! A request takes one of few places only when its body has come whole: who sends slowly keeps a
//! connection, which can be taken away (`server`), but keeps nobody else from being served. Bodies
//! that are on their way share a number of bytes, so that memory stays flat however many there are.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{Extensions, HeaderMap, header};
use bytes::Bytes;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use crate::Options;
use crate::answers::Answers;
use crate::body;
use crate::errors::{Fault, HttpKind};
use crate::fair::{Client, Fair, FairPlace};
use crate::server::{Turn, make_room};

/// Bulks that may be under way at a time.
const BULKS: usize = 4;
/// How often the log tells, at most, that requests are refused.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// The one path whose bodies have no end that could be waited for.
const STREAMED: &str = "/v1/import";
/// How the one path ends whose answer comes when a job ends: who waits for that is counted among those
/// who watch, and would keep a place for minutes.
const WAITED: &str = "/wait";

/// What may be in progress.
#[derive(Debug)]
pub(crate) struct Admission {
    requests: Semaphore,
    most_requests: usize,
    readers: Arc<Fair>,
    /// Of these, who reads or waits to holds one.
    may_read: Arc<Semaphore>,
    most_readers: usize,
    answers: Arc<Answers>,
    transfers: Arc<Transfers>,
    patience: Duration,
    bulks: Arc<Semaphore>,
    bytes: Semaphore,
    most_bytes: usize,
    refused: Mutex<Refused>,
}

/// Places for what goes on for as long as its client takes.
#[derive(Debug)]
struct Transfers {
    places: Arc<Semaphore>,
    most: usize,
    /// The connections over which they go, as far as they are known.
    turns: Mutex<Vec<Arc<Turn>>>,
}

/// A place for what may read or answer much, until it is dropped.
#[derive(Debug)]
pub(crate) struct Reader {
    _place: FairPlace,
    _one_of_half: OwnedSemaphorePermit,
}

/// One of these places, until it is dropped.
#[derive(Debug)]
pub(crate) struct Transfer {
    transfers: Arc<Transfers>,
    turn: Option<Arc<Turn>>,
    _place: OwnedSemaphorePermit,
}

impl Drop for Transfer {
    fn drop(&mut self) {
        if let Some(turn) = &self.turn {
            self.transfers.turns.lock().retain(|other| !Arc::ptr_eq(other, turn));
        }
    }
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
    Waiting { _bytes: Option<SemaphorePermit<'a>> },
    Transfer { _place: Transfer },
}

impl Admission {
    pub(crate) fn new(options: &Options) -> Admission {
        let [most_requests, most_transfers, most_bytes] =
            [options.in_flight, options.transfers, options.bodies_bytes]
                .map(|most| most.clamp(1, Semaphore::MAX_PERMITS));
        Admission {
            readers: Fair::new(options.readers),
            // The other half of the places is for those who ask for little.
            may_read: Arc::new(Semaphore::new(most_requests.div_ceil(2))),
            most_readers: options.readers.max(1),
            answers: Answers::new(options.answers_bytes),
            requests: Semaphore::new(most_requests),
            most_requests,
            transfers: Arc::new(Transfers {
                places: Arc::new(Semaphore::new(most_transfers)),
                most: most_transfers,
                turns: Mutex::default(),
            }),
            patience: options.patience,
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
            let place = self.transfer(request.extensions()).await?;
            return Ok((request, Admitted::Transfer { _place: place }));
        }
        let (request, bytes) = self.whole(request, options).await?;
        if let Some(turn) = request.extensions().get::<Arc<Turn>>() {
            turn.is_served();
        }
        if request.uri().path().ends_with(WAITED) {
            return Ok((request, Admitted::Waiting { _bytes: bytes }));
        }
        match timeout(self.patience, self.requests.acquire()).await {
            Ok(Ok(place)) => Ok((request, Admitted::Request { _place: place, _bytes: bytes })),
            Ok(Err(_)) | Err(_) => {
                Err(self.too_many(&format!("{} requests are in progress", self.most_requests)))
            }
        }
    }

    /// A place for what may read or answer much, once it is this client's turn and there is room for
    /// the answer.
    pub(crate) async fn reader(&self, client: &Client) -> Result<Reader, Fault> {
        let place = timeout(self.patience, async {
            loop {
                self.answers.room().await;
                let place = self.readers.place(client).await;
                // Those before it may have filled the room meanwhile.
                if self.answers.has_room() {
                    return place;
                }
            }
        });
        let refusal = || {
            let most = self.most_readers;
            self.too_many(&format!(
                "{most} queries that may read much are at work, or their answers wait to be read"
            ))
        };
        let one_of_half = Arc::clone(&self.may_read).try_acquire_owned().map_err(|_| refusal())?;
        let place = place.await.map_err(|_| refusal())?;
        Ok(Reader { _place: place, _one_of_half: one_of_half })
    }

    /// The same for a part of what goes on anyway, so that it waits for as long as it takes.
    pub(crate) async fn reader_in_turn(&self, client: &Client) -> FairPlace {
        self.readers.place(client).await
    }

    /// An answer's bytes, counted until the client of this connection has read them.
    pub(crate) fn count_answer(&self, bytes: Bytes, turn: Option<Arc<Turn>>) -> Bytes {
        self.answers.count(bytes, turn)
    }

    /// A place for what goes on for as long as its client takes: an import, an export, a backup. Each
    /// has a thread to itself meanwhile. Where all are taken, whoever sends or reads theirs too slowly
    /// makes room.
    pub(crate) async fn transfer(&self, of_request: &Extensions) -> Result<Transfer, Fault> {
        let Transfers { places, most, turns } = &*self.transfers;
        let place = match Arc::clone(places).try_acquire_owned() {
            Ok(place) => Some(place),
            Err(_) => {
                make_room(turns.lock().iter(), Instant::now());
                let place = timeout(self.patience, Arc::clone(places).acquire_owned()).await;
                place.ok().and_then(Result::ok)
            }
        };
        let place = place.ok_or_else(|| {
            self.too_many(&format!("{most} imports, exports and backups are in progress"))
        })?;
        let turn = of_request.get::<Arc<Turn>>().cloned();
        turns.lock().extend(turn.clone());
        Ok(Transfer { transfers: Arc::clone(&self.transfers), turn, _place: place })
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
