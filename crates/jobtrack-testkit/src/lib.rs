//! For tests of jobtrack, of programs that use it, and of stores written for it.
//!
//! - [`ManualClock`]: time that moves only when told to.
//! - [`store_conformance!`]: one test for each promise of the [`Store`](jobtrack::Store) contract.
//!   A backend that passes them all is done, but for what only it can test: that a crash leaves
//!   what the contract says.
//! - [`FaultyStore`]: fails a commit of the test's choice, in every way the contract allows.
//! - [`CrashStore`]: gives what a power cut would leave.
//! - [`Disk`]: a file in memory whose operations fail, and of which a power cut keeps any part of what
//!   was not synced. With the feature `redb` it stands beneath redb.
//! - [`Oracle`]: judges what a store holds after any of this, since it saw every batch and answer.
//! - [`store_processes!`]: a store that is held by another process, and one whose process is killed.
//! - [`damage`]: bytes flipped, sectors lost and files cut, each found or harmless.
//! - [`history`]: random histories, played to a tracker and to the plain [`model`] of it.

mod clock;
pub mod conformance;
mod conformance_faults;
mod crash;
pub mod damage;
mod disk;
mod faulty;
mod follower;
pub mod history;
pub mod model;
mod oracle;
pub mod processes;
mod random;

pub use clock::ManualClock;
pub use crash::CrashStore;
pub use disk::{Disk, DiskFault};
pub use faulty::{Fault, FaultyStore};
pub use oracle::{Content, Oracle, Watched};
pub use random::Random;
