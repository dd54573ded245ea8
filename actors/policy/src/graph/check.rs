//! Every invariant of the table, worked out again from nothing and compared with what is kept.

use strum::VariantArray;

use crate::dependency::Need;
use crate::graph::Graphs;
use crate::graph::item::Rest;
use crate::graph::state::{Counts, TaskState};
use crate::graph::table::Graph;
use crate::graph::totals::Totals;
use crate::id::TaskRange;

impl Graphs {
    /// Asserts every invariant. It looks at each task: for tests and simulations.
    ///
    /// # Panics
    ///
    /// When one does not hold.
    pub fn check(&self) {
        let mut totals = Totals::default();
        for (id, graph) in &self.graphs {
            assert_eq!(*id, graph.id, "a graph is kept under its id");
            let part = |range: TaskRange| {
                (range.first != id.first_task()).then_some((range.first, (*id, range.count)))
            };
            for range in graph.ranges() {
                assert!(range.end().0 <= self.next, "ids are not given twice");
                let added = self.added.get(&range.first).map(|added| (range.first, *added));
                assert_eq!(added, part(range), "a part is found by its first task");
            }
            graph.check(&mut totals);
            graph.check_lending(self.lends);
            let ended = graph.finished_at.is_some_and(|at| self.ended.contains(&(at, *id)));
            assert_eq!(ended, graph.is_finished(), "{id} is listed as ended when it has");
        }
        assert_eq!(totals, self.totals, "the counts over all graphs");
        let ended: u64 =
            self.ended.iter().filter_map(|(_, id)| self.graph(*id)).map(|one| u64::from(one.tasks)).sum();
        assert_eq!(ended, self.ended_tasks, "the tasks of ended graphs");
    }
}

impl Graph {
    fn check(&self, totals: &mut Totals) {
        let mut counts = Counts::default();
        for number in 0..self.items.len() {
            let of_item = self.check_item(number);
            counts.add_all(&of_item);
            let item = &self.items[number];
            totals[item.priority as usize].add_all(&of_item);
            let unended = of_item.total() - of_item.ended();
            if unended > 0 {
                totals.opened(item.shape, super::to_u32(usize::try_from(unended).unwrap_or(usize::MAX)));
            }
            self.check_order(number, &of_item);
        }
        assert_eq!(counts, self.counts, "the counts of {}", self.id);
        assert_eq!(counts.total(), u64::from(self.tasks), "every task of {} is counted", self.id);
        let open = [TaskState::Waiting, TaskState::Ready, TaskState::BackingOff];
        assert!(
            !self.cancel_asked || open.iter().all(|state| counts.of(*state) == 0),
            "nothing of a cancelled graph is still to start"
        );
    }

    /// The counts of an item agree with its members.
    fn check_item(&self, number: usize) -> Counts {
        let item = &self.items[number];
        let mut counts = Counts::default();
        let (mut unrecorded, mut held) = (0, 0);
        for offset in item.offsets() {
            let (state, entry) = (self.state_of(number, offset), self.pages.get(offset));
            counts.add(state, 1);
            unrecorded += u32::from(state.is_ended() && !entry.recorded);
            assert!(state.is_ended() || !entry.recorded, "only an end is recorded");
            assert!(
                state == TaskState::Active || !entry.cancel_asked,
                "only an active task is being cancelled"
            );
            if entry.state == Some(TaskState::Waiting) {
                held += 1;
                assert!(self.held.contains(&offset), "who waits alone is held");
            }
        }
        let sum = |holds: fn(TaskState) -> bool| -> u64 {
            TaskState::VARIANTS.iter().filter(|state| holds(**state)).map(|state| counts.of(*state)).sum()
        };
        assert_eq!(unrecorded, item.unrecorded, "ends without a record");
        assert_eq!(held, self.held.range(item.offsets()).count(), "members held");
        assert_eq!(sum(TaskState::is_out), u64::from(item.out), "members out");
        assert_eq!(sum(TaskState::is_bad), u64::from(item.bad), "members that ended badly");
        assert_eq!(sum(TaskState::is_stopped), u64::from(item.stopped), "members that were stopped");
        assert_eq!(counts.of(TaskState::Succeeded), u64::from(item.succeeded), "members that succeeded");
        let active = counts.of(TaskState::Active);
        assert!(
            !item.is_gang
                || item.bad == 0
                || (u64::from(item.out) == active && counts.of(TaskState::Waiting) == 0),
            "nothing of a gang is still to start once a member has ended badly"
        );
        assert!(item.out <= item.limit, "at most {} of item {number} are out", item.limit);
        counts
    }

    /// Nothing runs before what it depends on, nothing waits that could run, what cannot run any more is skipped.
    fn check_order(&self, number: usize, counts: &Counts) {
        let item = &self.items[number];
        let on =
            || self.dependencies.of(number).map(|edge| (self.items[edge.item()].standing(), edge.needs()));
        let left = on().filter(|(on, needs)| !on.meets(*needs)).count();
        let bad = on().filter(|(on, needs)| on.fails(*needs)).count();
        assert_eq!(
            (left, bad),
            (item.deps_left as usize, item.deps_bad as usize),
            "the dependencies of item {number}"
        );
        assert_eq!(item.told, item.standing(), "the dependents of item {number} know how it stands");
        let strict = on().any(|(on, needs)| needs == Need::Success && !on.meets(needs));
        assert!(
            !strict || item.out + item.succeeded == 0,
            "item {number} started before its dependencies succeeded"
        );
        let begun = |offset: &u32| self.pages.get(*offset).attempts > 0;
        let mut ready = item.offsets().filter(|one| self.state_of(number, *one) == TaskState::Ready);
        assert!(left == 0 || ready.all(|one| begun(&one)), "item {number} is ready before its dependencies");
        let waiting = counts.of(TaskState::Waiting);
        assert!(left > 0 || waiting == 0 || item.places() == 0, "item {number} waits for nothing");
        assert!(bad == 0 || waiting == 0, "item {number} waits for what does not come");
        let skipped = counts.of(TaskState::Skipped);
        let by_itself = self.has_failed_as_gang(number);
        assert!(bad > 0 || skipped == 0 || by_itself, "item {number} is skipped for nothing");
        assert!(item.rest != Rest::Skipped || bad > 0 || by_itself, "item {number} is closed for nothing");
    }
}
