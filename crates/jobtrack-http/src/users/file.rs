//! The file of users: how it is read, and how it is changed.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use argon2::PasswordHash;
use jobtrack::{Error, ErrorKind, quoted};

use super::grant::Grant;
use super::{password, token};
use crate::files::{self, FileError};
use crate::roles::Role;

/// The longest name of a user.
const LONGEST_NAME: usize = 64;

/// A file of users that is about to be changed. While it is open, no other program changes it.
///
/// Comments, empty lines and the order of the lines stay as they are.
///
/// ```
/// use jobtrack_http::{Users, UsersFile};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("users");
/// let mut file = UsersFile::open(&path)?;
/// file.add("alice", "correct horse")?;
/// file.save()?;
/// assert_eq!(Users::open(&path)?.names(), ["alice"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct UsersFile {
    path: PathBuf,
    lines: Vec<String>,
    /// The folder, locked: the file itself is replaced by a new one.
    _folder: File,
}

impl UsersFile {
    /// Opens a file of users for changes; one that is not there is empty.
    ///
    /// # Errors
    ///
    /// Names the file, and what is wrong with it.
    pub fn open(path: impl Into<PathBuf>) -> Result<UsersFile, FileError> {
        let path = path.into();
        // The file that a link leads to is the one to replace.
        let path = path.canonicalize().unwrap_or(path);
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let locked = File::open(folder).and_then(|file| file.lock().map(|()| file));
        let folder = locked.map_err(|error| FileError::new(folder, error))?;
        let mut lines = Vec::new();
        if path.exists() {
            let content = files::read_private(&path)?;
            parse(&path, &content)?;
            // What was parsed is UTF-8.
            lines = String::from_utf8_lossy(&content).lines().map(str::to_owned).collect();
        }
        Ok(UsersFile { path, lines, _folder: folder })
    }

    /// Adds a user who may do everything; [`grant`](UsersFile::grant) says what else it is to be.
    ///
    /// # Errors
    ///
    /// `InvalidValue` where name or password cannot be one, `AlreadyExists` where the name is taken.
    pub fn add(&mut self, name: &str, password: &str) -> Result<(), Error> {
        UsersFile::check_name(name)?;
        self.add_line(name, &password::hash(password)?.to_string(), &Grant::of(Role::Admin))
    }

    /// Gives a user another password.
    ///
    /// # Errors
    ///
    /// `InvalidValue` where it cannot be one, `NotFound` where there is no such user.
    pub fn set_password(&mut self, name: &str, password: &str) -> Result<(), Error> {
        let grant = self.grant_of(name)?;
        self.replace(name, &password::hash(password)?.to_string(), &grant)
    }

    /// Says what a user may do, from now on.
    ///
    /// ```
    /// use jobtrack::Tenant;
    /// use jobtrack_http::{Grant, Role, UsersFile};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// let mut file = UsersFile::open(folder.path().join("users"))?;
    /// file.add("alice", "correct horse")?;
    /// file.grant("alice", &Grant { tenant: Some(Tenant::named("vs1")?), ..Grant::of(Role::Read) })?;
    /// assert_eq!(file.grants()?, [("alice".to_owned(), "password", file.grant_of("alice")?)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `NotFound` where there is no such user; `InvalidValue` for what cannot be written down, and
    /// for a certificate's subject that is another user's.
    pub fn grant(&mut self, name: &str, grant: &Grant) -> Result<(), Error> {
        self.check_grant(name, grant)?;
        let line = self.line_of(name)?;
        let (_, rest) = line.split_once(':').unwrap_or_default();
        let secret = rest.split_ascii_whitespace().next().unwrap_or_default().to_owned();
        self.replace(name, &secret, grant)
    }

