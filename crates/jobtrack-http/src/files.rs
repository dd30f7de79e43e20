//! Files that a server is given: certificates, keys, users.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{error, fmt};

/// What is wrong with a file that the server was given, in one line for people.
///
/// ```
/// use jobtrack_http::Users;
///
/// let error = Users::open("no/such/file").unwrap_err();
/// assert!(error.to_string().starts_with("no/such/file: "));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileError {
    path: PathBuf,
    problem: String,
}

impl FileError {
    pub(crate) fn new(path: &Path, problem: impl fmt::Display) -> Self {
        FileError { path: path.to_owned(), problem: problem.to_string() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.problem)
    }
}

impl error::Error for FileError {}

/// The largest of such files.
const LARGEST: u64 = 16 * 1024 * 1024;

/// What makes two states of a file differ, as far as can be seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl Stamp {
    /// Of the file that has this name now; none if there is none.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        let metadata = path.metadata().ok()?;
        Some(Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            // The time of the last change of content or of permissions: unlike the time of writing,
            // no program sets it.
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// Reads all of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let (content, _) = read_file(path).map_err(|error| FileError::new(path, error))?;
    Ok(content)
}

/// Reads a file that holds secrets, which nobody but its owner may read.
pub(crate) fn read_private(path: &Path) -> Result<Vec<u8>, FileError> {
    let (content, mode) = read_file(path).map_err(|error| FileError::new(path, error))?;
    if mode & 0o077 != 0 {
        let problem = format!(
            "others than its owner may read or write it (its mode is {:04o}); it holds secrets, so \
             run: chmod 600 '{}'",
            mode & 0o7777,
            path.display()
        );
        return Err(FileError::new(path, problem));
    }
    Ok(content)
}

/// The content and the mode.
fn read_file(path: &Path) -> io::Result<(Vec<u8>, u32)> {
    let file = File::open(path)?;
    // Of what was opened, and not of what may stand under the name a moment later.
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut content = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut content)?;
    if content.len() as u64 > LARGEST {
        return Err(io::Error::other(format!("it is larger than {LARGEST} bytes")));
    }
    Ok((content, metadata.mode()))
}
