//! What operators have said and not taken back: which machines take no work, what is not started.
//!
//! A directive is a fact in the log; [`Directives`] is what all of them come to. It refuses nothing by itself: the
//! gates ask it, and show its words.

mod labels;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::id::NodeId;
use crate::task::Priority;
use crate::time::Timestamp;

pub use crate::directive::labels::{Change, NotPut, OPERATOR_LABELS_LIMIT};
use labels::Put;

/// Tenants that are paused by name at once: as many as there may be.
pub const PAUSED_TENANTS_LIMIT: usize = 1000;

/// What an operator says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Directive {
    /// The node takes no new work; what it has goes on.
    Cordon(NodeId),
    /// The node takes work again, whether it was cordoned or drained.
    Uncordon(NodeId),
    /// The node takes no new work and gives back what has not begun; at the deadline it gives back what runs.
    Drain {
        /// Which.
        node: NodeId,
        /// `None`: what runs may end by itself.
        deadline: Option<Timestamp>,
    },
    /// The node is forgotten, and what was said of it.
    Remove(NodeId),
    /// Nothing is started any more, there or anywhere; what runs goes on.
    Halt(Option<NodeId>),
    /// The halt is over.
    Unhalt(Option<NodeId>),
    /// Nothing of this is granted any more; what was granted goes on.
    Pause(Scope),
    /// The pause is over.
    Resume(Scope),
    /// The node has these labels whatever it says itself. Asked: what changes, on record: all that operators say then.
    Label {
        /// Which.
        node: NodeId,
        /// By name; `None` takes one back.
        labels: Vec<Change>,
    },
}

/// Who has said something, when and why.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Author {
    /// Who, as the program that asked says.
    pub by: Arc<str>,
    /// Why; empty where they did not say.
    pub reason: Arc<str>,
    /// When.
    pub at: Timestamp,
}

/// What is paused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// Everything.
    All,
    /// Tasks of a priority.
    Priority(Priority),
    /// Tasks of a tenant.
    Tenant(Arc<str>),
}

/// Why a node takes no work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Closed {
    /// It starts nothing.
    Halted,
    /// It is being emptied.
    Draining {
        /// When what runs is given back.
        deadline: Option<Timestamp>,
    },
    /// It keeps what it has.
    Cordoned,
}

/// Why nothing of some tasks is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stopped {
    /// Nothing at all is.
    Halted,
    /// An operator has paused this.
    Paused(Scope),
}

/// What was said of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct OfNode {
    taking: Taking,
    is_halted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Taking {
    #[default]
    Work,
    Nothing,
    Leave(Option<Timestamp>),
}

/// Everything that holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directives {
    nodes: BTreeMap<NodeId, OfNode>,
    labels: BTreeMap<NodeId, Put>,
    is_halted: bool,
    is_paused: bool,
    priorities: [bool; 4],
    tenants: BTreeSet<Arc<str>>,
    /// Who has said what holds, by its subject.
    said: BTreeMap<String, Author>,
}

impl Directives {
    /// Takes note of a directive and of who says it; whether that changes anything: another reason does.
    pub fn hear(&mut self, directive: &Directive, said: &Author) -> bool {
        let is_new = self.apply(directive);
        let subjects = directive.subjects();
        if directive.takes_back() {
            subjects.iter().for_each(|subject| drop(self.said.remove(subject)));
            return is_new;
        }
        let known = |subject: &String| self.said.get(subject).is_some_and(|was| was.reason == said.reason);
        let is_other = !said.reason.is_empty() && !subjects.iter().all(known);
        if is_new || is_other {
            self.said.extend(subjects.into_iter().map(|subject| (subject, said.clone())));
        }
        is_new || is_other
    }

    /// Who has said that a node takes no work or starts nothing, where somebody has of that one: the gravest.
    #[must_use]
    pub fn said_of(&self, node: &NodeId) -> Option<&Author> {
        let of = self.nodes.get(node)?;
        let subject = if of.is_halted { format!("halt {node}") } else { format!("taking {node}") };
        self.said.get(&subject)
    }

