//! `jobtrack user`: who may use a server.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use jobtrack_http::{Users, UsersFile};

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

        /// Give another password to a user who is there
        #[arg(long)]
        replace: bool,
    },
    /// Take a user out
    Remove {
        /// The user
        name: String,

        #[command(flatten)]
        file: FileName,
    },
    /// List the users, one a line
    List {
        #[command(flatten)]
        file: FileName,
    },
}

#[derive(Debug, clap::Args)]
struct FileName {
    /// The file of users. Nobody but its owner may read it; it is made so if it is absent
    #[arg(long, env = "JOBTRACK_USERS", value_name = "FILE")]
    users: PathBuf,
}

pub(crate) fn user(arguments: &Arguments) -> Result<Exit, Failed> {
    match &arguments.task {
        Task::Add { name, file, password_stdin, replace } => {
            UsersFile::check_name(name)?;
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
            users.save()?;
            let what = if is_there { "has another password" } else { "is added" };
            println!("{name} {what} in {}", file.users.display());
        }
        Task::Remove { name, file } => {
            let mut users = UsersFile::open(&file.users)?;
            users.remove(name)?;
            users.save()?;
            println!("{name} is removed from {}", file.users.display());
        }
        Task::List { file } => {
            for name in Users::open(&file.users)?.names() {
                println!("{name}");
            }
        }
    }
    Ok(Exit::Done)
}

/// Makes the folder of the file, as a store makes its own.
fn make_folder(path: &Path) -> Result<(), Failed> {
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
