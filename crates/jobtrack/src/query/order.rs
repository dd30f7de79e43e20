//! In which order: keys, directions, and what is unset.

use std::cmp::Ordering;
use std::fmt;

use super::value::Value;
use crate::error::{Error, ErrorKind, Result, quoted};
use crate::field::{Field, Names, ValueRef};
use crate::job::{Job, JobId};
use crate::limits::{FILTER_BYTES, ORDER_KEYS, check_count, check_text};

/// The parameter that errors name.
const PARAMETER: &str = "order_by";

/// Up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Direction {
    /// The least first.
    #[default]
    Ascending,
    /// The greatest first.
    Descending,
}

impl Direction {
    pub(super) fn opposite(self) -> Direction {
        match self {
            Direction::Ascending => Direction::Descending,
            Direction::Descending => Direction::Ascending,
        }
    }
}

/// One key of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderKey {
    /// By which field.
    pub field: Field,
    /// Up or down.
    pub direction: Direction,
}

/// In which order. Unset values come last in both directions, ties go by uuid.
///
/// ```
/// use jobtrack::{Direction, Field, Names, Order, OrderKey};
///
/// let order = Order::parse("state desc, description", Names::Native)?;
/// assert_eq!(order.keys()[0], OrderKey { field: Field::State, direction: Direction::Descending });
/// assert_eq!(order.to_string(), "state desc,description");
/// # Ok::<(), jobtrack::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    keys: Vec<OrderKey>,
}

impl Order {
    /// The order by these keys, the first of them first. Without any it is by uuid.
    ///
    /// # Errors
    ///
    /// `NotSortable` for a field of which a job may have several values, `Duplicate` for a field
    /// given twice, `LimitExceeded` for more than [`ORDER_KEYS`].
    pub fn new(keys: Vec<OrderKey>) -> Result<Order> {
        check_count(PARAMETER, keys.len(), ORDER_KEYS)?;
        for (n, key) in keys.iter().enumerate() {
            check_sortable(&key.field, &key.field.to_string())?;
            if keys.iter().take(n).any(|before| before.field == key.field) {
                return Err(twice(&key.field.to_string()));
            }
        }
        Ok(Order { keys })
    }

    /// The order by one field.
    ///
    /// # Errors
    ///
    /// As for [`new`](Order::new).
    pub fn by(field: Field, direction: Direction) -> Result<Order> {
        Order::new(vec![OrderKey { field, direction }])
    }

    /// Reads names with an optional `asc` or `desc`, separated by commas.
    ///
    /// # Errors
    ///
    /// As for [`new`](Order::new), with the position; `NotSortable` for an unknown name as well,
    /// `InvalidValue` for another direction, `MissingValue` where a name is missing.
    pub fn parse(text: &str, names: Names) -> Result<Order> {
        check_text(PARAMETER, text, FILTER_BYTES)?;
        let mut keys: Vec<OrderKey> = Vec::new();
        let mut at = 0;
        for part in text.split(',') {
            let start = at + (part.len() - part.trim_start().len());
            let key = read_key(part, names).map_err(|error| error.with_position(start))?;
            if keys.iter().any(|before| before.field == key.field) {
                return Err(twice(part.trim()).with_position(start));
            }
            keys.push(key);
            check_count(PARAMETER, keys.len(), ORDER_KEYS)?;
            at += part.len() + 1;
        }
        Ok(Order { keys })
    }

    /// The keys, the first of them first; none means by uuid.
    pub fn keys(&self) -> &[OrderKey] {
        &self.keys
    }

    /// Which of two jobs comes first. Two jobs with different uuids are never equal.
    pub fn compare(&self, a: &Job, b: &Job) -> Ordering {
        for key in &self.keys {
            let order = key.compare(key.field.value(a), key.field.value(b));
            if order.is_ne() {
                return order;
            }
        }
        a.uuid.cmp(&b.uuid)
    }

    /// Whether a job comes before, at or after the place that these values and this uuid mark.
    #[cfg_attr(not(test), allow(dead_code))] // The plain scan asks, as the judge that it is.
    pub(super) fn compare_to(&self, job: &Job, values: &[Option<Value>], uuid: JobId) -> Ordering {
        for (key, value) in self.keys.iter().zip(values) {
            let order = key.compare(key.field.value(job), value.as_ref().map(Value::borrowed));
            if order.is_ne() {
                return order;
            }
        }
        job.uuid.cmp(&uuid)
    }

