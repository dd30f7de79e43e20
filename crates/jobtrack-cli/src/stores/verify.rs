//! `store verify`.

use jobtrack::ErrorKind;
use jobtrack::store::{Defect, Verified};
use serde_json::{Map, Value, json};

use super::progress::Progress;
use crate::render::Output;
use crate::render::text::escaped;
use crate::store::StoreName;
use crate::{Exit, Failed};

pub(super) fn verify(name: &StoreName, output: Output) -> Result<Exit, Failed> {
    name.expect_there()?;
    let store = match name.open_store() {
        Ok(store) => store,
        // What cannot even be opened is a defect, and the worst.
        Err(error) if error.kind() == ErrorKind::StoreDamaged => {
            let defect = Defect { record: None, what: error.to_string() };
            tell_defect(name, &defect, output)?;
            summary(name, &Verified { defects: 1, ..Verified::default() }, output)?;
            return Ok(Exit::Failed);
        }
        Err(error) => return Err(error.into()),
    };
    let progress = Progress::begin("verified");
    let mut printed = Ok(());
    let verified = jobtrack::store::verify(&*store, &mut |n| progress.at(n), &mut |defect| {
        if printed.is_ok() {
            printed = progress.suspend(|| tell_defect(name, &defect, output));
        }
    })?;
    drop(progress);
    printed?;
    summary(name, &verified, output)?;
    Ok(if verified.defects == 0 { Exit::Done } else { Exit::Failed })
}

fn tell_defect(name: &StoreName, defect: &Defect, output: Output) -> Result<(), Failed> {
    if output.is_table() {
        return output.print(&format!("{}: {}\n", name.url(), escaped(&defect.to_string())));
    }
    let mut line = Map::new();
    line.insert("store".to_owned(), name.url().into());
    if let Some((space, key)) = &defect.record {
        line.insert("space".to_owned(), space.name().into());
        line.insert("key".to_owned(), hex(key).into());
    }
    line.insert("defect".to_owned(), defect.what.clone().into());
    output.json(&Value::Object(line))
}

fn summary(name: &StoreName, verified: &Verified, output: Output) -> Result<(), Failed> {
    let Verified { commit, format, epoch, records, defects } = verified;
    if !output.is_table() {
        let records: Map<_, _> =
            records.iter().map(|(space, count)| (space.name().to_owned(), json!(count))).collect();
        return output.json(&json!({
            "store": name.url(), "commit": commit, "format": format, "epoch": epoch,
            "records": records, "defects": defects,
        }));
    }
    let counts: Vec<_> = records
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(space, count)| format!("{} {count}", space.name()))
        .collect();
    let found = match defects {
        0 => "no defects".to_owned(),
        1 => "1 defect".to_owned(),
        more => format!("{more} defects"),
    };
    let counts = if counts.is_empty() { "no records".to_owned() } else { counts.join(", ") };
    let format = format.map_or_else(String::new, |format| format!(", format level {format}"));
    output.print(&format!("{}: {found}; {counts}; commit {commit}{format}\n", name.url()))
}

/// A key in hexadecimal.
pub(super) fn hex(key: &[u8]) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}
