//! What operators have done: from a line to an action with the words that are asked for, and the doing.

mod direct;
mod task;

use std::fmt;
use std::time::Duration;

use policy::directive::Directive;
use policy::id::{NodeId, TaskId};
use policy::signal::TaskSignal;

use crate::console::Console;
use crate::console::ask::actors::{find, name_of};
use crate::console::command::{self, Order};
use crate::console::fault::{Fault, Sort};
use crate::console::syntax::{Line, Word};
use crate::levels::Levels;
use crate::taskfile::suggest::closest;
use crate::wire::inspect::Action;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// By the inspector, which records it first.
    Operate(Action),
    /// By the scheduler, which records it as a directive: it holds until it is taken back.
    Direct(Directive),
    /// The same, for a machine that is to be emptied.
    Drain(NodeId, Option<Duration>),
    /// By the gateway, for everybody who may change the task; recorded without a reason.
    Signal(TaskId, TaskSignal),
}

impl Deed {
    /// Whether why it was done is recorded as well.
    #[must_use]
    pub fn takes_reason(&self) -> bool {
        !matches!(self, Self::Signal(..))
    }
}

/// Of deeds that take none.
pub const NO_REASON: &str = "a signal is recorded without a reason";

/// `cancel task t12`, `cordon`.
impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operate(action) => action.fmt(f),
            Self::Direct(directive) => f.write_str(directive.into()),
            Self::Drain(node, _) => write!(f, "drain {node}"),
            Self::Signal(task, signal) => write!(f, "signal {signal} {task}"),
        }
    }
}

/// An action that was understood and not begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// What is to be done.
    pub deed: Deed,
    /// What that means, for whoever has to agree.
    pub says: String,
    /// What has to be typed to agree; `None` where it harms nothing.
    pub confirm: Option<String>,
    /// Why, where the line says so.
    pub reason: Option<String>,
}

impl Planned {
    fn new(deed: Deed, says: String, confirm: Option<String>) -> Self {
        Self { deed, says, confirm, reason: None }
    }
}

impl Console {
    /// Understands a line that acts.
    ///
    /// # Errors
    /// What is wrong with it, or that one looks at the past.
    pub async fn plan(&self, line: &Line) -> Result<Planned, Fault> {
        if self.at.is_some() {
            let fault = Fault::of(Sort::Refused, "the past cannot be changed").at(line.span.clone());
            let help =
                if self.client.is_some() { "`live` goes back to what is" } else { "it needs a daemon" };
            return Err(fault.help(help));
        }
        let order = self.order(line).await?;
        let planned = self.plan_order(&order).await?;
        let reason = line.pair("reason");
        if let Some(word) = reason.filter(|_| !planned.deed.takes_reason()) {
            return Err(Fault::usage(word.span.clone(), NO_REASON));
        }
        Ok(Planned { reason: reason.map(|word| word.text.clone()), ..planned })
    }

    async fn plan_order(&self, order: &Order) -> Result<Planned, Fault> {
        match (order.command.actor, order.command.name) {
            (_, "cancel") => self.plan_kill(&self.target_of(order)?).await,
            (_, "retry") => self.plan_retry(&self.target_of(order)?).await,
            (_, "go-on") => self.plan_go_on(order).await,
            (_, "prio") => self.plan_prio(order).await,
            (_, "signal") => self.plan_signal(order).await,
            (_, "requeue") => self.plan_requeue(&self.target_of(order)?).await,
            (_, "revoke") => self.plan_revoke(subject(order)?).await,
            (_, "stop") => self.plan_stop(subject(order)?).await,
            (_, "restart") => self.plan_restart(subject(order)?).await,
            (_, "reset-breaker") => self.plan_breaker(order).await,
            (_, "log-level") => self.plan_level(order).await,
            _ => self.plan_directive(order).await,
        }
    }

