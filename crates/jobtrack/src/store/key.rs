//! Keys of records: short, and made anew for every record that a batch names.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

/// The most bytes of a key that need no allocation: more than any that the engine makes for a job.
const SHORT: usize = 22;

/// The key under which a record stands in its space: some bytes, 64 at most.
///
/// ```
/// use jobtrack::store::Key;
///
/// let key = Key::from(7_u64.to_be_bytes());
/// assert_eq!(&*key, &[0, 0, 0, 0, 0, 0, 0, 7]);
/// assert!(key < Key::from(vec![1]));
/// assert_eq!(Vec::from(key).len(), 8);
/// ```
#[derive(Clone)]
pub struct Key(Form);

#[derive(Clone)]
enum Form {
    /// So many of these bytes.
    Short(u8, [u8; SHORT]),
    Long(Box<[u8]>),
}

impl Key {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Form::Short(len, bytes) => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Form::Long(bytes) => bytes,
        }
    }
}

impl Key {
    /// The key that begins and goes on so.
    pub(crate) fn joined(first: &[u8], rest: &[u8]) -> Key {
        let mut bytes = [0; SHORT];
        let len = first.len() + rest.len();
        match u8::try_from(len) {
            Ok(short) if len <= SHORT => {
                bytes.iter_mut().zip(first.iter().chain(rest)).for_each(|(to, from)| *to = *from);
                Key(Form::Short(short, bytes))
            }
            _ => Key(Form::Long([first, rest].concat().into())),
        }
    }
}

impl From<&[u8]> for Key {
    fn from(key: &[u8]) -> Self {
        let mut bytes = [0; SHORT];
        match (bytes.get_mut(..key.len()), u8::try_from(key.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(key);
                Key(Form::Short(len, bytes))
            }
            _ => Key(Form::Long(key.into())),
        }
    }
}

impl From<Vec<u8>> for Key {
    fn from(key: Vec<u8>) -> Self {
        key.as_slice().into()
    }
}

impl<const N: usize> From<[u8; N]> for Key {
    fn from(key: [u8; N]) -> Self {
        key.as_slice().into()
    }
}

impl<const N: usize> From<&[u8; N]> for Key {
    fn from(key: &[u8; N]) -> Self {
        key.as_slice().into()
    }
}

impl From<Key> for Vec<u8> {
    fn from(key: Key) -> Self {
        key.as_bytes().to_vec()
    }
}

impl Deref for Key {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_bytes(), f)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Key {}

impl PartialEq<[u8]> for Key {
    fn eq(&self, other: &[u8]) -> bool {
        self.as_bytes() == other
    }
}

impl PartialEq<Vec<u8>> for Key {
    fn eq(&self, other: &Vec<u8>) -> bool {
        self.as_bytes() == other.as_slice()
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Key) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Key) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Key {
    /// As the bytes do, by which it can be looked up.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Of lengths around that which needs no allocation.
        #[test]
        fn a_key_is_what_was_put_in(
            one in proptest::collection::vec(any::<u8>(), 0..30),
            other in proptest::collection::vec(any::<u8>(), 0..30),
        ) {
            let (key, next) = (Key::from(one.clone()), Key::from(other.as_slice()));
            prop_assert_eq!(&key, &one);
            prop_assert_eq!(key.cmp(&next), one.cmp(&other));
            prop_assert_eq!(key == next, one == other);
            let map = BTreeMap::from([(key.clone(), 1)]);
            prop_assert_eq!(map.get(one.as_slice()), Some(&1));
            prop_assert_eq!(Key::joined(&one, &other), [one.clone(), other].concat());
            prop_assert_eq!(Vec::from(key), one);
        }
    }

    #[test]
    fn a_key_is_no_larger_than_a_vec() {
        assert_eq!(size_of::<Key>(), size_of::<Vec<u8>>());
    }
}
