//! The parameters of a listing, which both faces share: they differ in the fields' names.

use std::str::FromStr;
use std::time::Duration;

use axum::http::Uri;
use jobtrack::{
    Budget, Cancel, Count, Error, ErrorKind, Expr, Field, Names, Order, Page, PageToken, Query,
    Selection,
};

use crate::errors::{Fault, HttpKind};
use crate::layout::Layout;
use crate::params::Params;
use crate::{Options, PageKey};

/// The longest time, in seconds, for which a client may ask to collect records.
const LONGEST_TIMEOUT: u64 = 120;
/// The parameter that says where to go on; only links of the server's own have it.
pub(crate) const TOKEN: &str = "start.token";
/// Whether to answer with what the query takes; only the native face has it.
const EXPLAIN: &str = "explain";
/// How many of the first records are left out.
const OFFSET: &str = "offset";
/// Why a change is asked for.
pub(crate) const REASON: &str = "reason";
/// The words of a search, and where to look for them.
const SEARCH: [&str; 2] = ["query", "query_fields"];

/// A listing as it was asked for.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) query: Query,
    /// The fields asked for, if any were.
    pub(crate) fields: Option<Selection>,
    /// Whether records are wanted, or only their number.
    pub(crate) return_records: bool,
    /// Whether not the answer is wanted, but what it takes.
    pub(crate) explain: bool,
    pub(crate) layout: Layout,
    path: String,
    params: Params,
    page_key: Option<PageKey>,
}

impl Listing {
    /// Reads the parameters of a listing at this path.
    pub(crate) fn parse(
        uri: &Uri,
        path: String,
        names: Names,
        options: &Options,
    ) -> Result<Listing, Fault> {
        let params = Params::parse(uri.query())?;
        let fields = selection(&params, names)?;
        let return_records = params.boolean("return_records", true)?;
        let explain = names == Names::Native && params.boolean(EXPLAIN, false)?;
        let max_records = params.integer("max_records", 1, u64::MAX)?;
        let offset = params.integer(OFFSET, 0, u64::MAX)?.unwrap_or(0);
        let query = Query {
            filter: filter(&params, names)?.and(search(&params, names)?),
            order: order(&params, names)?,
            max_records: max_records.map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
            offset: usize::try_from(offset).unwrap_or(usize::MAX),
            after: token(&params, options)?,
            budget: budget(&params, options)?,
        };
        let layout = Layout::of(&params)?;
        let page_key = options.page_key.clone();
        Ok(Listing { query, fields, return_records, explain, layout, path, params, page_key })
    }

    /// Ends the query when what is returned is dropped, with the request of a client that is gone.
    pub(crate) fn end_with_request(&mut self) -> EndsQuery {
        EndsQuery(self.query.budget.cancel.get_or_insert_default().clone())
    }

    /// The link to this page.
    pub(crate) fn self_link(&self) -> String {
        self.params.self_link(&self.path)
    }

    /// The link to the page after this one.
    pub(crate) fn next_of_page(&self, page: &Page) -> Option<String> {
        self.next(page.next.as_ref())
    }

    /// The link to where counting goes on.
    pub(crate) fn next_of_count(&self, count: &Count) -> Option<String> {
        self.next(count.next.as_ref())
    }

    fn next(&self, token: Option<&PageToken>) -> Option<String> {
        // The token says where this page ended, so nothing is left out any more.
        let params = self.params.without(OFFSET);
        let written = |token| written(token, self.page_key.as_ref());
        token.map(|token| params.link(&self.path, (TOKEN, &written(token))))
    }
}

/// Ends a query when dropped; one that has been answered does not notice.
pub(crate) struct EndsQuery(pub(crate) Cancel);

