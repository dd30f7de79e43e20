//! Tables that fit the terminal.

use anstyle::Style;

use super::Output;
use super::text::{cut, width};

/// Of the line of titles.
pub(crate) const TITLE: Style = Style::new().bold();

/// What stands between two columns.
const GAP: usize = 2;
/// A column that gives way keeps so many columns of the terminal.
const LEAST: usize = 8;

/// One cell: a text that is fit for a terminal, and how it looks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) style: Style,
}

impl Cell {
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Cell { text: text.into(), style: Style::new() }
    }
}

/// One column: its title, and whether it gives way where room is short.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) title: String,
    pub(crate) gives_way: bool,
}

/// How wide each column is, settled by the first rows, so that pages after them stand below.
pub(crate) fn widths(columns: &[Column], rows: &[Vec<Cell>], room: Option<usize>) -> Vec<usize> {
    let mut widths: Vec<usize> = columns.iter().map(|column| width(&column.title)).collect();
    for row in rows {
        for (wide, cell) in widths.iter_mut().zip(row) {
            *wide = (*wide).max(width(&cell.text));
        }
    }
    let Some(room) = room else { return widths };
    let gaps = GAP * columns.len().saturating_sub(1);
    let total = |widths: &[usize]| widths.iter().sum::<usize>() + gaps;
    // The widest of those that give way gives first, so that short ones stay whole.
    while total(&widths) > room {
        let over = total(&widths) - room;
        let mut giving: Vec<&mut usize> = widths
            .iter_mut()
            .zip(columns)
            .filter(|(wide, column)| column.gives_way && **wide > LEAST)
            .map(|(wide, _)| wide)
            .collect();
        giving.sort_unstable_by(|a, b| b.cmp(a));
        let second = giving.get(1).map_or(LEAST, |wide| **wide).max(LEAST);
        let Some(widest) = giving.first_mut() else { break };
        let give = widest.saturating_sub(second).clamp(1, over);
        **widest = widest.saturating_sub(give).max(LEAST);
    }
    widths
}

/// The line of titles.
pub(crate) fn titles(columns: &[Column], widths: &[usize], output: &Output) -> String {
    let cells: Vec<Cell> =
        columns.iter().map(|column| Cell { text: column.title.clone(), style: TITLE }).collect();
    line(&cells, widths, output)
}

/// One row as a line, cut where the terminal ends.
pub(crate) fn line(cells: &[Cell], widths: &[usize], output: &Output) -> String {
    let mut shown = String::new();
    let mut left = output.width.unwrap_or(usize::MAX);
    let last = cells.iter().rposition(|cell| !cell.text.is_empty()).unwrap_or(0);
    for (at, (cell, wide)) in cells.iter().zip(widths).enumerate().take(last + 1) {
        let text = cut(&cell.text, (*wide).min(left));
        let columns = width(&text);
        left = left.saturating_sub(*wide + GAP);
        shown.push_str(&output.styled(cell.style, &text));
        if at < last && left > 0 {
            shown.push_str(&" ".repeat(wide.saturating_sub(columns) + GAP));
        } else {
            break;
        }
    }
    shown.push('\n');
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::Format;

    fn output(width: Option<usize>) -> Output {
        Output { format: Format::Table, has_color: false, width, is_terminal: false }
    }

    fn render(room: Option<usize>) -> String {
        let column = |title: &str, gives_way| Column { title: title.to_owned(), gives_way };
        let columns = [column("ID", false), column("WHAT", true), column("SAYS", true)];
        let row = |texts: [&str; 3]| texts.map(Cell::plain).to_vec();
        let rows = vec![
            row(["0190", "Backup of volume vol1", "copying the snapshot to the other site"]),
            row(["01", "", ""]),
        ];
        let widths = widths(&columns, &rows, room);
        let output = output(room);
        let lines = rows.iter().map(|row| line(row, &widths, &output));
        titles(&columns, &widths, &output) + &lines.collect::<String>()
    }

    #[test]
    fn columns_stand_below_each_other() {
        assert_eq!(
            render(None),
            "ID    WHAT                   SAYS\n\
             0190  Backup of volume vol1  copying the snapshot to the other site\n\
             01\n"
        );
    }

    #[test]
    fn the_widest_gives_way_first() {
        assert_eq!(
            render(Some(51)),
            "ID    WHAT                   SAYS\n\
             0190  Backup of volume vol1  copying the snapshot …\n\
             01\n"
        );
        assert!(render(Some(30)).lines().all(|line| width(line) <= 30));
        assert!(render(Some(10)).lines().all(|line| width(line) <= 10));
    }
}
