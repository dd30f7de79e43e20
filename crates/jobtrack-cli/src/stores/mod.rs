//! `jobtrack store`: what one does to a store as a whole, and not to a job in it.

mod compact;
mod copy;
mod fresh;
mod progress;
mod salvage;
mod verify;

use std::path::PathBuf;

use clap::Subcommand;
use jobtrack::{Options, Store, Tracker};
use serde_json::json;

use crate::render::OutputArguments;
use crate::store::StoreName;
use crate::target::TargetArguments;
use crate::{Exit, Failed};

/// Copy, back up, verify, compact or salvage a whole store.
///
/// A store is named as for serve: redb:FOLDER, fjall:FOLDER or sled:FOLDER. While a server has it
/// open only backup works, which asks the server. What is made is made beside its place and gets its
/// name when it is whole.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Copy a store into a new one, of any kind
    ///
    /// Everything comes along, revisions and what is remembered of jobs that are gone included, so
    /// watches and page tokens go on. Then serve the copy, and no longer the first.
    Copy {
        /// The store to copy
        from: StoreName,

        /// The store to make; its folder is absent or empty
        to: StoreName,

        #[command(flatten)]
        output: OutputArguments,
    },
    /// Back up a store that a server has open, as a store
    ///
    /// All of it as of one commit, while the server goes on. With --store, a store that is closed.
    Backup {
        /// The store to make; its folder is absent or empty
        to: StoreName,

        #[command(flatten)]
        target: TargetArguments,

        #[command(flatten)]
        output: OutputArguments,
    },
    /// Make a store of a backup in a file, as GET /v1/backup gives it
    Restore {
        /// The file; - reads standard input
        file: PathBuf,

        /// The store to make; its folder is absent or empty
        to: StoreName,

        #[command(flatten)]
        output: OutputArguments,
    },
    /// Read all of a store, and tell every defect
    ///
    /// The status is 1 if there is any.
    Verify {
        /// The store to read
        store: StoreName,

        #[command(flatten)]
        output: OutputArguments,
    },
    /// Give room that a store does not need back to the disk
    Compact {
        /// The store to compact
        store: StoreName,

        #[command(flatten)]
        output: OutputArguments,
    },
    /// Make a new store of what can still be read in a damaged one
    ///
    /// The damaged one is only read. What was lost is told, line by line; the status is 1 if there is
    /// anything.
    Salvage {
        /// The damaged store
        store: StoreName,

        /// The store to make; its folder is absent or empty
        to: StoreName,

        #[command(flatten)]
        output: OutputArguments,
    },
    /// Raise a store to the newest format level, for good
    ///
    /// Releases that do not know the level do not open the store any more, so do it once none of
    /// them may be needed.
    Finalize {
        /// The store to raise
        store: StoreName,

        #[command(flatten)]
        output: OutputArguments,
    },
}

pub(crate) fn store(arguments: &Arguments) -> Result<Exit, Failed> {
    match &arguments.task {
        Task::Copy { from, to, output } => copy::copy(from, to, output.output()),
        Task::Backup { to, target, output } => copy::backup(target, to, output.output()),
        Task::Restore { file, to, output } => copy::restore(file, to, output.output()),
        Task::Verify { store, output } => verify::verify(store, output.output()),
        Task::Compact { store, output } => compact::compact(store, output.output()),
        Task::Salvage { store, to, output } => salvage::salvage(store, to, output.output()),
        Task::Finalize { store, output } => finalize(store, *output),
    }
}

fn finalize(name: &StoreName, output: OutputArguments) -> Result<Exit, Failed> {
    let tracker = Tracker::open(open(name)?, Options::default())?;
    let before = tracker.format().store;
    let after = tracker.finalize()?;
    tracker.close()?;
    let output = output.output();
    if !output.is_table() {
        output.json(&json!({"store": name.url(), "before": before, "after": after}))?;
    } else if before == after {
        output.print(&format!("{}: has format level {after}, the newest already\n", name.url()))?;
    } else {
        output.print(&format!("{}: raised from format level {before} to {after}\n", name.url()))?;
    }
    Ok(Exit::Done)
}

/// Opens a store that is there. What is none is not made into one.
fn open(name: &StoreName) -> Result<Box<dyn Store>, Failed> {
    name.expect_there()?;
    Ok(name.open_store()?)
}
