//! `RedbStore` keeps the contract of `Store`.

// Outside of the test functions themselves clippy does not see that this is a test.
#![allow(clippy::unwrap_used)]

use jobtrack::Result;
use jobtrack::store::Store;
use jobtrack_redb::{Options, RedbStore};
use jobtrack_testkit::conformance::Harness;
use jobtrack_testkit::{Disk, DiskFault, store_conformance};

/// A folder of its own for each test.
fn in_a_folder() -> impl Harness {
    let parent = tempfile::tempdir().unwrap();
    move || {
        let store = RedbStore::open(parent.path().join("data"))?;
        Ok(Box::new(store) as Box<dyn Store>)
    }
}

store_conformance!(in_a_folder());

/// The same with its file on a disk that fails when it is told to.
mod on_a_disk {
    use super::*;

    struct OnADisk {
        parent: tempfile::TempDir,
        disk: Disk,
    }

    impl Harness for OnADisk {
        fn open(&self) -> Result<Box<dyn Store>> {
            let (path, disk) = (self.parent.path().join("data"), self.disk.clone());
            let wrap = move |_| Box::new(disk.clone()) as Box<_>;
            Ok(Box::new(RedbStore::open_wrapped(path, &Options::default(), wrap)?))
        }

        fn break_disk(&self, n: u64, is_lasting: bool, fault: DiskFault) -> bool {
            self.disk.fail(n, is_lasting, fault);
            true
        }

        fn mend_disk(&self) {
            self.disk.heal();
        }
    }

    store_conformance!(OnADisk {
        parent: tempfile::tempdir().unwrap(),
        disk: Disk::new(Vec::new()),
    });
}
