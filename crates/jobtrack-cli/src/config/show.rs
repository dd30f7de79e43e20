//! `jobtrack config`: what the settings of the server come to, and where each is from.

use std::path::PathBuf;

use clap::{ArgMatches, CommandFactory, Subcommand};
use serde_json::{Value, json};

use super::{Origin, Settled, check, name_of, options, variable_of, with_settings};
use crate::render::OutputArguments;
use crate::render::table::{Cell, Column, line, titles, widths};
use crate::render::text::escaped;
use crate::{Exit, Failed, serve};

/// Show the settings of the server, and where each comes from.
///
/// Takes what serve takes, and tells what serve would run with: an option on the command line
/// counts more than its variable, that more than the file, and that more than the default.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[group(skip)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    task: Option<Task>,

    #[command(flatten)]
    serve: serve::Arguments,

    #[command(flatten)]
    output: OutputArguments,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Say whether a file of settings is right, and if not, everything that is wrong with it
    Check {
        /// The file
        file: PathBuf,
    },
}

pub(crate) fn config(
    arguments: &Arguments,
    matches: &ArgMatches,
    settled: &Settled,
) -> Result<Exit, Failed> {
    let command = with_settings(crate::Arguments::command());
    let output = arguments.output.output();
    if let Some(Task::Check { file }) = &arguments.task {
        let (problems, settings) = check(&command, file)?;
        if let Some((last, others)) = problems.split_last() {
            others.iter().for_each(|problem| Failed::usage(problem).tell());
            return Err(Failed::usage(last));
        }
        output.print(&format!("{}: {settings} settings, all right\n", file.display()))?;
        return Ok(Exit::Done);
    }
    let of_config = matches.subcommand_matches("config").unwrap_or(matches);
    let rows: Vec<Row> = options(&command)
        .iter()
        .map(|option| {
            let name = name_of(option).to_owned();
            let set = settled.settings.iter().find(|setting| setting.name == name);
            let values = of_config.get_raw(option.get_id().as_str()).unwrap_or_default();
            let values = values.map(|value| value.to_string_lossy().into_owned()).collect();
            Row { values, origin: set.map(|setting| setting.origin.clone()), name }
        })
        .collect();
    if output.is_table() {
        let columns = ["SETTING", "VALUE", "FROM"];
        let columns = columns.map(|title| Column { title: title.into(), gives_way: false });
        let cells: Vec<Vec<Cell>> = rows.iter().map(Row::cells).collect();
        let widths = widths(&columns, &cells, output.width);
        let mut text = titles(&columns, &widths, &output);
        cells.iter().for_each(|cells| text.push_str(&line(cells, &widths, &output)));
        output.print(&text)?;
    } else {
        output.json(&rows.iter().map(Row::json).collect::<Vec<_>>())?;
    }
    Ok(Exit::Done)
}

struct Row {
    name: String,
    values: Vec<String>,
    /// None where it is as it is by default.
    origin: Option<Origin>,
}

impl Row {
    fn cells(&self) -> Vec<Cell> {
        let value = if self.values.is_empty() { "-".to_owned() } else { self.values.join(", ") };
        let from = self.origin.as_ref().map_or("default".to_owned(), Origin::to_string);
        [&self.name, &value, &from].map(|text| Cell::plain(escaped(text))).into()
    }

    fn json(&self) -> Value {
        let value = match self.values.as_slice() {
            [] => Value::Null,
            [one] => match one.parse::<bool>() {
                Ok(truth) => truth.into(),
                Err(_) => one.as_str().into(),
            },
            many => many.into(),
        };
        let (source, place) = match &self.origin {
            None => ("default", None),
            Some(Origin::CommandLine) => ("command line", None),
            Some(Origin::Variable(name)) => ("environment", Some(name.clone())),
            Some(file @ Origin::File(..)) => ("file", Some(file.to_string())),
        };
        json!({
            "setting": self.name,
            "value": value,
            "source": source,
            "place": place,
            "variable": variable_of(&self.name),
        })
    }
}
