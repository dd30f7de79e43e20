//! The certificate of `serve`: one that is given, or one that is made at the first start.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jobtrack::{Clock, SystemClock, Timestamp};
use jobtrack_http::{FileError, Tls};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use time::OffsetDateTime;

use crate::Failed;

/// How `serve` speaks TLS, if it does.
#[derive(Debug, clap::Args)]
pub(crate) struct TlsArguments {
    /// Speak https and nothing else. Certificate and key are made at the first start, unless they
    /// are given
    #[arg(long)]
    tls: bool,

    /// The folder of the certificate and key that are made; tls in the store's folder unless given
    #[arg(long, value_name = "FOLDER", requires = "tls", conflicts_with = "tls_cert")]
    tls_dir: Option<PathBuf>,

    /// Another name or address by which clients know this server, for the certificate that is made;
    /// may be repeated
    #[arg(long, value_name = "NAME", requires = "tls", conflicts_with = "tls_cert")]
    tls_name: Vec<String>,

    /// The certificate to show, and those that vouch for it, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// Its key, in PEM, without a passphrase
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

impl TlsArguments {
    /// Whether TLS is spoken.
    pub(crate) fn is_on(&self) -> bool {
        self.tls || self.tls_cert.is_some()
    }

    /// Whether the certificate is one that is made here, which no client trusts unless told to.
    pub(crate) fn is_made_here(&self) -> bool {
        self.tls && self.tls_cert.is_none()
    }

    /// Whether the certificate that is made here is there already, or half of it.
    pub(crate) fn is_there(&self, store_folder: Option<&Path>) -> bool {
        self.folder(store_folder).is_some_and(|folder| {
            folder.join("certificate.pem").exists() || folder.join("key.pem").exists()
        })
    }

    fn folder(&self, store_folder: Option<&Path>) -> Option<PathBuf> {
        self.tls_dir.clone().or_else(|| store_folder.map(|store| store.join("tls")))
    }

    /// The certificate that is given, if one is.
    pub(crate) fn given(&self) -> Result<Option<Tls>, FileError> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Tls::open(certificate, key, now()).map(Some),
            _ => Ok(None),
        }
    }

    /// The certificate that is made here: the one that is there, or else a new one. `listen` is
    /// where the server listens, as it was written and as it is.
    pub(crate) fn made_here(
        &self,
        store_folder: Option<&Path>,
        listen: (&str, SocketAddr),
    ) -> Result<Tls, Failed> {
        let Some(folder) = self.folder(store_folder) else {
            return Err(Failed::because(
                "--tls: this store has no folder in which certificate and key could be kept; say \
                 where: --tls-dir FOLDER",
            ));
        };
        let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
        let names = self.names(listen);
        match (certificate.exists(), key.exists()) {
            (true, true) => {}
            (false, false) => make(&folder, &certificate, &key, names.clone(), now())?,
            (there, _) => {
                let (there, absent) =
                    if there { (&certificate, &key) } else { (&key, &certificate) };
                return Err(Failed::because(format!(
                    "{} is there and {} is not; put it back, or remove the other to have both made",
                    there.display(),
                    absent.display()
                )));
            }
        }
        let tls = Tls::open(&certificate, &key, now()).map_err(|error| {
            format!("{error}; remove {} and the key to have both made anew", certificate.display())
        })?;
        for name in names.iter().filter(|name| !tls.is_for(name)) {
            tracing::warn!(
                "{} is not for {name}; remove it and its key to have them made anew",
                certificate.display()
            );
        }
        Ok(tls)
    }

    /// By what names clients may know the server.
    fn names(&self, (written, address): (&str, SocketAddr)) -> Vec<String> {
        let host = written.rsplit_once(':').map_or(written, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let mut names: Vec<String> =
            ["localhost", "127.0.0.1", "::1"].into_iter().map(str::to_owned).collect();
        names.extend([host, address.ip().to_string()]);
        names.extend(self.tls_name.iter().cloned());
        // "All addresses" is not one by which to find a server.
        names.retain(|name| !name.parse().is_ok_and(|address: IpAddr| address.is_unspecified()));
        let mut seen = Vec::new();
        names.retain(|name| {
            let is_new = !seen.contains(name);
            seen.push(name.clone());
            is_new
        });
        names
    }
}

/// The time of day, which certificates go by.
pub(crate) fn now() -> Timestamp {
    SystemClock::new().wall()
}

/// How long a certificate is good that is made here. Nobody is there to renew it, and clients trust
/// the very certificate that they were given.
const VALID: Duration = Duration::from_secs(3_652 * 86_400);
/// A client's clock may be behind the server's by so much.
const BEFORE: Duration = Duration::from_secs(86_400);

/// Makes a key (ECDSA on P-256) and a certificate that vouches for itself.
fn make(
    folder: &Path,
    certificate: &Path,
    key: &Path,
    names: Vec<String>,
    now: Timestamp,
) -> Result<(), Failed> {
    let told = names.join(", ");
    let cannot = |error: rcgen::Error| format!("no certificate can be made for {told}: {error}");
    let mut params = CertificateParams::new(names).map_err(cannot)?;
    let today = OffsetDateTime::from_unix_timestamp(now.as_micros() / 1_000_000)?;
    params.not_before = today - BEFORE;
    params.not_after = today + VALID;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "jobtrack");
    // It vouches for itself and for nothing else, so that trusting it is harmless.
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let pair = KeyPair::generate().map_err(cannot)?;
    let signed = params.self_signed(&pair).map_err(cannot)?;
    let named =
        |path: &Path, error: io::Error| Failed::because(format!("{}: {error}", path.display()));
    fs::create_dir_all(folder).map_err(|error| named(folder, error))?;
    write(key, 0o600, &pair.serialize_pem()).map_err(|error| named(key, error))?;
    write(certificate, 0o644, &signed.pem()).map_err(|error| {
        // A key alone would stand in the way of the next start.
        let _ = fs::remove_file(key);
        named(certificate, error)
    })
}

/// Writes a new file of this mode, whole or not at all.
fn write(path: &Path, mode: u32, content: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
    let written = file.write_all(content.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}