    /// The order that a line means, whether in the words of a verb or in JSON.
    async fn order(&self, line: &Line) -> Result<Order, Fault> {
        let mut words = line.plain();
        let (first, second) = (words.next(), words.next());
        let of = |actor: Option<&str>, name: &str, subject: Option<&Word>| {
            Order::of_line(line, (actor, name), subject)
        };
        let (scheduler, node) = (Some("scheduler"), Some("node"));
        match (line.verb.name, first) {
            ("send", Some(actor)) => self.sent(line, actor, second).await,
            ("kill", Some(target)) => of(scheduler, "cancel", None)?.with("target", target),
            ("retry", Some(target)) => of(scheduler, "retry", None)?.with("target", target),
            ("resume", Some(graph)) => of(scheduler, "go-on", None)?.with("graph", graph),
            ("prio", Some(target)) => {
                let order = of(scheduler, "prio", None)?.with("target", target)?;
                order.with("priority", second.ok_or_else(|| wanting(line))?)
            }
            ("signal", Some(task)) => {
                let order = of(Some("task"), "signal", Some(task))?;
                order.with("signal", second.ok_or_else(|| wanting(line))?)
            }
            ("requeue", Some(task)) => of(Some("task"), "requeue", Some(task)),
            ("lease", Some(verb)) => {
                is_word(verb, "revoke", "a lease")?;
                of(Some("lease"), "revoke", Some(second.ok_or_else(|| wanting(line))?))
            }
            ("breaker", Some(verb)) => {
                is_word(verb, "reset", "a breaker")?;
                of(node, "reset-breaker", Some(second.ok_or_else(|| wanting(line))?))
            }
            ("stop", Some(actor)) => of(None, "stop", Some(actor)),
            ("restart", Some(actor)) => of(None, "restart", Some(actor)),
            ("log-level", Some(level)) => {
                of(Some("inspector"), "log-level", line.pair("node"))?.with("level", level)
            }
            ("pause" | "resume" | "halt" | "unhalt", None) => of(scheduler, line.verb.name, None),
            ("label", Some(node_of)) => {
                let order = of(node, "label", Some(node_of))?;
                let order = order.with("label", second.ok_or_else(|| wanting(line))?)?;
                match words.next() {
                    Some(value) => order.with("value", value),
                    None => Ok(order),
                }
            }
            ("halt" | "unhalt" | "cordon" | "uncordon" | "drain" | "remove", Some(_)) => {
                of(node, line.verb.name, first)
            }
            _ => Err(wanting(line)),
        }
    }

    /// `scheduler {"pause":{}}`: by the kind of actor and its name, or by whatever else names an actor.
    async fn sent(&self, line: &Line, actor: &Word, json: Option<&Word>) -> Result<Order, Fault> {
        let (name, machine) = actor.text.split_once('@').unwrap_or((&actor.text, ""));
        let (kind, rest) = name.split_once('/').unwrap_or((name, ""));
        let part = |text: &str| Word { text: text.to_owned(), span: actor.span.clone() };
        let (kind, subject) = if !command::is_known(kind) {
            let (row, machine) = find(self.live("an actor")?, actor).await?;
            (row.kind.to_string(), part(&name_of(&row, machine.as_ref())))
        } else {
            // A machine's own has its name behind it.
            (kind.to_owned(), part(if rest.is_empty() { machine } else { rest }))
        };
        let kind = kind.as_str();
        let Some(json) = json else {
            let fault = Fault::usage(actor.span.end..actor.span.end, format!("what is {kind} to be told?"));
            let shown = command::of_kind(kind).map(|one| format!("{{\"{}\":{{}}}}", one.name));
            return Err(fault.possible(shown).help(format!("`help {}` tells what they do", line.verb.name)));
        };
        let subject = Some(subject).filter(|subject| !subject.text.is_empty());
        let mut order = Order::of_json(kind, subject, json)?;
        if order.command.actor.is_none() {
            // Any actor is named in full.
            order.subject = Some(actor.clone());
        }
        Ok(order)
    }

    /// The task or graph that an order is about.
    fn target_of(&self, order: &Order) -> Result<Word, Fault> {
        match order.value("target") {
            Some(target) => Ok(target.clone()),
            None => subject(order).cloned(),
        }
    }

    /// Has it done; tells what came of it.
    ///
    /// # Errors
    /// It cannot be done, or nobody answers.
    pub async fn perform(&self, planned: &Planned, (by, reason): (&str, &str)) -> Result<String, Fault> {
        let reason = planned.reason.as_deref().unwrap_or(reason);
        let client = self.live("what is to be done")?;
        let said = |changed: bool| if changed { "done" } else { "it was so already" }.to_owned();
        Ok(match planned.deed.clone() {
            Deed::Operate(action) => client.operate(by, reason, action).await?,
            Deed::Direct(directive) => said(client.direct(directive, (by, reason)).await?),
            Deed::Drain(node, within) => said(client.drain(node, within, (by, reason)).await?),
            Deed::Signal(task, signal) => {
                format!("{signal} was sent to what {task} runs on {}", client.signal(task, signal).await?)
            }
        })
    }

