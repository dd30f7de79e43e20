//! What can still be read of a damaged file, page by page, without redb.
//!
//! redb does not open a file in which one page does not match its checksum. But every page has its
//! checksum beside the number under which its parent names it, so all others are proved, and this
//! walks from the roots to every leaf that is. Of a branch that does not match, those children are
//! taken that match what it says of them: no damage makes a checksum of 128 bits come out right.
//!
//! The format is redb's own, version 3, all numbers little endian; a tree is named by
//! `page u64 · checksum u128 · length u64`:
//!
//! ```text
//! file    header, then pages; the regions of pages follow one another
//! header  magic · flags · 2 · page size u32 · region header pages u32 · region data pages u32
//!         at 64 and 192 a slot: version · has a tree · 6 · tree of tables · … at 104 transaction u64
//!         · at 112 checksum of the slot
//! branch  2 · 1 · number of keys u16 · 4 · checksum u128 per child · page u64 per child · ends, keys
//! leaf    1 · 1 · number of pairs u16 · end of each key u32 · end of each value u32 · keys · values
//! ```
//!
//! A page number is, from the lowest bit: 20 bits index, 20 bits region, 19 unused, 5 bits the order:
//! the page is 2^order of the smallest ones, and its index counts in its own size.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use jobtrack::store::{Folder, Loss, Record, Remains, Space};
use jobtrack::{Error, ErrorKind, Result};
use xxhash_rust::xxh3::xxh3_128;

use crate::DATA_FILE;

/// How deep a tree can be at most: a page that names itself must not be followed for ever.
const DEPTH: usize = 64;

/// The largest page that is read.
const LARGEST: u64 = 4 << 30;

/// Reads what is left of the store in this folder, and writes nothing.
pub(crate) fn salvage(folder: &Path) -> Result<Remains> {
    let _still = Folder::hold_still(folder)?;
    let path = folder.join(DATA_FILE);
    let refused = |error| Folder::refusal("read", &path, error);
    let mut file = File::open(&path).map_err(refused)?;
    let mut header = Vec::new();
    (&mut file).take(320).read_to_end(&mut header).map_err(refused)?;
    if header.len() < 320 {
        let message = format!("{} is shorter than the header of a redb file", path.display());
        return Err(Error::new(ErrorKind::StoreDamaged, message));
    }
    // The newer first. Of two that tell as much, it is the one to believe.
    let mut slots: Vec<_> = [64, 192].iter().filter_map(|at| Slot::read(&header, *at)).collect();
    slots.sort_by_key(|slot| std::cmp::Reverse((slot.is_whole, slot.transaction)));
    let mut best: Option<Remains> = None;
    for slot in slots {
        let mut walk = Walk::new(&mut file, &path, &header);
        walk.tables(&slot).map_err(refused)?;
        let remains = walk.remains;
        // A newer commit that a crash has torn has pages that were never written; then redb itself
        // goes back to the one before.
        let lost = |remains: &Remains| remains.losses.len();
        if best.as_ref().is_none_or(|best| lost(&remains) < lost(best)) {
            best = Some(remains);
        }
    }
    best.ok_or_else(|| {
        let message = format!("{} names no tree of tables in its header", path.display());
        Error::new(ErrorKind::StoreDamaged, message)
    })
}

/// One of the two places in the header that say where everything begins.
struct Slot {
    is_whole: bool,
    transaction: u64,
    root: Tree,
}

impl Slot {
    fn read(header: &[u8], at: usize) -> Option<Slot> {
        let slot = header.get(at..at + 128)?;
        let (body, check) = slot.split_last_chunk()?;
        let has_tree = *slot.get(1)? != 0;
        has_tree.then_some(Slot {
            is_whole: u128::from_le_bytes(*check) == xxh3_128(body),
            transaction: number(slot, 104)?,
            root: Tree::read(slot.get(8..)?)?,
        })
    }
}

/// Where a tree begins.
#[derive(Clone, Copy)]
struct Tree {
    page: u64,
    check: u128,
}

impl Tree {
    fn read(bytes: &[u8]) -> Option<Tree> {
        let check = bytes.get(8..24)?.first_chunk()?;
        Some(Tree { page: number(bytes, 0)?, check: u128::from_le_bytes(*check) })
    }
}

