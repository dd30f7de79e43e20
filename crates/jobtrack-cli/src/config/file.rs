//! The file of settings: TOML, one key for each option of the server, by the option's own name.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::Arg;
use jobtrack::quoted;
use toml::de::DeTable;
use toml::{Table, Value};

use super::{Origin, Setting, name_of, problem, takes_many};
use crate::Failed;

/// What a file says, and what is wrong with it.
pub(super) struct Read {
    pub(super) settings: Vec<Setting>,
    pub(super) problems: Vec<Problem>,
}

/// Something wrong in a line of a file.
#[derive(Debug)]
pub(super) struct Problem {
    path: PathBuf,
    line: usize,
    message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.message)
    }
}

/// Reads the settings of a file.
pub(super) fn read(path: &Path, options: &[Arg]) -> Result<Read, Failed> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failed::usage(format!("{}: {error}", path.display())))?;
    let mut read = Read { settings: Vec::new(), problems: Vec::new() };
    let wrong = |line, message| Problem { path: path.to_owned(), line, message };
    let parsed = DeTable::parse(&text).and_then(|keys| Ok((keys, text.parse::<Table>()?)));
    let (keys, values) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            read.problems.push(wrong(line_of(&text, at), one_line(error.message())));
            return Ok(read);
        }
    };
    let lines = keys
        .get_ref()
        .iter()
        .map(|(key, _)| (line_of(&text, key.span().start), key.get_ref().as_ref().to_owned()));
    let mut lines: Vec<(usize, String)> = lines.collect();
    lines.sort();
    for (line, name) in lines {
        let Some(value) = values.get(&name) else { continue };
        let origin = Origin::File(path.to_owned(), line);
        match setting(options, &name, value) {
            Ok(values) => read.settings.push(Setting { name, values, origin }),
            Err(message) => read.problems.push(wrong(line, message)),
        }
    }
    Ok(read)
}

/// What a key says to the option of its name, or what is wrong with it.
fn setting(options: &[Arg], name: &str, value: &Value) -> Result<Vec<OsString>, String> {
    let Some(option) = options.iter().find(|option| name_of(option) == name) else {
        let nearest = nearest(options, name);
        return Err(format!("there is no setting {}; is {nearest} meant?", quoted(name)));
    };
    let texts = match value {
        Value::Array(values) if takes_many(option) => {
            values.iter().map(|value| text(name, value)).collect::<Result<Vec<_>, _>>()?
        }
        Value::Array(_) => return Err(format!("{name}: it takes one value and no list")),
        value => vec![text(name, value)?],
    };
    for text in &texts {
        if let Some(problem) = problem(option, text.as_ref()) {
            return Err(format!("{name} = {}: {}", quoted(text), one_line(&problem)));
        }
    }
    Ok(texts.into_iter().map(OsString::from).collect())
}

fn text(name: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        Value::Boolean(truth) => Ok(truth.to_string()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => {
            Err(format!("{name}: it takes a text, a number, true or false"))
        }
    }
}

fn nearest<'a>(options: &'a [Arg], name: &str) -> &'a str {
    let distance = |option: &&Arg| strsim::damerau_levenshtein(name_of(option), name);
    options.iter().min_by_key(distance).map(name_of).unwrap_or_default()
}

/// The number of the line in which this byte is, from 1.
fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
