//! `jobtrack watch`: jobs live, as `top` shows processes.

mod bell;
mod events;
mod screen;
mod stream;
mod view;

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::listing::Listing;
use crate::render::OutputArguments;
use crate::target::{Target, TargetArguments};
use crate::{Exit, Failed};
use bell::Bell;
use screen::{Key, Screen};
use view::View;

/// Watch jobs live.
///
/// What runs stands above what has ended, unless a filter on the state or an order says otherwise.
/// q ends it.
///
/// Where the output goes elsewhere, or with -o ndjson: what happens to the jobs that match from now
/// on, one JSON object a line, with a job that comes to match (in), changes (changed), ceases to match
/// (out) or goes (gone). A connection that breaks is taken up again; what cannot be told any more is
/// told as a gap.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    listing: Listing,

    /// Seconds between two looks, at least
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    interval: Duration,

    /// Where to take up the stream of events: the position of the last event that was seen
    #[arg(long, value_name = "POSITION")]
    after: Option<String>,

    #[command(flatten)]
    target: TargetArguments,

    #[command(flatten)]
    output: OutputArguments,
}

fn seconds(text: &str) -> Result<Duration, String> {
    const RANGE: std::ops::RangeInclusive<f64> = 0.1..=3_600.0;
    match text.parse::<f64>() {
        Ok(seconds) if RANGE.contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("write a number of seconds from 0.1 to 3600".to_owned()),
    }
}

pub(crate) fn watch(arguments: &Arguments) -> Result<Exit, Failed> {
    let target = Arc::new(arguments.target.open()?);
    let output = arguments.output.output();
    let listing = &arguments.listing;
    if !output.is_table() {
        check_stream(&target, listing)?;
        return stream::stream(&target, listing, arguments.after.as_deref(), output);
    }
    if !std::io::stdout().is_terminal() {
        let message = "a table that is drawn again needs a terminal; -o ndjson tells what happens";
        return Err(Failed::new(Exit::Usage, message));
    }
    let mut view = View::new(&target, listing);
    // Once before the screen is taken, so that what is wrong is told where it stays.
    view.look(screen::rows())?;
    let mut screen = Screen::enter()?;
    on_screen(&mut view, &Bell::hang(&target), &mut screen, output, arguments.interval)?;
    Ok(Exit::Done)
}

fn check_stream(target: &Target, listing: &Listing) -> Result<(), Failed> {
    let message = match (target, &listing.order_by) {
        (Target::Store(_), _) => "nothing happens in a store while this command has it open",
        (_, Some(_)) => "events have the order in which they happen; leave out --order-by",
        _ => return Ok(()),
    };
    Err(Failed::new(Exit::Usage, message))
}

// When to look next is no time of a job.
#[allow(clippy::disallowed_methods)]
fn on_screen(
    view: &mut View<'_>,
    bell: &Bell,
    screen: &mut Screen,
    output: crate::render::Output,
    interval: Duration,
) -> Result<(), Failed> {
    let mut looked_at = Instant::now();
    let mut turn_at = looked_at + interval;
    let mut is_wound = false;
    loop {
        screen.draw(&view.lines(output, screen::size()))?;
        let is_due = match screen.key_until(turn_at)? {
            Some(Key::Quit) => return Ok(()),
            Some(Key::Resized) => true,
            None => {
                turn_at = Instant::now() + interval;
                !is_wound || bell.has_rung() || looked_at.elapsed() >= LONGEST
            }
        };
        if !is_due {
            continue;
        }
        view.try_look(screen::rows());
        looked_at = Instant::now();
        if bell.has_rung() {
            is_wound = false;
            if let Some(revision) = view.revision() {
                bell.wind(revision);
                is_wound = true;
            }
        }
    }
}

/// After so long it is looked even if nobody has rung: a connection may be dead and not say so.
const LONGEST: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_a_number_of_seconds() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["", "0", "-1", "1s", "NaN", "inf", "4000"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
