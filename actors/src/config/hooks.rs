//! `[hooks]`: what this machine has done around every attempt that runs on it.

use std::path::Path;

use policy::stages::HOOKS_LIMIT;
use policy::text::OsText;

use crate::config::amount::{Length, List};
use crate::config::section::{If, section};
use crate::worker::stages::{AFTER_TIMEOUT, BEFORE_TIMEOUT, Hooks};

/// The longest that commands of a machine may take: who needs longer has a task of its own to run.
const TIMEOUT_LIMIT: Length = Length(std::time::Duration::from_secs(3600));

/// Their program is found in the daemon's own PATH or at its place: never where a task works.
fn are_commands(commands: &List<List<String>>) -> bool {
    let is_found = |program: &String| {
        !program.is_empty() && (!program.contains('/') || Path::new(program).is_absolute())
    };
    let is_command = |command: &List<String>| command.0.first().is_some_and(is_found);
    commands.0.len() <= HOOKS_LIMIT && commands.0.iter().all(is_command)
}

fn is_length(length: &Length) -> bool {
    !length.0.is_zero() && *length <= TIMEOUT_LIMIT
}

section! {
    /// `[hooks]`
    HooksConfig {
        /// Commands before each attempt on this machine, outside of its sandbox: where one fails the attempt is not run, and counts against the machine and not against the task.
        before: List<List<String>> as "none", If(are_commands, "at most 8 commands, each the program (a name, or an absolute path) and its arguments");
        /// Commands after each attempt that was begun, however it went.
        after: List<List<String>> as "none", If(are_commands, "at most 8 commands, each the program (a name, or an absolute path) and its arguments");
        /// The longest that those before may take together.
        before_timeout: Length = Length(BEFORE_TIMEOUT), If(is_length, "longer than nothing and at most 1h");
        /// The longest that all commands after an attempt may take together, those of its task included.
        after_timeout: Length = Length(AFTER_TIMEOUT), If(is_length, "longer than nothing and at most 1h");
    }
}

impl HooksConfig {
    /// What it says.
    #[must_use]
    pub fn hooks(&self) -> Hooks {
        let commands = |said: &Option<List<List<String>>>| {
            let all = said.iter().flat_map(|commands| &commands.0);
            all.map(|command| command.0.iter().map(|word| OsText::from(word.as_str())).collect()).collect()
        };
        Hooks {
            before: commands(&self.before),
            after: commands(&self.after),
            before_timeout: self.before_timeout().0,
            after_timeout: self.after_timeout().0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_a_name_or_an_absolute_path() {
        let commands = |program: &str| List(vec![List(vec![program.to_owned(), "-x".to_owned()])]);
        assert!(are_commands(&commands("df")) && are_commands(&commands("/usr/bin/df")));
        assert!(
            !are_commands(&commands("./df"))
                && !are_commands(&commands("bin/df"))
                && !are_commands(&commands(""))
        );
        assert!(!are_commands(&List(vec![List(Vec::new())])));
        assert!(!are_commands(&List(vec![List(vec!["df".to_owned()]); HOOKS_LIMIT + 1])));
    }

    #[test]
    fn what_is_not_said_is_nothing_within_the_usual_limits() {
        assert_eq!(HooksConfig::default().hooks(), Hooks::default());
    }
}
