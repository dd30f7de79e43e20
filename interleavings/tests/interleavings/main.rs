//! The tracker under schedules that shuttle chooses: commits, tickets, readers, expiry, waiting and
//! watching.
//!
//! Each test is a small program of a few threads, run over and over; at every lock shuttle decides
//! who goes on, so a wake-up that is lost is a deadlock it reports, and an order that never happens
//! on an idle machine happens here. `cargo xtask shuttle` runs as many schedules as one likes.

// The helpers of tests are a part of them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

mod expiry;
mod play;
mod queue;
mod readers;
mod waiting;
