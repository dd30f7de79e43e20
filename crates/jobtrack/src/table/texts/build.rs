//! Building a dictionary from sorted texts, and merging several.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

use super::Texts;
use super::run::{
    Entry, LONGEST_IN_MIXED, LONGEST_MIXED, MOST_SHAPES, PLAIN, Runs, RunsBuilder, SHORTEST_RUN,
};
use super::shape::{Form, Shapes};
use super::signature::Signature;

/// Fewer texts than this are not worth storing a shape.
const FEWEST_OF_SHAPE: usize = 4;

impl Texts {
    /// The dictionary of these texts, which ascend strictly byte by byte; at most 65,535, none
    /// empty.
    pub(crate) fn build<'a>(sorted: impl ExactSizeIterator<Item = &'a str>) -> Texts {
        let texts: Vec<&str> = sorted.collect();
        debug_assert!(texts.len() <= usize::from(u16::MAX));
        debug_assert!(texts.is_sorted_by(|left, right| left < right));
        let Splits { forms, of_text, digits } = Splits::of(&texts);

        let mut kept = Vec::new();
        let mut numbers = Vec::with_capacity(forms.len());
        for (form, count) in &forms {
            let is_kept = *count >= FEWEST_OF_SHAPE && kept.len() < MOST_SHAPES;
            numbers.push(if is_kept { u16::try_from(kept.len()).unwrap_or(PLAIN) } else { PLAIN });
            if is_kept {
                kept.push(&**form);
            }
        }
        let shapes = Shapes::new(kept.into_iter());
        let entries = texts.iter().zip(&of_text).map(|(text, (form, at))| {
            let number = form.and_then(|form| numbers.get(form).copied()).unwrap_or(PLAIN);
            let width = shapes.width(number);
            match digits.get(*at..).and_then(|digits| digits.get(..width)) {
                Some(digits) if number != PLAIN => Entry::Shaped(number, digits),
                _ => Entry::Plain(&[], text.as_bytes()),
            }
        });
        let runs = runs(&texts, &entries.collect::<Vec<_>>());
        Texts { len: texts.len(), shapes, runs, signature: Signature::of(&texts) }
    }

    /// Merges dictionaries: the merged one of all texts for which `used(part, index)` holds, and
    /// for each part the new index of each of its texts, `u16::MAX` for one that is not used.
    pub(crate) fn merge(
        parts: &[&Texts],
        used: &dyn Fn(usize, usize) -> bool,
    ) -> (Texts, Vec<Vec<u16>>) {
        let mut bytes = Vec::new();
        let mut found = Vec::new();
        for (part, texts) in parts.iter().enumerate() {
            for (index, entry) in texts.entries().enumerate() {
                if used(part, index) {
                    let start = bytes.len();
                    entry.write(&texts.shapes, &mut bytes);
                    found.push((start..bytes.len(), part, index));
                }
            }
        }
        // What was put in were whole texts, so that they are UTF-8 again.
        let bytes = String::from_utf8(bytes).unwrap_or_default();
        let found = found.into_iter().map(|(range, part, index)| {
            let text = bytes.get(range).unwrap_or("");
            ((beginning(text), text), part, index)
        });
        let mut found: Vec<_> = found.collect();
        // Each part is sorted already, which the sort makes use of.
        found.sort_by_key(|(text, ..)| *text);
        let mut new: Vec<_> = parts.iter().map(|texts| vec![u16::MAX; texts.len()]).collect();
        let mut merged: Vec<&str> = Vec::new();
        for ((_, text), part, index) in found {
            if merged.last() != Some(&text) {
                merged.push(text);
            }
            if let Some(place) = new.get_mut(part).and_then(|new| new.get_mut(index)) {
                *place = u16::try_from(merged.len() - 1).unwrap_or(u16::MAX);
            }
        }
        (Texts::build(merged.into_iter()), new)
    }
}

/// The first bytes of a text in one word, by which two texts are mostly told apart sooner than by going
/// where they stand.
pub(crate) fn beginning(text: &str) -> u64 {
    let mut first = [0; 8];
    first.iter_mut().zip(text.as_bytes()).for_each(|(byte, own)| *byte = *own);
    u64::from_be_bytes(first)
}

/// All texts split into form and digits.
#[derive(Default)]
struct Splits {
    /// Each form that several texts have, with the number of these.
    forms: Vec<(Vec<u8>, usize)>,
    /// Of each text its form, if it has one, and where its digits begin.
    of_text: Vec<(Option<usize>, usize)>,
    digits: Vec<u8>,
}