/// What is read: one tree after another.
struct Walk<'f> {
    file: &'f mut File,
    path: PathBuf,
    page_bytes: u64,
    region_header: u64,
    region_bytes: u64,
    remains: Remains,
}

/// The pairs of a tree, each with the offset of its page.
type Pairs = Vec<(u64, Vec<u8>, Vec<u8>)>;

impl<'f> Walk<'f> {
    fn new(file: &'f mut File, path: &Path, header: &[u8]) -> Self {
        let field = |at: usize| {
            let bytes = header.get(at..at + 4)?.first_chunk()?;
            Some(u64::from(u32::from_le_bytes(*bytes)))
        };
        // Every file has these, unless its header is damaged.
        let page_bytes = 4096;
        let region_header = field(16).filter(|pages| *pages <= 1 << 20).unwrap_or(0);
        let data = field(20).filter(|pages| (1..=1 << 20).contains(pages)).unwrap_or(1 << 20);
        Walk {
            file,
            path: path.to_owned(),
            page_bytes,
            region_header: region_header * page_bytes,
            region_bytes: (region_header + data) * page_bytes,
            remains: Remains::default(),
        }
    }

    /// Reads the tree of tables, and every table that is ours.
    fn tables(&mut self, slot: &Slot) -> io::Result<()> {
        let mut tables = Pairs::new();
        self.tree(slot.root, None, None, "the tree of tables", &mut tables, DEPTH)?;
        for (at, name, definition) in tables {
            let space = Space::ALL.iter().find(|space| space.name().as_bytes() == name);
            // Type, number of records, whether it has any, and where they begin.
            let has_any = definition.get(9).is_some_and(|byte| *byte != 0);
            let Some(tree) = definition.get(10..).and_then(Tree::read) else {
                let name = String::from_utf8_lossy(&name).into_owned();
                self.lose(at, None, format!("the table {name} is not described as redb does it"));
                continue;
            };
            if !has_any {
                continue;
            }
            let mut pairs = Pairs::new();
            match space {
                Some(space) => {
                    let what = format!("a part of the table {}", space.name());
                    self.tree(tree, None, Some(*space), &what, &mut pairs, DEPTH)?;
                    for (at, key, value) in pairs {
                        self.record(at, *space, key, &value);
                    }
                }
                None if name == b"store" => {
                    let what = "the number of the last commit";
                    self.tree(tree, Some(8), None, what, &mut pairs, DEPTH)?;
                    let commit = pairs.iter().find(|(_, key, _)| key == b"commit");
                    let commit = commit.and_then(|(_, _, value)| number(value, 0));
                    self.remains.commit = commit.unwrap_or(0);
                }
                None => {}
            }
        }
        Ok(())
    }

    fn record(&mut self, at: u64, space: Space, key: Vec<u8>, value: &[u8]) {
        match value.split_first_chunk() {
            Some((revision, value)) => {
                let revision = u64::from_be_bytes(*revision);
                let record = Record { revision, value: value.to_vec() };
                self.remains.records.push((space, key, record));
            }
            None => self.lose(at, Some((space, key)), "it is cut short".to_owned()),
        }
    }

    /// Collects the pairs of a tree. Values of a fixed length have no ends.
    fn tree(
        &mut self,
        tree: Tree,
        fixed: Option<usize>,
        space: Option<Space>,
        what: &str,
        pairs: &mut Pairs,
        depth: usize,
    ) -> io::Result<()> {
        let offset = self.offset(tree.page);
        let Some(page) = self.page(tree.page)? else {
            self.lose(offset, None, format!("{what} is beyond the end of the file"));
            return Ok(());
        };
        let is_proved = |end: Option<usize>| {
            end.and_then(|end| page.get(..end)).is_some_and(|used| xxh3_128(used) == tree.check)
        };
        match page.first() {
            Some(1) => {
                let leaf = Leaf { page: &page, fixed };
                if is_proved(leaf.end()) {
                    pairs.extend(leaf.pairs().map(|(key, value)| (offset, key, value)));
                    return Ok(());
                }
                // Their values prove nothing, but their keys say what is missing.
                let keys: Vec<_> = leaf.pairs().map(|(key, _)| key).take(1 << 16).collect();
                let why = format!("{what} does not match its checksum");
                match space.filter(|_| !keys.is_empty()) {
                    None => self.lose(offset, None, why),
                    Some(space) => {
                        for key in keys {
                            self.lose(offset, Some((space, key)), why.clone());
                        }
                    }
                }
                Ok(())
            }
            Some(2) if depth > 0 => {
                let children = branch_children(&page);
                if !is_proved(branch_end(&page)) {
                    let why = "a branch does not match its checksum; what it still names is read";
                    self.lose(offset, None, format!("{what}: {why}"));
                }
                for child in children {
                    self.tree(child, fixed, space, what, pairs, depth - 1)?;
                }
                Ok(())
            }
            _ => {
                self.lose(offset, None, format!("{what} is no page of a tree"));
                Ok(())
            }
        }
    }

