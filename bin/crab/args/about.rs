//! What a command says of itself: labels, a goal, by what its run is judged.

use clap::Args;
use policy::task::{About, Evaluation};

#[derive(Debug, Default, Args)]
pub(crate) struct AboutOptions {
    /// A text by name for whoever looks for tasks, such as team=red
    #[arg(long, value_parser = pair, value_name = "NAME=VALUE")]
    pub(crate) label: Vec<(String, String)>,
    /// What it is done for, in words
    #[arg(long, value_name = "TEXT")]
    pub(crate) goal: Option<String>,
    /// The run that it belongs to, as whoever evaluates calls it
    #[arg(long, value_name = "ID")]
    pub(crate) evaluation_run: Option<String>,
    /// Where the rubric is by which its run is judged
    #[arg(long, value_name = "PATH")]
    pub(crate) rubric: Option<String>,
    /// It decides on a promotion: it runs on machines with the label production=yes alone
    #[arg(long)]
    pub(crate) promotion_gate: bool,
    /// The phase of its agent, from 1 to 4: in 1 and 2 it runs on no machine with the label production=yes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=4))]
    pub(crate) phase: Option<u8>,
}

/// A name and a value, which may be empty.
pub(crate) fn pair(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("must be NAME=VALUE"),
    }
}

impl AboutOptions {
    /// Which options are given.
    pub(crate) fn given(&self) -> [(&'static str, bool); 6] {
        [
            ("--label", !self.label.is_empty()),
            ("--goal", self.goal.is_some()),
            ("--evaluation-run", self.evaluation_run.is_some()),
            ("--rubric", self.rubric.is_some()),
            ("--promotion-gate", self.promotion_gate),
            ("--phase", self.phase.is_some()),
        ]
    }

    /// What the options say.
    pub(crate) fn about(self) -> Option<Box<About>> {
        let evaluation = Evaluation {
            run: self.evaluation_run.map(Into::into),
            rubric: self.rubric.map(Into::into),
            is_gate: self.promotion_gate,
            phase: self.phase,
        };
        let about = About {
            labels: self.label.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            goal: self.goal.map(Into::into),
            evaluation: Some(evaluation).filter(|evaluation| *evaluation != Evaluation::default()),
        };
        (!about.is_empty()).then(|| Box::new(about))
    }
}
