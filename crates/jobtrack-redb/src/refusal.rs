//! redb's errors in jobtrack's words.

use std::fmt::Display;
use std::io;

use jobtrack::store::Folder;
use jobtrack::{Error, ErrorKind, quoted};

/// What redb refused to do with the data file.
pub(crate) fn refusal(folder: &Folder, doing: &str, error: redb::Error) -> Error {
    let (kind, how) = match error {
        redb::Error::Io(ref error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            (ErrorKind::StoreDamaged, "is damaged and cut short")
        }
        // Of the operating system; a full disk must be told from a bad one.
        redb::Error::Io(error) => return folder.error(doing, error),
        redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
            (ErrorKind::StoreHeld, "is held by another program")
        }
        redb::Error::UpgradeRequired(_) => (ErrorKind::StoreForeign, "is not a jobtrack store"),
        redb::Error::Corrupted(_)
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TypeDefinitionChanged { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TableDoesNotExist(_) => (ErrorKind::StoreDamaged, "is damaged"),
        redb::Error::ValueTooLarge(_) => {
            (ErrorKind::LimitExceeded, "cannot hold a record so large")
        }
        _ => (ErrorKind::StoreFailed, "cannot be used"),
    };
    with_path(folder, kind, how, &error).with_source(error)
}

/// An error of the form "FILE is damaged: WHY".
pub(crate) fn with_path(folder: &Folder, kind: ErrorKind, how: &str, why: &dyn Display) -> Error {
    let path = folder.data_path();
    Error::new(kind, format!("{} {how}: {why}", quoted(&path.to_string_lossy())))
}
