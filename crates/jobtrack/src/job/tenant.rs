//! Whose jobs a caller is confined to.

use std::fmt;

use super::{Scope, Text};
use crate::error::{Error, ErrorKind, Result, quoted};

/// The scope that a caller is confined to, by its name, its id, or both: every job of another scope,
/// or of none, is for this caller as if it were not there. See [`Access`](crate::Access).
///
/// ```
/// use jobtrack::{Scope, Tenant};
///
/// let tenant = Tenant::named("vs1")?;
/// let scope = |name: &str| Scope { name: name.into(), id: "7".into() };
/// assert!(tenant.owns(Some(&scope("vs1"))));
/// assert!(!tenant.owns(Some(&scope("vs2"))));
/// assert!(!tenant.owns(None));
/// # Ok::<(), jobtrack::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tenant {
    /// What is empty here may be anything in a job; not both are.
    scope: Scope,
}

impl Tenant {
    /// The tenant of this scope, of which name or id may be left out, so that any will do.
    ///
    /// # Errors
    ///
    /// `MissingValue` where both are.
    pub fn new(scope: Scope) -> Result<Tenant> {
        if scope == Scope::default() {
            let message = "a scope has a name, an id, or both";
            return Err(Error::new(ErrorKind::MissingValue, message).with_field("scope"));
        }
        Ok(Tenant { scope })
    }

    /// The tenant of the scope of this name, whatever its id.
    ///
    /// # Errors
    ///
    /// `MissingValue` for no name.
    pub fn named(name: impl Into<Text>) -> Result<Tenant> {
        Tenant::new(Scope { name: name.into(), id: Text::new() })
    }

    /// The scope; what is empty in it may be anything.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Whether a job of this scope is one of the tenant's.
    pub fn owns(&self, scope: Option<&Scope>) -> bool {
        let fits = |mine: &str, other: &str| mine.is_empty() || mine == other;
        scope.is_some_and(|scope| {
            fits(&self.scope.name, &scope.name) && fits(&self.scope.id, &scope.id)
        })
    }

    /// The scope of a job that the tenant makes: theirs, filled up with what is given.
    ///
    /// # Errors
    ///
    /// `InvalidValue` for another's, whether or not there is any.
    pub(crate) fn scope_of_new(&self, given: Option<Scope>) -> Result<Scope> {
        let given = given.unwrap_or_default();
        let part = |name: &str, mine: &str, given: Text| match (mine, &*given) {
            ("", _) => Ok(given),
            (mine, "") => Ok(mine.into()),
            (mine, other) if mine == other => Ok(given),
            (mine, other) => {
                let message =
                    format!("{} is not yours; write {} or nothing", quoted(other), quoted(mine));
                Err(Error::new(ErrorKind::InvalidValue, message).with_field(name))
            }
        };
        Ok(Scope {
            name: part("scope.name", &self.scope.name, given.name)?,
            id: part("scope.id", &self.scope.id, given.id)?,
        })
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&*self.scope.name, &*self.scope.id) {
            (name, "") => f.write_str(name),
            ("", id) => write!(f, "id {id}"),
            (name, id) => write!(f, "{name} (id {id})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(name: &str, id: &str) -> Scope {
        Scope { name: name.into(), id: id.into() }
    }

    #[test]
    fn what_a_tenant_names_must_fit_and_the_rest_may_be_anything() {
        for (mine, fitting, others) in [
            (scope("a", ""), vec![scope("a", ""), scope("a", "1")], vec![scope("b", "1")]),
            (scope("", "1"), vec![scope("", "1"), scope("b", "1")], vec![scope("a", "")]),
            (scope("a", "1"), vec![scope("a", "1")], vec![scope("a", ""), scope("", "1")]),
        ] {
            let tenant = Tenant::new(mine).unwrap();
            for fitting in fitting {
                assert!(tenant.owns(Some(&fitting)), "{tenant}: {fitting:?}");
            }
            for other in others {
                assert!(!tenant.owns(Some(&other)), "{tenant}: {other:?}");
            }
            assert!(!tenant.owns(None) && !tenant.owns(Some(&Scope::default())));
        }
        assert!(Tenant::new(Scope::default()).is_err());
    }

    #[test]
    fn what_a_tenant_makes_is_theirs() {
        for mine in [scope("a", ""), scope("", "1"), scope("a", "1")] {
            let tenant = Tenant::new(mine).unwrap();
            for given in [None, Some(scope("", "")), Some(scope("a", "")), Some(scope("a", "1"))] {
                assert!(tenant.owns(Some(&tenant.scope_of_new(given).unwrap())), "{tenant}");
            }
            let error = tenant.scope_of_new(Some(scope("b", "2"))).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidValue);
        }
    }
}
