//! `jobtrack user`: who may use a server.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use jobtrack::{Scope, Tenant, Timestamp};
use jobtrack_http::{Grant, Role, UsersFile, parse_span};

use crate::tls::now;
use crate::{Exit, Failed, password};

/// Say who may use a server: the users in the file that serve --users reads.
///
/// A running server sees a change within a second or so.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Add a user. The password is asked for twice, at the terminal
    Add {
        /// Letters (a-z), digits and . _ - @
        name: String,

        #[command(flatten)]
        file: FileName,

        /// Read the password from standard input, one line
        #[arg(long)]
        password_stdin: bool,

        /// Give another password to a user who is there. What they may do stays, unless it is said
        #[arg(long)]
        replace: bool,

        /// No password: the user is known by the subject of their certificate alone
        #[arg(long, requires = "subject", conflicts_with_all = ["password_stdin", "replace"])]
        no_password: bool,

        #[command(flatten)]
        grant: GrantArguments,
    },
    /// Say anew what a user, or who has a token, may do. What is not said is taken away
    Grant {
        /// The user
        name: String,

        #[command(flatten)]
        file: FileName,

        #[command(flatten)]
        grant: GrantArguments,
    },
    /// Take a user out
    Remove {
        /// The user
        name: String,

        #[command(flatten)]
        file: FileName,
    },
    /// List the users, one a line: the name, by what they are known, and what they may do
    List {
        #[command(flatten)]
        file: FileName,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct FileName {
    /// The file of users. Nobody but its owner may read it; it is made so if it is absent
    #[arg(long, env = "JOBTRACK_USERS", value_name = "FILE")]
    pub(crate) users: PathBuf,
}

/// What somebody may do.
#[derive(Debug, clap::Args)]
pub(crate) struct GrantArguments {
    /// What they may do: read (see jobs), control (make and change them, too) or admin (and import,
    /// back up, and all else that concerns the whole store). read unless told otherwise
    #[arg(long, value_name = "ROLE")]
    role: Option<Role>,

    /// Confine them to the jobs of the scope of this name
    #[arg(long, value_name = "NAME")]
    scope: Option<String>,

    /// Confine them to the jobs of the scope of this id
    #[arg(long, value_name = "ID")]
    scope_id: Option<String>,

    /// Up to when: a time, or from now on, as in 90d
    #[arg(long, value_parser = expiry, value_name = "TIME")]
    expires: Option<Timestamp>,

    /// The subject of the certificate by which they are known, as in 'CN=backup, O=Example'
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
}

impl GrantArguments {
    pub(crate) fn grant(&self) -> Result<Grant, Failed> {
        let given = |text: &Option<String>| text.clone().unwrap_or_default();
        let scope = Scope { name: given(&self.scope).into(), id: given(&self.scope_id).into() };
        let is_confined = self.scope.is_some() || self.scope_id.is_some();
        Ok(Grant {
            role: self.role.unwrap_or(Role::Read),
            // An empty name is a mistake, and not everybody's jobs.
            tenant: is_confined.then(|| Tenant::new(scope)).transpose()?,
            expires: self.expires,
            subject: self.subject.clone(),
        })
    }

    fn is_given(&self) -> bool {
        self.role.is_some()
            || self.scope.is_some()
            || self.scope_id.is_some()
            || self.expires.is_some()
            || self.subject.is_some()
    }
}

/// A time, or a span from now on.
fn expiry(text: &str) -> Result<Timestamp, jobtrack::Error> {
    match parse_span(text) {
        Ok(span) => Ok(now().saturating_add(span)),
        Err(_) => text.parse(),
    }
}

pub(crate) fn user(arguments: &Arguments) -> Result<Exit, Failed> {
    match &arguments.task {
        Task::Add { name, file, no_password: true, grant, .. } => {
            make_folder(&file.users)?;
            let mut users = UsersFile::open(&file.users)?;
            users.add_certificate(name, &grant.grant()?)?;
            added(users, name, "is added", file)?;
        }
        Task::Add { name, file, password_stdin, replace, grant, .. } => {
            UsersFile::check_name(name)?;
            let granted = grant.grant()?;
            make_folder(&file.users)?;
            // Looked at first, so that nobody enters a password in vain; then closed, so that nobody
            // has to wait for somebody who is entering one.
            expect(&UsersFile::open(&file.users)?, name, *replace)?;
            let password =
                if *password_stdin { password::read()? } else { password::ask_twice(name)? };
            let mut users = UsersFile::open(&file.users)?;
            let is_there = expect(&users, name, *replace)?;
            match is_there {
                true => users.set_password(name, &password)?,
                false => users.add(name, &password)?,
            }
            if !is_there || grant.is_given() {
                users.grant(name, &granted)?;
            }
            added(users, name, if is_there { "has another password" } else { "is added" }, file)?;
        }
        Task::Grant { name, file, grant } => {
            let mut users = UsersFile::open(&file.users)?;
            users.grant(name, &grant.grant()?)?;
            added(users, name, "is changed", file)?;
        }
        Task::Remove { name, file } => {
            let mut users = UsersFile::open(&file.users)?;
            users.remove(name)?;
            users.save()?;
            println!("{name} is removed from {}", file.users.display());
        }
        Task::List { file } => {
            list(&file.users, |_| true)?;
        }
    }
    Ok(Exit::Done)
}

/// Saves the file, and says what the user may do now.
pub(crate) fn added(
    users: UsersFile,
    name: &str,
    how: &str,
    file: &FileName,
) -> Result<(), Failed> {
    let grant = users.grant_of(name)?;
    users.save()?;
    println!("{name} {how} in {}: {grant}", file.users.display());
    Ok(())
}

/// Lists those in the file who are known by one of these.
pub(crate) fn list(path: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<(), Failed> {
    if !path.exists() {
        return Err(Failed::because(format!("{}: there is no such file", path.display())));
    }
    let entries = UsersFile::open(path)?.grants()?;
    let entries: Vec<_> = entries.iter().filter(|(_, what, _)| is_wanted(what)).collect();
    let width = entries.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
    for (name, what, grant) in entries {
        println!("{name:width$}  {what:11}  {grant}");
    }
    Ok(())
}

/// Makes the folder of the file, as a store makes its own.
pub(crate) fn make_folder(path: &Path) -> Result<(), Failed> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    std::fs::create_dir_all(folder)
        .map_err(|error| Failed::because(format!("{}: {error}", folder.display())))
}

/// Whether the user is there, if they may be.
fn expect(users: &UsersFile, name: &str, may_be_there: bool) -> Result<bool, Failed> {
    match users.has(name) {
        true if !may_be_there => Err(Failed::because(format!(
            "{name} is a user already; add --replace to give them another password"
        ))),
        is_there => Ok(is_there),
    }
}
