//! What the tests of the faces share: five jobs, and requests as bytes.

// Each test binary uses a part of it.
#![allow(dead_code)]

pub(crate) mod document;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use jobtrack::{Options, Store, Tracker};
use jobtrack_testkit::ManualClock;

/// Five jobs, one in each state.
pub(crate) const JOBS: &str = include_str!("../../../../testdata/http/jobs.ndjson");

/// When the cases take place.
pub(crate) const BEGINNING: &str = "2026-03-01T10:04:00Z";

/// A tracker without jobs on this store, and its clock.
pub(crate) fn tracker(store: impl Store + 'static) -> (Arc<Tracker>, ManualClock) {
    let clock = ManualClock::new(BEGINNING.parse().unwrap());
    let options = Options { clock: Arc::new(clock.clone()), ..Options::default() };
    (Arc::new(Tracker::open(store, options).unwrap()), clock)
}

/// The uuid of the job of this letter: a to e are in [`JOBS`], f is nobody's.
pub(crate) fn uuid_of(letter: char) -> String {
    format!("0000000{}-0000-4000-8000-000000000000", letter.to_ascii_lowercase())
}

/// An answer as it came.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// By name in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&self.body)))
    }
}

/// The bytes of a request that asks for the connection to be closed after it.
pub(crate) fn request_bytes(
    method: &str,
    target: &str,
    headers: &BTreeMap<String, String>,
    body: &[u8],
) -> Vec<u8> {
    let mut bytes = format!("{method} {target} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
    for (name, value) in headers {
        bytes.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        bytes.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    bytes.push_str("\r\n");
    let mut bytes = bytes.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Sends bytes on a connection of their own and reads the answer to its end.
pub(crate) fn exchange(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // A server that refuses before it has read everything may close in the middle of it; what it
    // says counts.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let is_head = bytes.starts_with(b"HEAD ");
    parse(&answer, is_head).unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

fn parse(bytes: &[u8], is_head: bool) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(bytes.get(..end)?).ok()?;
    let mut body = bytes.get(end + 4..)?.to_vec();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        body = unchunk(&body).ok()?;
    } else if !is_head && let Some(length) = headers.get("content-length") {
        assert_eq!(length.parse(), Ok(body.len()), "content-length");
    }
    Some(Answer { status, headers, body })
}

/// Joins the chunks of a body, which must be whole.
pub(crate) fn unchunk(mut bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    let broken = || io::Error::from(io::ErrorKind::UnexpectedEof);
    loop {
        let end = bytes.windows(2).position(|window| window == b"\r\n").ok_or_else(broken)?;
        let size = std::str::from_utf8(&bytes[..end]).map_err(|_| broken())?;
        let size = usize::from_str_radix(size, 16).map_err(|_| broken())?;
        bytes = &bytes[end + 2..];
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(bytes.get(..size).ok_or_else(broken)?);
        bytes = bytes.get(size + 2..).ok_or_else(broken)?;
    }
}
