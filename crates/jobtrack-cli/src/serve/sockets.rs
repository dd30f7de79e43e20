//! Where the server listens: addresses, sockets in the file system, and sockets that systemd has
//! opened for it.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jobtrack_http::{Listener, Monitor};

use crate::Failed;

/// A place to listen at, as an option names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Address(String),
    Unix(PathBuf),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix:") {
            Some("") => {
                Err("unix: needs the path of a socket, such as unix:/run/jobtrack/admin".into())
            }
            Some(path) => Ok(Place::Unix(path.into())),
            None if text.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) => {
                Ok(Place::Address(text.to_owned()))
            }
            None => Err("write ADDRESS:PORT or unix:PATH".to_owned()),
        }
    }
}

/// The permissions of a socket, in octal.
pub(crate) fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| "write the permissions in octal, such as 660".to_owned())
}

/// Clients that wait to be accepted, which the system bounds once more: with the 128 that the standard
/// library asks for, a burst of clients costs the next one the second until it tries again.
const BACKLOG: i32 = 4_096;

/// A socket that listens.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, Option<File>),
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Socket::Tcp(_, address) => write!(f, "{address}"),
            Socket::Unix(_, Some(file)) => write!(f, "unix:{}", file.path.display()),
            Socket::Unix(listener, None) => match listener.local_addr() {
                Ok(address) if address.as_pathname().is_some() => {
                    let path = address.as_pathname().unwrap_or(Path::new(""));
                    write!(f, "unix:{}", path.display())
                }
                _ => f.write_str("unix: a socket without a name"),
            },
        }
    }
}

impl Socket {
    /// Listens at these addresses: the first that can be had.
    pub(crate) fn tcp(addresses: &[SocketAddr]) -> io::Result<Socket> {
        let listener = TcpListener::bind(addresses)?;
        rustix::net::listen(&listener, BACKLOG)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Socket::Tcp(listener, address))
    }

    /// Listens at this path, for those whom the mode lets in. A socket that nobody listens at any
    /// more is replaced; anything else that is there is left alone, and said.
    pub(crate) fn unix(path: &Path, mode: u32) -> Result<Socket, Failed> {
        let named = |error: io::Error| {
            Failed::because(format!("cannot listen on unix:{}: {error}", path.display()))
        };
        let in_the_way = |what: &str| {
            Err(Failed::because(format!("cannot listen on unix:{}: {what}", path.display())))
        };
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(named(error)),
            Ok(found) if !found.file_type().is_socket() => {
                return in_the_way(
                    "something else than a socket is there; remove it, or name another",
                );
            }
            Ok(_) => match UnixStream::connect(path) {
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Ok(_) => return in_the_way("another process listens there"),
                Err(error) => return Err(named(error)),
            },
        }
        // Under another name until its mode is set, so that nobody gets in before; and the new name
        // takes the place of a dead socket in one step.
        let mut hidden = path.to_owned();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        hidden.set_file_name(format!(".{name}.{}", std::process::id()));
        let listener = UnixListener::bind(&hidden).map_err(named)?;
        let made = listener
            .set_nonblocking(true)
            .and_then(|()| fs::set_permissions(&hidden, fs::Permissions::from_mode(mode)))
            .and_then(|()| fs::rename(&hidden, path))
            .and_then(|()| fs::symlink_metadata(path));
        let made = made.map_err(|error| {
            let _ = fs::remove_file(&hidden);
            named(error)
        })?;
        let file = File { path: path.to_owned(), inode: (made.dev(), made.ino()) };
        Ok(Socket::Unix(listener, Some(file)))
    }

    /// For those who accept connections, and for who removes the file of it when that is over.
    pub(crate) fn listener(self, monitor: &Monitor) -> io::Result<(Listener, Option<File>)> {
        let (listener, file): (Listener, _) = match self {
            Socket::Tcp(listener, _) => (tokio::net::TcpListener::from_std(listener)?.into(), None),
            Socket::Unix(listener, file) => {
                (tokio::net::UnixListener::from_std(listener)?.into(), file)
            }
        };
        Ok((listener.counted_by(monitor), file))
    }
}

/// The addresses that a text names.
pub(crate) fn addresses(text: &str) -> Result<Vec<SocketAddr>, Failed> {
    let found = text
        .to_socket_addrs()
        .map_err(|error| format!("cannot listen on {text:?}: {error}; write ADDRESS:PORT"))?;
    Ok(found.collect())
}

/// The file of a socket that was made here; it goes when this is dropped.
#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
    inode: (u64, u64),
}

impl Drop for File {
    fn drop(&mut self) {
        // Another server may have taken the place meanwhile.
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.inode);
        if is_ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Sockets that systemd has opened, each with its name.
pub(crate) fn activated() -> Result<Vec<(String, Socket)>, Failed> {
    let mut given = listenfd::ListenFd::from_env();
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut sockets = Vec::new();
    for index in 0..given.len() {
        let name = names.next().unwrap_or_default().to_owned();
        let socket = match given.take_tcp_listener(index) {
            Ok(Some(listener)) => {
                listener.set_nonblocking(true)?;
                let address = listener.local_addr()?;
                Socket::Tcp(listener, address)
            }
            _ => match given.take_unix_listener(index) {
                Ok(Some(listener)) => {
                    listener.set_nonblocking(true)?;
                    Socket::Unix(listener, None)
                }
                _ => {
                    return Err(Failed::because(format!(
                        "socket {} ({name}) that systemd has opened is neither a TCP nor a Unix \
                         stream socket",
                        index + 1
                    )));
                }
            },
        };
        sockets.push((name, socket));
    }
    Ok(sockets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_an_address_or_a_path() {
        assert_eq!("127.0.0.1:9".parse(), Ok(Place::Address("127.0.0.1:9".to_owned())));
        assert_eq!("[::1]:9".parse(), Ok(Place::Address("[::1]:9".to_owned())));
        assert_eq!("unix:/run/x".parse(), Ok(Place::Unix("/run/x".into())));
        for wrong in ["", "unix:", "9", "localhost", "localhost:http", "/run/x"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_mode_is_octal() {
        assert_eq!(mode("660"), Ok(0o660));
        assert_eq!(mode("0600"), Ok(0o600));
        for wrong in ["", "rw", "888", "1777", "-1"] {
            assert!(mode(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_dead_socket_is_replaced_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listening = |mode| Socket::unix(&path, mode);
        let first = listening(0o600).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let refused = listening(0o600).unwrap_err().message;
        assert!(refused.ends_with("another process listens there"), "{refused}");
        // One whose process was killed leaves its file behind.
        let Socket::Unix(listener, Some(file)) = first else { panic!("a Unix socket") };
        drop(listener);
        let second = listening(0o666).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
        // The file belongs to another by now.
        drop(file);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

        fs::write(&path, "precious").unwrap();
        let refused = listening(0o600).unwrap_err().message;
        assert!(refused.contains("something else than a socket"), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
}
