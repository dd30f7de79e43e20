//! Random histories: the engine against the plain model.
//!
//! `JOBTRACK_HISTORIES=100000 cargo nextest run -p jobtrack -E 'binary(history)'` plays more.

use proptest::prelude::*;

fn config() -> ProptestConfig {
    let told = std::env::var("JOBTRACK_HISTORIES").ok().and_then(|text| text.parse().ok());
    ProptestConfig { max_shrink_iters: 20_000, ..ProptestConfig::with_cases(told.unwrap_or(4_000)) }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_engine_and_the_model_agree(bytes in proptest::collection::vec(any::<[u8; 4]>(), 0..150)) {
        jobtrack_testkit::history::play(bytes.as_flattened());
    }
}
