//! A store that is being made: under another name until it is whole.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use jobtrack::Store;

use crate::Failed;
use crate::export::beside;
use crate::store::{Kind, StoreName};

/// Made in a folder beside its place, which is removed if it is not finished.
pub(super) struct Fresh {
    kind: Kind,
    partial: PathBuf,
    place: PathBuf,
}

impl Fresh {
    /// Refuses a place that is taken, and writes nothing yet.
    pub(super) fn begin(to: &StoreName) -> Result<Fresh, Failed> {
        let StoreName::Folder(kind, place) = to else {
            let message = "memory: ends with this command; name a folder, such as redb:./copy";
            return Err(Failed::usage(message));
        };
        let named = |error: io::Error| format!("{}: {error}", place.display());
        match fs::read_dir(place).map(|mut entries| entries.next()) {
            Ok(Some(_)) => {
                return Err(Failed::because(format!(
                    "{}: the folder is not empty; name one that is empty, or absent",
                    place.display()
                )));
            }
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(Failed::because(format!("{}: it is a file", place.display())));
            }
            Err(error) => return Err(named(error).into()),
        }
        if place.file_name().is_none() {
            let message = format!("{}: name the folder itself, and not . or ..", place.display());
            return Err(Failed::usage(message));
        }
        fs::create_dir_all(above(place)).map_err(named)?;
        Ok(Fresh { kind: *kind, partial: beside(place), place: place.clone() })
    }

    /// The store to fill.
    pub(super) fn open(&self) -> Result<Box<dyn Store>, Failed> {
        Ok(StoreName::Folder(self.kind, self.partial.clone()).open_store()?)
    }

    /// Gives the store, which is closed, its name. Returns how much of the disk it takes.
    pub(super) fn finish(self) -> Result<u64, Failed> {
        let Fresh { partial, place, .. } = &self;
        fs::rename(partial, place)
            .and_then(|()| File::open(above(place))?.sync_all())
            .map_err(|error| format!("{}: {error}", place.display()))?;
        Ok(bytes_on_disk(place)?)
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        // After it was finished there is nothing of this name any more.
        let _ = fs::remove_dir_all(&self.partial);
    }
}

/// The folder in which a path stands.
fn above(path: &Path) -> &Path {
    match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    }
}

/// How much of the disk the files of a folder take. Not their lengths: some stores make a file in
/// advance, as a hole.
pub(super) fn bytes_on_disk(folder: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += match metadata.is_dir() {
            true => bytes_on_disk(&entry.path())?,
            // The system counts in these, whatever the blocks of the disk are.
            false => metadata.blocks() * 512,
        };
    }
    Ok(bytes)
}
