//! A file of jobs that have left the store, one a line, as `jobtrack export` writes them.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jobtrack::{Archive, Error, ErrorKind, Job, JobParts};

/// How much of a file is searched at a time for the end of its last line.
const PIECE: u64 = 64 * 1024;

/// Appends jobs to a file and syncs it. A file that grows too large is put aside under its name and
/// a number that rises.
#[derive(Debug)]
pub(crate) struct ArchiveFile {
    path: PathBuf,
    most_bytes: u64,
    /// None after a failure, of which nobody knows what it has left in the file.
    open: Mutex<Option<Appender>>,
}

#[derive(Debug)]
struct Appender {
    file: File,
    length: u64,
}

impl ArchiveFile {
    /// Opens the file, or makes it. A last line that a crash has cut off is taken away: its job is
    /// still in the store, since the file comes first.
    pub(crate) fn open(path: &Path, most_bytes: u64) -> Result<ArchiveFile, Error> {
        let open = Appender::open(path).map_err(|error| named(path, &error))?;
        let path = path.to_owned();
        Ok(ArchiveFile { path, most_bytes, open: Mutex::new(Some(open)) })
    }

    fn append(&self, lines: &[u8]) -> io::Result<()> {
        // Whoever panicked with it has left nothing there that counts on anything.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // Whatever fails, the file is looked at anew before anything else is written.
        let mut appender = match open.take() {
            Some(appender) => appender,
            None => Appender::open(&self.path)?,
        };
        let length = appender.length.saturating_add(lines.len() as u64);
        if appender.length > 0 && length > self.most_bytes {
            put_aside(&self.path)?;
            appender = Appender::open(&self.path)?;
        }
        appender.file.write_all(lines)?;
        appender.file.sync_data()?;
        appender.length += lines.len() as u64;
        *open = Some(appender);
        Ok(())
    }
}

impl Archive for ArchiveFile {
    fn take(&self, jobs: &[Arc<Job>]) -> Result<(), Error> {
        let mut lines = Vec::with_capacity(jobs.len() * 512);
        for job in jobs {
            line(job, &mut lines).map_err(|error| named(&self.path, &error))?;
        }
        self.append(&lines).map_err(|error| named(&self.path, &error))
    }
}

/// The job's line. When its stay began and was over is left out, so that whoever imports the line
/// gives the job its retention once more.
fn line(job: &Job, lines: &mut Vec<u8>) -> io::Result<()> {
    let parts = JobParts { retained_from: None, expire_time: None, ..JobParts::from(job) };
    serde_json::to_writer(&mut *lines, &parts)?;
    lines.push(b'\n');
    Ok(())
}

fn named(path: &Path, error: &io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull => ErrorKind::StoreFull,
        io::ErrorKind::PermissionDenied => ErrorKind::StoreReadOnly,
        _ => ErrorKind::StoreFailed,
    };
    Error::new(kind, format!("the archive {}: {error}", path.display()))
}

impl Appender {
    fn open(path: &Path) -> io::Result<Appender> {
        let is_new = !path.exists();
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no file that can be appended to"));
        }
        file.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => error,
            TryLockError::WouldBlock => io::Error::other("another process archives to it"),
        })?;
        let length = mend(&mut file)?;
        if is_new {
            sync_folder(path)?;
        }
        Ok(Appender { file, length })
    }
}

/// Takes away what follows the last whole line; returns how long the file is then.
fn mend(file: &mut File) -> io::Result<u64> {
    let length = file.seek(SeekFrom::End(0))?;
    if length == 0 {
        return Ok(0);
    }
    let mut first = [0];
    file.seek(SeekFrom::Start(0))?;
    file.read_exact(&mut first)?;
    if first != *b"{" {
        return Err(io::Error::other("it holds something else than jobs, one a line"));
    }
    let mut end = length;
    let mut piece = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(PIECE);
        piece.clear();
        file.seek(SeekFrom::Start(start))?;
        Read::by_ref(file).take(end - start).read_to_end(&mut piece)?;
        if let Some(at) = piece.iter().rposition(|byte| *byte == b'\n') {
            end = start + at as u64 + 1;
            break;
        }
        end = start;
    }
    if end < length {
        file.set_len(end)?;
        file.sync_all()?;
    }
    Ok(end)
}

