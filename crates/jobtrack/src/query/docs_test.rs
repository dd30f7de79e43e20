//! `docs/query-language.md` says what is so: its examples run, its tables are whole.

use super::Expr;
use crate::field::{Field, FieldType, Names};
use crate::limits;

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/query-language.md");
    std::fs::read_to_string(path).unwrap()
}

/// The lines of every fenced block of this language, each as (filter, remark).
fn examples(language: &str) -> Vec<(String, String)> {
    let page = page();
    let (open, mut found) = (format!("```{language}\n"), Vec::new());
    for block in page.split(&open).skip(1) {
        let (block, _) = block.split_once("```").unwrap();
        for line in block.lines() {
            let (filter, remark) = line.split_once("  # ").or(line.split_once(" # ")).unwrap();
            found.push((filter.trim_end().to_owned(), remark.to_owned()));
        }
    }
    assert!(found.len() > 8, "the page has examples of {language}");
    found
}

#[test]
fn every_example_is_read() {
    for (filter, _) in examples("filter") {
        let (name, value) = filter.split_once('=').unwrap();
        let parsed = Expr::parse(name, value, Names::Native);
        assert!(parsed.is_ok(), "{filter}: {}", parsed.unwrap_err());
    }
}

#[test]
fn every_refusal_is_the_one_named() {
    for (filter, remark) in examples("refused") {
        let (name, value) = filter.split_once('=').unwrap();
        let error = Expr::parse(name, value, Names::Native).unwrap_err();
        let found = match error.position() {
            Some(position) => format!("{} at {position}", error.kind()),
            None => error.kind().to_string(),
        };
        assert_eq!(found, remark, "{filter}: {error}");
    }
}

#[test]
fn every_search_is_the_filter_shown() {
    for (search, shown) in examples("search") {
        let (fields, text) = search.split_once("  ").unwrap();
        let parsed = Expr::parse_search(text.trim(), fields, Names::Ontap).unwrap();
        assert_eq!(parsed.to_string(), shown, "{search}");
    }
}

#[test]
fn every_field_has_its_row_and_no_row_is_left_over() {
    let page = page();
    let rows = Field::FIXED.iter().map(|field| {
        let native = field.name(Names::Native).unwrap();
        let ontap = field.name(Names::Ontap).map(|name| format!(" `{name}`")).unwrap_or_default();
        let field_type = match field.field_type() {
            FieldType::Text => "text",
            FieldType::Word(_) => "word",
            FieldType::Integer => "integer",
            FieldType::Time => "time",
            FieldType::Span => "span",
            FieldType::Uuid => "uuid",
            FieldType::Bool => "bool",
            FieldType::Revision => "revision",
        };
        format!("| `{native}` |{ontap} | {field_type} |")
    });
    let (_, table) =
        page.split_once("| native name | ONTAP's name | type |\n|---|---|---|\n").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    assert_eq!(table.lines().collect::<Vec<_>>(), rows.collect::<Vec<_>>());
}

#[test]
fn every_limit_is_the_one_in_force() {
    let page = page();
    for (what, limit) in [
        ("one value, one `order_by`, one `fields`", limits::FILTER_BYTES),
        ("values and patterns in all filters of a query", limits::FILTER_TERMS),
        ("nesting of \"and\" and \"or\" (in Rust; text does not nest)", limits::FILTER_DEPTH),
        ("keys of an order", limits::ORDER_KEYS),
        ("names in `fields`", limits::SELECTED_FIELDS),
        ("nesting of braces in `fields`", limits::SELECTION_DEPTH),
        ("records on a page", limits::PAGE_RECORDS),
        ("records that `offset` leaves out", limits::OFFSET_RECORDS),
    ] {
        let row = page.lines().find(|line| line.starts_with(&format!("| {what} |"))).unwrap();
        let digits: String =
            row.rsplit("| ").next().unwrap().chars().filter(char::is_ascii_digit).collect();
        assert_eq!(digits, limit.to_string(), "{row}");
    }
}
