//! Progress at a terminal. Nothing is shown where standard error goes elsewhere.

use std::cell::Cell;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Counts records for people to see.
pub(super) struct Progress {
    bar: ProgressBar,
    seen: Cell<u64>,
}

impl Progress {
    /// Begins; `doing` stands before the count.
    pub(super) fn begin(doing: &'static str) -> Self {
        let bar = ProgressBar::new_spinner();
        let template = "{spinner} {msg} {human_pos} records, {elapsed}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(doing);
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress { bar, seen: Cell::new(0) }
    }

    /// So many by now. Cheap enough to be called with each.
    pub(super) fn at(&self, records: u64) {
        if records >= self.seen.get() + 256 || records < self.seen.get() {
            self.seen.set(records);
            self.bar.set_position(records);
        }
    }

    /// Prints a line that stays.
    pub(super) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A number of bytes as people read it.
pub(super) fn bytes(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}
