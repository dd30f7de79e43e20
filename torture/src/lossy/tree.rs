//! Folders and files of which a power cut takes what was not synced, names as well as bytes.
//!
//! A file's bytes are a [`Disk`]'s. A name that was made, moved or removed is durable when its folder
//! was synced; until then a power cut may take it, alone or with all that came after it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;

use jobtrack_testkit::{Disk, Random};

/// Linux's numbers.
const ENOENT: i32 = 2;
const EIO: i32 = 5;
const EEXIST: i32 = 17;
const ENOTDIR: i32 = 20;
const EISDIR: i32 = 21;
const ENOTEMPTY: i32 = 39;

/// The number of the folder above all.
pub const ROOT: u64 = 1;

/// A file system in memory.
#[derive(Debug)]
pub struct Tree {
    nodes: BTreeMap<u64, Node>,
    next: u64,
    /// The changes of names that are not durable yet, in order.
    since: Vec<Change>,
    /// How many operations there were that change or sync something.
    operations: u64,
    /// The number of the operation at which the power goes.
    off_at: Option<u64>,
}

/// What a number stands for.
#[derive(Debug, Clone)]
enum Node {
    Folder { seen: Names, synced: Names },
    File(Disk),
}

type Names = BTreeMap<OsString, u64>;

#[derive(Debug, Clone)]
enum Change {
    Add { folder: u64, name: OsString, node: u64 },
    Remove { folder: u64, name: OsString },
    Move { from: (u64, OsString), to: (u64, OsString), node: u64 },
}

/// What is told of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Its number.
    pub node: u64,
    /// Its length; None of a folder.
    pub length: Option<u64>,
}

impl Default for Tree {
    fn default() -> Self {
        let root = Node::Folder { seen: Names::new(), synced: Names::new() };
        Tree {
            nodes: BTreeMap::from([(ROOT, root)]),
            next: ROOT + 1,
            since: Vec::new(),
            operations: 0,
            off_at: None,
        }
    }
}

impl Tree {
    /// Cuts the power at the n-th change or sync from now on; 1 is the next. Then everything fails.
    pub fn cut_power(&mut self, n: u64) {
        self.off_at = Some(self.operations + n);
    }

    /// How many changes and syncs there were.
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// What a power cut at this moment leaves: one of the many trees it may be, all of it durable.
    pub fn after_power_cut(&self, random: &mut Random) -> Tree {
        // What is durable as one tree, to which the changes that survive are made.
        let mut left = Tree { next: self.next, ..Tree::default() };
        for (number, node) in &self.nodes {
            let node = match node {
                Node::Folder { synced, .. } => {
                    Node::Folder { seen: synced.clone(), synced: synced.clone() }
                }
                Node::File(disk) => Node::File(Disk::new(disk.after_power_cut(random))),
            };
            left.nodes.insert(*number, node);
        }
        // Either the first so many changes, as file systems with a journal keep them, or any.
        let (kept, is_journal) = (random.below(1_001), random.chance(500));
        for change in &self.since {
            if random.chance(kept) {
                left.apply_seen(change);
            } else if is_journal {
                break;
            }
        }
        left.settle();
        left
    }

    /// A copy of its own, all of it durable.
    pub fn copy(&self) -> Tree {
        let mut copy = Tree { next: self.next, ..Tree::default() };
        for (number, node) in &self.nodes {
            let node = match node {
                Node::Folder { .. } => node.clone(),
                Node::File(disk) => Node::File(Disk::new(disk.bytes())),
            };
            copy.nodes.insert(*number, node);
        }
        copy.settle();
        copy
    }

    /// Takes what is seen for durable.
    fn settle(&mut self) {
        self.since.clear();
        for node in self.nodes.values_mut() {
            if let Node::Folder { seen, synced } = node {
                synced.clone_from(seen);
            }
        }
    }

    /// What stands under a name.
    ///
    /// # Errors
    ///
    /// Those of Linux, as with every operation.
    pub fn look_up(&self, folder: u64, name: &OsStr) -> io::Result<Status> {
        self.check_power()?;
        let node = self.names(folder)?.get(name).ok_or_else(|| error(ENOENT))?;
        self.status(*node)
    }

    /// What is told of a node.
    ///
    /// # Errors
    ///
    /// Those of Linux.
    pub fn status(&self, node: u64) -> io::Result<Status> {
        self.check_power()?;
        let length = match self.nodes.get(&node).ok_or_else(|| error(ENOENT))? {
            Node::Folder { .. } => None,
            Node::File(disk) => Some(disk.len()?),
        };
        Ok(Status { node, length })
    }

