//! The log: lines for people or JSON for programs, on standard error.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{FmtSpan, debug_fn};
use tracing_subscriber::fmt::{self};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use crate::Failed;
use crate::render::text::escaped;

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// A line for people
    Text,
    /// An object a line
    Json,
}

/// Whether requests are logged, and at which level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestLog(pub(crate) Option<tracing::Level>);

/// The longest value of a field that is written; what is longer is somebody's attempt.
const LONGEST: usize = 256;

/// What changes while the server runs.
pub(crate) struct Log(reload::Handle<Targets, Registry>);

impl Log {
    /// Lets through what this filter does, from now on.
    pub(crate) fn filter(&self, filter: &Targets) -> Result<(), String> {
        self.0.reload(filter.clone()).map_err(|error| error.to_string())
    }
}

/// Begins to log.
pub(crate) fn begin(filter: &Targets, format: Format) -> Result<Log, Failed> {
    let (filter, handle) = reload::Layer::new(filter.clone());
    let is_terminal = std::io::stderr().is_terminal();
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        Format::Text => {
            let fields = debug_fn(|writer, field, value| {
                // A stranger may have written it: it must stay within its line, and be a field.
                let value = cut(escaped(&format!("{value:?}")));
                match field.name() {
                    "message" => write!(writer, "{value}"),
                    name => write!(writer, "{name}={value}"),
                }
            });
            use tracing_subscriber::field::MakeExt;
            fmt::layer()
                .with_writer(std::io::stderr)
                .with_ansi(is_terminal)
                .with_span_events(FmtSpan::NONE)
                .fmt_fields(fields.delimited(" "))
                .boxed()
        }
        Format::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .with_writer(std::io::stderr)
            .boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(filter)).try_init()?;
    Ok(Log(handle))
}

fn cut(mut value: String) -> String {
    if let Some((end, _)) = value.char_indices().nth(LONGEST) {
        value.truncate(end);
        value.push('…');
    }
    value
}

/// What to log: a level, or levels by the part of the program.
pub(crate) fn filter(text: &str) -> Result<Targets, String> {
    let wrong = || {
        "write off, error, warn, info, debug or trace, or levels by part such as \
         info,jobtrack_http=debug"
            .to_owned()
    };
    // The parser takes any word that is no level for the name of a part of which all is wanted.
    let is_right = |part: &str| {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
        is_level(level)
    };
    if !text.split(',').all(is_right) {
        return Err(wrong());
    }
    text.parse().map_err(|_| wrong())
}

/// The level of the line for each request, or off.
pub(crate) fn request_log(text: &str) -> Result<RequestLog, String> {
    match text.parse::<LevelFilter>() {
        Ok(level) if is_level(text) => Ok(RequestLog(level.into_level())),
        _ => Err("write off, error, warn, info, debug or trace".to_owned()),
    }
}

/// The parser takes nothing at all for a level, too.
fn is_level(text: &str) -> bool {
    !text.trim().is_empty() && text.trim().parse::<LevelFilter>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_level_or_levels_by_part() {
        for right in ["off", "warn", "INFO", "info,jobtrack_http=debug", "jobtrack=trace"] {
            assert!(filter(right).is_ok(), "{right}");
        }
        for wrong in ["", "wrn", "jobtrack_http", "info,debgu", "info,jobtrack_http=all"] {
            assert!(filter(wrong).unwrap_err().contains("write off, "), "{wrong}");
        }
        assert_eq!(request_log("off"), Ok(RequestLog(None)));
        assert_eq!(request_log("debug"), Ok(RequestLog(Some(tracing::Level::DEBUG))));
    }

    #[test]
    fn a_value_is_cut_between_characters() {
        assert_eq!(cut("short".to_owned()), "short");
        assert_eq!(cut("ü".repeat(300)).chars().count(), LONGEST + 1);
    }
}
