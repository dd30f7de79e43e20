//! What jobtrack's stores share whose engine does not notice by itself all that it loses.
//!
//! redb keeps a checksum of every page and reads nothing that does not match. Other engines read a
//! flipped byte as data, or take damage in the middle of their journal for its torn end and drop
//! everything after it. [`CheckedStore`] makes a [`Store`](jobtrack::Store) of such an [`Engine`], and
//! finds what the engine does not:
//!
//! - **A record that has changed**: each carries a checksum over its key, its revision and its value.
//! - **A record that is gone, or an old one that is back**: each commit also writes a *seal*, one
//!   record with the number of the commit, and the count and the sum of checksums of all records.
//!   Loading counts and adds up again.
//! - **Commits that are gone from the end**, which leaves an older state that is whole in itself: a
//!   seal says up to which commit everything was synced when it was written. Before the engine may
//!   touch its files they are searched for seals; and a file of our own, the *label*, says which
//!   commit the store held when it was last closed, or a thousand commits ago. A store that stands
//!   before either is damaged, and says so at every opening.
//!
//! What remains is damage to the last commits of a store that was not closed cleanly, which looks
//! like a write that a crash has torn: if no trace of any later synced commit is left, and the label
//! is older, it is taken for one.

mod evidence;
mod label;
mod record;
mod salvage;
mod store;

pub use evidence::seals;
pub use record::Seal;
pub use store::CheckedStore;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use jobtrack::store::{Abilities, Folder, Loss};
use jobtrack::{Clock, Error, ErrorKind, Result, quoted};
use uuid::Uuid;

/// What an [`Engine`]'s pairs are handed to: key, value.
pub type VisitPair<'a> = dyn FnMut(&[u8], &[u8]) -> Result<()> + 'a;

/// An ordered map of bytes on disk, as embedded engines offer it.
///
/// # Contract
///
/// That of [`Store`](jobtrack::Store), as far as it speaks of crashes and of what readers see: all
/// or nothing, in order, synced means synced, and a scan sees whole commits only. An engine may
/// panic: whatever it does on damaged files comes back as an error.
pub trait Engine: Send + Sync + Sized {
    /// How it is opened.
    type Options: Default;

    /// Its name, and that of the folder in which it keeps its files.
    const NAME: &'static str;

    /// The name of the [label](crate), a file; it is `jobs.` and the engine's name.
    const LABEL: &'static str;

    /// What the store can do beyond what every one must. Scanning and restoring are done here, so
    /// only the rest is asked for.
    const ABILITIES: Abilities;

    /// Where the time comes from that the lock file shows, and the store's own id.
    fn clock(options: &Self::Options) -> &dyn Clock;

    /// Opens the engine in its folder, which is empty if the place [is new](Place::is_new).
    ///
    /// # Errors
    ///
    /// `StoreDamaged`, `StoreTooNew`, and what the operating system refuses.
    fn open(place: &Place, options: &Self::Options) -> Result<Self>;

    /// Opens a damaged engine in its folder, which is a copy, as far as it can be opened at all, and
    /// tells what had to be left out for it. Whatever it reads is proved by its checksum.
    ///
    /// # Errors
    ///
    /// As [`open`](Engine::open).
    fn open_damaged(place: &Place, _losses: &mut Vec<Loss>) -> Result<Self> {
        Self::open(place, &Self::Options::default())
    }

    /// The value under a key.
    ///
    /// # Errors
    ///
    /// `StoreDamaged` and `StoreFailed`.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Visits every pair in the order of keys, or backwards, all as of one moment between two writes.
    /// Writes may wait meanwhile.
    ///
    /// # Errors
    ///
    /// As [`get`](Engine::get), and every error of `visit` as it is.
    fn scan(&self, is_backwards: bool, visit: &mut VisitPair<'_>) -> Result<()>;

    /// Writes all pairs or none; None removes. If synced, it returns after they, and everything
    /// written before, would survive power loss.
    ///
    /// # Errors
    ///
    /// Whatever happened, the outcome is taken to be unknown, and nothing is written any more.
    fn write(&self, pairs: Vec<(Vec<u8>, Option<Vec<u8>>)>, is_synced: bool) -> Result<()>;

    /// Returns after everything written before would survive power loss.
    ///
    /// # Errors
    ///
    /// What the operating system refuses.
    fn sync(&self) -> Result<()>;

    /// Gives back to the disk what room it can, if that is among its abilities.
    ///
    /// # Errors
    ///
    /// As [`get`](Engine::get).
    fn compact(&self) -> Result<()> {
        Ok(())
    }
}

/// Where an engine keeps its files, and what is known of them before it is opened.
#[derive(Debug, Clone)]
pub struct Place {
    /// The engine's own folder.
    pub path: PathBuf,
    /// The store's own id, which all its seals bear.
    pub store: Uuid,
    /// Whether the store is being made.
    pub is_new: bool,
    /// The commit that must be there at least.
    pub floor: u64,
}

impl Place {
    /// What an engine calls damage, in the form "FOLDER is damaged: WHY".
    pub fn damaged(&self, why: impl fmt::Display) -> Error {
        self.error(ErrorKind::StoreDamaged, "is damaged", why)
    }

    /// An error of the form "FOLDER HOW: WHY".
    pub fn error(&self, kind: ErrorKind, how: &str, why: impl fmt::Display) -> Error {
        with_path(kind, &self.path, how, why)
    }

    /// What the operating system refused to do with a file of the engine.
    ///
    /// `doing` is the verb of the sentence: "cannot `doing` "/var/lib/x/db": No space left". A file
    /// that is missing or ends too early is damage, and so are offsets that no file can have.
    pub fn refusal(&self, doing: &str, path: &Path, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::NotFound
            | io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput => {
                with_path(ErrorKind::StoreDamaged, path, "is damaged", &error).with_source(error)
            }
            _ => Folder::refusal(doing, path, error),
        }
    }
}

fn with_path(kind: ErrorKind, path: &Path, how: &str, why: impl fmt::Display) -> Error {
    Error::new(kind, format!("{} {how}: {why}", quoted(&path.to_string_lossy())))
}
