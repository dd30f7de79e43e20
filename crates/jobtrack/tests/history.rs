//! Random histories: the engine against the plain model.
//!
//! `JOBTRACK_HISTORIES=100000 cargo nextest run -p jobtrack -E 'binary(history)'` plays more.

use proptest::prelude::*;

fn config() -> ProptestConfig {
    let told = std::env::var("JOBTRACK_HISTORIES").ok().and_then(|text| text.parse().ok());
    ProptestConfig { max_shrink_iters: 20_000, ..ProptestConfig::with_cases(told.unwrap_or(4_000)) }
}

/// Histories in which the two once disagreed.
const FOUND: &[&[[u8; 4]]] = &[
    // A parent and its child are lost within one commit, and neither stays; the next command of that
    // commit makes the parent anew.
    &[
        [125, 136, 0, 196],
        [75, 92, 46, 202],
        [3, 0, 0, 0],
        [20, 0, 12, 110],
        [120, 0, 166, 0],
        [0, 133, 0, 6],
        [85, 0, 92, 0],
        [125, 118, 0, 17],
    ],
    // A uuid is asked for whose last child has expired, within a second after the archive was asked.
    &[
        [225, 7, 0, 62],
        [175, 2, 0, 100],
        [120, 0, 39, 17],
        [10, 0, 60, 0],
        [14, 0, 0, 0],
        [185, 0, 90, 0],
        [89, 0, 29, 0],
        [175, 163, 0, 28],
    ],
];

#[test]
fn what_they_disagreed_in_they_agree_in_now() {
    for bytes in FOUND {
        jobtrack_testkit::history::play(bytes.as_flattened());
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_engine_and_the_model_agree(bytes in proptest::collection::vec(any::<[u8; 4]>(), 0..150)) {
        jobtrack_testkit::history::play(bytes.as_flattened());
    }
}
