//! What operators have done: from a line to an action with the words that are asked for, and the doing.

use policy::budget::Raise;
use policy::id::GraphId;

use crate::console::Console;
use crate::console::ask::actors::{find, name_of};
use crate::console::fault::{Fault, Sort};
use crate::console::syntax::{Line, Word};
use crate::taskfile::quantity;
use crate::taskfile::suggest::closest;
use crate::wire::client::Target;
use crate::wire::inspect::Action;

/// An action that was understood and not begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// What is to be done.
    pub action: Action,
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
                Ok(Planned { action: Action::Retry(target), says, confirm: None })
            }
            "resume" => self.plan_resume(line).await,
            "restart" => self.plan_restart(first(line)?).await,
            "breaker" => self.plan_breaker(line).await,
            other => Err(Fault::of(Sort::Usage, format!("{other} does nothing"))),
        }
    }

    /// Has it done; tells what came of it.
    ///
    /// # Errors
    /// It cannot be done, or nobody answers.
    pub async fn perform(&self, planned: &Planned, (by, reason): (&str, &str)) -> Result<String, Fault> {
        let client = self.live("what is to be done")?;
        Ok(client.operate(by, reason, planned.action.clone()).await?)
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
        Ok(Planned { action: Action::Cancel(target), says, confirm: Some(id) })
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
        let wall = match line.pair("time") {
            None => None,
            Some(word) => Some(
                quantity::duration(&word.text)
                    .map_err(|why| Fault::usage(word.span.clone(), format!("time {why}")))?,
            ),
        };
        let raise = Raise { wall, attempts: number("attempts")?, cost: number("cost")?, ..Raise::default() };
        let says = format!("goes on with {graph}");
        Ok(Planned { action: Action::Resume { graph, raise }, says, confirm: None })
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
        Ok(Planned { action, says, confirm: Some(name) })
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
        let nodes = self.eye()?.nodes().await?;
        if !nodes.iter().any(|row| *row.node.0 == *node.text) {
            let names = || nodes.iter().map(|row| &*row.node.0);
            let fault =
                Fault::of(Sort::NotFound, format!("there is no node {}", node.text)).at(node.span.clone());
            let near = closest(&node.text, names());
            let fault =
                near.into_iter().fold(fault, |fault, near| fault.help(format!("did you mean {near}?")));
            return Err(fault.possible(names()));
        }
        let key = line.pair("kind").map(|word| word.text.as_str().into());
        let says = format!("closes the breaker of {}: work is sent there at once", node.text);
        let action = Action::ResetBreaker { node: node.text.as_str().into(), key };
        Ok(Planned { action, says, confirm: Some(node.text.clone()) })
    }
}

fn first(line: &Line) -> Result<&Word, Fault> {
    line.plain().next().ok_or_else(|| Fault::usage(line.span.clone(), "something is missing behind it"))
}
