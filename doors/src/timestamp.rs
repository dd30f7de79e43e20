//! A time as a client writes it.

use jobtrack::Timestamp;

/// Parses the time.
///
/// # Panics
///
/// Where it does not read back, or lies beyond the range.
pub fn timestamp(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Timestamp::parse(text) {
        Err(error) => assert!(error.position().unwrap_or(0) <= text.len(), "{error}"),
        Ok(parsed) => {
            assert!((Timestamp::MIN..=Timestamp::MAX).contains(&parsed.at));
            assert_eq!(parsed.has_fraction, text.contains('.'));
            let again = Timestamp::parse(&parsed.at.to_string());
            assert_eq!(again.expect("what is shown is a time").at, parsed.at);
            assert!(parsed.at.floor_to_second() <= parsed.at);
            assert!(parsed.at.end_of_second() >= parsed.at);
        }
    }
}
