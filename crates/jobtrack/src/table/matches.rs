//! Which texts of each segment a wildcard matched lately, so that who asks again need not wait for the
//! search again: a page that refreshes itself asks the same over and over.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::code_set::CodeSet;
use super::uuids::PlaceId;
use crate::field::Field;

/// So many wildcards are remembered.
const MOST_WILDCARDS: usize = 32;
/// So many bytes are kept for each at most: some hundred segments of what is usual.
const MOST_BYTES: usize = if cfg!(test) { 2 << 10 } else { 1 << 20 };

/// What wildcards matched lately. Segments never change, so what is kept never becomes wrong.
#[derive(Debug, Default)]
pub(crate) struct Matches(Mutex<Vec<(Wildcard, Arc<Matched>)>>);

/// A wildcard pattern that is asked of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wildcard {
    pub(crate) field: Field,
    /// The literals between its wildcards.
    pub(crate) literals: Box<[Box<str>]>,
    /// Whether what does not match is wanted.
    pub(crate) is_negated: bool,
}

/// What one wildcard matched.
#[derive(Debug, Default)]
pub(crate) struct Matched(Mutex<Segments>);

#[derive(Debug, Default)]
struct Segments {
    known: HashMap<PlaceId, Known>,
    bytes: usize,
}

/// What is known of one segment.
#[derive(Debug)]
enum Known {
    /// So many of its values were asked one by one.
    Asked(usize),
    /// These codes pass.
    Codes(Arc<CodeSet>),
}

impl Matches {
    /// What this wildcard matched, to be looked up and added to.
    pub(crate) fn of(&self, wildcard: Wildcard) -> Arc<Matched> {
        let mut list = self.0.lock();
        let found = match list.iter().position(|(own, _)| *own == wildcard) {
            Some(at) => list.remove(at),
            None => (wildcard, Arc::default()),
        };
        let matched = Arc::clone(&found.1);
        // The one that was asked for longest ago makes room.
        if list.len() == MOST_WILDCARDS {
            list.remove(0);
        }
        list.push(found);
        matched
    }
}

impl Matched {
    /// The codes of this segment that pass, if that is known.
    pub(crate) fn codes(&self, part: PlaceId) -> Option<Arc<CodeSet>> {
        match self.0.lock().known.get(&part)? {
            Known::Codes(codes) => Some(Arc::clone(codes)),
            Known::Asked(_) => None,
        }
    }

    /// How many values of this segment were asked one by one.
    pub(crate) fn asked(&self, part: PlaceId) -> usize {
        match self.0.lock().known.get(&part) {
            Some(Known::Asked(values)) => *values,
            _ => 0,
        }
    }

    /// So many more values of this segment were asked one by one.
    pub(crate) fn ask(&self, part: PlaceId, values: usize) {
        let mut segments = self.0.lock();
        match segments.known.get_mut(&part) {
            Some(Known::Asked(before)) => *before += values,
            Some(Known::Codes(_)) => {}
            None => segments.keep(part, Known::Asked(values), 0),
        }
    }

    /// These are the codes of this segment that pass.
    pub(crate) fn put(&self, part: PlaceId, codes: Arc<CodeSet>) {
        let bytes = codes.bytes();
        // One segment whose matches are scattered must not take the place of many others.
        if bytes <= MOST_BYTES / 4 {
            self.0.lock().keep(part, Known::Codes(codes), bytes);
        }
    }
}

impl Segments {
    fn keep(&mut self, part: PlaceId, known: Known, bytes: usize) {
        let bytes = bytes + size_of::<(PlaceId, Known)>();
        // Of segments that were merged since nobody will ask, and which these are is not known here.
        if self.bytes + bytes > MOST_BYTES {
            *self = Segments::default();
        }
        self.bytes += bytes;
        self.known.insert(part, known);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wildcard(number: usize) -> Wildcard {
        let literals = ["".into(), format!("{number}").into(), "".into()].into();
        Wildcard { field: Field::Description, literals, is_negated: number.is_multiple_of(2) }
    }

    proptest! {
        /// Many wildcards and segments, most of which are forgotten again.
        #[test]
        fn what_is_known_was_put_there(
            steps in proptest::collection::vec((0..40_usize, 1..30_u32, 0..3_u8), 1..400),
        ) {
            let matches = Matches::default();
            let of = |number: usize, part: u32| {
                CodeSet::of(part..part + 1 + u32::try_from(number).unwrap())
            };
            for (number, part, what) in steps {
                let matched = matches.of(wildcard(number));
                match what {
                    0 => matched.put(part, Arc::new(of(number, part))),
                    1 => matched.ask(part, 1),
                    _ => {}
                }
                if let Some(codes) = matched.codes(part) {
                    let put = of(number, part);
                    prop_assert_eq!(codes.ranges(), put.ranges());
                } else if what == 1 {
                    prop_assert!(matched.asked(part) >= 1);
                }
                prop_assert!(matched.0.lock().bytes <= MOST_BYTES);
                prop_assert!(matches.0.lock().len() <= MOST_WILDCARDS);
            }
        }
    }

    #[test]
    fn the_wildcard_that_was_asked_for_longest_ago_makes_room() {
        let matches = Matches::default();
        matches.of(wildcard(0)).put(1, Arc::new(CodeSet::of(1..2)));
        for number in 1..MOST_WILDCARDS {
            matches.of(wildcard(number));
        }
        assert!(matches.of(wildcard(0)).codes(1).is_some());
        for number in 1..=MOST_WILDCARDS {
            matches.of(wildcard(number));
        }
        assert!(matches.of(wildcard(0)).codes(1).is_none());
    }
}
