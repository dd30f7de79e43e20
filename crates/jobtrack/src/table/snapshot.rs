//! What a reader holds on to.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::codes::RowId;
use super::matches::Matches;
use super::part::Part;
use super::records::Records;
use super::rows::Rows;
use crate::field::{Field, ValueRef};
use crate::job::{Job, JobId, Revision};
use crate::timestamp::Timestamp;

/// All jobs as they stood at one revision, less those expired at one horizon.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) heads: Vec<Arc<Rows>>,
    pub(crate) parts: Arc<Vec<Part>>,
    pub(super) records: Arc<Records>,
    pub(crate) matches: Arc<Matches>,
    pub(crate) revision: Revision,
    pub(crate) horizon: Timestamp,
}

impl Snapshot {
    /// The job of a row of the segment at this index, put together in `text` unless it was made
    /// lately.
    pub(crate) fn job(&self, part: usize, row: RowId, text: &mut String) -> Option<Arc<Job>> {
        let part = self.parts.get(part)?;
        Some(self.records.job(part.id, row, || part.segment.job_by(row, text)))
    }

    /// The jobs after this one in order of uuid, or all of them; expired ones left out. It makes
    /// every job anew that stands in a segment, so it is for those who need them all.
    pub(crate) fn jobs_after(&self, after: Option<JobId>) -> impl Iterator<Item = Arc<Job>> + '_ {
        let heads = self.heads.iter().map(move |rows| {
            Box::new(
                rows.after(after).map(|row| (row.job.uuid, Arc::clone(&row.job))).map(Found::Head),
            ) as Box<dyn Iterator<Item = Found<'_>>>
        });
        let parts = self.parts.iter().map(move |part| {
            let first = after.map_or(0, |after| part.segment.rows_before(after));
            let rows = part.living_from(first).map(move |row| (part.segment.uuid(row), row));
            let rows = rows.filter(move |(id, _)| after.is_none_or(|after| *id > after));
            Box::new(rows.map(move |(id, row)| Found::Part(id, part, row)))
                as Box<dyn Iterator<Item = _>>
        });
        let mut places: Vec<_> = heads.chain(parts).collect();
        let mut first: BinaryHeap<Reverse<(JobId, usize)>> = BinaryHeap::new();
        let mut next: Vec<Option<Found<'_>>> = places.iter_mut().map(Iterator::next).collect();
        first.extend(
            next.iter()
                .enumerate()
                .filter_map(|(place, found)| Some(Reverse((found.as_ref()?.id(), place)))),
        );
        std::iter::from_fn(move || {
            let Reverse((_, place)) = first.pop()?;
            let following = places.get_mut(place).and_then(Iterator::next);
            first.extend(following.as_ref().map(|found| Reverse((found.id(), place))));
            let found = next.get_mut(place)?;
            std::mem::replace(found, following).map(Found::job)
        })
        .filter(|job| !job.is_expired(self.horizon))
    }
}

impl Snapshot {
    /// The jobs whose last change lies behind this place in the order of revision and uuid, in that
    /// order, expired ones included.
    pub(crate) fn changed_after(
        &self,
        place: Changed,
    ) -> impl Iterator<Item = (Changed, Arc<Job>)> + '_ {
        let heads = self.heads.iter().map(move |rows| {
            let mut jobs: Vec<(Changed, Found<'_>)> = rows
                .after(None)
                .map(|row| ((row.job.revision, row.job.uuid), &row.job))
                .filter(|(at, _)| *at > place)
                .map(|(at, job)| (at, Found::Head((at.1, Arc::clone(job)))))
                .collect();
            jobs.sort_unstable_by_key(|(at, _)| *at);
            Box::new(jobs.into_iter()) as Box<dyn Iterator<Item = (Changed, Found<'_>)>>
        });
        let parts = self.parts.iter().map(move |part| {
            // Rows of one revision lie in order of uuid, as rows do.
            let column = part.segment.column(&Field::Revision);
            let rows = column.into_iter().flat_map(move |column| {
                let first = column.place(&ValueRef::Revision(place.0)).code;
                let rows = move |run| column.rows_of(run, first..column.end_code()).iter();
                column.runs().flat_map(rows)
            });
            let living = rows.filter(|row| part.is_alive(*row)).map(move |row| {
                let id = part.segment.uuid(row);
                ((part.segment.revision(row), id), Found::Part(id, part, row))
            });
            Box::new(living.filter(move |(at, _)| *at > place)) as Box<dyn Iterator<Item = _>>
        });
        let mut places: Vec<_> = heads.chain(parts).map(Iterator::peekable).collect();
        let mut first: BinaryHeap<Reverse<(Changed, usize)>> = BinaryHeap::new();
        for (index, place) in places.iter_mut().enumerate() {
            first.extend(place.peek().map(|(at, _)| Reverse((*at, index))));
        }
        std::iter::from_fn(move || {
            let Reverse((_, index)) = first.pop()?;
            let place = places.get_mut(index)?;
            let (at, found) = place.next()?;
            first.extend(place.peek().map(|(at, _)| Reverse((*at, index))));
            Some((at, found.job()))
        })
    }
}

/// A place in the order of revision and uuid.
pub(crate) type Changed = (Revision, JobId);

enum Found<'a> {
    Head((JobId, Arc<Job>)),
    Part(JobId, &'a Part, RowId),
}

impl Found<'_> {
    fn id(&self) -> JobId {
        match self {
            Found::Head((id, _)) | Found::Part(id, ..) => *id,
        }
    }

    fn job(self) -> Arc<Job> {
        match self {
            Found::Head((_, job)) => job,
            Found::Part(_, part, row) => Arc::new(part.segment.job(row)),
        }
    }
}
