//! Who may run beside a task.

use clap::Args;
use policy::constraint::{Company, Distance, Spread};

#[derive(Debug, Default, Args)]
pub(crate) struct Options {
    /// The group that it is counted with, a name in the whole fleet
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Option<String>,
    /// How many of its group may run at once for each value of a label: node=1, rack=2
    #[arg(long, value_name = "LABEL=N")]
    pub(crate) spread: Vec<Spread>,
    /// A group of which none runs on its machine meanwhile
    #[arg(long, value_name = "GROUP")]
    pub(crate) apart: Vec<String>,
    /// A group beside which it would rather not run, with a weight from 1 to 100 before it: 50:builds
    #[arg(long, value_name = "[WEIGHT:]GROUP")]
    pub(crate) prefer_apart: Vec<Distance>,
}

impl Options {
    /// What the options say.
    pub(crate) fn company(self) -> Company {
        Company {
            group: self.group.map(Into::into),
            spread: self.spread,
            apart: self.apart.into_iter().map(Into::into).collect(),
            prefer_apart: self.prefer_apart,
        }
    }
}
