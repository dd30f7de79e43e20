//! Wrong passwords and tokens: how often they may be tried, by one address and for one user.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How many may be wrong in a row before one has to wait: for one user from one address, and for
/// whomever from one address, where people who share it may each mistype.
const BURST_PAIR: u32 = 10;
const BURST_ADDRESS: u32 = 50;
/// After how long one more may be tried, of each.
const PAUSE_PAIR: Duration = Duration::from_secs(10);
const PAUSE_ADDRESS: Duration = Duration::from_secs(1);
/// How many addresses and pairs are remembered: some 400 KiB.
const REMEMBERED: usize = 8_192;

/// Who failed lately.
///
/// A user is not locked out by others: what counts is who fails from where, and a password that was
/// right lately is not counted at all.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    failures: Mutex<HashMap<Key, Failures>>,
    hasher: RandomState,
}

/// An address, and of which user; the hash of a name is enough, and has a bound.
type Key = (Option<IpAddr>, Option<u64>);

#[derive(Debug)]
struct Failures {
    count: u32,
    /// Since when; each pause that passes takes one away.
    since: Instant,
}

impl Failures {
    fn left(&self, pause: Duration, now: Instant) -> u32 {
        let passed =
            now.saturating_duration_since(self.since).as_millis() / pause.as_millis().max(1);
        self.count.saturating_sub(u32::try_from(passed).unwrap_or(u32::MAX))
    }
}

impl Throttle {
    /// For how long nothing is to be tried, if it is to be: by this address, for this user.
    pub(super) fn wait(
        &self,
        address: Option<IpAddr>,
        user: &str,
        now: Instant,
    ) -> Option<Duration> {
        let failures = self.failures.lock();
        let waits = self.keys(address, user).into_iter().filter_map(|(key, burst, pause)| {
            let failed = failures.get(&key)?;
            let over = failed.left(pause, now).checked_sub(burst - 1).filter(|over| *over > 0)?;
            let into = now.saturating_duration_since(failed.since).as_millis() % pause.as_millis();
            let into = Duration::from_millis(u64::try_from(into).unwrap_or(0));
            Some((pause * over).saturating_sub(into))
        });
        waits.max()
    }

    /// Takes note of a failure.
    pub(super) fn failed(&self, address: Option<IpAddr>, user: &str, now: Instant) {
        let mut failures = self.failures.lock();
        for (key, burst, pause) in self.keys(address, user) {
            if failures.len() >= REMEMBERED && !failures.contains_key(&key) {
                make_room(&mut failures, now);
            }
            let failed = failures.entry(key).or_insert(Failures { count: 0, since: now });
            let count = failed.left(pause, now) + 1;
            // No more than one pause ahead: who waits may then try again.
            *failed = Failures { count: count.min(burst), since: now };
        }
    }

    fn keys(&self, address: Option<IpAddr>, user: &str) -> [(Key, u32, Duration); 2] {
        let address = address.map(block);
        let user = self.hasher.hash_one(user);
        [
            ((address, Some(user)), BURST_PAIR, PAUSE_PAIR),
            ((address, None), BURST_ADDRESS, PAUSE_ADDRESS),
        ]
    }
}

/// Lets go of what has passed; and where that is not enough, of what is oldest.
fn make_room(failures: &mut HashMap<Key, Failures>, now: Instant) {
    let pause = |key: &Key| if key.1.is_some() { PAUSE_PAIR } else { PAUSE_ADDRESS };
    failures.retain(|key, failed| failed.left(pause(key), now) > 0);
    if failures.len() < REMEMBERED {
        return;
    }
    // A quarter at a time, so that not every failure has to look through all of them.
    let mut times: Vec<Instant> = failures.values().map(|failed| failed.since).collect();
    let quarter = REMEMBERED / 4;
    let (_, oldest, _) = times.select_nth_unstable(quarter);
    let oldest = *oldest;
    let mut left = quarter;
    failures.retain(|_, failed| {
        let goes = failed.since <= oldest && left > 0;
        left -= usize::from(goes);
        !goes
    });
}

/// The block of addresses that one client has: of IPv6 a /64, of which each host takes any address.
fn block(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> Option<IpAddr> {
        Some(IpAddr::V4(n.into()))
    }

    #[test]
    fn who_fails_too_often_waits_and_others_do_not() {
        let (throttle, begun) = (Throttle::default(), Instant::now());
        for _ in 0..BURST_PAIR {
            assert_eq!(throttle.wait(address(1), "alice", begun), None);
            throttle.failed(address(1), "alice", begun);
        }
        assert_eq!(throttle.wait(address(1), "alice", begun), Some(PAUSE_PAIR));
        assert_eq!(throttle.wait(address(2), "alice", begun), None, "she may come from elsewhere");
        assert_eq!(throttle.wait(address(1), "bob", begun), None);
        let half = begun + PAUSE_PAIR / 2;
        assert_eq!(throttle.wait(address(1), "alice", half), Some(PAUSE_PAIR / 2));
        let later = begun + PAUSE_PAIR;
        assert_eq!(throttle.wait(address(1), "alice", later), None);
        throttle.failed(address(1), "alice", later);
        let wait = throttle.wait(address(1), "alice", later);
        assert_eq!(wait, Some(PAUSE_PAIR), "one at a time from then on");
        let much_later = later + PAUSE_PAIR * BURST_PAIR;
        for _ in 0..BURST_PAIR {
            assert_eq!(throttle.wait(address(1), "alice", much_later), None);
            throttle.failed(address(1), "alice", much_later);
        }
        assert!(throttle.wait(address(1), "alice", much_later).is_some());
    }

    #[test]
    fn one_address_tries_no_number_of_names() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for n in 0..BURST_ADDRESS {
            assert_eq!(throttle.wait(address(1), &n.to_string(), now), None, "{n}");
            throttle.failed(address(1), &n.to_string(), now);
        }
        assert!(throttle.wait(address(1), "another", now).is_some());
        assert!(throttle.wait(address(2), "another", now).is_none());
        let host = |last: u16| Some(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, last)));
        for n in 0..BURST_ADDRESS {
            throttle.failed(host(u16::try_from(n).unwrap()), &n.to_string(), now);
        }
        assert!(throttle.wait(host(9_999), "y", now).is_some(), "one host has all of a /64");
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for n in 0..3 * u32::try_from(REMEMBERED).unwrap() {
            throttle.failed(address(n), "alice", now);
            assert!(throttle.failures.lock().len() <= REMEMBERED);
        }
        // Those that came last are remembered.
        assert!(throttle.failures.lock().len() > REMEMBERED / 2);
    }
}
