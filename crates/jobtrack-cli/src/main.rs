//! `jobtrack`: the server, and the command line that talks to one or to a store.

// This is a program for people at a terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod archive;
mod bulk;
mod claim;
mod client;
mod config;
mod create;
mod demo;
mod drive;
mod each;
mod exec;
mod exit;
mod export;
mod generate;
mod get;
mod import;
mod keep;
mod list;
mod listing;
mod local;
mod log;
mod password;
mod record;
mod render;
mod request;
mod retain;
mod security;
mod serve;
mod store;
mod stores;
mod target;
mod tls;
mod token;
mod tree;
mod user;
mod wait;
mod watch;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use config::Settled;
use exit::{Exit, Failed};

/// Tracks long-running jobs: durable, queryable, expiring on time.
#[derive(Debug, Parser)]
#[command(name = "jobtrack", version, about, after_help = after_help())]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

const TO_BEGIN_WITH: &str = "\
To begin with:
  jobtrack serve                                  in one terminal, and in another:
  jobtrack exec -- sleep 60                       run a command as a tracked job
  jobtrack watch                                  see it live
  jobtrack list 'state=running' -o json           ask of it";

fn after_help() -> String {
    format!("{}\n\n{TO_BEGIN_WITH}", exit::help())
}

#[derive(Debug, Subcommand)]
enum Task {
    Serve(serve::Arguments),
    Config(config::Arguments),
    Create(create::Arguments),
    List(list::Arguments),
    Get(get::Arguments),
    Tree(tree::Arguments),
    Log(log::Arguments),
    Wait(wait::Arguments),
    Watch(watch::Arguments),
    Claim(claim::ClaimArguments),
    Renew(claim::RenewArguments),
    Release(claim::ReleaseArguments),
    Start(drive::StartArguments),
    Report(drive::ReportArguments),
    Succeed(drive::SucceedArguments),
    Fail(drive::FailArguments),
    /// Ask jobs to stop for a while, as an operator.
    ///
    /// A job whose worker answers for itself (cooperative) keeps the request until it does; any
    /// other is paused at once.
    Pause(request::AnswerableArguments),
    /// Ask paused jobs to go on, as an operator.
    ///
    /// A job whose worker answers for itself (cooperative) keeps the request until it does; any
    /// other goes on at once.
    Resume(request::AnswerableArguments),
    /// Ask jobs to end, as an operator.
    ///
    /// A queued job ends at once. A job whose worker answers for itself (cooperative) keeps the
    /// request until it does; any other ends at once, as canceled.
    Cancel(request::Arguments),
    Extend(keep::ExtendArguments),
    Hold(keep::HoldArguments),
    Unhold(keep::UnholdArguments),
    Delete(keep::DeleteArguments),
    Bulk(bulk::Arguments),
    Exec(exec::Arguments),
    Import(import::Arguments),
    Export(export::Arguments),
    Store(stores::Arguments),
    User(user::Arguments),
    Token(token::Arguments),
    Completions(generate::CompletionsArguments),
    Man(generate::ManArguments),
}

fn main() -> ExitCode {
    let ended = parse().and_then(|parsed| run(&parsed));
    let exit = ended.unwrap_or_else(|failed| {
        failed.tell();
        failed.exit
    });
    exit.into()
}

/// What the program was told to do.
struct Parsed {
    arguments: Arguments,
    matches: ArgMatches,
    settled: Settled,
}

fn run(parsed: &Parsed) -> Result<Exit, Failed> {
    match &parsed.arguments.task {
        Task::Serve(arguments) => serve::serve(arguments, &parsed.settled),
        Task::Config(arguments) => config::config(arguments, &parsed.matches, &parsed.settled),
        Task::Create(arguments) => create::create(arguments),
        Task::List(arguments) => list::list(arguments),
        Task::Get(arguments) => get::get(arguments),
        Task::Tree(arguments) => tree::tree(arguments),
        Task::Log(arguments) => log::log(arguments),
        Task::Wait(arguments) => wait::wait(arguments),
        Task::Watch(arguments) => watch::watch(arguments),
        Task::Claim(arguments) => claim::claim(arguments),
        Task::Renew(arguments) => claim::renew(arguments),
        Task::Release(arguments) => claim::release(arguments),
        Task::Start(arguments) => drive::start(arguments),
        Task::Report(arguments) => drive::report(arguments),
        Task::Succeed(arguments) => drive::succeed(arguments),
        Task::Fail(arguments) => drive::fail(arguments),
        Task::Pause(arguments) => request::pause(arguments),
        Task::Resume(arguments) => request::resume(arguments),
        Task::Cancel(arguments) => request::cancel(arguments),
        Task::Extend(arguments) => keep::extend(arguments),
        Task::Hold(arguments) => keep::hold(arguments),
        Task::Unhold(arguments) => keep::unhold(arguments),
        Task::Delete(arguments) => keep::delete(arguments),
        Task::Bulk(arguments) => bulk::bulk(arguments),
        Task::Exec(arguments) => exec::exec(arguments),
        Task::Import(arguments) => import::import(arguments),
        Task::Export(arguments) => export::export(arguments),
        Task::Store(arguments) => stores::store(arguments),
        Task::User(arguments) => user::user(arguments),
        Task::Token(arguments) => token::token(arguments),
        Task::Completions(arguments) => generate::completions(arguments),
        Task::Man(arguments) => generate::man(arguments),
    }
}

/// Reads the command line. What is wrong with it ends the program here, with the parser's own words.
fn parse() -> Result<Parsed, Failed> {
    parse_again()?.map_err(|error| error.exit())
}

/// Reads the command line; and, for the server, the environment and the file of settings behind it.
fn parse_again() -> Result<Result<Parsed, clap::Error>, Failed> {
    let command = config::with_settings(Arguments::command());
    let settled = config::settle(&command, std::env::args_os().collect())?;
    let matches = match command.try_get_matches_from(&settled.words) {
        Ok(matches) => matches,
        Err(error) => return settled.explain(error).map(Err),
    };
    let mut task = &matches;
    while let Some((_, below)) = task.subcommand() {
        task = below;
    }
    if is_written(task, "address") && is_written(task, "store") {
        // Not the parser's own rule of conflicts: JOBTRACK_SERVER may be set, and --store wins.
        let message = "--server and --store are two places; name one";
        return Ok(Err(Arguments::command().error(ErrorKind::ArgumentConflict, message)));
    }
    Ok(match Arguments::from_arg_matches(&matches) {
        Ok(arguments) => Ok(Parsed { arguments, matches, settled }),
        Err(error) => Err(error),
    })
}

/// Whether the option stands on the command line.
fn is_written(matches: &ArgMatches, id: &str) -> bool {
    matches.try_contains_id(id).is_ok()
        && matches.value_source(id) == Some(ValueSource::CommandLine)
}
