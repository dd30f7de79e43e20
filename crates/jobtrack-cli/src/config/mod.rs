//! The settings of the server: what the command line says, else the environment, else a file, else
//! what they are by default.
//!
//! One mechanism for all of them. It goes by the options that `serve` has, so an option that is added
//! there can be set by a variable and in the file without a word here: what they say is checked by
//! the option's own parser and then put behind the words of the command line, as if it stood there.

mod file;
mod show;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use clap::builder::BoolValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

pub(crate) use show::{Arguments, config};

use crate::Failed;

/// The option that names the file.
const FILE: &str = "config";
/// Stands before the name of an option in its variable.
const PREFIX: &str = "JOBTRACK_";
/// The commands that have the settings.
const SERVE: &str = "serve";
const CONFIG: &str = "config";

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    CommandLine,
    Variable(String),
    File(PathBuf, usize),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::CommandLine => f.write_str("command line"),
            Origin::Variable(name) => f.write_str(name),
            Origin::File(path, line) => write!(f, "{}:{line}", path.display()),
        }
    }
}

/// What something other than a default says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) name: String,
    pub(crate) values: Vec<OsString>,
    pub(crate) origin: Origin,
}

/// The command line with what the environment and the file say behind it.
#[derive(Debug, Clone)]
pub(crate) struct Settled {
    pub(crate) words: Vec<OsString>,
    pub(crate) settings: Vec<Setting>,
}

/// The command, whose switches can also be turned off again: a file may turn on what a variable or
/// the command line is to turn off.
pub(crate) fn with_settings(mut command: Command) -> Command {
    for name in [SERVE, CONFIG] {
        command = command.mut_subcommand(name, |command| {
            command.mut_args(|arg| if is_switch(&arg) { as_setting(arg) } else { arg })
        });
    }
    command
}

fn is_switch(arg: &Arg) -> bool {
    // --json is of those who read and none of the server's.
    matches!(arg.get_action(), ArgAction::SetTrue) && arg.get_long() != Some("json")
}

fn as_setting(arg: Arg) -> Arg {
    arg.action(ArgAction::Set)
        .value_parser(BoolValueParser::new())
        .num_args(0..=1)
        .require_equals(true)
        .value_name("false")
        .default_value("false")
        .default_missing_value("true")
        .hide_default_value(true)
        .hide_possible_values(true)
}

/// Puts what the environment and the file say behind the words of the command line, if that is for
/// a command that has settings. What is wrong with them is told by variable, or by file and line.
pub(crate) fn settle(command: &Command, words: Vec<OsString>) -> Result<Settled, Failed> {
    let nothing = |words| Ok(Settled { words, settings: Vec::new() });
    // What is wrong on the command line is told when it is parsed in earnest.
    let Ok(given) = command.clone().ignore_errors(true).try_get_matches_from(&words) else {
        return nothing(words);
    };
    let Some((SERVE | CONFIG, given)) = given.subcommand() else { return nothing(words) };
    if given.subcommand_name().is_some() {
        return nothing(words);
    }
    let options = options(command);
    let named = given.try_get_one::<PathBuf>(FILE).ok().flatten().cloned();
    let named = named.or_else(|| variable(&variable_of(FILE)).map(PathBuf::from));
    let in_file = match &named {
        None => Vec::new(),
        Some(path) => {
            let read = file::read(path, &options)?;
            if let Some(first) = read.problems.first() {
                let more = match read.problems.len() {
                    1 => String::new(),
                    n => format!(" (and {} more: jobtrack config check tells them all)", n - 1),
                };
                return Err(Failed::usage(format!("{first}{more}")));
            }
            read.settings
        }
    };
    let mut settled = Settled { words, settings: Vec::new() };
    for option in &options {
        let name = name_of(option);
        if is_on_command_line(given, option) {
            let values = given.get_raw(option.get_id().as_str()).unwrap_or_default();
            settled.settings.push(Setting {
                name: name.to_owned(),
                values: values.map(OsStr::to_owned).collect(),
                origin: Origin::CommandLine,
            });
            continue;
        }
        let of_file = || in_file.iter().find(|setting| setting.name == name).cloned();
        let Some(setting) = in_environment(option)?.or_else(of_file) else { continue };
        settled.words.extend(setting.values.iter().map(|value| word(name, value)));
        settled.settings.push(setting);
    }
    Ok(settled)
}

