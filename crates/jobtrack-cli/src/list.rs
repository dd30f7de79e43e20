//! `jobtrack list`.

use crate::listing::Listing;
use crate::record::Record;
use crate::render::columns::Columns;
use crate::render::{Format, Output, OutputArguments, table};
use crate::target::{Page, Target, TargetArguments, query};
use crate::{Exit, Failed};

/// List jobs: filtered, ordered, page by page.
///
/// In order of uuid unless told otherwise, which is roughly the order in which they were created.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    listing: Listing,

    /// How many to list at most; if there are more, standard error says so
    #[arg(long = "max", value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u64).range(1..))]
    max: u64,

    /// List all of them
    #[arg(long, conflicts_with = "max")]
    all: bool,

    /// Print how many match, and none of them
    #[arg(long, conflicts_with_all = ["max", "all", "order_by", "fields"])]
    count: bool,

    /// Print how the jobs are found instead of them: the plan, and for each step what it expected,
    /// read and found
    #[arg(long, conflicts_with = "all")]
    explain: bool,

    #[command(flatten)]
    target: TargetArguments,

    #[command(flatten)]
    output: OutputArguments,
}

const JOBS: &str = "/v1/jobs";

pub(crate) fn list(arguments: &Arguments) -> Result<Exit, Failed> {
    let target = arguments.target.open()?;
    let output = arguments.output.output();
    let listing = &arguments.listing;
    if arguments.explain {
        return explain(arguments, &target, output);
    }
    if arguments.count {
        let filters = listing.filters.parameters();
        let query = query(filters.chain([("return_records", "false")]));
        let count = target.count(&format!("{JOBS}{query}"));
        output.print(&format!("{}\n", count.map_err(|failed| listing.point_out(failed))?))?;
        return Ok(Exit::Done);
    }
    let at_most = if arguments.all { u64::MAX } else { arguments.max };
    let mut pages = Pages::first(&target, listing, at_most)?;
    let mut printer = Printer::new(output, listing.fields.as_deref());
    loop {
        printer.page(&pages.page)?;
        if !pages.go_on()? {
            break;
        }
    }
    printer.end()?;
    if pages.page.next.is_some() {
        eprintln!("there are more; --max N lists more of them, --all lists all");
    }
    Ok(Exit::Done)
}

/// Prints what the listing takes.
fn explain(arguments: &Arguments, target: &Target, output: Output) -> Result<Exit, Failed> {
    let listing = &arguments.listing;
    let max_records = arguments.max.to_string();
    let wanted = match arguments.count {
        true => ("return_records", "false"),
        false => ("max_records", max_records.as_str()),
    };
    let query = query(listing.parameters().chain([wanted, ("explain", "true")]));
    let explanation = target.explain(&format!("{JOBS}{query}"));
    let explanation = explanation.map_err(|failed| listing.point_out(failed))?;
    let text = match output.format {
        Format::Table => explanation.to_string(),
        Format::Json | Format::Ndjson => serde_json::to_string(&explanation)?,
    };
    output.print(&format!("{text}\n"))?;
    Ok(Exit::Done)
}

/// Walks from page to page.
struct Pages<'a> {
    target: &'a Target,
    page: Page,
    /// How many records may still come after this page.
    left: u64,
}

impl<'a> Pages<'a> {
    fn first(target: &'a Target, listing: &Listing, at_most: u64) -> Result<Self, Failed> {
        let max_records = at_most.to_string();
        let query = query(listing.parameters().chain([("max_records", max_records.as_str())]));
        let page = target.page(&format!("{JOBS}{query}"));
        let page = page.map_err(|failed| listing.point_out(failed))?;
        let left = at_most.saturating_sub(page.records.len() as u64);
        Ok(Pages { target, page, left })
    }

    /// Goes to the next page, if there is one and it is wanted.
    fn go_on(&mut self) -> Result<bool, Failed> {
        let Some(next) = self.page.next.as_deref().filter(|_| self.left > 0) else {
            return Ok(false);
        };
        let mut page = self.target.page(next)?;
        // The link goes on with pages of one size, so the last one may have more than is wanted.
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX);
        if page.records.len() > wanted {
            page.records.truncate(wanted);
            page.next = Some(String::new());
        }
        self.left -= page.records.len() as u64;
        self.page = page;
        Ok(true)
    }
}

/// Prints pages as they come.
struct Printer<'a> {
    output: Output,
    fields: Option<&'a str>,
    /// Settled by the first page.
    table: Option<(Columns, Vec<usize>)>,
    has_printed: bool,
}

impl<'a> Printer<'a> {
    fn new(output: Output, fields: Option<&'a str>) -> Self {
        Printer { output, fields, table: None, has_printed: false }
    }

    fn page(&mut self, page: &Page) -> Result<(), Failed> {
        let text = match self.output.format {
            Format::Table => self.rows(page),
            Format::Json => self.elements(&page.records)?,
            Format::Ndjson => lines(&page.records)?,
        };
        self.output.print(&text)
    }

    fn rows(&mut self, page: &Page) -> String {
        let output = self.output;
        let mut text = String::new();
        let columns = match &self.table {
            Some((columns, _)) => columns.clone(),
            None => Columns::of(self.fields, &page.records),
        };
        let rows: Vec<_> =
            page.records.iter().map(|record| columns.cells(record, page.horizon)).collect();
        let (_, widths) = self.table.get_or_insert_with(|| {
            let titles = columns.columns();
            let widths = table::widths(&titles, &rows, output.width);
            if !rows.is_empty() {
                text = table::titles(&titles, &widths, &output);
            }
            (columns, widths)
        });
        for row in &rows {
            text.push_str(&table::line(row, widths, &output));
        }
        text
    }

    /// Elements of one array, each on a line of its own, however many there are.
    fn elements(&mut self, records: &[Record]) -> Result<String, Failed> {
        let mut text = String::new();
        for record in records {
            text.push_str(if self.has_printed { ",\n" } else { "[\n" });
            self.has_printed = true;
            text.push_str(&serde_json::to_string(record)?);
        }
        Ok(text)
    }

    fn end(&self) -> Result<(), Failed> {
        match (self.output.format, self.has_printed) {
            (Format::Json, true) => self.output.print("\n]\n"),
            (Format::Json, false) => self.output.print("[]\n"),
            _ => Ok(()),
        }
    }
}

fn lines(records: &[Record]) -> Result<String, Failed> {
    let mut text = String::new();
    for record in records {
        text.push_str(&serde_json::to_string(record)?);
        text.push('\n');
    }
    Ok(text)
}
