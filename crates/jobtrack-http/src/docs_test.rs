//! `docs/ontap.md` and `docs/native-api.md` say what is so: their tables are whole.

use crate::errors::{ENGINE, HTTP, PLACES, Place};
use crate::{listing, ontap};

fn page() -> String {
    read("ontap.md")
}

fn read(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/");
    std::fs::read_to_string(format!("{folder}{name}")).unwrap()
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
fn every_refusal_has_its_row_on_the_native_face_s_page() {
    let page = read("native-api.md");
    let engine = ENGINE.iter().map(|(kind, status, ..)| format!("| `{kind}` | {status} |"));
    assert_eq!(table(&page, "What the engine refuses:"), engine.collect::<Vec<_>>());
    let http = HTTP.iter().map(|(_, name, status, ..)| format!("| `{name}` | {status} |"));
    assert_eq!(table(&page, "What HTTP refuses:"), http.collect::<Vec<_>>());
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

#[test]
fn the_limits_are_those_that_hold() {
    let (options, server) = (crate::Options::default(), crate::ServerOptions::default());
    let page = read("native-api.md");
    let mib = |bytes: usize| format!("{} MiB", bytes / (1024 * 1024));
    let thousands = |n: usize| format!("{},{:03}", n / 1000, n % 1000);
    let limits = table(&page, "## Limits");
    for (what, most) in [
        ("path and query", format!("{} bytes", thousands(options.uri_bytes))),
        ("body, but for imports", mib(options.body_bytes)),
        ("a line of an import", mib(options.line_bytes)),
        ("records on a page", thousands(jobtrack::limits::PAGE_RECORDS)),
        ("requests in progress", options.in_flight.to_string()),
        ("imports, exports and backups in progress", options.transfers.to_string()),
        ("bytes of bodies on their way, but for imports", mib(options.bodies_bytes)),
        ("clients that watch", thousands(options.watchers)),
        ("connections", thousands(server.connections)),
    ] {
        let row = format!("| {what} | {most}");
        assert!(limits.iter().any(|limit| limit.starts_with(&row)), "{row}");
    }
    let bytes = format!("{} bytes long", thousands(options.uri_bytes));
    assert!(read("query-language.md").contains(&bytes), "{bytes}");
}
