//! One byte for the store, and a history: the tracker on that store and a plain model of it agree
//! after each operation, through closing and through crashes that leave what `kill -9` leaves.

use std::path::Path;

use jobtrack::{Result, Store};
use jobtrack_fjall::FjallStore;
use jobtrack_redb::RedbStore;
use jobtrack_sled::SledStore;
use jobtrack_testkit::FolderMachine;
use jobtrack_testkit::history::play_on;

use crate::history::LONGEST;

/// Opens a store of the kind that the byte stands for.
pub(crate) fn open(kind: u8, path: &Path) -> Result<Box<dyn Store>> {
    match kind % 3 {
        0 => Ok(Box::new(RedbStore::open(path)?)),
        1 => {
            // With so little memory that there are tables beside the journal.
            let options = jobtrack_fjall::Options { buffer_bytes: 4 << 10, ..Default::default() };
            Ok(Box::new(FjallStore::open_with(path, &options)?))
        }
        _ => Ok(Box::new(SledStore::open(path)?)),
    }
}

/// Plays the history on one of the stores.
///
/// # Panics
///
/// Where tracker and model disagree.
pub fn stores(data: &[u8]) {
    let Some((&kind, history)) = data.split_first() else { return };
    let mut machine = FolderMachine::new(|path: &Path| open(kind, path));
    play_on(&mut machine, &history[..history.len().min(LONGEST)]);
}