    /// The names in a folder, each with what is told of it.
    ///
    /// # Errors
    ///
    /// Those of Linux.
    pub fn list(&self, folder: u64) -> io::Result<Vec<(OsString, Status)>> {
        self.check_power()?;
        let names = self.names(folder)?.iter();
        names.map(|(name, node)| Ok((name.clone(), self.status(*node)?))).collect()
    }

    /// Makes an empty file, or a folder.
    ///
    /// # Errors
    ///
    /// Those of Linux.
    pub fn make(&mut self, folder: u64, name: &OsStr, is_folder: bool) -> io::Result<Status> {
        self.begin()?;
        if self.names(folder)?.contains_key(name) {
            return Err(error(EEXIST));
        }
        let node = self.next;
        self.next += 1;
        let made = match is_folder {
            true => Node::Folder { seen: Names::new(), synced: Names::new() },
            false => Node::File(Disk::new(Vec::new())),
        };
        self.nodes.insert(node, made);
        self.change(Change::Add { folder, name: name.to_owned(), node });
        self.status(node)
    }

    /// Removes a name. Whoever has the file open keeps it.
    ///
    /// # Errors
    ///
    /// Those of Linux.
    pub fn remove(&mut self, folder: u64, name: &OsStr, is_folder: bool) -> io::Result<()> {
        self.begin()?;
        let node = *self.names(folder)?.get(name).ok_or_else(|| error(ENOENT))?;
        match (self.nodes.get(&node), is_folder) {
            (Some(Node::Folder { seen, .. }), true) if !seen.is_empty() => {
                return Err(error(ENOTEMPTY));
            }
            (Some(Node::Folder { .. }), false) => return Err(error(EISDIR)),
            (Some(Node::File(_)), true) => return Err(error(ENOTDIR)),
            _ => {}
        }
        self.change(Change::Remove { folder, name: name.to_owned() });
        Ok(())
    }

    /// Gives what stands under one name another, in place of what stood under that.
    ///
    /// # Errors
    ///
    /// Those of Linux.
    pub fn rename(&mut self, from: (u64, &OsStr), to: (u64, &OsStr)) -> io::Result<()> {
        self.begin()?;
        let node = *self.names(from.0)?.get(from.1).ok_or_else(|| error(ENOENT))?;
        self.names(to.0)?;
        let (from, to) = ((from.0, from.1.to_owned()), (to.0, to.1.to_owned()));
        self.change(Change::Move { from, to, node });
        Ok(())
    }

