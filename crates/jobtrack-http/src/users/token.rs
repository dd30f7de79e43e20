//! Bearer tokens: 256 random bits, of which the file of users holds nothing but a hash.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use jobtrack::{Error, ErrorKind};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

/// What every token begins with, by which those who search for secrets in the wrong places know one.
const PREFIX: &str = "jt_";
/// How a hash of one begins in the file of users.
pub(super) const MARK: &str = "$token-sha256$";
/// Random bytes in a token.
const BYTES: usize = 32;

/// The SHA-256 of a token. A fast hash is enough: nobody tries 2^256 of them.
pub(super) type Hash = [u8; 32];

/// A new token, and how the file has it.
pub(super) fn new() -> Result<(String, String), Error> {
    let mut bytes = [0; BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| {
        let message = "no random numbers are to be had on this machine";
        Error::new(ErrorKind::InvalidValue, message).with_field("token")
    })?;
    let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
    let written = format!("{MARK}{}", STANDARD_NO_PAD.encode(hash(&token)));
    Ok((token, written))
}

/// The hash of what a client shows, if it has the form of a token.
pub(super) fn hash_of(shown: &str) -> Option<Hash> {
    let rest = shown.strip_prefix(PREFIX)?;
    // A length that all have, so that nothing else is hashed.
    (rest.len() == (BYTES * 8).div_ceil(6)).then(|| hash(shown))
}

/// The hash that a line of the file holds.
pub(super) fn parse(text: &str) -> Result<Hash, String> {
    let rest = text.strip_prefix(MARK).unwrap_or_default();
    let bytes = STANDARD_NO_PAD.decode(rest).ok();
    let hash: Option<Hash> = bytes.and_then(|bytes| bytes.try_into().ok());
    hash.ok_or_else(|| format!("what follows {MARK} is no SHA-256 in base64"))
}

fn hash(token: &str) -> Hash {
    let mut hash = Hash::default();
    // Both are 32 bytes long.
    hash.iter_mut()
        .zip(digest(&SHA256, token.as_bytes()).as_ref())
        .for_each(|(to, from)| *to = *from);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_knows_a_token_again_and_does_not_hold_it() {
        let (token, written) = new().unwrap();
        assert!(token.starts_with("jt_") && token.len() == 46, "{token}");
        assert_eq!(hash_of(&token), Some(parse(&written).unwrap()));
        assert!(!written.contains(&token[3..]));
        assert_ne!(new().unwrap().0, token);
        let other = token.replacen("jt_", "jt-", 1);
        for bad in ["", "jt_", &token[1..], &token[..45], &format!("{token}A"), &other] {
            assert_eq!(hash_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        for bad in ["", "$token-sha256$", "$token-sha256$AAAA", "$token-md5$AAAA"] {
            assert!(parse(bad).unwrap_err().contains("no SHA-256"), "{bad}");
        }
    }
}