impl Drop for EndsQuery {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// The fields asked for, if any were.
pub(crate) fn selection(params: &Params, names: Names) -> Result<Option<Selection>, Fault> {
    let ignore_unknown = params.boolean("ignore_unknown_fields", false)?;
    let Some(text) = params.given("fields")? else { return Ok(None) };
    Ok(Some(Selection::parse(text, names, ignore_unknown)?))
}

/// How long the query may take, and how much it may read.
pub(crate) fn budget(params: &Params, options: &Options) -> Result<Budget, Fault> {
    let limit = options.query_limit;
    let soft = params.integer("return_timeout", 0, LONGEST_TIMEOUT)?;
    let soft = soft.map_or(limit, Duration::from_secs);
    Ok(Budget { soft, hard: limit, rows: Some(options.query_rows), ..Budget::default() })
}

/// The refusal of a query; what is wrong with a token is known only with the rest of it.
pub(crate) fn fault(error: Error) -> Fault {
    match error.kind() {
        ErrorKind::InvalidToken => Fault::from(error).on(TOKEN),
        _ => error.into(),
    }
}

/// The refusal of a count of which not all could be had in time.
pub(crate) fn not_counted_in(limit: Duration) -> Fault {
    let message = format!("counting took longer than {} s", limit.as_secs_f64());
    Fault::engine(ErrorKind::DeadlineExceeded, message)
}

/// Whether the parameter is one of a search.
pub(crate) fn is_search(name: &str) -> bool {
    SEARCH.contains(&name)
}

/// The filter of a call that takes nothing else.
pub(crate) fn only_filter(params: &Params, names: Names) -> Result<Expr, Fault> {
    filter_but(params, names, &[])
}

/// What the parameters that name fields ask for, all of it at once.
fn filter(params: &Params, names: Names) -> Result<Expr, Fault> {
    match names {
        Names::Native => filter_but(params, names, &[RESERVED, &[EXPLAIN]].concat()),
        Names::Ontap => filter_but(params, names, RESERVED),
    }
}

/// The filter that all parameters make but these, which are none.
pub(crate) fn filter_but(params: &Params, names: Names, others: &[&str]) -> Result<Expr, Fault> {
    let mut filter = Expr::default();
    for (name, value) in params.iter().filter(|(name, _)| !others.contains(name)) {
        if Field::parse(name, names).is_err() {
            return Err(Fault::unexpected_parameter(name));
        }
        let test = Expr::parse(name, value, names)
            .map_err(|error| Fault::from(error).on_value(name, value))?;
        filter = filter.and(test);
    }
    Ok(filter)
}

/// The same with the search, where there is one.
pub(crate) fn matching(params: &Params, names: Names, others: &[&str]) -> Result<Expr, Fault> {
    Ok(filter_but(params, names, &[others, &SEARCH].concat())?.and(search(params, names)?))
}

/// Which jobs a claim is for, and which of them first.
pub(crate) fn claim(params: &Params) -> Result<(Expr, Order), Fault> {
    let filter = matching(params, Names::Native, &["order_by", "$orderBy", REASON])?;
    Ok((filter, order(params, Names::Native)?))
}

/// The filter of a call that takes nothing else but a search.
pub(crate) fn filter_and_search(params: &Params) -> Result<Expr, Fault> {
    Ok(filter_but(params, Names::Native, &SEARCH)?.and(search(params, Names::Native)?))
}

/// What is searched for, if anything is.
fn search(params: &Params, names: Names) -> Result<Expr, Fault> {
    let [text, fields] = SEARCH.map(|name| params.get(name));
    match (text, fields) {
        (None, None) => Ok(Expr::everything()),
        (Some(text), Some(fields)) => Ok(Expr::parse_search(text, fields, names)?),
        (text, _) => {
            let [query, query_fields] = SEARCH;
            let missing = if text.is_none() { query } else { query_fields };
            let message = format!("{query} and {query_fields} are given together or not at all");
            Err(Fault::new(HttpKind::HalfASearch, message).on(missing))
        }
    }
}

fn order(params: &Params, names: Names) -> Result<Order, Fault> {
    let name = match (params.get("order_by"), params.get("$orderBy")) {
        (Some(_), Some(_)) => {
            let message = "order_by and $orderBy are one parameter, given twice";
            return Err(Fault::engine(ErrorKind::Duplicate, message).on("order_by"));
        }
        (None, Some(_)) => "$orderBy",
        _ => "order_by",
    };
    let Some(text) = params.given(name)? else { return Ok(Order::default()) };
    Order::parse(text, names).map_err(|error| Fault::from(error).on_value(name, text))
}

/// Where to go on, if the request goes on after another.
pub(crate) fn token(params: &Params, options: &Options) -> Result<Option<PageToken>, Fault> {
    let Some(text) = params.given(TOKEN)? else { return Ok(None) };
    // What was not sealed here is to the engine what any other nonsense is.
    let text = match &options.page_key {
        None => text.to_owned(),
        Some(key) => key.unseal(text).unwrap_or_default(),
    };
    let token = PageToken::from_str(&text).map_err(|error| Fault::from(error).on(TOKEN))?;
    Ok(Some(token))
}

/// A token as it stands in a link.
pub(crate) fn written(token: &PageToken, key: Option<&PageKey>) -> String {
    let text = token.to_string();
    key.map_or(text.clone(), |key| key.seal(&text))
}

/// The parameters of a listing that are no filter.
pub(crate) const RESERVED: &[&str] = &[
    "fields",
    "ignore_unknown_fields",
    "max_records",
    "order_by",
    "$orderBy",
    "return_records",
    "return_timeout",
    OFFSET,
    SEARCH[0],
    SEARCH[1],
    TOKEN,
    Layout::PARAMETER,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_bears_the_name_of_a_parameter() {
        for field in Field::FIXED {
            for names in [Names::Native, Names::Ontap] {
                let is_taken = |name: &str| {
                    RESERVED.contains(&name) || ["after", EXPLAIN, REASON].contains(&name)
                };
                assert!(!field.name(names).is_some_and(|name| is_taken(&name)), "{field}");
            }
        }
    }
}
