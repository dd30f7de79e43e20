//! A field's name, a line break, and the text of a filter on it, or of a search in it.
//!
//! A filter is refused or means one thing: it reads back from how it is shown, and obeys the laws
//! of "and", "or" and "not" on every job.

use crate::jobs::{jobs, two_texts};
use jobtrack::{Expr, Field, Names};

/// Parses the filter and tries it on every job.
///
/// # Panics
///
/// Where it does not read back, or breaks a law.
pub fn filter_text(data: &[u8]) {
    let Some((name, text)) = two_texts(data) else { return };
    for names in [Names::Native, Names::Ontap] {
        match Expr::parse_search(text, name, names) {
            Ok(search) => search.check().expect("what is parsed is within the limits"),
            Err(error) => {
                let position = error.position().unwrap_or(0);
                assert!(position <= text.len().max(name.len()), "{error} points beyond the text");
            }
        }
        let filter = match Expr::parse(name, text, names) {
            Ok(filter) => filter,
            Err(error) => {
                let position = error.position().unwrap_or(0);
                assert!(position <= text.len().max(name.len()), "{error} points beyond the text");
                continue;
            }
        };
        filter.check().expect("what is parsed is within the limits");
        reads_back(&filter, name, names);
        let negated = filter.clone().negate();
        for job in jobs() {
            let matches = filter.matches(job);
            assert!(!(matches && negated.matches(job)), "{filter} and its negation both match");
            assert_eq!(filter.clone().and(filter.clone()).matches(job), matches, "{filter}");
            assert_eq!(filter.clone().or(filter.clone()).matches(job), matches, "{filter}");
            assert!(!filter.clone().and(negated.clone()).matches(job), "{filter}");
        }
    }
}

fn reads_back(filter: &Expr, name: &str, names: Names) {
    let field = Field::parse(name, names).expect("its filter was parsed");
    let shown = filter.to_string();
    let value = shown.strip_prefix(&format!("{field}=")).expect("a filter names its field");
    let again = Expr::parse_value(&field, value, Names::Native).expect("what is shown is legal");
    assert_eq!(&again, filter, "shown as {shown:?}");
}
