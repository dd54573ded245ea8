//! What rates have used, as records tell it: so that no window begins anew with a restart.
//!
//! Each grant in the log counts from its time, each end gives back or adds what was reported. Records of graphs that
//! are forgotten are not kept, so before any record goes the whole usage is written down
//! ([`ClaimTable::usage`]), and what is older than that counts no more by itself. What was taken and not yet on
//! record then may count twice for one window; never less than what was taken counts.

use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::claims::rate::Rate;
use crate::claims::{ClaimTable, Claims};
use crate::event::{Event, LogPosition, Record, SchedulerEvent, TaskEvent};
use crate::id::TaskId;
use crate::task::TaskReport;
use crate::time::{Moment, Timestamp};

/// What one rate had used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateUsage {
    /// Its name.
    pub rate: Box<str>,
    /// Until when it lets nobody in.
    pub parked: Option<Timestamp>,
    /// Its windows.
    pub windows: Vec<WindowUsage>,
}

/// What had been used within one window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowUsage {
    /// What is counted.
    pub unit: Box<str>,
    /// How long it is.
    pub length: Duration,
    /// When, and how much.
    pub used: Vec<(Timestamp, u64)>,
}

/// What records say of rates, until all have been heard.
#[derive(Debug, Default)]
pub struct RateHistory {
    /// The last usage that was written down.
    usage: Option<(LogPosition, Vec<RateUsage>)>,
    /// Attempts that are over.
    over: Vec<Over>,
    /// Attempts that are not.
    open: FxHashMap<TaskId, (LogPosition, Timestamp, Arc<Claims>)>,
}

#[derive(Debug)]
struct Over {
    task: TaskId,
    granted: (LogPosition, Timestamp),
    ended: (LogPosition, Timestamp),
    claims: Arc<Claims>,
    report: Option<Box<TaskReport>>,
}

impl RateHistory {
    /// Takes in the next record. `claims_of` says what a task claims, where it is known.
    pub fn hear(
        &mut self,
        position: LogPosition,
        record: &Record,
        claims_of: impl FnOnce(TaskId) -> Option<Arc<Claims>>,
    ) {
        match &record.event {
            Event::Scheduler(SchedulerEvent::RatesUsed(usage)) => {
                self.usage = Some((position, usage.clone()));
            }
            Event::Task { task, event: TaskEvent::Granted { .. }, .. } => {
                if let Some(claims) = claims_of(*task).filter(|claims| !claims.rates.is_empty()) {
                    self.open.insert(*task, (position, record.at, claims));
                }
            }
            Event::Task { task, event: TaskEvent::AttemptEnded { report, .. }, .. } => {
                if let Some((granted, at, claims)) = self.open.remove(task) {
                    let (granted, ended) = ((granted, at), (position, record.at));
                    self.over.push(Over { task: *task, granted, ended, claims, report: report.clone() });
                }
            }
            _ => {}
        }
    }

    /// Whether what was granted at this position is in the usage that was written down.
    fn has_counted(&self, granted: LogPosition) -> bool {
        self.usage.as_ref().is_some_and(|(written, _)| granted < *written)
    }

    /// Tells a table of all that was taken. What is still held is to be restored besides.
    pub fn tell(&self, table: &mut ClaimTable, wall: Timestamp, now: Moment) {
        let written = self.usage.as_ref().map_or(0, |(written, _)| *written);
        for usage in self.usage.iter().flat_map(|(_, usage)| usage) {
            if let Some(rate) = table.rates.get_mut(&usage.rate) {
                rate.restore(usage, wall, now);
            }
        }
        for over in self.over.iter().filter(|over| over.ended.0 >= written) {
            let (granted_ago, ended_ago) = (wall.since(over.granted.1), wall.since(over.ended.1));
            if !self.has_counted(over.granted.0) {
                table.take_rates(&over.claims, granted_ago, now);
            }
            if let Some(report) = &over.report {
                table.settle(over.task, (Some(&over.claims), granted_ago), (report, ended_ago), now);
            }
        }
        for (_, at, claims) in self.open.values().filter(|(granted, ..)| !self.has_counted(*granted)) {
            table.take_rates(claims, wall.since(*at), now);
        }
    }
}

impl ClaimTable {
    /// What all rates have used, to be written down; empty where that is nothing. Call [`Self::pass`] before.
    #[must_use]
    pub fn usage(&self, wall: Timestamp, now: Moment) -> Vec<RateUsage> {
        let used = self.rates.iter().map(|(name, rate)| rate.usage(name, wall, now));
        used.filter(|usage| usage.parked.is_some() || usage.windows.iter().any(|one| !one.used.is_empty()))
            .collect()
    }
}

impl Rate {
    fn usage(&self, name: &str, wall: Timestamp, now: Moment) -> RateUsage {
        let windows = self.rule.windows.iter().zip(self.windows()).map(|(rule, window)| WindowUsage {
            unit: rule.unit.clone(),
            length: rule.length,
            used: window.ages(now).map(|(age, amount)| (wall - age, amount)).collect(),
        });
        let parked = self.parked().map(|until| wall + until.since(now));
        RateUsage { rate: name.into(), parked, windows: windows.collect() }
    }

