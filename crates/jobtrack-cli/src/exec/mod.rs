//! `jobtrack exec`: a real command as a tracked job.
//!
//! Three parties, so that none waits for another: the command itself, in a process group of its own
//! ([`child`]); its output, passed through as it comes ([`output`]); and the courier, who tells the
//! server and hears what is asked, however slow or absent the server is ([`courier`]). Here is who
//! decides: what happens on a signal, on a request, and at the end.

mod child;
mod courier;
mod output;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use jobtrack::{Action, Cause, NewJob};
use jobtrack_http::parse_span;
use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::create::About;
use crate::target::TargetArguments;
use crate::{Exit, Failed};
use child::{Group, Status};
use courier::{Courier, Word};
use output::Output;

/// Run a command as a tracked job.
///
/// The command's last line of output is the job's message, its exit status the job's code. A cancel
/// asked of the job sends it SIGTERM, and SIGKILL after the grace; so does Ctrl-C here. Pause and
/// resume stop it and let it go on. It ends with the status of the command, whatever becomes of the
/// server meanwhile.
///
/// The command has its own process group and no terminal: its output comes through pipes, and its
/// input is empty unless it is redirected. JOBTRACK_JOB tells it its uuid.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What the job is; the command line unless given
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    #[command(flatten)]
    about: About,

    /// How long the command may take to end after SIGTERM before it is killed
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = parse_span)]
    grace: Duration,

    /// How long to go on trying to report the end to a server that is away
    #[arg(long, value_name = "SPAN", default_value = "5m", value_parser = parse_span)]
    retry: Duration,

    /// Do not say on standard error which job it is
    #[arg(short, long)]
    quiet: bool,

    #[command(flatten)]
    target: TargetArguments,

    /// The command and its arguments, after --
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Something that the supervisor must act on.
enum Event {
    /// A signal to this program.
    Signal(i32),
    /// An operator asks something of the job, and what to say of it if it is a cancel.
    Asked(Action, String),
    /// The command has exited; it is not reaped yet, so its number is still its own.
    Exited,
    /// One of its two outputs has ended.
    OutputEnded,
    /// The courier has told the end, or given up.
    Told,
}

/// How long what the command started and left behind may hold on to its output.
const LINGER: Duration = Duration::from_secs(2);

pub(crate) fn exec(arguments: &Arguments) -> Result<Exit, Failed> {
    let not_tracked = |failed: Failed| Failed { exit: Exit::NotTracked, ..failed };
    let target = arguments.target.open_or_make().map_err(not_tracked)?;
    let job = target.create(&new_job(arguments)).map_err(not_tracked)?;
    let id = job.id().map_err(not_tracked)?;
    // Before the job runs, so that no Ctrl-C leaves it without an end.
    let (events, inbox) = channel();
    watch_signals(events.clone()).map_err(|error| not_tracked(error.into()))?;
    target.change(id, "start", &json!({})).map_err(not_tracked)?;
    if !arguments.quiet {
        eprintln!("jobtrack: this is job {id}");
    }
    let environment = [("JOBTRACK_JOB", id.to_string()), ("JOBTRACK_SERVER", target.url())];
    let started = child::start(&arguments.command, &environment);
    let output = Arc::new(Output::default());
    let courier = Courier { target, id, output: Arc::clone(&output), retry: arguments.retry };
    let words = courier.set_out(events.clone());
    let ended = match started {
        Err(error) => End::not_run(&arguments.command, &error),
        Ok((group, pipes)) => {
            output.pass_through(pipes, events.clone());
            group.watch(events.clone());
            let supervisor =
                Supervisor { group, words: words.clone(), grace: arguments.grace, kill_at: None };
            drop(events);
            supervisor.until_exit(&inbox)?.end(&output)
        }
    };
    if let Some(message) = &ended.complaint {
        eprintln!("jobtrack: {message}");
    }
    let _ = words.send(Word::Ended(ended.body));
    until_told(&inbox);
    Ok(ended.exit)
}

fn new_job(arguments: &Arguments) -> NewJob {
    let description = match &arguments.description {
        Some(description) => description.clone(),
        None => output::shortened(&arguments.command.join(" "), DESCRIPTION),
    };
    let mut job = NewJob { cooperative: true, ..arguments.about.job(&description) };
    if job.kind.is_empty() {
        "command".clone_into(&mut job.kind);
    }
    if job.node.is_empty() {
        job.node = rustix::system::uname().nodename().to_string_lossy().into_owned();
    }
    job
}

/// Bytes of a description, as the engine's limit has it.
const DESCRIPTION: usize = 1_024;
/// Bytes of a message, likewise.
const MESSAGE: usize = 4_096;

fn watch_signals(events: Sender<Event>) -> std::io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if events.send(Event::Signal(signal)).is_err() {
                return;
            }
        }
    });
    Ok(())
}

/// How long the end may still take to be told, once a signal says that nobody wants to wait.
const LAST_WORD: Duration = Duration::from_secs(2);

