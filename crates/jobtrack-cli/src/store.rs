//! Which store: `redb:PATH` or `memory:`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jobtrack::{MemoryStore, Options, Tracker};
use jobtrack_redb::RedbStore;

/// A store as the command line names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StoreName {
    /// A folder of its own, durable.
    Redb(PathBuf),
    /// Gone with the process.
    Memory,
}

impl StoreName {
    /// Its folder, if it has one.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match self {
            StoreName::Redb(path) => Some(path),
            StoreName::Memory => None,
        }
    }

    /// Whether there is anything to open.
    pub(crate) fn exists(&self) -> bool {
        self.folder().is_none_or(Path::exists)
    }

    /// Opens it, and all its jobs.
    pub(crate) fn open(&self, options: Options) -> jobtrack::Result<Tracker> {
        match self {
            StoreName::Redb(path) => Tracker::open(RedbStore::open(path)?, options),
            StoreName::Memory => Tracker::open(MemoryStore::new(), options),
        }
    }
}

impl FromStr for StoreName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("redb", "")) => {
                Err("redb: needs the path of a folder, such as redb:./jobtrack-data".to_owned())
            }
            Some(("redb", path)) => Ok(StoreName::Redb(path.into())),
            Some(("memory", "")) => Ok(StoreName::Memory),
            _ => Err(format!("{text:?} is no store; write redb:FOLDER or memory:")),
        }
    }
}

impl fmt::Display for StoreName {
    /// Where the data is, as people want to know it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreName::Memory => f.write_str("memory alone: it is gone when the server stops"),
            StoreName::Redb(path) => {
                let absolute = path.canonicalize();
                write!(f, "{} (redb)", absolute.as_ref().unwrap_or(path).display())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_named_by_its_kind_and_place() {
        assert_eq!("redb:./x:y".parse(), Ok(StoreName::Redb("./x:y".into())));
        assert_eq!("memory:".parse(), Ok(StoreName::Memory));
        for bad in ["", "redb", "redb:", "memory", "memory:x", "sled:./x", "./data"] {
            assert!(bad.parse::<StoreName>().is_err(), "{bad}");
        }
    }
}
