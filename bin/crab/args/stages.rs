//! What is done around a command: hooks before and after, and a gate; and what is kept of it.

use actors::taskfile::shell_argv;
use clap::Args;
use policy::artifact::{Artifacts, Pattern};
use policy::stages::Stages;

#[derive(Debug, Default, Args)]
pub(crate) struct StageOptions {
    /// What must succeed after the command, in the same place, before that counts as succeeded: a line for /bin/sh
    #[arg(long, value_name = "LINE")]
    pub(crate) gate: Option<String>,
    /// What is done before the command, without which that is not run: a line for /bin/sh; may be given several times
    #[arg(long, value_name = "LINE")]
    pub(crate) before_hook: Vec<String>,
    /// What is done after the command and its gate, however they went (CRAB_OUTCOME says how): a line for /bin/sh; may be given
    /// several times
    #[arg(long, value_name = "LINE")]
    pub(crate) after_hook: Vec<String>,
    /// Files that are kept when it has ended, as a pattern of paths below its directory, such as out/**, with KIND: before it where
    /// the name does not tell (log, junit, coverage, patch, other); may be given several times
    #[arg(long, value_name = "[KIND:]PATTERN")]
    pub(crate) artifact: Vec<Pattern>,
}

impl StageOptions {
    /// The first option that is given.
    pub(crate) fn given(&self) -> [(&'static str, bool); 4] {
        [
            ("--gate", self.gate.is_some()),
            ("--before-hook", !self.before_hook.is_empty()),
            ("--after-hook", !self.after_hook.is_empty()),
            ("--artifact", !self.artifact.is_empty()),
        ]
    }

    /// What is to be kept.
    pub(crate) fn artifacts(&self) -> Option<Box<Artifacts>> {
        (!self.artifact.is_empty()).then(|| Box::new(Artifacts { patterns: self.artifact.clone() }))
    }

    /// What the options say of commands.
    pub(crate) fn stages(self) -> Option<Box<Stages>> {
        let all = |lines: Vec<String>| lines.iter().map(|line| shell_argv(line)).collect();
        let gate = self.gate.as_deref().map(shell_argv);
        let stages = Stages { before: all(self.before_hook), gate, after: all(self.after_hook) };
        (!stages.is_empty()).then(|| Box::new(stages))
    }
}
