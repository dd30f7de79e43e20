//! Figures for people and for programs.

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

/// A number as people read it: no fraction where that is noise, commas between thousands.
fn grouped(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let shown: Vec<_> = [0.0, 7.25, 100.4, 1_234.5, 1e6].map(grouped).into();
        assert_eq!(shown, ["0.0", "7.2", "100", "1,234", "1,000,000"]);
    }
}