    /// Adds a user without a password: one who is known by a certificate.
    ///
    /// # Errors
    ///
    /// As for [`add`](UsersFile::add); `MissingValue` for a grant without a subject.
    pub fn add_certificate(&mut self, name: &str, grant: &Grant) -> Result<(), Error> {
        if grant.subject.is_none() {
            let message = "a user without a password is known by the subject of a certificate";
            return Err(Error::new(ErrorKind::MissingValue, message).with_field("subject"));
        }
        self.add_line(name, NO_SECRET, grant)
    }

    /// Adds a bearer token of this name, under which its commands are given, and returns it. It is to
    /// be had now and never again.
    ///
    /// # Errors
    ///
    /// As for [`add`](UsersFile::add).
    pub fn add_token(&mut self, name: &str, grant: &Grant) -> Result<String, Error> {
        let (token, written) = token::new()?;
        self.add_line(name, &written, grant)?;
        Ok(token)
    }

    /// Each user, by what they are known ("password", "token" or "certificate"), and what they may
    /// do, in the order of the file.
    ///
    /// # Errors
    ///
    /// `InvalidValue`, naming the line, for a file that is wrong.
    pub fn grants(&self) -> Result<Vec<(String, &'static str, Grant)>, Error> {
        let entries = parse(&self.path, self.lines.join("\n").as_bytes());
        let entries =
            entries.map_err(|error| Error::new(ErrorKind::InvalidValue, error.to_string()))?;
        Ok(entries.into_iter().map(|it| (it.name, it.secret.what(), it.grant)).collect())
    }

    /// What a user may do.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is no such user.
    pub fn grant_of(&self, name: &str) -> Result<Grant, Error> {
        let found = self.grants()?.into_iter().find(|(found, ..)| found == name);
        found.map(|(.., grant)| grant).ok_or_else(|| self.no_such_user(name))
    }

    /// Whether this user is known by a token.
    pub fn is_token(&self, name: &str) -> bool {
        let secret = self.line_of(name).ok().and_then(|line| line.split_once(':'));
        secret.is_some_and(|(_, secret)| secret.starts_with(token::MARK))
    }

    /// Takes a user out.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is no such user.
    pub fn remove(&mut self, name: &str) -> Result<(), Error> {
        let position = self.position(name).ok_or_else(|| self.no_such_user(name))?;
        self.lines.remove(position);
        Ok(())
    }

    /// Whether a user may be called so.
    ///
    /// # Errors
    ///
    /// `InvalidValue`, saying how names are written.
    pub fn check_name(name: &str) -> Result<(), Error> {
        check_name(name)
            .map_err(|problem| Error::new(ErrorKind::InvalidValue, problem).with_field("name"))
    }

    /// Whether there is such a user.
    pub fn has(&self, name: &str) -> bool {
        self.position(name).is_some()
    }

    /// Writes the file, whole or not at all, for nobody but its owner to read.
    ///
    /// # Errors
    ///
    /// Names the file, which is as it was then.
    pub fn save(self) -> Result<(), FileError> {
        let mut content = self.lines.join("\n");
        if !content.is_empty() {
            content.push('\n');
        }
        replace(&self.path, content.as_bytes()).map_err(|error| FileError::new(&self.path, error))
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.lines.iter().position(|line| {
            !is_passed_over(line) && line.split_once(':').is_some_and(|(found, _)| found == name)
        })
    }

    fn line_of(&self, name: &str) -> Result<&str, Error> {
        let line = self.position(name).and_then(|position| self.lines.get(position));
        line.map(String::as_str).ok_or_else(|| self.no_such_user(name))
    }

    /// Checks that a grant can be written down, and that its certificate is no other user's.
    fn check_grant(&self, name: &str, grant: &Grant) -> Result<(), Error> {
        grant.check()?;
        let Some(subject) = &grant.subject else { return Ok(()) };
        let is_taken = |(other, _, its): &(String, _, Grant)| {
            other != name && its.subject.as_ref() == Some(subject)
        };
        match self.grants()?.iter().find(|entry| is_taken(entry)) {
            None => Ok(()),
            Some((other, ..)) => {
                let message = format!("{} is the subject of {other}", quoted(subject));
                Err(Error::new(ErrorKind::InvalidValue, message).with_field("subject"))
            }
        }
    }

