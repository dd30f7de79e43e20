//! The reference store, and the test kit's stores around it, keep the contract of `Store`.

use jobtrack::MemoryStore;
use jobtrack_testkit::conformance::shared;
use jobtrack_testkit::{CrashStore, FaultyStore, store_conformance};

mod memory {
    use super::*;
    store_conformance!(shared(MemoryStore::new()));
}

mod faulty {
    use super::*;
    store_conformance!(shared(FaultyStore::new(MemoryStore::new())));
}

mod crash {
    use super::*;
    store_conformance!(shared(CrashStore::new()));
}
