//! `jobtrack`: the server, and the command line that talks to one.

// This is a program for people at a terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod client;
mod export;
mod import;
mod password;
mod serve;
mod store;
mod tls;
mod user;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tracks long-running jobs: durable, queryable, expiring on time.
#[derive(Debug, Parser)]
#[command(name = "jobtrack", version, about, after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

const AFTER_HELP: &str = "\
Exit status:
  0  done
  1  not done; one line on standard error says why
  2  the command line is wrong
  3  imported, but for bad lines: they are listed on standard error

To begin with:
  jobtrack serve
  curl -d '{\"description\": \"Backup of vol1\"}' http://127.0.0.1:8080/v1/jobs
  curl http://127.0.0.1:8080/v1/jobs";

#[derive(Debug, Subcommand)]
enum Task {
    Serve(serve::Arguments),
    Import(import::Arguments),
    Export(export::Arguments),
    User(user::Arguments),
}

/// How a task ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Wholly,
    /// Some of the lines were bad.
    ButForBadLines,
}

/// Why a task failed: one line for people.
#[derive(Debug)]
struct Failed(String);

impl<E: std::fmt::Display> From<E> for Failed {
    fn from(error: E) -> Self {
        Failed(error.to_string())
    }
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Serve(arguments) => serve::serve(&arguments),
        Task::Import(arguments) => import::import(&arguments),
        Task::Export(arguments) => export::export(&arguments),
        Task::User(arguments) => user::user(&arguments),
    };
    match done {
        Ok(Done::Wholly) => ExitCode::SUCCESS,
        Ok(Done::ButForBadLines) => ExitCode::from(3),
        Err(Failed(why)) => {
            eprintln!("jobtrack: {why}");
            ExitCode::FAILURE
        }
    }
}