    fn add_line(&mut self, name: &str, secret: &str, grant: &Grant) -> Result<(), Error> {
        UsersFile::check_name(name)?;
        if self.position(name).is_some() {
            let message = format!("{} is a user already", quoted(name));
            return Err(Error::new(ErrorKind::AlreadyExists, message).with_field("name"));
        }
        self.check_grant(name, grant)?;
        self.lines.push(line(name, secret, grant));
        Ok(())
    }

    fn replace(&mut self, name: &str, secret: &str, grant: &Grant) -> Result<(), Error> {
        let position = self.position(name).ok_or_else(|| self.no_such_user(name))?;
        if let Some(old) = self.lines.get_mut(position) {
            *old = line(name, secret, grant);
        }
        Ok(())
    }

    fn no_such_user(&self, name: &str) -> Error {
        let message = format!("no user of {} is called {}", self.path.display(), quoted(name));
        Error::new(ErrorKind::NotFound, message).with_field("name")
    }
}

fn line(name: &str, secret: &str, grant: &Grant) -> String {
    format!("{name}:{secret} {grant}")
}

/// Writes beside the file and renames, so that what bears its name is whole.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let written = (|| {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        // One that was left over may have had another mode.
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

/// A user as the file has it.
pub(super) struct Entry {
    /// Its line, from 1.
    pub(super) number: usize,
    pub(super) name: String,
    pub(super) secret: Secret,
    pub(super) grant: Grant,
    /// Whether the line says so itself.
    pub(super) has_role: bool,
}

/// What a user shows to be known.
pub(super) enum Secret {
    Password(Box<PasswordHash>),
    Token(token::Hash),
    /// Nothing but a certificate.
    None,
}

impl Secret {
    fn what(&self) -> &'static str {
        match self {
            Secret::Password(_) => "password",
            Secret::Token(_) => "token",
            Secret::None => "certificate",
        }
    }
}

/// What stands in place of a secret where there is none.
const NO_SECRET: &str = "-";

/// The users in this content of the file.
pub(super) fn parse(path: &Path, content: &[u8]) -> Result<Vec<Entry>, FileError> {
    let text = std::str::from_utf8(content).map_err(|error| {
        FileError::new(path, format!("byte {} of it is not UTF-8", error.valid_up_to() + 1))
    })?;
    let lines = text.lines().enumerate().filter(|(_, line)| !is_passed_over(line));
    let entries = lines.map(|(index, line)| {
        let number = index + 1;
        let entry = || {
            let (name, rest) = line.split_once(':').ok_or("write it as NAME:HASH")?;
            check_name(name)?;
            let (secret, attributes) =
                rest.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((rest, ""));
            let secret = match secret {
                NO_SECRET => Secret::None,
                token if token.starts_with(token::MARK) => Secret::Token(token::parse(token)?),
                hash => Secret::Password(Box::new(password::parse(hash)?)),
            };
            let grant = Grant::parse(attributes)?;
            if matches!(secret, Secret::None) && grant.subject.is_none() {
                return Err(format!("{NO_SECRET} is for those with the attribute subject"));
            }
            let has_role = attributes.split_ascii_whitespace().any(|it| it.starts_with("role="));
            Ok(Entry { number, name: name.to_owned(), secret, grant, has_role })
        };
        entry().map_err(|problem: String| FileError::new(path, format!("line {number}: {problem}")))
    });
    entries.collect()
}

fn is_passed_over(line: &str) -> bool {
    line.trim().is_empty() || line.starts_with('#')
}

