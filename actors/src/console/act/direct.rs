//! What operators say until they take it back: directives to the scheduler.

use policy::directive::{Directive, Scope};
use policy::id::NodeId;

use super::{Deed, Planned, subject};
use crate::console::Console;
use crate::console::command::{self, Order};
use crate::console::fault::Fault;

impl Console {
    /// What is said until it is taken back.
    pub(super) async fn plan_directive(&self, order: &Order) -> Result<Planned, Fault> {
        let direct = |directive, says: String, confirm| Planned::new(Deed::Direct(directive), says, confirm);
        let node = match order.command.actor {
            Some("node") => Some(self.node(subject(order)?).await?),
            _ => None,
        };
        Ok(match (order.command.name, node) {
            ("cordon", Some(node)) => {
                let says = format!("keeps new work from {node}; what it has goes on");
                direct(Directive::Cordon(node), says, None)
            }
            ("uncordon", Some(node)) => {
                let says = format!("lets {node} take work again");
                direct(Directive::Uncordon(node), says, None)
            }
            ("label", Some(node)) => label(order, node),
            ("remove", Some(node)) => {
                let (says, confirm) = (format!("forgets {node}, and what was said of it"), node.to_string());
                direct(Directive::Remove(node), says, Some(confirm))
            }
            ("drain", Some(node)) => {
                let within = order.length("within");
                let says = format!("empties {node}: it takes nothing new and gives back what it has");
                Planned::new(Deed::Drain(node.clone(), within), says, Some(node.to_string()))
            }
            ("halt", node) => {
                let confirm = node.as_ref().map_or_else(|| "all".to_owned(), ToString::to_string);
                let says = format!("starts nothing more on {confirm}; what runs goes on");
                direct(Directive::Halt(node), says, Some(confirm))
            }
            ("unhalt", node) => direct(Directive::Unhalt(node), "ends the halt".to_owned(), None),
            ("pause", _) => {
                let scope = scope(order)?;
                let says = format!("grants nothing of {scope}; what was granted goes on");
                let confirm = matches!(scope, Scope::All).then(|| "all".to_owned());
                direct(Directive::Pause(scope), says, confirm)
            }
            ("resume", _) => direct(Directive::Resume(scope(order)?), "ends the pause".to_owned(), None),
            (name, _) => {
                return Err(Fault::usage(order.span.clone(), format!("{name} cannot be done")));
            }
        })
    }
}

/// A label that is put on a machine, or taken back.
fn label(order: &Order, node: NodeId) -> Planned {
    let text = |field| order.value(field).map(|word| word.text.as_str());
    let (name, value) = (text("label").unwrap_or_default(), text("value"));
    let says = match value {
        Some(value) => format!("has {node} have the label {name}={value}, over its own"),
        None => format!("takes {name} back from {node}: what it says itself holds"),
    };
    let labels = vec![(name.into(), value.map(Into::into))];
    Planned::new(Deed::Direct(Directive::Label { node, labels }), says, None)
}

/// What is paused or goes on: everything, unless it says less.
fn scope(order: &Order) -> Result<Scope, Fault> {
    let of_queue = || {
        let named = order.subject.as_ref()?;
        named.text.parse().ok()
    };
    if order.command.actor == Some("queue") {
        let span = order.subject.as_ref().map_or(&order.span, |word| &word.span);
        let missing = || Fault::usage(span.clone(), "which queue?").possible(command::PRIORITIES);
        return of_queue().map(Scope::Priority).ok_or_else(missing);
    }
    match (order.value("tenant"), order.priority("queue")) {
        (None, None) => Ok(Scope::All),
        (Some(tenant), None) => Ok(Scope::Tenant(tenant.text.as_str().into())),
        (None, Some(priority)) => Ok(Scope::Priority(priority)),
        (Some(tenant), Some(_)) => {
            Err(Fault::usage(tenant.span.clone(), "a tenant or a queue, one at a time"))
        }
    }
}
