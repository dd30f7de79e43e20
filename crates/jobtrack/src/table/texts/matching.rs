//! Finding the texts that pass a test.

use std::cmp::Reverse;
use std::fmt;
use std::ops::Range;

use memchr::memmem::Finder;

use super::Texts;
use super::run::{Entry, Plain, Run};
use super::shape::Needed;

/// What a text is to pass, with what is known of the texts that do.
pub(crate) struct TextTest<'a> {
    /// Every passing text begins with this; empty if that is not known.
    pub(crate) prefix: &'a str,
    /// Every passing text ends with this; empty if that is not known. It is the last of `literals`.
    pub(crate) suffix: &'a str,
    /// Every passing text contains each of these.
    pub(crate) literals: Vec<&'a str>,
    /// A text passes if a beginning of it does, as where a pattern ends with a wildcard.
    pub(crate) is_open: bool,
    /// It is a wildcard pattern, of which `literals` are all that are not empty, the first and the
    /// last included, and `prefix` is what stands before the first wildcard. Then texts that agree
    /// in length and in where the literals stand pass all or none.
    pub(crate) is_pattern: bool,
    /// Whether a text passes.
    pub(crate) passes: &'a dyn Fn(&str) -> bool,
}

impl fmt::Debug for TextTest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextTest")
            .field("prefix", &self.prefix)
            .field("suffix", &self.suffix)
            .field("literals", &self.literals)
            .field("is_open", &self.is_open)
            .field("is_pattern", &self.is_pattern)
            .finish_non_exhaustive()
    }
}

impl TextTest<'_> {
    /// Whether a text passes if it contains the one literal.
    fn is_one_literal(&self) -> bool {
        self.is_pattern && self.is_open && self.prefix.is_empty() && self.literals.len() == 1
    }

    /// Whether a text passes if it ends with the one literal.
    fn is_suffix(&self) -> bool {
        self.is_pattern && !self.suffix.is_empty() && self.literals.len() == 1
    }
}

/// How many literals of a test are made use of, the longest ones.
const MOST_LITERALS: usize = 8;

impl Texts {
    /// Calls with the ranges of the indexes whose texts pass: ascending, none empty, with texts
    /// that do not pass between them.
    pub(crate) fn matching(&self, test: &TextTest<'_>, hit: &mut dyn FnMut(Range<usize>)) {
        let within = self.beginning_with(test.prefix);
        if within.is_empty() {
            return;
        }
        let mut search = Search::new(self, test, hit);
        if test.is_open && !test.prefix.is_empty() && (test.passes)(test.prefix) {
            search.hits.add(within);
        } else {
            match self.signature.candidates(&search.longest) {
                Some(candidates) => candidates.ranges(within, &mut |range| search.scan(range)),
                None => search.scan(within),
            }
        }
        search.hits.finish();
    }
}

/// One search through the texts.
struct Search<'a> {
    texts: &'a Texts,
    test: &'a TextTest<'a>,
    /// The longest literals, the longest first.
    longest: Vec<&'a str>,
    /// Those of the longest that may stand anywhere: all but the suffix.
    literals: Vec<&'a str>,
    /// Finds the longest literal.
    finder: Finder<'a>,
    /// The test is a pattern and these are all its literals.
    is_pattern: bool,
    /// What is known of each shape that was met, by its place here and 1, or 0.
    known: Vec<u16>,
    ways: Vec<Way>,
    text: String,
    hits: Hits<'a>,
}

/// How to test the texts of a shape.
enum Way {
    /// None passes.
    None,
    /// All pass.
    All,
    /// Those pass, or may pass, that have the digits needed.
    Digits { needed: Needed, is_enough: bool },
    /// Those may pass that have the longest literal.
    Search,
    /// Any may pass.
    Each,
}

