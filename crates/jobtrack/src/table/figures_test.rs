//! What a segment takes, printed column by column. It asserts nothing, and runs when asked:
//!
//! ```text
//! cargo run --release -p jobtrack-benches --example texts -- jobs 65535 > jobs.ndjson
//! JOBS=jobs.ndjson cargo test --release -p jobtrack --lib segment_cost -- --ignored --nocapture
//! ```

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::sync::Arc;

use super::*;
use crate::field::Field;

#[test]
#[ignore = "measures"]
fn segment_cost() {
    let file = File::open(std::env::var("JOBS").unwrap()).unwrap();
    let lines = BufReader::new(file).lines().map(Result::unwrap);
    let jobs = lines.map(|line| serde_json::from_str::<Job>(&line).unwrap());
    let mut rows: Vec<Row> =
        jobs.zip(0..).map(|(job, key)| Row { job: Arc::new(job), key, stored: key }).collect();
    rows.sort_by_key(|row| row.job.uuid);
    let count = rows.len() as f64;
    let segment = Segment::build(&rows);
    println!("{:.1} bytes a job", segment.bytes() as f64 / count);
    let labels = rows.iter().flat_map(|row| row.job.labels.iter().map(|(name, _)| name));
    let labels: std::collections::BTreeSet<&str> = labels.collect();
    let labels = labels.into_iter().map(|name| Field::Label(name.into()));
    for field in Field::FIXED.iter().cloned().chain(labels) {
        let Some(column) = segment.column(&field) else { continue };
        if column.bytes() > 0 {
            let (values, bytes) = (column.values().len(), column.bytes() as f64 / count);
            println!("{bytes:6.2} {field}: {values} values, {} rows", column.set());
        }
    }
}
