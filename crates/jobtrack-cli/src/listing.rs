//! What the commands that list jobs take, in the words of the REST faces.

use jobtrack::{Field, Names, quoted};
use unicode_width::UnicodeWidthStr;

use crate::Failed;
use crate::render::text::escaped;
use crate::target::query;

/// Which jobs.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Filters {
    /// Which jobs, all of the filters at once: 'state=running|queued' 'description=Volume*'
    /// 'code=>=5' 'labels.tier=!gold' 'end_time=null'. The query language has a page of its own,
    /// docs/query-language.md
    #[arg(value_name = "FIELD=VALUE", value_parser = filter)]
    filters: Vec<(String, String)>,
}

fn filter(text: &str) -> Result<(String, String), String> {
    let Some((name, value)) = text.split_once('=') else {
        return Err("write it as FIELD=VALUE, such as state=running".to_owned());
    };
    match name.strip_suffix(['<', '>', '!']) {
        None => check(name).map(|()| (name.to_owned(), value.to_owned())),
        // The value comes after the first equals sign, its operator included.
        Some(field) => {
            let operator = name.strip_prefix(field).unwrap_or_default();
            let operator = if operator == "!" { "!".to_owned() } else { format!("{operator}=") };
            Err(format!("the operator comes after the equals sign: {field}={operator}{value}"))
        }
    }
}

/// The words of a search, which stand among the filters.
const SEARCH: &[&str] = &["query", "query_fields"];

/// What a URL takes beside fields, and what takes its place here.
const PARAMETERS: &[(&str, &str)] = &[
    ("return_records", "write --count to list for their number alone"),
    ("max_records", "write --max N to list"),
    ("offset", "write --max N or --all to list for more of them"),
    ("fields", "write --fields FIELDS"),
    ("order_by", "write --order-by FIELDS"),
    ("$orderBy", "write --order-by FIELDS"),
    ("explain", "write --explain to list"),
    ("pretty", "write -o json"),
    ("after", "write --after POSITION to watch"),
    ("start.token", "write --max N or --all to list for more of them"),
    ("return_timeout", "a list waits for its answer"),
    ("ignore_unknown_fields", "name the fields that there are: --fields FIELDS"),
];

/// Whether a filter may have this name. Anything else would be a parameter of the request.
fn check(name: &str) -> Result<(), String> {
    if Field::parse(name, Names::Native).is_ok() || SEARCH.contains(&name) {
        return Ok(());
    }
    let no_field = format!("{} is no field of a job", quoted(name));
    if let Some((_, instead)) = PARAMETERS.iter().find(|(parameter, _)| *parameter == name) {
        return Err(format!("{no_field}; {instead}"));
    }
    let native = Field::parse(name, Names::Ontap).ok();
    match native.as_ref().and_then(|field| field.name(Names::Native)) {
        Some(native) => Err(format!("{no_field}; ONTAP's {name} is {native} here")),
        None => Err(no_field),
    }
}

impl Filters {
    /// Whether there is a filter on this field.
    pub(crate) fn has(&self, field: &str) -> bool {
        self.filters.iter().any(|(name, _)| name == field)
    }

    /// As parameters of a request.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.filters.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// As the query of a request that takes nothing else.
    pub(crate) fn query(&self) -> String {
        query(self.parameters())
    }

    /// Shows where in a filter the fault lies that a refusal names.
    pub(crate) fn point_out(&self, failed: Failed) -> Failed {
        let parts = self.parameters().map(|(name, value)| (name, format!("{name}="), value));
        point_out(failed, parts)
    }
}

/// Which jobs, in which order, and what of each.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Listing {
    #[command(flatten)]
    pub(crate) filters: Filters,

    /// In which order: fields, each with asc or desc, such as 'state,start_time desc'
    #[arg(long, value_name = "FIELDS")]
    pub(crate) order_by: Option<String>,

    /// What to show: fields such as state,error.{code,message},labels; * is all of them, and !x
    /// takes x out again
    #[arg(long, value_name = "FIELDS")]
    pub(crate) fields: Option<String>,
}

impl Listing {
    /// As parameters of a request.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        let order = self.order_by.as_deref().map(|text| ("order_by", text));
        let fields = self.fields.as_deref().map(|text| ("fields", text));
        self.filters.parameters().chain(order).chain(fields)
    }

    /// Shows where on the command line the fault lies that a refusal names.
    pub(crate) fn point_out(&self, failed: Failed) -> Failed {
        let order = self.order_by.as_deref().map(|text| ("order_by", "--order-by ", text));
        let fields = self.fields.as_deref().map(|text| ("fields", "--fields ", text));
        let options = order.into_iter().chain(fields);
        let options = options.map(|(name, start, value)| (name, start.to_owned(), value));
        point_out(self.filters.point_out(failed), options)
    }
}

/// Puts the text at fault into the failure, with a mark below its place.
fn point_out<'a>(
    mut failed: Failed,
    parts: impl IntoIterator<Item = (&'a str, String, &'a str)>,
) -> Failed {
    let Some((field, at)) = &failed.fault else { return failed };
    let Some((_, start, value)) = parts.into_iter().find(|(name, ..)| name == field) else {
        return failed;
    };
    let before = escaped(&start) + &escaped(value.get(..*at).unwrap_or(value));
    let mark = format!("{}^", " ".repeat(before.width()));
    failed.shown = Some((escaped(&start) + &escaped(value), mark));
    failed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Exit;

    #[test]
    fn a_filter_is_a_name_and_a_value() {
        let read = |text| filter(text).map(|(name, value)| format!("{name} {value}"));
        assert_eq!(read("code=>=5"), Ok("code >=5".to_owned()));
        assert_eq!(read("labels.a="), Ok("labels.a ".to_owned()));
        assert!(read("running").is_err());
        assert!(read("code>=5").unwrap_err().ends_with("code=>=5"));
        assert!(read("state!=running").unwrap_err().ends_with("state=!running"));
    }

    #[test]
    fn a_filter_is_on_a_field_and_on_nothing_else() {
        let refused = |name: &str| filter(&format!("{name}=1")).unwrap_err();
        for (name, _) in PARAMETERS {
            assert!(refused(name).starts_with(&format!("\"{name}\" is no field of a job; ")));
        }
        assert!(refused("max_records").contains("--max"));
        assert!(refused("svm.name").ends_with("svm.name is scope.name here"));
        assert!(refused("svm.uuid").ends_with("svm.uuid is scope.id here"));
        assert!(refused("node.name").ends_with("node.name is node here"));
        assert_eq!(refused("bogus"), "\"bogus\" is no field of a job");
        assert!(filter("scope.name=vs0").is_ok() && filter("query=vs0").is_ok());
    }

    #[test]
    fn the_mark_stands_below_the_fault() {
        let listing = Listing {
            filters: Filters { filters: vec![("message".to_owned(), "ü\u{1b}|\"".to_owned())] },
            order_by: Some("state, bogus".to_owned()),
            fields: None,
        };
        let failed = |field: &str, at| Failed {
            fault: Some((field.to_owned(), at)),
            ..Failed::new(Exit::Usage, "no")
        };
        let (text, mark) = listing.point_out(failed("message", 4)).shown.unwrap();
        assert_eq!((text.as_str(), mark.as_str()), ("message=ü\\u{1b}|\"", "                ^"));
        let (text, mark) = listing.point_out(failed("order_by", 7)).shown.unwrap();
        assert_eq!(text, "--order-by state, bogus");
        assert_eq!(text.get(mark.len() - 1..), Some("bogus"));
        assert_eq!(listing.point_out(failed("code", 1)).shown, None);
    }
}
