//! `jobtrack wait`.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use jobtrack::{JobId, State};
use jobtrack_http::parse_span;

use crate::record::Record;
use crate::render::text::escaped;
use crate::render::{OutputArguments, columns};
use crate::target::{Target, TargetArguments};
use crate::{Exit, Failed};

/// Wait until jobs have ended, and print how.
///
/// Exits with 0 if all of them succeeded, 4 if one failed, 5 if the time is up, 6 if one is unknown.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Which jobs
    #[arg(required = true, value_name = "UUID")]
    ids: Vec<JobId>,

    /// For how long at most: a number and s, m, h or d. For ever unless given
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    timeout: Option<Duration>,

    /// Print nothing; the exit status says it
    #[arg(short, long)]
    quiet: bool,

    #[command(flatten)]
    target: TargetArguments,

    #[command(flatten)]
    output: OutputArguments,
}

/// How long to look away: short at first, since many jobs are.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long a server that has answered once may be away, as while it starts again.
const AWAY: Duration = Duration::from_secs(30);

pub(crate) fn wait(arguments: &Arguments) -> Result<Exit, Failed> {
    let target = arguments.target.open()?;
    let output = arguments.output.output();
    let mut waiter = Waiter::new(&target, arguments.timeout);
    waiter.check(&arguments.ids)?;
    let mut exit = Exit::Done;
    for id in &arguments.ids {
        let record = waiter.until_ended(*id)?;
        if !arguments.quiet {
            output.job(&record, false)?;
        }
        let Some(state) = record.state().filter(|state| state.is_terminal()) else {
            if let Target::Store(_) = target {
                let message = format!(
                    "{id} has not ended, and nobody can end it while this command has the store \
                     open"
                );
                return Err(Failed::new(Exit::TimedOut, message));
            }
            let message = format!("the time is up, and {id} has not ended");
            return Err(Failed::new(Exit::TimedOut, message));
        };
        if state == State::Failure {
            exit = Exit::JobFailed;
        }
    }
    Ok(exit)
}

struct Waiter<'a> {
    target: &'a Target,
    deadline: Option<Instant>,
    bar: ProgressBar,
    has_answered: bool,
}

// The time in which somebody waits here is no time of a job.
#[allow(clippy::disallowed_methods)]
impl<'a> Waiter<'a> {
    fn new(target: &'a Target, timeout: Option<Duration>) -> Self {
        // Hidden by itself where standard error is no terminal.
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed}  {wide_msg}") {
            bar.set_style(style);
        }
        // A wait too long for the clock is one without end.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        Waiter { target, deadline, bar, has_answered: false }
    }

    /// Whether all of them are known: who waits for one that is not would wait in vain.
    fn check(&mut self, ids: &[JobId]) -> Result<(), Failed> {
        for id in ids {
            self.target.get(*id, "?fields=state")?;
            self.has_answered = true;
        }
        Ok(())
    }

    /// The job once it has ended, or as it stands when the time is up.
    fn until_ended(&mut self, id: JobId) -> Result<Record, Failed> {
        let mut pause = FIRST_PAUSE;
        let mut away_since = None;
        loop {
            match self.target.get(id, "") {
                Ok(record) => {
                    self.has_answered = true;
                    away_since = None;
                    let is_settled = matches!(self.target, Target::Store(_));
                    let is_late = self.deadline.is_some_and(|at| Instant::now() >= at);
                    if record.has_ended() || is_settled || is_late {
                        self.bar.finish_and_clear();
                        return Ok(record);
                    }
                    self.show(&record);
                }
                Err(failed) if failed.exit == Exit::Unreachable && self.has_answered => {
                    let since = *away_since.get_or_insert_with(Instant::now);
                    let is_late = self.deadline.is_some_and(|at| Instant::now() >= at);
                    if since.elapsed() >= AWAY || is_late {
                        return Err(failed);
                    }
                    self.bar.set_message("the server is away");
                }
                Err(failed) => return Err(failed),
            }
            let left = self.deadline.map(|at| at.saturating_duration_since(Instant::now()));
            std::thread::sleep(left.map_or(pause, |left| left.min(pause)));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn show(&self, record: &Record) {
        let percent = record.percent().map(|percent| format!("  {percent} %")).unwrap_or_default();
        let (state, message) = (columns::state(record), escaped(record.text("message")));
        self.bar.set_message(format!("{state}{percent}  {message}"));
        self.bar.tick();
    }
}
