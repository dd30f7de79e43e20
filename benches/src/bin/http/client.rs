//! Who asks: several connections that stay open, each asking again once it was answered.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

/// What one side showed.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// Of each request, in nanoseconds.
    times: Vec<u64>,
    took: Duration,
    /// What the server's process used of a processor.
    pub(crate) processor: Duration,
}

impl Measured {
    pub(crate) fn add(&mut self, (times, took): (Vec<u64>, Duration)) {
        self.times.extend(times);
        self.took += took;
    }

    /// Requests per second.
    pub(crate) fn rate(&self) -> f64 {
        self.times.len() as f64 / self.took.as_secs_f64()
    }

    /// In microseconds.
    pub(crate) fn percentile(&mut self, percent: usize) -> f64 {
        self.times.sort_unstable();
        let at = self.times.len() * percent / 100;
        self.times.get(at.min(self.times.len().saturating_sub(1))).map_or(0.0, |t| *t as f64 / 1e3)
    }

    /// Microseconds of a processor for each request.
    pub(crate) fn processor_each(&self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / self.times.len() as f64
    }
}

/// The body of one answer, which must be a good one.
pub(crate) fn body_of(port: u16, target: &str) -> Vec<u8> {
    let mut connection = Connection::open(port, target);
    connection.ask();
    connection.answer.split_off(connection.body_at)
}

/// Asks for so long over so many connections: the time of each request, and the time of all.
pub(crate) fn ask(
    port: u16,
    target: &str,
    connections: usize,
    span: Duration,
) -> (Vec<u64>, Duration) {
    let began = Instant::now();
    let times = thread::scope(|scope| {
        let asking: Vec<_> = (0..connections)
            .map(|_| {
                scope.spawn(|| {
                    let mut connection = Connection::open(port, target);
                    let mut times = Vec::new();
                    while began.elapsed() < span {
                        let asked = Instant::now();
                        connection.ask();
                        times.push(u64::try_from(asked.elapsed().as_nanos()).unwrap_or(u64::MAX));
                    }
                    times
                })
            })
            .collect();
        asking.into_iter().flat_map(|thread| thread.join().expect("who asks goes on")).collect()
    });
    (times, began.elapsed())
}

struct Connection {
    stream: TcpStream,
    request: String,
    answer: Vec<u8>,
    body_at: usize,
}

impl Connection {
    fn open(port: u16, target: &str) -> Connection {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        stream.set_nodelay(true).expect("a socket takes its options");
        let request = format!("GET {target} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        Connection { stream, request, answer: Vec::new(), body_at: 0 }
    }

    /// Asks once and reads the whole answer.
    fn ask(&mut self) {
        self.stream.write_all(self.request.as_bytes()).expect("the server reads");
        self.answer.clear();
        let mut piece = [0; 64 * 1024];
        let mut length = None;
        while length.is_none_or(|length| self.answer.len() < length) {
            let read = self.stream.read(&mut piece).expect("the server answers");
            assert!(read > 0, "the server closed");
            self.answer.extend_from_slice(&piece[..read]);
            if length.is_none()
                && let Some(end) = self.answer.windows(4).position(|four| four == b"\r\n\r\n")
            {
                let head = String::from_utf8_lossy(&self.answer[..end]).to_lowercase();
                assert!(head.starts_with("http/1.1 200"), "{head}");
                let bytes = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                self.body_at = end + 4;
                length = bytes.and_then(|bytes| bytes.parse::<usize>().ok()).map(|n| n + end + 4);
                assert!(length.is_some(), "an answer without its length: {head}");
            }
        }
    }
}
