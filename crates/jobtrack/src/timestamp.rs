//! Instants: microseconds UTC, and their one text form.

use std::fmt;
use std::num::NonZeroI64;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

use crate::error::{Error, ErrorKind, Result, quoted};

const MICROS_PER_SECOND: i64 = 1_000_000;

const MIN_MICROS: i64 = -62_135_596_800 * MICROS_PER_SECOND;
const MAX_MICROS: i64 = 253_402_300_800 * MICROS_PER_SECOND - 1;

/// From where on they are kept: before the first of all, so that none is kept as zero and one that may be
/// missing takes no more room.
const ORIGIN: i64 = MIN_MICROS - 1;

/// An instant: microseconds since 1970-01-01T00:00:00Z, from the year 1 to the year 9999.
///
/// Shown as RFC 3339 in UTC, with six digits of fraction unless they are zero. Read back from that
/// and from everything that ONTAP's clients write: a space for the `T`, `Z`, `+01:00` or `+0100`,
/// no seconds, up to nine digits of fraction (kept to microseconds), no offset (which means UTC).
///
/// ```
/// use jobtrack::Timestamp;
///
/// let at: Timestamp = "2026-03-01T11:00:00.5+01:00".parse()?;
/// assert_eq!(at.to_string(), "2026-03-01T10:00:00.500000Z");
/// assert_eq!("2026-03-01 10:00Z".parse::<Timestamp>()?.to_string(), "2026-03-01T10:00:00Z");
/// # Ok::<(), jobtrack::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(NonZeroI64);

impl Timestamp {
    /// 0001-01-01T00:00:00Z.
    pub const MIN: Timestamp = Timestamp::of(MIN_MICROS);
    /// 9999-12-31T23:59:59.999999Z.
    pub const MAX: Timestamp = Timestamp::of(MAX_MICROS);

    /// The instant so many microseconds after 1970, if it is within the range.
    pub const fn from_micros(micros: i64) -> Option<Self> {
        if micros < MIN_MICROS || micros > MAX_MICROS { None } else { Some(Self::of(micros)) }
    }

    /// Microseconds since 1970-01-01T00:00:00Z; negative before.
    pub const fn as_micros(self) -> i64 {
        self.0.get() + ORIGIN
    }

    /// The instant of these microseconds, which are within the range.
    const fn of(micros: i64) -> Self {
        match NonZeroI64::new(micros - ORIGIN) {
            Some(number) => Timestamp(number),
            // Within the range nothing is zero.
            None => Timestamp(NonZeroI64::MIN),
        }
    }

    /// The instant so much later; [`Timestamp::MAX`] where that would lie beyond it.
    #[must_use]
    pub fn saturating_add(self, span: Duration) -> Self {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Timestamp::of(self.as_micros().saturating_add(micros).min(MAX_MICROS))
    }

    /// How much later this instant is than `earlier`; zero if it is not.
    pub fn saturating_since(self, earlier: Timestamp) -> Duration {
        let micros = self.as_micros().saturating_sub(earlier.as_micros()).max(0);
        Duration::from_micros(micros.unsigned_abs())
    }

    /// The start of the second that holds this instant.
    #[must_use]
    pub fn floor_to_second(self) -> Self {
        // MIN is a whole second, so the floor of anything in range is in range.
        Timestamp::of(self.as_micros().div_euclid(MICROS_PER_SECOND) * MICROS_PER_SECOND)
    }

    /// The last microsecond of the second that holds this instant.
    #[must_use]
    pub fn end_of_second(self) -> Self {
        Timestamp::of(self.floor_to_second().as_micros() + (MICROS_PER_SECOND - 1))
    }

    /// Reads a time and says whether it was written with a fraction.
    ///
    /// # Errors
    ///
    /// `InvalidValue`, naming the position, when the text is no time or lies outside the years 1 to
    /// 9999.
    pub fn parse(text: &str) -> Result<ParsedTime> {
        Parser { text, bytes: text.as_bytes(), at: 0 }.time()
    }
}

/// A time as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParsedTime {
    /// The instant.
    pub at: Timestamp,
    /// Whether a fraction was written. A time without one stands for its whole second in filters.
    pub has_fraction: bool,
}

impl FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Timestamp::parse(text).map(|parsed| parsed.at)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Written::of(*self).ok_or(fmt::Error)?.as_str())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match Written::of(*self) {
            Some(written) => serializer.serialize_str(written.as_str()),
            None => Err(serde::ser::Error::custom("a time beyond the year 9999")),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The text form, digit by digit: a page of jobs has hundreds of times, for which the machinery of
/// `format!` takes longer than for all else in it.
struct Written {
    text: [u8; Written::LONGEST.len()],
    len: usize,
}

impl Written {
    const LONGEST: &str = "9999-12-31T23:59:59.999999Z";

