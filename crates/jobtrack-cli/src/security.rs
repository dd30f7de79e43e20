//! What `serve` asks of clients: certificates of their own, and to know the server by its name.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use jobtrack_http::{PageKey, Tls};

use crate::Failed;
use crate::tls::now;

/// Whom a server lets come near: flatten it into the arguments of `serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct SecurityArguments {
    /// Take certificates of clients for which the authorities in this file (PEM) vouch; a user whose
    /// subject one bears is known by it
    #[arg(long, value_name = "FILE", requires = "users")]
    client_ca: Option<PathBuf>,

    /// Whether a client may do without a certificate and show a password or a token
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "optional",
        requires = "client_ca",
        hide_possible_values = true,
        help = "Whether clients may do without a certificate, and show a password or token: \
                optional, or required"
    )]
    client_certificates: ClientCertificates,

    /// Another name by which clients may address the server, beside its addresses and localhost; may
    /// be repeated. Without users other names are refused, since a site could have its own name lead
    /// here and a browser believe it
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,

    /// The file of the key that seals page tokens, made if it is absent: for several servers of one
    /// store, which must share it. page-key in the store's folder unless given
    #[arg(long, value_name = "FILE")]
    page_key: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ClientCertificates {
    Optional,
    Required,
}

impl SecurityArguments {
    /// The server's certificate, with what is asked of clients' own.
    pub(crate) fn with_clients(&self, tls: Option<Tls>) -> Result<Option<Tls>, Failed> {
        match (&self.client_ca, tls) {
            (None, tls) => Ok(tls),
            (Some(_), None) => {
                let message = "--client-ca: certificates are shown over TLS; add --tls, or \
                               --tls-cert and --tls-key";
                Err(Failed::usage(message))
            }
            (Some(authorities), Some(tls)) => {
                let must_show = self.client_certificates == ClientCertificates::Required;
                Ok(Some(tls.with_clients(authorities, must_show, now())?))
            }
        }
    }

    /// The key of page tokens. Of a store that ends with the process it need not stay either.
    pub(crate) fn page_key(&self, store_folder: Option<&Path>) -> Result<PageKey, Failed> {
        let path = match (&self.page_key, store_folder) {
            (Some(path), _) => path.clone(),
            (None, Some(folder)) => folder.join("page-key"),
            (None, None) => return Ok(PageKey::random()?),
        };
        Ok(PageKey::open(&path)?)
    }

    /// The names by which clients may address the server; None is any.
    pub(crate) fn hosts(&self, has_users: bool) -> Option<Vec<String>> {
        // With users, who comes under another name is nobody: a browser sends no password there.
        (!has_users || !self.allow_host.is_empty()).then(|| self.allow_host.clone())
    }
}
