//! Shapes: what texts that differ in numbers alone have in common.
//!
//! Texts that programs write are mostly few templates with numbers put in: `Move volume vol_0123`,
//! `request 5f0c…`. The shape of a text is the text less its numbers, with the number of digits in
//! each place. So all texts of one shape have the same length, a place in one is the same place in
//! all, and what is left of each text is a fixed number of digits at four bits each.

use std::cmp::Ordering;
use std::ops::{BitAnd, BitOr, BitXor, Not, Range, Shl, Shr};

use memchr::memmem::Finder;

use super::super::bytes::{Damaged, Reader, Writer};

/// Longest text, in bytes, that is stored by its shape.
const LONGEST: usize = 255;

/// Most digits that are compared with a pattern in one step.
const WIDEST: usize = 32;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// The shapes of one dictionary, by number.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    shapes: Box<[Shape]>,
    // Of each shape: a pair of lengths (a literal, the digits that follow it) for each piece, and
    // then the literals.
    bytes: Box<[u8]>,
}

#[derive(Debug, Clone, Copy)]
struct Shape {
    at: u32,
    pieces: u8,
    digits: u8,
}

/// Where a needle can stand in the texts of a shape.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// It stands in every text: at least one of its places is all literal.
    pub(super) is_in_all: bool,
    /// Where it begins if all of it are digits: the lowest bit of each such digit.
    within: u128,
    /// The digits that it needs at each of its other places.
    across: Vec<Digits>,
}

/// Digits that a text must have at certain places.
#[derive(Debug, Clone, Copy)]
struct Digits {
    mask: u128,
    value: u128,
}

/// What the digits of a text must be so that a needle is in it.
#[derive(Debug)]
pub(super) enum Needed {
    /// Where the digits of a text take at most eight bytes, as most do.
    Narrow(InWord<u64>),
    Wide(InWord<u128>),
}

/// The same for all digits of a text in one word, the first one highest.
#[derive(Debug)]
pub(super) struct InWord<W> {
    /// Each digit of the needle, in all places of a word.
    needle: Vec<W>,
    within: W,
    across: Vec<(W, W)>,
}