    /// No actor can be missed: each is the only owner of a promise, and whoever supervises it would start it again.
    async fn plan_stop(&self, word: &Word) -> Result<Planned, Fault> {
        let (row, machine) = find(self.live("an actor")?, word).await?;
        let name = name_of(&row, machine.as_ref());
        let own = &row.name;
        let next = match &*row.kind {
            "task" => format!("`kill {own}` ends the task, `requeue {own}` its attempt"),
            "lease" => format!("`lease revoke {own}` takes the right to run back"),
            "attempt" => "`requeue TASK` stops it and puts its task back into its queue".to_owned(),
            "node" => format!("`drain {own}` empties the machine, `remove {own}` forgets one that is gone"),
            "queue" => format!("`pause queue={own}` grants nothing more of it"),
            "scheduler" => "`pause` grants nothing more, `halt` starts nothing more".to_owned(),
            "worker" | "dialler" => {
                "`drain NODE` empties the machine; then its daemon can be stopped".to_owned()
            }
            _ => "it ends with its daemon: `systemctl stop` or `launchctl bootout`".to_owned(),
        };
        let text = format!("{name} is not stopped: nobody would keep what it alone promises");
        let fault = Fault::of(Sort::Refused, text).at(word.span.clone()).help(next);
        Err(if row.is_supervisor { fault } else { fault.help(format!("`restart {name}` starts it anew")) })
    }

    async fn plan_restart(&self, word: &Word) -> Result<Planned, Fault> {
        let (row, machine) = find(self.live("an actor")?, word).await?;
        let name = name_of(&row, machine.as_ref());
        if row.is_supervisor {
            let fault = Fault::of(
                Sort::Refused,
                format!("{name} is a supervisor: its children would end in no order"),
            );
            return Err(fault.at(word.span.clone()).help("name one of its children: `tree`"));
        }
        let follows = match (&*row.kind, &machine) {
            ("task" | "lease", _) => "it is started again alone, from its records",
            ("inspector", _) => "it is started again alone",
            ("log", _) => "the daemon ends with it",
            ("listener", _) => "the scheduler side ends with it",
            ("attempt", _) => "the worker makes another; its process goes on",
            (_, Some(_)) => "the machine's actors are started again; processes go on",
            (_, None) => "the core is started again as a whole, by replay; tasks go on",
        };
        let says = format!("kills {name}: {follows}");
        let action = Action::Restart { machine, probe: row.probe, name: name.as_str().into() };
        Ok(Planned::new(Deed::Operate(action), says, Some(name)))
    }

    async fn plan_breaker(&self, order: &Order) -> Result<Planned, Fault> {
        let node = self.node(subject(order)?).await?;
        let key = order.value("kind").map(|word| word.text.as_str().into());
        let says = format!("closes the breaker of {node}: work is sent there at once");
        let confirm = Some(node.to_string());
        Ok(Planned::new(Deed::Operate(Action::ResetBreaker { node, key }), says, confirm))
    }

    async fn plan_level(&self, order: &Order) -> Result<Planned, Fault> {
        let wanting = || Fault::usage(order.span.clone(), "which level?");
        let (level, target) = (order.value("level").ok_or_else(wanting)?, order.value("target"));
        let levels = target.map_or_else(String::new, |target| format!("{}=", target.text)) + &level.text;
        levels.parse::<Levels>().map_err(|why| Fault::usage(level.span.clone(), why.to_string()))?;
        let machine = match &order.subject {
            Some(word) => Some(self.node(word).await?),
            None => None,
        };
        let whose = machine.as_ref().map_or_else(|| "the scheduler's daemon".to_owned(), ToString::to_string);
        let says = format!("has the log of {whose} say {levels}, until it is started again");
        let deed = Deed::Operate(Action::LogLevel { machine, levels: levels.into() });
        Ok(Planned::new(deed, says, None))
    }

    /// A machine that there is.
    async fn node(&self, word: &Word) -> Result<NodeId, Fault> {
        let nodes = self.eye()?.nodes().await?;
        if let Some(row) = nodes.iter().find(|row| *row.node.0 == *word.text) {
            return Ok(row.node.clone());
        }
        let names = || nodes.iter().map(|row| &*row.node.0);
        let fault =
            Fault::of(Sort::NotFound, format!("there is no node {}", word.text)).at(word.span.clone());
        let near = closest(&word.text, names());
        let fault = near.into_iter().fold(fault, |fault, near| fault.help(format!("did you mean {near}?")));
        Err(fault.possible(names()))
    }
}

fn subject(order: &Order) -> Result<&Word, Fault> {
    let missing = || {
        let kind = order.command.actor.unwrap_or("actor");
        Fault::usage(order.span.clone(), format!("which {kind}?")).help(format!("as in: {kind}/NAME"))
    };
    order.subject.as_ref().ok_or_else(missing)
}

fn is_word(word: &Word, wanted: &str, what: &str) -> Result<(), Fault> {
    if word.text == wanted {
        return Ok(());
    }
    let fault = Fault::usage(word.span.clone(), format!("{what} cannot {}", word.text));
    Err(fault.possible([wanted]))
}

fn wanting(line: &Line) -> Fault {
    Fault::usage(
        line.span.clone(),
        format!("{} wants: {} {}", line.verb.name, line.verb.name, line.verb.usage),
    )
}
