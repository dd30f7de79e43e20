//! The results for people.

use std::fmt::Write as _;

use jobtrack_benches::{grouped, grouped_whole};

use crate::line::{Line, Of, Stage};

/// Growth is a power of the number of jobs; from which on it is called what.
const GROWTHS: &[(f64, &str)] = &[
    (0.15, "constant or logarithmic"),
    (0.35, "slow"),
    (0.65, "about the square root"),
    (0.85, "less than linear"),
    (1.15, "linear"),
    (f64::INFINITY, "more than linear"),
];

/// Everything that there is to say of these lines.
pub(crate) fn all(lines: &[Line]) -> String {
    [heading(lines), figures(lines), growth(lines), plans(lines)].concat()
}

/// When and on what the lines were measured.
pub(crate) fn heading(lines: &[Line]) -> String {
    let mut said: Vec<&str> = Vec::new();
    // What runs of several sizes have in common is said once.
    for line in lines.iter().filter_map(|line| line.run.as_deref()).flat_map(str::lines) {
        if !said.contains(&line) {
            said.push(line);
        }
    }
    said.into_iter().map(|line| format!("{line}\n")).collect()
}

/// The tables of all sizes, each under its heading.
pub(crate) fn figures(lines: &[Line]) -> String {
    let mut text = String::new();
    for size in sizes(lines) {
        let _ = writeln!(text, "\n{} jobs", grouped_count(size));
        for stage in Stage::ALL {
            let is_wanted = |line: &&Line| line.jobs == size && line.state == stage;
            let of_stage: Vec<&Line> = lines.iter().filter(is_wanted).collect();
            for table in
                [times(&of_stage, stage), changes(&of_stage, stage), wholes(&of_stage, stage)]
            {
                add_table(&mut text, &table);
            }
        }
        let of_size: Vec<&Line> = lines.iter().filter(|line| line.jobs == size).collect();
        add_table(&mut text, &memory(&of_size));
        for line in of_size.iter().filter(|line| line.note.is_some()) {
            let note = line.note.as_deref().unwrap_or_default();
            let _ = writeln!(text, "\n{}, {}: {note}", line.class, name(line.state));
        }
    }
    text
}

/// How costs grow, where there are several sizes.
pub(crate) fn growth(lines: &[Line]) -> String {
    let mut text = String::new();
    let sizes = sizes(lines);
    if sizes.len() > 1 {
        let (least, most) = (grouped_count(sizes[0]), grouped_count(sizes[sizes.len() - 1]));
        let _ = writeln!(
            text,
            "\nHow medians grow from {least} to {most} jobs: as this power of the jobs"
        );
        for stage in Stage::ALL {
            let of_stage: Vec<&Line> = lines.iter().filter(|line| line.state == stage).collect();
            add_table(&mut text, &growths(&of_stage, stage));
        }
    }
    text
}

/// How SQLite answers, at the largest size.
pub(crate) fn plans(lines: &[Line]) -> String {
    let fresh: Vec<&Line> = lines.iter().filter(|line| line.state == Stage::Fresh).collect();
    let plans: Vec<(&str, &str)> = by_class(&fresh)
        .into_iter()
        .filter_map(|(class, lines)| Some((class, lines.last()?.sqlite_plan.as_deref()?)))
        .collect();
    let mut text = String::new();
    if !plans.is_empty() {
        text.push_str("\nSQLite's plans\n");
        let width = plans.iter().map(|(class, _)| class.chars().count()).max().unwrap_or(0);
        for (class, plan) in plans {
            let _ = writeln!(text, "{class:width$}  {plan}");
        }
    }
    text
}

fn sizes(lines: &[Line]) -> Vec<usize> {
    let mut sizes: Vec<usize> = lines.iter().map(|line| line.jobs).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// What the tables call the jobs.
fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Fresh => "fresh",
        Stage::Churned => "after churn",
        Stage::Wide => "200 bytes of their own",
    }
}

/// Rows of cells; the first row is the heading.
type Table = Vec<Vec<String>>;

fn times(lines: &[&Line], stage: Stage) -> Table {
    let heading = [
        &format!("query, {}", name(stage)),
        "rows",
        "plan",
        "jobtrack p50",
        "p99",
        "worst",
        "runs",
        "SQLite p50",
        "p99",
        "runs",
        "ratio",
        "floor",
    ];
    let row = |line: &&Line| {
        vec![
            line.class.clone(),
            line.rows.map_or_else(String::new, grouped_whole),
            line.plan.clone().unwrap_or_default(),
            span(line.jobtrack_p50_ns),
            span(line.jobtrack_p99_ns),
            span(line.jobtrack_worst_ns),
            runs(line.jobtrack_runs),
            span(line.sqlite_p50_ns),
            span(line.sqlite_p99_ns),
            runs(line.sqlite_runs),
            ratio(line.ratio),
            span(line.floor_p50_ns),
        ]
    };
    table(&heading, lines, Of::Query, row)
}

