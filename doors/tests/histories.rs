//! Random histories on every store that keeps its jobs in files: the engine against the plain model.
//!
//! `JOBTRACK_HISTORIES=2000 cargo nextest run -p jobtrack-doors -E 'binary(histories)'` plays more.

// The helpers of tests are a part of them.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};

/// With this byte before it, a history is played on that store.
const STORES: [(u8, &str); 3] = [(0, "redb"), (1, "fjall"), (2, "sled")];

#[test]
fn the_engine_and_the_model_agree_on_every_store() {
    let told = std::env::var("JOBTRACK_HISTORIES").ok().and_then(|text| text.parse().ok());
    for (kind, name) in STORES {
        let config = ProptestConfig {
            // Each takes some milliseconds, and a failure is as easily understood if it is long.
            max_shrink_iters: 500,
            failure_persistence: None,
            ..ProptestConfig::with_cases(told.unwrap_or(60))
        };
        let histories = proptest::collection::vec(any::<[u8; 4]>(), 0..80);
        let played = TestRunner::new(config).run(&histories, |operations| {
            let mut bytes = vec![kind];
            bytes.extend(operations.as_flattened());
            jobtrack_doors::stores(&bytes);
            Ok::<(), TestCaseError>(())
        });
        assert!(played.is_ok(), "{name}: {}", played.unwrap_err());
    }
}
