//! Who may use the server: users and their passwords, from a file.

mod file;
mod grant;
mod password;
mod throttle;
mod token;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use argon2::PasswordHash;
use jobtrack::{Clock, SystemClock, quoted};
use parking_lot::{Mutex, RwLock};
use ring::hmac;
use ring::rand::SystemRandom;
use tokio::sync::Semaphore;
use tokio::time::Instant;

pub use self::file::UsersFile;
use self::file::{Entry, Secret};
pub use self::grant::Grant;
use self::password::LONGEST;
use self::throttle::Throttle;
use crate::files::{self, FileError, Stamp};
use crate::roles::Caller;

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
    throttle: Throttle,
    /// By which tokens and users expire.
    clock: SystemClock,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotLetIn {
    /// There is no such user, or what they show is not theirs, or not any more.
    Unknown,
    /// What came from there was wrong too often; nothing is looked at for so long.
    Throttled(Duration),
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
    passwords: HashMap<String, (Arc<PasswordHash>, Grant)>,
    tokens: Vec<(token::Hash, String, Grant)>,
    /// By the subject of their certificate.
    subjects: HashMap<String, (String, Grant)>,
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
    /// Reads the users in this file, which `jobtrack user add` and `jobtrack token add` write: a line
    /// each, `name:`, an argon2id hash as a PHC string (or the hash of a token, or `-`), and what the
    /// user may do ([`Grant`]). Lines that are empty or begin with `#` are passed over.
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
        let (reading, throttle, clock) = (Mutex::new(()), Throttle::default(), SystemClock::new());
        Ok(Users { path, known, look, reading, hashes, key, throttle, clock })
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

    /// The user of this name and password. `address` is where it comes from.
    pub(crate) async fn by_password(
        self: &Arc<Self>,
        name: &str,
        password: &[u8],
        address: Option<IpAddr>,
    ) -> Result<Caller, NotLetIn> {
        if password.len() > LONGEST {
            return Err(NotLetIn::Unknown);
        }
        self.look().await;
        let known = self.known();
        let tag = self.tag(name, password);
        if known.remembers(name, &tag) {
            return self.caller(known.passwords.get(name).map(|(_, grant)| (name, grant)));
        }
        self.check_throttle(address, name)?;
        let permit = Arc::clone(&self.hashes).acquire_owned().await;
        let permit = permit.map_err(|_| NotLetIn::Unknown)?;
        // Many requests of one client may have waited together; one hash is enough for all. And as
        // many that are wrong may not be tried because they came together.
        if !known.remembers(name, &tag) {
            self.check_throttle(address, name)?;
            let found = known.passwords.get(name);
            let hash = Arc::clone(found.map_or(&known.nobody, |(hash, _)| hash));
            let password = password.to_vec();
            let hashed = tokio::task::spawn_blocking(move || {
                // Held until the work is done, whether or not its client still waits.
                let _permit = permit;
                password::is(&password, &hash)
            });
            let is_right = hashed.await.unwrap_or(false) && found.is_some();
            if !is_right {
                self.throttle.failed(address, name, Instant::now());
                return Err(NotLetIn::Unknown);
            }
            known.remember(name, tag);
        }
        self.caller(known.passwords.get(name).map(|(_, grant)| (name, grant)))
    }

    /// The user whose bearer token this is.
    pub(crate) async fn by_token(
        self: &Arc<Self>,
        token: &str,
        address: Option<IpAddr>,
    ) -> Result<Caller, NotLetIn> {
        self.look().await;
        let known = self.known();
        let found = token::hash_of(token).and_then(|shown| {
            // All of them are compared, each in a time that tells nothing of where they differ.
            let known = known.tokens.iter();
            known.fold(
                None,
                |found, it| if constant_time_eq(&it.0, &shown) { Some(it) } else { found },
            )
        });
        if found.is_none() {
            // What is wrong is counted, and what is right never has to wait for it: guesses of 256
            // bits are no danger, and a client with an old token must not shut out its neighbours.
            self.check_throttle(address, "")?;
            self.throttle.failed(address, "", Instant::now());
        }
        self.caller(found.map(|(_, name, grant)| (&**name, grant)))
    }

    /// The user who is known by a certificate of this subject, which the server's own authorities
    /// vouch for.
    pub(crate) async fn by_subject(self: &Arc<Self>, subject: &str) -> Result<Caller, NotLetIn> {
        self.look().await;
        let known = self.known();
        self.caller(known.subjects.get(subject).map(|(name, grant)| (&**name, grant)))
    }

    /// The caller, unless their time is up.
    fn caller(&self, found: Option<(&str, &Grant)>) -> Result<Caller, NotLetIn> {
        let found = found.filter(|(_, grant)| grant.holds_at(self.clock.wall()));
        found.map(|(name, grant)| grant.caller(name)).ok_or(NotLetIn::Unknown)
    }

    fn check_throttle(&self, address: Option<IpAddr>, name: &str) -> Result<(), NotLetIn> {
        match self.throttle.wait(address, name, Instant::now()) {
            None => Ok(()),
            Some(wait) => Err(NotLetIn::Throttled(wait)),
        }
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
        let mut names: Vec<String> = Vec::new();
        let mut passwords = HashMap::new();
        let mut tokens = Vec::new();
        let mut subjects = HashMap::new();
        let mut without_role = Vec::new();
        for Entry { number, name, secret, grant, has_role } in file::parse(path, &content)? {
            let twice = |what: &str| {
                let problem = format!("line {number}: {} is there twice", quoted(what));
                Err(FileError::new(path, problem))
            };
            if names.contains(&name) {
                return twice(&name);
            }
            if let Some(subject) = &grant.subject
                && subjects.insert(subject.clone(), (name.clone(), grant.clone())).is_some()
            {
                return twice(subject);
            }
            if !has_role {
                without_role.push(name.clone());
            }
            match secret {
                Secret::Password(hash) => {
                    passwords.insert(name.clone(), (Arc::from(hash), grant));
                }
                Secret::Token(hash) => tokens.push((hash, name.clone(), grant)),
                Secret::None => {}
            }
            names.push(name);
        }
        if !without_role.is_empty() {
            tracing::warn!(
                "{}: no role is written down for {}, who may do everything; say what they may: \
                 jobtrack user grant NAME --role ROLE",
                path.display(),
                without_role.join(", ")
            );
        }
        let hashes = passwords.values().map(|(hash, _): &(Arc<PasswordHash>, _)| &**hash);
        let nobody = password::nobodys(hashes).map_err(|error| FileError::new(path, error))?;
        let (nobody, remembered) = (Arc::new(nobody), Mutex::new(HashMap::new()));
        Ok(Known { names, passwords, tokens, subjects, nobody, remembered })
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

    async fn check(users: &Arc<Users>, name: &str, password: &[u8]) -> bool {
        users.by_password(name, password, None).await.is_ok()
    }

    fn remembers(users: &Users, name: &str, password: &str) -> bool {
        users.known().remembers(name, &users.tag(name, password.as_bytes()))
    }

    #[tokio::test]
    async fn what_was_right_is_remembered_until_the_file_changes() {
        let (_folder, users) = users();
        assert!(!check(&users, "alice", b"battery staple").await);
        assert!(!check(&users, "bob", b"correct horse").await);
        assert!(users.known().remembered.lock().is_empty());
        assert!(check(&users, "alice", b"correct horse").await);
        assert!(remembers(&users, "alice", "correct horse"));
        assert!(!remembers(&users, "alice", "battery staple"));
        assert!(!remembers(&users, "bob", "correct horse"));
        // One that is wrong neither counts as right nor has the right one forgotten.
        assert!(!check(&users, "alice", b"battery staple").await);
        assert!(remembers(&users, "alice", "correct horse"));
        users.reload().unwrap();
        assert!(!remembers(&users, "alice", "correct horse"));
    }

    #[tokio::test]
    async fn what_was_right_is_forgotten_in_time() {
        let (_folder, users) = users();
        assert!(check(&users, "alice", b"correct horse").await);
        let known = users.known();
        let until = known.remembered.lock().get("alice").unwrap().until;
        let left = until - Instant::now();
        assert!(left <= REMEMBERED && left > REMEMBERED / 2, "{left:?}");
        known.remembered.lock().get_mut("alice").unwrap().until = Instant::now();
        assert!(!remembers(&users, "alice", "correct horse"));
        assert!(check(&users, "alice", b"correct horse").await);
        assert!(remembers(&users, "alice", "correct horse"));
    }

    #[tokio::test]
    async fn no_more_are_hashed_at_a_time_than_may_be() {
        let (_folder, users) = users();
        let held = Arc::clone(&users.hashes).acquire_many_owned(HASHES).await.unwrap();
        let waiting = {
            let users = Arc::clone(&users);
            tokio::spawn(async move { check(&users, "alice", b"correct horse").await })
        };
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(!waiting.is_finished());
        drop(held);
        assert!(waiting.await.unwrap());
        // What is remembered needs no turn, nor does what is too long to be a password.
        let _held = Arc::clone(&users.hashes).acquire_many_owned(HASHES).await.unwrap();
        assert!(check(&users, "alice", b"correct horse").await);
        assert!(!check(&users, "alice", &[b'x'; LONGEST + 1]).await);
    }

    #[tokio::test]
    async fn a_file_that_breaks_changes_nothing() {
        let (_folder, users) = users();
        let good = fs::read(users.path()).unwrap();
        fs::write(users.path(), "alice:battery staple\n").unwrap();
        let error = users.reload().unwrap_err();
        assert!(error.to_string().contains("line 1: "), "{error}");
        assert!(check(&users, "alice", b"correct horse").await);
        fs::write(users.path(), good).unwrap();
        users.reload().unwrap();
        assert!(check(&users, "alice", b"correct horse").await);
    }

    #[test]
    fn nothing_secret_is_shown() {
        let (_folder, users) = users();
        assert!(!format!("{users:?}").contains("argon2"));
    }
}
