//! How a server is spoken to: what every command that talks to one has in common.

use std::fmt;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, RootCertStore, crypto};
use ureq::http::{Request, header};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, SendBody};

use crate::target::{Answer, Content, Method};
use crate::{Exit, Failed, password};

/// The variable that holds the password of `--user`.
pub(crate) const PASSWORD_VARIABLE: &str = "JOBTRACK_PASSWORD";

/// The variable that holds a token, by which a program is known that names no user.
const TOKEN_VARIABLE: &str = "JOBTRACK_TOKEN";

const CONNECT_TIME: Duration = Duration::from_secs(10);
/// How long an answer may take to begin.
const ANSWER_TIME: Duration = Duration::from_secs(60);

/// Which server, and who asks: flatten it into the arguments of a command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct Server {
    /// The server: http://HOST:PORT or https://HOST:PORT
    #[arg(
        long = "server",
        env = "JOBTRACK_SERVER",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL"
    )]
    address: Address,

    /// Who you are there. The password is taken from the variable JOBTRACK_PASSWORD, or asked for.
    /// Without it, a token in the variable JOBTRACK_TOKEN says who you are
    #[arg(long, env = "JOBTRACK_USER", value_name = "NAME")]
    user: Option<String>,

    /// Trust the servers that these certificates (PEM) vouch for, in place of those that the system
    /// trusts. The certificate that jobtrack serve --tls makes vouches for itself
    #[arg(long, env = "JOBTRACK_CACERT", value_name = "FILE")]
    cacert: Option<PathBuf>,

    /// Trust whoever answers, and send a password over plain HTTP: for trials alone
    #[arg(long)]
    insecure: bool,
}

impl Server {
    /// Ready to speak to it. Asks for the password if one is needed and not at hand.
    pub(crate) fn client(&self) -> Result<Client, Failed> {
        let address = self.address.clone();
        let authorization = match (&self.user, std::env::var(TOKEN_VARIABLE)) {
            (Some(user), _) => Some(self.authorization(user)?),
            (None, Ok(token)) if !token.is_empty() => {
                self.expect_private("token")?;
                Some(format!("Bearer {token}"))
            }
            (None, _) => None,
        };
        let mut tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(crypto::ring::default_provider()))
            .disable_verification(self.insecure)
            .root_certs(RootCerts::PlatformVerifier);
        if let Some(path) = &self.cacert {
            tls = tls.root_certs(RootCerts::new_with_certs(&trusted(path)?));
        }
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIME))
            .timeout_recv_response(Some(ANSWER_TIME))
            .user_agent(concat!("jobtrack/", env!("CARGO_PKG_VERSION")))
            // A jobtrack server sends nobody elsewhere.
            .max_redirects(0)
            .tls_config(tls.build())
            .build()
            .into();
        Ok(Client { agent, address, authorization })
    }

    /// Refuses to send a secret where others can read it.
    fn expect_private(&self, what: &str) -> Result<(), Failed> {
        if self.address.is_private() || self.insecure {
            return Ok(());
        }
        Err(Failed::because(format!(
            "the {what} would be sent to {} for all on the way to read; speak https to it, or add \
             --insecure if that is meant",
            self.address
        )))
    }

    /// The header that says who asks.
    fn authorization(&self, user: &str) -> Result<String, Failed> {
        self.expect_private("password")?;
        if user.contains(':') {
            return Err(Failed::because(format!("--user {user}: a user's name has no colon")));
        }
        let password = match std::env::var(PASSWORD_VARIABLE) {
            Ok(password) => password,
            Err(std::env::VarError::NotUnicode(_)) => {
                return Err(Failed::because(format!("{PASSWORD_VARIABLE} is not UTF-8")));
            }
            Err(std::env::VarError::NotPresent) => {
                let question = format!("Password of {user} at {}: ", self.address);
                let instead = format!("set the variable {PASSWORD_VARIABLE}");
                password::ask(&question, &instead)?
            }
        };
        Ok(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
    }
}

/// The certificates in a file of `--cacert`.
fn trusted(path: &Path) -> Result<Vec<Certificate<'static>>, Failed> {
    let named =
        |problem: &dyn fmt::Display| Failed::because(format!("{}: {problem}", path.display()));
    let content = std::fs::read(path).map_err(|error| named(&error))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    let found = found.map_err(|_| named(&"it is not PEM"))?;
    if found.is_empty() {
        return Err(named(&"it holds no certificate in PEM form"));
    }
    for certificate in &found {
        // What cannot be parsed would be passed over later, without a word.
        RootCertStore::empty().add(certificate.clone()).map_err(|error| named(&error))?;
    }
    Ok(found.iter().map(|der| Certificate::from_der(der).to_owned()).collect())
}

