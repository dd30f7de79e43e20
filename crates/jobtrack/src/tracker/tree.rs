//! Jobs with their children, all of one revision.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Tracker, find, sees};
use crate::error::Result;
use crate::job::{Job, JobId, Revision, Tenant};
use crate::lifecycle::Children;
use crate::table::Table;
use crate::timestamp::Timestamp;

/// A job, its children, theirs, and so on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// Every job of it, a parent before its children, and children of one parent in order of uuid.
    /// The first is the one that was asked for.
    pub nodes: Vec<TreeNode>,
    /// Whether some were left out, since there are more than were wanted.
    pub is_cut: bool,
    /// The revision at which they were read.
    pub revision: Revision,
    /// The horizon: none of them had expired by then.
    pub horizon: Timestamp,
}

/// One job of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeNode {
    /// The job.
    pub job: Arc<Job>,
    /// How many children it has in each state, whether or not they are shown.
    pub children: Children,
    /// How far below the first it stands.
    pub depth: usize,
}

impl Tracker {
    /// How many children a job has in each state.
    ///
    /// # Errors
    ///
    /// As [`get`](Tracker::get).
    pub fn children(&self, id: JobId) -> Result<Children> {
        self.tree(id, 1)
            .map(|tree| tree.nodes.first().map(|node| node.children).unwrap_or_default())
    }

    /// A job and all below it, up to so many jobs: those nearest to the top.
    ///
    /// ```
    /// use jobtrack::{MemoryStore, NewJob, Options, State, Tracker};
    ///
    /// let tracker = Tracker::open(MemoryStore::new(), Options::default())?;
    /// let parent = tracker.create(NewJob::described("Backup of all volumes"))?.uuid;
    /// for volume in ["vol1", "vol2"] {
    ///     tracker.create(NewJob { parent: Some(parent), ..NewJob::described(volume) })?;
    /// }
    /// let tree = tracker.tree(parent, 100)?;
    /// assert_eq!(tree.nodes.len(), 3);
    /// assert_eq!(tree.nodes[0].children.of_state(State::Queued), 2);
    /// # Ok::<(), jobtrack::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get`](Tracker::get).
    pub fn tree(&self, id: JobId, at_most: usize) -> Result<Tree> {
        self.tree_for(None, id, at_most)
    }

    /// The same as a tenant sees it, to whom a child of another scope is none.
    pub(super) fn tree_for(
        &self,
        tenant: Option<&Tenant>,
        id: JobId,
        at_most: usize,
    ) -> Result<Tree> {
        // Whatever is to be said of a job that is not there is said by this.
        let root = self.get_for(tenant, id)?;
        let (at_most, walk) = (at_most.max(1), Walk { tenant, root: root.uuid });
        let tree = self.0.read(|table, horizon| walk.through(table, horizon, at_most))?;
        match tree {
            Some(tree) => Ok(tree),
            // It has gone in the meantime.
            None => self.get_for(tenant, id).map(|root| {
                let node = TreeNode { job: root.job, children: Children::default(), depth: 0 };
                let (revision, horizon) = (root.revision, root.horizon);
                Tree { nodes: vec![node], is_cut: false, revision, horizon }
            }),
        }
    }
}

/// A way through a family, as one caller sees it.
struct Walk<'a> {
    tenant: Option<&'a Tenant>,
    root: JobId,
}

impl Walk<'_> {
    /// Breadth first, so that what is left out is what stands lowest.
    fn through(&self, table: &Table, horizon: Timestamp, at_most: usize) -> Option<Tree> {
        let mut ahead = VecDeque::from([(self.root, 0, Vec::new())]);
        let mut found = Vec::new();
        let mut is_cut = false;
        while let Some((id, depth, path)) = ahead.pop_front() {
            let it = find(table, id, horizon).filter(|found| sees(self.tenant, &found.job));
            let Some(it) = it else { continue };
            if found.len() == at_most {
                is_cut = true;
                break;
            }
            let path = [path, vec![id]].concat();
            // No more of them than could be shown.
            let wanted = at_most.saturating_sub(found.len());
            for child in self.children(table, id).take(wanted) {
                ahead.push_back((child, depth + 1, path.clone()));
            }
            let children = self.count(table, id);
            found.push((path, TreeNode { job: it.job, children, depth }));
        }
        // In the order in which a tree is drawn.
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        let nodes: Vec<_> = found.into_iter().map(|(_, node)| node).collect();
        let shown = |node: &&TreeNode| node.depth > 0;
        let known: u64 = nodes.iter().map(|node| u64::from(node.children.total())).sum();
        is_cut |= known > nodes.iter().filter(shown).count() as u64;
        (!nodes.is_empty()).then_some(Tree { nodes, is_cut, revision: table.revision, horizon })
    }

    /// The children that are to be seen, in order of uuid.
    fn children<'t>(&'t self, table: &'t Table, id: JobId) -> impl Iterator<Item = JobId> + 't {
        let is_seen = |child: &JobId| {
            self.tenant.is_none()
                || table.row(*child).is_some_and(|row| sees(self.tenant, &row.job))
        };
        table.sides.families.children(id, None).filter(is_seen)
    }

    fn count(&self, table: &Table, id: JobId) -> Children {
        if self.tenant.is_none() {
            return table.sides.families.counts(id);
        }
        // The counts that are kept are of everybody's.
        let mut children = Children::default();
        for child in self.children(table, id).filter_map(|child| table.row(child)) {
            children.count(None, Some(child.job.state()));
        }
        children
    }
}
