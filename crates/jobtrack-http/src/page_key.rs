//! Page tokens, sealed: none can be made up, and none tells anything.
//!
//! A token holds the sort keys and the uuid at which a page ended. Who may read it could learn, where
//! a page ended for want of time, the uuid of a job that is not theirs; who could make one up could
//! have a listing begin anywhere. So what leaves the server is encrypted under a key of the store's.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

use crate::files::{self, FileError};

/// Random bytes of a key: one half encrypts, the other makes nonces.
const BYTES: usize = 64;

/// The key under which the page tokens of one store are sealed: the same after a restart, and on every
/// server of the store.
///
/// ```
/// use jobtrack_http::PageKey;
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("page-key");
/// let made = PageKey::open(&path)?;
/// assert_eq!(PageKey::open(&path)?, made);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct PageKey(Arc<Keys>);

struct Keys {
    seal: LessSafeKey,
    nonce: hmac::Key,
    /// By which two keys are compared: a keyed hash of nothing.
    mark: Vec<u8>,
}

impl PageKey {
    /// Reads the key in this file; makes it if it is absent, for nobody but its owner to read.
    ///
    /// # Errors
    ///
    /// Names the file, and what is wrong with it.
    pub fn open(path: &Path) -> Result<PageKey, FileError> {
        let named = |problem: &dyn fmt::Display| FileError::new(path, problem);
        if !path.exists() {
            let bytes = random().map_err(|error| named(&error))?;
            match write_new(path, &STANDARD.encode(bytes)) {
                // Another server of the store was quicker.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                written => written.map_err(|error| named(&error))?,
            }
        }
        let content = files::read_private(path)?;
        let bytes = STANDARD.decode(content.trim_ascii()).ok();
        let bytes = bytes.and_then(|bytes| <[u8; BYTES]>::try_from(bytes).ok());
        let key = bytes.and_then(|bytes| PageKey::of(&bytes));
        key.ok_or_else(|| {
            named(
                &"it is no key of page tokens; remove it to have another made, after which those \
                    who read page by page begin again",
            )
        })
    }

    /// A key for as long as the process lives.
    ///
    /// # Errors
    ///
    /// Where no random numbers are to be had on this machine.
    pub fn random() -> io::Result<PageKey> {
        PageKey::of(&random()?).ok_or_else(|| io::Error::other("no key can be made"))
    }

    fn of(bytes: &[u8; BYTES]) -> Option<PageKey> {
        let (seal, nonce) = bytes.split_at(BYTES / 2);
        let seal = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, seal).ok()?);
        let nonce = hmac::Key::new(hmac::HMAC_SHA256, nonce);
        let mark = hmac::sign(&nonce, b"").as_ref().to_vec();
        Some(PageKey(Arc::new(Keys { seal, nonce, mark })))
    }

    /// The token as it leaves the server. The same token always gives the same text, since the nonce
    /// is made from it: two tokens never share one, and nothing has to be counted.
    pub(crate) fn seal(&self, token: &str) -> String {
        // What the engine writes is base64; what is not is sealed as it stands.
        let mut bytes = URL_SAFE_NO_PAD.decode(token).unwrap_or_else(|_| token.into());
        let tag = hmac::sign(&self.0.nonce, &bytes);
        let mut nonce = [0; NONCE_LEN];
        nonce.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        let sealed = self.0.seal.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::empty(),
            &mut bytes,
        );
        // It fails for texts of 64 GiB and more alone.
        if sealed.is_err() {
            bytes.clear();
        }
        URL_SAFE_NO_PAD.encode([&nonce[..], &bytes].concat())
    }

    /// The token that was sealed, if it was sealed under this key.
    pub(crate) fn unseal(&self, text: &str) -> Option<String> {
        let mut bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk_mut::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let token = self.0.seal.open_in_place(nonce, Aad::empty(), sealed).ok()?;
        Some(URL_SAFE_NO_PAD.encode(token))
    }
}

impl fmt::Debug for PageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageKey").finish_non_exhaustive()
    }
}

impl PartialEq for PageKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.mark == other.0.mark
    }
}

impl Eq for PageKey {}

fn random() -> io::Result<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| io::Error::other("no random numbers are to be had on this machine"))?;
    Ok(bytes)
}

fn write_new(path: &Path, content: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_sealed_is_unsealed_by_the_same_key_alone() {
        let (key, other) = (PageKey::random().unwrap(), PageKey::random().unwrap());
        assert_ne!(key, other);
        let token = URL_SAFE_NO_PAD.encode(b"a token of any length, with a uuid in it");
        let sealed = key.seal(&token);
        assert_eq!(key.seal(&token), sealed);
        assert_eq!(key.unseal(&sealed).as_deref(), Some(&*token));
        assert_eq!(other.unseal(&sealed), None);
        assert_eq!(key.unseal(&token), None);
        let plain = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        assert!(!plain.windows(4).any(|window| window == b"uuid"));
    }

    #[test]
    fn no_bit_of_it_can_be_another() {
        let key = PageKey::random().unwrap();
        let sealed = URL_SAFE_NO_PAD.decode(key.seal(&URL_SAFE_NO_PAD.encode(b"token"))).unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut forged = sealed.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.unseal(&URL_SAFE_NO_PAD.encode(forged)), None, "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert_eq!(key.unseal(&URL_SAFE_NO_PAD.encode(&sealed[..length])), None);
        }
    }

    #[test]
    fn the_file_is_made_once_and_is_nobody_else_s() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page-key");
        let key = PageKey::open(&path).unwrap();
        assert_eq!(PageKey::open(&path).unwrap(), key);
        fs::write(&path, "nonsense").unwrap();
        let error = PageKey::open(&path).unwrap_err().to_string();
        assert!(error.contains("no key of page tokens"), "{error}");
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(PageKey::open(&path).unwrap_err().to_string().contains("chmod 600"));
    }
}