fn changes(lines: &[&Line], stage: Stage) -> Table {
    let heading = [
        &format!("change, {}", name(stage)),
        "jobtrack p50",
        "p99",
        "p99.9",
        "worst",
        "SQLite p50",
        "p99",
        "jobtrack/s",
        "SQLite/s",
        "ratio",
        "floor",
    ];
    let row = |line: &&Line| {
        vec![
            line.class.clone(),
            span(line.jobtrack_p50_ns),
            span(line.jobtrack_p99_ns),
            span(line.jobtrack_p999_ns),
            span(line.jobtrack_worst_ns),
            span(line.sqlite_p50_ns),
            span(line.sqlite_p99_ns),
            line.jobtrack_per_second.map_or_else(String::new, grouped),
            line.sqlite_per_second.map_or_else(String::new, grouped),
            ratio(line.ratio),
            span(line.floor_p50_ns),
        ]
    };
    table(&heading, lines, Of::Change, row)
}

fn wholes(lines: &[&Line], stage: Stage) -> Table {
    let first = format!("all jobs, {}", name(stage));
    let heading =
        [&first, "jobtrack", "a million", "SQLite", "a million", "ratio", "reading alone"];
    let row = |line: &&Line| {
        let million = |nanos: Option<u64>| {
            let all = nanos.map(u128::from)?;
            u64::try_from(all * 1_000_000 / (line.jobs.max(1) as u128)).ok()
        };
        vec![
            line.class.clone(),
            span(line.jobtrack_p50_ns),
            span(million(line.jobtrack_p50_ns)),
            span(line.sqlite_p50_ns),
            span(million(line.sqlite_p50_ns)),
            ratio(line.ratio),
            span(line.floor_p50_ns),
        ]
    };
    table(&heading, lines, Of::Whole, row)
}

fn memory(lines: &[&Line]) -> Table {
    let heading = ["memory", "jobtrack B/job", "SQLite B/job", "ratio"];
    let row = |line: &&Line| {
        vec![
            name(line.state).to_owned(),
            line.jobtrack_bytes_per_job.map_or_else(String::new, grouped_whole),
            line.sqlite_bytes_per_job.map_or_else(String::new, grouped_whole),
            ratio(line.ratio),
        ]
    };
    table(&heading, lines, Of::Memory, row)
}

fn growths(lines: &[&Line], stage: Stage) -> Table {
    let heading = [&format!("class, {}", name(stage)), "jobtrack", "", "SQLite", ""];
    let mut table = vec![heading.map(str::to_owned).to_vec()];
    for (class, lines) in by_class(lines) {
        let cells = |nanos: fn(&Line) -> Option<u64>| {
            let points: Vec<(f64, f64)> =
                lines.iter().filter_map(|line| Some(point(line.jobs, nanos(line)?))).collect();
            exponent(&points).map_or_else(
                || [String::new(), String::new()],
                |x| [format!("{x:.2}"), called(x).to_owned()],
            )
        };
        let jobtrack = cells(|line| line.jobtrack_p50_ns);
        if jobtrack[0].is_empty() {
            continue;
        }
        let sqlite = cells(|line| line.sqlite_p50_ns);
        table.push([vec![class.to_owned()], jobtrack.to_vec(), sqlite.to_vec()].concat());
    }
    if table.len() > 1 { table } else { Table::new() }
}

/// The lines of each class, in the order of the classes.
pub(crate) fn by_class<'a>(lines: &[&'a Line]) -> Vec<(&'a str, Vec<&'a Line>)> {
    let mut classes: Vec<(&str, Vec<&Line>)> = Vec::new();
    for line in lines.iter().copied() {
        match classes.iter_mut().find(|(class, _)| *class == line.class) {
            Some((_, lines)) => lines.push(line),
            None => classes.push((&line.class, vec![line])),
        }
    }
    classes
}

#[allow(clippy::cast_precision_loss)] // A logarithm has no use for more.
pub(crate) fn point(jobs: usize, nanos: u64) -> (f64, f64) {
    ((jobs as f64).log10(), (nanos.max(1) as f64).log10())
}

/// The slope of the line through points of logarithms, which is the power of the number of jobs
/// with which a cost grows.
fn exponent(points: &[(f64, f64)]) -> Option<f64> {
    let (first, last) = (points.first()?, points.last()?);
    let run = last.0 - first.0;
    (run > 0.0).then(|| (last.1 - first.1) / run)
}

fn called(exponent: f64) -> &'static str {
    let found = GROWTHS.iter().find(|(below, _)| exponent < *below);
    found.map_or("", |(_, name)| name)
}

fn table(heading: &[&str], lines: &[&Line], of: Of, row: impl Fn(&&Line) -> Vec<String>) -> Table {
    let rows: Table = lines.iter().filter(|line| line.of == of).map(row).collect();
    if rows.is_empty() {
        return rows;
    }
    let heading = heading.iter().map(|cell| (*cell).to_owned()).collect();
    [vec![heading], rows].concat()
}

