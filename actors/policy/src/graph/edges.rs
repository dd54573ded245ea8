//! What depends on what within a graph, and in which manner it must have ended: four bytes for an edge.

use std::collections::BTreeMap;

use crate::dependency::Need;

/// One end of an edge: an item, and in the two high bits the need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edge(u32);

const NEED_SHIFT: u32 = 30;
/// Items that an edge can name: a thousand times what admission allows.
pub(super) const ITEMS_LIMIT: u32 = 1 << NEED_SHIFT;

impl Edge {
    pub(super) fn new(item: u32, needs: Need) -> Self {
        Self(((needs as u32) << NEED_SHIFT) | item)
    }

    pub(super) fn item(self) -> usize {
        (self.0 & (ITEMS_LIMIT - 1)) as usize
    }

    pub(super) fn needs(self) -> Need {
        match self.0 >> NEED_SHIFT {
            0 => Need::Success,
            1 => Need::End,
            _ => Need::Always,
        }
    }
}

/// For every item the items it is joined to, in one list each way. Graphs without any are many: they cost
/// a pointer.
#[derive(Debug, Default)]
pub(super) struct Edges(Option<Box<Lists>>);

#[derive(Debug, Default)]
struct Lists {
    /// Where the list of each item starts in `ends`, and where the last one ends.
    starts: Vec<u32>,
    ends: Vec<Edge>,
    /// Edges of items whose list was closed when they came: what was added to a graph depends on what was
    /// there before. Few, as a rule.
    late: BTreeMap<u32, Vec<Edge>>,
}

impl Edges {
    /// Adds the lists of `count` further items behind those of `before` items; `starts` has one more entry than
    /// there are new items, or none where there are no edges.
    pub(super) fn append(&mut self, (before, count): (usize, usize), starts: &[u32], ends: &[Edge]) {
        if ends.is_empty() && self.0.is_none() {
            return;
        }
        let lists = self.0.get_or_insert_with(Box::default);
        let base = super::to_u32(lists.ends.len());
        if lists.starts.is_empty() {
            lists.starts.reserve_exact(before + count + 1);
            lists.starts.resize(before + 1, 0);
        }
        lists.starts.extend(starts.iter().skip(1).map(|start| base + start));
        lists.starts.resize(before + count + 1, base + super::to_u32(ends.len()));
        if lists.ends.is_empty() {
            lists.ends.reserve_exact(ends.len());
        }
        lists.ends.extend_from_slice(ends);
    }

    /// Adds an edge of an item whose list is closed.
    pub(super) fn add_late(&mut self, item: usize, edge: Edge) {
        let lists = self.0.get_or_insert_with(Box::default);
        lists.late.entry(super::to_u32(item)).or_default().push(edge);
    }

    /// Whether there are any at all.
    pub(super) fn has_any(&self) -> bool {
        self.0.as_ref().is_some_and(|lists| !lists.ends.is_empty() || !lists.late.is_empty())
    }

    /// Whether there are any of the items before this one, as far as they came with them.
    pub(super) fn has_any_before(&self, item: usize) -> bool {
        self.0.as_ref().and_then(|lists| lists.starts.get(item)).is_some_and(|start| *start > 0)
    }

    /// All of an item's, in order.
    pub(super) fn of(&self, item: usize) -> impl Iterator<Item = Edge> + '_ {
        let late = self.0.as_ref().and_then(|lists| lists.late.get(&super::to_u32(item)));
        self.listed(item).iter().chain(late.into_iter().flatten()).copied()
    }

    /// One by its place among the item's, for loops that change the graph meanwhile.
    pub(super) fn nth(&self, item: usize, place: usize) -> Option<Edge> {
        let listed = self.listed(item);
        listed.get(place).copied().or_else(|| {
            let late = self.0.as_ref()?.late.get(&super::to_u32(item))?;
            late.get(place - listed.len()).copied()
        })
    }

    fn listed(&self, item: usize) -> &[Edge] {
        let Some(lists) = &self.0 else { return &[] };
        match lists.starts.get(item..item + 2) {
            Some(&[start, end]) => &lists.ends[start as usize..end as usize],
            _ => &[],
        }
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |lists| {
            let late: usize = lists.late.values().map(|edges| size_of_val(&**edges) + 32).sum();
            size_of_val(&*lists.starts) + size_of_val(&*lists.ends) + late
        })
    }
}