    /// Counts what was written down. A window that is new since then has what the longest of its unit had.
    fn restore(&mut self, usage: &RateUsage, wall: Timestamp, now: Moment) {
        for (rule, window) in self.rule.windows.iter().zip(&mut self.windows) {
            let same = usage.windows.iter().filter(|known| known.unit == rule.unit);
            let exact = same.clone().find(|known| known.length == rule.length);
            let Some(known) = exact.or_else(|| same.max_by_key(|known| known.length)) else { continue };
            for (at, amount) in &known.used {
                window.add_aged(*amount, wall.since(*at), now);
            }
        }
        if let Some(until) = usage.parked {
            self.park(now + until.since(wall));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::{Holder, RateRule, WindowRule};
    use crate::event::Next;
    use crate::id::{AttemptNumber, NodeSession, Token};
    use crate::task::{AttemptOutcome, Priority, TaskOutcome, Usage};

    const HOUR: Duration = Duration::from_hours(1);

    fn rules() -> crate::claims::ClaimRules {
        let window = WindowRule { unit: "tokens".into(), limit: 100, length: HOUR };
        let rates = [("llm".into(), RateRule { windows: vec![window] })].into();
        crate::claims::ClaimRules { rates, ..Default::default() }
    }

    fn tokens(count: u64) -> Arc<Claims> {
        let rates = [("llm".into(), [("tokens".into(), count)].into())].into();
        Arc::new(Claims { rates, ..Claims::default() })
    }

    /// Seconds of the wall clock.
    fn at(seconds: u64) -> Timestamp {
        Timestamp(seconds * 1_000_000)
    }

    fn record(seconds: u64, event: Event) -> Record {
        Record { number: 1, at: at(seconds), cause: 0, correlation: 0, event }
    }

    fn task(event: TaskEvent) -> Event {
        Event::Task { task: TaskId(1), sequence: 1, previous: 0, event }
    }

    fn granted() -> Event {
        let (token, attempt, node, session) = (Token(1), AttemptNumber(1), "n".into(), NodeSession(1));
        let (request, indices, gang) = Default::default();
        task(TaskEvent::Granted { token, attempt, node, session, request, indices, gang, waited: Vec::new() })
    }

    fn ended(report: &TaskReport) -> Event {
        task(TaskEvent::AttemptEnded {
            token: Token(1),
            outcome: AttemptOutcome::Exited(0),
            usage: Usage::default(),
            order: 0,
            next: Next::Finish(TaskOutcome::Succeeded),
            report: Some(Box::new(report.clone())),
        })
    }

    fn used(history: &RateHistory, wall: Timestamp) -> u64 {
        let (mut table, now) = (ClaimTable::new(&rules()), Moment(5_000_000));
        history.tell(&mut table, wall, now);
        table.pass(now);
        table.check();
        table.rate_views(now)[0].windows[0].used
    }

    #[test]
    fn grants_count_from_their_time_and_ends_as_they_were_reported() {
        let mut history = RateHistory::default();
        history.hear(1, &record(1000, granted()), |_| Some(tokens(60)));
        let mut report = TaskReport::default();
        report.add_use("llm", "tokens", 40);
        history.hear(2, &record(1100, ended(&report)), |_| None);
        assert_eq!(used(&history, at(1200)), 40);
        assert_eq!(used(&history, at(1000 + 3700)), 0);
        let mut report = TaskReport::default();
        report.park("llm", HOUR);
        history.hear(3, &record(2000, granted()), |_| Some(tokens(10)));
        assert_eq!(used(&history, at(2050)), 50, "what still runs has taken it as well");
        history.hear(4, &record(2100, ended(&report)), |_| None);
        let (mut table, now) = (ClaimTable::new(&rules()), Moment(5_000_000));
        history.tell(&mut table, at(2200), now);
        let wait = table.room(&tokens(1), now).unwrap_err().wait().expect("it is parked");
        assert!(wait >= Duration::from_secs(3500) && wait < Duration::from_secs(4000), "{wait:?}");
    }

    #[test]
    fn what_was_written_down_stands_for_all_before_it() {
        let (mut table, now) = (ClaimTable::new(&rules()), Moment(900_000_000));
        let holder = Holder { task: TaskId(7), node: "n".into(), priority: Priority::Normal };
        assert!(table.take(holder, &tokens(70), now).is_ok());
        let usage = table.usage(at(1000), now);
        let mut history = RateHistory::default();
        history.hear(1, &record(900, granted()), |_| Some(tokens(70)));
        history.hear(5, &record(1000, Event::Scheduler(SchedulerEvent::RatesUsed(usage))), |_| None);
        assert!(history.has_counted(1) && !history.has_counted(6));
        assert_eq!(used(&history, at(1001)), 70, "counted once");
        assert_eq!(used(&history, at(1000 + 3800)), 0);
        let mut report = TaskReport::default();
        report.add_use("llm", "tokens", 90);
        history.hear(6, &record(1100, ended(&report)), |_| None);
        assert_eq!(used(&history, at(1200)), 90, "what was used beyond its claim");
    }
}
