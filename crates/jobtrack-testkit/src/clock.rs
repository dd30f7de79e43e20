//! Time that moves only when told to.

use std::sync::Arc;
use std::time::Duration;

use jobtrack::{Clock, Timestamp};
use parking_lot::Mutex;
use uuid::{Builder, Uuid};

/// A clock that a test moves by hand.
///
/// Clones are handles on the same clock: one goes into the tracker, one stays with the test. Ids
/// have the layout of version 7 UUIDs, grow, and are the same in every run.
///
/// ```
/// use std::time::Duration;
///
/// use jobtrack::Clock;
/// use jobtrack_testkit::ManualClock;
///
/// let clock = ManualClock::new("2026-03-01T10:00:00Z".parse().unwrap());
/// let handle = clock.clone();
/// clock.advance(Duration::from_secs(300));
/// assert_eq!(handle.wall().to_string(), "2026-03-01T10:05:00Z");
/// assert_eq!(handle.monotonic(), Duration::from_secs(300));
///
/// // Someone sets the clock back by a day: no time has passed.
/// clock.step_wall("2026-02-28T10:05:00Z".parse().unwrap());
/// assert_eq!(handle.monotonic(), Duration::from_secs(300));
/// assert!(clock.new_id() < clock.new_id());
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    wall: Timestamp,
    monotonic: Duration,
    /// How many ids were given.
    ids: u64,
    /// The milliseconds in the last id, which those of the next are never less than.
    id_millis: u64,
}

impl ManualClock {
    /// A clock that shows this time of day, and whose monotonic time is zero.
    pub fn new(wall: Timestamp) -> Self {
        let inner = Inner { wall, monotonic: Duration::ZERO, ids: 0, id_millis: 0 };
        ManualClock { inner: Arc::new(Mutex::new(inner)) }
    }

    /// Lets time pass: the time of day and the monotonic time both move.
    pub fn advance(&self, span: Duration) {
        let mut inner = self.inner.lock();
        inner.wall = inner.wall.saturating_add(span);
        inner.monotonic = inner.monotonic.saturating_add(span);
    }

    /// Sets the time of day, forward or back, while no time passes.
    pub fn step_wall(&self, to: Timestamp) {
        self.inner.lock().wall = to;
    }

    /// Starts the monotonic time anew, as a restart of the process does.
    pub fn restart(&self) {
        self.inner.lock().monotonic = Duration::ZERO;
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Timestamp {
        self.inner.lock().wall
    }

    fn monotonic(&self) -> Duration {
        self.inner.lock().monotonic
    }

    fn new_id(&self) -> Uuid {
        let mut inner = self.inner.lock();
        // Before 1970 there is no version 7.
        let millis = u64::try_from(inner.wall.as_micros() / 1000).unwrap_or(0);
        inner.id_millis = inner.id_millis.max(millis);
        inner.ids += 1;
        // The last seven bytes are free; those before hold version and variant as well.
        let [_, number @ ..] = inner.ids.to_be_bytes();
        let mut random = [0; 10];
        for (to, from) in random.iter_mut().skip(3).zip(number) {
            *to = from;
        }
        Builder::from_unix_timestamp_millis(inner.id_millis, &random).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_and_repeat_from_run_to_run() {
        let ids = || {
            let clock = ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000).unwrap());
            let mut ids = Vec::new();
            for step in 0..1000 {
                ids.push(clock.new_id());
                match step % 3 {
                    0 => clock.advance(Duration::from_millis(1)),
                    1 => clock.step_wall(Timestamp::MIN),
                    _ => {}
                }
            }
            ids
        };
        let first = ids();
        assert!(first.is_sorted_by(|a, b| a < b));
        assert!(first.iter().all(|id| id.get_version_num() == 7));
        assert_eq!(first, ids());
    }
}
