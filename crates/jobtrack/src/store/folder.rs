//! What every embedded store shares: one folder, with the data and the lock that guards it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result, quoted};
use crate::timestamp::Timestamp;

/// The lock file's name.
const LOCK: &str = "LOCK";

/// A file that says that a sync has failed. It matters only while the machine runs on, so that it need
/// not be on the disk, which may take nothing more.
const DOUBT: &str = "SYNC_FAILED";

/// What a file system may put into a folder by itself: ext4 makes this one at the root of a volume,
/// and a volume of its own is where many servers keep their data.
const NOT_OURS_BUT_HARMLESS: &str = "lost+found";

/// A folder that this process alone holds, until it is dropped.
///
/// The lock is the operating system's, on the file `LOCK`: it ends with its holder, however that
/// ends, so a dead process never blocks a living one. The text of the file only says who the holder
/// is. A second opening is refused within the same process, too.
///
/// ```
/// use jobtrack::store::Folder;
/// use jobtrack::{ErrorKind, SystemClock};
///
/// # let parent = tempfile::tempdir().unwrap();
/// # let path = parent.path().join("data");
/// let folder = Folder::open(&path, "jobs.db", &SystemClock::new())?;
/// assert!(folder.is_new());
///
/// let second = Folder::open(&path, "jobs.db", &SystemClock::new()).unwrap_err();
/// assert_eq!(second.kind(), ErrorKind::StoreHeld);
/// assert!(second.message().contains(&format!("process {}", std::process::id())));
/// # Ok::<(), jobtrack::Error>(())
/// ```
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    data_file: String,
    is_new: bool,
    lock: File,
}

impl Folder {
    /// Opens the folder of a store whose data is in the file of this name, and locks it.
    ///
    /// A folder that is absent is made, with every folder above it, as `mkdir -p` does. Into one
    /// that is not a store's nothing is written. What a crash left of a store that was being made
    /// is removed.
    ///
    /// # Errors
    ///
    /// `InvalidValue` for an empty path;
    /// `StoreForeign` if the path is a file, or a folder with other content but no data file;
    /// `StoreHeld` if it is held already, naming the holder; `StoreReadOnly` if it cannot be
    /// written; `StoreFull` and `StoreFailed` for what else the operating system refuses.
    pub fn open(path: impl AsRef<Path>, data_file: &str, clock: &dyn Clock) -> Result<Folder> {
        let path = path.as_ref();
        make(path)?;
        inspect(path, data_file)?;
        let lock_path = path.join(LOCK);
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(|error| refusal("open", &lock_path, error))?;
        match try_lock(&lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(path, &mut lock)),
            Err(TryLockError::Error(error)) => return Err(refusal("lock", &lock_path, error)),
        }
        match sign(&mut lock, clock.wall()) {
            // The lock holds without the name, and what is on a full disk must be there to be read
            // and deleted.
            Err(error) if is_full(&error) => {}
            outcome => outcome.map_err(|error| refusal("write", &lock_path, error))?,
        }

