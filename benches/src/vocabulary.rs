//! The words of which the generated jobs are made.

/// What is done to what. With [`OBJECTS`] these make the kinds of jobs and, with [`FORMS`], some
/// two thousand templates of descriptions.
pub(crate) const ACTIONS: &[&str] = &[
    "Create",
    "Snapshot",
    "Delete",
    "Modify",
    "Back up",
    "Restore",
    "Mirror update",
    "Move",
    "Resize",
    "Clone",
    "Verify",
    "Mount",
    "Unmount",
    "Replicate",
    "Expire",
    "Scan",
    "Rename",
    "Rehost",
    "Encrypt",
    "Tier",
    "Deduplicate",
    "Export",
    "Import",
    "Rotate keys of",
    "Split clone",
];

/// What jobs work on, with the prefix that the names of such things have.
pub(crate) const OBJECTS: &[(&str, &str)] = &[
    ("volume", "vol"),
    ("snapshot", "snap"),
    ("LUN", "lun"),
    ("qtree", "qt"),
    ("aggregate", "aggr"),
    ("export policy", "exp"),
    ("CIFS share", "share"),
    ("FlexCache", "fc"),
    ("FlexGroup", "fg"),
    ("SnapMirror relationship", "sm"),
    ("consistency group", "cg"),
    ("namespace", "ns"),
    ("bucket", "s3"),
    ("disk", "disk"),
    ("interface", "lif"),
    ("certificate", "cert"),
    ("quota rule", "quota"),
    ("user account", "user"),
    ("schedule", "sched"),
    ("firmware image", "fw"),
];

/// How a description is put: `{a}` is the action, `{o}` the object, `{n}` a name with a number,
/// `{x}` sixteen hexadecimal digits that no other job has.
pub(crate) const FORMS: &[&str] =
    &["{a} {o}", "{a} {o} {n}", "{a} {o}, scheduled", "{a} {o} of request {x}"];

/// Where a running job says it stands; `{p}` is a percentage.
pub(crate) const RUNNING: &[&str] = &[
    "Running: {p} % done",
    "Transferring data ({p} %)",
    "Quiescing the source",
    "Waiting for the partner node",
    "Updating the configuration",
];

/// What a job says that ended well; `{c}` is a number.
pub(crate) const SUCCEEDED: &[&str] = &[
    "Complete: Successful",
    "success",
    "Complete: {c} files",
    "Complete: {c} bytes transferred",
    "Successfully completed, {c} blocks verified",
];

/// What a failed job says. `{n}` is a name with a number, `{e}` the error's code.
pub(crate) const FAILED: &[&str] = &[
    "The {o} {n} is busy; retry later (error {e})",
    "Insufficient space in the aggregate of {n}",
    "The {o} {n} does not exist",
    "Cannot reach the partner of {n}: connection timed out",
    "Internal error {e}",
    "Permission denied on {n}",
    "The license for this operation on a {o} is missing",
    "Quota of {n} exceeded",
];

/// Values of the label `tier`, the commonest first.
pub(crate) const TIERS: &[&str] = &["gold", "silver", "bronze", "archive"];
