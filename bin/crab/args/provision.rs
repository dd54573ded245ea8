//! What a command is given where it runs: secrets, a share of the jobserver, a sandbox.

use clap::Args;
use policy::provision::{Provision, Sandbox, Secret};

#[derive(Debug, Default, Args)]
pub(crate) struct ProvisionOptions {
    /// A secret of the machine, as a file whose path is in a variable, such as npm-token or npm-token=NPM_TOKEN_FILE
    /// [default variable: CRAB_SECRET_NPM_TOKEN]
    #[arg(long, value_parser = secret, value_name = "NAME[=VARIABLE]")]
    pub(crate) secret: Vec<Secret>,
    /// It shares the machine's jobserver with all others that do: make and cargo run no more jobs together than it has slots
    #[arg(long)]
    pub(crate) jobserver: bool,
    /// Where it may write: workspace (there, and in HOME and TMPDIR of its own)
    #[arg(long, value_name = "WHERE")]
    pub(crate) sandbox: Option<Sandbox>,
}

fn secret(text: &str) -> Result<Secret, &'static str> {
    match text.split_once('=') {
        None if !text.is_empty() => Ok(Secret::new(text)),
        Some((name, variable)) if !name.is_empty() && !variable.is_empty() => {
            Ok(Secret { name: name.into(), variable: variable.into() })
        }
        _ => Err("must be NAME or NAME=VARIABLE"),
    }
}

impl ProvisionOptions {
    /// The first option that is given.
    pub(crate) fn given(&self) -> [(&'static str, bool); 3] {
        [
            ("--secret", !self.secret.is_empty()),
            ("--jobserver", self.jobserver),
            ("--sandbox", self.sandbox.is_some()),
        ]
    }

    /// What the options say.
    pub(crate) fn provision(self) -> Option<Box<Provision>> {
        let Self { secret, jobserver, sandbox } = self;
        let provision = Provision { secrets: secret, jobserver, sandbox };
        (!provision.is_empty()).then(|| Box::new(provision))
    }
}
