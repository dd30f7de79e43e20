//! What is asked of one field.

use std::cmp::Ordering;
use std::fmt;

use super::pattern::Pattern;
use super::value::{Value, ignores_case};
use crate::error::{Error, ErrorKind, Result};
use crate::field::{Field, ValueRef};
use crate::job::{Job, JobId, Scope};
use crate::limits::{FILTER_BYTES, check_text};

/// What is asked of one field.
///
/// ```
/// use jobtrack::{Expr, Field, Test};
///
/// let filter = Expr::test(Field::Code, Test::Within(5.into(), 9.into()))?;
/// assert_eq!(filter.to_string(), "code=5..9");
/// # Ok::<(), jobtrack::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// The field is unset.
    Null,
    /// Its value compares so with this one.
    Compare(Comparison, Value),
    /// Its value lies between these, both included.
    Within(Value, Value),
    /// Its text form matches.
    Like(Pattern),
}

/// How two values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// They are equal.
    Equal,
    /// The field's is less.
    Less,
    /// The field's is less or equal.
    AtMost,
    /// The field's is greater.
    Greater,
    /// The field's is greater or equal.
    AtLeast,
}

/// One test on one field, or its opposite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) field: Field,
    pub(super) is_negated: bool,
    pub(super) test: Test,
}

impl Term {
    pub(super) fn matches(&self, job: &Job) -> bool {
        let mut is_set = false;
        let passes = self.field.any(job, &mut |value| {
            is_set = true;
            self.test.passes(value)
        });
        self.verdict(is_set, passes)
    }

    /// Whether a job of this uuid and scope can match, whatever else is in it.
    pub(super) fn admits(&self, uuid: JobId, scope: Option<&Scope>) -> bool {
        let text = |text| Some(text).filter(|text: &&str| !text.is_empty()).map(ValueRef::Text);
        let value = match self.field {
            Field::Uuid => Some(ValueRef::Uuid(uuid)),
            Field::ScopeName => scope.and_then(|scope| text(&scope.name)),
            Field::ScopeId => scope.and_then(|scope| text(&scope.id)),
            _ => return true,
        };
        self.verdict(value.is_some(), value.is_some_and(|value| self.test.passes(value)))
    }

    /// Whether a job passes in which the field, no list, has this value or none.
    pub(super) fn holds(&self, value: Option<ValueRef<'_>>) -> bool {
        self.verdict(value.is_some(), value.is_some_and(|value| self.test.passes(value)))
    }

    fn verdict(&self, is_set: bool, passes: bool) -> bool {
        match self.test {
            Test::Null => is_set == self.is_negated,
            // Of a list, the opposite of "any element is x" is "none is".
            _ if self.is_negated => is_set && !passes,
            _ => passes,
        }
    }

    /// Whether a job passes in which the field has this value and no other.
    pub(super) fn passes(&self, value: ValueRef<'_>) -> bool {
        self.test.passes(value) != self.is_negated
    }

    /// Writes what stands behind the field's name and the equals sign.
    pub(super) fn write_value(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_negated { "!" } else { "" })?;
        match &self.test {
            Test::Null => f.write_str("null"),
            Test::Compare(how, value) => write!(f, "{}{value}", how.mark()),
            Test::Within(low, high) => write!(f, "{low}..{high}"),
            Test::Like(pattern) => write!(f, "{pattern}"),
        }
    }
}

impl Test {
    /// The test with its values as the field has them.
    pub(super) fn fitted(self, field: &Field) -> Result<Test> {
        Ok(match self {
            Test::Null => Test::Null,
            Test::Compare(how, value) => Test::Compare(how, value.fitted(field)?),
            Test::Within(low, high) => {
                let (low, high) = (low.fitted(field)?, high.fitted(field)?);
                if low.borrowed().order(&high.borrowed()) == Ordering::Greater {
                    return Err(inverted(&low, &high).with_field(field.to_string()));
                }
                Test::Within(low, high)
            }
            Test::Like(pattern) => {
                for literal in pattern.literals() {
                    check_text(&field.to_string(), literal, FILTER_BYTES)?;
                }
                let folds = ignores_case(field);
                Test::Like(if folds { pattern.to_ascii_lowercase() } else { pattern })
            }
        })
    }

    /// Whether a value passes; that it is set is all that `Null` would ask, so it fails that.
    pub(super) fn passes(&self, value: ValueRef<'_>) -> bool {
        match self {
            Test::Null => false,
            Test::Compare(how, other) => how.accepts(value.order(&other.borrowed())),
            Test::Within(low, high) => {
                value.order(&low.borrowed()).is_ge() && value.order(&high.borrowed()).is_le()
            }
            Test::Like(pattern) => pattern.matches_value(value),
        }
    }
}

impl Comparison {
    /// The mark that writes it before a value; none for equality.
    pub fn mark(self) -> &'static str {
        match self {
            Comparison::Equal => "",
            Comparison::Less => "<",
            Comparison::AtMost => "<=",
            Comparison::Greater => ">",
            Comparison::AtLeast => ">=",
        }
    }

    fn accepts(self, order: Ordering) -> bool {
        match self {
            Comparison::Equal => order.is_eq(),
            Comparison::Less => order.is_lt(),
            Comparison::AtMost => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::AtLeast => order.is_ge(),
        }
    }
}

/// The refusal of a range that nothing lies in.
pub(super) fn inverted(low: &Value, high: &Value) -> Error {
    Error::new(
        ErrorKind::Contradiction,
        format!("nothing lies between {low} and {high}; write the lower end first"),
    )
}
