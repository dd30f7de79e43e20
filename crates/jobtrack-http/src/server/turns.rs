//! Whose turn it is on each connection, and who makes room when all connections are taken.
//!
//! A server that waits for its clients can be filled by clients that never go on. So it is known of
//! each connection whether the server or the client is to move, and since when; and when one more
//! client comes than there may be, the one who has kept the server waiting longest goes. Who is being
//! served, or reads and writes as fast as a slow line allows, is never sent away.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// For how long a client that was heard or answered may say nothing before it may have to make room.
const SILENCE: Duration = Duration::from_millis(100);
/// After how long a body or an answer may be found to be slow. A client far away has sent or taken
/// its first kilobytes by then.
const TRIAL: Duration = Duration::from_millis(500);
/// What is not slow, in bytes a second.
const SLOW: u128 = 4 * 1024;
/// How long a time counts in which a client was fast.
const PACE: Duration = Duration::from_secs(30);
/// How long to wait for room before looking again for one who can make it.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// All connections that there are.
#[derive(Debug)]
pub(super) struct Turns {
    most: usize,
    open: Mutex<Open>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    turns: HashMap<u64, Arc<Turn>>,
}

/// One connection's place among them, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    turns: Arc<Turns>,
    pub(super) turn: Arc<Turn>,
}

impl Turns {
    /// Room for so many connections.
    pub(super) fn new(most: usize) -> Arc<Turns> {
        Arc::new(Turns { most: most.max(1), open: Mutex::default(), freed: Notify::new() })
    }

    /// A place for one more; waits while all are taken by clients who are being served.
    pub(super) async fn enter(self: &Arc<Self>) -> Place {
        loop {
            if let Some(place) = self.try_enter() {
                return place;
            }
            self.make_room();
            tokio::select! {
                () = self.freed.notified() => {}
                () = sleep(LOOK_AGAIN) => {}
            }
        }
    }

    fn try_enter(self: &Arc<Self>) -> Option<Place> {
        let mut open = self.open.lock();
        if open.turns.len() >= self.most {
            return None;
        }
        let turn = Arc::new(Turn::new());
        let number = open.next;
        open.next += 1;
        open.turns.insert(number, Arc::clone(&turn));
        Some(Place { number, turns: Arc::clone(self), turn })
    }

    /// Tells the client to leave who has kept the server waiting longest, if one does.
    fn make_room(&self) {
        let now = Instant::now();
        make_room(self.open.lock().turns.values(), now);
    }
}

/// Tells the client to leave who of these keeps the server waiting longest, if one does.
pub(crate) fn make_room<'a>(turns: impl Iterator<Item = &'a Arc<Turn>>, now: Instant) {
    let waiting = turns.filter_map(|turn| Some((turn.keeps_waiting(now)?, turn)));
    if let Some((_, longest)) = waiting.min_by_key(|(rank, _)| *rank) {
        longest.state.lock().must_leave = true;
        longest.leave.notify_one();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.turns.open.lock().turns.remove(&self.number);
        self.turns.freed.notify_one();
    }
}

/// What one connection waits for.
#[derive(Debug)]
pub(crate) struct Turn {
    state: Mutex<State>,
    leave: Notify,
}

#[derive(Debug)]
struct State {
    stage: Stage,
    /// Since when it is at this stage.
    since: Instant,
    /// Bytes that went either way since `paced_since`, which is never long ago while bytes go.
    moved: u64,
    paced_since: Instant,
    /// Whether bytes of ours wait for the client to read.
    waits_for_reader: bool,
    must_leave: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// The client is to ask: it shakes hands, sends a head, or is idle between two requests.
    Asking,
    /// The client is to send the body.
    Sending,
    /// The server is to answer.
    Served,
    /// The client is to read the answer.
    Reading,
}

impl Turn {
    fn new() -> Turn {
        let now = Instant::now();
        let state = State {
            stage: Stage::Asking,
            since: now,
            moved: 0,
            paced_since: now,
            waits_for_reader: false,
            must_leave: false,
        };
        Turn { state: Mutex::new(state), leave: Notify::new() }
    }

    /// The client is to ask.
    pub(super) fn asks(&self) {
        self.is_at(Stage::Asking);
    }

    /// The head is there, and the client is to send the body.
    pub(super) fn sends(&self) {
        self.is_at(Stage::Sending);
    }

    /// The request is there, and the server is to answer.
    pub(crate) fn is_served(&self) {
        self.is_at(Stage::Served);
    }

    /// The answer has begun, and the client is to read it.
    pub(super) fn reads(&self) {
        self.is_at(Stage::Reading);
    }

