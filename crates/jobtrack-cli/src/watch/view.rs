//! What is seen: counts by state, and the jobs that fit.

use anstyle::{AnsiColor, Style};
use jobtrack::{State, Timestamp};

use crate::listing::Listing;
use crate::record::Record;
use crate::render::columns::{Columns, color};
use crate::render::table::{self, Cell, TITLE};
use crate::render::text::{cut, escaped, width};
use crate::render::{Output, now};
use crate::target::{Counts, Target, query};
use crate::{Exit, Failed};

/// Lines that are no jobs: counts, a blank one, titles.
const HEAD: usize = 3;
const LIVE: (&str, &str) = ("queued|running|paused", "start_time,create_time");
const ENDED: (&str, &str) = ("success|failure", "end_time desc");

/// What was seen last, and of whom.
pub(super) struct View<'a> {
    target: &'a Target,
    listing: &'a Listing,
    seen: Option<Seen>,
    /// Why the last look failed.
    trouble: Option<String>,
}

struct Seen {
    counts: Counts,
    records: Vec<Record>,
    /// How many match beyond those.
    has_more: bool,
    horizon: Timestamp,
    /// When it was seen, by this machine.
    at: Timestamp,
}

impl<'a> View<'a> {
    pub(super) fn new(target: &'a Target, listing: &'a Listing) -> Self {
        View { target, listing, seen: None, trouble: None }
    }

    /// Looks, for so many rows of a terminal.
    pub(super) fn look(&mut self, rows: usize) -> Result<(), Failed> {
        let seen = self.see(rows.saturating_sub(HEAD).max(1));
        self.seen = Some(seen.map_err(|failed| self.listing.point_out(failed))?);
        self.trouble = None;
        Ok(())
    }

    /// Looks; what was seen before stays if that fails.
    pub(super) fn try_look(&mut self, rows: usize) {
        if let Err(failed) = self.look(rows) {
            let what =
                if failed.exit == Exit::Unreachable { "no answer, trying again" } else { "" };
            self.trouble = Some(format!("{what} {}", failed.message).trim().to_owned());
        }
    }

    /// The revision after which all is news; None while there is trouble.
    pub(super) fn revision(&self) -> Option<&str> {
        match (&self.seen, &self.trouble) {
            // The counts were taken first.
            (Some(seen), None) => Some(&seen.counts.revision),
            _ => None,
        }
    }

    fn see(&self, rows: usize) -> Result<Seen, Failed> {
        let counts = self.target.counts()?;
        let is_own_order = self.listing.order_by.is_some() || self.listing.filters.has("state");
        if is_own_order {
            let (records, has_more, horizon) = self.page(&[], rows)?;
            return Ok(Seen { counts, records, has_more, horizon, at: now() });
        }
        // What has ended keeps a quarter of the rows, however much runs.
        let live = [("state", LIVE.0), ("order_by", LIVE.1)];
        let ended = [("state", ENDED.0), ("order_by", ENDED.1)];
        let (mut records, more_live, horizon) = self.page(&live, rows)?;
        let (mut others, more_ended, _) = self.page(&ended, rows)?;
        let kept = others.len().min((rows - records.len().min(rows)).max(rows / 4));
        let has_more = more_live || more_ended || records.len() + others.len() > rows;
        others.truncate(kept);
        records.truncate(rows - kept);
        records.append(&mut others);
        Ok(Seen { counts, records, has_more, horizon, at: now() })
    }

    fn page(
        &self,
        more: &[(&str, &str)],
        rows: usize,
    ) -> Result<(Vec<Record>, bool, Timestamp), Failed> {
        let max_records = rows.to_string();
        let parameters = self.listing.parameters().chain(more.iter().copied());
        let query = query(parameters.chain([("max_records", max_records.as_str())]));
        let page = self.target.page(&format!("/v1/jobs{query}"))?;
        Ok((page.records, page.next.is_some(), page.horizon))
    }

    /// What is seen, as lines of a terminal of so many columns and rows.
    pub(super) fn lines(&self, output: Output, (columns, rows): (usize, usize)) -> Vec<String> {
        let output = Output { width: Some(columns), ..output };
        let Some(seen) = &self.seen else { return Vec::new() };
        let mut lines = vec![self.head(seen, output, columns), self.second(seen, output, columns)];
        // The clock of whoever answered, moved on by what has passed here.
        let now = seen.horizon.saturating_add(now().saturating_since(seen.at));
        let shown = Columns::of(self.listing.fields.as_deref(), &seen.records);
        let titles = shown.columns();
        let cells: Vec<Vec<Cell>> =
            seen.records.iter().map(|record| shown.cells(record, now)).collect();
        let widths = table::widths(&titles, &cells, Some(columns));
        lines.push(table::titles(&titles, &widths, &output));
        lines.extend(cells.iter().map(|row| table::line(row, &widths, &output)));
        lines.truncate(rows);
        lines
    }

    /// How many jobs are in which state.
    fn head(&self, seen: &Seen, output: Output, columns: usize) -> String {
        let mut left = columns;
        let mut line = String::new();
        let mut put = |style: Style, text: &str| {
            let text = cut(text, left);
            left -= width(&text);
            line.push_str(&output.styled(style, &text));
        };
        put(TITLE, "jobtrack");
        for state in [State::Running, State::Queued, State::Paused, State::Success, State::Failure]
        {
            let count = seen.counts.states.get(state.as_str()).copied().unwrap_or(0);
            let style = if count > 0 { color(state).on_default() } else { Style::new().dimmed() };
            put(Style::new(), "   ");
            put(style, &format!("{count} {state}"));
        }
        put(Style::new().dimmed(), &format!("   {}", escaped(&self.target.url())));
        line
    }

    /// What is wrong, else whether there is more than what is seen.
    fn second(&self, seen: &Seen, output: Output, columns: usize) -> String {
        match &self.trouble {
            Some(trouble) => {
                let red = AnsiColor::Red.on_default().bold();
                output.styled(red, &cut(&escaped(trouble), columns))
            }
            None if seen.has_more => {
                output.styled(Style::new().dimmed(), &cut("more than fits here; q ends", columns))
            }
            None => String::new(),
        }
    }
}