impl Shapes {
    /// The shapes of these forms, numbered as they come.
    pub(super) fn new<'a>(forms: impl Iterator<Item = &'a [u8]>) -> Shapes {
        let (mut shapes, mut bytes) = (Vec::new(), Vec::new());
        for form in forms {
            let at = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let pieces = form.chunk_by(|left, right| *left != 0 || *right == 0);
            let (mut count, mut digits) = (0_u8, 0_u8);
            for piece in pieces.clone() {
                let literal = piece.iter().take_while(|byte| **byte != 0).count();
                bytes.push(low_byte(literal));
                bytes.push(low_byte(piece.len() - literal));
                count += 1;
                digits += low_byte(piece.len() - literal);
            }
            bytes.extend(form.iter().filter(|byte| **byte != 0));
            shapes.push(Shape { at, pieces: count, digits });
        }
        Shapes { shapes: shapes.into(), bytes: bytes.into() }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.count(self.shapes.len());
        for Shape { at, pieces, digits } in &self.shapes {
            writer.number(*at);
            writer.numbers(&[*pieces, *digits]);
        }
        writer.list(&self.bytes);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Shapes, Damaged> {
        let shapes = (0..reader.count()?).map(|_| {
            Ok(Shape { at: reader.number()?, pieces: reader.number()?, digits: reader.number()? })
        });
        let shapes = shapes.collect::<Result<_, Damaged>>()?;
        Ok(Shapes { shapes, bytes: reader.list()? })
    }

    pub(super) fn len(&self) -> usize {
        self.shapes.len()
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.shapes) + self.bytes.len()
    }

    /// How many bytes the digits of a text of this shape take.
    pub(super) fn width(&self, shape: u16) -> usize {
        self.shapes.get(usize::from(shape)).map_or(0, |shape| packed(shape.digits.into()))
    }

    /// Adds the text of these digits.
    pub(super) fn put(&self, shape: u16, digits: &[u8], into: &mut Vec<u8>) {
        let mut written = [0; LONGEST + 1];
        for (two, byte) in written.chunks_exact_mut(2).zip(digits) {
            two.copy_from_slice(&[hex(byte >> 4), hex(byte & 15)]);
        }
        let mut left = &written[..];
        for (literal, digits) in self.pieces(shape) {
            into.extend_from_slice(literal);
            let (these, rest) = left.split_at_checked(digits).unwrap_or((left, &[]));
            into.extend_from_slice(these);
            left = rest;
        }
    }

    /// Compares the text of these digits with another.
    pub(super) fn compare(&self, shape: u16, digits: &[u8], text: &[u8]) -> Ordering {
        let (mut left, mut at) = (text, 0);
        for (literal, count) in self.pieces(shape) {
            let (these, rest) = left.split_at_checked(literal.len()).unwrap_or((left, &[]));
            match literal.cmp(these) {
                Ordering::Equal => left = rest,
                unequal => return unequal,
            }
            for place in at..at + count {
                let byte = digits.get(place / 2).copied().unwrap_or(0);
                let digit = hex(if place % 2 == 0 { byte >> 4 } else { byte & 15 });
                let Some((first, rest)) = left.split_first() else { return Ordering::Greater };
                match digit.cmp(first) {
                    Ordering::Equal => left = rest,
                    unequal => return unequal,
                }
            }
            at += count;
        }
        if left.is_empty() { Ordering::Equal } else { Ordering::Less }
    }

    /// What every text of this shape begins with.
    pub(super) fn prefix(&self, shape: u16) -> &[u8] {
        self.pieces(shape).next().map_or(&[], |(literal, _)| literal)
    }

    /// Where the needle can stand in a text of this shape.
    pub(super) fn places(&self, shape: u16, needle: &[u8]) -> Places {
        let (form, len) = self.form(shape);
        let mut places = Places::default();
        let mut digits_before = 0;
        for window in form.get(..len).unwrap_or(&[]).windows(needle.len().max(1)) {
            if let Some(digits) = digits_needed(window, needle, digits_before) {
                if digits.mask == 0 {
                    places.is_in_all = true;
                } else if digits.mask.count_ones() as usize == needle.len() * 4 {
                    places.within |= 1 << shift(digits_before);
                } else {
                    places.across.push(digits);
                }
            }
            digits_before += usize::from(window.first() == Some(&0));
        }
        places
    }

    /// Whether, and how, a text of this shape can end with the needle.
    pub(super) fn place_at_end(&self, shape: u16, needle: &[u8]) -> Places {
        let (form, len) = self.form(shape);
        let mut places = Places::default();
        let split = len.checked_sub(needle.len()).map(|at| form.split_at(at.min(form.len())));
        let Some((before, window)) = split else { return places };
        let digits_before = before.iter().filter(|byte| **byte == 0).count();
        match digits_needed(window, needle, digits_before) {
            None => {}
            Some(digits) if digits.mask == 0 => places.is_in_all = true,
            Some(digits) => places.across.push(digits),
        }
        places
    }

    /// Of each place of a text of this shape its literal, or 0 for a digit; and how many there are.
    fn form(&self, shape: u16) -> ([u8; LONGEST], usize) {
        let mut form = [0; LONGEST];
        let mut len = 0;
        for (literal, digits) in self.pieces(shape) {
            if let Some(place) = form.get_mut(len..len + literal.len()) {
                place.copy_from_slice(literal);
            }
            len += literal.len() + digits;
        }
        (form, len)
    }

    /// Whether a literal of the shape contains the needle.
    pub(super) fn has_literal(&self, shape: u16, needle: &Finder<'_>) -> bool {
        self.pieces(shape).any(|(literal, _)| needle.find(literal).is_some())
    }

    /// What the digits of a text of this shape must be so that the needle is at one of the places.
    /// Nothing if there are too many to tell.
    pub(super) fn needed(&self, shape: u16, needle: &str, places: &Places) -> Option<Needed> {
        let width = self.width(shape);
        let needle = if places.within == 0 { "" } else { needle };
        let needle = needle.bytes().map(|byte| digit(byte).unwrap_or(0));
        let Places { within, across, .. } = places;
        if width > WIDEST / 2 {
            return None;
        }
        Some(if width > 8 {
            Needed::Wide(InWord {
                needle: needle.map(|digit| u128::from(digit) * (u128::MAX / 15)).collect(),
                within: *within,
                across: across.iter().map(|it| (it.mask, it.value)).collect(),
            })
        } else {
            Needed::Narrow(InWord {
                needle: needle.map(|digit| u64::from(digit) * (u64::MAX / 15)).collect(),
                within: high(*within),
                across: across.iter().map(|it| (high(it.mask), high(it.value))).collect(),
            })
        })
    }

    fn pieces(&self, shape: u16) -> impl Iterator<Item = (&[u8], usize)> {
        let shape = self.shapes.get(usize::from(shape)).copied();
        let shape = shape.unwrap_or(Shape { at: 0, pieces: 0, digits: 0 });
        let from = self.bytes.get(shape.at as usize..).unwrap_or(&[]);
        let (lengths, mut literals) =
            from.split_at_checked(usize::from(shape.pieces) * 2).unwrap_or((&[], &[]));
        lengths.chunks_exact(2).map(move |two| {
            let [literal, digits] = two.try_into().unwrap_or([0, 0]).map(usize::from);
            let (these, rest) = literals.split_at_checked(literal).unwrap_or((&[], &[]));
            literals = rest;
            (these, digits)
        })
    }
}

