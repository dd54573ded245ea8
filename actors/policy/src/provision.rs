//! What a task is given where it runs, beside a directory: secrets of the machine, a share of its jobserver, a sandbox.
//!
//! Says what each is called and which machines have it; must not know where a secret lies or how a sandbox is made.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::constraint::{Condition, JOBSERVER, SANDBOX, SECRET, Test};

/// Secrets that one task may ask for: more than any needs.
pub const SECRETS_LIMIT: usize = 16;
/// What the variable of a secret begins with where nobody names another.
const VARIABLE_PREFIX: &str = "CRAB_SECRET_";

/// What a task is given; one that asks for nothing has none of this.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provision {
    /// Secrets, each as a file that it finds by a variable.
    pub secrets: Vec<Secret>,
    /// Whether it shares the machine's jobserver with all others that do.
    pub jobserver: bool,
    /// What keeps it from writing where it should not; `None` where nothing does.
    pub sandbox: Option<Sandbox>,
}

/// A secret by name. What it is stands on the machine that runs the task and nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// What it is called there.
    pub name: Box<str>,
    /// The variable in which the task finds the path of its file.
    pub variable: Box<str>,
}

/// Where a task may write.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[strum(serialize_all = "snake_case")]
pub enum Sandbox {
    /// In its workspace, in CRAB_REPORT, its HOME and TMPDIR where it has its own, and nowhere else.
    #[default]
    Workspace,
}

impl Secret {
    /// The secret of this name, in its usual variable: `CRAB_SECRET_NPM_TOKEN` for `npm-token`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let plain = |one: char| if one.is_ascii_alphanumeric() { one.to_ascii_uppercase() } else { '_' };
        let variable: String = VARIABLE_PREFIX.chars().chain(name.chars().map(plain)).collect();
        Self { name: name.into(), variable: variable.into() }
    }
}

impl Provision {
    /// Whether it asks for nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty() && !self.jobserver && self.sandbox.is_none()
    }

    /// What must be said of a machine that can give it.
    pub fn conditions(&self) -> impl Iterator<Item = Condition> {
        let secrets = self.secrets.iter().map(|secret| format!("{SECRET}{}", secret.name).into());
        let jobserver = self.jobserver.then(|| JOBSERVER.into());
        let sandbox = self.sandbox.map(|_| SANDBOX.into());
        secrets.chain(jobserver).chain(sandbox).map(|label| Condition { label, test: Test::Exists })
    }

    /// Bytes of what varies in length.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.secrets.iter().map(|secret| secret.name.len() + secret.variable.len()).sum::<usize>() + 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_of_a_secret_is_made_of_its_name() {
        assert_eq!(&*Secret::new("npm-token").variable, "CRAB_SECRET_NPM_TOKEN");
        assert_eq!(&*Secret::new("a.b_9").variable, "CRAB_SECRET_A_B_9");
    }

    #[test]
    fn each_thing_that_is_asked_for_is_a_condition_on_the_machine() {
        let asked = Provision {
            secrets: vec![Secret::new("npm-token")],
            jobserver: true,
            sandbox: Some(Sandbox::Workspace),
        };
        let conditions: Vec<String> = asked.conditions().map(|one| one.to_string()).collect();
        assert_eq!(conditions, ["secret/npm-token", "jobserver", "sandbox"]);
        assert!(Provision::default().is_empty() && !asked.is_empty());
    }
}
