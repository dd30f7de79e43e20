//! Places in an order: by value between segments, by code within one.

use std::cmp::Ordering;
use std::rc::Rc;

use super::order::{Direction, Order, OrderKey};
use super::token::PageToken;
use crate::field::{Field, ValueRef};
use crate::job::{Job, JobId};
use crate::table::{Code, Column, Key, Place, RowId, Segment, Values, key_of};

/// The keys that decide: a job's uuid is its own, so keys after it decide nothing, and ties go by
/// it anyway.
pub(super) fn deciding(order: &Order) -> &[OrderKey] {
    let keys = order.keys();
    let Some(uuid) = keys.iter().position(|key| key.field == Field::Uuid) else { return keys };
    let takes_uuid = keys.get(uuid).is_some_and(|key| key.direction == Direction::Descending);
    keys.get(..uuid + usize::from(takes_uuid)).unwrap_or(keys)
}

/// A sort key's value, comparable between segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeyValue {
    Unset,
    Number(Key),
    Text(Rc<str>),
}

impl KeyValue {
    pub(super) fn of(value: Option<ValueRef<'_>>) -> KeyValue {
        match value {
            None => KeyValue::Unset,
            Some(ValueRef::Text(text)) => KeyValue::Text(text.into()),
            Some(value) => key_of(&value).map_or(KeyValue::Unset, KeyValue::Number),
        }
    }

    /// The value of this code.
    pub(super) fn of_code(column: &Column, code: Code) -> KeyValue {
        let Some(index) = code.checked_sub(1).map(usize::from) else { return KeyValue::Unset };
        match column.values() {
            Values::None => KeyValue::Unset,
            Values::Numbers(numbers) => KeyValue::Number(numbers.get(index)),
            Values::Texts(texts) => {
                let mut text = String::new();
                texts.get(index, &mut text);
                KeyValue::Text(text.into())
            }
        }
    }

    /// The value that comes first in this column, in this direction.
    pub(super) fn first_of(column: Option<&Column>, direction: Direction) -> KeyValue {
        let Some(column) = column.filter(|column| column.set() > 0) else { return KeyValue::Unset };
        let code = match direction {
            Direction::Ascending => 1,
            Direction::Descending => Code::try_from(column.end_code() - 1).unwrap_or(Code::MAX),
        };
        KeyValue::of_code(column, code)
    }

    /// The value that comes last in this column, in this direction, of those that are set.
    pub(super) fn last_of(column: Option<&Column>, direction: Direction) -> KeyValue {
        KeyValue::first_of(column, direction.opposite())
    }

    /// Which comes first; what is unset comes last in both directions.
    pub(super) fn order(&self, other: &KeyValue, direction: Direction) -> Ordering {
        let plain = match (self, other) {
            (KeyValue::Unset, KeyValue::Unset) => return Ordering::Equal,
            (KeyValue::Unset, _) => return Ordering::Greater,
            (_, KeyValue::Unset) => return Ordering::Less,
            (KeyValue::Number(a), KeyValue::Number(b)) => a.cmp(b),
            (KeyValue::Text(a), KeyValue::Text(b)) => a.cmp(b),
            // A field has one type.
            (KeyValue::Number(_), KeyValue::Text(_)) => Ordering::Less,
            (KeyValue::Text(_), KeyValue::Number(_)) => Ordering::Greater,
        };
        directed(plain, direction)
    }

    /// How a job's value compares with this one.
    fn order_of(&self, value: Option<ValueRef<'_>>, direction: Direction) -> Ordering {
        let plain = match (value, self) {
            (None, KeyValue::Unset) => return Ordering::Equal,
            (None, _) => return Ordering::Greater,
            (Some(_), KeyValue::Unset) => return Ordering::Less,
            (Some(ValueRef::Text(a)), KeyValue::Text(b)) => a.cmp(b),
            (Some(value), KeyValue::Number(b)) => key_of(&value).cmp(&Some(*b)),
            // A field has one type.
            (Some(_), KeyValue::Text(_)) => Ordering::Less,
        };
        directed(plain, direction)
    }
}

fn directed(plain: Ordering, direction: Direction) -> Ordering {
    match direction {
        Direction::Ascending => plain,
        Direction::Descending => plain.reverse(),
    }
}

/// The values of an order's keys. Nearly all orders have at most two, which need no allocation.
#[derive(Debug, Clone)]
pub(super) struct KeyValues {
    first: [KeyValue; 2],
    more: Box<[KeyValue]>,
    len: usize,
}

impl KeyValues {
    pub(super) fn iter(&self) -> impl Iterator<Item = &KeyValue> {
        self.first.iter().chain(&self.more).take(self.len)
    }

    pub(super) fn first(&self) -> Option<&KeyValue> {
        self.iter().next()
    }
}

impl FromIterator<KeyValue> for KeyValues {
    fn from_iter<I: IntoIterator<Item = KeyValue>>(values: I) -> Self {
        let mut values = values.into_iter();
        let mut len = 0;
        let first = [(); 2].map(|()| {
            let value = values.next();
            len += usize::from(value.is_some());
            value.unwrap_or(KeyValue::Unset)
        });
        let more: Box<[KeyValue]> = values.collect();
        let len = len + more.len();
        KeyValues { first, more, len }
    }
}

/// A place in an order.
#[derive(Debug, Clone)]
pub(super) struct Position {
    pub(super) keys: KeyValues,
    pub(super) uuid: JobId,
}

