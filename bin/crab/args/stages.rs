//! What is done around a command: hooks before and after, and a gate.

use actors::taskfile::shell_argv;
use clap::Args;
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
}

impl StageOptions {
    /// The first option that is given.
    pub(crate) fn given(&self) -> [(&'static str, bool); 3] {
        [
            ("--gate", self.gate.is_some()),
            ("--before-hook", !self.before_hook.is_empty()),
            ("--after-hook", !self.after_hook.is_empty()),
        ]
    }

    /// What the options say.
    pub(crate) fn stages(self) -> Option<Box<Stages>> {
        let all = |lines: Vec<String>| lines.iter().map(|line| shell_argv(line)).collect();
        let gate = self.gate.as_deref().map(shell_argv);
        let stages = Stages { before: all(self.before_hook), gate, after: all(self.after_hook) };
        (!stages.is_empty()).then(|| Box::new(stages))
    }
}
