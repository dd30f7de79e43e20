//! The query of a URL: names and values in the order in which they were written.

use std::num::IntErrorKind;

use jobtrack::{ErrorKind, quoted};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::errors::Fault;

/// All but RFC 3986's unreserved characters. Clients decode and encode again what stands in a link,
/// some of them with `+` for a space, so nothing that has a meaning to anyone is left as it is.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The parameters of a request, each name once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Params {
    pairs: Vec<(String, String)>,
}

impl Params {
    /// Splits the raw query at `&` and the first `=`, and decodes after that, so that a value may
    /// hold both.
    pub(crate) fn parse(raw: Option<&str>) -> Result<Params, Fault> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in raw.unwrap_or("").split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let name = decode(name).map_err(|fault| fault.on("parameter name"))?;
            let value = decode(value).map_err(|fault| fault.on_value(&name, value))?;
            if pairs.iter().any(|(other, _)| *other == name) {
                let message = format!("{} is given twice", quoted(&name));
                return Err(Fault::engine(ErrorKind::Duplicate, message).on(&name));
            }
            pairs.push((name, value));
        }
        Ok(Params { pairs })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// Refuses every parameter that is not among these.
    pub(crate) fn only(&self, names: &[&str]) -> Result<(), Fault> {
        match self.iter().find(|(name, _)| !names.contains(name)) {
            None => Ok(()),
            Some((name, _)) => Err(Fault::unexpected_parameter(name)),
        }
    }

    /// The Boolean under this name, in any letter case.
    pub(crate) fn boolean(&self, name: &str, default: bool) -> Result<bool, Fault> {
        match self.given(name)? {
            None => Ok(default),
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(true),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
            Some(value) => Err(invalid(name, value, "true or false")),
        }
    }

    /// The whole number under this name, within the bounds.
    pub(crate) fn integer(&self, name: &str, least: u64, most: u64) -> Result<Option<u64>, Fault> {
        let Some(value) = self.given(name)? else { return Ok(None) };
        // `u64::from_str` takes a sign; a number of things has none.
        let digits = value.bytes().all(|byte| byte.is_ascii_digit());
        let parsed = value.parse::<u64>();
        let is_beyond =
            |error: &std::num::ParseIntError| *error.kind() == IntErrorKind::PosOverflow;
        if digits && parsed.as_ref().is_err_and(is_beyond) {
            let message = format!("{} is too large; {most} is the most", quoted(value));
            return Err(Fault::engine(ErrorKind::InvalidValue, message).on_value(name, value));
        }
        match parsed.ok().filter(|n| digits && (least..=most).contains(n)) {
            Some(number) => Ok(Some(number)),
            None if most == u64::MAX => {
                Err(invalid(name, value, &format!("a whole number, {least} or more")))
            }
            None => Err(invalid(name, value, &format!("a whole number from {least} to {most}"))),
        }
    }

    /// The value under this name, which must not be empty.
    pub(crate) fn given(&self, name: &str) -> Result<Option<&str>, Fault> {
        match self.get(name) {
            Some("") => {
                Err(Fault::engine(ErrorKind::MissingValue, "the parameter has no value").on(name))
            }
            value => Ok(value),
        }
    }

    /// The same parameters, less this one.
    pub(crate) fn without(&self, name: &str) -> Params {
        let pairs = self.pairs.iter().filter(|(other, _)| other != name).cloned().collect();
        Params { pairs }
    }

    /// The path with these parameters, after another one in front of them.
    pub(crate) fn link(&self, path: &str, first: (&str, &str)) -> String {
        let mut link = format!("{path}?{}={}", encode(first.0), encode(first.1));
        for (name, value) in self.iter().filter(|(name, _)| *name != first.0) {
            link.push_str(&format!("&{}={}", encode(name), encode(value)));
        }
        link
    }

    /// The path with these parameters.
    pub(crate) fn self_link(&self, path: &str) -> String {
        let mut link = path.to_owned();
        for (index, (name, value)) in self.iter().enumerate() {
            let mark = if index == 0 { '?' } else { '&' };
            link.push_str(&format!("{mark}{}={}", encode(name), encode(value)));
        }
        link
    }
}