    /// So many bytes went either way.
    pub(super) fn moved(&self, bytes: usize) {
        let (mut state, now) = (self.state.lock(), Instant::now());
        if now.duration_since(state.paced_since) >= PACE {
            (state.moved, state.paced_since) = (0, now);
        }
        state.moved += bytes as u64;
    }

    /// Whether bytes of ours wait for the client to read.
    pub(super) fn waits_for_reader(&self, waits: bool) {
        self.state.lock().waits_for_reader = waits;
    }

    /// Done once this connection has to make room.
    pub(crate) async fn must_leave(&self) {
        loop {
            self.leave.notified().await;
            // Its request may have come at the same moment.
            if self.state.lock().must_leave {
                return;
            }
        }
    }

    /// A connection whose answer waits for its reader.
    #[cfg(test)]
    pub(crate) fn waiting_for_reader() -> Arc<Turn> {
        let turn = Turn::new();
        turn.reads();
        turn.waits_for_reader(true);
        Arc::new(turn)
    }

    fn is_at(&self, stage: Stage) {
        let mut state = self.state.lock();
        // Whose request is there is answered: nobody could tell whether it was carried out.
        state.must_leave &= stage != Stage::Served;
        state.stage = stage;
        state.since = Instant::now();
        (state.moved, state.paced_since) = (0, state.since);
    }

    /// If the client keeps the server waiting: what for, and since when. The least goes first.
    fn keeps_waiting(&self, now: Instant) -> Option<(Stage, Instant)> {
        let state = self.state.lock();
        let took = now.duration_since(state.since);
        let paced = now.duration_since(state.paced_since);
        let not_slow = SLOW * paced.as_millis() / 1_000;
        let is_slow = || paced >= TRIAL && u128::from(state.moved) < not_slow;
        let waits = match state.stage {
            // An answer may still be on its way to a client whose next turn it is.
            Stage::Asking if state.waits_for_reader => is_slow(),
            Stage::Asking => took >= SILENCE,
            Stage::Sending => is_slow(),
            Stage::Served => false,
            Stage::Reading => state.waits_for_reader && is_slow(),
        };
        (waits && !state.must_leave).then_some((state.stage, state.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_keeps_the_server_waiting_longest_makes_room() {
        let turns = Turns::new(3);
        let [first, second, served] = [(); 3].map(|()| turns.try_enter().unwrap());
        served.turn.is_served();
        assert!(turns.try_enter().is_none(), "a fourth of three");
        turns.make_room();
        assert!(!first.turn.state.lock().must_leave, "it has only just come");

        sleep(SILENCE).await;
        // The first was heard of since.
        first.turn.asks();
        sleep(SILENCE).await;
        turns.make_room();
        second.turn.must_leave().await;
        assert!(!first.turn.state.lock().must_leave);
        drop(second);
        assert!(turns.try_enter().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_makes_room_while_being_served_or_reading_at_leisure() {
        let turns = Turns::new(1);
        let place = turns.try_enter().unwrap();
        let turn = &place.turn;
        let hour = Duration::from_secs(3_600);
        turn.is_served();
        assert!(turn.keeps_waiting(Instant::now() + hour).is_none());
        // A watch: nothing to read for an hour.
        turn.reads();
        assert!(turn.keeps_waiting(Instant::now() + hour).is_none());
        turn.waits_for_reader(true);
        assert!(turn.keeps_waiting(Instant::now() + TRIAL / 2).is_none());
        assert!(turn.keeps_waiting(Instant::now() + TRIAL).is_some());
        turn.moved(10 * 1024 * 1024);
        assert!(turn.keeps_waiting(Instant::now() + TRIAL).is_none(), "it reads fast enough");
        sleep(PACE).await;
        turn.moved(1);
        assert!(turn.keeps_waiting(Instant::now() + TRIAL).is_some(), "it did once");
        turn.sends();
        assert!(turn.keeps_waiting(Instant::now() + TRIAL).is_some(), "and sends too slowly");
    }

    #[tokio::test(start_paused = true)]
    async fn whose_request_comes_as_it_is_sent_away_stays() {
        let turns = Turns::new(1);
        let place = turns.try_enter().unwrap();
        sleep(SILENCE).await;
        turns.make_room();
        place.turn.is_served();
        let left = tokio::time::timeout(SILENCE, place.turn.must_leave()).await;
        assert!(left.is_err(), "it is being served");
        place.turn.asks();
        sleep(SILENCE).await;
        turns.make_room();
        place.turn.must_leave().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_enters_as_soon_as_there_is_room() {
        let turns = Turns::new(1);
        let silent = turns.try_enter().unwrap();
        let began = Instant::now();
        let leaves = async {
            silent.turn.must_leave().await;
            drop(silent);
        };
        let (_place, ()) = tokio::join!(turns.enter(), leaves);
        assert!(began.elapsed() <= SILENCE + LOOK_AGAIN);
    }
}
