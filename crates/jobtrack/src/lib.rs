//! The embeddable engine that tracks long-running jobs: durable, queryable, expiring on time.
//!
//! A server with slow operations answers "accepted, here is your job" and must then say, for as
//! long as anyone may ask, what became of it. jobtrack is that part, done once: a library to link
//! in, a folder beside your process, and an exact answer to every question about a job. It tracks
//! work and does not run it: no scheduler, no queue, no thread that nobody asked for.
//!
//! ```
//! use jobtrack::{Expr, MemoryStore, Names, NewJob, Options, Query, Success, Tracker};
//!
//! let tracker = Tracker::open(MemoryStore::new(), Options::default())?;
//! let job = tracker.create(NewJob::described("Backup of vol1"))?;
//! tracker.start(job.uuid)?;
//! tracker.report(job.uuid, "7 of 40 files")?;
//! tracker.succeed(job.uuid, Success::with_message("40 files"))?;
//!
//! let ended = Query::matching(Expr::parse("state", "success|failure", Names::Native)?);
//! assert_eq!(tracker.query(&ended)?.jobs[0].message, "40 files");
//! # Ok::<(), jobtrack::Error>(())
//! ```
//!
//! # A tour
//!
//! - [`Tracker`] is what you hold. It takes a [`Command`] (who asks for what, and why), decides it
//!   by a pure table of states and updates, stores it, and only then lets it be seen. Callers that
//!   come together share a commit. [`Tracker::run`] blocks; [`Tracker::submit`] and
//!   [`Tracker::drive`] do not, and a [`Ticket`] can be awaited without any runtime.
//! - [`Job`] is what is known of one job at one [`Revision`]. Its [`Phase`] carries what only some
//!   states have, so a failure without a code cannot be written down; [`JobParts`] is the same laid
//!   flat, for JSON.
//! - [`Query`] filters by any [`Field`] ([`Expr`]), in any [`Order`], in pages that lose nothing
//!   while jobs come and go. Each part can be built in Rust or read from the text of ONTAP's REST
//!   API.
//! - [`Watch`] tells of every transition that concerns a filter, across restarts, and says so where
//!   it cannot ([`EventKind::Gap`]).
//! - [`Store`] is the durable home, a trait of three functions. [`MemoryStore`] is the reference;
//!   the crate `jobtrack-redb` keeps jobs in a file that survives kill -9 and power loss.
//! - [`Clock`] is the only source of time and ids.
//!
//! # What is promised
//!
//! - An acknowledged change survives what its [`Durability`] says, and is there wholly or not at
//!   all. Where a failing disk leaves that open, the error says so ([`ErrorKind::OutcomeUnknown`]).
//! - A finished job is gone exactly when its time is up: after 300 seconds, unless the engine's
//!   [`Options`] or the job say otherwise. No answer that begins later shows it, whatever the wall
//!   clock does; no restart brings it back.
//! - An answer names the revision and the horizon that it is a function of.
//! - A refusal changes nothing, and says which field or job is at fault and what would be right.
//!
//! # What it does not do
//!
//! Run work, schedule it, retry it, or pass messages. Answer queries from the store: all jobs are
//! held in memory, payloads apart.

mod archive;
mod clock;
mod command;
mod error;
mod field;
mod job;
mod lifecycle;
pub mod limits;
mod query;
pub mod store;
mod table;
mod timestamp;
mod tracker;
mod watch;

pub use archive::Archive;
pub use clock::{Clock, SystemClock};
pub use command::{
    Change, Claim, Command, Extension, Failure, FailureError, Hold, NewJob, Relabel, Renewal,
    Report, Success, Term, Update,
};
pub use error::{Error, ErrorKind, Result, quoted};
pub use field::{Field, FieldType, Names, ValueRef};
pub use job::{
    Action, Actor, Allows, Argument, BULK_KIND, Cause, Ended, ErrorDetail, Gone, Held, Job,
    JobError, JobId, JobParts, Labels, Lease, Log, LogEntry, LogKind, Phase, Progress, Request,
    Retention, Revision, Scope, Severity, State, Tenant, Text, Told,
};
pub use lifecycle::{Children, Ending, FamilyOptions, LeaseOptions, Lost, RetentionRule, RollUp};
pub use limits::Limits;
pub use query::{
    Budget, Cancel, Comparison, Count, Direction, Explanation, Expr, Order, OrderKey, Page,
    PageToken, Pattern, Query, Selection, Step, Test, Value,
};
pub use store::{Durability, MemoryStore, NoStore, Store};
pub use table::Counts;
pub use timestamp::{ParsedTime, Timestamp};
pub use tracker::{
    Access, Applied, ArchiveStatus, Bulk, BulkAction, BulkRequest, BulkStep, Estimate, FormatLevel,
    Found, LogOptions, Maintained, OpenReport, Opening, Options, Stats, Ticket, TombstoneOptions,
    Tracker, Tree, TreeNode, Watch,
};
pub use watch::{Event, EventKind, HistoryOptions, Position};