/// Where forms with one hash have been seen.
enum Seen {
    /// In this text alone, for which nothing is stored yet: in free text every form is new.
    Once(usize),
    Often(usize),
}

impl Splits {
    fn of(texts: &[&str]) -> Splits {
        let mut splits = Splits::default();
        let mut seen: HashMap<u64, Seen, Hashed> = HashMap::default();
        let (mut form, mut other) = (Form::default(), Form::default());
        let mut number = None;
        for (index, text) in texts.iter().enumerate() {
            let text = text.as_bytes();
            // Most texts have the form of the one before.
            if number.is_none() || !form.fits(text) {
                number = None;
                if form.become_of(text) {
                    let hash = hash(&form.bytes);
                    match seen.get(&hash) {
                        None => {
                            seen.insert(hash, Seen::Once(index));
                        }
                        Some(Seen::Once(first)) => {
                            let first_text = texts.get(*first).map_or(&[][..], |it| it.as_bytes());
                            if other.become_of(first_text) && other.bytes == form.bytes {
                                number = Some(splits.forms.len());
                                splits.forms.push((form.bytes.clone(), 1));
                                splits.put(*first, splits.forms.len() - 1, &form, first_text);
                                seen.insert(hash, Seen::Often(splits.forms.len() - 1));
                            }
                        }
                        Some(Seen::Often(found)) => {
                            let is_same =
                                splits.forms.get(*found).is_some_and(|it| it.0 == form.bytes);
                            number = is_same.then_some(*found);
                        }
                    }
                }
            }
            splits.of_text.push((None, 0));
            if let Some(number) = number {
                splits.put(index, number, &form, text);
                if let Some((_, count)) = splits.forms.get_mut(number) {
                    *count += 1;
                }
            }
        }
        splits
    }

    fn put(&mut self, index: usize, number: usize, form: &Form, text: &[u8]) {
        if let Some(place) = self.of_text.get_mut(index) {
            *place = (Some(number), self.digits.len());
            form.take_digits(text, &mut self.digits);
        }
    }
}

/// A hash that is not safe against texts made to collide; those then go without a shape.
fn hash(form: &[u8]) -> u64 {
    let (words, rest) = form.as_chunks();
    let mut last = [0; 8];
    last.iter_mut().zip(rest).for_each(|(byte, rest)| *byte = *rest);
    let words = words.iter().chain([&last]).map(|word| u64::from_le_bytes(*word));
    words.fold(form.len() as u64, |hash, word| {
        (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    })
}

/// Leaves a hash as it is.
#[derive(Default, Clone, Copy)]
struct Hashed;

impl BuildHasher for Hashed {
    type Hasher = AsItIs;

    fn build_hasher(&self) -> AsItIs {
        AsItIs(0)
    }
}

struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// The texts in runs: of one kind where enough neighbours are, else mixed.
fn runs(texts: &[&str], entries: &[Entry<'_>]) -> Runs {
    let mut runs = RunsBuilder::default();
    let mut mixed: &[Entry<'_>] = &[];
    let mut at = 0;
    for alike in entries.chunk_by(|left, right| kind(left) == kind(right)) {
        let is_long = alike.iter().any(|entry| match entry {
            Entry::Plain(_, text) => text.len() > LONGEST_IN_MIXED,
            Entry::Shaped(..) => false,
        });
        let begin = at;
        at += alike.len();
        if alike.len() < SHORTEST_RUN && !is_long {
            mixed = entries.get(begin - mixed.len()..at).unwrap_or(&[]);
            continue;
        }
        add_mixed(&mut runs, begin, mixed);
        mixed = &[];
        match alike.first() {
            Some(Entry::Shaped(shape, _)) => {
                let digits = alike.iter().map(|entry| match entry {
                    Entry::Shaped(_, digits) => *digits,
                    Entry::Plain(..) => &[],
                });
                runs.shaped(begin, *shape, digits);
            }
            _ => {
                let mut from = begin;
                while from < at {
                    let left = texts.get(from..at).unwrap_or(&[]);
                    from += runs.plain(from, left).max(1);
                }
            }
        }
    }
    add_mixed(&mut runs, at, mixed);
    runs.finish()
}

/// Adds the mixed texts that end before this one.
fn add_mixed(runs: &mut RunsBuilder, end: usize, mixed: &[Entry<'_>]) {
    let mut first = end - mixed.len();
    for part in mixed.chunks(LONGEST_MIXED) {
        runs.mixed(first, part);
        first += part.len();
    }
}

fn kind(entry: &Entry<'_>) -> u16 {
    match entry {
        Entry::Shaped(shape, _) => *shape,
        Entry::Plain(..) => PLAIN,
    }
}