    /// Whether it is the order in which the table keeps its rows. Keys after the uuid decide
    /// nothing.
    #[cfg_attr(not(test), allow(dead_code))] // The plain scan asks, as the judge that it is.
    pub(super) fn is_by_uuid(&self) -> bool {
        match self.keys.first() {
            None => true,
            Some(key) => key.field == Field::Uuid && key.direction == Direction::Ascending,
        }
    }
}

impl OrderKey {
    fn compare(&self, a: Option<ValueRef<'_>>, b: Option<ValueRef<'_>>) -> Ordering {
        match (a, b) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(a), Some(b)) => match self.direction {
                Direction::Ascending => a.order(&b),
                Direction::Descending => b.order(&a),
            },
        }
    }
}

impl fmt::Display for Order {
    /// The order as it is written, under native names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, key) in self.keys.iter().enumerate() {
            f.write_str(if n > 0 { "," } else { "" })?;
            key.field.fmt(f)?;
            f.write_str(match key.direction {
                Direction::Ascending => "",
                Direction::Descending => " desc",
            })?;
        }
        Ok(())
    }
}

fn read_key(text: &str, names: Names) -> Result<OrderKey> {
    let mut words = text.split_whitespace();
    let Some(name) = words.next() else {
        return Err(refusal(ErrorKind::MissingValue, "expected the name of a field".to_owned()));
    };
    let field =
        Field::parse(name, names).map_err(|_| not_sortable(name, "is no field of a job"))?;
    check_sortable(&field, name)?;
    let direction = match words.next() {
        None => Direction::Ascending,
        Some(word) if word.eq_ignore_ascii_case("asc") => Direction::Ascending,
        Some(word) if word.eq_ignore_ascii_case("desc") => Direction::Descending,
        Some(word) => return Err(no_direction(word)),
    };
    match words.next() {
        None => Ok(OrderKey { field, direction }),
        Some(word) => Err(refusal(
            ErrorKind::InvalidSyntax,
            format!("expected a comma or the end after the direction, found {}", quoted(word)),
        )),
    }
}

fn check_sortable(field: &Field, name: &str) -> Result<()> {
    if field.is_list() { Err(not_sortable(name, "may have several values")) } else { Ok(()) }
}

fn not_sortable(name: &str, why: &str) -> Error {
    refusal(ErrorKind::NotSortable, format!("jobs cannot be ordered by {}: it {why}", quoted(name)))
}

fn no_direction(word: &str) -> Error {
    refusal(ErrorKind::InvalidValue, format!("{} is neither asc nor desc", quoted(word)))
}

fn twice(name: &str) -> Error {
    refusal(ErrorKind::Duplicate, format!("the order names {} twice", quoted(name)))
}

fn refusal(kind: ErrorKind, message: String) -> Error {
    Error::new(kind, message).with_field(PARAMETER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_and_letter_case_are_forgiven_and_nothing_else() {
        let order = Order::parse(" state  DESC ,svm.name Asc", Names::Ontap).unwrap();
        assert_eq!(order.to_string(), "state desc,scope.name");
        for (text, kind, position) in [
            ("", ErrorKind::MissingValue, 0),
            ("state,", ErrorKind::MissingValue, 6),
            ("state, ,code", ErrorKind::MissingValue, 7),
            ("state sideways", ErrorKind::InvalidValue, 0),
            ("state desc asc", ErrorKind::InvalidSyntax, 0),
            ("code,nosuch", ErrorKind::NotSortable, 5),
            ("code, create_time", ErrorKind::NotSortable, 6),
            ("error.arguments.code", ErrorKind::NotSortable, 0),
            ("code,state,code desc", ErrorKind::Duplicate, 11),
        ] {
            let error = Order::parse(text, Names::Ontap).unwrap_err();
            assert_eq!((error.kind(), error.position()), (kind, Some(position)), "{text}: {error}");
            assert_eq!(error.field(), Some("order_by"));
        }
    }

    #[test]
    fn an_order_has_a_limited_number_of_keys() {
        let names: Vec<_> = (0..=ORDER_KEYS).map(|n| format!("labels.l{n}")).collect();
        assert!(Order::parse(&names[1..].join(","), Names::Native).is_ok());
        let error = Order::parse(&names.join(","), Names::Native).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    }

    #[test]
    fn only_the_rows_own_order_is_by_uuid() {
        let by_uuid = |text| Order::parse(text, Names::Native).unwrap().is_by_uuid();
        assert!(Order::default().is_by_uuid() && by_uuid("uuid") && by_uuid("uuid asc,state"));
        assert!(!by_uuid("uuid desc") && !by_uuid("state,uuid"));
    }
}
