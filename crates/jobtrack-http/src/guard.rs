//! What browsers are kept from: writing for pages of other sites, and reading for those who made a
//! name of theirs lead here.
//!
//! A server without users trusts whoever reaches it, and a browser on its machine does. A page of
//! another site can have that browser send requests here; it names its origin with those that write.
//! And a site can have its own name lead to this address (DNS rebinding), so that the browser takes
//! the two for one; then the request names that host.

use axum::http::{HeaderMap, HeaderValue, Method, header};
use jobtrack::quoted;

use crate::errors::{Fault, HttpKind};

/// Refuses requests that a page of another site had a browser send. `hosts` are the names by which
/// clients may know this server, beside addresses and those of the machine itself; None is any.
pub(crate) fn check(
    hosts: Option<&[String]>,
    method: &Method,
    headers: &HeaderMap,
) -> Result<(), Fault> {
    let host = headers.get(header::HOST).map(text);
    if let (Some(hosts), Some(host)) = (hosts, &host)
        && !is_ours(host, hosts)
    {
        let message = format!(
            "this server is not known as {}; add the name to those that it may be addressed by \
             (--allow-host), if it is",
            quoted(host)
        );
        return Err(Fault::new(HttpKind::ForeignHost, message).on("Host"));
    }
    if [Method::GET, Method::HEAD, Method::OPTIONS].contains(method) {
        return Ok(());
    }
    // Whoever is no browser sends neither.
    let is_foreign = match headers.get(header::ORIGIN).map(text) {
        Some(origin) => !is_same(&origin, host.as_deref().unwrap_or_default()),
        None => headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site"),
    };
    if is_foreign {
        let message = "a page of another site may not change anything here";
        return Err(Fault::new(HttpKind::ForeignOrigin, message).on("Origin"));
    }
    Ok(())
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).trim().to_ascii_lowercase()
}

/// Whether the server may be addressed so: by an address, which no site can make its own, by a name
/// of the machine itself, or by one of these.
fn is_ours(host: &str, hosts: &[String]) -> bool {
    let name = without_port(host);
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    let name = name.strip_suffix('.').unwrap_or(name);
    address.parse::<std::net::IpAddr>().is_ok()
        || name == "localhost"
        || name.ends_with(".localhost")
        || hosts.iter().any(|host| host.eq_ignore_ascii_case(name))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // The colons of an IPv6 address stand within brackets.
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether a page of this origin came from this host: the same name and port. The scheme is not
/// known where something in front of the server speaks TLS.
fn is_same(origin: &str, host: &str) -> bool {
    let (origin, standard) = match origin.split_once("://") {
        Some(("http", rest)) => (rest, ":80"),
        Some(("https", rest)) => (rest, ":443"),
        _ => return false,
    };
    let bare = |text: &str| text.strip_suffix(standard).unwrap_or(text).to_owned();
    !origin.is_empty() && bare(origin) == bare(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(method: &str, headers: &[(&'static str, &str)]) -> Result<(), Fault> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        check(Some(&["jobs.example.com".to_owned()]), &method.parse().unwrap(), &map)
    }

    #[test]
    fn the_server_is_known_by_addresses_its_machine_s_names_and_those_that_are_told() {
        for host in [
            "127.0.0.1:8080",
            "192.0.2.1",
            "[::1]:8080",
            "[::1]",
            "localhost",
            "LOCALHOST:8080",
            "localhost.:8080",
            "page.localhost",
            "jobs.example.com:8443",
            "Jobs.Example.com.",
        ] {
            assert!(checked("GET", &[("host", host)]).is_ok(), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:8080",
            "127.0.0.1.evil.example",
            "evillocalhost",
            "jobs.example.com.evil.example",
            "",
            ":8080",
            "[::1",
            "x@localhost",
        ] {
            let fault = checked("GET", &[("host", host)]).unwrap_err();
            assert!(fault.line().starts_with("Host: "), "{host}: {}", fault.line());
        }
        let any = HeaderMap::from_iter([(header::HOST, "evil.example".parse().unwrap())]);
        assert!(check(None, &Method::GET, &any).is_ok(), "where it is not to be checked");
    }

    #[test]
    fn only_a_page_of_the_server_s_own_writes() {
        let host = ("host", "localhost:8080");
        for origin in ["http://localhost:8080", "https://localhost:8080", "HTTP://LOCALHOST:8080"] {
            assert!(checked("POST", &[host, ("origin", origin)]).is_ok(), "{origin}");
        }
        for (host, origin) in [
            ("jobs.example.com", "https://jobs.example.com"),
            ("jobs.example.com:443", "https://jobs.example.com"),
            ("jobs.example.com", "http://jobs.example.com:80"),
        ] {
            assert!(checked("POST", &[("host", host), ("origin", origin)]).is_ok(), "{origin}");
        }
        for origin in [
            "http://evil.example",
            "http://localhost",
            "http://localhost:8081",
            "http://localhost:8080.evil.example",
            "null",
            "",
            "localhost:8080",
            "file://localhost:8080",
        ] {
            for method in ["POST", "PATCH", "DELETE", "PUT"] {
                assert!(checked(method, &[host, ("origin", origin)]).is_err(), "{origin}");
            }
            assert!(checked("GET", &[host, ("origin", origin)]).is_ok(), "{origin}");
        }
        assert!(checked("POST", &[("origin", "http://localhost:8080")]).is_err());
        assert!(checked("POST", &[host, ("sec-fetch-site", "cross-site")]).is_err());
        assert!(checked("POST", &[host, ("sec-fetch-site", "same-origin")]).is_ok());
        assert!(checked("POST", &[host]).is_ok(), "no browser");
    }
}
