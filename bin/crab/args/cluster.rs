//! What can be typed about who belongs to the fleet.

use std::time::Duration;

use actors::taskfile::quantity;
use clap::{Args, Subcommand};
use policy::trust::FleetRole;

#[derive(Debug, Subcommand)]
pub(crate) enum Cluster {
    /// Make this fleet's certificate authority, here, on the scheduler's machine, before crabd listens for others
    #[command(after_help = INIT_EXAMPLES)]
    Init,
    /// Print an invitation: one line, good once, for a machine (crabd --join), a program or a person (crab --address)
    #[command(after_help = INVITE_EXAMPLES)]
    Invite(Invite),
    /// Take back a name's certificates and invitations; its connections end at once
    Revoke {
        /// Whose, as `crab cluster list` shows it
        name: String,
    },
    /// Who has a certificate, until when, and who is invited
    List,
}

const INIT_EXAMPLES: &str = "\
Example:
  crab cluster init                              keys of its own, in the data directory, for its owner alone
  crabd --listen 192.0.2.1:7070                  from now on over TLS alone, to members alone
  crab cluster invite mac-2 --role worker        prints a line; on mac-2: crabd --join -, which asks for it";

const INVITE_EXAMPLES: &str = "\
Roles:
  worker     a machine that runs tasks, by this name; it may ask nothing
  agent      a program: submits for its tenant, sees and cancels what is its tenant's
  viewer     sees everything, changes nothing
  operator   everything

Examples:
  crab cluster invite mac-2 --role worker        on mac-2: crabd --join -, which reads the line
  crab cluster invite ann --role operator        at ann's: crab --address - status, then --address HOST:PORT
  crab cluster invite builder --role agent --tenant ci --expires 10m";

#[derive(Debug, Args)]
pub(crate) struct Invite {
    /// A name in the fleet: a-z 0-9 . _ -
    pub(crate) name: String,
    /// worker, agent, viewer or operator
    #[arg(long, default_value = "worker")]
    pub(crate) role: FleetRole,
    /// An agent's tenant; without it its own name
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// The invitation is good for so long
    #[arg(long, value_name = "LENGTH", default_value = "1h", value_parser = quantity::duration)]
    pub(crate) expires: Duration,
    /// Where they reach the scheduler; without it where it listens
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) at: Option<String>,
}
