//! Who may do what: one table, by method and path, for both faces.

use std::fmt;
use std::str::FromStr;

use axum::http::Method;
use jobtrack::{Actor, Error, ErrorKind, Tenant, quoted};

/// What a user may do; each role may do what those before it may.
///
/// ```
/// use jobtrack_http::Role;
///
/// let role: Role = "control".parse()?;
/// assert!(Role::Read < role && role < Role::Admin);
/// # Ok::<(), jobtrack::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// See jobs.
    Read,
    /// Make, change and delete them, too.
    Control,
    /// And do what concerns the whole store.
    Admin,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: &[Role] = &[Role::Read, Role::Control, Role::Admin];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Control => "control",
            Role::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Role, Error> {
        Role::ALL.iter().find(|role| role.as_str() == text).copied().ok_or_else(|| {
            let message = format!("{} is no role; write read, control or admin", quoted(text));
            Error::new(ErrorKind::InvalidValue, message).with_field("role")
        })
    }
}

/// Who a request comes from, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// None where the server has no users.
    pub(crate) user: Option<String>,
    pub(crate) role: Role,
    /// Whose jobs alone they see.
    pub(crate) tenant: Option<Tenant>,
}

impl Default for Caller {
    /// Whoever reaches a server without users: they may do everything.
    fn default() -> Self {
        Caller { user: None, role: Role::Admin, tenant: None }
    }
}

impl Caller {
    /// Somebody who did not say who they are: what is served to them knows no jobs, and if it did,
    /// there would be none that they see.
    pub(crate) fn nobody() -> Caller {
        // No scope has a name with a control character in it.
        Caller { user: None, role: Role::Read, tenant: Tenant::named("\0").ok() }
    }

    /// The name under which they give commands.
    pub(crate) fn actor(&self) -> Actor {
        self.user.clone().map(Actor::named).unwrap_or_default()
    }

    /// What they lack to do this, if they lack anything.
    pub(crate) fn lacks(&self, method: &Method, path: &str) -> Option<String> {
        let needed = Needed::of(method, path);
        if self.role < needed.role {
            return Some(format!(
                "this needs the role {}, and yours is {}",
                needed.role, self.role
            ));
        }
        match &self.tenant {
            Some(_) if needed.is_of_all => {
                Some("this concerns all jobs of the store, and not those of one scope".to_owned())
            }
            _ => None,
        }
    }
}

/// What is served to whoever asks, without a user: what a web page needs to ask for one, and what a
/// supervisor needs to know. None of it tells anything of jobs.
const OPEN: &[&str] = &["/livez", "/readyz", "/version", "/ui", "/ui/"];

/// What needs more than its method says, by path: the role, and whether it concerns all jobs of the
/// store, so that no tenant may do it.
const LISTED: &[(&str, Role, bool)] = &[
    ("/v1/backup", Role::Admin, true),
    ("/v1/import", Role::Admin, true),
    ("/v1/maintain", Role::Admin, true),
    ("/v1/finalize", Role::Admin, true),
    ("/v1/sync", Role::Control, true),
    // These tell how many jobs there are, of all scopes, or how much memory they take.
    ("/v1/engine", Role::Read, true),
    ("/metrics", Role::Read, true),
    ("/healthz", Role::Read, true),
];

/// What a request needs. What reads needs to read, all else to control: so a route that nobody
/// thought of is not open to those who may only see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Needed {
    role: Role,
    is_of_all: bool,
}

impl Needed {
    fn of(method: &Method, path: &str) -> Needed {
        let reads = [Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
        let role = if reads { Role::Read } else { Role::Control };
        match LISTED.iter().find(|row| row.0 == path) {
            None => Needed { role, is_of_all: false },
            // Of what may be done there everybody may hear.
            Some((.., is_of_all)) if *method == Method::OPTIONS => {
                Needed { role, is_of_all: *is_of_all }
            }
            Some((_, listed, is_of_all)) => {
                Needed { role: role.max(*listed), is_of_all: *is_of_all }
            }
        }
    }
}

/// Whether the path is for those who administer the whole store.
pub(crate) fn is_administration(path: &str) -> bool {
    LISTED.iter().any(|(listed, role, _)| *listed == path && *role == Role::Admin)
}

/// Whether the path is served to whoever asks, without a user.
pub(crate) fn is_open(method: &Method, path: &str) -> bool {
    let reads = [Method::GET, Method::HEAD].contains(method);
    reads
        && OPEN.iter().any(|open| *open == path || (open.ends_with('/') && path.starts_with(open)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(role: Role, tenant: Option<&str>) -> Caller {
        let tenant = tenant.map(|name| Tenant::named(name).unwrap());
        Caller { user: Some("alice".to_owned()), role, tenant }
    }

    #[test]
    fn what_reads_needs_to_read_and_all_else_to_control() {
        let methods =
            ["GET", "HEAD", "OPTIONS", "POST", "PATCH", "PUT", "DELETE", "TRACE", "PURGE"];
        for path in ["/", "/v1/jobs", "/v1/jobs/x/start", "/api/cluster/jobs", "/no/such", "", "*"]
        {
            for method in methods {
                let method: Method = method.parse().unwrap();
                let reads = ["GET", "HEAD", "OPTIONS"].contains(&method.as_str());
                let may = |role| caller(role, None).lacks(&method, path).is_none();
                assert_eq!(may(Role::Read), reads, "{method} {path}");
                assert!(may(Role::Control) && may(Role::Admin), "{method} {path}");
            }
        }
    }

    #[test]
    fn what_concerns_the_store_is_for_admins_of_all_of_it() {
        for (path, method) in [
            ("/v1/backup", Method::GET),
            ("/v1/import", Method::POST),
            ("/v1/maintain", Method::POST),
            ("/v1/finalize", Method::POST),
        ] {
            assert!(is_administration(path), "{path}");
            assert!(caller(Role::Control, None).lacks(&method, path).unwrap().contains("admin"));
            assert_eq!(caller(Role::Admin, None).lacks(&method, path), None);
            let tenant = caller(Role::Admin, Some("vs1")).lacks(&method, path).unwrap();
            assert!(tenant.contains("scope"), "{tenant}");
        }
        for (path, method, role) in [
            ("/metrics", Method::GET, Role::Read),
            ("/healthz", Method::GET, Role::Read),
            ("/v1/engine", Method::GET, Role::Read),
            ("/v1/sync", Method::POST, Role::Control),
        ] {
            assert_eq!(caller(role, None).lacks(&method, path), None, "{path}");
            assert!(caller(Role::Admin, Some("vs1")).lacks(&method, path).is_some(), "{path}");
            assert!(!is_administration(path), "{path}");
        }
    }

    #[test]
    fn little_is_open() {
        for path in ["/livez", "/readyz", "/version", "/ui", "/ui/", "/ui/app.js"] {
            assert!(is_open(&Method::GET, path), "{path}");
            assert!(!is_open(&Method::POST, path), "{path}");
        }
        for path in ["/", "/v1/jobs", "/livez/", "/uix", "/metrics", "/healthz", "/v1/whoami", ""] {
            assert!(!is_open(&Method::GET, path), "{path}");
        }
    }
}
