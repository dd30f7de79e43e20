//! A sorted set in pieces, for what mostly comes in order.

use std::collections::BTreeMap;

/// Most values in a piece.
const LONGEST: usize = 64;

/// A sorted set. What is greater than all before costs next to nothing, where a tree of single values
/// would be gone down with a dozen comparisons at each level; and it grows by a piece at a time.
#[derive(Debug)]
pub(crate) struct Pieces<T> {
    /// Each piece under a value that is not greater than any in it and greater than all in those
    /// before. None is empty.
    pieces: BTreeMap<T, Vec<T>>,
}

impl<T> Default for Pieces<T> {
    fn default() -> Self {
        Pieces { pieces: BTreeMap::new() }
    }
}

impl<T: Copy + Ord> Pieces<T> {
    /// Puts a value in, unless it is there.
    pub(crate) fn insert(&mut self, value: T) {
        let last = self.pieces.last_entry().filter(|last| *last.key() <= value);
        let Some(piece) = (match last {
            Some(last) => Some(last.into_mut()),
            None => self.pieces.range_mut(..=value).next_back().map(|(_, piece)| piece),
        }) else {
            self.pieces.insert(value, vec![value]);
            return;
        };
        let is_last = piece.last().is_none_or(|last| *last < value);
        let at = if is_last { Err(piece.len()) } else { piece.binary_search(&value) };
        let Err(at) = at else { return };
        if piece.len() < LONGEST {
            piece.insert(at, value);
            return;
        }
        // A full piece stays full if what comes is in order.
        let mut upper = if is_last { Vec::new() } else { piece.split_off(LONGEST / 2) };
        match at.checked_sub(piece.len()) {
            Some(at) => upper.insert(at, value),
            None => piece.insert(at, value),
        }
        if let Some(first) = upper.first().copied() {
            self.pieces.insert(first, upper);
        }
    }

    /// Takes a value out, if it is there.
    pub(crate) fn remove(&mut self, value: T) {
        let Some((key, piece)) = self.pieces.range_mut(..=value).next_back() else { return };
        let Ok(at) = piece.binary_search(&value) else { return };
        piece.remove(at);
        if piece.is_empty() {
            let key = *key;
            self.pieces.remove(&key);
        }
    }

    /// All values, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.pieces.values().flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_agrees_with_a_set(
            steps in proptest::collection::vec((0..4_u8, 0..400_u32, 1..200_u32), 0..200),
        ) {
            let (mut pieces, mut set) = (Pieces::default(), BTreeSet::new());
            for (what, from, count) in steps {
                let step = |value: u32| match what {
                    0 => value.reverse_bits() % 400,
                    _ => value,
                };
                for value in (from..from + count).map(step) {
                    if what == 1 {
                        pieces.remove(value);
                        set.remove(&value);
                    } else {
                        pieces.insert(value);
                        set.insert(value);
                    }
                }
                prop_assert!(pieces.iter().eq(&set));
                prop_assert!(pieces.pieces.values().all(|it| (1..=LONGEST).contains(&it.len())));
            }
        }
    }
}
