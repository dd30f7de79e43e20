//! `jobtrack completions` and `man`: what is generated from the command line's own description.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{Exit, Failed};

/// Print the completions for a shell.
///
/// For bash: jobtrack completions bash > ~/.local/share/bash-completion/completions/jobtrack
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArguments {
    /// Which shell
    shell: Shell,
}

/// Print the manual page, or write the pages of all commands.
#[derive(Debug, clap::Args)]
pub(crate) struct ManArguments {
    /// The folder to write them to, such as ~/.local/share/man/man1; made if it is absent
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

pub(crate) fn completions(arguments: &CompletionsArguments) -> Result<Exit, Failed> {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut crate::Arguments::command(),
        "jobtrack",
        &mut script,
    );
    print(&script)
}

pub(crate) fn man(arguments: &ManArguments) -> Result<Exit, Failed> {
    let command = crate::Arguments::command();
    let Some(folder) = &arguments.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        return print(&page);
    };
    let named = |error: io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(named)?;
    clap_mangen::generate_to(command, folder).map_err(named)?;
    Ok(Exit::Done)
}

fn print(text: &[u8]) -> Result<Exit, Failed> {
    match io::Write::write_all(&mut io::stdout().lock(), text) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failed::no_reader()),
        written => Ok(written.map(|()| Exit::Done)?),
    }
}