    /// What holds of everything, of priorities and of tenants, the widest first, and who has said so.
    #[must_use]
    pub fn all_said(&self) -> Vec<(Directive, Author)> {
        let halt = self.is_halted.then_some(Directive::Halt(None));
        let all = halt.into_iter().chain(self.paused().into_iter().map(Directive::Pause));
        let said = |directive: &Directive| {
            directive
                .subjects()
                .first()
                .and_then(|subject| self.said.get(subject))
                .cloned()
                .unwrap_or_default()
        };
        all.map(|directive| (directive.clone(), said(&directive))).collect()
    }

    /// Takes note of a directive; whether that changes anything.
    pub fn apply(&mut self, directive: &Directive) -> bool {
        match directive {
            Directive::Cordon(node) => self.of(node, |of| of.taking = Taking::Nothing),
            Directive::Uncordon(node) => self.of(node, |of| of.taking = Taking::Work),
            Directive::Drain { node, deadline } => self.of(node, |of| of.taking = Taking::Leave(*deadline)),
            Directive::Remove(node) => {
                self.nodes.remove(node);
                self.labels.remove(node);
                true
            }
            Directive::Halt(Some(node)) => self.of(node, |of| of.is_halted = true),
            Directive::Unhalt(Some(node)) => self.of(node, |of| of.is_halted = false),
            Directive::Halt(None) => !std::mem::replace(&mut self.is_halted, true),
            Directive::Unhalt(None) => std::mem::replace(&mut self.is_halted, false),
            Directive::Pause(scope) => self.pause(scope, true),
            Directive::Resume(scope) => self.pause(scope, false),
            Directive::Label { node, labels } => self.put(node, labels),
        }
    }

    fn of(&mut self, node: &NodeId, change: impl FnOnce(&mut OfNode)) -> bool {
        let before = self.nodes.get(node).copied().unwrap_or_default();
        let mut after = before;
        change(&mut after);
        // Only what says something is kept.
        match after == OfNode::default() {
            true => drop(self.nodes.remove(node)),
            false => drop(self.nodes.insert(node.clone(), after)),
        }
        before != after
    }

    fn pause(&mut self, scope: &Scope, paused: bool) -> bool {
        match scope {
            Scope::All => std::mem::replace(&mut self.is_paused, paused) != paused,
            Scope::Priority(one) => std::mem::replace(&mut self.priorities[*one as usize], paused) != paused,
            Scope::Tenant(tenant) if paused => self.tenants.insert(Arc::clone(tenant)),
            Scope::Tenant(tenant) => self.tenants.remove(tenant),
        }
    }

    /// Whether one more tenant may be paused by name.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.tenants.len() < PAUSED_TENANTS_LIMIT
    }

    /// Whether anything was said of a node.
    #[must_use]
    pub fn names(&self, node: &NodeId) -> bool {
        self.nodes.contains_key(node) || self.labels.contains_key(node)
    }

    /// Why a node takes no work, as far as operators go: the gravest reason.
    #[must_use]
    pub fn closed(&self, node: &NodeId) -> Option<Closed> {
        let of = self.nodes.get(node).copied().unwrap_or_default();
        match of.taking {
            _ if of.is_halted || self.is_halted => Some(Closed::Halted),
            Taking::Leave(deadline) => Some(Closed::Draining { deadline }),
            Taking::Nothing => Some(Closed::Cordoned),
            Taking::Work => None,
        }
    }

    /// Until when a node that is drained may keep what runs; `None` where it is not drained.
    #[must_use]
    pub fn drain(&self, node: &NodeId) -> Option<Option<Timestamp>> {
        match self.nodes.get(node)?.taking {
            Taking::Leave(deadline) => Some(deadline),
            Taking::Work | Taking::Nothing => None,
        }
    }

    /// Whether a node is cordoned, and not drained.
    #[must_use]
    pub fn is_cordoned(&self, node: &NodeId) -> bool {
        self.nodes.get(node).is_some_and(|of| of.taking == Taking::Nothing)
    }

    /// Whether a node starts nothing.
    #[must_use]
    pub fn is_halted(&self, node: &NodeId) -> bool {
        self.is_halted || self.nodes.get(node).is_some_and(|of| of.is_halted)
    }

    /// Whether nothing is started anywhere.
    #[must_use]
    pub fn is_everything_halted(&self) -> bool {
        self.is_halted
    }

    /// Why nothing is granted at all.
    #[must_use]
    pub fn all_stopped(&self) -> Option<Stopped> {
        match (self.is_halted, self.is_paused) {
            (true, _) => Some(Stopped::Halted),
            (false, true) => Some(Stopped::Paused(Scope::All)),
            (false, false) => None,
        }
    }

    /// Whether a priority is paused by itself.
    #[must_use]
    pub fn is_paused(&self, priority: Priority) -> bool {
        self.priorities[priority as usize]
    }

    /// Whether a tenant is paused by itself.
    #[must_use]
    pub fn is_tenant_paused(&self, tenant: &str) -> bool {
        self.tenants.contains(tenant)
    }

    /// Why nothing is granted of these tasks: the widest reason.
    #[must_use]
    pub fn stopped(&self, priority: Priority, tenant: &str) -> Option<Stopped> {
        self.all_stopped().or_else(|| {
            let paused = if self.is_paused(priority) {
                Scope::Priority(priority)
            } else {
                Scope::Tenant(Arc::clone(self.tenants.get(tenant)?))
            };
            Some(Stopped::Paused(paused))
        })
    }

    /// Everything that is paused, the widest first.
    #[must_use]
    pub fn paused(&self) -> Vec<Scope> {
        let all = self.is_paused.then_some(Scope::All);
        let priorities = [Priority::Critical, Priority::High, Priority::Normal, Priority::Low].into_iter();
        let priorities = priorities.filter(|one| self.is_paused(*one)).map(Scope::Priority);
        let tenants = self.tenants.iter().map(|tenant| Scope::Tenant(Arc::clone(tenant)));
        all.into_iter().chain(priorities).chain(tenants).collect()
    }
}

