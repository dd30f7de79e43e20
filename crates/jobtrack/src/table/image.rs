//! The table in an image: its segments as they stand in memory, each with which rows of it live.

use std::sync::Arc;

use super::bytes::{Damaged, Reader, Writer};
use super::codes::RowId;
use super::part::Part;
use super::places::Moved;
use super::rows::Row;
use super::segment::Segment;
use super::sides::Sides;
use super::{Code, Table};
use crate::field::Field;
use crate::job::State;

impl Table {
    /// Tells all segments as bytes, each with the number of its jobs. Of the rows in heads segments are
    /// made, of which the table itself knows nothing.
    pub(crate) fn image<E>(
        &self,
        mut tell: impl FnMut(usize, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut writer = Writer::default();
        let mut write = |part: &Part| {
            writer.bytes.clear();
            part.write(&mut writer);
            tell(part.living(), &writer.bytes)
        };
        self.parts.iter().filter(|part| part.living() > 0).try_for_each(&mut write)?;
        let rows = self.heads.iter().flat_map(|head| head.rows.after(None));
        let (ended, live): (Vec<&Row>, Vec<&Row>) =
            rows.partition(|row| row.job.state().is_terminal());
        for mut rows in [ended, live] {
            rows.sort_unstable_by_key(|row| row.job.uuid);
            for some in rows.chunks(self.shape.segment_rows) {
                let some: Vec<Row> = some.iter().copied().cloned().collect();
                write(&Part::of(Segment::build(&some)))?;
            }
        }
        Ok(())
    }

    /// Makes room for so many jobs more.
    pub(crate) fn reserve(&mut self, jobs: usize) {
        self.uuids.reserve(jobs);
    }

    /// Puts in a segment of an image; none of its jobs is there yet.
    pub(crate) fn add_part_of_image(&mut self, mut part: Part) {
        part.id = self.places.add(Moved::Gone);
        self.places.name(part.id, part.living());
        part.living_from(0).for_each(|row| self.uuids.insert(part.segment.uuid(row), part.id));
        self.tally_part(&part);
        for row in concerned(&part) {
            self.sides.changed(None, Some(&part.segment.job(row)));
        }
        self.len += part.living();
        self.next_expiry =
            part.next_expiry().map_or(self.next_expiry, |it| it.min(self.next_expiry));
        Arc::make_mut(&mut self.parts).push(part);
        self.renumber();
    }

    /// Counts the living rows by kind and state: by code first, which are few.
    fn tally_part(&mut self, part: &Part) {
        let Some(column) = part.segment.column(&Field::Kind) else { return };
        let mut counts: Vec<[u64; State::ALL.len()]> =
            vec![[0; State::ALL.len()]; column.end_code() as usize];
        for row in part.living_from(0) {
            let state = part.segment.state(row);
            let place = State::ALL.iter().position(|other| *other == state).unwrap_or(0);
            let of_kind = counts.get_mut(usize::from(column.code(row)));
            if let Some(count) = of_kind.and_then(|counts| counts.get_mut(place)) {
                *count += 1;
            }
        }
        for (code, counts) in (0..=Code::MAX).zip(counts) {
            let kind = column.job_text(code, &mut self.text);
            for (state, count) in State::ALL.iter().zip(counts).filter(|(_, count)| *count > 0) {
                self.tally.add_many(&kind, *state, count);
            }
        }
    }
}

impl Part {
    fn write(&self, writer: &mut Writer) {
        writer.list(self.alive().dead_words());
        self.segment.write(writer);
    }

    /// A segment of an image, with which rows of it live; not yet in any place.
    pub(crate) fn of_image(bytes: &[u8]) -> Result<Part, Damaged> {
        let mut reader = Reader::new(bytes);
        let dead: Box<[u64]> = reader.list()?;
        let segment = Segment::read(&mut reader)?;
        reader.finish()?;
        Part::with_dead(segment, dead.into()).ok_or(Damaged)
    }
}

/// The living rows that concern what is kept beside the rows.
fn concerned(part: &Part) -> Vec<RowId> {
    let mut rows: Vec<RowId> = Vec::new();
    for field in Sides::CONCERNED {
        let Some(column) = part.segment.column(field).filter(|it| it.set() > 0) else { continue };
        let set = column.runs().flat_map(|run| column.rows_of(run, 1..column.end_code()).iter());
        rows.extend(set.filter(|row| part.is_alive(*row)));
    }
    rows.sort_unstable();
    rows.dedup();
    rows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::job::Job;
    use crate::query::random_jobs::job;
    use crate::table::TextTest;

    /// Everything that is asked of a segment, to see that it answers.
    fn ask(part: &Part) {
        let segment = &part.segment;
        let mut text = String::new();
        for row in part.living_from(0) {
            let job = segment.job_by(row, &mut text);
            assert_eq!(job.state(), segment.state(row));
            let _ = (segment.gone(row), segment.record(row), segment.find(job.uuid));
        }
        let labels = (b'a'..=b'z').map(|name| Field::Label((name as char).to_string().into()));
        for field in Field::FIXED.iter().cloned().chain(labels) {
            let Some(column) = segment.column(&field) else { continue };
            for run in column.runs() {
                let rows = column.rows_of(run, 1..column.end_code());
                rows.iter().for_each(|row| _ = column.text(row, &mut text));
            }
            for code in 0..column.end_code().min(99) {
                let code = u16::try_from(code).unwrap();
                let value = column.value(field.field_type(), code, &mut text);
                let _ = value.map(|value| column.place(&value));
            }
            if let crate::table::Values::Texts(texts) = column.values() {
                let passes = |text: &str| text.contains("ab");
                let (literals, passes) = (vec!["ab"], &passes as &dyn Fn(&str) -> bool);
                let (is_open, is_pattern) = (true, true);
                let test =
                    TextTest { prefix: "", suffix: "", literals, is_open, is_pattern, passes };
                texts.matching(&test, &mut |_| {});
            }
        }
        let _ = (segment.bytes(), part.next_expiry(), concerned(part));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// Whoever puts the right checksum to wrong bytes gets wrong jobs, or none, and no panic.
        #[test]
        fn bytes_that_were_changed_are_refused_or_answer(
            jobs in proptest::collection::vec(job(), 1..200),
            numbered in any::<bool>(),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            cut in proptest::option::of(any::<prop::sample::Index>()),
        ) {
            let mut table = Table::default();
            for (job, n) in jobs.into_iter().zip(0_u64..) {
                let description = match numbered {
                    true => format!("Move volume vol_{n:04} to aggregate {:02}", n % 7).into(),
                    false => job.description.clone(),
                };
                let job = Arc::new(Job { description, ..job });
                table.put(Row { job, key: n * 70_000, stored: n });
            }
            table.image(|living, bytes| {
                let part = Part::of_image(bytes).unwrap();
                prop_assert_eq!(part.living(), living);
                ask(&part);
                let mut bytes = bytes.to_vec();
                for (place, byte) in &changes {
                    let place = place.index(bytes.len());
                    bytes[place] = *byte;
                }
                if let Some(cut) = cut {
                    bytes.truncate(cut.index(bytes.len()));
                }
                if let Ok(part) = Part::of_image(&bytes) {
                    ask(&part);
                }
                Ok(())
            })?;
        }
    }
}