/// The digits that the needle needs to stand in this window of a form, if it can.
fn digits_needed(window: &[u8], needle: &[u8], digits_before: usize) -> Option<Digits> {
    let (mut mask, mut value) = (0_u128, 0_u128);
    let mut at = digits_before;
    for (form, wanted) in window.iter().zip(needle) {
        if *form != 0 {
            if form != wanted {
                return None;
            }
            continue;
        }
        let digit = digit(*wanted)?;
        // Beyond what is compared in one step the mask only says that there is one.
        mask |= 15 << shift(at);
        value |= u128::from(digit) << shift(at);
        at += 1;
    }
    Some(Digits { mask, value })
}

impl Places {
    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        !self.is_in_all && !self.depend_on_digits()
    }

    pub(super) fn depend_on_digits(&self) -> bool {
        self.within != 0 || !self.across.is_empty()
    }
}

impl Needed {
    /// Calls with the number of each text that has what is needed; the digits of the texts stand
    /// one behind the other and take so many bytes each.
    pub(super) fn find(&self, texts: &[u8], width: usize, mut hit: impl FnMut(usize)) {
        let texts = texts.chunks_exact(width.max(1)).enumerate();
        match self {
            Needed::Narrow(needed) if width == 8 => {
                for (n, digits) in texts {
                    if needed.is_in(u64::from_be_bytes(digits.try_into().unwrap_or_default())) {
                        hit(n);
                    }
                }
            }
            Needed::Narrow(needed) => {
                for (n, digits) in texts {
                    if needed.is_in(u64::from_be_bytes(padded(digits))) {
                        hit(n);
                    }
                }
            }
            Needed::Wide(needed) => {
                for (n, digits) in texts {
                    if needed.is_in(u128::from_be_bytes(padded(digits))) {
                        hit(n);
                    }
                }
            }
        }
    }
}

impl<W: Word> InWord<W> {
    #[inline]
    fn is_in(&self, digits: W) -> bool {
        // A digit of this is 0 where the digits that begin there are those of the needle.
        let mut differs = W::default();
        let mut shifted = digits;
        for digit in &self.needle {
            differs = differs | (shifted ^ *digit);
            shifted = shifted << 4;
        }
        // The lowest bit of each digit becomes 1 unless the digit is 0.
        let differs = differs | (differs >> 1);
        let differs = differs | (differs >> 2);
        !differs & self.within != W::default()
            || self.across.iter().any(|(mask, value)| digits & *mask == *value)
    }
}

/// What is needed of a number of so many bits.
pub(super) trait Word:
    Copy
    + Default
    + PartialEq
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + BitXor<Output = Self>
    + Not<Output = Self>
    + Shl<u32, Output = Self>
    + Shr<u32, Output = Self>
{
}

impl Word for u64 {}
impl Word for u128 {}

fn padded<const N: usize>(digits: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.iter_mut().zip(digits).for_each(|(byte, digits)| *byte = *digits);
    bytes
}

/// The upper half.
fn high(bits: u128) -> u64 {
    u64::try_from(bits >> 64).unwrap_or(0)
}