        // Looked at again: until it was locked, another process could have made the store.
        let is_new = inspect(path, data_file)?;
        let folder =
            Folder { path: path.to_owned(), data_file: data_file.to_owned(), is_new, lock };
        let half_made = folder.temporary_path();
        match fs::remove_file(&half_made) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(refusal("remove", &half_made, error));
            }
            _ => {}
        }
        folder.sync()?;
        Ok(folder)
    }

    /// Refuses a folder that somebody has open, and keeps others from opening it for as long as what
    /// it returns is kept. Nothing is written: this is for those who only read, such as a salvage.
    ///
    /// # Errors
    ///
    /// `StoreForeign` if there is no folder of this path, `StoreHeld`, and what the operating system
    /// refuses.
    pub fn hold_still(path: impl AsRef<Path>) -> Result<Option<File>> {
        let path = path.as_ref();
        if !path.is_dir() {
            return Err(foreign(path, "it is no folder"));
        }
        let lock_path = path.join(LOCK);
        let mut lock = match File::open(&lock_path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|error| refusal("open", &lock_path, error))?,
        };
        match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => Err(held(path, &mut lock)),
            Err(TryLockError::Error(error)) => Err(refusal("lock", &lock_path, error)),
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The data file, which is absent while the folder [is new](Folder::is_new).
    pub fn data_path(&self) -> PathBuf {
        self.path.join(&self.data_file)
    }

    /// Where a backend makes its data file, so that a crash never leaves half of one under the
    /// name of a whole: it is written and synced here, then [put in place](Folder::put_in_place).
    pub fn temporary_path(&self) -> PathBuf {
        self.path.join(temporary_name(&self.data_file))
    }

    /// Whether there was no data file when the folder was opened.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Gives the file at the [temporary path](Folder::temporary_path) the name of the data file,
    /// durably.
    ///
    /// # Errors
    ///
    /// As [`open`](Folder::open) for what the operating system refuses.
    pub fn put_in_place(&self) -> Result<()> {
        fs::rename(self.temporary_path(), self.data_path())
            .map_err(|error| self.error("make", error))?;
        self.sync()
    }

    /// Makes the names in the folder durable, as a sync of a file does not.
    ///
    /// # Errors
    ///
    /// As [`open`](Folder::open) for what the operating system refuses.
    pub fn sync(&self) -> Result<()> {
        sync_folder(&self.path).map_err(|error| refusal("sync", &self.path, error))
    }

    /// Says that a sync of the store's files has failed, to whoever opens it next.
    ///
    /// What the operating system could not write it may show from its memory for as long as the
    /// machine runs, and never write: a later sync does not see to it. So the store must not be
    /// opened upon what is read before [`write_again`](Folder::write_again).
    pub fn doubt(&self) {
        // Without it nothing is worse than it was.
        let _ = File::create(self.path.join(DOUBT));
    }

    /// Whether [`doubt`](Folder::doubt) was said, and not taken back.
    pub fn is_doubted(&self) -> bool {
        self.path.join(DOUBT).exists()
    }

    /// Takes a [`doubt`](Folder::doubt) back: everything that is read has been written again, and
    /// synced.
    ///
    /// # Errors
    ///
    /// As [`open`](Folder::open) for what the operating system refuses.
    pub fn trust(&self) -> Result<()> {
        let path = self.path.join(DOUBT);
        fs::remove_file(&path).map_err(|error| refusal("remove", &path, error))
    }

    /// Writes every file under this path again as it is read, and syncs it and its name.
    ///
    /// # Errors
    ///
    /// What the operating system refuses.
    pub fn write_again(path: &Path) -> io::Result<()> {
        if path.is_dir() {
            for entry in fs::read_dir(path)? {
                Folder::write_again(&entry?.path())?;
            }
            return sync_folder(path);
        }
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut block = vec![0; 256 << 10];
        let mut at = 0;
        loop {
            file.seek(SeekFrom::Start(at))?;
            let length = file.read(&mut block)?;
            if length == 0 {
                return file.sync_all();
            }
            let read = block.get(..length).unwrap_or_default();
            // What is empty is not written: most of a file that was made in advance is a hole, which
            // takes no room, and a full disk may be why the sync has failed.
            if read.iter().any(|byte| *byte != 0) {
                file.seek(SeekFrom::Start(at))?;
                file.write_all(read)?;
            }
            at += length as u64;
        }
    }

    /// What the operating system refused to do with the data file, as an error of the right kind.
    ///
    /// `doing` is the verb of the sentence: "cannot `doing` "/var/lib/x/jobs.db": No space left".
    pub fn error(&self, doing: &str, error: io::Error) -> Error {
        refusal(doing, &self.data_path(), error)
    }

    /// The same of another path, for backends with more files than one.
    pub fn refusal(doing: &str, path: &Path, error: io::Error) -> Error {
        refusal(doing, path, error)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // So that no later holder's refusal can name this one. Should it fail, the worst is a name
        // that is out of date, and the lock itself ends with the file either way.
        let _ = self.lock.set_len(0);
    }
}

/// Makes the folder and those above it that are absent, durably.
fn make(path: &Path) -> Result<()> {
    if path.as_os_str().is_empty() {
        return Err(Error::new(
            ErrorKind::InvalidValue,
            "the store's path is empty; name a folder",
        ));
    }
    let absent: Vec<&Path> = path
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        .collect();
    fs::create_dir_all(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            foreign(path, "it, or what stands above it, is a file; a store needs a folder")
        }
        _ => refusal("make the folder", path, error),
    })?;
    for folder in absent {
        let above = match folder.parent() {
            Some(above) if !above.as_os_str().is_empty() => above,
            _ => Path::new("."),
        };
        sync_folder(above).map_err(|error| refusal("sync", above, error))?;
    }
    Ok(())
}

/// Whether the folder has no data file yet; an error if it belongs to something else.
fn inspect(path: &Path, data_file: &str) -> Result<bool> {
    let cannot_read = |error| refusal("read the folder", path, error);
    let mut stranger = None;
    for entry in fs::read_dir(path).map_err(cannot_read)? {
        let entry = entry.map_err(cannot_read)?;
        let name = entry.file_name();
        if name == data_file {
            // Followed through a link: the data may lie on another disk.
            let is_file = fs::metadata(entry.path()).is_ok_and(|found| found.is_file());
            return if is_file {
                Ok(false)
            } else {
                Err(foreign(path, &format!("its {data_file} is not a file")))
            };
        }
        let is_ours = name == LOCK || name == DOUBT || name == temporary_name(data_file).as_str();
        if !is_ours && name != NOT_OURS_BUT_HARMLESS {
            stranger = Some(name);
        }
    }
    match stranger {
        None => Ok(true),
        Some(name) => Err(foreign(
            path,
            &format!(
                "it holds {} but no {data_file}; give an empty folder, or one that is absent",
                quoted(&name.to_string_lossy())
            ),
        )),
    }
}