/// How a directive is kept beyond the log: the last one of each subject that still says something.
impl Directive {
    /// What it is about. A later one about the same stands for it.
    #[must_use]
    pub fn subjects(&self) -> Vec<String> {
        match self {
            Self::Cordon(node) | Self::Uncordon(node) | Self::Drain { node, .. } => {
                vec![format!("taking {node}")]
            }
            Self::Halt(Some(node)) | Self::Unhalt(Some(node)) => vec![format!("halt {node}")],
            Self::Remove(node) => {
                vec![format!("taking {node}"), format!("halt {node}"), format!("labels {node}")]
            }
            Self::Label { node, .. } => vec![format!("labels {node}")],
            Self::Halt(None) | Self::Unhalt(None) => vec!["halt".to_owned()],
            Self::Pause(scope) | Self::Resume(scope) => vec![match scope {
                Scope::All => "pause".to_owned(),
                Scope::Priority(priority) => format!("pause priority {priority}"),
                Scope::Tenant(tenant) => format!("pause tenant {tenant}"),
            }],
        }
    }

    /// Whether it only takes back what an earlier one said.
    #[must_use]
    pub fn takes_back(&self) -> bool {
        match self {
            Self::Uncordon(_) | Self::Remove(_) | Self::Unhalt(_) | Self::Resume(_) => true,
            Self::Label { labels, .. } => labels.iter().all(|(_, value)| value.is_none()),
            Self::Cordon(_) | Self::Drain { .. } | Self::Halt(_) | Self::Pause(_) => false,
        }
    }

    /// The node it is about, if it is about one.
    #[must_use]
    pub fn node(&self) -> Option<&NodeId> {
        match self {
            Self::Cordon(node)
            | Self::Uncordon(node)
            | Self::Drain { node, .. }
            | Self::Remove(node)
            | Self::Label { node, .. } => Some(node),
            Self::Halt(node) | Self::Unhalt(node) => node.as_ref(),
            Self::Pause(_) | Self::Resume(_) => None,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("everything"),
            Self::Priority(priority) => write!(f, "{priority} priority"),
            Self::Tenant(tenant) => write!(f, "tenant {tenant:?}"),
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Halted => "is halted by an operator",
            Self::Draining { .. } => "is being drained",
            Self::Cordoned => "is cordoned",
        })
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Halted => f.write_str("everything is halted by an operator"),
            Self::Paused(scope) => write!(f, "{scope} is paused by an operator"),
        }
    }
}

#[cfg(test)]
mod tests;
