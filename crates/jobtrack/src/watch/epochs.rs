//! Which revisions are a part of what the store holds.

use crate::job::Revision;

/// Most epochs that are remembered. One begins with each opening after a crash; what points into
/// one that is not remembered is answered with a gap.
const EPOCHS: usize = 256;

/// The first revision of each epoch, the current one last.
///
/// An epoch ends where the next one begins: its later numbers were lost in the crash between them,
/// and have come again since for other commits.
#[derive(Debug, Default)]
pub(crate) struct Epochs(Vec<Revision>);

impl Epochs {
    pub(crate) fn new(firsts: Vec<Revision>) -> Self {
        Epochs(firsts)
    }

    /// The current epoch, if any was noted.
    pub(crate) fn current(&self) -> Option<u64> {
        self.0.last().map(|first| first.epoch)
    }

    /// Begins an epoch with this revision.
    pub(crate) fn begin(&mut self, first: Revision) {
        self.0.push(first);
    }

    /// The epochs that are still worth to be remembered: a watch that takes up before the latest
    /// forgotten tombstone is told of a gap anyway.
    pub(crate) fn remembered(&self, forgotten: Revision) -> &[Revision] {
        let surplus = self.0.len().saturating_sub(EPOCHS);
        // Each of them ends right before the next one begins.
        let nexts = self.0.iter().skip(1);
        let over = nexts.take_while(|next| next.number <= forgotten.number).count();
        self.0.get(surplus.max(over)..).unwrap_or_default()
    }

    /// Whether the revision was one of this store, and still is at this current one.
    pub(crate) fn hold(&self, revision: Revision, current: Revision) -> bool {
        let Some(at) = self.0.iter().position(|first| first.epoch == revision.epoch) else {
            return false;
        };
        let has_begun = self.0.get(at).is_some_and(|first| first.number <= revision.number);
        let has_lasted = match self.0.get(at + 1) {
            Some(next) => revision.number < next.number,
            None => revision <= current,
        };
        has_begun && has_lasted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: u64, number: u64) -> Revision {
        Revision { epoch, number }
    }

    #[test]
    fn a_revision_holds_from_the_first_of_its_epoch_to_the_first_of_the_next() {
        let epochs = Epochs::new(vec![at(1, 1), at(3, 50), at(4, 60)]);
        for good in [at(1, 1), at(1, 49), at(3, 50), at(3, 59), at(4, 60), at(4, 77)] {
            assert!(epochs.hold(good, at(4, 77)), "{good}");
        }
        for bad in [at(0, 0), at(1, 0), at(1, 50), at(2, 10), at(3, 49), at(3, 60), at(4, 59)] {
            assert!(!epochs.hold(bad, at(4, 77)), "{bad}");
        }
        assert!(!epochs.hold(at(4, 78), at(4, 77)) && !epochs.hold(at(5, 1), at(4, 77)));
    }

    #[test]
    fn epochs_that_no_answer_can_rest_on_are_not_remembered() {
        let mut epochs = Epochs::new(vec![at(1, 1), at(2, 50)]);
        epochs.begin(at(3, 60));
        assert_eq!(epochs.current(), Some(3));
        assert_eq!(epochs.remembered(at(1, 48)).len(), 3);
        // The last revision of the first epoch, 1-49, is just not too old: nothing after it is
        // forgotten.
        assert_eq!(epochs.remembered(at(1, 49)).len(), 3);
        assert_eq!(epochs.remembered(at(2, 50)), [at(2, 50), at(3, 60)]);
        for epoch in 4..1_000 {
            epochs.begin(at(epoch, epoch * 100));
        }
        assert_eq!(epochs.remembered(Revision::default()).len(), EPOCHS);
    }
}
