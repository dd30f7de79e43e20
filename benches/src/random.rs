//! Numbers that look random and are the same for ever.

/// A stream of numbers from a seed: splitmix64.
///
/// Own, and of integers alone, since the jobs of a seed must be the same in every release and on
/// every machine; libraries of random numbers promise neither for their default generators.
///
/// ```
/// use jobtrack_benches::Random;
///
/// assert_eq!(Random::new(7).below(1_000), Random::new(7).below(1_000));
/// ```
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The stream of this seed.
    pub fn new(seed: u64) -> Self {
        Random { state: seed }
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0, each as likely as the other.
    pub fn below(&mut self, end: u64) -> u64 {
        // The bias of a remainder is below one in four billion for every end used here.
        self.number() % end
    }

    /// Yes in so many cases of a thousand.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    /// A number below `end`, small ones far likelier: of a thousand, the first comes up 28 times as
    /// often as on average.
    pub fn skewed(&mut self, end: u64) -> u64 {
        let limit = self.below(end) + 1;
        let limit = self.below(limit) + 1;
        self.below(limit)
    }

    /// A number from `2^low` up to `2^high`, each power of two as likely as the other.
    pub fn spread(&mut self, low: u32, high: u32) -> u64 {
        let exponent = u64::from(low) + self.below(u64::from(high - low));
        (1_u64 << exponent) + self.below(1 << exponent)
    }

    /// One of these, each as likely as the other.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.index(of.len())]
    }

    /// One of these, the first ones far likelier.
    pub fn pick_skewed<T: Copy>(&mut self, of: &[T]) -> T {
        let index = self.skewed(of.len() as u64);
        of[usize::try_from(index).unwrap_or(0)]
    }

    fn index(&mut self, len: usize) -> usize {
        // Below `len`, so it fits.
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_splitmix64() {
        // The first values of seed 1234567 as its author published them.
        let mut random = Random::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| random.number()).collect();
        assert_eq!(first, [6457827717110365317, 3203168211198807973, 9817491932198370423]);
    }

    #[test]
    fn skewed_numbers_reach_both_ends_and_prefer_the_first() {
        let mut random = Random::new(1);
        let mut seen = [0_u32; 10];
        for _ in 0..100_000 {
            seen[usize::try_from(random.skewed(10)).unwrap()] += 1;
        }
        assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "{seen:?}");
        assert!(seen[0] > 3 * seen[4] && seen[9] > 0, "{seen:?}");
    }
}