fn temporary_name(data_file: &str) -> String {
    format!("{data_file}.new")
}

/// Takes the lock; where its holder has no name, after a moment's patience.
///
/// A holder writes its name at once and removes it when it lets go. But a lock stays a moment longer
/// if its process is just starting another program: the half-made child has the file open, too.
fn try_lock(lock: &File) -> Result<(), TryLockError> {
    const TRIES: u32 = 50;
    const PAUSE: Duration = Duration::from_millis(4);
    for _ in 1..TRIES {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) if is_empty(lock) => thread::sleep(PAUSE),
            outcome => return outcome,
        }
    }
    lock.try_lock()
}

fn is_empty(file: &File) -> bool {
    file.metadata().is_ok_and(|found| found.len() == 0)
}

/// Writes the holder's name into the lock file.
fn sign(lock: &mut File, now: Timestamp) -> io::Result<()> {
    let program = std::env::current_exe()
        .map_or_else(|_| "unknown".to_owned(), |path| path.display().to_string());
    let text = format!("pid {}\nprogram {program}\nsince {now}\n", std::process::id());
    lock.set_len(0)?;
    lock.write_all(text.as_bytes())
}

/// The refusal that names who holds the folder, as far as the lock file tells.
fn held(path: &Path, lock: &mut File) -> Error {
    // More than this no holder writes. Where locks forbid reading (Windows), the text stays empty.
    let mut text = String::new();
    let _ = lock.take(8192).read_to_string(&mut text);
    let line = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).map(str::to_owned)
    };
    let holder = match (line("pid"), line("program"), line("since")) {
        (Some(pid), Some(program), Some(since)) => {
            format!("process {pid} ({program}) since {since}")
        }
        _ => "another process, which has not written its name".to_owned(),
    };
    let path = quoted(&path.to_string_lossy());
    Error::new(ErrorKind::StoreHeld, format!("the store {path} is held by {holder}"))
}

fn foreign(path: &Path, why: &str) -> Error {
    let path = quoted(&path.to_string_lossy());
    Error::new(ErrorKind::StoreForeign, format!("{path} is not a jobtrack store: {why}"))
}

