//! The image of a table: a file that a tracker leaves when it closes, from which the next one opens
//! without reading every record.
//!
//! It is worth nothing by itself. The store's records are the truth, and the image names the commit with
//! which they were closed: after any other commit, by whomever, it is not looked at; and where a byte of
//! it is not as it was written, the records are read as if there were none. So it is neither synced nor
//! kept in step, and a crash, a full disk or a copy of the wrong folder costs time and nothing else. Its
//! form is told in `docs/storage-format.md`.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use xxhash_rust::xxh3::xxh3_64;

use super::View;
use super::group::NextKeys;
use super::load::Opening;
use crate::field::Field;
use crate::job::State;
use crate::store::{Record, decode_tombstone, encode_tombstone};
use crate::table::{Damaged, Part, Reader, Table, Writer};

/// The file's name in the store's folder.
const NAME: &str = "IMAGE";

/// What an image begins and ends with. The number is that of its form.
const MARK: &[u8; 16] = b"jobtrack image 1";

/// What an image holds.
pub(super) struct Image {
    pub(super) table: Table,
    pub(super) next: NextKeys,
    /// Bytes of all records of jobs.
    pub(super) record_bytes: u64,
}

/// Leaves an image of the table in this folder, beside the store whose head is this record; or none, if
/// that cannot be done.
pub(super) fn leave(folder: &Path, head: &Record, view: &View, next: NextKeys) {
    remove(folder);
    let new = folder.join(format!("{NAME}.new"));
    let written = write(&new, head, view, next).and_then(|()| fs::rename(&new, path(folder)));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
}

/// Lets no image be there.
pub(super) fn remove(folder: &Path) {
    // One that stays is of another commit than the next one will be.
    let _ = fs::remove_file(path(folder));
}

/// The image of the table in this folder, if it is of the store as this head leaves it.
pub(super) fn read(folder: &Path, head: &Record, opening: &Opening) -> Option<Image> {
    let file = path(folder);
    let directory = Directory::read(&mut File::open(&file).ok()?).ok()?;
    if directory.head != *head {
        return None;
    }
    let mut table = Table::default();
    for (key, record) in &directory.tombstones {
        table.tombstones.put(*key, decode_tombstone(&record.value, record.revision).ok()?);
    }
    read_parts(&file, &directory, opening, &mut table).ok()?;
    let Directory { next, record_bytes, .. } = directory;
    Some(Image { table, next, record_bytes })
}

fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// What stands behind the segments, and says where each is and of what store all of it is.
struct Directory {
    head: Record,
    next: NextKeys,
    record_bytes: u64,
    tombstones: Vec<(u64, Record)>,
    sections: Vec<Section>,
}

/// The bytes of one segment.
struct Section {
    start: u64,
    length: usize,
    hash: u64,
    jobs: usize,
}

/// Why an image is not to be had: one that cannot be read is as one that is damaged.
impl From<io::Error> for Damaged {
    fn from(_: io::Error) -> Self {
        Damaged
    }
}

fn write(path: &Path, head: &Record, view: &View, next: NextKeys) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(MARK)?;
    let mut sections = Vec::new();
    let mut start = MARK.len() as u64;
    view.table.image(|jobs, bytes| {
        sections.push(Section { start, length: bytes.len(), hash: xxh3_64(bytes), jobs });
        start += bytes.len() as u64;
        file.write_all(bytes)
    })?;
    let mut tombstones = Vec::new();
    for (key, tombstone) in view.table.tombstones.all() {
        let value = encode_tombstone(tombstone).map_err(io::Error::other)?;
        tombstones.push((key, Record { revision: tombstone.revision.number, value }));
    }
    let record_bytes = view.record_bytes;
    let directory = Directory { head: head.clone(), next, record_bytes, tombstones, sections };
    let bytes = directory.to_bytes();
    file.write_all(&bytes)?;
    file.write_all(&xxh3_64(&bytes).to_le_bytes())?;
    file.write_all(&(bytes.len() as u64).to_le_bytes())?;
    file.write_all(MARK)?;
    file.into_inner()?;
    Ok(())
}

