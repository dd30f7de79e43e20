//! What a user may do, and how the file of users says so.

use std::fmt::Write;
use std::time::Duration;

use jobtrack::{Error, ErrorKind, Scope, Tenant, Timestamp, quoted};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::roles::{Caller, Role};

/// All but what is plain in every file and shell.
const MARKS: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':').remove(b'/');

/// The longest value of an attribute, as it is written.
const LONGEST: usize = 4 * 1_024;

/// What a user may do, and for how long.
///
/// ```
/// use jobtrack::Tenant;
/// use jobtrack_http::{Grant, Role};
///
/// let grant = Grant { tenant: Some(Tenant::named("vs1")?), ..Grant::of(Role::Read) };
/// assert_eq!(grant.to_string(), "role=read scope.name=vs1");
/// # Ok::<(), jobtrack::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What they may do.
    pub role: Role,
    /// The scope that they are confined to; None sees all jobs.
    pub tenant: Option<Tenant>,
    /// The time up to which they may do it; None is for ever.
    pub expires: Option<Timestamp>,
    /// The subject of the certificate by which they are known, if they are known by one: as in
    /// `CN=backup,O=Example`.
    pub subject: Option<String>,
}

impl Grant {
    /// This role, for all jobs, for ever.
    pub fn of(role: Role) -> Grant {
        Grant { role, tenant: None, expires: None, subject: None }
    }

    /// What the attributes behind a user's secret say. A line without a role was written before
    /// there were any, when every user could do everything.
    pub(super) fn parse(text: &str) -> Result<Grant, String> {
        let mut grant = Grant::of(Role::Admin);
        let mut scope = Scope::default();
        let mut seen = Vec::new();
        for attribute in text.split_ascii_whitespace() {
            let (name, value) = attribute.split_once('=').ok_or_else(|| {
                format!("{} is no attribute; write NAME=VALUE", quoted(attribute))
            })?;
            if seen.contains(&name) {
                return Err(format!("{name} is there twice"));
            }
            seen.push(name);
            let value = decode(name, value)?;
            let wrong = |error: Error| error.message().to_owned();
            match name {
                "role" => grant.role = value.parse().map_err(wrong)?,
                "scope.name" => scope.name = value.into(),
                "scope.id" => scope.id = value.into(),
                "expires" => grant.expires = Some(value.parse().map_err(wrong)?),
                "subject" => grant.subject = Some(value),
                _ => {
                    return Err(format!(
                        "{} is no attribute; there are role, scope.name, scope.id, expires and subject",
                        quoted(name)
                    ));
                }
            }
        }
        if scope != Scope::default() {
            grant.tenant = Some(Tenant::new(scope).map_err(|error| error.message().to_owned())?);
        }
        Ok(grant)
    }

    /// Checks what cannot be written down.
    pub(super) fn check(&self) -> Result<(), Error> {
        let scope = self.tenant.as_ref().map(Tenant::scope);
        let texts = [
            ("scope.name", scope.map(|scope| scope.name.as_str())),
            ("scope.id", scope.map(|scope| scope.id.as_str())),
            ("subject", self.subject.as_deref()),
        ];
        for (name, text) in texts {
            let Some(text) = text else { continue };
            if text.chars().any(char::is_control) || text.len() * 3 > LONGEST {
                let message = "it is too long, or holds a control character";
                return Err(Error::new(ErrorKind::InvalidValue, message).with_field(name));
            }
        }
        Ok(())
    }

    /// Whether it holds at this time.
    pub(super) fn holds_at(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    /// The user of this name as a caller.
    pub(super) fn caller(&self, name: &str) -> Caller {
        Caller { user: Some(name.to_owned()), role: self.role, tenant: self.tenant.clone() }
    }

    /// The time that lies so far ahead of this one.
    pub fn lasting(self, span: Duration, now: Timestamp) -> Grant {
        Grant { expires: Some(now.saturating_add(span)), ..self }
    }
}

impl std::fmt::Display for Grant {
    /// As the file has it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = format!("role={}", self.role);
        let scope = self.tenant.as_ref().map(Tenant::scope);
        let expires = self.expires.map(|expires| expires.to_string());
        let attributes = [
            ("scope.name", scope.map(|scope| &*scope.name)),
            ("scope.id", scope.map(|scope| &*scope.id)),
            ("expires", expires.as_deref()),
            ("subject", self.subject.as_deref()),
        ];
        for (name, value) in attributes {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                write!(text, " {name}={}", utf8_percent_encode(value, MARKS))?;
            }
        }
        f.write_str(&text)
    }
}

fn decode(name: &str, value: &str) -> Result<String, String> {
    if value.is_empty() {
        return Err(format!("{name} has no value"));
    }
    if value.len() > LONGEST {
        return Err(format!("{name} is {} bytes long, at most {LONGEST} may be", value.len()));
    }
    let text = percent_decode_str(value).decode_utf8();
    let text = text.map_err(|_| format!("{name} is not UTF-8"))?.into_owned();
    if text.chars().any(char::is_control) {
        return Err(format!("{name} holds a control character"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_survives_as_text() {
        let scope = |name: &str, id: &str| {
            Some(Tenant::new(Scope { name: name.into(), id: id.into() }).unwrap())
        };
        for grant in [
            Grant::of(Role::Admin),
            Grant { tenant: scope("vs 1=\u{e9}%\"", ""), ..Grant::of(Role::Read) },
            Grant { tenant: scope("", "7:a"), ..Grant::of(Role::Control) },
            Grant {
                tenant: scope("a", "b"),
                expires: Some("2026-12-01T00:00:00Z".parse().unwrap()),
                subject: Some("CN=backup, O=Example".to_owned()),
                ..Grant::of(Role::Read)
            },
        ] {
            let text = grant.to_string();
            assert!(text.is_ascii(), "{text}");
            assert_eq!(Grant::parse(&text), Ok(grant), "{text}");
        }
    }

    #[test]
    fn what_was_written_before_there_were_roles_may_do_everything() {
        assert_eq!(Grant::parse(""), Ok(Grant::of(Role::Admin)));
        // And who is confined to a scope by hand is no less so for it.
        let grant = Grant::parse(" scope.name=vs1 ").unwrap();
        assert!(grant.tenant.is_some());
    }

    #[test]
    fn what_is_no_attribute_is_refused() {
        for (bad, why) in [
            ("admin", "NAME=VALUE"),
            ("role=root", "\"root\" is no role"),
            ("role=", "role has no value"),
            ("role=read role=admin", "role is there twice"),
            ("roles=read", "\"roles\" is no attribute"),
            ("Role=read", "\"Role\" is no attribute"),
            ("scope=vs1", "\"scope\" is no attribute"),
            ("expires=tomorrow", "\"tomorrow\""),
            ("scope.name=%ff", "not UTF-8"),
            ("scope.name=%00", "control"),
            ("scope.name=", "scope.name has no value"),
        ] {
            let problem = Grant::parse(bad).unwrap_err();
            assert!(problem.contains(why), "{bad}: {problem}");
        }
    }
}