/// Gives the file a number after its name that no other has.
fn put_aside(path: &Path) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut latest = 0_u64;
    for entry in fs::read_dir(folder_of(path))? {
        let other = entry?.file_name();
        let number = other
            .to_string_lossy()
            .strip_prefix(&name)
            .and_then(|rest| rest.strip_prefix('.').and_then(|number| number.parse::<u64>().ok()));
        latest = latest.max(number.unwrap_or(0));
    }
    let aside = path.with_file_name(format!("{name}.{}", latest.saturating_add(1)));
    fs::rename(path, aside)?;
    sync_folder(path)
}

/// Makes the names in the file's folder durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(text: &str) -> Arc<Job> {
        let text = format!(
            r#"{{"uuid": "1cd8a442-86d1-11e0-ae1c-123478563412", "state": "success",
                "message": "{text}", "create_time": "2026-03-01T10:00:00Z",
                "start_time": "2026-03-01T10:00:00Z", "end_time": "2026-03-01T10:00:01Z",
                "update_time": "2026-03-01T10:00:01Z", "retained_from": "2026-03-01T10:00:01Z",
                "retention": 60, "expire_time": "2026-03-01T10:01:01Z"}}"#
        );
        Arc::new(serde_json::from_str(&text).unwrap())
    }

    fn messages(path: &Path) -> Vec<String> {
        let text = fs::read_to_string(path).unwrap();
        let parts = text.lines().map(|line| serde_json::from_str::<JobParts>(line).unwrap());
        let all: Vec<JobParts> = parts.collect();
        assert!(all.iter().all(|it| it.expire_time.is_none() && it.retained_from.is_none()));
        all.into_iter().map(|it| it.message).collect()
    }

    #[test]
    fn jobs_are_appended_and_a_cut_line_is_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive.ndjson");
        let archive = ArchiveFile::open(&path, 1 << 20).unwrap();
        archive.take(&[job("a"), job("b")]).unwrap();
        let error = ArchiveFile::open(&path, 1 << 20).unwrap_err();
        assert!(error.message().ends_with("another process archives to it"), "{error}");
        drop(archive);
        // What a crash may leave, longer than is searched at a time.
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(format!("{{\"message\": \"{}", "x".repeat(200_000)).as_bytes()).unwrap();
        let archive = ArchiveFile::open(&path, 1 << 20).unwrap();
        assert_eq!(messages(&path), ["a", "b"]);
        archive.take(&[job("c")]).unwrap();
        assert_eq!(messages(&path), ["a", "b", "c"]);
    }

    #[test]
    fn a_large_file_is_put_aside_and_none_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive.ndjson");
        fs::write(folder.path().join("archive.ndjson.7"), "kept").unwrap();
        let archive = ArchiveFile::open(&path, 700).unwrap();
        for text in ["a", "b", "c", "d"] {
            archive.take(&[job(text)]).unwrap();
        }
        assert_eq!(messages(&folder.path().join("archive.ndjson.8")), ["a", "b"]);
        assert_eq!(messages(&path), ["c", "d"]);
        let kept = fs::read_to_string(folder.path().join("archive.ndjson.7")).unwrap();
        assert_eq!(kept, "kept");
    }

    #[test]
    fn what_is_no_archive_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes");
        fs::write(&path, "my notes").unwrap();
        let error = ArchiveFile::open(&path, 700).unwrap_err();
        assert!(error.message().contains("it holds something else than jobs"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "my notes");
        assert!(ArchiveFile::open(folder.path(), 700).is_err());
        assert!(ArchiveFile::open(&folder.path().join("none/archive"), 700).is_err());
    }

    #[test]
    fn after_a_failure_the_file_is_looked_at_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gone/archive.ndjson");
        fs::create_dir(folder.path().join("gone")).unwrap();
        let archive = ArchiveFile::open(&path, 10).unwrap();
        archive.take(&[job("a")]).unwrap();
        fs::rename(folder.path().join("gone"), folder.path().join("aside")).unwrap();
        archive.take(&[job("b")]).unwrap_err();
        archive.take(&[job("b")]).unwrap_err();
        fs::rename(folder.path().join("aside"), folder.path().join("gone")).unwrap();
        archive.take(&[job("b")]).unwrap();
        assert_eq!(messages(&path), ["b"]);
        assert_eq!(messages(&folder.path().join("gone/archive.ndjson.1")), ["a"]);
    }
}
