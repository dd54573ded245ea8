//! Lending of priority: what must be over before something more urgent can start is served as urgently.
//!
//! An item, a task or an array, that waits for others lends them what it is itself served as, its own priority or what is
//! lent to it: so the priority goes along the chain. An item is served as the highest of its own and what those that wait
//! for it lend.
//!
//! # Why counts
//!
//! Each item counts those that wait for it by what they are served as. One that waits no more is one subtraction, and what an
//! item is served as is read from the counts, so nothing is remembered of what is over. Dependencies have no cycles, so no
//! count keeps itself up. A change goes from item to item by a list, never by a call within a call; within one change an
//! item can only rise or only fall, so it is visited three times at the most.

use crate::task::Priority;

/// Those that wait that are looked at to find who lends: one question must not cost more than a look at a screen.
const LOOKS_LIMIT: usize = 256;

/// What is known of one item. 16 bytes.
#[derive(Debug, Clone, Copy)]
struct Account {
    /// Those that wait for it, by what they lend; Low lends nothing.
    waiters: [u32; 3],
    own: Priority,
    /// What the items it waits for count it as; Low where it does not wait.
    lends: Priority,
    /// The queue in which it is: what it was served as when that was last asked.
    queue: Priority,
    waits: bool,
}

/// One item is served as something else from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    /// Which, by its number.
    pub(crate) item: usize,
    /// As what it was served.
    pub(crate) from: Priority,
    /// As what it is.
    pub(crate) to: Priority,
}

/// The accounts of the items of one graph, by number.
#[derive(Debug, Default)]
pub(crate) struct Lending {
    accounts: Vec<Account>,
    /// Of whom something has changed that decides whether they wait.
    touched: Vec<usize>,
    /// Of whom what they are served as may have changed.
    changed: Vec<usize>,
}

impl Lending {
    /// One more item, which waits for nothing yet.
    pub(crate) fn push(&mut self, own: Priority) {
        let account = Account { waiters: [0; 3], own, lends: Priority::Low, queue: own, waits: false };
        self.accounts.push(account);
    }

    /// The queue of an item, as far as changes were asked for.
    pub(crate) fn queue(&self, item: usize) -> Priority {
        self.accounts[item].queue
    }

    /// Whether an item waits for others now, as far as that is known without working out what follows.
    pub(crate) fn touch(&mut self, item: usize, waits: bool) {
        if self.accounts[item].waits != waits {
            self.touched.push(item);
        }
    }

    /// Those of whom it is to be said whether they wait.
    pub(crate) fn take_touched(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.touched)
    }

    /// An item waits for all of its `dependencies`, or for none of them any more.
    pub(crate) fn set_waits<I: Iterator<Item = usize>>(
        &mut self,
        item: usize,
        waits: bool,
        dependencies: impl Fn(usize) -> I,
    ) {
        self.accounts[item].waits = waits;
        self.pass_on(item, dependencies);
    }

    /// An item is by itself as urgent as that from now on.
    pub(crate) fn set_own<I: Iterator<Item = usize>>(
        &mut self,
        item: usize,
        own: Priority,
        dependencies: impl Fn(usize) -> I,
    ) {
        let account = &mut self.accounts[item];
        let served = account.served();
        account.own = own;
        if account.served() != served {
            self.changed.push(item);
        }
        self.pass_on(item, dependencies);
    }

    /// Has all know what an item lends now, and so on along those for which they wait.
    fn pass_on<I: Iterator<Item = usize>>(&mut self, item: usize, dependencies: impl Fn(usize) -> I) {
        let mut visit = vec![item];
        while let Some(item) = visit.pop() {
            let lends = self.accounts[item].would_lend();
            let lent = std::mem::replace(&mut self.accounts[item].lends, lends);
            if lent == lends {
                continue;
            }
            for on in dependencies(item) {
                let account = &mut self.accounts[on];
                let served = account.served();
                account.count(lent, |count| count - 1);
                account.count(lends, |count| count + 1);
                if account.served() != served {
                    self.changed.push(on);
                    visit.push(on);
                }
            }
        }
    }

    /// Those that are in another queue from now on, each once.
    pub(crate) fn changes(&mut self) -> Vec<Change> {
        let changed = std::mem::take(&mut self.changed);
        let changes = changed.into_iter().filter_map(|item| {
            let account = &mut self.accounts[item];
            let (from, to) = (account.queue, account.served());
            account.queue = to;
            (from != to).then_some(Change { item, from, to })
        });
        changes.collect()
    }

    /// Whether something more urgent waits for an item than it is itself.
    pub(crate) fn is_lent(&self, item: usize) -> bool {
        self.accounts[item].queue > self.accounts[item].own
    }

    /// Whose priority an item is served under, where that is another's: along those that wait, as far as that is looked at.
    pub(crate) fn lender<I: Iterator<Item = usize>>(
        &self,
        item: usize,
        dependents: impl Fn(usize) -> I,
    ) -> Option<usize> {
        let served = self.accounts[item].served();
        if served == self.accounts[item].own {
            return None;
        }
        let (mut at, mut left) = (item, LOOKS_LIMIT);
        loop {
            let mut lends = |waiter: &usize| {
                left = left.saturating_sub(1);
                self.accounts[*waiter].lends == served
            };
            let next = dependents(at).take(LOOKS_LIMIT).find(|waiter| lends(waiter));
            let Some(next) = next.filter(|_| left > 0) else { return (at != item).then_some(at) };
            at = next;
            if self.accounts[at].own == served {
                return Some(at);
            }
        }
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        self.accounts.capacity() * size_of::<Account>()
    }

    /// Asserts that every account is what it comes to from nothing. It looks at each edge: for tests and simulations.
    pub(crate) fn check<I: Iterator<Item = usize>>(
        &self,
        waits: impl Fn(usize) -> bool,
        dependencies: impl Fn(usize) -> I,
    ) {
        let mut waiters = vec![[0; 3]; self.accounts.len()];
        for (item, account) in self.accounts.iter().enumerate() {
            assert_eq!(account.waits, waits(item), "whether item {item} waits");
            assert_eq!(account.lends, account.would_lend(), "what item {item} lends");
            assert_eq!(account.queue, account.served(), "as what item {item} is served");
            if let Some(level) = level(account.lends) {
                dependencies(item).for_each(|on| waiters[on][level] += 1);
            }
        }
        for (item, (account, waiters)) in self.accounts.iter().zip(waiters).enumerate() {
            assert_eq!(account.waiters, waiters, "those that wait for item {item}");
        }
        assert!(self.touched.is_empty() && self.changed.is_empty(), "all that has changed was asked for");
    }
}

impl Account {
    fn served(&self) -> Priority {
        let levels = [Priority::Critical, Priority::High, Priority::Normal];
        let lent = levels.into_iter().find(|one| level(*one).is_some_and(|level| self.waiters[level] > 0));
        lent.map_or(self.own, |lent| lent.max(self.own))
    }

    fn would_lend(&self) -> Priority {
        if self.waits { self.served() } else { Priority::Low }
    }

    fn count(&mut self, lent: Priority, change: impl Fn(u32) -> u32) {
        if let Some(level) = level(lent) {
            self.waiters[level] = change(self.waiters[level]);
        }
    }
}

/// Where those are counted that lend this; `None` where that is nothing.
fn level(lent: Priority) -> Option<usize> {
    (lent as usize).checked_sub(1)
}

#[cfg(test)]
mod tests;
