//! What speaks against a node for who runs there, of a demand that says something of it, see `company`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::constraint::{Company, Spread};
use crate::demand::Demand;
use crate::fleet::Fleet;
use crate::fleet::company::is_in_the_way;
use crate::fleet::site::Site;
use crate::id::{NodeId, TaskId};
use crate::placement::{Reason, ShapeId};
use crate::reserve::LineId;

/// What there is to say of one node.
#[derive(Debug, Default)]
pub(super) struct Beside {
    pub(super) against: Option<Reason>,
    pub(super) dislike: u64,
}

impl Fleet {
    /// A task that says something of those beside it is on a node from now on: it is sent there, or was found there after
    /// a restart.
    pub fn enter(&mut self, task: TaskId, node: &NodeId, company: &Arc<Company>) {
        self.companies.enter(task, node, company);
    }

    /// A task is on its node no more; `true` where that may let others in that could not come beside it.
    pub fn leave(&mut self, task: TaskId) -> bool {
        self.companies.leave(task)
    }

    /// For one who stands in this line.
    pub(super) fn beside(&self, demand: &Demand, site: &Site, line: Option<LineId>) -> Beside {
        let Some(company) = &demand.constraints.company else { return Beside::default() };
        let against = self.against(company, site, |held| Some(held) == line);
        Beside { against, dislike: self.companies.dislike(company, &site.id) }
    }

    /// As [`Fleet::times`] for one that says this of those beside it: none where none may come.
    pub(super) fn times_beside(
        &self,
        demand: &Demand,
        company: &Company,
        (shape, limit): (ShapeId, u32),
    ) -> u32 {
        let is_own = |line: LineId| line.shape == shape;
        let is_alone = company.group.as_ref().is_some_and(|group| company.apart.contains(group));
        let most = if is_alone { 1 } else { limit };
        let open = self.nodes.iter().filter_map(|site| {
            let times = site.times_of(demand, shape, limit).min(most);
            let may = times > 0 && self.against(company, site, is_own).is_none();
            may.then_some((site, u64::from(times)))
        });
        let open: Vec<_> = open.collect();
        let all = open.iter().map(|(_, times)| times).sum::<u64>();
        let least = company.spread.iter().map(|rule| self.places(company, rule, &open)).min();
        u32::try_from(least.map_or(all, |least| least.min(all))).unwrap_or(u32::MAX).min(limit)
    }

    /// How many that say this may come, one to each of these nodes.
    pub(super) fn places_beside(
        &self,
        company: &Company,
        is_own: impl Fn(LineId) -> bool + Copy,
        nodes: &[&Site],
    ) -> u32 {
        let open = nodes.iter().filter(|site| self.against(company, site, is_own).is_none());
        let open: Vec<_> = open.map(|site| (*site, 1)).collect();
        let least = company.spread.iter().map(|rule| self.places(company, rule, &open)).min();
        let all = open.len() as u64;
        u32::try_from(least.map_or(all, |least| least.min(all))).unwrap_or(u32::MAX)
    }

    /// How many may come by one rule, where so many fit on these nodes.
    fn places(&self, company: &Company, rule: &Spread, open: &[(&Site, u64)]) -> u64 {
        let mut by_value: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for (site, times) in open {
            let Some(value) = site.said.labels.get(&rule.per) else { continue };
            let left = || u64::from(self.companies.left(company, rule, site, &self.nodes));
            by_value.entry(value).or_insert_with(|| (left(), 0)).1 += times;
        }
        by_value.into_values().map(|(left, times)| left.min(times)).sum()
    }

    /// What who is there, or those for whom nodes are held that are not `own`, have against one that says this.
    fn against(&self, company: &Company, site: &Site, own: impl Fn(LineId) -> bool) -> Option<Reason> {
        let kept = |holder: &Site| {
            let hold = holder.hold.as_ref().filter(|hold| !own(hold.line))?;
            let is_kept = is_in_the_way((company, site), (hold.company.as_deref()?, holder));
            is_kept.then_some(Reason::KeptFor(hold.task))
        };
        self.companies.against(company, site, &self.nodes).or_else(|| self.nodes.iter().find_map(kept))
    }
}
