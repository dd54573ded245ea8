//! Looks at the machine before every heartbeat, which tells how strained it is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Worker;
use crate::process::os;
use policy::strain::{Reading, Sign, StrainRules};

/// Measures a machine. Must not wait.
pub trait Measure: Send + Sync + 'static {
    /// What can be told of it now.
    fn read(&self) -> Vec<Reading>;
}

/// How a machine is looked at; by default not at all.
#[derive(Clone, Default)]
pub struct Gauge {
    source: Option<Arc<dyn Measure>>,
    rules: StrainRules,
}

impl Gauge {
    /// By what is measured, as the rules say.
    #[must_use]
    pub fn new(source: Arc<dyn Measure>, rules: StrainRules) -> Self {
        Self { source: Some(source), rules }
    }

    /// This machine, whose data is in `data`.
    #[must_use]
    pub fn of_system(rules: StrainRules, data: &Path) -> Self {
        Self::new(Arc::new(System(data.to_owned())), rules)
    }
}

impl fmt::Debug for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gauge").field("rules", &self.rules).finish_non_exhaustive()
    }
}

/// The machine that this program runs on.
struct System(PathBuf);

impl Measure for System {
    fn read(&self) -> Vec<Reading> {
        let mut readings = os::signs();
        let value = os::free_disk_bytes(&self.0);
        // Where it cannot be told it is 0, which a disk to which our records go never is.
        readings.extend((value > 0).then_some(Reading { sign: Sign::DiskFree, value }));
        readings
    }
}

impl Worker {
    /// Looks at the machine: some small files of the kernel, and the disk of which a heartbeat asks as well.
    pub(super) fn measure(&mut self) {
        let Gauge { source: Some(source), rules } = &self.args.gauge else { return };
        let before = self.watch.strain().level;
        self.watch.look(&source.read(), rules, self.args.clock.now());
        let strain = self.watch.strain();
        if strain.level != before {
            tracing::warn!(%strain, "this machine is strained otherwise than before");
        }
    }
}