/// The dependencies of a part's items seen from the other side, each list in ascending order: those on items of
/// the part itself as lists, with their starts, and those on earlier ones (item and edge) by themselves.
#[derive(Debug, Default)]
pub(super) struct Reversed {
    pub starts: Vec<u32>,
    pub ends: Vec<Edge>,
    pub late: Vec<(usize, Edge)>,
}

impl Reversed {
    /// Of lists of items that are the ones from `before` on.
    pub(super) fn of(before: usize, starts: &[u32], ends: &[Edge]) -> Self {
        if ends.is_empty() {
            return Self::default();
        }
        let items = starts.len() - 1;
        let mut next = vec![0_u32; items + 1];
        for edge in ends.iter().filter(|edge| edge.item() >= before) {
            next[edge.item() - before + 1] += 1;
        }
        for item in 0..items {
            next[item + 1] += next[item];
        }
        let starts_of = next.clone();
        let own = next.last().map_or(0, |last| *last as usize);
        let mut reversed = Self { starts: starts_of, ends: vec![Edge(0); own], late: Vec::new() };
        for item in 0..items {
            let from = super::to_u32(before + item);
            for edge in &ends[starts[item] as usize..starts[item + 1] as usize] {
                let back = Edge::new(from, edge.needs());
                match edge.item().checked_sub(before) {
                    Some(on) => {
                        reversed.ends[next[on] as usize] = back;
                        next[on] += 1;
                    }
                    None => reversed.late.push((edge.item(), back)),
                }
            }
        }
        reversed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(item: u32) -> Edge {
        Edge::new(item, Need::Success)
    }

    fn of(edges: &Edges, item: usize) -> Vec<Edge> {
        let all: Vec<_> = edges.of(item).collect();
        let one_by_one: Vec<_> = (0..).map_while(|place| edges.nth(item, place)).collect();
        assert_eq!(all, one_by_one);
        all
    }

    #[test]
    fn an_edge_is_four_bytes_with_its_need() {
        assert_eq!(size_of::<Edge>(), 4);
        for needs in [Need::Success, Need::End, Need::Always] {
            let edge = Edge::new(ITEMS_LIMIT - 1, needs);
            assert_eq!((edge.item(), edge.needs()), ((ITEMS_LIMIT - 1) as usize, needs));
        }
    }

    #[test]
    fn dependents_are_the_dependencies_seen_from_the_other_side() {
        let (starts, ends) = ([0, 0, 1, 2, 4], [edge(0), edge(0), edge(1), Edge::new(2, Need::End)]);
        let reversed = Reversed::of(0, &starts, &ends);
        let mut dependents = Edges::default();
        dependents.append((0, 4), &reversed.starts, &reversed.ends);
        assert_eq!(of(&dependents, 0), [edge(1), edge(2)]);
        assert_eq!(of(&dependents, 2), [Edge::new(3, Need::End)]);
        assert_eq!((of(&dependents, 3), reversed.late.len()), (vec![], 0));
    }

    #[test]
    fn a_part_that_is_added_joins_the_lists_of_those_before_it() {
        let mut dependents = Edges::default();
        dependents.append((0, 2), &[], &[]);
        let reversed = Reversed::of(2, &[0, 2, 3], &[edge(0), edge(3), edge(0)]);
        dependents.append((2, 2), &reversed.starts, &reversed.ends);
        reversed.late.iter().for_each(|(item, edge)| dependents.add_late(*item, *edge));
        assert_eq!(of(&dependents, 0), [edge(2), edge(3)]);
        assert_eq!(
            (of(&dependents, 1), of(&dependents, 2), of(&dependents, 3)),
            (vec![], vec![], vec![edge(2)])
        );
        dependents.append((4, 1), &[0, 1], &[edge(4)]);
        assert_eq!(of(&dependents, 4), [edge(4)]);
    }
}
