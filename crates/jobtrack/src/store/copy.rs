//! From one store into another.

use super::codec::HEAD_KEY;
use super::restore::Restorer;
use super::{Space, Store};
use crate::clock::Clock;
use crate::error::Result;

/// Copies everything in a store into a new one, of whichever kind; returns how many records.
///
/// Every space is copied, and each record keeps its revision, so watches and page tokens go on;
/// [`Restorer`] tells what becomes of the epoch. `progress` is told how many records have been
/// written. A copy that was interrupted is refused as no store.
///
/// # Errors
///
/// `InvalidValue` if the store that is copied into has ever been written; `StoreCannot` if one of
/// them is of a kind that cannot be copied; `StoreForeign`, `StoreTooNew` and `StoreDamaged` for
/// what cannot be read; and those of either store.
pub fn copy(
    from: &dyn Store,
    to: &dyn Store,
    clock: &dyn Clock,
    progress: &mut dyn FnMut(u64),
) -> Result<u64> {
    // Every commit of the engine writes the head.
    let last = from.read(Space::Meta, HEAD_KEY)?.map_or(0, |head| head.revision);
    let mut restorer = Restorer::begin(to, last)?;
    let number = from.scan(&mut |space, key, record| {
        progress(restorer.put(space, key, record?)?);
        Ok(())
    })?;
    let records = restorer.finish(number, clock)?;
    progress(records);
    Ok(records)
}
