//! For tests of jobtrack, of programs that use it, and of stores written for it.
//!
//! - [`ManualClock`]: time that moves only when told to.
//! - [`store_conformance!`]: one test for each promise of the [`Store`](jobtrack::Store) contract.
//!   A backend that passes them all is done, but for what only it can test: that a crash leaves
//!   what the contract says.
//! - [`FaultyStore`]: fails a commit of the test's choice, in every way the contract allows.
//! - [`CrashStore`]: gives what a power cut would leave.
//! - [`store_processes!`]: a store that is held by another process, and one whose process is killed.
//! - [`damage`]: bytes flipped, sectors lost and files cut, each found or harmless.
//! - [`history`]: random histories, played to a tracker and to the plain [`model`] of it.

mod clock;
pub mod conformance;
mod crash;
pub mod damage;
mod faulty;
mod follower;
pub mod history;
pub mod model;
pub mod processes;

pub use clock::ManualClock;
pub use crash::CrashStore;
pub use faulty::{Fault, FaultyStore};
