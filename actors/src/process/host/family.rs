//! Which processes belong to which attempt: the marks, groups and trees by which they are found.
//!
//! A process belongs to an attempt if it carries its mark, is in its group, was seen below it before, or is
//! a child of one that belongs. An orphan that shows none of these belongs to whichever attempt could have
//! started it and is the last of those to end.

use policy::id::Token;
use policy::time::Moment;
use rustc_hash::{FxHashMap, FxHashSet};

use super::journal::Remembered;
use crate::process::os::{Process, START_SLACK};

/// What is known of one attempt's processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Root {
    pub(super) token: Token,
    /// The first process, which is also the group; `None` where it was never known.
    pub(super) leader: Option<i32>,
    /// No process of it is older.
    pub(super) since: Moment,
}

/// One look at all processes.
#[derive(Debug)]
pub(super) struct Sight {
    processes: Vec<Process>,
    marks: FxHashMap<i32, Token>,
    orphans: FxHashSet<i32>,
}

impl Sight {
    /// Of these processes, reading the marks of those that are young enough to matter.
    pub(super) fn new(
        processes: Vec<Process>,
        orphans: impl IntoIterator<Item = i32>,
        since: Moment,
        mark: impl Fn(i32) -> Option<Token>,
    ) -> Self {
        let young = processes.iter().filter(|process| process.started + START_SLACK >= since);
        let marks = young.filter_map(|process| Some((process.pid, mark(process.pid)?))).collect();
        Self { processes, marks, orphans: orphans.into_iter().collect() }
    }

    /// The living processes that belong to `root`; `known` are those seen below it before. `rivals` are the
    /// other attempts that have not ended.
    pub(super) fn family(&self, root: Root, known: &[Known], rivals: &[Root]) -> Vec<Known> {
        let is_own = |process: &Process| match self.marks.get(&process.pid) {
            Some(mark) => *mark == root.token,
            None => {
                root.has_in_group(process)
                    || known.iter().any(|known| known.is(process))
                    || self.is_unclaimed(process, root, rivals)
            }
        };
        let mut own: FxHashSet<i32> = self.processes.iter().filter(|p| is_own(p)).map(|p| p.pid).collect();
        loop {
            let before = own.len();
            let below = self.processes.iter().filter(|p| own.contains(&p.parent) && !self.is_others(p, root));
            let below: Vec<i32> = below.map(|p| p.pid).collect();
            own.extend(below);
            if own.len() == before {
                break;
            }
        }
        let living = self.processes.iter().filter(|p| own.contains(&p.pid) && !p.zombie);
        living.map(Known::from).collect()
    }

    /// Those with these numbers that live.
    pub(super) fn of_numbers(&self, pids: &[i32]) -> impl Iterator<Item = Known> {
        let these = self.processes.iter().filter(|process| pids.contains(&process.pid) && !process.zombie);
        these.map(Known::from)
    }

    /// Marked for another attempt, as when a task runs a scheduler of its own.
    fn is_others(&self, process: &Process, root: Root) -> bool {
        self.marks.get(&process.pid).is_some_and(|mark| *mark != root.token)
    }

    /// An orphan without any sign, which no other attempt could have started.
    fn is_unclaimed(&self, process: &Process, root: Root, rivals: &[Root]) -> bool {
        self.orphans.contains(&process.pid)
            && root.may_have_started(process)
            && !rivals.iter().any(|rival| rival.may_have_started(process) && rival.token != root.token)
    }
}

impl Root {
    /// Of the attempt that this is remembered of.
    pub(super) fn of(record: &Remembered) -> Self {
        Self { token: record.token, leader: record.pid, since: record.at }
    }

    fn has_in_group(&self, process: &Process) -> bool {
        self.leader == Some(process.group) && self.may_have_started(process)
    }

    fn may_have_started(&self, process: &Process) -> bool {
        process.started + START_SLACK >= self.since
    }
}

/// A process for certain: a number is used again, a number and a start are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Known {
    pub(super) pid: i32,
    pub(super) group: i32,
    pub(super) started: Moment,
}

impl Known {
    fn is(&self, process: &Process) -> bool {
        let (earlier, later) = (self.started.min(process.started), self.started.max(process.started));
        self.pid == process.pid && later.since(earlier) <= START_SLACK
    }
}

impl From<&Process> for Known {
    fn from(process: &Process) -> Self {
        Self { pid: process.pid, group: process.group, started: process.started }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: i32 = 2;

    fn process(pid: i32, parent: i32, group: i32, started_ms: u64) -> Process {
        Process { pid, parent, group, started: Moment(started_ms * 1000), zombie: false }
    }

    fn root(token: u64, leader: i32, since_ms: u64) -> Root {
        Root { token: Token(token), leader: Some(leader), since: Moment(since_ms * 1000) }
    }

    fn sight(processes: &[Process], orphans: &[i32], marks: &[(i32, u64)]) -> Sight {
        let marks: FxHashMap<i32, Token> = marks.iter().map(|(pid, token)| (*pid, Token(*token))).collect();
        Sight::new(processes.to_vec(), orphans.iter().copied(), Moment(0), |pid| marks.get(&pid).copied())
    }

    fn pids(family: &[Known]) -> Vec<i32> {
        family.iter().map(|known| known.pid).collect()
    }

    #[test]
    fn group_mark_and_tree_all_count() {
        let processes = [
            process(10, HOST, 10, 1000),
            process(11, 10, 10, 1001),
            process(12, HOST, 12, 1002),
            process(13, 12, 13, 1003),
            process(20, HOST, 20, 1000),
        ];
        let sight = sight(&processes, &[12], &[(12, 1)]);
        assert_eq!(pids(&sight.family(root(1, 10, 1000), &[], &[root(2, 20, 1000)])), [10, 11, 12, 13]);
    }

    #[test]
    fn an_orphan_without_signs_goes_with_the_last_that_could_have_started_it() {
        let processes = [process(30, HOST, 30, 2000)];
        let sight = sight(&processes, &[30], &[]);
        assert!(sight.family(root(1, 10, 1000), &[], &[root(2, 20, 1500)]).is_empty());
        assert!(sight.family(root(3, 11, 3000), &[], &[]).is_empty(), "it is older than that attempt");
        assert_eq!(pids(&sight.family(root(1, 10, 1000), &[], &[root(3, 11, 3000)])), [30]);
    }

    #[test]
    fn a_number_used_again_is_not_taken_for_what_had_it_before() {
        let processes = [process(10, 1, 10, 100), process(12, 1, 12, 9000)];
        let known = [Known { pid: 12, group: 12, started: Moment(1_002_000) }];
        assert!(sight(&processes, &[], &[]).family(root(1, 10, 1000), &known, &[]).is_empty());
    }
}
