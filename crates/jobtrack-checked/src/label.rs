//! The label: a small file of our own, which says what the folder is, and what it must hold.
//!
//! It is text for people, and the one thing about the store that the engine has no hand in:
//!
//! ```text
//! jobtrack store in fjall
//! layout 1
//! store 019ab0f2-4c1e-7d52-9a3e-2f1c5b7a9d10
//! commit 1024
//! check 5d41402abc4b2a76
//! ```

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use jobtrack::store::Folder;
use jobtrack::{ErrorKind, Result};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use crate::with_path;

/// The level of the layout that this build writes; a store of a higher one is refused by name.
const LAYOUT: u64 = 1;

/// What every label begins with.
const TITLE: &str = "jobtrack store in ";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Label {
    /// The store's own id.
    pub(crate) store: Uuid,
    /// The commit that must be there at least; None while the store is being made.
    pub(crate) floor: Option<u64>,
}

impl Label {
    /// Reads the label of a store in this engine.
    pub(crate) fn read(folder: &Folder, engine: &str) -> Result<Label> {
        Self::read_at(&folder.data_path(), engine)
    }

    /// The same of a folder that is not opened.
    pub(crate) fn read_at(path: &Path, engine: &str) -> Result<Label> {
        let bytes = fs::read(path).map_err(|error| Folder::refusal("read", path, error))?;
        let damaged = |why| with_path(ErrorKind::StoreDamaged, path, "is damaged", why);
        let refused = |kind, how, why: String| Err(with_path(kind, path, how, why));
        if bytes.is_empty() {
            return Err(damaged("it is empty"));
        }
        let text = String::from_utf8_lossy(&bytes);
        if !text.starts_with(TITLE) {
            let why = "it does not begin as the label of a store does".to_owned();
            return refused(ErrorKind::StoreForeign, "is not a jobtrack store", why);
        }
        let Some(body) = checked(&text) else {
            return Err(damaged("it does not match its checksum"));
        };
        let line = |name: &str| body.lines().find_map(|line| line.strip_prefix(name));
        // Labels of every layout keep these lines and the checksum, so that this can be said.
        let layout = line("layout ").and_then(|layout| layout.parse::<u64>().ok());
        match layout {
            Some(layout) if layout > LAYOUT => {
                let why = format!("it has layout {layout}, this build reads up to {LAYOUT}");
                return refused(ErrorKind::StoreTooNew, "is of a newer jobtrack", why);
            }
            _ => {}
        }
        let store = line("store ").and_then(|store| store.parse().ok());
        let floor = match line("commit ") {
            Some("none") => Some(None),
            Some(commit) => commit.parse().ok().map(Some),
            None => None,
        };
        match (layout, line(TITLE), store, floor) {
            (Some(LAYOUT), Some(found), Some(store), Some(floor)) if found == engine => {
                Ok(Label { store, floor })
            }
            _ => Err(damaged("a line of it is missing or makes no sense")),
        }
    }

    /// Writes the label in place of the one before, durably: afterwards there is the one or the
    /// other, and never half of any.
    pub(crate) fn write(self, folder: &Folder, engine: &str) -> Result<()> {
        let floor = self.floor.map_or_else(|| "none".to_owned(), |floor| floor.to_string());
        let body = format!(
            "{TITLE}{engine}\nlayout {LAYOUT}\nstore {}\ncommit {floor}\n",
            self.store.as_hyphenated()
        );
        let text = format!("{body}check {:016x}\n", xxh3_64(body.as_bytes()));
        File::create(folder.temporary_path())
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            })
            .map_err(|error| folder.error("write", error))?;
        folder.put_in_place()
    }
}

/// The text before the line of the checksum, if that matches.
fn checked(text: &str) -> Option<&str> {
    let (body, check) = text.strip_suffix('\n')?.rsplit_once("\ncheck ")?;
    let body = text.get(..=body.len())?;
    (check == format!("{:016x}", xxh3_64(body.as_bytes()))).then_some(body)
}

#[cfg(test)]
mod tests {
    use jobtrack::SystemClock;

    use super::*;

    #[test]
    fn a_label_comes_back_and_none_that_is_changed() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::open(parent.path(), "jobs.x", &SystemClock::new()).unwrap();
        for floor in [None, Some(0), Some(u64::MAX)] {
            let label = Label { store: Uuid::from_u128(77), floor };
            label.write(&folder, "x").unwrap();
            assert_eq!(Label::read(&folder, "x").unwrap(), label);
            let kind = Label::read(&folder, "y").unwrap_err().kind();
            assert_eq!(kind, ErrorKind::StoreDamaged, "of another engine");
        }
        let whole = fs::read(folder.data_path()).unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            for bytes in [&flipped[..], &whole[..at]] {
                fs::write(folder.data_path(), bytes).unwrap();
                let error = Label::read(&folder, "x").unwrap_err();
                let kinds = [ErrorKind::StoreDamaged, ErrorKind::StoreForeign];
                assert!(kinds.contains(&error.kind()), "byte {at}: {error}");
            }
        }
    }

    #[test]
    fn a_newer_layout_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::open(parent.path(), "jobs.x", &SystemClock::new()).unwrap();
        let body = format!("{TITLE}x\nlayout 2\nsomething new\n");
        let text = format!("{body}check {:016x}\n", xxh3_64(body.as_bytes()));
        fs::write(folder.data_path(), text).unwrap();
        let error = Label::read(&folder, "x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StoreTooNew);
        assert!(error.message().contains("layout 2, this build reads up to 1"), "{error}");
    }
}