    /// None never happens: the range of a timestamp lies within that of `OffsetDateTime`.
    fn of(at: Timestamp) -> Option<Written> {
        let seconds = at.as_micros().div_euclid(MICROS_PER_SECOND);
        let micros = u32::try_from(at.as_micros().rem_euclid(MICROS_PER_SECOND)).ok()?;
        let time = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
        let (year, month, day) = time.to_calendar_date();
        let (hour, minute, second) = time.to_hms();
        let mut written = Written { text: [0; Written::LONGEST.len()], len: 0 };
        written.number(u32::try_from(year).ok()?, 4);
        for (before, number) in
            [(b'-', u8::from(month)), (b'-', day), (b'T', hour), (b':', minute), (b':', second)]
        {
            written.byte(before);
            written.number(number.into(), 2);
        }
        if micros != 0 {
            written.byte(b'.');
            written.number(micros, 6);
        }
        written.byte(b'Z');
        Some(written)
    }

    fn byte(&mut self, byte: u8) {
        if let Some(place) = self.text.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }

    /// So many digits, with zeros in front.
    fn number(&mut self, mut number: u32, digits: usize) {
        let end = self.len + digits;
        for place in self.text.get_mut(self.len..end).into_iter().flatten().rev() {
            // A remainder by ten is one digit.
            *place = b'0' + u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
        }
        self.len = end;
    }

    fn as_str(&self) -> &str {
        // It is all ASCII, and within what the longest text has room for.
        self.text.get(..self.len).and_then(|text| str::from_utf8(text).ok()).unwrap_or_default()
    }
}

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn time(mut self) -> Result<ParsedTime> {
        let year = self.digits(4, "a year of four digits")?;
        self.literal(b"-", "\"-\"")?;
        let month = self.digits(2, "a month of two digits")?;
        self.literal(b"-", "\"-\"")?;
        let day = self.digits(2, "a day of two digits")?;
        self.literal(b"Tt ", "\"T\" and a time of day")?;
        let hour = self.digits(2, "an hour of two digits")?;
        self.literal(b":", "\":\"")?;
        let minute = self.digits(2, "a minute of two digits")?;
        let second = if self.eat(b":") { self.digits(2, "a second of two digits")? } else { 0 };
        let fraction = if self.eat(b".") { Some(self.fraction()?) } else { None };
        let offset = self.offset()?;
        if self.at < self.bytes.len() {
            return Err(self.expected("the end of the time"));
        }
        if year == 0 {
            return Err(self.invalid("the year must be 0001 to 9999"));
        }
        let time = self.instant(year, month, day, hour, minute, second, offset);
        match time.and_then(|seconds| seconds.checked_mul(MICROS_PER_SECOND)) {
            None => Err(self.invalid("no such day or time of day")),
            Some(whole) => match Timestamp::from_micros(whole + fraction.unwrap_or(0)) {
                None => Err(self.invalid("the year must be 0001 to 9999 in UTC")),
                Some(at) => Ok(ParsedTime { at, has_fraction: fraction.is_some() }),
            },
        }
    }

