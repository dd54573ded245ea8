//! The actor that looks after a machine behind SSH, on which nothing of ours does.
//!
//! **Role.** Asks the machine again and again how it is, which its worker tells the scheduler with every heartbeat, and ends what
//! sessions of this scheduler have been left there. **Parent** the machine side, beside the worker. **Hears** its timers, and what
//! has come of a question. **Tells** nobody: what it has seen stands in an [`Outlook`]. **On crash** the worker starts anew beside it,
//! and nothing happens to any attempt. **Invariant.** One question at a time of each kind, on a thread for such work, each with a
//! deadline, over a connection of their own: a machine that does not answer delays nobody.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use policy::session::Role;
use policy::session::prune::PruneRule;
use policy::strain::{Reading, Sign};
use supervision::{Actor, ActorError, Fact, Me, Message};

use super::node::SshNode;
use super::rules::{RemoteRules, SharedRules};
use super::{SessionError, Sessions};
use crate::worker::gauge::Measure;

/// Between two looks for sessions that have been left, where they may stay for longer than that.
const TIDY_EVERY: Duration = Duration::from_mins(10);

/// What was seen of a machine last: what it says of itself, or how often in a row it has not answered.
#[derive(Debug, Default)]
pub struct Outlook(Mutex<Vec<Reading>>);

impl Outlook {
    fn set(&self, readings: Vec<Reading>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = readings;
    }
}

impl Measure for Outlook {
    fn read(&self) -> Vec<Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What it can be told.
#[derive(Debug, strum::IntoStaticStr)]
pub enum LookoutMessage {
    /// Timer: the machine is to be asked how it is.
    LookDue,
    /// It has answered, or has not.
    Looked(Result<Vec<Reading>, SessionError>),
    /// Timer: sessions that have been left may have to go.
    TidyDue,
    /// So many have gone, or they cannot be told.
    Tidied(Result<u64, SessionError>),
}

impl Message for LookoutMessage {
    fn kind(&self) -> &'static str {
        self.into()
    }
}

/// Everything it needs to start.
#[derive(Debug, Clone)]
pub struct LookoutArgs {
    /// How attempts are run there: which sessions are ours.
    pub node: SshNode,
    /// The sessions there.
    pub sessions: Sessions,
    /// Where it says what it has seen.
    pub outlook: Arc<Outlook>,
    /// How often, as of now.
    pub rules: SharedRules,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Lookout {
    args: LookoutArgs,
    /// Questions in a row without an answer.
    unanswered: u64,
    /// Sessions that it has ended.
    ended: u64,
    /// What went wrong last.
    trouble: Option<String>,
}

impl Actor for Lookout {
    const KIND: &'static str = "lookout";
    type Message = LookoutMessage;
    type Args = LookoutArgs;

    fn start(args: LookoutArgs, me: &Me<LookoutMessage>) -> Result<Self, ActorError> {
        me.after(Duration::ZERO, LookoutMessage::LookDue);
        let lookout = Self { args, unanswered: 0, ended: 0, trouble: None };
        lookout.tidy_later(me);
        Ok(lookout)
    }

    fn handle(&mut self, message: LookoutMessage, me: &Me<LookoutMessage>) -> Result<(), ActorError> {
        match message {
            LookoutMessage::LookDue => self.look_due(me),
            LookoutMessage::Looked(answer) => self.looked(answer, me),
            LookoutMessage::TidyDue => self.tidy_due(me),
            LookoutMessage::Tidied(outcome) => self.tidied(outcome, me),
        }
        Ok(())
    }

    fn show(&self) -> Vec<Fact> {
        vec![
            Fact::new("machine", self.args.sessions.way().target()),
            Fact::new("unanswered in a row", self.unanswered),
            Fact::new("sessions ended", self.ended),
            Fact::new("last trouble", self.trouble.as_deref().unwrap_or("none")),
        ]
    }
}

impl Lookout {
    fn look_due(&self, me: &Me<LookoutMessage>) {
        let (sessions, within) = (self.args.sessions.clone(), self.rules().within);
        me.run_blocking(move || LookoutMessage::Looked(sessions.measure(within)));
    }

    fn looked(&mut self, answer: Result<Vec<Reading>, SessionError>, me: &Me<LookoutMessage>) {
        me.after(self.rules().every, LookoutMessage::LookDue);
        let machine = self.args.sessions.way().target();
        match answer {
            Ok(readings) => {
                if self.unanswered > 0 {
                    tracing::info!(%machine, "the machine answers again");
                }
                self.unanswered = 0;
                self.args.outlook.set(readings);
            }
            Err(error) => {
                if self.unanswered == 0 {
                    tracing::warn!(%machine, %error, "the machine does not answer");
                }
                self.unanswered += 1;
                self.trouble = Some(error.to_string());
                self.args.outlook.set(vec![Reading { sign: Sign::Unanswered, value: self.unanswered }]);
            }
        }
    }

    fn rules(&self) -> RemoteRules {
        **self.args.rules.load()
    }

    /// Also where none are ended now: that may change.
    fn tidy_later(&self, me: &Me<LookoutMessage>) {
        let after = Some(self.rules().prune_after).filter(|after| !after.is_zero());
        me.after(after.map_or(TIDY_EVERY, |after| after.min(TIDY_EVERY)), LookoutMessage::TidyDue);
    }

    fn tidy_due(&self, me: &Me<LookoutMessage>) {
        let (LookoutArgs { node, sessions, .. }, after) = (self.args.clone(), self.rules().prune_after);
        if after.is_zero() {
            return self.tidy_later(me);
        }
        me.run_blocking(move || LookoutMessage::Tidied(tidy(&node, &sessions, after)));
    }

    fn tidied(&mut self, outcome: Result<u64, SessionError>, me: &Me<LookoutMessage>) {
        self.tidy_later(me);
        let machine = self.args.sessions.way().target();
        match outcome {
            Ok(0) => {}
            Ok(gone) => {
                tracing::info!(%machine, gone, "ended sessions that had been left");
                self.ended += gone;
            }
            Err(error) => {
                tracing::warn!(%machine, %error, "cannot end sessions that have been left");
                self.trouble = Some(error.to_string());
            }
        }
    }
}

/// Ends the sessions of this scheduler's tasks in which nothing runs and that nobody has come back for; tells how many.
fn tidy(node: &SshNode, sessions: &Sessions, older_than: Duration) -> Result<u64, SessionError> {
    let rule = PruneRule { older_than, role: Some(Role::Runner) };
    let (now, rows) = sessions.list(&[])?;
    let mut gone = 0;
    for row in rows.iter().filter(|row| node.is_own(&row.identity)) {
        if rule.verdict(&row.standing(), now).is_ok() && sessions.prune(row)? {
            gone += 1;
        }
    }
    Ok(gone)
}