/// The refusal of a parameter's value.
pub(crate) fn invalid(name: &str, value: &str, right: &str) -> Fault {
    let message = format!("{} is not {right}", quoted(value));
    Fault::engine(ErrorKind::InvalidValue, message).on_value(name, value)
}

/// Decodes a part of a URL strictly: a stray `%`, bytes that are not UTF-8, and NUL are refused.
pub(crate) fn decode(raw: &str) -> Result<String, Fault> {
    let fault = |message: &str, at: usize| {
        Fault::engine(ErrorKind::InvalidValue, message.to_owned()).at(at)
    };
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes().enumerate();
    while let Some((at, byte)) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|(_, byte)| (byte as char).to_digit(16));
                match (digit(), digit()) {
                    // Two digits of four bits each fit a byte.
                    (Some(high), Some(low)) => u8::try_from(high * 16 + low).unwrap_or(0),
                    _ => return Err(fault("a \"%\" must be followed by two hex digits", at)),
                }
            }
            byte => byte,
        });
    }
    match String::from_utf8(bytes) {
        Err(error) => Err(fault("the decoded text is not UTF-8", error.utf8_error().valid_up_to())),
        Ok(text) => match text.bytes().position(|byte| byte == 0) {
            Some(at) => Err(fault("the decoded text holds a NUL character", at)),
            None => Ok(text),
        },
    }
}

fn encode(text: &str) -> impl std::fmt::Display {
    utf8_percent_encode(text, RESERVED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(raw: &str) -> Vec<(String, String)> {
        Params::parse(Some(raw)).unwrap().pairs
    }

    #[test]
    fn the_query_is_split_before_it_is_decoded() {
        let found = pairs("code=%3E=5&description=a%26b%3Dc+d&&state");
        let expected = [("code", ">=5"), ("description", "a&b=c d"), ("state", "")];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_name_is_given_once_however_it_is_spelled() {
        let fault = Params::parse(Some("state=a&st%61te=b")).unwrap_err();
        assert!(fault.is(ErrorKind::Duplicate));
    }

    #[test]
    fn what_is_not_text_is_refused_with_its_place() {
        for (raw, at) in [("a%", 1), ("a%4", 1), ("%zz", 0), ("ab%ff", 2), ("a%00", 1), ("%+1", 0)]
        {
            let fault = decode(raw).unwrap_err();
            assert!(fault.line().ends_with(&format!("(at byte {at})")), "{raw}: {}", fault.line());
        }
    }

    #[test]
    fn numbers_have_no_signs_and_keep_their_bounds() {
        let params =
            Params::parse(Some("a=7&b=%2B7&c=-1&d=99999999999999999999&e=121&f=")).unwrap();
        assert_eq!(params.integer("a", 0, 120).unwrap(), Some(7));
        assert_eq!(params.integer("none", 0, 120).unwrap(), None);
        for name in ["b", "c", "d", "e", "f"] {
            assert!(params.integer(name, 0, 120).is_err(), "{name}");
        }
    }

    #[test]
    fn a_link_survives_being_decoded_and_encoded_again() {
        let params =
            Params::parse(Some("start.token=old&description=a*+%2B%7C&fields=**")).unwrap();
        let link = params.link("/api/cluster/jobs", ("start.token", "n+w"));
        assert_eq!(
            link,
            "/api/cluster/jobs?start.token=n%2Bw&description=a%2A%20%2B%7C&fields=%2A%2A"
        );
        let again = Params::parse(link.split_once('?').map(|(_, query)| query)).unwrap();
        assert_eq!(again.get("description"), Some("a* +|"));
    }
}