    #[allow(clippy::too_many_arguments)] // Seven parts of one time, used here alone.
    fn instant(
        &self,
        year: i64,
        month: i64,
        day: i64,
        hour: i64,
        minute: i64,
        second: i64,
        offset: i64,
    ) -> Option<i64> {
        let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
        let date =
            Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?)
                .ok()?;
        let small = |n: i64| u8::try_from(n).ok();
        let time = Time::from_hms(small(hour)?, small(minute)?, small(second)?).ok()?;
        Some(date.with_time(time).assume_offset(UtcOffset::UTC).unix_timestamp() - offset)
    }

    /// Up to nine digits; what is finer than a microsecond is dropped.
    fn fraction(&mut self) -> Result<i64> {
        let start = self.at;
        let mut micros = 0;
        while let Some(digit) = self.digit() {
            if self.at - start < 6 {
                micros = micros * 10 + digit;
            }
            self.at += 1;
        }
        let digits = self.at - start;
        if digits == 0 || digits > 9 {
            return Err(self.expected("a fraction of one to nine digits"));
        }
        for _ in digits..6 {
            micros *= 10;
        }
        Ok(micros)
    }

    /// Seconds east of UTC; none written means UTC.
    fn offset(&mut self) -> Result<i64> {
        let sign = match self.bytes.get(self.at) {
            None => return Ok(0),
            Some(b'Z' | b'z') => {
                self.at += 1;
                return Ok(0);
            }
            Some(b'+') => 1,
            Some(b'-') => -1,
            Some(b' ') => {
                return Err(self.expected("\"Z\" or an offset (\"+\" is written %2B in a URL)"));
            }
            Some(_) => return Err(self.expected("\"Z\" or an offset such as \"+01:00\"")),
        };
        self.at += 1;
        let hours = self.digits(2, "an offset of two digits of hours")?;
        self.eat(b":");
        let minutes = self.digits(2, "an offset with two digits of minutes")?;
        if hours > 23 || minutes > 59 {
            return Err(self.invalid("the offset must be within ±23:59"));
        }
        Ok(sign * (hours * 3_600 + minutes * 60))
    }

    fn digits(&mut self, count: usize, what: &str) -> Result<i64> {
        let mut value = 0;
        for _ in 0..count {
            let Some(digit) = self.digit() else {
                return Err(self.expected(what));
            };
            value = value * 10 + digit;
            self.at += 1;
        }
        Ok(value)
    }

    fn digit(&self) -> Option<i64> {
        match self.bytes.get(self.at) {
            Some(byte @ b'0'..=b'9') => Some(i64::from(byte - b'0')),
            _ => None,
        }
    }

    fn literal(&mut self, any_of: &[u8], what: &str) -> Result<()> {
        if self.eat(any_of) { Ok(()) } else { Err(self.expected(what)) }
    }

    fn eat(&mut self, any_of: &[u8]) -> bool {
        let hit = self.bytes.get(self.at).is_some_and(|byte| any_of.contains(byte));
        if hit {
            self.at += 1;
        }
        hit
    }

    fn expected(&self, what: &str) -> Error {
        self.invalid(&format!("expected {what}")).with_position(self.at)
    }

    fn invalid(&self, why: &str) -> Error {
        Error::new(
            ErrorKind::InvalidValue,
            format!("{} is no time: {why}; write it as 2026-03-01T10:00:00Z", quoted(self.text)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn every_form_the_clients_write_is_read() {
        let at = parse("2026-03-01T10:00:00Z");
        for text in [
            "2026-03-01T10:00:00+00:00",
            "2026-03-01 10:00:00+00:00",
            "2026-03-01t06:00:00-0400",
            "2026-03-01T10:00Z",
            "2026-03-01T10:00:00",
            "2026-03-01T10:00:00.000000000z",
            "2026-03-01T11:30:00+01:30",
        ] {
            assert_eq!(parse(text), at, "{text}");
        }
        assert_eq!(parse("2026-03-01T10:00:00.123456789Z").as_micros() % 1_000_000, 123_456);
        assert_eq!(parse("2026-03-01T10:00:00.5Z").as_micros() % 1_000_000, 500_000);
    }

    #[test]
    fn the_whole_range_is_shown_and_read_back() {
        for at in
            [Timestamp::MIN, Timestamp::MAX, Timestamp::of(0), Timestamp::of(-1), Timestamp::of(1)]
        {
            assert_eq!(parse(&at.to_string()), at);
        }
        assert_eq!(Timestamp::MIN.to_string(), "0001-01-01T00:00:00Z");
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999999Z");
        assert_eq!(Timestamp::from_micros(i64::MAX), None);
    }

    #[test]
    fn it_is_written_as_format_would_write_it() {
        let step = (MAX_MICROS - MIN_MICROS) / 9_973;
        for n in 0..=9_973 {
            let at = Timestamp::of(MIN_MICROS + n * step);
            for at in [at, at.floor_to_second()] {
                let time =
                    OffsetDateTime::from_unix_timestamp(at.as_micros().div_euclid(1_000_000))
                        .unwrap();
                let micros = at.as_micros().rem_euclid(1_000_000);
                let fraction = if micros == 0 { String::new() } else { format!(".{micros:06}") };
                let expected = format!(
                    "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{fraction}Z",
                    time.year(),
                    u8::from(time.month()),
                    time.day(),
                    time.hour(),
                    time.minute(),
                    time.second()
                );
                assert_eq!(at.to_string(), expected);
                assert_eq!(serde_json::to_string(&at).unwrap(), format!("\"{expected}\""));
            }
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_its_position() {
        for (text, position) in [
            ("", Some(0)),
            ("300000-01-01T00:00:00Z", Some(4)),
            ("2026-3-01T00:00:00Z", Some(6)),
            ("2026-03-01", Some(10)),
            ("2026-03-01T10:00:00 01:00", Some(19)),
            ("2026-03-01T10:00:00.Z", Some(20)),
            ("2026-03-01T10:00:00ZZ", Some(20)),
            ("0000-03-01T10:00:00Z", None),
            ("2026-02-30T10:00:00Z", None),
            ("2026-02-01T24:00:00Z", None),
            ("2026-02-01T10:00:60Z", None),
            ("0001-01-01T00:00:00+01:00", None),
            ("9999-12-31T23:59:59-01:00", None),
        ] {
            let error = text.parse::<Timestamp>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidValue, "{text}");
            assert_eq!(error.position(), position, "{text}: {error}");
        }
    }

    #[test]
    fn seconds_are_found_before_1970_too() {
        let at = Timestamp::of(-1);
        assert_eq!(at.floor_to_second().as_micros(), -1_000_000);
        assert_eq!(at.end_of_second(), at);
        assert_eq!(Timestamp::MAX.end_of_second(), Timestamp::MAX);
    }
}
