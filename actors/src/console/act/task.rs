//! What operators have done with tasks and graphs.

use policy::budget::Raise;
use policy::id::GraphId;

use crate::console::Console;
use crate::console::act::{Deed, Planned};
use crate::console::command::{self, Order};
use crate::console::fault::{Fault, Sort};
use crate::console::syntax::Word;
use crate::wire::client::{StateName, Target, TaskFilter};
use crate::wire::inspect::Action;

/// Attempts among which a lease is looked for: one question each.
const LEASES_LIMIT: usize = 4096;

impl Console {
    pub(super) async fn plan_kill(&self, word: &Word) -> Result<Planned, Fault> {
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
        Ok(Planned::new(Deed::Operate(Action::Cancel(target)), says, Some(id)))
    }

    pub(super) async fn plan_retry(&self, word: &Word) -> Result<Planned, Fault> {
        let target = self.target(word).await?;
        let says = format!("tries {} again", crate::client::error::target_text(target));
        Ok(Planned::new(Deed::Operate(Action::Retry(target)), says, None))
    }

    pub(super) async fn plan_go_on(&self, order: &Order) -> Result<Planned, Fault> {
        let word = order.value("graph").ok_or_else(|| Fault::usage(order.span.clone(), "which graph?"))?;
        let graph = match self.target(word).await? {
            Target::Graph(graph) => graph,
            Target::Task(task) => GraphId(task.0),
        };
        let (wall, attempts, cost) = (order.length("time"), order.number("attempts"), order.number("cost"));
        let raise = Raise { wall, attempts, cost, ..Raise::default() };
        let says = format!("goes on with {graph}");
        Ok(Planned::new(Deed::Operate(Action::Resume { graph, raise }), says, None))
    }

    pub(super) async fn plan_prio(&self, order: &Order) -> Result<Planned, Fault> {
        let wanting = || Fault::usage(order.span.clone(), "how urgent?").possible(command::PRIORITIES);
        let priority = order.priority("priority").ok_or_else(wanting)?;
        let target = self.target(&self.target_of(order)?).await?;
        let what = match target {
            Target::Task(task) => {
                let detail = self.eye()?.task(task).await?;
                let array = if detail.array_index.is_some() { ", with all of its array" } else { "" };
                format!("{task} {}, which is {}{array},", detail.row.name, detail.row.state)
            }
            Target::Graph(graph) => format!("all of {graph} {}", self.eye()?.graph(graph).await?.name),
        };
        let says = format!("has {what} served as {priority} where it still waits");
        let deed = Deed::Operate(Action::Prioritise { target, priority });
        Ok(Planned::new(deed, says, None))
    }

    /// A signal to what a task runs. Whether anything of it hears signals is known where it runs.
    pub(super) async fn plan_signal(&self, order: &Order) -> Result<Planned, Fault> {
        let wanting = || Fault::usage(order.span.clone(), "which signal?").possible(command::SIGNALS);
        let signal = order.signal("signal").ok_or_else(wanting)?;
        let word = self.target_of(order)?;
        let Target::Task(task) = self.target(&word).await? else {
            return Err(Fault::usage(word.span.clone(), "a graph runs nothing itself; name a task"));
        };
        let row = self.eye()?.task(task).await?.row;
        if row.state != StateName::Running {
            let text = format!("{task} is {}: nothing of it runs", row.state);
            return Err(Fault::of(Sort::Refused, text).at(word.span.clone()));
        }
        let says =
            format!("sends {signal} to what {task} {} runs; without a handler for it that ends", row.name);
        Ok(Planned::new(Deed::Signal(task, signal), says, Some(task.to_string())))
    }

    pub(super) async fn plan_requeue(&self, word: &Word) -> Result<Planned, Fault> {
        let Target::Task(task) = self.target(word).await? else {
            return Err(Fault::usage(word.span.clone(), "a graph has no place in a queue; name a task"));
        };
        let detail = self.eye()?.task(task).await?;
        let held = detail.attempts.last().filter(|attempt| attempt.outcome.is_none());
        let Some(attempt) = held else {
            let text = format!("{task} is {}: it has no attempt to be stopped", detail.row.state);
            return Err(Fault::of(Sort::Refused, text).at(word.span.clone()));
        };
        let says = format!(
            "stops attempt {} of {task} {} on {}; it counts as nothing, and {task} is queued again",
            attempt.number, detail.row.name, attempt.node
        );
        let action = Action::HandBack { node: attempt.node.clone(), task, token: attempt.token };
        Ok(Planned::new(Deed::Operate(action), says, Some(task.to_string())))
    }

    /// A lease by its token: what it ends is the attempt that holds it.
    pub(super) async fn plan_revoke(&self, word: &Word) -> Result<Planned, Fault> {
        let states = vec![StateName::Granted, StateName::Running];
        let filter = TaskFilter { graph: None, states };
        let eye = self.eye()?;
        let token = word.text.trim_start_matches("lease/");
        for row in eye.tasks(&filter, LEASES_LIMIT).await? {
            let detail = eye.task(row.task).await?;
            let holder = detail.attempts.last().filter(|attempt| attempt.outcome.is_none());
            if holder.is_some_and(|attempt| attempt.token.to_string() == token) {
                let task = Word { text: row.task.to_string(), span: word.span.clone() };
                let planned = self.plan_requeue(&task).await?;
                return Ok(Planned { confirm: Some(token.to_owned()), ..planned });
            }
        }
        let fault = Fault::of(Sort::NotFound, format!("nobody holds a lease {token}")).at(word.span.clone());
        Err(fault.help("`leases` shows them"))
    }
}
