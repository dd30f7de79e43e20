//! What must hold at each door through which foreign bytes come in.
//!
//! Each module is one door, and says at its head what must hold; "no panic" is the least of it. The
//! fuzz targets in `fuzz/` throw bytes at them, and `tests/kept.rs` throws those that were kept:
//! the seeds, and whatever a fuzzer found once. So a fuzzer is needed to find something, and none to
//! see that it stays mended.

// To fail is how a judge speaks.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod filter_text;
mod history;
mod http;
mod import;
mod job_json;
mod jobs;
mod order_and_fields;
mod page_token;
mod query;
mod records;
mod store_files;
mod stores;
mod timestamp;

pub use filter_text::filter_text;
pub use history::history;
pub use http::http;
pub use import::import;
pub use job_json::job_json;
pub use order_and_fields::order_and_fields;
pub use page_token::page_token;
pub use query::query;
pub use records::records;
pub use store_files::store_files;
pub use stores::stores;
pub use timestamp::timestamp;

/// A door: what its name is, and what must hold for bytes that come in there.
pub type Door = (&'static str, fn(&[u8]));

/// All doors, by the names of their fuzz targets and of the folders of inputs that are kept.
pub const DOORS: &[Door] = &[
    ("filter_text", filter_text),
    ("history", history),
    ("http", http),
    ("import", import),
    ("job_json", job_json),
    ("order_and_fields", order_and_fields),
    ("page_token", page_token),
    ("query", query),
    ("records", records),
    ("store_files", store_files),
    ("stores", stores),
    ("timestamp", timestamp),
];
