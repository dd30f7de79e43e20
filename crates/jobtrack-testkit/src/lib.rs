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
//! - [`store_refusals!`]: what is no store, and one that cannot be written.
//! - [`store_on_a_full_disk!`]: a full disk, and what a store declares to do on it.
//! - [`damage`]: bytes flipped, sectors lost and files cut, each found or harmless.
//! - [`store_kept!`]: stores that earlier releases have written are read as they were.
//! - [`history`]: random histories, played to a tracker and to the plain [`model`] of it, on stores
//!   of any kind ([`Machine`]).
//! - [`simulation`]: workers that crash, stall, lie, come back late and restart under the same name.
//! - [`stress`]: many threads at once, and a judge of all they were told.

mod clock;
pub mod conformance;
mod conformance_faults;
mod crash;
pub mod damage;
mod disk;
mod faulty;
mod follower;
pub mod full;
pub mod history;
pub mod kept;
mod machine;
pub mod model;
mod oracle;
mod pack;
pub mod processes;
mod random;
#[cfg(unix)]
pub mod refusals;
mod shelf;
pub mod simulation;
pub mod stress;

pub use clock::ManualClock;
pub use crash::CrashStore;
pub use disk::{Disk, DiskFault};
pub use faulty::{Fault, FaultyStore};
pub use machine::{CrashMachine, FolderMachine, Machine};
pub use oracle::{Content, Oracle, Watched};
pub use random::Random;
pub use shelf::Shelf;
