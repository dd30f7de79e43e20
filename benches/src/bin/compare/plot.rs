//! Plots of cost against size, one panel a class, as SVG written by hand.

use std::fmt::Write as _;
use std::path::Path;

use jobtrack_benches::grouped_whole;

use crate::line::{Line, Of, Stage};
use crate::table::{by_class, point, span};

const COLUMNS: usize = 4;
const PANEL: (f64, f64) = (260.0, 190.0);
/// From the panel's edges to its axes: left, top, right, bottom.
const MARGINS: (f64, f64, f64, f64) = (52.0, 30.0, 28.0, 34.0);
const HEAD: f64 = 56.0;

/// One file.
struct Plot {
    file: &'static str,
    title: &'static str,
    series: &'static [Series],
}

/// What is drawn: name, colour, dashes, of which jobs, figure.
type Series = (&'static str, &'static str, &'static str, Stage, fn(&Line) -> Option<u64>);

const PLOTS: &[Plot] = &[
    Plot {
        file: "cost.svg",
        title: "Median cost against the number of jobs, both logarithmic",
        series: &[
            ("jobtrack", "#0a6", "", Stage::Fresh, |line| line.jobtrack_p50_ns),
            ("SQLite", "#c40", "", Stage::Fresh, |line| line.sqlite_p50_ns),
            ("jobtrack, churned", "#0a6", "5 3", Stage::Churned, |line| line.jobtrack_p50_ns),
            ("SQLite, churned", "#c40", "5 3", Stage::Churned, |line| line.sqlite_p50_ns),
            ("floor", "#999", "2 3", Stage::Fresh, |line| line.floor_p50_ns),
        ],
    },
    Plot {
        file: "cost-wide.svg",
        title: "Median cost against the number of jobs, each with 200 bytes of text of its own",
        series: &[
            ("jobtrack", "#0a6", "", Stage::Wide, |line| line.jobtrack_p50_ns),
            ("SQLite", "#c40", "", Stage::Wide, |line| line.sqlite_p50_ns),
            ("floor", "#999", "2 3", Stage::Wide, |line| line.floor_p50_ns),
        ],
    },
];

/// Writes the plots of which there are figures into this folder.
pub(crate) fn write(lines: &[Line], folder: &Path) -> std::io::Result<()> {
    for plot in PLOTS {
        let is_drawn = |line: &&Line| {
            line.of != Of::Memory && plot.series.iter().any(|series| series.3 == line.state)
        };
        let lines: Vec<&Line> = lines.iter().filter(is_drawn).collect();
        if !lines.is_empty() {
            std::fs::write(folder.join(plot.file), svg(plot, &lines))?;
        }
    }
    Ok(())
}

fn svg(plot: &Plot, lines: &[&Line]) -> String {
    let panels = by_class(lines);
    #[allow(clippy::cast_precision_loss)] // Some dozens.
    let size = (PANEL.0 * COLUMNS as f64, HEAD + PANEL.1 * panels.len().div_ceil(COLUMNS) as f64);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" \
         font-family=\"sans-serif\" font-size=\"10\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"12\" y=\"22\" font-size=\"14\">{}</text>\n",
        size.0, size.1, plot.title
    );
    let mut x = 12.0;
    for (name, colour, dashes, ..) in plot.series {
        let _ = writeln!(
            svg,
            "<path d=\"M{x} 40h24\" stroke=\"{colour}\" stroke-width=\"2\" \
             stroke-dasharray=\"{dashes}\"/><text x=\"{}\" y=\"43\">{name}</text>",
            x + 30.0
        );
        x += 140.0;
    }
    for (n, (class, lines)) in panels.iter().enumerate() {
        #[allow(clippy::cast_precision_loss)] // Some dozens.
        let at = (PANEL.0 * (n % COLUMNS) as f64, HEAD + PANEL.1 * (n / COLUMNS) as f64);
        panel(&mut svg, at, plot.series, class, lines);
    }
    svg + "</svg>\n"
}

