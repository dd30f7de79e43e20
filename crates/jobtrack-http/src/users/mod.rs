//! Who may use the server: users and their passwords, from a file.

mod file;
mod password;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use argon2::PasswordHash;
use jobtrack::quoted;
use parking_lot::{Mutex, RwLock};
use ring::hmac;
use ring::rand::SystemRandom;
use tokio::sync::Semaphore;
use tokio::time::Instant;

pub use self::file::UsersFile;
use self::password::LONGEST;
use crate::files::{self, FileError, Stamp};

/// How long a password that was right stays so without being hashed again.
const REMEMBERED: Duration = Duration::from_secs(300);
/// How often, at most, the file is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Passwords that are hashed at a time. Each takes 19 MiB and some 20 ms of a core, so that many at a
/// time would be a way to stop the server.
const HASHES: u32 = 2;

/// The users of a server, as a file names them; a change of it counts within a second or so.
///
/// A client that sends its password with every request is hashed once in five minutes: between, a
/// keyed hash of what was right is compared, which is kept in memory alone and forgotten when the
/// file changes. A name that nobody has takes as long to refuse as a wrong password.
pub struct Users {
    path: PathBuf,
    known: RwLock<Arc<Known>>,
    look: Mutex<Look>,
    /// Held while the file is read, so that what was read last is what is used.
    reading: Mutex<()>,
    hashes: Arc<Semaphore>,
    key: hmac::Key,
}

/// What is known of the file without reading it.
struct Look {
    next: Instant,
    /// How it was when it was last read, whether or not that did any good: a file that is wrong is
    /// complained of once.
    seen: Option<Stamp>,
}

/// What one state of the file says.
struct Known {
    names: Vec<String>,
    passwords: HashMap<String, Arc<PasswordHash>>,
    /// What a name is hashed against that nobody has.
    nobody: Arc<PasswordHash>,
    remembered: Mutex<HashMap<String, Remembered>>,
}

/// A password that was right.
struct Remembered {
    tag: hmac::Tag,
    until: Instant,
}

impl Users {
    /// Reads the users in this file, which `jobtrack user add` writes: a line each, `name:` and an
    /// argon2id hash as a PHC string. Lines that are empty or begin with `#` are passed over.
    ///
    /// # Errors
    ///
    /// Names the file, and the line if it is one that is wrong. A file that others than its owner
    /// may read is refused.
    pub fn open(path: impl Into<PathBuf>) -> Result<Users, FileError> {
        let path = path.into();
        let fault = |_| FileError::new(&path, "no random numbers are to be had on this machine");
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).map_err(fault)?;
        // Before it is read: what changes in between is seen at the next look.
        let seen = Stamp::at(&path);
        let known = RwLock::new(Arc::new(Known::read(&path)?));
        let look = Mutex::new(Look { next: Instant::now() + LOOK, seen });
        let hashes = Arc::new(Semaphore::new(HASHES as usize));
        Ok(Users { path, known, look, reading: Mutex::new(()), hashes, key })
    }

    /// Reads the file again, and forgets which passwords were right.
    ///
    /// # Errors
    ///
    /// As [`open`](Users::open); those who were users before then stay so.
    pub fn reload(&self) -> Result<(), FileError> {
        let _reading = self.reading.lock();
        let known = Known::read(&self.path)?;
        *self.known.write() = Arc::new(known);
        Ok(())
    }

    /// The names, in the order of the file.
    pub fn names(&self) -> Vec<String> {
        self.known().names.clone()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this is a user and their password.
    pub(crate) async fn check(self: &Arc<Self>, name: &str, password: &[u8]) -> bool {
        if password.len() > LONGEST {
            return false;
        }
        self.look().await;
        let known = self.known();
        let tag = self.tag(name, password);
        if known.remembers(name, &tag) {
            return true;
        }
        let Ok(permit) = Arc::clone(&self.hashes).acquire_owned().await else { return false };
        // Many requests of one client may have waited together; one hash is enough for all.
        if known.remembers(name, &tag) {
            return true;
        }
        let found = known.passwords.get(name);
        let is_known = found.is_some();
        let hash = Arc::clone(found.unwrap_or(&known.nobody));
        let password = password.to_vec();
        let hashed = tokio::task::spawn_blocking(move || {
            // Held until the work is done, whether or not its client still waits.
            let _permit = permit;
            password::is(&password, &hash)
        });
        let is_right = hashed.await.unwrap_or(false) && is_known;
        if is_right {
            known.remember(name, tag);
        }
        is_right
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read())
    }

    /// Reads the file again if it has changed since it was looked at.
    async fn look(self: &Arc<Self>) {
        {
            let now = Instant::now();
            let mut look = self.look.lock();
            if now < look.next {
                return;
            }
            look.next = now + LOOK;
        }
        let users = Arc::clone(self);
        let looked = tokio::task::spawn_blocking(move || {
            let stamp = Stamp::at(&users.path);
            if std::mem::replace(&mut users.look.lock().seen, stamp) == stamp {
                return;
            }
            match users.reload() {
                Ok(()) => tracing::info!("{}: the users were read again", users.path.display()),
                Err(error) => tracing::error!("the users stay as they were: {error}"),
            }
        });
        if let Err(error) = looked.await {
            tracing::error!("the users could not be looked at: {error}");
        }
    }

    /// A name and a password, as they are remembered: of no use without the key, which is new in
    /// each process.
    fn tag(&self, name: &str, password: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        // A name holds no NUL, so the two cannot run into one another.
        context.update(name.as_bytes());
        context.update(&[0]);
        context.update(password);
        context.sign()
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Users").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Known {
    fn read(path: &Path) -> Result<Known, FileError> {
        let content = files::read_private(path)?;
        let mut names = Vec::new();
        let mut passwords = HashMap::new();
        for entry in file::parse(path, &content)? {
            if passwords.insert(entry.name.clone(), Arc::new(entry.hash)).is_some() {
                let problem =
                    format!("line {}: {} is there twice", entry.number, quoted(&entry.name));
                return Err(FileError::new(path, problem));
            }
            names.push(entry.name);
        }
        let nobody = password::nobodys(passwords.values().map(AsRef::as_ref))
            .map_err(|error| FileError::new(path, error))?;
        let remembered = Mutex::new(HashMap::new());
        Ok(Known { names, passwords, nobody: Arc::new(nobody), remembered })
    }

    fn remembers(&self, name: &str, tag: &hmac::Tag) -> bool {
        let remembered = self.remembered.lock();
        let Some(known) = remembered.get(name) else { return false };
        // Compared in an order that takes the same time wherever they differ.
        let is_same = constant_time_eq(known.tag.as_ref(), tag.as_ref());
        is_same && Instant::now() < known.until
    }

    fn remember(&self, name: &str, tag: hmac::Tag) {
        let until = Instant::now() + REMEMBERED;
        self.remembered.lock().insert(name.to_owned(), Remembered { tag, until });
    }
}