    /// Up to so many bytes.
    ///
    /// # Errors
    ///
    /// Those of Linux.
    pub fn read(&self, node: u64, offset: u64, most: u64) -> io::Result<Vec<u8>> {
        self.check_power()?;
        let disk = self.disk(node)?;
        let count = disk.len()?.saturating_sub(offset).min(most);
        let mut bytes = vec![0; usize::try_from(count).unwrap_or(0)];
        disk.read(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// Writes these bytes.
    ///
    /// # Errors
    ///
    /// Those of Linux.
    pub fn write(&mut self, node: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.begin()?;
        self.disk(node)?.write(offset, bytes)
    }

    /// Cuts a file, or makes it longer.
    ///
    /// # Errors
    ///
    /// Those of Linux.
    pub fn set_length(&mut self, node: u64, length: u64) -> io::Result<()> {
        self.begin()?;
        self.disk(node)?.set_len(length)
    }

    /// Makes a file's bytes durable, or a folder's names.
    ///
    /// # Errors
    ///
    /// Those of Linux.
    pub fn sync(&mut self, node: u64) -> io::Result<()> {
        self.begin()?;
        if let Ok(disk) = self.disk(node) {
            return disk.sync();
        }
        for change in std::mem::take(&mut self.since) {
            if change.touches(node) {
                self.apply_synced(&change);
            } else {
                self.since.push(change);
            }
        }
        Ok(())
    }

    fn begin(&mut self) -> io::Result<()> {
        self.operations += 1;
        self.check_power()
    }

    fn check_power(&self) -> io::Result<()> {
        if self.off_at.is_some_and(|at| self.operations >= at) { Err(error(EIO)) } else { Ok(()) }
    }

    fn names(&self, folder: u64) -> io::Result<&Names> {
        match self.nodes.get(&folder) {
            Some(Node::Folder { seen, .. }) => Ok(seen),
            Some(Node::File(_)) => Err(error(ENOTDIR)),
            None => Err(error(ENOENT)),
        }
    }

    fn disk(&self, node: u64) -> io::Result<&Disk> {
        match self.nodes.get(&node) {
            Some(Node::File(disk)) => Ok(disk),
            Some(Node::Folder { .. }) => Err(error(EISDIR)),
            None => Err(error(ENOENT)),
        }
    }

    fn change(&mut self, change: Change) {
        self.apply_seen(&change);
        self.since.push(change);
    }

    fn apply_seen(&mut self, change: &Change) {
        self.apply(change, |node| match node {
            Node::Folder { seen, .. } => Some(seen),
            Node::File(_) => None,
        });
    }

    fn apply_synced(&mut self, change: &Change) {
        self.apply(change, |node| match node {
            Node::Folder { synced, .. } => Some(synced),
            Node::File(_) => None,
        });
    }

    /// Makes a change in those names that are chosen.
    fn apply(&mut self, change: &Change, choose: impl Fn(&mut Node) -> Option<&mut Names>) {
        let mut with = |folder: &u64, change: &dyn Fn(&mut Names)| {
            if let Some(names) = self.nodes.get_mut(folder).and_then(&choose) {
                change(names);
            }
        };
        match change {
            Change::Add { folder, name, node } => with(folder, &|names| {
                names.insert(name.clone(), *node);
            }),
            Change::Remove { folder, name } => with(folder, &|names| {
                names.remove(name);
            }),
            Change::Move { from, to, node } => {
                with(&from.0, &|names| names.retain(|name, of| *name != from.1 || of != node));
                with(&to.0, &|names| {
                    names.insert(to.1.clone(), *node);
                });
            }
        }
    }
}

impl Change {
    fn touches(&self, node: u64) -> bool {
        match self {
            Change::Add { folder, .. } | Change::Remove { folder, .. } => *folder == node,
            Change::Move { from, to, .. } => from.0 == node || to.0 == node,
        }
    }
}

fn error(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(tree: &Tree) -> Vec<String> {
        let names = tree.list(ROOT).unwrap().into_iter();
        names.map(|(name, _)| name.into_string().unwrap()).collect()
    }

    #[test]
    fn a_name_lasts_when_its_folder_is_synced_and_bytes_when_their_file_is() {
        let mut tree = Tree::default();
        let file = tree.make(ROOT, "a".as_ref(), false).unwrap().node;
        tree.write(file, 0, b"synced").unwrap();
        tree.sync(file).unwrap();
        let left = |tree: &Tree| -> Vec<Vec<String>> {
            (0..50).map(|seed| names(&tree.after_power_cut(&mut Random::new(seed)))).collect()
        };
        assert!(left(&tree).contains(&Vec::new()), "its name may be gone");
        tree.sync(ROOT).unwrap();
        assert!(left(&tree).iter().all(|names| names == &["a"]));

        tree.write(file, 0, b"later!").unwrap();
        tree.rename((ROOT, "a".as_ref()), (ROOT, "b".as_ref())).unwrap();
        let mut seen = Vec::new();
        for seed in 0..100 {
            let left = tree.after_power_cut(&mut Random::new(seed));
            let [name] = names(&left).try_into().unwrap();
            let found = left.look_up(ROOT, name.as_ref()).unwrap();
            seen.push((name, left.read(found.node, 0, 100).unwrap()));
        }
        for (name, bytes) in
            [("a", b"synced"), ("a", b"later!"), ("b", b"synced"), ("b", b"later!")]
        {
            let expected = (name.to_owned(), bytes.to_vec());
            assert!(seen.contains(&expected), "never seen: {expected:?}");
        }
    }

    #[test]
    fn without_power_everything_fails_and_nothing_is_done() {
        let mut tree = Tree::default();
        let file = tree.make(ROOT, "a".as_ref(), false).unwrap().node;
        tree.cut_power(2);
        tree.write(file, 0, b"1").unwrap();
        assert!(tree.write(file, 0, b"2").is_err());
        assert!(tree.read(file, 0, 1).is_err() && tree.list(ROOT).is_err());
        let copy = tree.copy();
        assert_eq!(copy.read(file, 0, 1).unwrap(), b"1");
    }
}
