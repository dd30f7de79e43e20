//! The corpus of queries (`testdata/queries`), run by the plain scan and by the executor that judges
//! by it, on jobs in the head and in a segment.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::{Budget, Expr, Order, Query, Run, Scan, Selection};
use crate::error::Error;
use crate::field::{Field, Names};
use crate::job::{Job, JobId, JobParts};
use crate::table::{Row, Shape, Snapshot, Table};
use crate::timestamp::Timestamp;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Corpus {
    jobs: String,
    names: String,
    case: Vec<Case>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Case {
    #[allow(dead_code)] // Tells the reader, and whoever reads a failure, where the case is from.
    request: Option<u32>,
    parameters: BTreeMap<String, String>,
    jobs: Option<String>,
    pages: Option<Vec<String>>,
    count: Option<u64>,
    counts: Option<Vec<u64>>,
    shown: Option<BTreeMap<String, String>>,
    error: Option<Refusal>,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
struct Refusal {
    kind: String,
    field: Option<String>,
    position: Option<usize>,
}

#[test]
fn ontap() {
    run("ontap");
}

#[test]
fn native() {
    run("native");
}

#[test]
fn native_live() {
    run("native-live");
}

/// Runs every case of a file, and names all that failed.
fn run(file: &str) {
    let corpus: Corpus = toml::from_str(&read(&format!("{file}.toml"))).unwrap();
    let names = match &*corpus.names {
        "native" => Names::Native,
        "ontap" => Names::Ontap,
        other => panic!("{file}: no such names: {other}"),
    };
    let jobs = Jobs::load(&corpus.jobs);
    let mut failures = Vec::new();
    for executor in [Executor::Scan, Executor::OfHead, Executor::OfSegments] {
        for case in &corpus.case {
            if let Err(why) = jobs.run(case, names, executor) {
                failures.push(format!("{executor:?}: {why}\n  {case:?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn read(path: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/queries");
    std::fs::read_to_string(folder.join(path)).unwrap()
}

/// Who answers, and from where.
#[derive(Debug, Clone, Copy)]
enum Executor {
    Scan,
    OfHead,
    OfSegments,
}

struct Jobs {
    snapshot: Snapshot,
    /// The same jobs in several segments.
    sealed: Snapshot,
    letters: BTreeMap<JobId, String>,
}

impl Jobs {
    fn load(name: &str) -> Jobs {
        let mut file: toml::Table = toml::from_str(&read(&format!("jobs/{name}.toml"))).unwrap();
        let mut table = Table::default();
        let mut sealed = Table::shaped(Shape { head_rows: 3, fan: 2, segment_rows: 7 });
        let mut letters = BTreeMap::new();
        for mut job in file.remove("job").unwrap().as_array().unwrap().clone() {
            let letter = job.as_table_mut().unwrap().remove("letter").unwrap();
            let job = Job::try_from(job.try_into::<JobParts>().unwrap()).unwrap();
            letters.insert(job.uuid, letter.as_str().unwrap().to_owned());
            let row = Row { job: Arc::new(job), key: 0, stored: 0 };
            table.put(row.clone());
            sealed.put(row);
        }
        sealed.rest();
        while let Some(work) = sealed.next_seal().or_else(|| sealed.next_merge()) {
            sealed.publish(work);
        }
        let [snapshot, sealed] = [table, sealed].map(|table| table.snapshot(Timestamp::MIN));
        Jobs { snapshot, sealed, letters }
    }

    fn run(&self, case: &Case, names: Names, executor: Executor) -> Result<(), String> {
        let outcome = self.answer(&case.parameters, names, executor);
        if let Some(expected) = &case.error {
            let Err(error) = outcome else { return Err("not refused".to_owned()) };
            let found = Refusal {
                kind: error.kind().to_string(),
                field: error.field().map(str::to_owned),
                position: error.position(),
            };
            return equal(&found, expected).map_err(|why| format!("{why}: {error}"));
        }
        let answer = outcome.map_err(|error| format!("refused: {error:?}"))?;
        if let Some(expected) = &case.jobs {
            equal(&self.letters_of(answer.pages.first().unwrap()), expected)?;
        }
        if let Some(expected) = &case.pages {
            let pages: Vec<_> = answer.pages.iter().map(|page| self.letters_of(page)).collect();
            equal(&pages, expected)?;
        }
        if let Some(expected) = &case.shown {
            equal(&self.shown(&answer, names), expected)?;
        }
        if let Some(expected) = &case.count {
            equal(&answer.counts, &vec![*expected])?;
        }
        if let Some(expected) = &case.counts {
            equal(&answer.counts, expected)?;
        }
        if case.jobs.is_some() || case.pages.is_some() || case.shown.is_some() {
            equal(&answer.is_counted, &false)
        } else if case.count.is_some() || case.counts.is_some() {
            equal(&answer.is_counted, &true)
        } else {
            Err("the case expects nothing".to_owned())
        }
    }

    /// Does what a face does: parameters to a query, the query to all of its pages.
    fn answer(
        &self,
        parameters: &BTreeMap<String, String>,
        names: Names,
        executor: Executor,
    ) -> Result<Answer, Error> {
        let is_true = |name: &str, default| parameters.get(name).map_or(default, |v| v == "true");
        let mut query = Query::default();
        let mut selection = Selection::key_only();
        for (name, value) in parameters {
            match &**name {
                "fields" => {
                    let ignores_unknown = is_true("ignore_unknown_fields", false);
                    selection = Selection::parse(value, names, ignores_unknown)?;
                }
                "order_by" => query.order = Order::parse(value, names)?,
                "max_records" => query.max_records = Some(value.parse().unwrap()),
                "offset" => query.offset = value.parse().unwrap(),
                "query" => {
                    let fields = parameters.get("query_fields").unwrap();
                    query.filter = query.filter.and(Expr::parse_search(value, fields, names)?);
                }
                "return_records" | "ignore_unknown_fields" | "query_fields" => {}
                _ => query.filter = query.filter.and(Expr::parse(name, value, names)?),
            }
        }
        let hour = Duration::from_secs(3_600);
        query.budget = Budget { soft: hour, hard: hour, ..Budget::default() };
        let scan = Scan { snapshot: &self.snapshot, monotonic: &|| Duration::ZERO };
        let snapshot = match executor {
            Executor::OfSegments => &self.sealed,
            _ => &self.snapshot,
        };
        let run = Run { snapshot, monotonic: &|| Duration::ZERO };
        let is_scan = matches!(executor, Executor::Scan);
        let is_counted = !is_true("return_records", true);
        let mut answer = Answer { pages: Vec::new(), counts: Vec::new(), selection, is_counted };
        loop {
            query.after = if is_counted {
                let count = if is_scan { scan.count(&query) } else { run.count(&query) }?;
                answer.counts.push(count.count);
                count.next
            } else {
                let page = if is_scan { scan.page(&query) } else { run.page(&query) }?;
                answer.pages.push(page.jobs);
                page.next
            };
            // Whoever follows `next` has it as text.
            query.after = query.after.map(|token| token.to_string().parse().unwrap());
            if query.after.is_none() {
                return Ok(answer);
            }
        }
    }

    fn letters_of(&self, page: &[Arc<Job>]) -> String {
        let letters: Vec<_> = page.iter().map(|job| &*self.letters[&job.uuid]).collect();
        letters.join(" ")
    }

    fn shown(&self, answer: &Answer, names: Names) -> BTreeMap<String, String> {
        let mut shown = BTreeMap::new();
        for job in answer.pages.iter().flatten() {
            let labels = job.labels.iter().map(|(name, _)| Field::Label(name.into()));
            let fields: Vec<_> = Field::FIXED
                .iter()
                .cloned()
                .chain(labels)
                .filter(|field| *field != Field::Uuid && answer.selection.shows(field))
                .filter(|field| field.any(job, &mut |_| true))
                .filter_map(|field| field.name(names).map(std::borrow::Cow::into_owned))
                .collect();
            if !fields.is_empty() {
                shown.insert(self.letters[&job.uuid].clone(), fields.join(" "));
            }
        }
        shown
    }
}

struct Answer {
    pages: Vec<Vec<Arc<Job>>>,
    counts: Vec<u64>,
    selection: Selection,
    is_counted: bool,
}

fn equal<T: PartialEq + std::fmt::Debug + ?Sized>(found: &T, expected: &T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("found {found:?}, expected {expected:?}")) }
}