impl Directory {
    fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.number(catalogue());
        put_record(&mut writer, &self.head);
        writer.numbers(&[self.next.job, self.next.tombstone, self.record_bytes]);
        writer.count(self.tombstones.len());
        for (key, record) in &self.tombstones {
            writer.number(*key);
            put_record(&mut writer, record);
        }
        writer.count(self.sections.len());
        for Section { start, length, hash, jobs } in &self.sections {
            writer.numbers(&[*start, *length as u64, *hash, *jobs as u64]);
        }
        writer.bytes
    }

    fn read(file: &mut File) -> Result<Directory, Damaged> {
        const FOOT: usize = 16 + MARK.len();
        let end = file.seek(SeekFrom::End(0))?.checked_sub(FOOT as u64).ok_or(Damaged)?;
        let foot = bytes_of(file, end, FOOT)?;
        let mut foot = Reader::new(&foot);
        let (hash, length): (u64, u64) = (foot.number()?, foot.number()?);
        let start = end.checked_sub(length).ok_or(Damaged)?;
        if foot.bytes(MARK.len())? != MARK || bytes_of(file, 0, MARK.len())? != MARK {
            return Err(Damaged);
        }
        let bytes = bytes_of(file, start, usize::try_from(length).map_err(|_| Damaged)?)?;
        if xxh3_64(&bytes) != hash {
            return Err(Damaged);
        }
        let mut reader = Reader::new(&bytes);
        if reader.number::<u64>()? != catalogue() {
            return Err(Damaged);
        }
        let head = take_record(&mut reader)?;
        let next = NextKeys { job: reader.number()?, tombstone: reader.number()? };
        let record_bytes = reader.number()?;
        let tombstones = (0..reader.count()?)
            .map(|_| Ok((reader.number()?, take_record(&mut reader)?)))
            .collect::<Result<_, Damaged>>()?;
        let count = reader.count()?;
        let section = |_| {
            Ok(Section {
                start: reader.number()?,
                length: reader.count()?,
                hash: reader.number()?,
                jobs: reader.count()?,
            })
        };
        let sections = (0..count).map(section).collect::<Result<Vec<Section>, Damaged>>()?;
        // Each job takes some bytes, so that no room is made for more than there can be.
        if sections.iter().any(|section| section.jobs > section.length) {
            return Err(Damaged);
        }
        Ok(Directory { head, next, record_bytes, tombstones, sections })
    }
}

/// Reads the segments on as many threads as the host allows, and puts them into the table.
fn read_parts(
    path: &Path,
    directory: &Directory,
    opening: &Opening,
    table: &mut Table,
) -> Result<(), Damaged> {
    let sections = &directory.sections;
    table.reserve(sections.iter().map(|section| section.jobs).sum());
    let mut jobs = 0;
    let mut add = |part: Part| {
        jobs += part.living();
        table.add_part_of_image(part);
        if let Some(progress) = &opening.progress {
            progress(jobs);
        }
    };
    if opening.threads <= 1 {
        let mut file = File::open(path)?;
        return sections.iter().try_for_each(|section| {
            add(section.read(&mut file)?);
            Ok(())
        });
    }
    let (next, is_damaged) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let (to_table, parts) = channel();
        for _ in 1..opening.threads {
            let (to_table, next, is_damaged) = (to_table.clone(), &next, &is_damaged);
            scope.spawn(move || {
                let mut file = File::open(path).map_err(Damaged::from);
                while let Some(section) = sections.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let part = match &mut file {
                        Ok(file) => section.read(file),
                        Err(error) => Err(*error),
                    };
                    if is_damaged.load(Ordering::Relaxed) || to_table.send(part).is_err() {
                        return;
                    }
                }
            });
        }
        drop(to_table);
        for part in parts {
            match part {
                Ok(part) => add(part),
                Err(error) => {
                    is_damaged.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(())
    })
}

impl Section {
    fn read(&self, file: &mut File) -> Result<Part, Damaged> {
        let bytes = bytes_of(file, self.start, self.length)?;
        if xxh3_64(&bytes) != self.hash {
            return Err(Damaged);
        }
        Part::of_image(&bytes)
    }
}

/// So many bytes of the file. No memory is taken for more than there are.
fn bytes_of(file: &mut File, start: u64, length: usize) -> Result<Vec<u8>, Damaged> {
    let size = file.metadata()?.len();
    if start.checked_add(length as u64).is_none_or(|end| end > size) {
        return Err(Damaged);
    }
    let mut bytes = vec![0; length];
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn put_record(writer: &mut Writer, record: &Record) {
    writer.number(record.revision);
    writer.list(&record.value);
}

fn take_record(reader: &mut Reader<'_>) -> Result<Record, Damaged> {
    Ok(Record { revision: reader.number()?, value: reader.list()?.into() })
}

/// A number that is another one in each release, and in each that has other fields.
fn catalogue() -> u64 {
    let mut words = env!("CARGO_PKG_VERSION").to_owned();
    for field in Field::FIXED {
        words.push_str(&format!(" {field:?} {:?}", field.field_type()));
    }
    words.push_str(&format!(" {:?}", State::ALL));
    xxh3_64(words.as_bytes())
}
