//! What the log says to a scheduler that begins its reign: every record is heard once, in order.
//!
//! Must not know what is done with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::breaker::{Change, Key};
use policy::budget::{Ledger, TenantLedger};
use policy::claims::RateHistory;
use policy::directive::Directives;
use policy::event::{Event, LogPosition, NodeEvent, Record, SchedulerEvent};
use policy::graph::{Malformed, Replay};
use policy::id::{Epoch, NodeId, Token};
use policy::placement::Shapes;
use policy::time::Timestamp;
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
    /// The last change of each breaker.
    pub(super) breakers: BTreeMap<(NodeId, Key), (Change, Token, Timestamp)>,
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
            breakers: BTreeMap::new(),
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
        if let Event::Scheduler(SchedulerEvent::Directed { directive, .. }) = &record.event {
            self.directives.apply(directive);
        }
        if let Event::Node(node, NodeEvent::Breaker { kind, change }) = &record.event {
            let at = Token::numbered(Epoch(self.last_epoch), record.number);
            self.breakers.insert((node.clone(), kind.clone()), (*change, at, record.at));
        }
        if let Err(malformed) = self.graphs.apply(position, record) {
            self.failed.get_or_insert(malformed);
        }
        self.ledger.replay(&record.event, |task| self.graphs.graph_of(task));
        self.tenants.replay(&record.event, record.at, |task| self.graphs.tenant_of(task));
        self.rates.hear(position, record, |task| self.graphs.claims_of(task));
        self.waits.hear(record);
    }
}
