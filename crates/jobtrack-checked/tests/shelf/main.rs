//! `CheckedStore` on the plainest engine, which loses what a test tells it to.

mod conformance;
mod engine;
mod losses;
