//! Texts of jobs: cheap to clone, since a job is copied whenever it changes and whenever it is read.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

/// A text that is never changed, only replaced. A short one is copied, of a longer one a clone is
/// another reference; neither allocates.
///
/// It is used as a `&str` is:
///
/// ```
/// use jobtrack::Text;
///
/// let kind = Text::from("backup");
/// assert_eq!(kind, "backup");
/// assert!(kind.starts_with("back") && kind.clone() == kind);
/// assert_eq!(format!("{kind} {}", kind.len()), "backup 6");
/// let owned: String = kind.into();
/// assert_eq!(owned, "backup");
/// ```
///
/// A text of this crate's own would have to be checked for UTF-8 each time it is read, since it has no
/// `unsafe`: a tenth of a bulk load.
#[derive(Clone)]
pub struct Text(SmolStr);

impl Text {
    /// The empty text.
    pub const fn new() -> Self {
        Text(SmolStr::new_inline(""))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Its bytes, whose order is the order of texts.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none, which is to say that a field is unset.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes on the heap, were it the only clone.
    pub(crate) fn heap_bytes(&self) -> usize {
        // Two counts of references stand before the text.
        if self.0.is_heap_allocated() { self.len() + 16 } else { 0 }
    }
}

impl Default for Text {
    fn default() -> Self {
        Text::new()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Text(SmolStr::new(text))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Text(text.into())
    }
}

impl From<&String> for Text {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<Box<str>> for Text {
    fn from(text: Box<str>) -> Self {
        Text(text.into())
    }
}

impl From<&Text> for Text {
    fn from(text: &Text) -> Self {
        text.clone()
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.as_str().to_owned()
    }
}

impl From<&Text> for String {
    fn from(text: &Text) -> Self {
        text.as_str().to_owned()
    }
}

impl From<Text> for Box<str> {
    fn from(text: Text) -> Self {
        text.as_str().into()
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

// The order of UTF-8 is the order of its bytes, so that nothing need be decoded here.

impl PartialEq for Text {
    fn eq(&self, other: &Text) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Text {}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Text) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Text) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}

impl Hash for Text {
    /// As a `str` does, in whose place it can be looked up.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

macro_rules! equal_to {
    ($($other:ty),+) => {$(
        impl PartialEq<$other> for Text {
            fn eq(&self, other: &$other) -> bool {
                self.bytes() == other.as_bytes()
            }
        }

        impl PartialEq<Text> for $other {
            fn eq(&self, other: &Text) -> bool {
                self.as_bytes() == other.bytes()
            }
        }
    )+};
}

equal_to!(str, &str, String);

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Text::from)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, hash_map::DefaultHasher};

    use proptest::prelude::*;

    use super::*;

    /// Texts around the length that needs no allocation, of characters of every width.
    fn text() -> impl Strategy<Value = String> {
        proptest::collection::vec(prop_oneof![Just('a'), Just('é'), Just('日'), Just('🦀')], 0..26)
            .prop_map(String::from_iter)
    }

    fn hash(value: &impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        hasher.finish()
    }

    proptest! {
        #[test]
        fn a_text_is_what_was_put_in(one in text(), other in text()) {
            let (a, b) = (Text::from(&*one), Text::from(other.clone()));
            prop_assert_eq!(a.as_str(), &*one);
            prop_assert_eq!(&a, &one);
            prop_assert_eq!((a.len(), a.is_empty()), (one.len(), one.is_empty()));
            prop_assert_eq!(a.cmp(&b), one.cmp(&other));
            prop_assert_eq!(a == b, one == other);
            prop_assert_eq!(hash(&a), hash(&one));
            prop_assert_eq!(String::from(a.clone()), one.clone());
            let json = serde_json::to_string(&a).unwrap();
            prop_assert_eq!(&json, &serde_json::to_string(&one).unwrap());
            prop_assert_eq!(serde_json::from_str::<Text>(&json).unwrap(), a);
        }
    }

    #[test]
    fn a_text_is_no_larger_than_a_string_and_found_by_a_str() {
        assert_eq!(size_of::<Text>(), size_of::<String>());
        assert_eq!(size_of::<Option<Text>>(), size_of::<String>());
        let map = HashMap::from([(Text::from("a text that is not so short"), 1)]);
        assert_eq!(map.get("a text that is not so short"), Some(&1));
    }
}
