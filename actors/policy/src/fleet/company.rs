//! Who runs beside whom: what the tasks that are placed say of each other, by node.
//!
//! It is worked out from what is placed and nothing else, so after a restart it is what it was as soon as the grants
//! that may still be held are placed again. Tasks that say nothing of others are never looked at.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::constraint::{Company, NODE, Spread};
use crate::fleet::site::Site;
use crate::id::{NodeId, TaskId};
use crate::placement::Reason;
use crate::planted;

/// How many on each node.
type ByNode = FxHashMap<NodeId, u32>;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Companies {
    /// Tasks of each group.
    members: FxHashMap<Arc<str>, ByNode>,
    /// Tasks that are to be apart from each group.
    shunning: FxHashMap<Arc<str>, ByNode>,
    /// Where each of all these is, and what it says.
    placed: FxHashMap<TaskId, (NodeId, Arc<Company>)>,
}

impl Companies {
    /// A task is on a node from now on. One that is known already is where it is now.
    pub(super) fn enter(&mut self, task: TaskId, node: &NodeId, company: &Arc<Company>) {
        self.leave(task);
        if let Some(group) = &company.group {
            add(&mut self.members, group, node);
        }
        for group in &company.apart {
            add(&mut self.shunning, group, node);
        }
        self.placed.insert(task, (node.clone(), Arc::clone(company)));
    }

    /// It is there no more; `false` where it is not known.
    pub(super) fn leave(&mut self, task: TaskId) -> bool {
        let Some((node, company)) = self.placed.remove(&task) else { return false };
        if let Some(group) = &company.group {
            take_away(&mut self.members, group, &node);
        }
        for group in &company.apart {
            take_away(&mut self.shunning, group, &node);
        }
        true
    }

    /// How many of a group are on a node.
    pub(super) fn members(&self, group: &str, node: &NodeId) -> u32 {
        self.members.get(group).and_then(|nodes| nodes.get(node)).copied().unwrap_or(0)
    }

    /// How many of a group are where a label has this value, or may be: of a node that was not heard of since a restart
    /// nobody knows its labels.
    fn members_at(&self, group: &str, (label, value): (&str, &str), nodes: &[Site]) -> u32 {
        if label == NODE {
            return self.members(group, &value.into());
        }
        let is_there = |id: &NodeId| {
            let site =
                nodes.binary_search_by(|site| site.id.cmp(id)).ok().map(|place| &nodes[place].said.labels);
            site.is_none_or(|labels| labels.get(NODE).is_none() || labels.get(label) == Some(value))
        };
        let counts = self.members.get(group).into_iter().flatten();
        counts.filter(|(id, _)| is_there(id)).map(|(_, count)| *count).sum()
    }

    /// How many more of its group may come to a node by one of its rules; none where the node has no such label.
    pub(super) fn left(&self, company: &Company, rule: &Spread, site: &Site, nodes: &[Site]) -> u32 {
        let Some(group) = &company.group else { return rule.max };
        let Some(value) = site.said.labels.get(&rule.per) else { return 0 };
        rule.max.saturating_sub(self.members_at(group, (&rule.per, value), nodes))
    }

    /// What speaks against one that says this on a node, for who is there.
    pub(super) fn against(&self, company: &Company, site: &Site, nodes: &[Site]) -> Option<Reason> {
        if planted!(CompanyIgnored) {
            return None;
        }
        let is_there = |group: &&Arc<str>| self.members(group, &site.id) > 0;
        if let Some(group) = company.apart.iter().find(is_there) {
            return Some(Reason::Beside { group: Arc::clone(group) });
        }
        let shunned =
            |group: &Arc<str>| self.shunning.get(group).is_some_and(|nodes| nodes.contains_key(&site.id));
        if let Some(group) = company.group.as_ref().filter(|group| shunned(group)) {
            return Some(Reason::Shunned { group: Arc::clone(group) });
        }
        let full = company.spread.iter().find(|rule| self.left(company, rule, site, nodes) == 0)?;
        let value = site.said.labels.get(&full.per).unwrap_or_default().into();
        let (per, max) = (full.per.clone(), full.max);
        Some(Reason::Spread { group: company.group.clone().unwrap_or_default(), per, value, max })
    }

    /// How much one that says this would rather be elsewhere.
    pub(super) fn dislike(&self, company: &Company, node: &NodeId) -> u64 {
        let of = |one: &crate::constraint::Distance| {
            u64::from(one.weight) * u64::from(self.members(&one.group, node))
        };
        company.prefer_apart.iter().map(of).sum()
    }
}

/// Whether one that says this would be in the way of the first of a line that says that, on a node that is held for it
/// and has these labels: it would keep it waiting.
pub(super) fn is_in_the_way(one: (&Company, &Site), held: (&Company, &Site)) -> bool {
    let ((one, site), (held, holder)) = (one, held);
    let is_there = site.id == holder.id;
    let takes_place = |rule: &Spread| {
        let label = |site: &Site| site.said.labels.get(&rule.per).map(ToOwned::to_owned);
        one.group.is_some() && one.group == held.group && label(site) == label(holder)
    };
    (is_there && one.excludes(held)) || held.spread.iter().any(takes_place)
}

fn add(groups: &mut FxHashMap<Arc<str>, ByNode>, group: &Arc<str>, node: &NodeId) {
    *groups.entry(Arc::clone(group)).or_default().entry(node.clone()).or_default() += 1;
}

fn take_away(groups: &mut FxHashMap<Arc<str>, ByNode>, group: &Arc<str>, node: &NodeId) {
    let Some(nodes) = groups.get_mut(group) else { return };
    if let Some(count) = nodes.get_mut(node) {
        *count -= 1;
        if *count == 0 {
            nodes.remove(node);
        }
    }
    if nodes.is_empty() {
        groups.remove(group);
    }
}

#[cfg(test)]
mod tests;