/// A server, and one connection's worth of requests to it. An answer of any status is an answer.
pub(crate) struct Client {
    agent: Agent,
    address: Address,
    /// Who asks. A secret: there is deliberately no way to print a client.
    authorization: Option<String>,
}

impl Client {
    /// Asks the server. An answer of any status is an answer.
    pub(crate) fn ask(
        &self,
        method: Method,
        path: &str,
        content: Content,
    ) -> Result<Answer, Failed> {
        let url = format!("{}{path}", self.address);
        let mut request = Request::builder().method(method.as_str()).uri(url);
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let response = match content {
            Content::None => self.agent.run(request.body(())?),
            Content::Json(text) => {
                let request = request.header(header::CONTENT_TYPE, "application/json");
                self.agent.run(request.body(text)?)
            }
            Content::Lines(lines) => {
                let request = request.header(header::CONTENT_TYPE, "application/x-ndjson");
                self.agent.run(request.body(SendBody::from_owned_reader(lines))?)
            }
        };
        let response = response.map_err(|error| self.unreachable(&error))?;
        let media_type = response.headers().get(header::CONTENT_TYPE);
        let media_type = media_type.and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
        let status = response.status().as_u16();
        Ok(Answer { status, media_type, body: Box::new(response.into_body().into_reader()) })
    }

    /// The server's URL.
    pub(crate) fn url(&self) -> String {
        self.address.to_string()
    }

    /// What went wrong on the way to the server.
    fn unreachable(&self, error: &ureq::Error) -> Failed {
        let problem = match tls_error(error) {
            Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
                "nobody that is trusted here vouches for its certificate; if it is one that the \
                 server made, name its file: --cacert FILE"
                    .to_owned()
            }
            Some(rustls::Error::InvalidCertificate(problem)) => {
                format!("its certificate is refused: {problem}")
            }
            Some(rustls::Error::InvalidMessage(_)) => {
                "it does not speak TLS; perhaps it is http and not https".to_owned()
            }
            _ if self.address.scheme == "http" && matches!(error, ureq::Error::Protocol(_)) => {
                format!("it does not speak HTTP; perhaps it is https and not http ({error})")
            }
            _ => match error {
                ureq::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    "no server listens there; jobtrack serve starts one".to_owned()
                }
                ureq::Error::Io(error) => error.to_string(),
                error => error.to_string(),
            },
        };
        Failed::new(Exit::Unreachable, format!("{}: {problem}", self.address))
    }
}

fn tls_error(error: &ureq::Error) -> Option<&rustls::Error> {
    match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

/// Scheme, host and port of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Address {
    scheme: &'static str,
    /// Host and port, as they were written.
    authority: String,
}

impl Address {
    /// Whether nobody on the way can read what is sent there.
    fn is_private(&self) -> bool {
        let host = match self.authority.rsplit_once(':') {
            // The port, and not the end of an address in brackets.
            Some((host, port)) if !port.ends_with(']') => host,
            _ => &self.authority,
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_loopback = host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
        self.scheme == "https" || is_loopback || host.eq_ignore_ascii_case("localhost")
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = ["http", "https"].into_iter().find_map(|scheme| {
            let authority = text.strip_prefix(scheme)?.strip_prefix("://")?;
            Some((scheme, authority.trim_end_matches('/')))
        });
        match found {
            Some((_, authority)) if authority.contains('@') => {
                Err("write the user as --user NAME, and not here".to_owned())
            }
            Some((scheme, authority))
                if !authority.is_empty() && !authority.contains(['/', '?', '#', ' ']) =>
            {
                Ok(Address { scheme, authority: authority.to_owned() })
            }
            _ => Err("write it as http://HOST:PORT or https://HOST:PORT".to_owned()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_scheme_a_host_and_a_port() {
        let address: Address = "http://localhost:8080/".parse().unwrap();
        assert_eq!(address.to_string(), "http://localhost:8080");
        assert_eq!("https://a".parse::<Address>().unwrap().to_string(), "https://a");
        for bad in ["", "localhost:8080", "ftp://x", "http://", "https://", "http://x/v1", "http:x"]
        {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
        let error = "https://alice:secret@host".parse::<Address>().unwrap_err();
        assert!(error.contains("--user") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn a_password_goes_where_nobody_listens() {
        let is_private = |text: &str| text.parse::<Address>().unwrap().is_private();
        for private in [
            "https://example.com",
            "http://127.0.0.1:80",
            "http://127.8.0.1",
            "http://[::1]:8080",
            "http://[::1]",
            "http://LocalHost:1",
        ] {
            assert!(is_private(private), "{private}");
        }
        for public in ["http://example.com", "http://10.0.0.1:80", "http://[2001:db8::1]:80"] {
            assert!(!is_private(public), "{public}");
        }
    }
}
