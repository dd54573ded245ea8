//! Tasks that have a suite of tests run in shards: where on this machine the program is that does so, and how it reaches the
//! scheduler that has the task run.
//!
//! Such a task waits for others, so it must take nothing that these need, and it must reach the scheduler that places them:
//! a machine says with `policy::shards::DRIVER` that both can be here. Must not know how a suite is divided.

use std::path::PathBuf;

use policy::resources::Resources;
use policy::shards::{DRIVER, DRIVERS_LIMIT};
use policy::task::TaskSpec;
use policy::text::OsText;

use crate::taskfile::path_text;

/// The variable in which such a task finds the program.
pub const PROGRAM_VARIABLE: &str = "CRAB";
/// The variable that says where the times of tests are remembered, where that is not the scheduler's data directory.
pub const TIMES_VARIABLE: &str = "CRAB_TEST_TIMES";

/// How suites are driven here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suites {
    /// The program `crab`.
    pub program: PathBuf,
    /// The data directory in which the scheduler's socket is, or whose certificate or cookie lets its user in.
    pub data_dir: PathBuf,
    /// Where the scheduler is, where it is elsewhere.
    pub address: Option<Box<str>>,
    /// Where the times of tests are remembered; in `data_dir`, where nothing is said.
    pub times: Option<PathBuf>,
}

impl Suites {
    /// What such a task is given of this; whatever else its user has said of schedulers does not count.
    #[must_use]
    pub fn variables(&self) -> Vec<(OsText, OsText)> {
        let times = self.times.as_ref().map(|times| (TIMES_VARIABLE, path_text(times)));
        let always = [
            (PROGRAM_VARIABLE, path_text(&self.program)),
            ("CRAB_DATA_DIR", path_text(&self.data_dir)),
            ("CRAB_ADDRESS", self.address.as_deref().unwrap_or_default().into()),
            ("CRAB_CONTEXT", "".into()),
        ];
        always.into_iter().chain(times).map(|(name, value)| (name.into(), value)).collect()
    }

    /// Adds to what there is for tasks that suites can be driven.
    pub fn offer(capacity: &mut Resources) {
        capacity.named.insert(DRIVER.into(), DRIVERS_LIMIT);
    }
}

/// Whether a task drives a suite.
pub(super) fn is_driver(spec: &TaskSpec) -> bool {
    spec.resources.named.contains_key(DRIVER)
}
