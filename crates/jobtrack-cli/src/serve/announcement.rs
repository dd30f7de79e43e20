//! What whoever started the server wants to know.

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use jobtrack::Tracker;

use super::Arguments;
use super::binding::Sockets;
use super::guards::Guards;
use super::sockets::Socket;

/// Where the server listens, told once it serves what it is asked.
pub(super) struct Announcement {
    address: Option<SocketAddr>,
    places: Vec<String>,
}

impl Announcement {
    pub(super) fn begin(sockets: &Sockets, arguments: &Arguments) -> Announcement {
        let scheme = if arguments.tls.is_on() { "https" } else { "http" };
        let at = |scheme: &str, socket: &Socket| match socket {
            Socket::Tcp(_, address) => format!("{scheme}://{address}"),
            Socket::Unix(..) => socket.to_string(),
        };
        let of_clients = sockets.clients.iter().map(|socket| at(scheme, socket));
        let mut places: Vec<_> = of_clients.map(|place| format!("listening on  {place}")).collect();
        places.extend(
            sockets.admin.iter().map(|socket| format!("administered  {}", at("http", socket))),
        );
        say(concat!("jobtrack ", env!("CARGO_PKG_VERSION")));
        say(&format!("opening       {}", arguments.store.url()));
        Announcement { address: sockets.address(), places }
    }

    pub(super) fn end(&self, arguments: &Arguments, tracker: &Tracker, guards: &Guards) {
        self.places.iter().for_each(|place| say(place));
        announce_open(self.address, arguments, tracker, guards);
    }
}

/// What can be told only once the store is open.
fn announce_open(
    address: Option<SocketAddr>,
    arguments: &Arguments,
    tracker: &Tracker,
    guards: &Guards,
) {
    say(&format!("data in       {}", arguments.store));
    say(&format!("found         {}", tracker.opened()));
    let mut curl = "curl".to_owned();
    if let Some(tls) = &guards.tls {
        let path = tls.certificate().canonicalize();
        let path = path.as_deref().unwrap_or(tls.certificate()).display();
        say(&format!("certificate   {path}, good until {}", tls.expires()));
        say(&format!("fingerprint   SHA-256 {}", tls.fingerprint()));
        if arguments.tls.is_made_here() {
            curl.push_str(&format!(" --cacert '{path}'"));
        }
    }
    if let Some(users) = &guards.users {
        let names = users.names();
        say(&format!("users         {} in {}", names.len(), users.path().display()));
        if let Some(name) = names.first() {
            curl.push_str(&format!(" -u {name}"));
        }
    }
    let place = match (address, &arguments.unix) {
        (Some(mut near), _) => {
            if near.ip().is_unspecified() {
                near.set_ip(if near.is_ipv4() {
                    Ipv4Addr::LOCALHOST.into()
                } else {
                    Ipv6Addr::LOCALHOST.into()
                });
            }
            let scheme = if guards.tls.is_some() { "https" } else { "http" };
            format!("{scheme}://{near}")
        }
        (None, Some(path)) => {
            curl.push_str(&format!(" --unix-socket '{}'", path.display()));
            "http://localhost".to_owned()
        }
        (None, None) => "http://localhost".to_owned(),
    };
    say(&format!("try           {curl} '{place}/api/cluster/jobs?fields=*'"));
}

/// Says it on standard output, which somebody may have closed: that is no reason to stop serving.
pub(super) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
