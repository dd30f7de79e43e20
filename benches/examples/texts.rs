//! Prints one text of each generated job, or all of it: `texts <description|message|kind|jobs> <jobs>`.

use std::io::{BufWriter, Write, stdout};

use jobtrack_benches::{Jobs, Shape};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(field), Some(jobs)) = (arguments.next(), arguments.next()) else {
        return Err("texts <description|message|kind|jobs> <jobs>".into());
    };
    let mut out = BufWriter::new(stdout().lock());
    for job in Jobs::new(1, jobs.parse()?).shaped(Shape::Full) {
        let text = match field.as_str() {
            "description" => job.description,
            "message" => job.message,
            "kind" => job.kind,
            "jobs" => serde_json::to_string(&job)?,
            _ => return Err(format!("{field} is none of description, message, kind, jobs").into()),
        };
        writeln!(out, "{text}")?;
    }
    Ok(())
}
