//! The part of parking_lot that the engine uses, on locks whose every turn shuttle decides.
//!
//! `interleavings` compiles the engine's own sources with this crate in the place of parking_lot, so
//! the engine needs neither a feature nor a word of its code for it. What is not here the engine
//! does not use; who makes it use more adds it here.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use shuttle::sync;
pub use shuttle::sync::{RwLockReadGuard, RwLockWriteGuard};

/// A mutex that is never poisoned.
#[derive(Default)]
pub struct Mutex<T>(sync::Mutex<T>);

/// What a [`Mutex`] guards, while it is held.
pub struct MutexGuard<'a, T>(Option<sync::MutexGuard<'a, T>>);

/// A condition to wait for.
#[derive(Debug, Default)]
pub struct Condvar(sync::Condvar);

/// Whether waiting ended by the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

/// A lock of one writer or many readers that is never poisoned.
#[derive(Default)]
pub struct RwLock<T>(sync::RwLock<T>);

impl<T> Mutex<T> {
    /// A mutex that guards this.
    pub fn new(value: T) -> Self {
        Mutex(sync::Mutex::new(value))
    }

    /// Waits for its turn.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(Some(self.0.lock().unwrap_or_else(sync::PoisonError::into_inner)))
    }

    /// Takes it if nobody has it.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok().map(|guard| MutexGuard(Some(guard)))
    }

    /// Who has it alone need not wait.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(sync::PoisonError::into_inner)
    }
}

impl<T> RwLock<T> {
    /// A lock that guards this.
    pub fn new(value: T) -> Self {
        RwLock(sync::RwLock::new(value))
    }

    /// Waits until nobody writes.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(sync::PoisonError::into_inner)
    }

    /// Waits until nobody reads or writes.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(sync::PoisonError::into_inner)
    }

    /// Reads if nobody writes.
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        self.0.try_read().ok()
    }
}

/// Waiting is for ever, unless the time is up before it begins: then a wake-up that is lost is a
/// deadlock, which shuttle finds, and not a test that merely takes its time.
impl Condvar {
    /// A condition that nobody waits for.
    pub fn new() -> Self {
        Condvar::default()
    }

    /// Wakes everyone.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }

    /// Wakes one.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Waits to be woken.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        if let Some(held) = guard.0.take() {
            guard.0 = Some(self.0.wait(held).unwrap_or_else(sync::PoisonError::into_inner));
        }
    }

    /// Waits to be woken, or not at all if the time is up.
    pub fn wait_until<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        until: Instant,
    ) -> WaitTimeoutResult {
        // The engine was given a span by its caller and made it an instant of real time.
        #[allow(clippy::disallowed_methods)]
        let is_up = until <= Instant::now();
        if !is_up {
            self.wait(guard);
        }
        WaitTimeoutResult(is_up)
    }

    /// Waits while this is so, or not at all if there is no time.
    pub fn wait_while_for<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        mut condition: impl FnMut(&mut T) -> bool,
        span: Duration,
    ) -> WaitTimeoutResult {
        while condition(guard) {
            if span.is_zero() {
                return WaitTimeoutResult(true);
            }
            self.wait(guard);
        }
        WaitTimeoutResult(false)
    }
}

impl WaitTimeoutResult {
    /// Whether it did.
    pub fn timed_out(self) -> bool {
        self.0
    }
}

/// It holds its lock whenever others can see it: only `Condvar::wait` takes it, and gives it back.
const HELD: &str = "a guard holds its lock";

#[allow(clippy::expect_used)] // See HELD.
impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect(HELD)
    }
}

#[allow(clippy::expect_used)] // See HELD.
impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect(HELD)
    }
}

// What a lock holds is not shown: to show it is to take it, which would be a turn of its own.
impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mutex")
    }
}

impl<T> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MutexGuard")
    }
}

impl<T> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RwLock")
    }
}
