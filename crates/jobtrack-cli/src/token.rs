//! `jobtrack token`: secrets by which programs are known to a server.

use clap::Subcommand;
use jobtrack_http::UsersFile;

use crate::user::{self, FileName, GrantArguments};
use crate::{Exit, Failed};

/// Make and revoke tokens, by which programs are known to a server.
///
/// They stand in the file of users that serve --users reads, as hashes alone. A running server sees a change within a second or so.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Make a token and print it. It is shown now and never again: the file holds its hash alone
    Add {
        /// Whose commands it gives: letters (a-z), digits and . _ - @
        name: String,

        #[command(flatten)]
        file: FileName,

        #[command(flatten)]
        grant: GrantArguments,
    },
    /// Revoke a token
    Revoke {
        /// Its name
        name: String,

        #[command(flatten)]
        file: FileName,
    },
    /// List the tokens, one a line: the name, and what it may do
    List {
        #[command(flatten)]
        file: FileName,
    },
}

pub(crate) fn token(arguments: &Arguments) -> Result<Exit, Failed> {
    match &arguments.task {
        Task::Add { name, file, grant } => {
            user::make_folder(&file.users)?;
            let mut users = UsersFile::open(&file.users)?;
            let token = users.add_token(name, &grant.grant()?)?;
            let grant = users.grant_of(name)?;
            users.save()?;
            // Only the token on standard output, so that a script can take it from there.
            eprintln!("{name} is added in {}: {grant}", file.users.display());
            println!("{token}");
        }
        Task::Revoke { name, file } => {
            let mut users = UsersFile::open(&file.users)?;
            if users.has(name) && !users.is_token(name) {
                let message =
                    format!("{name} is no token, but a user: jobtrack user remove {name}");
                return Err(Failed::because(message));
            }
            users.remove(name)?;
            users.save()?;
            println!("{name} is revoked in {}", file.users.display());
        }
        Task::List { file } => user::list(&file.users, |what| what == "token")?,
    }
    Ok(Exit::Done)
}