fn add_table(text: &mut String, table: &Table) {
    let Some(heading) = table.first() else { return };
    let widths: Vec<usize> = (0..heading.len())
        .map(|column| {
            let cells = table.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    text.push('\n');
    // Words to the left, figures to the right.
    let is_word = |column: usize| {
        let mut cells = table.iter().skip(1).filter_map(|row| row.get(column));
        column == 0 || cells.any(|cell| cell.starts_with(char::is_alphabetic))
    };
    for row in table {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if is_word(column) { format!("{cell:width$}") } else { format!("{cell:>width$}") }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
}

/// A span with three digits, in the unit that fits.
pub(crate) fn span(nanos: Option<u64>) -> String {
    let Some(nanos) = nanos else { return String::new() };
    #[allow(clippy::cast_precision_loss)] // Three digits are shown.
    let nanos = nanos as f64;
    let units = [("ns", 1.0), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)];
    let unit = units.iter().rev().find(|(_, size)| nanos >= *size).unwrap_or(&units[0]);
    format!("{} {}", digits(nanos / unit.1), unit.0)
}

fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or_else(String::new, digits)
}

/// Three digits of a number.
fn digits(number: f64) -> String {
    match number {
        n if n >= 100.0 => grouped(n),
        n if n >= 10.0 => format!("{n:.1}"),
        n if n >= 0.1 => format!("{n:.2}"),
        n if n >= 0.001 => format!("{n:.4}"),
        n => format!("{n:.1e}"),
    }
}

fn runs(runs: Option<u64>) -> String {
    runs.map_or_else(String::new, grouped_whole)
}

fn grouped_count(count: usize) -> String {
    grouped_whole(count as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_ratios_have_three_digits() {
        let shown = [7, 1_234, 45_678, 999_000_000, 12_000_000_000].map(|nanos| span(Some(nanos)));
        assert_eq!(shown, ["7.00 ns", "1.23 µs", "45.7 µs", "999 ms", "12.0 s"]);
        let shown = [19_700.0, 12.34, 0.5, 0.0123, 0.000_04].map(|of| ratio(Some(of)));
        assert_eq!(shown, ["19,700", "12.3", "0.50", "0.0123", "4.0e-5"]);
        assert_eq!(span(None) + &ratio(None), "");
    }

    #[test]
    fn growth_is_the_power_of_the_number_of_jobs() {
        let points = |costs: [u64; 3]| {
            let jobs = [10_000, 100_000, 1_000_000];
            jobs.iter().zip(costs).map(|(jobs, cost)| point(*jobs, cost)).collect::<Vec<_>>()
        };
        let of = |costs| exponent(&points(costs)).unwrap();
        assert_eq!(called(of([500, 505, 510])), "constant or logarithmic");
        assert_eq!(called(of([100, 316, 1_000])), "about the square root");
        assert_eq!(called(of([1_000, 10_000, 100_000])), "linear");
        assert!((of([1_000, 10_000, 100_000]) - 1.0).abs() < 1e-9);
        assert_eq!(exponent(&points([1, 1, 1])[..1]), None);
    }

    #[test]
    fn lines_of_a_class_stand_together() {
        let line = |class, jobs| Line::new(Of::Query, class, jobs);
        let lines = [line("a", 1), line("b", 1), line("a", 2)];
        let sizes: Vec<(&str, usize)> = by_class(&lines.iter().collect::<Vec<_>>())
            .iter()
            .map(|(class, lines)| (*class, lines.len()))
            .collect();
        assert_eq!(sizes, [("a", 2), ("b", 1)]);
    }

    #[test]
    fn every_size_and_stage_has_its_tables() {
        let line = |jobs, stage| Line {
            jobtrack_p50_ns: Some(jobs as u64),
            ..Line::new(Of::Query, "label", jobs).at(stage)
        };
        let mut lines = vec![
            line(1_000, Stage::Fresh),
            line(1_000, Stage::Churned),
            line(10_000, Stage::Fresh),
            Line::new(Of::Memory, "memory", 10_000).sized(Some(10_000), Some(40_000)),
        ];
        lines[0].run = Some("measured now\nin ns".to_owned());
        lines[2].run = Some("measured later\nin ns".to_owned());
        lines[2].note = Some("something".to_owned());
        let text = all(&lines);
        for part in [
            "measured now\nin ns\nmeasured later\n\n",
            "\n1,000 jobs\n",
            "\nquery, fresh ",
            "\nquery, after churn ",
            "\n10,000 jobs\n",
            "\nmemory  jobtrack B/job  SQLite B/job  ratio\nfresh                1             4   4.00\n",
            "\nlabel, fresh: something\n",
            "label             1.00  linear\n",
        ] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
        assert!(!text.contains("200 bytes"), "{text}");
    }
}
