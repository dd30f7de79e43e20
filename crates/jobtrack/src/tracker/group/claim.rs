//! A worker takes a job.

use std::time::Duration;

use super::{Decided, Group, RestsOn};
use crate::command::{Claim, Command, Hold, Term, Update};
use crate::error::{Error, ErrorKind, Result};
use crate::lifecycle::Holder;
use crate::query::{Budget, Query, Run};
use crate::tracker::shortlist::Fetched;

impl Group<'_> {
    /// Gives the best job that matches to the worker that claims one.
    pub(super) fn claim(&mut self, command: &Command, claim: &Claim) -> Decided {
        if let Err(error) = self.holder(&claim.hold) {
            return Decided::Refused(error, RestsOn::Table);
        }
        let (table, clock, plan) = (self.table, self.clock, &self.plan);
        let horizon = self.now.engine;
        let best = self.shortlists.best(claim, |filter, order, wanted| {
            let snapshot = table.snapshot(horizon);
            let run = Run { snapshot: &snapshot, monotonic: &|| clock.monotonic() };
            let page = run.page(&Query {
                order: order.clone(),
                // Those that the group has touched already may not match any more.
                max_records: Some(wanted + plan.touched.len()),
                // It is asked once for many claims.
                budget: Budget { soft: Duration::MAX, hard: Duration::MAX, ..Budget::default() },
                ..Query::matching(filter)
            })?;
            let since = plan.touched.keys().map(|id| (*id, plan.job(*id)));
            Ok(Fetched { jobs: page.jobs, has_more: page.next.is_some(), since: since.collect() })
        });
        match best {
            Ok(Some(id)) => self.update(id, command, &Update::Claim(claim.hold.clone())),
            Ok(None) => Decided::Refused(
                Error::new(ErrorKind::NothingToClaim, "no queued job matches the filter"),
                RestsOn::Group,
            ),
            Err(error) => Decided::Refused(error, RestsOn::Table),
        }
    }

    pub(super) fn holder<'h>(&'h self, hold: &'h Hold) -> Result<Holder<'h>> {
        let leases = &self.options.leases;
        let (name, term) = match (hold.term, &leases.owner) {
            (Term::Standard, _) => (&hold.holder, Some(leases.term)),
            (Term::For(term), _) => (&hold.holder, Some(term)),
            (Term::Process, Some(owner)) => (owner, None),
            (Term::Process, None) => {
                return Err(Error::new(
                    ErrorKind::InvalidValue,
                    "the tracker was opened without an owner, so nobody can hold a job in its \
                     process; give a term",
                )
                .with_field("term"));
            }
        };
        Ok(Holder { name, term })
    }
}
