//! Which store: `redb:PATH`, `fjall:PATH`, `sled:PATH` or `memory:`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jobtrack::store::Remains;
use jobtrack::{MemoryStore, Options, Store, Tracker};
#[cfg(feature = "fjall")]
use jobtrack_fjall::FjallStore;
use jobtrack_redb::RedbStore;
#[cfg(feature = "sled")]
use jobtrack_sled::SledStore;

use crate::Failed;

/// A store as the command line names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StoreName {
    /// A folder of its own, durable.
    Folder(Kind, PathBuf),
    /// Gone with the process.
    Memory,
}

/// What keeps the jobs of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Redb,
    #[cfg(feature = "fjall")]
    Fjall,
    #[cfg(feature = "sled")]
    Sled,
}

impl Kind {
    /// Every kind that this build has.
    const ALL: &[Kind] = &[
        Kind::Redb,
        #[cfg(feature = "fjall")]
        Kind::Fjall,
        #[cfg(feature = "sled")]
        Kind::Sled,
    ];

    /// The kinds that there are, whether or not this build has them.
    const NAMES: &[&str] = &["redb", "fjall", "sled"];

    fn name(self) -> &'static str {
        match self {
            Kind::Redb => "redb",
            #[cfg(feature = "fjall")]
            Kind::Fjall => "fjall",
            #[cfg(feature = "sled")]
            Kind::Sled => "sled",
        }
    }
}

impl StoreName {
    /// As it is written on a command line.
    pub(crate) fn url(&self) -> String {
        match self {
            StoreName::Folder(kind, path) => format!("{}:{}", kind.name(), path.display()),
            StoreName::Memory => "memory:".to_owned(),
        }
    }

    /// Its folder, if it has one.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match self {
            StoreName::Folder(_, path) => Some(path),
            StoreName::Memory => None,
        }
    }

    /// Whether there is anything to open.
    pub(crate) fn exists(&self) -> bool {
        self.folder().is_none_or(Path::exists)
    }

    /// Refuses what is not a store of this kind, and says of which kind it is.
    ///
    /// To open it would make a folder that is empty or absent into a store.
    pub(crate) fn expect_there(&self) -> Result<(), Failed> {
        let StoreName::Folder(kind, path) = self else {
            let message = "memory: ends with this command; name a folder, such as redb:./data";
            return Err(Failed::usage(message));
        };
        if path.join(format!("jobs.{}", kind.name())).exists() {
            return Ok(());
        }
        let other = Kind::NAMES.iter().find(|name| path.join(format!("jobs.{name}")).exists());
        let path = path.display();
        Err(Failed::because(match other {
            Some(other) => {
                format!("{path}: the store there is of another kind; write {other}:{path}")
            }
            None => format!("there is no store in {} at {path}", kind.name()),
        }))
    }

    /// Opens it, and all its jobs.
    pub(crate) fn open(&self, options: Options) -> jobtrack::Result<Tracker> {
        Tracker::open(self.open_store()?, options)
    }

    /// Opens it as a store alone.
    pub(crate) fn open_store(&self) -> jobtrack::Result<Box<dyn Store>> {
        Ok(match self {
            StoreName::Folder(Kind::Redb, path) => Box::new(RedbStore::open(path)?),
            #[cfg(feature = "fjall")]
            StoreName::Folder(Kind::Fjall, path) => Box::new(FjallStore::open(path)?),
            #[cfg(feature = "sled")]
            StoreName::Folder(Kind::Sled, path) => Box::new(SledStore::open(path)?),
            StoreName::Memory => Box::new(MemoryStore::new()),
        })
    }

    /// Reads what is left of a damaged one, and names the file that it was in. What has to be
    /// written for that is written to the folder `scratch`.
    pub(crate) fn salvage(&self, scratch: &Path) -> jobtrack::Result<(Remains, PathBuf)> {
        match self {
            StoreName::Folder(Kind::Redb, path) => {
                Ok((RedbStore::salvage(path)?, path.join("jobs.redb")))
            }
            #[cfg(feature = "fjall")]
            StoreName::Folder(Kind::Fjall, path) => {
                Ok((FjallStore::salvage(path, scratch)?, path.join("fjall")))
            }
            #[cfg(feature = "sled")]
            StoreName::Folder(Kind::Sled, path) => {
                Ok((SledStore::salvage(path, scratch)?, path.join("sled")))
            }
            StoreName::Memory => Ok((Remains::default(), PathBuf::new())),
        }
    }
}

impl FromStr for StoreName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, place) = text.split_once(':').unwrap_or((text, ""));
        if text == "memory:" {
            return Ok(StoreName::Memory);
        }
        let kind = Kind::ALL.iter().find(|kind| kind.name() == name);
        match kind {
            Some(_) if place.is_empty() => {
                Err(format!("{name}: needs the path of a folder, such as {name}:./jobtrack-data"))
            }
            Some(kind) => Ok(StoreName::Folder(*kind, place.into())),
            None if Kind::NAMES.contains(&name) => {
                Err(format!("this jobtrack was built without {name}"))
            }
            None => {
                let names: Vec<_> =
                    Kind::ALL.iter().map(|kind| format!("{}:FOLDER", kind.name())).collect();
                Err(format!("{text:?} is no store; write {} or memory:", names.join(", ")))
            }
        }
    }
}

impl fmt::Display for StoreName {
    /// Where the data is, as people want to know it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreName::Memory => f.write_str("memory alone: it is gone when the server stops"),
            StoreName::Folder(kind, path) => {
                let absolute = path.canonicalize();
                write!(f, "{} ({})", absolute.as_ref().unwrap_or(path).display(), kind.name())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_named_by_its_kind_and_place() {
        for &kind in Kind::ALL {
            let text = format!("{}:./x:y", kind.name());
            assert_eq!(text.parse(), Ok(StoreName::Folder(kind, "./x:y".into())));
        }
        assert_eq!("memory:".parse(), Ok(StoreName::Memory));
        for bad in ["", "redb", "redb:", "memory", "memory:x", "sled:", "rocks:./x", "./data"] {
            assert!(bad.parse::<StoreName>().is_err(), "{bad}");
        }
        let error = "rocks:./x".parse::<StoreName>().unwrap_err();
        assert!(error.contains("write redb:FOLDER"), "{error}");
    }

    #[test]
    fn a_kind_that_was_left_out_is_named() {
        for name in Kind::NAMES {
            let outcome = format!("{name}:./x").parse::<StoreName>();
            let is_built = Kind::ALL.iter().any(|kind| kind.name() == *name);
            let without = format!("this jobtrack was built without {name}");
            assert_eq!(outcome.err(), (!is_built).then_some(without));
        }
    }

    #[test]
    fn every_kind_opens_and_is_opened_again() {
        for &kind in Kind::ALL {
            let parent = tempfile::tempdir().unwrap();
            let name = StoreName::Folder(kind, parent.path().join("data"));
            assert_eq!(name.folder(), Some(&*parent.path().join("data")));
            for _ in 0..2 {
                let tracker = name.open(Options::default()).unwrap();
                assert_eq!(tracker.opened().epoch, 1, "closed cleanly");
            }
            assert!(name.to_string().ends_with(&format!("data ({})", kind.name())), "{name}");
        }
    }
}
