//! The reference store, and the test kit's stores around it, keep the contract of `Store`.

// Outside of the test functions themselves clippy does not see that this is a test.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use jobtrack::{ErrorKind, MemoryStore, Result, Store};
use jobtrack_testkit::conformance::{Harness, shared};
use jobtrack_testkit::{CrashStore, DiskFault, Fault, FaultyStore, store_conformance};

mod memory {
    use super::*;
    store_conformance!(shared(MemoryStore::new()));
}

mod faulty {
    use super::*;

    /// Its faults are those of commits; opening it again heals it.
    struct Healing(Arc<FaultyStore<MemoryStore>>);

    impl Harness for Healing {
        fn open(&self) -> Result<Box<dyn Store>> {
            self.0.heal().unwrap();
            Ok(Box::new(Arc::clone(&self.0)))
        }

        fn break_disk(&self, n: u64, _is_lasting: bool, fault: DiskFault) -> bool {
            let fault = match fault {
                DiskFault::Full => Fault::Failed(ErrorKind::StoreFull),
                DiskFault::Error => Fault::Unknown { was_written: false },
                DiskFault::Short => Fault::Unknown { was_written: true },
            };
            self.0.fail_commit(n, fault);
            true
        }

        fn mend_disk(&self) {
            self.0.forget_faults();
        }
    }

    store_conformance!(Healing(Arc::new(FaultyStore::new(MemoryStore::new()))));
}

mod crash {
    use super::*;
    store_conformance!(shared(CrashStore::new()));
}
