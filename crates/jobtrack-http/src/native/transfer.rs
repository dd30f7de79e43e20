//! Import and export: one job a line, as the native face shows it, streamed both ways.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt;
use jobtrack::{Budget, Job, Names, Query};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::openapi::shapes;
use super::{JSON, NDJSON};
use crate::App;
use crate::admission::Transfer;
use crate::auth::actor;
use crate::body::cut_short;
use crate::errors::{Fault, to_json};
use crate::import::{ImportOptions, Importer, parse_span};
use crate::lines::{Line, Lines};
use crate::listing;
use crate::params::{Params, invalid};
use crate::respond::{Answer, blocking, json};

/// Lines that are read before they are handed on.
const READ_AHEAD: usize = 500;
/// Jobs in one piece of an export.
const PIECE: usize = 1_000;
/// Pieces of an export that wait for a slow reader.
const PIECES: usize = 2;
/// Bytes in one piece of a backup.
const BACKUP_PIECE: usize = 64 * 1024;

/// Take jobs from elsewhere, one a line, with every time they bring.
///
/// What a line leaves out follows from the rest; only `uuid` is needed. The body may be of any
/// length. Lines that are no job are counted and told of, and do not fail the request unless
/// `on_bad=fail`.
#[utoipa::path(post, path = "/v1/import", operation_id = "import", tag = "transfer",
    params(shapes::ImportParams),
    request_body(content = Option<String>, content_type = "application/x-ndjson",
        example = "{\"uuid\":\"00000011-0000-4000-8000-000000000000\",\"state\":\"queued\"}\n"),
    responses((status = 200, description = "What became of the lines", body = shapes::Imported),
        (status = 400, content((shapes::Imported = "application/json")),
            description = "A line was bad, and `on_bad=fail`; or the request was"),
        (status = 507)))]
pub(super) async fn import(app: Arc<App>, parts: Parts, mut content: Body) -> Answer {
    let params = Params::parse(parts.uri.query())?;
    params.only(&["retain", "on_bad"])?;
    let retain = params.given("retain")?.map(parse_span).transpose();
    let retain = retain.map_err(|error| error.with_field("retain"))?;
    let stop = match params.given("on_bad")? {
        None | Some("skip") => false,
        Some("fail") => true,
        Some(other) => return Err(invalid("on_bad", other, "skip or fail")),
    };
    let retention = retain.unwrap_or_else(|| app.tracker.options().retention);
    let line_bytes = app.options.line_bytes;
    let options = ImportOptions { retention, stop, actor: actor(&parts.extensions), line_bytes };
    let mut importer = Importer::new(app.tracker.clone(), options);
    let mut lines = Lines::new(line_bytes);
    let mut ready = Vec::new();
    while let Some(frame) = content.frame().await {
        let frame = frame.map_err(|error| cut_short(&error))?;
        // What comes after the line at which the import stopped is read, so that a client which
        // sends first and listens then is not cut off, but it is not looked at.
        let Some(chunk) = frame.data_ref().filter(|_| !importer.is_stopped()) else { continue };
        lines.push(chunk, &mut ready);
        if ready.len() >= READ_AHEAD {
            importer = take(importer, std::mem::take(&mut ready)).await?;
        }
    }
    lines.finish(&mut ready);
    importer = take(importer, ready).await?;
    let report = blocking(move || importer.finish()).await?;
    let mut response = json(JSON, to_json(&report));
    if report.stopped_at.is_some() {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    Ok(response)
}

async fn take(mut importer: Importer, lines: Vec<Line>) -> Result<Importer, Fault> {
    blocking(move || {
        importer.take(lines)?;
        Ok(importer)
    })
    .await
}

/// All jobs that match, one a line, in order of uuid.
///
/// One that is there throughout comes once. If it breaks off, so does the body.
// Each piece shows its jobs at the revision that was current when it was read.
#[utoipa::path(get, path = "/v1/export", operation_id = "export", tag = "transfer",
    responses((status = 200, description = "A job a line", content_type = "application/x-ndjson",
        body = String)))]
pub(super) async fn export(app: Arc<App>, parts: Parts) -> Answer {
    let params = Params::parse(parts.uri.query())?;
    let query = Query {
        filter: listing::only_filter(&params, Names::Native)?,
        max_records: Some(PIECE),
        budget: Budget {
            soft: app.options.query_limit,
            hard: app.options.query_limit,
            rows: Some(app.options.query_rows),
            ..Budget::default()
        },
        ..Query::default()
    };
    let place = app.admission.transfer(&parts.extensions).await?;
    Ok(streamed("an export", place, move |sender| send(&app, query, sender)))
}

/// Every record of the store, all as of one commit, while changes go on.
#[utoipa::path(get, path = "/v1/backup", operation_id = "backup", tag = "transfer",
    responses((status = 200, description = "A record a line, between a head and an end",
        content_type = "application/x-ndjson", body = String)))]
pub(super) async fn backup(app: Arc<App>, parts: Parts) -> Answer {
    Params::parse(parts.uri.query())?.only(&[])?;
    let tracker = app.tracker.whole()?.clone();
    let place = app.admission.transfer(&parts.extensions).await?;
    Ok(streamed("a backup", place, move |sender| {
        let mut pieces = BufWriter::with_capacity(BACKUP_PIECE, Pieces(sender));
        let written = crate::backup::write(&tracker, &mut pieces);
        let written = written.map_err(io::Error::other).and_then(|()| pieces.flush());
        // A client that is gone is not an error here.
        if sender.is_closed() { Ok(()) } else { written }
    }))
}

/// Lines that a thread of its own sends, as fast as they are taken.
fn streamed(
    what: &'static str,
    place: Transfer,
    send: impl FnOnce(&mpsc::Sender<io::Result<Bytes>>) -> io::Result<()> + Send + 'static,
) -> Response {
    let (sender, receiver) = mpsc::channel(PIECES);
    tokio::task::spawn_blocking(move || {
        let _place = place;
        if let Err(error) = send(&sender) {
            tracing::warn!("{what} broke off: {error}");
            // The body ends in an error, so the client sees that it is not whole.
            let _ = sender.blocking_send(Err(error));
        }
    });
    let mut response = Response::new(Body::from_stream(ReceiverStream::new(receiver)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    response
}

/// What is written goes to a client, a piece at a time.
struct Pieces<'a>(&'a mpsc::Sender<io::Result<Bytes>>);

impl Write for Pieces<'_> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        match self.0.blocking_send(Ok(Bytes::copy_from_slice(piece))) {
            Ok(()) => Ok(piece.len()),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn send(app: &App, mut query: Query, sender: &mpsc::Sender<io::Result<Bytes>>) -> io::Result<()> {
    let event_loop = Handle::current();
    loop {
        let place = event_loop.block_on(app.admission.reader_in_turn(&app.client));
        let page = app.tracker.query(&query).map_err(io::Error::other)?;
        let mut piece = Vec::new();
        for job in &page.jobs {
            write_line(job, &mut piece)?;
        }
        drop(place);
        if sender.blocking_send(Ok(piece.into())).is_err() {
            // The client is gone, which is not an error here.
            return Ok(());
        }
        match page.next {
            None => return Ok(()),
            next => query.after = next,
        }
    }
}

fn write_line(job: &Job, piece: &mut Vec<u8>) -> io::Result<()> {
    serde_json::to_writer(&mut *piece, job)?;
    piece.push(b'\n');
    Ok(())
}
