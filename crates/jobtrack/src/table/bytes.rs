//! Numbers, and lists of them, as the bytes of an image, and back.
//!
//! An image is read on the machine that wrote it or on another like it, for as long as a server takes to
//! start again: so lists stand in it as they stand in memory, and reading one is copying it. All numbers
//! are little endian.

/// Bytes as they are written, one thing behind the other.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    pub(crate) bytes: Vec<u8>,
}

/// What is left to be read.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    left: &'a [u8],
}

/// Bytes that are no image, or not a whole one. Nothing more is said, since nobody can do anything
/// about it: the store is read instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damaged;

/// A number of a fixed width.
pub(crate) trait Plain: Copy {
    const BYTES: usize;

    fn put(self, into: &mut [u8]);

    fn take(from: &[u8]) -> Self;
}

macro_rules! plain {
    ($($number:ty),+) => { $(
        impl Plain for $number {
            const BYTES: usize = size_of::<$number>();

            #[inline]
            fn put(self, into: &mut [u8]) {
                into.copy_from_slice(&self.to_le_bytes());
            }

            #[inline]
            fn take(from: &[u8]) -> Self {
                // Callers hand over just so many bytes.
                <$number>::from_le_bytes(from.try_into().unwrap_or_default())
            }
        }
    )+ };
}

plain!(u8, u16, u32, u64, u128);

impl Writer {
    pub(crate) fn number<T: Plain>(&mut self, number: T) {
        self.numbers(&[number]);
    }

    /// A number of things in memory.
    pub(crate) fn count(&mut self, count: usize) {
        self.number(count as u64);
    }

    /// Numbers whose count the reader knows.
    pub(crate) fn numbers<T: Plain>(&mut self, numbers: &[T]) {
        let start = self.bytes.len();
        self.bytes.resize(start + numbers.len() * T::BYTES, 0);
        let places = self.bytes.get_mut(start..).unwrap_or_default().chunks_exact_mut(T::BYTES);
        places.zip(numbers).for_each(|(place, number)| number.put(place));
    }

    /// Numbers with their count.
    pub(crate) fn list<T: Plain>(&mut self, numbers: &[T]) {
        self.count(numbers.len());
        self.numbers(numbers);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.list(text.as_bytes());
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader { left: bytes }
    }

    pub(crate) fn number<T: Plain>(&mut self) -> Result<T, Damaged> {
        self.bytes(T::BYTES).map(T::take)
    }

    pub(crate) fn count(&mut self) -> Result<usize, Damaged> {
        usize::try_from(self.number::<u64>()?).map_err(|_| Damaged)
    }

    /// So many numbers. No memory is taken for more than there are bytes.
    pub(crate) fn numbers<T: Plain>(&mut self, count: usize) -> Result<Box<[T]>, Damaged> {
        let bytes = self.bytes(count.checked_mul(T::BYTES).ok_or(Damaged)?)?;
        Ok(bytes.chunks_exact(T::BYTES).map(T::take).collect())
    }

    pub(crate) fn list<T: Plain>(&mut self) -> Result<Box<[T]>, Damaged> {
        let count = self.count()?;
        self.numbers(count)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Damaged> {
        let length = self.count()?;
        str::from_utf8(self.bytes(length)?).map_err(|_| Damaged)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Damaged> {
        let (these, left) = self.left.split_at_checked(count).ok_or(Damaged)?;
        self.left = left;
        Ok(these)
    }

    /// That nothing is left.
    pub(crate) fn finish(self) -> Result<(), Damaged> {
        if self.left.is_empty() { Ok(()) } else { Err(Damaged) }
    }
}

/// That something holds which holds in every image.
pub(crate) fn check(holds: bool) -> Result<(), Damaged> {
    if holds { Ok(()) } else { Err(Damaged) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            bytes in proptest::collection::vec(any::<u8>(), 0..9),
            words in proptest::collection::vec(any::<u16>(), 0..9),
            longs in proptest::collection::vec(any::<u128>(), 0..9),
            number in any::<u64>(),
            text in ".{0,9}",
            cut in 0..40_usize,
        ) {
            let mut writer = Writer::default();
            writer.list(&bytes);
            writer.number(number);
            writer.list(&words);
            writer.text(&text);
            writer.list(&longs);
            let read = |bytes: &[u8]| {
                let mut reader = Reader::new(bytes);
                let read = (
                    reader.list::<u8>()?,
                    reader.number::<u64>()?,
                    reader.list::<u16>()?,
                    reader.text()?.to_owned(),
                    reader.list::<u128>()?,
                );
                reader.finish()?;
                Ok(read)
            };
            let whole = (bytes.into(), number, words.into(), text, longs.into());
            prop_assert_eq!(read(&writer.bytes), Ok(whole));
            let shorter = writer.bytes.len().saturating_sub(cut + 1);
            prop_assert_eq!(read(&writer.bytes[..shorter]), Err(Damaged));
            writer.number(0_u8);
            prop_assert_eq!(read(&writer.bytes), Err(Damaged));
        }
    }

    #[test]
    fn a_count_beyond_all_bytes_takes_no_memory() {
        let mut writer = Writer::default();
        writer.count(usize::MAX / 4);
        assert_eq!(Reader::new(&writer.bytes).list::<u128>(), Err(Damaged));
        assert_eq!(Reader::new(&writer.bytes).list::<u16>(), Err(Damaged));
        assert_eq!(Reader::new(&writer.bytes).text(), Err(Damaged));
    }
}
