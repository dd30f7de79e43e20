//! `jobtrack get`.

use jobtrack::JobId;

use crate::each::for_each;
use crate::render::OutputArguments;
use crate::target::{TargetArguments, query};
use crate::{Exit, Failed};

/// Show jobs in full.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Which jobs
    #[arg(required = true, value_name = "UUID")]
    ids: Vec<JobId>,

    /// What to show: fields such as state,error.{code,message}; all unless given
    #[arg(long)]
    fields: Option<String>,

    #[command(flatten)]
    target: TargetArguments,

    #[command(flatten)]
    output: OutputArguments,
}

pub(crate) fn get(arguments: &Arguments) -> Result<Exit, Failed> {
    let target = arguments.target.open()?;
    let output = arguments.output.output();
    let query = query(arguments.fields.as_deref().map(|fields| ("fields", fields)));
    let mut is_first = true;
    for_each(&arguments.ids, |id| {
        let record = target.get(id, &query)?;
        if output.is_table() && !std::mem::take(&mut is_first) {
            output.print("\n")?;
        }
        output.job(&record, true)
    })
}