impl Settled {
    /// What is wrong with the whole, with the places of those settings that it names and that do not
    /// stand on the command line.
    pub(crate) fn explain(&self, error: clap::Error) -> Result<clap::Error, Failed> {
        let text = error.to_string();
        let elsewhere = self.settings.iter().filter(|setting| {
            let option = format!("--{}", setting.name);
            let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '-');
            setting.origin != Origin::CommandLine
                && text.split(&option).skip(1).any(ends)
                && !matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
        });
        let places: Vec<_> = elsewhere
            .map(|setting| format!("--{} is from {}", setting.name, setting.origin))
            .collect();
        if places.is_empty() {
            return Ok(error);
        }
        let lines = text.lines().take_while(|line| !line.starts_with("Usage:"));
        let words: Vec<_> = lines.flat_map(str::split_whitespace).collect();
        let words = words.join(" ");
        let problem = words.trim_start_matches("error: ");
        Err(Failed::usage(format!("{problem} ({})", places.join(", "))))
    }

    /// Names of settings that are another here than there.
    pub(crate) fn differences<'a>(&'a self, other: &'a Settled) -> Vec<&'a str> {
        let said = |settled: &Settled, name: &str| {
            let of_name = settled.settings.iter().find(|setting| setting.name == name);
            of_name.map(|setting| setting.values.clone())
        };
        let all = self.settings.iter().chain(&other.settings).map(|setting| setting.name.as_str());
        let mut names: Vec<_> = all.filter(|name| said(self, name) != said(other, name)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// The options of the server that can be set everywhere.
fn options(command: &Command) -> Vec<Arg> {
    let serve = command.find_subcommand(SERVE).map(Command::get_arguments);
    let is_setting = |arg: &&Arg| !matches!(arg.get_long(), None | Some(FILE | "help" | "version"));
    serve.into_iter().flatten().filter(is_setting).cloned().collect()
}

fn name_of(option: &Arg) -> &str {
    option.get_long().unwrap_or_default()
}

/// The variable of an option: `JOBTRACK_TLS_DIR` of `--tls-dir`.
fn variable_of(name: &str) -> String {
    format!("{PREFIX}{}", name.to_uppercase().replace('-', "_"))
}

/// A variable that is set to nothing is as good as one that is not set.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

fn takes_many(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::Append)
}

fn is_on_command_line(matches: &ArgMatches, option: &Arg) -> bool {
    let id = option.get_id().as_str();
    matches.try_contains_id(id).is_ok()
        && matches.value_source(id) == Some(ValueSource::CommandLine)
}

fn in_environment(option: &Arg) -> Result<Option<Setting>, Failed> {
    let name = name_of(option);
    let variable_name = variable_of(name);
    let Some(value) = variable(&variable_name) else { return Ok(None) };
    let values = match value.to_str() {
        Some(text) if takes_many(option) => {
            text.split(',').map(|part| part.trim().into()).collect()
        }
        _ => vec![value],
    };
    for value in &values {
        if let Some(problem) = problem(option, value) {
            let value = value.to_string_lossy();
            return Err(Failed::usage(format!("{variable_name}={value}: {problem}")));
        }
    }
    Ok(Some(Setting { name: name.to_owned(), values, origin: Origin::Variable(variable_name) }))
}

/// What is wrong with a value, as the option's own parser sees it.
fn problem(option: &Arg, value: &OsStr) -> Option<String> {
    let alone = Arg::new("value").long("value").value_parser(option.get_value_parser().clone());
    let command = Command::new("check").no_binary_name(true).arg(alone);
    let error = command.try_get_matches_from([word("value", value)]).err()?;
    if let Some(source) = std::error::Error::source(&error) {
        return Some(source.to_string());
    }
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(valid)) if !valid.is_empty() => {
            Some(format!("it is none of {}", valid.join(", ")))
        }
        _ => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            Some(first.trim_start_matches("error: ").to_owned())
        }
    }
}

/// As an option is written on the command line.
fn word(name: &str, value: &OsStr) -> OsString {
    let mut word = OsString::from(format!("--{name}="));
    word.push(value);
    word
}

