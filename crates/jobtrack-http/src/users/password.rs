//! How passwords are kept: as argon2id hashes, in PHC strings.

use argon2::password_hash::phc::{Output, ParamsString, Salt};
use argon2::{ARGON2ID_IDENT, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier};
use jobtrack::{Error, ErrorKind};
use ring::rand::{SecureRandom, SystemRandom};

/// The longest password, in bytes.
pub(super) const LONGEST: usize = 1_024;
/// The dearest hash that a file may ask for, in KiB, and in passes over them: one that takes a
/// server's memory would be a way to stop it.
const MOST_MEMORY: u32 = 256 * 1_024;
const MOST_PASSES: u32 = 16;
const MOST_LANES: u32 = 16;

/// The hash of a new password: argon2id, 19 MiB, two passes, one lane, and a salt of its own.
pub(super) fn hash(password: &str) -> Result<PasswordHash, Error> {
    let invalid =
        |message: String| Err(Error::new(ErrorKind::InvalidValue, message).with_field("password"));
    if password.is_empty() {
        return invalid("the password is empty".to_owned());
    }
    if password.len() > LONGEST {
        return invalid(format!(
            "the password is {} bytes long, at most {LONGEST} may be",
            password.len()
        ));
    }
    if password.chars().any(char::is_control) {
        return invalid(
            "the password holds a control character, which HTTP cannot send".to_owned(),
        );
    }
    Argon2::default().hash_password(password.as_bytes()).map_err(|error| {
        Error::new(ErrorKind::InvalidValue, format!("the password cannot be hashed: {error}"))
            .with_field("password")
    })
}

/// Whether it is the password of this hash. Blocks, and takes what the hash says it takes.
pub(super) fn is(password: &[u8], hash: &PasswordHash) -> bool {
    Argon2::default().verify_password(password, hash).is_ok()
}

/// The hash that a line of the file holds, or what is wrong with it. The text itself is not shown: it
/// is a secret, or a password where a hash should be.
pub(super) fn parse(text: &str) -> Result<PasswordHash, String> {
    let hash = PasswordHash::new(text).map_err(|_| {
        "what follows the colon is no PHC string; jobtrack user add writes one, which begins with \
         $argon2id$"
            .to_owned()
    })?;
    if hash.algorithm != ARGON2ID_IDENT {
        return Err(format!("the hash is by {}; it must be by argon2id", hash.algorithm));
    }
    if hash.version.is_some_and(|version| version != 0x13) {
        return Err("the hash is by another version of argon2id than 19".to_owned());
    }
    if hash.salt.is_none() || hash.hash.is_none() {
        return Err("the hash is cut short".to_owned());
    }
    let params =
        Params::try_from(&hash).map_err(|error| format!("the hash is malformed: {error}"))?;
    let limits = [
        ("m", params.m_cost(), MOST_MEMORY),
        ("t", params.t_cost(), MOST_PASSES),
        ("p", params.p_cost(), MOST_LANES),
    ];
    for (name, value, most) in limits {
        if value > most {
            return Err(format!("the hash has {name}={value}, at most {most} may be"));
        }
    }
    Ok(hash)
}

/// The hash of no password, as dear to compare as the dearest of these.
pub(super) fn nobodys<'a>(
    hashes: impl Iterator<Item = &'a PasswordHash>,
) -> Result<PasswordHash, String> {
    let params = hashes.filter_map(|hash| Params::try_from(hash).ok());
    let dearest =
        params.max_by_key(|params| u64::from(params.m_cost()) * u64::from(params.t_cost()));
    let params = dearest.unwrap_or_default();
    let mut random = [0; 48];
    SystemRandom::new()
        .fill(&mut random)
        .map_err(|_| "no random numbers are to be had on this machine".to_owned())?;
    let (salt, output) = random.split_at(16);
    let made = || {
        Ok(PasswordHash {
            algorithm: ARGON2ID_IDENT,
            version: Some(0x13),
            params: ParamsString::try_from(&params)?,
            salt: Some(Salt::new(salt)?),
            hash: Some(Output::new(output)?),
        })
    };
    made().map_err(|error: argon2::password_hash::Error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_says_how_it_was_made() {
        let hash = hash("correct horse").unwrap();
        assert!(hash.to_string().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        let read = parse(&hash.to_string()).unwrap();
        assert!(is(b"correct horse", &read));
        for wrong in ["", "correct hors", "correct horse ", "Correct horse"] {
            assert!(!is(wrong.as_bytes(), &read), "{wrong}");
        }
        assert_ne!(hash, super::hash("correct horse").unwrap(), "each has a salt of its own");
    }

    #[test]
    fn a_password_has_a_length_and_can_be_sent() {
        let longest = "x".repeat(LONGEST);
        assert!(is(longest.as_bytes(), &hash(&longest).unwrap()));
        for (bad, why) in [
            (String::new(), "empty"),
            ("x".repeat(LONGEST + 1), "1025 bytes long"),
            ("tab\there".to_owned(), "control"),
        ] {
            let error = hash(&bad).unwrap_err();
            assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidValue, Some("password")));
            assert!(error.message().contains(why), "{error}");
        }
    }

    #[test]
    fn what_nobody_has_costs_what_the_dearest_costs() {
        let of = |m: u32, t: u32| {
            Argon2::from(Params::new(m, t, 1, None).unwrap()).hash_password(b"x").unwrap()
        };
        let hashes = [of(64, 1), of(64, 3), of(16, 4)];
        let nobody = nobodys(hashes.iter()).unwrap();
        assert_eq!(nobody.params, hashes[1].params);
        assert!(!is(b"x", &nobody));
        let nobody = nobodys([].iter()).unwrap();
        assert_eq!(nobody.params, hash("x").unwrap().params);
        // It is well formed, so that comparing does all the work before it says no.
        assert_eq!(parse(&nobody.to_string()).unwrap(), nobody);
    }

    #[test]
    fn a_hash_of_another_make_is_refused() {
        let salt_and_hash = "$EpkyTTH59r1HdD38cCPrOA$FLpx2SZQWGRCG6b0yQ2BlGUsLZCIkEC2m1jelTD7GVw";
        for (bad, why) in [
            ("correct horse".to_owned(), "no PHC string"),
            (String::new(), "no PHC string"),
            ("$2y$10$abcdefghijklmnopqrstuv".to_owned(), "no PHC string"),
            (format!("$argon2i$v=19$m=19456,t=2,p=1{salt_and_hash}"), "by argon2i;"),
            (format!("$argon2id$v=16$m=19456,t=2,p=1{salt_and_hash}"), "another version"),
            ("$argon2id$v=19$m=19456,t=2,p=1".to_owned(), "cut short"),
            (format!("$argon2id$v=19$m=9999999,t=2,p=1{salt_and_hash}"), "m=9999999"),
            (format!("$argon2id$v=19$m=19456,t=99,p=1{salt_and_hash}"), "t=99"),
            (format!("$argon2id$v=19$m=19456,t=0,p=1{salt_and_hash}"), "malformed"),
            (format!("$argon2id$v=19$x=1{salt_and_hash}"), "malformed"),
        ] {
            let problem = parse(&bad).unwrap_err();
            assert!(problem.contains(why), "{bad}: {problem}");
            assert!(!problem.contains("correct horse") && !problem.contains("FLpx"), "{problem}");
        }
    }
}
