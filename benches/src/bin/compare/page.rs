//! The page that is committed: its figures are put in by the command, its words stay.
//!
//! A block of figures stands between `<!-- compare: NAME -->` and `<!-- /compare -->`.

use std::io::{Error, ErrorKind, Result};
use std::path::Path;

use crate::line::{Line, json};
use crate::{plot, table};

/// What each block shows.
type Block = (&'static str, fn(&[Line]) -> String);
const BLOCKS: &[Block] = &[
    ("heading", table::heading),
    ("figures", table::figures),
    ("growth", table::growth),
    ("plans", table::plans),
];

/// Writes tables, lines and plots into `performance` in this folder, and the blocks of figures into
/// its `performance.md`, if there is one.
pub(crate) fn write(lines: &[Line], folder: &Path) -> Result<()> {
    let beside = folder.join("performance");
    std::fs::create_dir_all(&beside)?;
    std::fs::write(beside.join("compare.txt"), table::all(lines))?;
    let all: String = lines.iter().map(|line| json(line) + "\n").collect();
    std::fs::write(beside.join("compare.jsonl"), all)?;
    plot::write(lines, &beside)?;
    let page = folder.join("performance.md");
    match std::fs::read_to_string(&page) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(text) => std::fs::write(&page, filled(&text, lines)?),
    }
}

/// The page with these figures in its blocks.
fn filled(page: &str, lines: &[Line]) -> Result<String> {
    let (begin, end) = ("<!-- compare: ", "<!-- /compare -->");
    let mut filled = String::new();
    let mut left = page;
    while let Some((before, rest)) = left.split_once(begin) {
        let wrong = |what: String| Error::new(ErrorKind::InvalidData, what);
        let (name, rest) = rest
            .split_once(" -->")
            .ok_or_else(|| wrong(format!("a block is not named: {begin}…")))?;
        let (_, after) =
            rest.split_once(end).ok_or_else(|| wrong(format!("the block {name} has no end")))?;
        let block = BLOCKS.iter().find(|(each, _)| *each == name);
        let (_, show) = block.ok_or_else(|| wrong(format!("there is no block {name:?}")))?;
        let figures = show(lines);
        filled.push_str(before);
        filled.push_str(&format!(
            "{begin}{name} -->\n\n```text\n{}\n```\n\n{end}",
            figures.trim_matches('\n')
        ));
        left = after;
    }
    Ok(filled + left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::Of;

    fn lines() -> [Line; 1] {
        let line = Line { jobtrack_p50_ns: Some(7), ..Line::new(Of::Query, "label", 1_000) };
        [Line { run: Some("measured now".to_owned()), ..line }]
    }

    #[test]
    fn figures_are_replaced_and_words_stay() {
        let page = "One\n\n<!-- compare: heading -->\nold\n<!-- /compare -->\n\nTwo\n\
                    <!-- compare: figures --><!-- /compare -->";
        let text = filled(page, &lines()).unwrap();
        assert!(text.starts_with("One\n\n<!-- compare: heading -->\n\n```text\nmeasured now\n```"));
        assert!(text.contains("\n\nTwo\n") && text.contains("label") && !text.contains("old"));
        assert_eq!(filled(&text, &lines()).unwrap(), text);
    }

    #[test]
    fn the_committed_page_has_every_block() {
        let page = include_str!("../../../../docs/performance.md");
        assert!(filled(page, &lines()).unwrap().contains("measured now"));
        for (name, _) in BLOCKS {
            assert_eq!(page.matches(&format!("<!-- compare: {name} -->")).count(), 1, "{name}");
        }
    }

    #[test]
    fn a_block_that_is_none_is_named() {
        let error = |page: &str| filled(page, &lines()).unwrap_err().to_string();
        assert_eq!(
            error("<!-- compare: speed --><!-- /compare -->"),
            "there is no block \"speed\""
        );
        assert_eq!(error("<!-- compare: plans -->"), "the block plans has no end");
    }

    #[test]
    fn what_is_written_can_be_read_again() {
        let folder = tempfile::tempdir().unwrap();
        write(&lines(), folder.path()).unwrap();
        let written = folder.path().join("performance");
        assert_eq!(crate::read(&[written.join("compare.jsonl")]).unwrap(), lines());
        assert!(written.join("cost.svg").is_file() && !written.join("cost-wide.svg").exists());
    }
}
