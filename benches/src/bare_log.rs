//! What the disk gives a program that does nothing but append and sync.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A file that was laid out beforehand, so that appending neither allocates blocks nor grows it.
///
/// ```
/// use jobtrack_benches::BareLog;
///
/// let folder = tempfile::tempdir()?;
/// let mut log = BareLog::create(folder.path(), 1_000);
/// log.append(&[7; 600]);
/// log.append(&[8; 600]); // begins again, since it would not fit
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct BareLog {
    file: File,
    path: PathBuf,
    length: usize,
    at: usize,
}

impl BareLog {
    /// A log of so many bytes in this folder.
    ///
    /// # Panics
    ///
    /// If the disk refuses.
    pub fn create(folder: &Path, length: usize) -> Self {
        let path = folder.join("bare-log");
        let mut file = File::create(&path).expect("a file can be made");
        file.write_all(&vec![0; length]).expect("the file can be laid out");
        file.sync_all().expect("the file can be synced");
        file.rewind().expect("the file can be rewound");
        BareLog { file, path, length, at: 0 }
    }

    /// Appends these bytes and syncs them; from the beginning where they would not fit.
    ///
    /// # Panics
    ///
    /// If the disk refuses.
    pub fn append(&mut self, bytes: &[u8]) {
        if self.at + bytes.len() > self.length {
            self.file.seek(SeekFrom::Start(0)).expect("the file can be rewound");
            self.at = 0;
        }
        self.file.write_all(bytes).expect("the file can be written");
        self.file.sync_data().expect("the file can be synced");
        self.at += bytes.len();
    }
}

impl Drop for BareLog {
    fn drop(&mut self) {
        // What is left of it lies in a folder that is removed.
        let _ = std::fs::remove_file(&self.path);
    }
}