/// An operating system's refusal as an error of the right kind.
fn refusal(doing: &str, path: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            ErrorKind::StoreReadOnly
        }
        _ if is_full(&error) => ErrorKind::StoreFull,
        _ => ErrorKind::StoreFailed,
    };
    let path = quoted(&path.to_string_lossy());
    Error::new(kind, format!("cannot {doing} {path}: {error}")).with_source(error)
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Elsewhere a folder cannot be opened as a file, and its names are the file system's affair.
#[cfg(not(unix))]
fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    const DATA: &str = "jobs.db";

    fn open(path: impl AsRef<Path>) -> Result<Folder> {
        Folder::open(path, DATA, &SystemClock::new())
    }

    fn names(path: &Path) -> Vec<String> {
        let entries = fs::read_dir(path).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn an_absent_folder_is_made_with_those_above_it() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b/c");
        let folder = open(&path).unwrap();
        assert!(folder.is_new());
        assert_eq!(names(&path), [LOCK]);
    }

    #[test]
    fn the_holder_is_named_and_its_end_frees_the_folder() {
        let parent = tempfile::tempdir().unwrap();
        let folder = open(parent.path()).unwrap();
        let error = open(parent.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StoreHeld);
        let program = std::env::current_exe().unwrap();
        for part in
            [&format!("process {} ", std::process::id()), program.to_str().unwrap(), "since 20"]
        {
            assert!(error.message().contains(part), "{error} lacks {part}");
        }
        drop(folder);
        assert_eq!(
            fs::read(parent.path().join(LOCK)).unwrap(),
            b"",
            "a released lock names nobody"
        );
        open(parent.path()).unwrap();
    }

    #[test]
    fn a_folder_can_be_held_still_without_a_trace() {
        let parent = tempfile::tempdir().unwrap();
        assert!(Folder::hold_still(parent.path()).unwrap().is_none());
        assert_eq!(names(parent.path()), [""; 0]);
        let folder = open(parent.path()).unwrap();
        let error = Folder::hold_still(parent.path()).unwrap_err();
        assert!(error.message().contains(&format!("process {}", std::process::id())), "{error}");
        drop(folder);
        let still = Folder::hold_still(parent.path()).unwrap();
        assert!(still.is_some());
        assert_eq!(open(parent.path()).unwrap_err().kind(), ErrorKind::StoreHeld);
        let error = Folder::hold_still(parent.path().join("absent")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StoreForeign);
    }

    #[test]
    fn a_lock_file_without_a_lock_blocks_nobody() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join(LOCK), "pid 1\nprogram gone\nsince long\n").unwrap();
        let _folder = open(parent.path()).unwrap();
        let error = open(parent.path()).unwrap_err();
        assert!(!error.message().contains("gone"), "{error}");
    }

    /// So it looks when the holder has let go while it was starting another program.
    #[test]
    fn a_lock_that_names_nobody_is_waited_for_and_not_for_long() {
        let parent = tempfile::tempdir().unwrap();
        let lock = File::create(parent.path().join(LOCK)).unwrap();
        lock.lock().unwrap();
        let error = open(parent.path()).unwrap_err();
        assert!(error.message().contains("has not written its name"), "{error}");
        let waiting = thread::scope(|scope| {
            let opening = scope.spawn(|| open(parent.path()));
            thread::sleep(Duration::from_millis(20));
            drop(lock);
            opening.join().unwrap()
        });
        waiting.unwrap();
    }

    #[test]
    fn what_is_not_a_store_is_refused_and_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let foreign = |path: &Path| {
            let error = open(path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StoreForeign, "{error}");
            assert!(error.message().contains("is not a jobtrack store"), "{error}");
            error
        };
        let file = parent.path().join("file");
        fs::write(&file, "text").unwrap();
        foreign(&file);
        foreign(&file.join("below"));
        assert!(foreign(parent.path()).message().contains("\"file\""));
        assert_eq!(names(parent.path()), ["file"], "nothing was written into it");

        let folder_as_data = tempfile::tempdir().unwrap();
        fs::create_dir(folder_as_data.path().join(DATA)).unwrap();
        foreign(folder_as_data.path());
    }

    #[test]
    fn a_store_may_have_company_and_leftovers_go() {
        let parent = tempfile::tempdir().unwrap();
        fs::create_dir(parent.path().join(NOT_OURS_BUT_HARMLESS)).unwrap();
        let half_made = parent.path().join(temporary_name(DATA));
        fs::write(&half_made, "half").unwrap();
        let folder = open(parent.path()).unwrap();
        assert!(folder.is_new());
        assert!(!half_made.exists());

        fs::write(folder.temporary_path(), "whole").unwrap();
        folder.put_in_place().unwrap();
        fs::write(parent.path().join("notes.txt"), "the operator's").unwrap();
        drop(folder);
        assert!(!open(parent.path()).unwrap().is_new());
    }

    #[test]
    fn a_doubt_stays_until_it_is_taken_back_and_writing_again_changes_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let folder = open(parent.path()).unwrap();
        assert!(!folder.is_doubted());
        folder.doubt();
        folder.doubt();
        drop(folder);
        let folder = open(parent.path()).unwrap();
        assert!(folder.is_new() && folder.is_doubted());

        let bytes: Vec<u8> = (0..600_000u32).map(|n| (n % 251) as u8).collect();
        fs::create_dir(parent.path().join("below")).unwrap();
        fs::write(parent.path().join("below/a"), &bytes).unwrap();
        fs::write(parent.path().join("below/empty"), "").unwrap();
        Folder::write_again(&parent.path().join("below")).unwrap();
        assert!(fs::read(parent.path().join("below/a")).unwrap() == bytes);
        assert_eq!(fs::read(parent.path().join("below/empty")).unwrap(), b"");
        folder.trust().unwrap();
        assert!(!folder.is_doubted());
    }

    #[test]
    fn an_empty_path_is_refused() {
        assert_eq!(open("").unwrap_err().kind(), ErrorKind::InvalidValue);
    }

    #[test]
    fn refusals_of_the_system_are_told_apart() {
        for (from, to) in [
            (io::ErrorKind::ReadOnlyFilesystem, ErrorKind::StoreReadOnly),
            (io::ErrorKind::PermissionDenied, ErrorKind::StoreReadOnly),
            (io::ErrorKind::StorageFull, ErrorKind::StoreFull),
            (io::ErrorKind::QuotaExceeded, ErrorKind::StoreFull),
            (io::ErrorKind::UnexpectedEof, ErrorKind::StoreFailed),
        ] {
            assert_eq!(refusal("open", Path::new("x"), from.into()).kind(), to);
        }
    }

    /// Permission bits do not bind root, under which tests often run, but nobody may make a folder
    /// in /sys: it is either mounted read-only or refuses with a missing permission.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_cannot_be_written_is_refused_as_such() {
        let error = open("/sys/jobtrack").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StoreReadOnly, "{error}");
        assert!(error.message().starts_with("cannot make the folder \"/sys/jobtrack\""), "{error}");
    }
}
