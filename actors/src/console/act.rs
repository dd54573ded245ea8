//! What operators have done: from a line to an action with the words that are asked for, and the doing.

use std::fmt;
use std::time::Duration;

use policy::budget::Raise;
use policy::directive::{Directive, Scope};
use policy::id::{GraphId, NodeId};

use crate::console::Console;
use crate::console::ask::actors::{find, name_of};
use crate::console::fault::{Fault, Sort};
use crate::console::syntax::{Line, Word};
use crate::levels::Levels;
use crate::taskfile::quantity;
use crate::taskfile::suggest::closest;
use crate::wire::client::Target;
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
}

/// `cancel task t12`, `cordon`.
impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operate(action) => action.fmt(f),
            Self::Direct(directive) => f.write_str(directive.into()),
            Self::Drain(node, _) => write!(f, "drain {node}"),
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
        match line.verb.name {
            "kill" => self.plan_kill(first(line)?).await,
            "retry" => {
                let target = self.target(first(line)?).await?;
                let says = format!("tries {} again", crate::client::error::target_text(target));
                Ok(Planned { deed: Deed::Operate(Action::Retry(target)), says, confirm: None })
            }
            "resume" if line.plain().next().is_some() => self.plan_resume(line).await,
            "restart" => self.plan_restart(first(line)?).await,
            "breaker" => self.plan_breaker(line).await,
            "log-level" => self.plan_level(line).await,
            _ => self.plan_directive(line).await,
        }
    }

    /// Has it done; tells what came of it.
    ///
    /// # Errors
    /// It cannot be done, or nobody answers.
    pub async fn perform(&self, planned: &Planned, (by, reason): (&str, &str)) -> Result<String, Fault> {
        let client = self.live("what is to be done")?;
        let said = |changed: bool| if changed { "done" } else { "it was so already" }.to_owned();
        Ok(match planned.deed.clone() {
            Deed::Operate(action) => client.operate(by, reason, action).await?,
            Deed::Direct(directive) => said(client.direct(directive, by).await?),
            Deed::Drain(node, within) => said(client.drain(node, within, by).await?),
        })
    }

    async fn plan_kill(&self, word: &Word) -> Result<Planned, Fault> {
        let target = self.target(word).await?;
        let (id, says) = match target {
            Target::Task(task) => {
                let row = self.eye()?.task(task).await?.row;
                (task.to_string(), format!("ends {task} {}, which is {}", row.name, row.state))
            }
            Target::Graph(graph) => {
                let row = self.eye()?.graph(graph).await?;
                let open = row.tasks.unended();
                (graph.to_string(), format!("ends {open} tasks of {graph} {}", row.name))
            }
        };
        Ok(Planned { deed: Deed::Operate(Action::Cancel(target)), says, confirm: Some(id) })
    }

    async fn plan_resume(&self, line: &Line) -> Result<Planned, Fault> {
        let graph = match self.target(first(line)?).await? {
            Target::Graph(graph) => graph,
            Target::Task(task) => GraphId(task.0),
        };
        let number = |key: &str| -> Result<Option<u64>, Fault> {
            let Some(word) = line.pair(key) else { return Ok(None) };
            let wrong = |_| Fault::usage(word.span.clone(), format!("{key} is a number"));
            word.text.parse().map(Some).map_err(wrong)
        };
        let wall = length(line, "time")?;
        let raise = Raise { wall, attempts: number("attempts")?, cost: number("cost")?, ..Raise::default() };
        let says = format!("goes on with {graph}");
        Ok(Planned { deed: Deed::Operate(Action::Resume { graph, raise }), says, confirm: None })
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
        Ok(Planned { deed: Deed::Operate(action), says, confirm: Some(name) })
    }

    async fn plan_breaker(&self, line: &Line) -> Result<Planned, Fault> {
        let mut words = line.plain();
        let (verb, node) = (words.next(), words.next());
        let (Some(verb), Some(node)) = (verb, node) else {
            return Err(Fault::usage(line.span.clone(), "breaker wants: breaker reset NODE"));
        };
        if verb.text != "reset" {
            let fault = Fault::usage(verb.span.clone(), format!("a breaker cannot {}", verb.text));
            return Err(fault.possible(["reset"]));
        }
        self.node(node).await?;
        let key = line.pair("kind").map(|word| word.text.as_str().into());
        let says = format!("closes the breaker of {}: work is sent there at once", node.text);
        let action = Action::ResetBreaker { node: node.text.as_str().into(), key };
        Ok(Planned { deed: Deed::Operate(action), says, confirm: Some(node.text.clone()) })
    }

    async fn plan_level(&self, line: &Line) -> Result<Planned, Fault> {
        let (level, target) = (first(line)?, line.pair("target"));
        let levels = target.map_or_else(String::new, |target| format!("{}=", target.text)) + &level.text;
        levels.parse::<Levels>().map_err(|why| Fault::usage(level.span.clone(), why.to_string()))?;
        let machine = match line.pair("node") {
            Some(word) => Some(self.node(word).await?),
            None => None,
        };
        let whose = machine.as_ref().map_or_else(|| "the scheduler's daemon".to_owned(), ToString::to_string);
        let says = format!("has the log of {whose} say {levels}, until it is started again");
        let deed = Deed::Operate(Action::LogLevel { machine, levels: levels.into() });
        Ok(Planned { deed, says, confirm: None })
    }

    /// What is said until it is taken back.
    async fn plan_directive(&self, line: &Line) -> Result<Planned, Fault> {
        let node = match line.plain().next() {
            Some(word) => Some(self.node(word).await?),
            None => None,
        };
        let direct =
            |directive, says: String, confirm| Planned { deed: Deed::Direct(directive), says, confirm };
        Ok(match (line.verb.name, node) {
            ("cordon", Some(node)) => {
                let says = format!("keeps new work from {node}; what it has goes on");
                direct(Directive::Cordon(node), says, None)
            }
            ("uncordon", Some(node)) => {
                let says = format!("lets {node} take work again");
                direct(Directive::Uncordon(node), says, None)
            }
            ("drain", Some(node)) => {
                let within = length(line, "within")?;
                let says = format!("empties {node}: it takes nothing new and gives back what it has");
                Planned { deed: Deed::Drain(node.clone(), within), says, confirm: Some(node.to_string()) }
            }
            ("halt", node) => {
                let confirm = node.as_ref().map_or_else(|| "all".to_owned(), ToString::to_string);
                let says = format!("starts nothing more on {confirm}; what runs goes on");
                direct(Directive::Halt(node), says, Some(confirm))
            }
            ("unhalt", node) => direct(Directive::Unhalt(node), "ends the halt".to_owned(), None),
            ("pause", None) => {
                let scope = scope(line)?;
                let says = format!("grants nothing of {scope}; what was granted goes on");
                let confirm = matches!(scope, Scope::All).then(|| "all".to_owned());
                direct(Directive::Pause(scope), says, confirm)
            }
            ("resume", None) => direct(Directive::Resume(scope(line)?), "ends the pause".to_owned(), None),
            (name, _) => {
                let text = format!("{name} wants: {name} {}", line.verb.usage);
                return Err(Fault::usage(line.span.clone(), text));
            }
        })
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

/// What is paused or goes on: everything, unless it says less.
fn scope(line: &Line) -> Result<Scope, Fault> {
    match (line.pair("tenant"), line.pair("priority")) {
        (None, None) => Ok(Scope::All),
        (Some(tenant), None) => Ok(Scope::Tenant(tenant.text.as_str().into())),
        (None, Some(word)) => word.text.parse().map(Scope::Priority).map_err(|_| {
            let fault = Fault::usage(word.span.clone(), format!("there is no priority {}", word.text));
            fault.possible(["low", "normal", "high", "critical"])
        }),
        (Some(_), Some(other)) => {
            Err(Fault::usage(other.span.clone(), "a tenant or a priority, one at a time"))
        }
    }
}

fn length(line: &Line, key: &str) -> Result<Option<Duration>, Fault> {
    let Some(word) = line.pair(key) else { return Ok(None) };
    let wrong = |why| Fault::usage(word.span.clone(), format!("{key} {why}"));
    quantity::duration(&word.text).map(Some).map_err(wrong)
}

fn first(line: &Line) -> Result<&Word, Fault> {
    line.plain().next().ok_or_else(|| Fault::usage(line.span.clone(), "something is missing behind it"))
}