/// One class: decades as a grid, a line a side.
fn panel(svg: &mut String, at: (f64, f64), series: &[Series], class: &str, lines: &[&Line]) {
    let series: Vec<(&Series, Vec<(f64, f64)>)> = series
        .iter()
        .map(|series| {
            let of_stage = lines.iter().filter(|line| line.state == series.3);
            let points = of_stage.filter_map(|line| Some(point(line.jobs, series.4(line)?)));
            (series, points.collect())
        })
        .collect();
    let all = || series.iter().flat_map(|(_, points)| points);
    let across = decades(all().map(|point| point.0));
    let up = decades(all().map(|point| point.1));
    let (left, top) = (at.0 + MARGINS.0, at.1 + MARGINS.1);
    let (width, height) = (PANEL.0 - MARGINS.0 - MARGINS.2, PANEL.1 - MARGINS.1 - MARGINS.3);
    let place = |point: &(f64, f64)| {
        let part =
            |of: f64, (from, until): (i32, i32)| (of - f64::from(from)) / f64::from(until - from);
        (left + width * part(point.0, across), top + height * (1.0 - part(point.1, up)))
    };
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" font-size=\"10\" font-weight=\"bold\">{class}</text>",
        at.0 + 12.0,
        top - 10.0
    );
    let power = |exponent: i32| 10_u64.saturating_pow(exponent.unsigned_abs());
    for decade in across.0..=across.1 {
        let (x, _) = place(&(f64::from(decade), f64::from(up.0)));
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {top}v{height}\" stroke=\"#ddd\"/><text x=\"{x:.1}\" y=\"{}\" \
             text-anchor=\"middle\">{}</text>",
            top + height + 15.0,
            grouped_whole(power(decade))
        );
    }
    for decade in up.0..=up.1 {
        let (_, y) = place(&(f64::from(across.0), f64::from(decade)));
        let label = span(Some(power(decade))).replace(".00 ", " ").replace(".0 ", " ");
        let _ = writeln!(
            svg,
            "<path d=\"M{left} {y:.1}h{width}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{:.1}\" \
             text-anchor=\"end\">{label}</text>",
            left - 4.0,
            y + 3.0
        );
    }
    for ((_, colour, dashes, ..), points) in &series {
        let placed: Vec<(f64, f64)> = points.iter().map(place).collect();
        let path: Vec<String> = placed.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" \
             stroke-dasharray=\"{dashes}\"/>",
            path.join(" ")
        );
        for (x, y) in placed {
            let _ =
                writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\" fill=\"{colour}\"/>");
        }
    }
}

/// The whole powers of ten around these logarithms; at least one decade.
#[allow(clippy::cast_possible_truncation)] // Logarithms of 64-bit numbers are below 20.
fn decades(logarithms: impl Iterator<Item = f64>) -> (i32, i32) {
    let (least, most) = logarithms
        .fold((f64::INFINITY, 0.0_f64), |(least, most), of| (least.min(of), most.max(of)));
    let from = if least.is_finite() { least.floor() as i32 } else { 0 };
    (from, (most.ceil() as i32).max(from + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panel_a_class_and_a_line_a_side() {
        let line = |class, jobs, jobtrack, sqlite| Line {
            jobtrack_p50_ns: Some(jobtrack),
            sqlite_p50_ns: sqlite,
            ..Line::new(Of::Query, class, jobs)
        };
        let lines = [
            line("one", 1_000, 500, Some(2_000)),
            line("two", 1_000, 700, None),
            line("one", 10_000, 5_000, Some(2_100)),
            line("two", 10_000, 800, None),
            line("one", 10_000, 6_000, None).at(Stage::Churned),
        ];
        let svg = svg(&PLOTS[0], &lines.iter().collect::<Vec<_>>());
        assert_eq!(svg.matches("font-weight=\"bold\"").count(), 2);
        // Two points of jobtrack in each panel, two of SQLite and one after churn in one.
        assert_eq!(svg.matches("<circle").count(), 7);
        // A cost that grows tenfold climbs to the next decade: from one third to two thirds.
        assert!(svg.contains("1,000") && svg.contains("10,000") && svg.contains("1 µs"), "{svg}");
        assert!(svg.trim_end().ends_with("</svg>"));
    }

    #[test]
    fn axes_reach_over_all_points() {
        assert_eq!(decades([2.5, 3.2].into_iter()), (2, 4));
        assert_eq!(decades([3.0].into_iter()), (3, 4));
        assert_eq!(decades(std::iter::empty()), (0, 1));
    }
}
