//! Entity tags, as RFC 9110 has them in `If-Match` and `If-None-Match`.

/// A tag: what stands between its quotation marks, and whether it is weak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag<'a> {
    pub(crate) opaque: &'a str,
    pub(crate) is_weak: bool,
}

/// The tags of one line, up to the first that is none.
#[derive(Debug)]
pub(crate) struct Tags<'a> {
    rest: &'a str,
    /// Whether a comma must come before the next tag.
    is_behind_one: bool,
}

impl<'a> Tags<'a> {
    pub(crate) fn of(line: &'a str) -> Self {
        Tags { rest: line, is_behind_one: false }
    }

    /// Whether all of the line was tags; to be asked once there are no more.
    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.trim_matches(is_between).is_empty()
    }
}

impl<'a> Iterator for Tags<'a> {
    type Item = Tag<'a>;

    fn next(&mut self) -> Option<Tag<'a>> {
        let start = self.rest.trim_start_matches(is_between);
        let (between, _) = self.rest.split_at(self.rest.len() - start.len());
        if self.is_behind_one && !between.contains(',') {
            return None;
        }
        let (is_weak, text) = match start.strip_prefix("W/") {
            Some(text) => (true, text),
            None => (false, start),
        };
        let (opaque, rest) = text.strip_prefix('"')?.split_once('"')?;
        if opaque.chars().any(|c| c.is_ascii_control() || c == ' ') {
            return None;
        }
        *self = Tags { rest, is_behind_one: true };
        Some(Tag { opaque, is_weak })
    }
}

/// What may stand between tags; empty elements of a list count for nothing.
fn is_between(c: char) -> bool {
    matches!(c, ' ' | '\t' | ',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_in_a_tag_is_the_tag_s() {
        let mut tags = Tags::of(" W/\"a,b\" , ,\"c\"\t");
        let found: Vec<_> = tags.by_ref().map(|tag| (tag.opaque, tag.is_weak)).collect();
        assert_eq!(found, [("a,b", true), ("c", false)]);
        assert!(tags.is_at_end());
    }

    #[test]
    fn what_is_no_tag_stays() {
        for (line, tags_before) in [("a", 0), ("\"a\" b", 1), ("\"a\" \"b\"", 1), ("\"a\", \"b", 1)]
        {
            let mut tags = Tags::of(line);
            assert_eq!(tags.by_ref().count(), tags_before, "{line}");
            assert!(!tags.is_at_end(), "{line}");
        }
    }
}
