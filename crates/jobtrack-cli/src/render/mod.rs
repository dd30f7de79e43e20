//! What is printed, and how: tables and colour for people, JSON for programs.

pub(crate) mod columns;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod time;

use std::io::{self, IsTerminal, Write};

use anstyle::Style;
use jobtrack::{Clock, SystemClock, Timestamp};
use serde::Serialize;

use crate::Failed;
use crate::record::Record;
use text::escaped;

/// How to print.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct OutputArguments {
    /// How to print; table at a terminal unless given, json where the output goes elsewhere
    #[arg(short = 'o', long = "output", value_enum, value_name = "FORMAT")]
    format: Option<Format>,

    /// Print JSON, as -o json does
    #[arg(long, conflicts_with = "format")]
    json: bool,

    /// Whether to use colour; never where NO_COLOR is set, unless told always
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto")]
    color: When,
}

/// How to print a job that a command has changed, if it is to be printed.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct ChangedArguments {
    /// Print nothing; the exit status says whether it is done
    #[arg(short, long)]
    quiet: bool,

    #[command(flatten)]
    output: OutputArguments,
}

impl ChangedArguments {
    /// How to print, quiet or not.
    pub(crate) fn output(self) -> Output {
        self.output.output()
    }

    /// Prints the job as it stands now.
    pub(crate) fn job(self, record: &Record) -> Result<(), Failed> {
        if self.quiet { Ok(()) } else { self.output.output().job(record, false) }
    }
}

/// The forms in which jobs are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people; times as they are told
    Table,
    /// An array or an object; times exact
    Json,
    /// One object a line
    Ndjson,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

impl OutputArguments {
    /// What that comes to at this terminal, or without one.
    pub(crate) fn output(self) -> Output {
        let is_terminal = io::stdout().is_terminal();
        let format = match (self.format, self.json, is_terminal) {
            (Some(format), ..) => format,
            (None, false, true) => Format::Table,
            (None, ..) => Format::Json,
        };
        let has_color = match self.color {
            When::Always => true,
            When::Never => false,
            // As https://no-color.org has it: any text but an empty one.
            When::Auto => is_terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        };
        let width = is_terminal.then(|| crossterm::terminal::size().ok()).flatten();
        let width = width.map(|(columns, _)| usize::from(columns));
        Output { format, has_color, width, is_terminal }
    }
}

/// Where and how to print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) format: Format,
    pub(crate) has_color: bool,
    /// Columns of the terminal; as wide as it needs to be where there is none.
    pub(crate) width: Option<usize>,
    pub(crate) is_terminal: bool,
}

impl Output {
    /// Prints one job: in full, or as one line of what matters.
    pub(crate) fn job(&self, record: &Record, in_full: bool) -> Result<(), Failed> {
        match self.format {
            Format::Table if in_full => self.print(&self.full(record)),
            Format::Table => self.print(&self.line(record)),
            Format::Json | Format::Ndjson => self.json(record),
        }
    }

    /// Whether it is for people.
    pub(crate) fn is_table(&self) -> bool {
        self.format == Format::Table
    }

    /// Prints a value as JSON: laid out for eyes at a terminal, on one line otherwise.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<(), Failed> {
        let text = match self.format == Format::Json && self.is_terminal {
            true => serde_json::to_string_pretty(value)?,
            false => serde_json::to_string(value)?,
        };
        self.print(&format!("{text}\n"))
    }

    /// Prints a text as it is.
    pub(crate) fn print(&self, text: &str) -> Result<(), Failed> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| match error
            .kind()
        {
            io::ErrorKind::BrokenPipe => Failed::no_reader(),
            _ => error.into(),
        })
    }

    /// The text in this style, if there is colour.
    pub(crate) fn styled(&self, style: Style, text: &str) -> String {
        if self.has_color && style != Style::new() {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    /// Who it is, its state, and what it says.
    fn line(&self, record: &Record) -> String {
        let state = self.styled(columns::style_of(record), &columns::state(record));
        let mut line = format!("{}  {state}", escaped(record.text("uuid")));
        for text in [record.text("description"), record.text("message")] {
            if !text.is_empty() {
                line.push_str(&format!("  {}", escaped(text)));
            }
        }
        line + "\n"
    }

    /// Every field that is set.
    fn full(&self, record: &Record) -> String {
        let fields = record.fields();
        let names = fields.iter().map(|(name, _)| escaped(name)).collect::<Vec<_>>();
        let widest = names.iter().map(|name| text::width(name)).max().unwrap_or(0);
        let now = now();
        let mut shown = String::new();
        for (name, (field, value)) in names.iter().zip(&fields) {
            let padding = " ".repeat(widest - text::width(name).min(widest));
            let style = if field == "state" { columns::style_of(record) } else { Style::new() };
            let value = self.styled(style, &columns::value_in_full(field, value, now));
            let name = self.styled(table::TITLE, name);
            shown.push_str(&format!("{name}{padding}  {value}\n"));
        }
        shown
    }
}

/// Now, by this machine.
pub(crate) fn now() -> Timestamp {
    SystemClock::new().wall()
}
