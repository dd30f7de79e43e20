//! The one door through which time and ids come in.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::timestamp::Timestamp;

/// Where time and ids come from.
///
/// Nothing else in jobtrack asks the machine for either (`clippy.toml` bans the calls), so a test
/// with a clock of its own replays a week in a millisecond.
pub trait Clock: Send + Sync + 'static {
    /// The time of day, UTC. It may step in either direction.
    fn wall(&self) -> Timestamp;

    /// Time since some fixed point in the life of this clock. It never goes back.
    fn monotonic(&self) -> Duration;

    /// A new id, unlike every other: a version 7 UUID in [`SystemClock`].
    fn new_id(&self) -> Uuid;
}

/// The machine's own clock.
///
/// ```
/// use jobtrack::{Clock, SystemClock};
///
/// let clock = SystemClock::new();
/// assert!(clock.new_id() < clock.new_id());
/// ```
#[derive(Debug, Clone)]
pub struct SystemClock {
    origin: Instant,
}

#[allow(clippy::disallowed_methods)] // This is the door itself.
impl SystemClock {
    /// A clock whose monotonic time begins now.
    pub fn new() -> Self {
        SystemClock { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[allow(clippy::disallowed_methods)] // This is the door itself.
impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        let now = SystemTime::now();
        let micros = match now.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
        };
        // A machine whose clock is beyond the year 9999 or before the year 1 gets the nearest end.
        let clamped = micros.clamp(Timestamp::MIN.as_micros(), Timestamp::MAX.as_micros());
        Timestamp::from_micros(clamped).unwrap_or(Timestamp::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }

    fn new_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}
