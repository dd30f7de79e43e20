//! Where the server listens: what the options name, or what systemd has opened; and what must not be
//! open to others without being meant.

use std::net::SocketAddr;

use super::Arguments;
use super::sockets::{self, Place, Socket};
use crate::Failed;

/// Where the server listens: for clients, and for administration.
pub(super) struct Sockets {
    pub(super) clients: Vec<Socket>,
    pub(super) admin: Option<Socket>,
}

impl Sockets {
    /// What systemd has opened, in place of what the options name.
    pub(super) fn open(arguments: &Arguments) -> Result<Sockets, Failed> {
        let (admin, clients): (Vec<_>, Vec<_>) =
            sockets::activated()?.into_iter().partition(|(name, _)| name.contains("admin"));
        let mut clients: Vec<_> = clients.into_iter().map(|(_, socket)| socket).collect();
        let mut admin = admin.into_iter().map(|(_, socket)| socket).next();
        let is_activated = !clients.is_empty();
        for socket in clients.iter().chain(&admin) {
            if let Socket::Tcp(_, address) = socket {
                expect_guarded(&[*address], arguments)?;
            }
        }
        if !is_activated && arguments.listen != "none" {
            clients.push(bind(&arguments.listen, arguments)?);
        }
        if let Some(path) = arguments.unix.as_ref().filter(|_| !is_activated) {
            clients.push(Socket::unix(path, arguments.unix_mode)?);
        }
        if admin.is_none() {
            admin = match &arguments.admin {
                None => None,
                Some(Place::Unix(path)) => Some(Socket::unix(path, arguments.unix_mode)?),
                Some(Place::Address(text)) => Some(bind_for_administration(text, arguments)?),
            };
        }
        if clients.is_empty() {
            let message = "there is nowhere to listen: name an address, or --unix PATH";
            return Err(Failed::usage(message));
        }
        Ok(Sockets { clients, admin })
    }

    /// The address of clients, if they come over TCP.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.clients.iter().find_map(|socket| match socket {
            Socket::Tcp(_, address) => Some(*address),
            Socket::Unix(..) => None,
        })
    }
}

fn bind(text: &str, arguments: &Arguments) -> Result<Socket, Failed> {
    let addresses = sockets::addresses(text)?;
    expect_guarded(&addresses, arguments)?;
    let bound = Socket::tcp(&addresses);
    bound.map_err(|error| Failed::because(format!("cannot listen on {text}: {error}")))
}

/// Refuses an address that other machines reach, unless it is guarded, or meant.
fn expect_guarded(addresses: &[SocketAddr], arguments: &Arguments) -> Result<(), Failed> {
    let Some(remote) = addresses.iter().find(|address| !address.ip().is_loopback()) else {
        return Ok(());
    };
    let danger = match (&arguments.users, arguments.tls.is_on()) {
        _ if arguments.allow_remote => return Ok(()),
        (Some(_), true) => return Ok(()),
        (Some(_), false) => "passwords would go there for all on the way to read",
        (None, _) => "whoever reaches it could read and change every job",
    };
    Err(Failed::because(format!(
        "{remote} can be reached from other machines, and {danger}; add --tls and --users FILE, or \
         --allow-remote if that is meant"
    )))
}

fn bind_for_administration(text: &str, arguments: &Arguments) -> Result<Socket, Failed> {
    let addresses = sockets::addresses(text)?;
    let remote = addresses.iter().find(|address| !address.ip().is_loopback());
    if let Some(remote) = remote.filter(|_| !arguments.allow_remote) {
        return Err(Failed::because(format!(
            "--admin: {remote} can be reached from other machines, and metrics and health are told \
             there to whoever asks; name an address of this machine or unix:PATH, or add \
             --allow-remote if that is meant"
        )));
    }
    let bound = Socket::tcp(&addresses);
    bound.map_err(|error| Failed::because(format!("--admin: cannot listen on {text}: {error}")))
}
