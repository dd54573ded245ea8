//! Gangs among the nodes: each member on a node of its own, all of them in one step or none (`crate::gang`).
//!
//! A member is never made to wait on a node behind others: it would keep those waiting that run elsewhere.

use std::collections::BTreeMap;

use crate::demand::Demand;
use crate::fleet::site::{Shut, Site};
use crate::fleet::{Asker, Fleet, Misfit};
use crate::hindrance::Hindrance;
use crate::id::{NodeId, TaskId};
use crate::placement::{self, Candidate, Choice, Held, Reason, Search, ShapeId};
use crate::planted;

impl Fleet {
    /// The nodes, and what is granted there, for these members of a gang, in the same order; `None` where not all of them start
    /// at once.
    pub fn choose_gang(&mut self, demand: &Demand, members: &[(TaskId, Asker<'_>)]) -> Option<Vec<Choice>> {
        let mut taken: Vec<NodeId> = Vec::new();
        let mut choices = Vec::new();
        for (task, asker) in members {
            let apart: Vec<_> = asker.apart.iter().chain(&taken).cloned().collect();
            let choice = self.place(demand, Asker { apart: &apart, ..*asker });
            let Some(choice) = choice.filter(|choice| self.starts(*choice, demand)) else { break };
            let id = self.nodes[choice.place].id.clone();
            // As if it were there already, for what they say of each other.
            if let Some(company) = &demand.constraints.company {
                self.companies.enter(*task, &id, company);
            }
            taken.push(id);
            choices.push(choice);
        }
        for (task, _) in members {
            self.companies.leave(*task);
        }
        let is_whole = choices.len() == members.len() || (planted!(GangInParts) && !choices.is_empty());
        is_whole.then_some(choices)
    }

    fn starts(&self, choice: Choice, demand: &Demand) -> bool {
        let room = self.nodes[choice.place].room.as_ref();
        room.is_some_and(|room| room.starts(demand.request(choice.request)))
    }

    /// On how many nodes one of this demand would start now.
    pub(super) fn nodes_for(&self, demand: &Demand, shape: ShapeId) -> u32 {
        let open: Vec<_> = self.nodes.iter().filter(|node| node.starts_one(demand, shape)).collect();
        match &demand.constraints.company {
            Some(company) => self.places_beside(company, |line| line.shape == shape, &open),
            None => u32::try_from(open.len()).unwrap_or(u32::MAX),
        }
    }

    /// Why a gang does not start now; `None` where it does.
    pub(super) fn gang_hindrance(&self, demand: &Demand, needs: u32, asker: Asker<'_>) -> Option<Hindrance> {
        let (mut open, mut reasons) = (Vec::new(), Vec::new());
        for node in self.nodes.iter().filter(|node| node.room.is_some()) {
            match self.against_member(demand, node, asker) {
                Some(reason) => reasons.push((node.id.clone(), reason)),
                None => open.push(node),
            }
        }
        let for_ever =
            |node: &Site| reasons.iter().any(|(id, reason)| *id == node.id && Reason::is_for_ever(reason));
        let up = || self.nodes.iter().filter(|node| node.room.is_some());
        let able = beside_each_other(demand, up().filter(|node| !for_ever(node)));
        let never = up().next().is_some() && able < needs;
        let have = match &demand.constraints.company {
            Some(company) => self.places_beside(company, |line| Some(line) == asker.line, &open),
            None => u32::try_from(open.len()).unwrap_or(u32::MAX),
        };
        (have < needs).then_some(Hindrance::Gang { needs, have, never, nodes: reasons })
    }

    /// Why a node that is up starts nothing of a gang now.
    fn against_member(&self, demand: &Demand, node: &Site, asker: Asker<'_>) -> Option<Reason> {
        let open = match asker.apart.contains(&node.id) {
            true => Err(Shut::Suspect),
            false => node.open_to(demand),
        };
        let shut = open.err().map(|shut| shut.to_string());
        let beside = self.beside(demand, node, asker.line);
        let candidate = node.candidate(asker.line, shut.as_deref().map_or(Ok(()), Err))?;
        let candidate = Candidate { against: beside.against.as_ref(), ..candidate };
        match placement::place(Search::of(demand), &[candidate]) {
            Ok(Choice { request, .. }) => {
                let waits = !candidate.room.starts(demand.request(request));
                waits.then_some(Reason::Behind { staged: candidate.room.staged })
            }
            Err(no_fit) => no_fit.reasons.into_iter().next().map(|(_, reason)| reason),
        }
    }

    /// Why the nodes that are known, be they away for the moment, can never run a gang of this demand at once though some can
    /// run one of it; `None` where they can, or none was ever there.
    pub(super) fn never_fits_gang(&self, demand: &Demand, needs: u32) -> Option<Misfit> {
        let known = self.nodes.iter().filter_map(|node| Some((node, node.last_room.as_ref()?)));
        let reason = |(node, room): (&Site, _)| {
            let labels = &node.said.labels;
            let (accepting, held, against) = (Err("is not asked"), Held::No, None);
            let candidate = Candidate { room, labels, accepting, held, against, dislike: 0 };
            let reasons = placement::place(Search::of(demand), &[candidate]).err()?.reasons;
            Some((node.id.clone(), reasons.into_iter().next()?.1))
        };
        let never: Vec<_> =
            known.clone().filter_map(reason).filter(|(_, reason)| reason.is_for_ever()).collect();
        let is_able = |node: &&Site| never.iter().all(|(id, _)| *id != node.id);
        let able = beside_each_other(demand, known.map(|(node, _)| node).filter(is_able));
        let is_any = able > 0 || !never.is_empty();
        (is_any && able < needs).then_some(Misfit { nodes: never, gang: Some((needs, able)) })
    }
}

/// How many of a gang can run at once on these nodes, where nobody else is: one on each, and no more where a label has one value
/// than its group may be.
fn beside_each_other<'a>(demand: &Demand, nodes: impl Iterator<Item = &'a Site>) -> u32 {
    let nodes: Vec<_> = nodes.collect();
    let spread = demand.constraints.company.iter().flat_map(|company| &company.spread);
    let by_rule = spread.map(|rule| {
        let mut by_value: BTreeMap<&str, u32> = BTreeMap::new();
        let values = nodes.iter().filter_map(|node| node.said.labels.get(&rule.per));
        values.for_each(|value| *by_value.entry(value).or_default() += 1);
        by_value.into_values().map(|there| there.min(rule.max)).sum()
    });
    let all = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
    by_rule.min().map_or(all, |least: u32| least.min(all))
}

#[cfg(test)]
mod tests;
