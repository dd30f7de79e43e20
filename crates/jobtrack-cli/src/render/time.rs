//! Times as people tell them.

use std::time::Duration;

use jobtrack::Timestamp;

/// How long ago, or in how long: "now", "12 s ago", "2 min ago", "in 3 h".
pub(crate) fn from_now(then: Timestamp, now: Timestamp) -> String {
    let (span, is_past) = match then <= now {
        true => (now.saturating_since(then), true),
        false => (then.saturating_since(now), false),
    };
    match (about(span), is_past) {
        _ if span < Duration::from_secs(1) => "now".to_owned(),
        (about, true) => format!("{about} ago"),
        (about, false) => format!("in {about}"),
    }
}

/// A length in its largest unit.
pub(crate) fn about(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_their_largest_unit() {
        let now = Timestamp::from_micros(1_772_352_000_000_000).unwrap();
        let told = |seconds: i64| {
            let then = now.as_micros() + seconds * 1_000_000;
            from_now(Timestamp::from_micros(then).unwrap(), now)
        };
        assert_eq!(told(0), "now");
        assert_eq!(told(-59), "59 s ago");
        assert_eq!(told(-119), "1 min ago");
        assert_eq!(told(7_200), "in 2 h");
        assert_eq!(told(-86_400 * 400), "400 d ago");
    }
}
