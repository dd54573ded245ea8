//! What operators have said: recorded, kept, and heeded by whoever decides.
//!
//! What follows from it is `policy::directive`'s; nodes and questions read it in [`Side`](crate::side::Side), where
//! this alone writes it.

use policy::directive::{Author, Directive, Directives, Scope, Stopped};
use policy::event::{Event, SchedulerEvent};
use policy::id::NodeId;
use policy::placement::ShapeId;
use policy::task::Priority;
use supervision::Reply;

use crate::node::NodeMessage;
use crate::scheduler::SchedulerActor;
use crate::wire::client::Response;

impl SchedulerActor {
    /// An operator says something.
    pub(super) fn direct(&mut self, directive: &Directive, said: Author, reply: Reply<Response>) {
        let before = self.side.directives();
        let whole = self
            .check(directive, &before)
            .and_then(|()| before.whole(directive).map_err(|refused| format!("labels: {refused}")));
        let directive = &match whole {
            Ok(directive) => directive,
            Err(reason) => return reply.send(Response::Refused(reason.into())),
        };
        let mut after = Directives::clone(&before);
        let changed = after.hear(directive, &said);
        if changed {
            let Author { by, reason, .. } = said;
            tracing::info!(?directive, %by, %reason, "an operator says");
            let event = SchedulerEvent::Directed { directive: directive.clone(), by, reason };
            self.side.log.append(&Event::Scheduler(event), 0, 0);
            self.side.set_directives(after);
            self.heed(directive);
        }
        let answer = Response::Directed { changed };
        self.side.log.when_durable(self.side.log.last(), move || reply.send(answer));
    }

    /// Whether it speaks of what there is.
    fn check(&self, directive: &Directive, directives: &Directives) -> Result<(), String> {
        match directive {
            Directive::Pause(Scope::Tenant(_)) if !directives.has_room() => {
                Err("as many tenants are paused by name as may be".to_owned())
            }
            _ => match directive.node() {
                Some(node) if !self.dispatch.knows(node) && !directives.names(node) => {
                    Err(format!("there is no node {node}; `crab nodes` shows those there are"))
                }
                _ => Ok(()),
            },
        }
    }

    /// Has everybody look at it whom it may concern.
    fn heed(&mut self, directive: &Directive) {
        let message = || match directive {
            Directive::Remove(_) => NodeMessage::Retire,
            _ => NodeMessage::Heed,
        };
        let concerned = |node: &NodeId| directive.node().is_none_or(|one| one == node);
        for (node, address) in self.side.nodes.all() {
            if concerned(&node) {
                address.tell(message());
            }
        }
        self.dispatch.set_directives(&self.side.directives());
        self.dispatch.wake();
    }

    /// The actor of a node has ended, since an operator wants the node forgotten.
    pub(super) fn node_gone(&mut self, node: &NodeId) {
        self.dispatch.remove_node(node);
    }

    /// Why an operator lets nothing of these tasks be granted.
    pub(super) fn stopped(&self, priority: Priority, shape: ShapeId) -> Option<Stopped> {
        let demand = self.shapes.demand(shape)?;
        self.side.directives().stopped(priority, &demand.tenant)
    }
}
