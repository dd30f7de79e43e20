//! Where the next page begins.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::value::Value;
use super::{Expr, Order};
use crate::error::{Error, ErrorKind, Result};
use crate::field::Field;
use crate::job::{Job, JobId, Revision};
use crate::timestamp::Timestamp;

/// The first byte of every token: the form that the rest has.
const VERSION: u8 = 1;

/// Where the next page begins: after a job with these sort keys and this uuid, whether it still
/// exists or not.
///
/// Its text is opaque and safe in a URL. It holds all that is needed, so it is valid after a
/// restart and on every server of one store, but only for the filter and the order that it was
/// made for.
///
/// ```
/// use jobtrack::{ErrorKind, PageToken};
///
/// let error = "no token".parse::<PageToken>().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidToken);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageToken {
    /// Of filter and order.
    query: u64,
    keys: Vec<Option<Value>>,
    uuid: JobId,
}

impl PageToken {
    /// The token that goes on after this job.
    pub(super) fn after(job: &Job, query: u64, order: &Order) -> Self {
        let keys = order.keys().iter().map(|key| key.field.value(job).map(Value::from)).collect();
        PageToken { query, keys, uuid: job.uuid }
    }

    /// The token that goes on after this uuid, of an order by uuid.
    pub(super) fn at(uuid: JobId, query: u64, order: &Order) -> Self {
        let key = |key: &super::OrderKey| match key.field {
            Field::Uuid => Some(Value::Uuid(uuid)),
            // Keys after the uuid decide nothing.
            _ => None,
        };
        PageToken { query, keys: order.keys().iter().map(key).collect(), uuid }
    }

    /// The token that goes on with this uuid, of an order by uuid.
    pub(super) fn before(uuid: JobId, query: u64, order: &Order) -> Self {
        let number = uuid.as_uuid().as_u128().saturating_sub(1);
        PageToken::at(JobId::from_uuid(uuid::Uuid::from_u128(number)), query, order)
    }

    /// Checks that the token belongs to this query and could have been made by it.
    pub(super) fn check(&self, query: u64, order: &Order) -> Result<()> {
        if self.query != query {
            return Err(invalid("the token belongs to a query with another filter or order"));
        }
        // The rest holds of every token that was made here; a forged one must not be trusted.
        let fits = self.keys.len() == order.keys().len()
            && self.keys.iter().zip(order.keys()).all(|(value, key)| match (value, &key.field) {
                // Otherwise it would name two places, and which of them depends on who reads it.
                (value, Field::Uuid) => *value == Some(Value::Uuid(self.uuid)),
                (None, _) => true,
                (Some(value), field) => value.clone().fitted(field).is_ok(),
            });
        if fits { Ok(()) } else { Err(damaged()) }
    }

    /// The sort keys of the job before.
    pub(super) fn keys(&self) -> &[Option<Value>] {
        &self.keys
    }

    /// The uuid of the job before.
    pub(super) fn uuid(&self) -> JobId {
        self.uuid
    }

    /// The token as a forger would make it: bound to another query.
    #[cfg(test)]
    pub(super) fn with_query_of(self, query: &super::Query) -> Self {
        PageToken { query: query_hash(&query.filter, &query.order), ..self }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(self.query.to_be_bytes());
        bytes.extend(self.uuid.as_bytes());
        for key in &self.keys {
            match key {
                None => bytes.push(0),
                Some(Value::Text(text)) => {
                    bytes.push(1);
                    // A usize is at most 64 bits wide on every platform there is.
                    bytes.extend(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
                    bytes.extend(text.as_bytes());
                }
                Some(Value::Integer(number)) => {
                    bytes.push(2);
                    bytes.extend(number.to_be_bytes());
                }
                Some(Value::Time(time)) => {
                    bytes.push(3);
                    bytes.extend(time.as_micros().to_be_bytes());
                }
                Some(Value::Span(span)) => {
                    bytes.push(4);
                    bytes.extend(span.as_secs().to_be_bytes());
                    bytes.extend(span.subsec_nanos().to_be_bytes());
                }
                Some(Value::Uuid(uuid)) => {
                    bytes.push(5);
                    bytes.extend(uuid.as_bytes());
                }
                Some(Value::Bool(value)) => bytes.extend([6, u8::from(*value)]),
                Some(Value::Revision(revision)) => {
                    bytes.push(7);
                    bytes.extend(revision.epoch.to_be_bytes());
                    bytes.extend(revision.number.to_be_bytes());
                }
            }
        }
        let check = checksum(&bytes);
        bytes.extend(check);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<PageToken> {
        let (body, check) = bytes.split_last_chunk::<4>()?;
        if checksum(body) != *check {
            return None;
        }
        let mut bytes = Bytes(body);
        if bytes.take::<1>()? != [VERSION] {
            return None;
        }
        let query = u64::from_be_bytes(bytes.take()?);
        let uuid = bytes.uuid()?;
        let mut keys = Vec::new();
        while !bytes.0.is_empty() {
            keys.push(bytes.key()?);
        }
        Some(PageToken { query, keys, uuid })
    }
}

impl fmt::Display for PageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.encode()))
    }
}

impl FromStr for PageToken {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| damaged())?;
        PageToken::decode(&bytes).ok_or_else(damaged)
    }
}

/// The number by which a token knows its query again: 64-bit FNV-1a, which is the same in every
/// release and on every machine, over the filter and the order as they are shown. The parts of the
/// filter are sorted first, since clients change the order of parameters. It guards against
/// mistakes, not against attacks: a forged token shows nothing that the query would not.
pub(super) fn query_hash(filter: &Expr, order: &Order) -> u64 {
    let mut hash = Fnv::default();
    hash.feed(filter.canonical().as_bytes());
    hash.feed(b"\n");
    hash.feed(order.to_string().as_bytes());
    hash.0
}

struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    let mut hash = Fnv::default();
    hash.feed(bytes);
    let [a, b, c, d, e, f, g, h] = hash.0.to_be_bytes();
    [a ^ e, b ^ f, c ^ g, d ^ h]
}

/// What is left of a token's bytes.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn uuid(&mut self) -> Option<JobId> {
        Some(JobId::from_uuid(uuid::Uuid::from_bytes(self.take()?)))
    }

    fn text(&mut self) -> Option<String> {
        let len = usize::try_from(u64::from_be_bytes(self.take()?)).ok()?;
        let (text, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }

    fn key(&mut self) -> Option<Option<Value>> {
        Some(Some(match self.take::<1>()? {
            [0] => return Some(None),
            [1] => Value::Text(self.text()?),
            [2] => Value::Integer(i128::from_be_bytes(self.take()?)),
            [3] => Value::Time(Timestamp::from_micros(i64::from_be_bytes(self.take()?))?),
            [4] => {
                let seconds = u64::from_be_bytes(self.take()?);
                let nanos = u32::from_be_bytes(self.take()?);
                // `Duration::new` carries whole seconds over, and panics if that overflows.
                Value::Span((nanos < 1_000_000_000).then(|| Duration::new(seconds, nanos))?)
            }
            [5] => Value::Uuid(self.uuid()?),
            [6] => match self.take::<1>()? {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                _ => return None,
            },
            [7] => Value::Revision(Revision {
                epoch: u64::from_be_bytes(self.take()?),
                number: u64::from_be_bytes(self.take()?),
            }),
            _ => return None,
        }))
    }
}

fn damaged() -> Error {
    invalid("the page token is damaged; begin again without one")
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidToken, message)
}
