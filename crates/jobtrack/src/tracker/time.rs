//! Engine time: the wall at opening, monotonic after.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::lifecycle::Moment;
use crate::timestamp::Timestamp;

/// The time in which jobs expire: the later of the wall and the stored horizon when the store was
/// opened, and the monotonic clock after. A wall that steps meanwhile expires nothing and revives
/// nothing.
pub(crate) struct EngineTime {
    clock: Arc<dyn Clock>,
    base: Timestamp,
    base_monotonic: Duration,
}

impl EngineTime {
    pub(crate) fn starting_at(base: Timestamp, clock: Arc<dyn Clock>) -> Self {
        let base_monotonic = clock.monotonic();
        EngineTime { clock, base, base_monotonic }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.base.saturating_add(self.clock.monotonic().saturating_sub(self.base_monotonic))
    }

    pub(crate) fn moment(&self) -> Moment {
        // In this order: a wall that agrees then reads no earlier than engine time.
        let engine = self.now();
        Moment { engine, wall: self.clock.wall() }
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }
}

impl fmt::Debug for EngineTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineTime").field("base", &self.base).finish_non_exhaustive()
    }
}
