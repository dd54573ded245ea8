//! What the log says to a scheduler that begins its reign: every record is heard once, in order.
//!
//! Must not know what is done with it.

use std::sync::Arc;

use policy::breaker::{BreakerRules, End, Replay as Breakers, Verdict};
use policy::budget::{Ledger, TenantLedger};
use policy::claims::RateHistory;
use policy::directive::{Author, Directives};
use policy::event::{Event, LogPosition, NodeEvent, Record, SchedulerEvent, TaskEvent};
use policy::graph::{Malformed, Replay};
use policy::id::{Epoch, Token};
use policy::placement::Shapes;
use policy::planted;
use policy::waits::WaitsReplay;
use supervision::ActorError;

use crate::side::Side;

/// See the module's documentation.
pub(super) struct Reading {
    /// What is there.
    pub(super) graphs: Replay,
    /// The first record that cannot be.
    failed: Option<Malformed>,
    /// That of the reign before.
    pub(super) last_epoch: u32,
    breaker_rules: BreakerRules,
    /// How each breaker stood.
    pub(super) breakers: Breakers,
    /// What graphs may use up, and have.
    pub(super) ledger: Ledger,
    /// What tenants may use up, and have.
    pub(super) tenants: TenantLedger,
    /// What operators have said.
    pub(super) directives: Directives,
    /// What was taken of rates.
    pub(super) rates: RateHistory,
    /// How long tasks may wait.
    pub(super) waits: WaitsReplay,
}

impl Reading {
    /// Reads all of it, once it is durable.
    pub(super) fn of(side: &Side) -> Result<Self, ActorError> {
        side.log.settle()?;
        let (read, how) = side
            .archive
            .replay(|| Self::begin(side), |read, position, record| read.hear(position, &record))?;
        tracing::debug!(kept = how.kept, rebuilt = how.rebuilt, "read snapshots and log");
        match read.failed {
            Some(malformed) => Err(Box::new(malformed)),
            None => Ok(read),
        }
    }

    fn begin(side: &Side) -> Self {
        Self {
            graphs: Replay::new(Shapes::new(side.limits().shapes)),
            failed: None,
            last_epoch: 0,
            breaker_rules: side.limits().breaker,
            breakers: Breakers::default(),
            ledger: Ledger::default(),
            tenants: TenantLedger::new(Arc::clone(&side.limits().budgets)),
            directives: Directives::default(),
            rates: RateHistory::default(),
            waits: WaitsReplay::default(),
        }
    }

    fn hear(&mut self, position: LogPosition, record: &Record) {
        if let Event::Scheduler(SchedulerEvent::Started { epoch, .. }) = &record.event {
            self.last_epoch = *epoch;
        }
        if let Event::Scheduler(SchedulerEvent::Directed { directive, by, reason }) = &record.event {
            let (by, reason) = (Arc::clone(by), Arc::clone(reason));
            self.directives.hear(directive, &Author { by, reason, at: record.at });
        }
        self.hear_breakers(record);
        if let Err(malformed) = self.graphs.apply(position, record) {
            self.failed.get_or_insert(malformed);
        }
        self.ledger.replay(&record.event, |task| self.graphs.graph_of(task));
        self.tenants.replay(&record.event, record.at, |task| self.graphs.tenant_of(task));
        self.rates.hear(position, record, |task| self.graphs.claims_of(task));
        self.waits.hear(record);
    }

    /// What a record says of breakers: before it is applied, since it may end what says where an attempt was.
    fn hear_breakers(&mut self, record: &Record) {
        let at = Token::numbered(Epoch(self.last_epoch), record.number);
        match &record.event {
            Event::Node(node, NodeEvent::Breaker { kind, change }) => {
                self.breakers.changed(node, kind, *change, (at, record.at));
            }
            Event::Task { task, event: TaskEvent::AttemptEnded { token, outcome, .. }, .. } => {
                let end = End { token: *token, at, verdict: Verdict::from(outcome) };
                if !planted!(BreakerForgotten)
                    && self.breakers.is_concerned(end.verdict, &self.breaker_rules)
                    && let Some((node, kind)) = self.graphs.where_it_runs(*task)
                {
                    self.breakers.ended(node, kind, end, &self.breaker_rules);
                }
            }
            _ => {}
        }
    }
}