/// How far the digit of this place stands from the end of a word.
fn shift(digit: usize) -> usize {
    4 * (WIDEST - 1).saturating_sub(digit)
}

/// The form of a text: the text with 0 in place of each digit.
///
/// Digits are decimal, or lower-case hexadecimal where at least one is decimal. Letters at either
/// end that are part of a word are not taken for digits: the `e` of `volume12` is a letter.
#[derive(Debug, Default)]
pub(super) struct Form {
    pub(super) bytes: Vec<u8>,
    /// Where the digits are.
    numbers: Vec<Range<usize>>,
}

impl Form {
    /// Becomes the form of the text. False if the text has no digits, or is not to have a form.
    pub(super) fn become_of(&mut self, text: &[u8]) -> bool {
        self.bytes.clear();
        self.numbers.clear();
        if text.len() > LONGEST {
            return false;
        }
        let mut at = 0;
        while let Some(rest) = text.get(at..)
            && let Some(found) = rest.iter().position(u8::is_ascii_digit)
        {
            let number = number(text, at, at + found);
            at = number.end;
            self.numbers.push(number);
        }
        // A 0 of its own could not be told from a digit.
        if self.numbers.is_empty() || text.iter().fold(false, |any, byte| any | (*byte == 0)) {
            return false;
        }
        self.bytes.extend_from_slice(text);
        for number in &self.numbers {
            self.bytes.get_mut(number.clone()).unwrap_or(&mut []).fill(0);
        }
        true
    }

    /// Whether the text has this form, or can be taken to have it.
    pub(super) fn fits(&self, text: &[u8]) -> bool {
        // Bytes are not tested one after the other but all, many in one step.
        let is_hex = |byte: u8| (byte.wrapping_sub(b'0') < 10) | (byte.wrapping_sub(b'a') < 6);
        let is_wrong =
            |form: u8, byte: u8| ((form != 0) & (form != byte)) | ((form == 0) & !is_hex(byte));
        let pairs = self.bytes.iter().zip(text);
        self.bytes.len() == text.len()
            && pairs.fold(0, |wrong, (form, byte)| wrong | u8::from(is_wrong(*form, *byte))) == 0
    }

    /// Adds the digits of a text that fits, four bits each.
    pub(super) fn take_digits(&self, text: &[u8], into: &mut Vec<u8>) {
        let mut digits = [0; LONGEST + 1];
        let mut count = 0;
        for number in &self.numbers {
            let from = text.get(number.clone()).unwrap_or(&[]);
            if let Some(place) = digits.get_mut(count..count + from.len()) {
                place.copy_from_slice(from);
            }
            count += from.len();
        }
        // What follows the last one is 0, and so is a digit made of that.
        let digit = |byte: u8| (byte & 15) + (byte >> 6) * 9;
        let (pairs, _) = digits.as_chunks();
        into.extend(pairs.iter().take(packed(count)).map(|[a, b]| digit(*a) << 4 | digit(*b)));
    }
}

/// The number around this decimal digit, which is the first one at or after `from`.
fn number(text: &[u8], from: usize, digit_at: usize) -> Range<usize> {
    let is_digit = |byte: &&u8| digit(**byte).is_some();
    let (before, after) = text.split_at_checked(digit_at).unwrap_or((text, &[]));
    let lead = before.get(from..).unwrap_or(&[]).iter().rev().take_while(is_digit).count();
    let is_in_word = before.iter().nth_back(lead).is_some_and(u8::is_ascii_alphabetic);
    let start = if is_in_word { digit_at } else { digit_at - lead };

    let mut len = after.iter().take_while(is_digit).count();
    if after.get(len).is_some_and(u8::is_ascii_alphabetic) {
        let run = after.get(..len).unwrap_or(&[]);
        len = run.iter().rposition(u8::is_ascii_digit).map_or(len, |last| last + 1);
    }
    start..digit_at + len
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

fn hex(digit: u8) -> u8 {
    HEX.get(usize::from(digit)).copied().unwrap_or(0)
}

/// Bytes that so many digits take.
fn packed(digits: usize) -> usize {
    digits.div_ceil(2)
}

/// A length of at most [`LONGEST`].
fn low_byte(len: usize) -> u8 {
    u8::try_from(len).unwrap_or(u8::MAX)
}