impl Position {
    /// The place of this uuid in the order by uuid.
    pub(super) fn of_uuid(uuid: JobId) -> Position {
        Position { keys: KeyValues::from_iter([]), uuid }
    }

    /// The place that a token names.
    pub(super) fn of_token(token: &PageToken, keys: &[OrderKey]) -> Position {
        let value =
            |value: &Option<super::Value>| KeyValue::of(value.as_ref().map(super::Value::borrowed));
        let own = token.keys().iter().take(keys.len()).map(value).collect();
        Position { keys: own, uuid: token.uuid() }
    }

    pub(super) fn of_job(job: &Job, keys: &[OrderKey]) -> Position {
        let own = keys.iter().map(|key| KeyValue::of(key.field.value(job))).collect();
        Position { keys: own, uuid: job.uuid }
    }

    pub(super) fn order(&self, other: &Position, keys: &[OrderKey]) -> Ordering {
        for ((key, a), b) in keys.iter().zip(self.keys.iter()).zip(other.keys.iter()) {
            let order = a.order(b, key.direction);
            if order.is_ne() {
                return order;
            }
        }
        self.uuid.cmp(&other.uuid)
    }

    /// Whether a job comes before, at or after this place.
    pub(super) fn order_of(&self, job: &Job, keys: &[OrderKey]) -> Ordering {
        for (key, own) in keys.iter().zip(self.keys.iter()) {
            let order = own.order_of(key.field.value(job), key.direction);
            if order.is_ne() {
                return order;
            }
        }
        job.uuid.cmp(&self.uuid)
    }
}

/// A sort key within one segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct SegmentKey<'a> {
    /// None for a label that no row has.
    pub(super) column: Option<&'a Column>,
    pub(super) direction: Direction,
}

impl SegmentKey<'_> {
    pub(super) fn code(&self, row: RowId) -> Code {
        self.column.map_or(0, |column| column.code(row))
    }

    /// A number whose order is the order of the rows by this key.
    pub(super) fn rank(&self, row: RowId) -> u16 {
        let code = self.code(row);
        match self.direction {
            // Unset, which is 0, becomes the greatest; no column has 65,536 values.
            Direction::Ascending => code.wrapping_sub(1),
            Direction::Descending if code == 0 => u16::MAX,
            Direction::Descending => u16::MAX - code,
        }
    }
}

/// A place in an order, in the codes of one segment.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    keys: Vec<MarkKey>,
    /// How many rows have a lesser uuid.
    pub(super) row: u32,
    /// Whether the next row has just this uuid.
    is_there: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum MarkKey {
    Unset,
    At(Place),
}

impl Mark {
    pub(super) fn new(position: &Position, segment: &Segment, keys: &[SegmentKey<'_>]) -> Mark {
        let row = segment.rows_before(position.uuid);
        let at = RowId::try_from(row).ok().filter(|row| usize::from(*row) < segment.len());
        let is_there = at.is_some_and(|at| segment.uuid(at) == position.uuid);
        let place = |(key, value): (&SegmentKey<'_>, &KeyValue)| match value {
            KeyValue::Unset => MarkKey::Unset,
            value => MarkKey::At(place_of(key.column, value)),
        };
        Mark { keys: keys.iter().zip(position.keys.iter()).map(place).collect(), row, is_there }
    }

    pub(super) fn key(&self, depth: usize) -> Option<MarkKey> {
        self.keys.get(depth).copied()
    }

    /// The first row after it, if only the uuid decides.
    pub(super) fn row_after(&self) -> u32 {
        self.row + u32::from(self.is_there)
    }

    /// Whether the key's value is just that of rows with this code.
    pub(super) fn is_at(&self, depth: usize, code: Code) -> bool {
        match self.key(depth) {
            None => true,
            Some(MarkKey::Unset) => code == 0,
            Some(MarkKey::At(place)) => place.is_there && u32::from(code) == place.code,
        }
    }

    /// Whether a row comes before, at or after it, by the keys from this one on.
    pub(super) fn order_of(&self, row: RowId, keys: &[SegmentKey<'_>], from: usize) -> Ordering {
        for (key, own) in keys.iter().zip(&self.keys).skip(from) {
            let order = match (key.code(row), own) {
                (0, MarkKey::Unset) => Ordering::Equal,
                (0, MarkKey::At(_)) => Ordering::Greater,
                (_, MarkKey::Unset) => Ordering::Less,
                (code, MarkKey::At(place)) => {
                    let plain = match u32::from(code).cmp(&place.code) {
                        Ordering::Equal if !place.is_there => Ordering::Greater,
                        order => order,
                    };
                    directed(plain, key.direction)
                }
            };
            if order.is_ne() {
                return order;
            }
        }
        match u32::from(row).cmp(&self.row) {
            Ordering::Equal if !self.is_there => Ordering::Greater,
            order => order,
        }
    }
}

/// Where the value lies among the codes of a column.
pub(super) fn place_of(column: Option<&Column>, value: &KeyValue) -> Place {
    match (column, value) {
        (Some(column), KeyValue::Text(text)) => column.place(&ValueRef::Text(text)),
        (Some(column), KeyValue::Number(key)) => {
            let Values::Numbers(numbers) = column.values() else {
                return Place { code: 1, is_there: false };
            };
            let less = numbers.lower_bound(*key);
            let is_there = less < numbers.len() && numbers.get(less) == *key;
            Place { code: u32::try_from(less).unwrap_or(u32::MAX) + 1, is_there }
        }
        _ => Place { code: 1, is_there: false },
    }
}
