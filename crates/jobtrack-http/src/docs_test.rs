//! `docs/ontap.md` says what is so: its tables are whole.

use crate::errors::{ENGINE, HTTP, PLACES, Place};
use crate::{listing, ontap};

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ontap.md");
    std::fs::read_to_string(path).unwrap()
}

/// The rows of the table behind this line, without its head.
fn table<'a>(page: &'a str, before: &str) -> Vec<&'a str> {
    let (_, rest) = page.split_once(before).unwrap_or_else(|| panic!("no {before:?}"));
    let lines = rest.lines().skip_while(|line| !line.starts_with('|')).skip(2);
    lines.take_while(|line| line.starts_with('|')).collect()
}

#[test]
fn every_refusal_of_the_engine_has_its_row() {
    let rows: Vec<_> = ENGINE
        .iter()
        .map(|(kind, _, status, code)| format!("| `{kind}` | {status} | {code} |"))
        .collect();
    assert_eq!(table(&page(), "What the engine refuses:"), rows);
}

#[test]
fn every_place_with_a_number_has_its_row() {
    let rows: Vec<_> = PLACES
        .iter()
        .map(|(kind, place, code)| match place {
            Place::Parameter => format!("| `{kind}` | a parameter as a whole | {code} |"),
            Place::Within(name) => format!("| `{kind}` | within `{name}` | {code} |"),
        })
        .collect();
    assert_eq!(table(&page(), "ONTAP has a number of its own:"), rows);
}

#[test]
fn every_refusal_of_http_has_its_row() {
    let rows: Vec<_> = HTTP
        .iter()
        .map(|(_, name, _, status, code)| format!("| `{name}` | {status} | {code} |"))
        .collect();
    assert_eq!(table(&page(), "What HTTP refuses:"), rows);
}

#[test]
fn every_parameter_has_its_row() {
    let page = page();
    for (before, parameters) in [
        ("by ONTAP's name of a field, or refused.", listing::RESERVED),
        ("in order of uuid.", ontap::BULK_PARAMETERS),
    ] {
        let described: Vec<_> =
            table(&page, before).iter().map(|row| row.split('`').nth(1).unwrap()).collect();
        assert_eq!(described, parameters);
    }
}