/// Whether two tags are the same, in a time that does not tell where they differ.
fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differences, (a, b)| differences | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn users() -> (tempfile::TempDir, Arc<Users>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        let mut file = UsersFile::open(&path).unwrap();
        file.add("alice", "correct horse").unwrap();
        file.save().unwrap();
        (folder, Arc::new(Users::open(path).unwrap()))
    }

    fn remembers(users: &Users, name: &str, password: &str) -> bool {
        users.known().remembers(name, &users.tag(name, password.as_bytes()))
    }

    #[tokio::test]
    async fn what_was_right_is_remembered_until_the_file_changes() {
        let (_folder, users) = users();
        assert!(!users.check("alice", b"battery staple").await);
        assert!(!users.check("bob", b"correct horse").await);
        assert!(users.known().remembered.lock().is_empty());
        assert!(users.check("alice", b"correct horse").await);
        assert!(remembers(&users, "alice", "correct horse"));
        assert!(!remembers(&users, "alice", "battery staple"));
        assert!(!remembers(&users, "bob", "correct horse"));
        // One that is wrong neither counts as right nor has the right one forgotten.
        assert!(!users.check("alice", b"battery staple").await);
        assert!(remembers(&users, "alice", "correct horse"));
        users.reload().unwrap();
        assert!(!remembers(&users, "alice", "correct horse"));
    }

    #[tokio::test]
    async fn what_was_right_is_forgotten_in_time() {
        let (_folder, users) = users();
        assert!(users.check("alice", b"correct horse").await);
        let known = users.known();
        let until = known.remembered.lock().get("alice").unwrap().until;
        let left = until - Instant::now();
        assert!(left <= REMEMBERED && left > REMEMBERED / 2, "{left:?}");
        known.remembered.lock().get_mut("alice").unwrap().until = Instant::now();
        assert!(!remembers(&users, "alice", "correct horse"));
        assert!(users.check("alice", b"correct horse").await);
        assert!(remembers(&users, "alice", "correct horse"));
    }

    #[tokio::test]
    async fn no_more_are_hashed_at_a_time_than_may_be() {
        let (_folder, users) = users();
        let held = Arc::clone(&users.hashes).acquire_many_owned(HASHES).await.unwrap();
        let waiting = {
            let users = Arc::clone(&users);
            tokio::spawn(async move { users.check("alice", b"correct horse").await })
        };
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(!waiting.is_finished());
        drop(held);
        assert!(waiting.await.unwrap());
        // What is remembered needs no turn, nor does what is too long to be a password.
        let _held = Arc::clone(&users.hashes).acquire_many_owned(HASHES).await.unwrap();
        assert!(users.check("alice", b"correct horse").await);
        assert!(!users.check("alice", &[b'x'; LONGEST + 1]).await);
    }

    #[tokio::test]
    async fn a_file_that_breaks_changes_nothing() {
        let (_folder, users) = users();
        let good = fs::read(users.path()).unwrap();
        fs::write(users.path(), "alice:battery staple\n").unwrap();
        let error = users.reload().unwrap_err();
        assert!(error.to_string().contains("line 1: "), "{error}");
        assert!(users.check("alice", b"correct horse").await);
        fs::write(users.path(), good).unwrap();
        users.reload().unwrap();
        assert!(users.check("alice", b"correct horse").await);
    }

    #[test]
    fn nothing_secret_is_shown() {
        let (_folder, users) = users();
        assert!(!format!("{users:?}").contains("argon2"));
    }
}
