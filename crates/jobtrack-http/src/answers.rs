//! The answers that wait for their clients to read them.
//!
//! An answer stays in memory until it has been handed to the system, and a page of ten thousand jobs
//! is megabytes: hundreds of clients that ask for one and read nothing would fill the memory. So the
//! bytes of answers are counted until they are gone, and while there are too many of them no large
//! one is begun, and those make room that read too slowly.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::server::{Turn, make_room};

/// What a smaller answer takes is the connection's, which has as much for itself.
const COUNTED_BYTES: usize = 16 * 1024;
/// How long to wait for room before looking again for who can make it.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// All of them.
#[derive(Debug)]
pub(crate) struct Answers {
    most_bytes: usize,
    waiting: Mutex<Waiting>,
    gone: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: usize,
    /// The connections over which they go, as far as they are known.
    turns: Vec<Arc<Turn>>,
}

impl Answers {
    /// Room for about so many bytes: by how much it is exceeded is up to those that are under way
    /// when it is full.
    pub(crate) fn new(most_bytes: usize) -> Arc<Answers> {
        Arc::new(Answers { most_bytes, waiting: Mutex::default(), gone: Notify::new() })
    }

    /// Done once there is room for one more.
    pub(crate) async fn room(&self) {
        loop {
            if self.has_room() {
                break;
            }
            make_room(self.waiting.lock().turns.iter(), Instant::now());
            tokio::select! {
                () = self.gone.notified() => {}
                () = sleep(LOOK_AGAIN) => {}
            }
        }
        // There may be room for the next one, too.
        self.gone.notify_one();
    }

    /// Whether there is.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.lock().bytes < self.most_bytes
    }

    /// The same bytes, which are counted until they are dropped.
    pub(crate) fn count(self: &Arc<Self>, bytes: Bytes, turn: Option<Arc<Turn>>) -> Bytes {
        if bytes.len() < COUNTED_BYTES {
            return bytes;
        }
        {
            let mut waiting = self.waiting.lock();
            waiting.bytes += bytes.len();
            waiting.turns.extend(turn.clone());
        }
        Bytes::from_owner(Answer { bytes, turn, among: Arc::clone(self) })
    }
}

/// One of them.
struct Answer {
    bytes: Bytes,
    turn: Option<Arc<Turn>>,
    among: Arc<Answers>,
}

impl AsRef<[u8]> for Answer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        {
            let mut waiting = self.among.waiting.lock();
            waiting.bytes -= self.bytes.len();
            if let Some(turn) = &self.turn
                && let Some(at) = waiting.turns.iter().position(|other| Arc::ptr_eq(other, turn))
            {
                waiting.turns.swap_remove(at);
            }
        }
        self.among.gone.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_more_waits_until_an_answer_is_gone() {
        let answers = Answers::new(2 * COUNTED_BYTES);
        let answer = |bytes: usize| answers.count(Bytes::from(vec![b' '; bytes]), None);
        let small = answer(COUNTED_BYTES - 1);
        let [first, second] = [(); 2].map(|()| answer(COUNTED_BYTES));
        assert_eq!((small.len(), first.len()), (COUNTED_BYTES - 1, COUNTED_BYTES));
        let mut room = std::pin::pin!(answers.room());
        assert!(tokio::time::timeout(LOOK_AGAIN * 3, room.as_mut()).await.is_err());
        // A piece of it is all of it, to the memory.
        let piece = first.slice(1..2);
        drop(first);
        assert!(tokio::time::timeout(LOOK_AGAIN * 3, room.as_mut()).await.is_err());
        drop(piece);
        room.await;
        drop(second);
        assert_eq!(answers.waiting.lock().bytes, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_too_slowly_makes_room() {
        let answers = Answers::new(COUNTED_BYTES);
        let turn = Turn::waiting_for_reader();
        let answer = answers.count(Bytes::from(vec![b' '; COUNTED_BYTES]), Some(Arc::clone(&turn)));
        let leaves = async {
            turn.must_leave().await;
            drop(answer);
        };
        tokio::join!(answers.room(), leaves);
        assert!(answers.waiting.lock().turns.is_empty());
    }
}