/// Everything that is wrong with a file of settings, and how many it has.
fn check(command: &Command, path: &Path) -> Result<(Vec<String>, usize), Failed> {
    let read = file::read(path, &options(command))?;
    let mut problems: Vec<_> = read.problems.iter().map(ToString::to_string).collect();
    if problems.is_empty() {
        // Each is right for itself; whether they go together is for the parser to say.
        let mut settled =
            Settled { words: vec!["jobtrack".into(), SERVE.into()], settings: read.settings };
        for setting in &settled.settings {
            settled.words.extend(setting.values.iter().map(|value| word(&setting.name, value)));
        }
        if let Err(error) = command.clone().try_get_matches_from(&settled.words) {
            problems.push(match settled.explain(error) {
                Ok(error) => error.to_string(),
                Err(failed) => failed.message,
            });
        }
        return Ok((problems, settled.settings.len()));
    }
    Ok((problems, read.settings.len()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn command() -> Command {
        with_settings(crate::Arguments::command())
    }

    fn settle_words(words: &[&str]) -> Result<Settled, Failed> {
        settle(&command(), words.iter().map(OsString::from).collect())
    }

    fn file(content: &str) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jobtrack.toml");
        std::fs::write(&path, content).unwrap();
        let option = format!("--config={}", path.display());
        (folder, option)
    }

    #[test]
    fn every_option_of_the_server_is_a_setting() {
        let command = command();
        command.clone().debug_assert();
        let options = options(&command);
        assert!(options.len() > 10);
        for option in &options {
            let kind = option.get_action();
            assert!(matches!(kind, ArgAction::Set | ArgAction::Append), "{}", name_of(option));
            // A variable that clap reads must be the one that is documented.
            if let Some(env) = option.get_env() {
                assert_eq!(env.to_str(), Some(&*variable_of(name_of(option))));
            }
        }
        // And `jobtrack config` takes each of them.
        let config = command.find_subcommand(CONFIG).unwrap();
        for option in &options {
            assert!(config.get_arguments().any(|arg| arg.get_id() == option.get_id()));
        }
    }

    #[test]
    fn the_command_line_comes_before_the_file() {
        let (_folder, option) = file("retention = '1h'\nlost = ['queue:3', 'backup=leave']\n");
        let settled = settle_words(&["jobtrack", "serve", &option]).unwrap();
        let behind: Vec<_> =
            settled.words.iter().skip(3).filter_map(|word| word.to_str()).collect();
        assert_eq!(behind, ["--retention=1h", "--lost=queue:3", "--lost=backup=leave"]);
        let words = ["jobtrack", "serve", "--lost", "fail", &option];
        let settled = settle_words(&words).unwrap();
        assert_eq!(settled.words.len(), words.len() + 1, "what is given is given whole");
        let origins: Vec<_> = settled.settings.iter().map(|s| s.origin.to_string()).collect();
        assert!(origins.contains(&"command line".to_owned()), "{origins:?}");
        assert!(origins.iter().any(|origin| origin.ends_with("jobtrack.toml:1")), "{origins:?}");
    }

    #[test]
    fn what_is_wrong_in_the_file_is_told_by_line_with_what_would_be_right() {
        let cases = [
            ("retension = '1h'", "1: there is no setting \"retension\"; is retention meant?"),
            ("\ntls_dir = 'x'", "2: there is no setting \"tls_dir\"; is tls-dir meant?"),
            ("retention = 'soon'", "1: retention = \"soon\": "),
            ("connections = 'many'", "1: connections = \"many\": invalid digit"),
            ("tls = 'yes'", "1: tls = \"yes\": it is none of true, false"),
            ("retention = ['1h', '2h']", "1: retention: it takes one value"),
            ("[tls]\ndir = 'x'", "1: tls: it takes a text, a number, true or false"),
            ("retention = 1h", "1: "),
            ("demo = true\ndemo = false", "2: "),
        ];
        for (content, expected) in cases {
            let (_folder, option) = file(content);
            let failed = settle_words(&["jobtrack", "serve", &option]).unwrap_err();
            let (_, told) = failed.message.split_once("jobtrack.toml:").unwrap();
            assert!(told.starts_with(expected), "{content}: {told}");
        }
    }

    #[test]
    fn a_switch_can_be_turned_off_again() {
        let (_folder, option) = file("demo = true\n");
        let demo = |words: &[&str]| {
            let settled = settle_words(words).unwrap();
            let matches = command().try_get_matches_from(settled.words).unwrap();
            let serve = matches.subcommand_matches("serve").unwrap();
            let store = serve.get_raw("store").unwrap().next().unwrap().to_owned();
            (*serve.get_one::<bool>("demo").unwrap(), store)
        };
        assert_eq!(demo(&["jobtrack", "serve", &option]), (true, "memory:".into()));
        let off = demo(&["jobtrack", "serve", &option, "--demo=false"]);
        assert_eq!(off, (false, "redb:./jobtrack-data".into()));
        assert!(demo(&["jobtrack", "serve", "--demo"]).0);
    }

    #[test]
    fn settings_that_do_not_go_together_are_told_with_their_places() {
        let (folder, option) = file("tls-dir = 'x'\n");
        let settled = settle_words(&["jobtrack", "serve", &option]).unwrap();
        let error = command().try_get_matches_from(&settled.words).unwrap_err();
        // What is missing stands nowhere; what asks for it does.
        let told = match settled.explain(error) {
            Ok(error) => error.to_string(),
            Err(failed) => failed.message,
        };
        assert!(told.contains("--tls"), "{told}");
        let (problems, _) = check(&command(), &folder.path().join("jobtrack.toml")).unwrap();
        assert_eq!(problems.len(), 1, "{problems:?}");
    }

    #[test]
    fn what_has_changed_is_found() {
        let settled = |words: &[&str]| settle_words(words).unwrap();
        let before = settled(&["jobtrack", "serve", "--retention", "1h", "--lease", "5s"]);
        let after = settled(&["jobtrack", "serve", "--retention", "2h", "--lease", "5s", "--demo"]);
        assert_eq!(before.differences(&after), ["demo", "retention"]);
    }
}