/// Names are plain, so that they look the same in every client, log and encoding.
fn check_name(name: &str) -> Result<(), String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte);
    if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(is_plain) {
        return Err(format!(
            "{} cannot be a user's name; write 1 to {LONGEST_NAME} letters (a-z), digits and . _ - @",
            quoted(name)
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::Users;

    fn path(folder: &tempfile::TempDir) -> PathBuf {
        folder.path().join("users")
    }

    fn write(path: &Path, content: &str) {
        fs::write(path, content).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }

    /// A line for a user with the password "x".
    fn line_of(name: &str) -> String {
        line(name, &password::hash("x").unwrap().to_string(), &Grant::of(Role::Admin))
    }

    #[test]
    fn all_that_is_not_changed_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(&folder);
        let before =
            format!("# the night shift\n{}\n\n{}\n# end\n", line_of("alice"), line_of("bob"));
        write(&path, &before);
        let mut file = UsersFile::open(&path).unwrap();
        file.add("carol", "y").unwrap();
        file.remove("alice").unwrap();
        file.save().unwrap();
        let after = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = after.lines().collect();
        assert_eq!(lines[..2], ["# the night shift", ""]);
        assert!(lines[2].starts_with("bob:") && before.contains(lines[2]));
        assert_eq!(lines[3], "# end");
        assert!(lines[4].starts_with("carol:$argon2id$"));
        assert_eq!(Users::open(&path).unwrap().names(), ["bob", "carol"]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left over");
    }

    #[test]
    fn a_name_is_there_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = UsersFile::open(path(&folder)).unwrap();
        file.add("alice", "x").unwrap();
        assert_eq!(file.add("alice", "y").unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(file.remove("bob").unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(file.set_password("bob", "y").unwrap_err().kind(), ErrorKind::NotFound);
        for bad in ["", "a:b", "a b", "#a", "é", "a\nb", &"a".repeat(65)] {
            let error = file.add(bad, "x").unwrap_err();
            assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidValue, Some("name")));
        }
        file.add("svc-backup_1@example.com", "x").unwrap();
    }

    #[test]
    fn what_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(&folder);
        write(&path, &line_of("alice"));
        for mode in [0o644, 0o640, 0o604, 0o620, 0o610] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            for error in [Users::open(&path).unwrap_err(), UsersFile::open(&path).unwrap_err()] {
                assert!(error.to_string().contains("chmod 600"), "{error}");
                assert!(error.to_string().contains(&format!("{mode:04o}")), "{error}");
            }
        }
        for mode in [0o600, 0o400] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            Users::open(&path).unwrap();
        }
    }

    #[test]
    fn a_bad_line_is_named_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(&folder);
        let good = line_of("alice");
        for (content, why) in [
            (format!("{good}\nbob"), "line 2: write it as NAME:HASH"),
            (format!("{good}\n\nbob:hunter2"), "line 3: what follows the colon is no PHC string"),
            (format!("{good}\n{good}"), "line 2: \"alice\" is there twice"),
            (format!("b b{}", &good[5..]), "line 1: \"b b\" cannot be a user's name"),
        ] {
            write(&path, &content);
            let error = Users::open(&path).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
            assert!(error.starts_with(path.to_str().unwrap()), "{error}");
            assert!(!error.contains("hunter2") && !error.contains("$v=19"), "{error}");
        }
        fs::write(&path, b"alice:\xff").unwrap();
        assert!(Users::open(&path).unwrap_err().to_string().contains("byte 7 of it is not UTF-8"));
        assert!(Users::open(folder.path()).unwrap_err().to_string().contains("not a file"));
    }

    #[test]
    fn two_who_change_it_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(&folder);
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    for number in 0..5 {
                        let mut file = UsersFile::open(path).unwrap();
                        file.add(&format!("user-{writer}-{number}"), "x").unwrap();
                        file.save().unwrap();
                    }
                });
            }
        });
        assert_eq!(Users::open(&path).unwrap().names().len(), 20);
    }

    #[test]
    fn a_link_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(&folder);
        write(&path, "");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mut file = UsersFile::open(&link).unwrap();
        file.add("alice", "x").unwrap();
        file.save().unwrap();
        assert!(link.is_symlink());
        assert_eq!(Users::open(&path).unwrap().names(), ["alice"]);
    }
}