impl<'a> Search<'a> {
    fn new(texts: &'a Texts, test: &'a TextTest<'a>, hit: &'a mut dyn FnMut(Range<usize>)) -> Self {
        let mut literals = test.literals.clone();
        let has_suffix = !test.suffix.is_empty() && literals.pop().is_some();
        let anywhere = literals.len();
        literals.sort_unstable_by_key(|literal| Reverse(literal.len()));
        literals.truncate(MOST_LITERALS);
        let mut longest = literals.clone();
        longest.extend(has_suffix.then_some(test.suffix));
        longest.sort_by_key(|literal| Reverse(literal.len()));
        Search {
            texts,
            test,
            finder: Finder::new(longest.first().map_or("", |longest: &&'a str| *longest)),
            is_pattern: test.is_pattern && literals.len() == anywhere,
            longest,
            literals,
            known: vec![0; texts.shapes.len()],
            ways: Vec::new(),
            text: String::new(),
            hits: Hits { open: 0..0, hit },
        }
    }

    fn scan(&mut self, within: Range<usize>) {
        let first = self.texts.runs.holding(within.start);
        for n in first..self.texts.runs.len() {
            let run = self.texts.run(n);
            if run.texts.start >= within.end {
                break;
            }
            let part = run.texts.start.max(within.start)..run.texts.end.min(within.end);
            let skipped = part.start - run.texts.start;
            if let Some((shape, digits)) = run.shaped() {
                let width = self.texts.shapes.width(shape);
                let all = skipped * width..(skipped + part.len()) * width;
                self.scan_shaped(shape, digits.get(all).unwrap_or(&[]), width, part);
            } else if let Some(plain) = run.plain() {
                self.scan_plain(&run, plain, part);
            } else if let Some(entries) = run.mixed(&self.texts.shapes) {
                entries.skip(skipped).zip(part).for_each(|(entry, index)| self.test(entry, index));
            }
        }
    }

    /// Tests neighbours of one shape.
    fn scan_shaped(&mut self, shape: u16, digits: &[u8], width: usize, part: Range<usize>) {
        let entry = |n: usize| {
            let digits = digits.get(n * width..(n + 1) * width);
            Entry::Shaped(shape, digits.unwrap_or(&[]))
        };
        let way = self.way(shape, entry(0));
        match self.ways.get(way) {
            Some(Way::None) => {}
            Some(Way::All) => self.hits.add(part),
            Some(Way::Digits { needed, is_enough }) => {
                let (is_enough, texts, passes) = (*is_enough, self.texts, self.test.passes);
                let (hits, text) = (&mut self.hits, &mut self.text);
                needed.find(digits, width, |n| {
                    if is_enough || texts.passes(entry(n), text, passes) {
                        hits.add(part.start + n..part.start + n + 1);
                    }
                });
            }
            Some(Way::Search) => {
                part.enumerate().for_each(|(n, index)| self.test_searched(entry(n), index));
            }
            Some(Way::Each) | None => {
                part.enumerate().for_each(|(n, index)| self.test_whole(entry(n), index));
            }
        }
    }

    /// Tests neighbours without a shape.
    fn scan_plain(&mut self, run: &Run<'_>, plain: Plain<'_>, part: Range<usize>) {
        if self.test.is_open && self.passes_beginning(plain.common) {
            self.hits.add(part);
            return;
        }
        let start = run.texts.start;
        let entry = |index: usize| run.entry(&self.texts.shapes, index - start);
        if can_begin_in(plain.common, self.finder.needle()) {
            part.for_each(|index| self.test_whole(entry(index), index));
            return;
        }
        // All rests are searched at once, and those where it is found are tested.
        let end = plain.rest(part.end - 1 - start).end;
        let mut index = part.start;
        while index < part.end {
            let from = plain.rest(index - start).start;
            let left = plain.rests.get(from..end).unwrap_or(&[]);
            let Some(found) = self.finder.find(left).map(|found| from + found) else { break };
            while index + 1 < part.end && plain.rest(index - start).end <= found {
                index += 1;
            }
            // It may have been found across the border of two texts.
            if found + self.finder.needle().len() <= plain.rest(index - start).end {
                self.test_found(entry(index), index);
            }
            index += 1;
        }
    }

    /// Tests one text.
    fn test(&mut self, entry: Entry<'_>, index: usize) {
        let (shape, digits) = match entry {
            Entry::Shaped(shape, digits) => (shape, digits),
            // In a mixed run this is all of it.
            Entry::Plain(_, text) => {
                if self.finder.find(text).is_some() {
                    self.test_found(entry, index);
                }
                return;
            }
        };
        let way = self.way(shape, entry);
        let is_hit = match self.ways.get(way) {
            Some(Way::None) => false,
            Some(Way::All) => true,
            Some(Way::Digits { needed, is_enough }) => {
                let mut is_found = false;
                needed.find(digits, digits.len(), |_| is_found = true);
                if is_found && !is_enough {
                    return self.test_whole(entry, index);
                }
                is_found
            }
            Some(Way::Search) => return self.test_searched(entry, index),
            Some(Way::Each) | None => return self.test_whole(entry, index),
        };
        if is_hit {
            self.hits.add(index..index + 1);
        }
    }

    /// Tests one text by putting it together.
    fn test_whole(&mut self, entry: Entry<'_>, index: usize) {
        let suffix = self.test.suffix.as_bytes();
        if let Entry::Plain(_, rest) = entry
            && rest.len() >= suffix.len()
            && !rest.ends_with(suffix)
        {
            return;
        }
        if self.texts.passes(entry, &mut self.text, self.test.passes) {
            self.hits.add(index..index + 1);
        }
    }

    /// Tests one text that has the longest literal.
    fn test_found(&mut self, entry: Entry<'_>, index: usize) {
        if self.test.is_one_literal() {
            self.hits.add(index..index + 1);
        } else {
            self.test_whole(entry, index);
        }
    }

    /// Tests one text by putting it together, but searches it for the longest literal first.
    fn test_searched(&mut self, entry: Entry<'_>, index: usize) {
        self.texts.put(&entry, &mut self.text);
        if self.finder.find(self.text.as_bytes()).is_some() && (self.test.passes)(&self.text) {
            self.hits.add(index..index + 1);
        }
    }

    /// How to test the texts of the shape, of which one is given.
    fn way(&mut self, shape: u16, one: Entry<'_>) -> usize {
        let known = self.known.get(usize::from(shape)).copied().unwrap_or(0);
        if known > 0 {
            return usize::from(known) - 1;
        }
        let way = self.find_way(shape, one);
        self.ways.push(way);
        if let Some(known) = self.known.get_mut(usize::from(shape)) {
            *known = u16::try_from(self.ways.len()).unwrap_or(0);
        }
        self.ways.len() - 1
    }

    fn find_way(&mut self, shape: u16, one: Entry<'_>) -> Way {
        let test = self.test;
        let shapes = &self.texts.shapes;
        if test.is_one_literal() && shapes.has_literal(shape, &self.finder) {
            return Way::All;
        }
        let mut needed = None;
        let mut depends_on_digits = false;
        let at_end = Some(test.suffix).filter(|suffix| !suffix.is_empty());
        let at_end = at_end.map(|suffix| (suffix, shapes.place_at_end(shape, suffix.as_bytes())));
        let anywhere = self.literals.iter();
        let anywhere = anywhere.map(|literal| (*literal, shapes.places(shape, literal.as_bytes())));
        for (literal, places) in at_end.into_iter().chain(anywhere) {
            if places.is_empty() {
                return Way::None;
            }
            depends_on_digits |= places.depend_on_digits();
            // The end leaves the fewest texts, and after it the longest literal.
            if !places.is_in_all && needed.is_none() {
                needed = Some((literal, places));
            }
        }
        if self.is_pattern && !depends_on_digits {
            let passes = self.texts.passes(one, &mut self.text, test.passes);
            return if passes { Way::All } else { Way::None };
        }
        if test.is_open && self.passes_beginning(shapes.prefix(shape)) {
            return Way::All;
        }
        let needed = needed.map(|(literal, places)| shapes.needed(shape, literal, &places));
        match needed {
            Some(Some(needed)) => {
                Way::Digits { needed, is_enough: test.is_one_literal() || test.is_suffix() }
            }
            // Too many digits to compare at once, but searched for more quickly than tested.
            Some(None) => Way::Search,
            None => Way::Each,
        }
    }

    fn passes_beginning(&self, beginning: &[u8]) -> bool {
        // It may end within a character; then it is not asked about, and each text is.
        str::from_utf8(beginning).is_ok_and(|text| (self.test.passes)(text))
    }
}

impl Texts {
    /// Whether this text passes, which is put together in `text`.
    fn passes(&self, entry: Entry<'_>, text: &mut String, passes: &dyn Fn(&str) -> bool) -> bool {
        self.put(&entry, text);
        passes(text)
    }
}

/// Whether a text can contain the needle from a place in its beginning on.
fn can_begin_in(beginning: &[u8], needle: &[u8]) -> bool {
    needle.is_empty()
        || (0..beginning.len()).any(|at| {
            let rest = beginning.get(at..).unwrap_or(&[]);
            let len = rest.len().min(needle.len());
            rest.get(..len) == needle.get(..len)
        })
}

/// Joins ranges that touch before they are told.
struct Hits<'a> {
    open: Range<usize>,
    hit: &'a mut dyn FnMut(Range<usize>),
}

impl Hits<'_> {
    #[inline]
    fn add(&mut self, range: Range<usize>) {
        if range.start == self.open.end && !self.open.is_empty() {
            self.open.end = range.end;
            return;
        }
        self.finish();
        self.open = range;
    }

    fn finish(&mut self) {
        let open = std::mem::take(&mut self.open);
        if !open.is_empty() {
            (self.hit)(open);
        }
    }
}