/// Waits until the end has been told, however long the courier tries, or until a signal.
#[allow(clippy::disallowed_methods)] // How long somebody waits here is no time of a job.
fn until_told(inbox: &Receiver<Event>) {
    let mut give_up = None;
    loop {
        match next(inbox, give_up) {
            Next::Event(Event::Told) | Next::Nobody => return,
            Next::Event(Event::Signal(_)) if give_up.is_none() => {
                give_up = Instant::now().checked_add(LAST_WORD);
            }
            Next::Event(Event::Signal(_)) | Next::TimeUp => {
                eprintln!("jobtrack: the end of the job was not reported");
                return;
            }
            Next::Event(_) => {}
        }
    }
}

/// Decides what is done to the command while it runs.
struct Supervisor {
    group: Group,
    words: Sender<Word>,
    grace: Duration,
    /// When to stop being patient, once it is told to end.
    kill_at: Option<Instant>,
}

/// How the command ended, and whether it was told to.
struct Ended {
    status: Status,
    /// Who canceled it, and why, in words; None unless somebody did.
    canceled: Option<String>,
}

// How long a process may take is no time of a job.
#[allow(clippy::disallowed_methods)]
impl Supervisor {
    fn until_exit(mut self, inbox: &Receiver<Event>) -> Result<Ended, Failed> {
        let mut canceled: Option<String> = None;
        let mut outputs = 2;
        let mut exited_at: Option<Instant> = None;
        while exited_at.is_none() || outputs > 0 {
            let linger = exited_at.and_then(|at| at.checked_add(LINGER));
            match next(inbox, self.kill_at.or(linger)) {
                Next::Event(Event::Signal(signal)) => {
                    if canceled.is_some() {
                        // Asked twice, and by who sits here: no more patience.
                        self.group.kill();
                    } else {
                        let name = child::signal_name(signal);
                        let reason = format!("{name} at the command");
                        canceled = Some(format!("{}: {reason}", Cause::Canceled.default_message()));
                        let _ = self.words.send(Word::Canceled(reason));
                        self.terminate();
                    }
                }
                Next::Event(Event::Asked(Action::Cancel, said)) if canceled.is_none() => {
                    canceled = Some(said);
                    self.terminate();
                }
                Next::Event(Event::Asked(Action::Pause, _)) if canceled.is_none() => {
                    self.group.stop();
                    let _ = self.words.send(Word::Halted(true));
                }
                Next::Event(Event::Asked(Action::Resume, _)) if canceled.is_none() => {
                    self.group.go_on();
                    let _ = self.words.send(Word::Halted(false));
                }
                Next::Event(Event::Exited) => exited_at = Some(Instant::now()),
                Next::Event(Event::OutputEnded) => outputs -= 1,
                Next::Event(Event::Asked(..) | Event::Told) => {}
                Next::TimeUp if self.kill_at.take().is_some() => self.group.kill(),
                // What it left behind still holds its output; it is not waited for.
                Next::TimeUp => break,
                Next::Nobody => break,
            }
        }
        Ok(Ended { status: self.group.reap()?, canceled })
    }

    fn terminate(&mut self) {
        self.group.terminate();
        self.kill_at = Instant::now().checked_add(self.grace);
    }
}

enum Next {
    Event(Event),
    TimeUp,
    Nobody,
}

#[allow(clippy::disallowed_methods)] // As above.
fn next(inbox: &Receiver<Event>, until: Option<Instant>) -> Next {
    let Some(until) = until else { return inbox.recv().map_or(Next::Nobody, Next::Event) };
    match inbox.recv_timeout(until.saturating_duration_since(Instant::now())) {
        Ok(event) => Next::Event(event),
        Err(RecvTimeoutError::Timeout) => Next::TimeUp,
        Err(RecvTimeoutError::Disconnected) => Next::Nobody,
    }
}

/// What is reported at the end, and with what this program ends.
struct End {
    body: serde_json::Value,
    exit: Exit,
    complaint: Option<String>,
}

impl End {
    /// It could not even be started.
    fn not_run(command: &[String], error: &std::io::Error) -> End {
        let exit = match error.kind() {
            std::io::ErrorKind::NotFound => Exit::NoCommand,
            _ => Exit::CannotRun,
        };
        let name = command.first().map_or("", String::as_str);
        let message = format!("{}: {error}", jobtrack::quoted(name));
        let body = json!({"state": "failure", "code": exit.status(), "message": message});
        End { body, exit, complaint: Some(message) }
    }
}

impl Ended {
    fn end(self, output: &Output) -> End {
        let last = output.last();
        let (code, how) = match self.status {
            Status::Exited(0) => {
                let body = json!({"state": "success", "message": last});
                return End { body, exit: Exit::Done, complaint: None };
            }
            Status::Exited(code) => (code, format!("exit status {code}")),
            Status::Killed(signal) => {
                let code = 128_u8.saturating_add(u8::try_from(signal).unwrap_or(u8::MAX));
                (code, format!("killed by {}", child::signal_name(signal)))
            }
        };
        let message = match &last {
            Some(last) => format!("{how}: {last}"),
            None => how,
        };
        // The worker's own word, since a request that never reached the server is not there.
        let cause = self.canceled.as_ref().map(|_| Cause::Canceled.as_str());
        let message = match self.canceled {
            Some(said) => output::shortened(&format!("{said} ({message})"), MESSAGE),
            None => message,
        };
        let body = json!({"state": "failure", "code": code, "message": message, "cause": cause});
        End { body, exit: Exit::Command(code), complaint: None }
    }
}
