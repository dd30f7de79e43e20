//! Figures for people and for programs.

use jobtrack_benches::grouped;
use serde_json::json;

/// One figure.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) name: String,
    /// How much it was.
    pub(crate) value: f64,
    /// Of what.
    pub(crate) unit: &'static str,
    /// What stands beside a rate.
    pub(crate) beside: Option<Beside>,
}

/// What stands beside a rate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beside {
    /// The rate of the bare loop in the same rounds.
    pub(crate) floor: f64,
    /// The median of the rounds' ratios to it.
    pub(crate) ratio: f64,
    /// How many changes shared a commit, on average.
    pub(crate) per_commit: f64,
}

/// One JSON object a line.
pub(crate) fn print_json(figures: &[Figure]) {
    for Figure { name, value, unit, beside } in figures {
        let line = match beside {
            None => json!({"figure": name, "value": value, "unit": unit}),
            Some(Beside { floor, ratio, per_commit }) => json!({
                "figure": name, "value": value, "unit": unit,
                "bare_loop": floor, "ratio": ratio, "changes_per_commit": per_commit,
            }),
        };
        println!("{line}");
    }
}

/// A table.
pub(crate) fn print_table(figures: &[Figure]) {
    let names = figures.iter().map(|figure| figure.name.chars().count());
    let width = names.max().unwrap_or(0);
    println!("{:width$}  {:23}  {:>12}  ratio  changes/commit", "", "", "bare loop");
    for Figure { name, value, unit, beside } in figures {
        let value = grouped(*value);
        match beside {
            None => println!("{name:width$}  {value:>12} {unit}"),
            Some(Beside { floor, ratio, per_commit }) => {
                let (floor, per_commit) = (grouped(*floor), grouped(*per_commit));
                println!(
                    "{name:width$}  {value:>12} {unit:10}  {floor:>12}  {ratio:>5.2}  {per_commit:>14}"
                );
            }
        }
    }
}