    fn offset(&self, page: u64) -> u64 {
        let order = page >> 59;
        let index = page & (0x000F_FFFF >> order);
        let region = (page >> 20) & 0x000F_FFFF;
        let within = self.region_header + index * (self.page_bytes << order);
        self.page_bytes.saturating_add(region.saturating_mul(self.region_bytes)) + within
    }

    /// The page of this number; None if the file ends before it does.
    fn page(&mut self, page: u64) -> io::Result<Option<Vec<u8>>> {
        let length = self.page_bytes << (page >> 59);
        let (from, end) = (self.offset(page), self.file.metadata()?.len());
        if length > LARGEST || from.saturating_add(length) > end {
            return Ok(None);
        }
        self.file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        (&mut self.file).take(length).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn lose(&mut self, offset: u64, record: Option<(Space, Vec<u8>)>, what: String) {
        let file = self.path.clone();
        self.remains.losses.push(Loss { file, offset: Some(offset), record, what });
    }
}

/// A leaf, whose keys have no fixed length.
struct Leaf<'p> {
    page: &'p [u8],
    fixed: Option<usize>,
}

impl Leaf<'_> {
    fn count(&self) -> usize {
        short(self.page, 2)
    }

    fn key_end(&self, n: usize) -> Option<usize> {
        long(self.page, 4 + 4 * n)
    }

    fn value_end(&self, n: usize) -> Option<usize> {
        match self.fixed {
            None => long(self.page, 4 + 4 * (self.count() + n)),
            Some(fixed) => Some(self.key_end(self.count().checked_sub(1)?)? + fixed * (n + 1)),
        }
    }

    /// The end of what its checksum covers.
    fn end(&self) -> Option<usize> {
        self.value_end(self.count().checked_sub(1)?)
    }

    fn pairs(&self) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
        let count = self.count();
        let lists = if self.fixed.is_some() { 1 } else { 2 };
        (0..count).map_while(move |n| {
            let key_start = match n.checked_sub(1) {
                None => 4 + 4 * lists * count,
                Some(before) => self.key_end(before)?,
            };
            let value_start = match n.checked_sub(1) {
                None => self.key_end(count.checked_sub(1)?)?,
                Some(before) => self.value_end(before)?,
            };
            let key = self.page.get(key_start..self.key_end(n)?)?;
            let value = self.page.get(value_start..self.value_end(n)?)?;
            Some((key.to_vec(), value.to_vec()))
        })
    }
}

/// The children that a branch names.
fn branch_children(page: &[u8]) -> Vec<Tree> {
    let count = short(page, 2) + 1;
    let child = |n: usize| {
        let check = page.get(8 + 16 * n..)?.first_chunk()?;
        let page = number(page, 8 + 16 * count + 8 * n)?;
        Some(Tree { page, check: u128::from_le_bytes(*check) })
    };
    (0..count).map_while(child).collect()
}

/// The end of what the checksum of a branch covers, whose keys have no fixed length.
fn branch_end(page: &[u8]) -> Option<usize> {
    let keys = short(page, 2);
    long(page, 8 + 24 * (keys + 1) + 4 * keys.checked_sub(1)?)
}

fn short(bytes: &[u8], at: usize) -> usize {
    let bytes = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    bytes.map_or(0, |bytes| usize::from(u16::from_le_bytes(*bytes)))
}

fn long(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
