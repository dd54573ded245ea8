//! What operators may tell actors: one table, with the fields of each command. Verbs and `send` are two ways to write one
//! [`Order`]; [`super::act`] makes of it the one message there is for it.

use std::ops::Range;
use std::time::Duration;

use policy::signal::TaskSignal;
use policy::task::Priority;
use serde_json::Value;

use crate::console::fault::{Fault, Sort};
use crate::console::syntax::{Line, Word};
use crate::inspect::InspectorActor;
use crate::lease::LeaseActor;
use crate::node::NodeActor;
use crate::queue::QueueActor;
use crate::scheduler::SchedulerActor;
use crate::task::TaskActor;
use crate::taskfile::quantity;
use crate::taskfile::suggest::closest;
use supervision::Actor;

/// What an actor may be told.
#[derive(Debug, Clone, Copy)]
pub struct Command {
    /// The kind of actor; `None` for any that works.
    pub actor: Option<&'static str>,
    /// What stands first in the JSON.
    pub name: &'static str,
    /// What stands in its object.
    pub fields: &'static [Field],
    /// Whether it ends or empties something, so that whoever wants it has to type what.
    pub asks: bool,
    /// The verb that says the same.
    pub verb: &'static str,
    /// What it does, for help.
    pub does: &'static str,
}

/// A field of a command.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name, in JSON and behind a verb.
    pub name: &'static str,
    /// What it may be.
    pub takes: Takes,
    /// Whether it must be there.
    pub needed: bool,
}

/// What a field may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// `low` to `critical`.
    Priority,
    /// The name of a tenant, of a kind of work, of a module.
    Name,
    /// A task or graph, by id or name.
    Target,
    /// `10m`.
    Length,
    /// A whole number.
    Number,
    /// `debug`.
    Level,
    /// `USR1`.
    Signal,
}

/// Bytes of a name: as many as anything that has one may have.
const NAME_LIMIT_BYTES: usize = 256;
/// The queues there are.
pub const PRIORITIES: &[&str] = &["low", "normal", "high", "critical"];
/// What may be signalled to a task.
pub const SIGNALS: &[&str] = &["HUP", "INT", "QUIT", "USR1", "USR2", "WINCH"];

impl Takes {
    /// The words it may be, where these can be counted.
    #[must_use]
    pub fn words(self) -> &'static [&'static str] {
        match self {
            Self::Priority => PRIORITIES,
            Self::Level => crate::levels::NAMES,
            Self::Signal => SIGNALS,
            Self::Name | Self::Target | Self::Length | Self::Number => &[],
        }
    }

    /// What is allowed, for people.
    #[must_use]
    pub fn allowed(self) -> String {
        match self {
            Self::Priority | Self::Level | Self::Signal => self.words().join(", "),
            Self::Name => format!("a name of at most {NAME_LIMIT_BYTES} bytes"),
            Self::Target => "a task or graph, by id or name".to_owned(),
            Self::Length => "a length of time such as 90s or 10m".to_owned(),
            Self::Number => "a whole number".to_owned(),
        }
    }

    fn fits(self, text: &str) -> bool {
        match self {
            Self::Priority => text.parse::<Priority>().is_ok(),
            // Several with commas between, and of a target, are levels as well.
            Self::Level => text.parse::<crate::levels::Levels>().is_ok(),
            Self::Name | Self::Target => {
                !text.is_empty() && text.len() <= NAME_LIMIT_BYTES && !text.contains(char::is_control)
            }
            Self::Length => quantity::duration(text).is_ok(),
            Self::Number => text.parse::<u64>().is_ok(),
            Self::Signal => TaskSignal::read(text).is_ok(),
        }
    }
}

macro_rules! commands {
    ($($actor:expr, $name:literal { $($field:literal: $takes:ident $($needed:ident)?),* } $asks:ident $verb:literal, $does:literal;)*) => {
        &[$(Command {
            actor: $actor, name: $name, does: $does, verb: $verb, asks: asks!($asks),
            fields: &[$(Field { name: $field, takes: Takes::$takes, needed: needed!($($needed)?) }),*],
        }),*]
    };
}
macro_rules! asks {
    (asks) => {
        true
    };
    (does) => {
        false
    };
}
macro_rules! needed {
    (needed) => {
        true
    };
    () => {
        false
    };
}

const SCHEDULER: Option<&str> = Some(SchedulerActor::KIND);
const QUEUE: Option<&str> = Some(QueueActor::KIND);
const TASK: Option<&str> = Some(TaskActor::KIND);
const NODE: Option<&str> = Some(NodeActor::KIND);
const LEASE: Option<&str> = Some(LeaseActor::KIND);
const INSPECTOR: Option<&str> = Some(InspectorActor::KIND);

/// All of them. What `asks` wants the name of what it is about typed before it is done.
#[rustfmt::skip]
pub const COMMANDS: &[Command] = commands! {
    SCHEDULER, "pause" { "queue": Priority, "tenant": Name } asks "pause", "grants nothing more of that, or at all; what was granted goes on";
    SCHEDULER, "resume" { "queue": Priority, "tenant": Name } does "resume", "ends that pause";
    SCHEDULER, "halt" {} asks "halt", "starts nothing more anywhere; what runs goes on";
    SCHEDULER, "unhalt" {} does "unhalt", "ends the halt";
    SCHEDULER, "cancel" { "target": Target needed } asks "kill", "ends a task or all tasks of a graph";
    SCHEDULER, "retry" { "target": Target needed } does "retry", "tries again what ended without success";
    SCHEDULER, "prio" { "target": Target needed, "priority": Priority needed } does "prio", "has what waits of a task or graph be as urgent as that";
    SCHEDULER, "signal" { "target": Target needed, "signal": Signal needed } asks "signal", "sends a signal to what a task runs, which ends it where it has no handler";
    SCHEDULER, "go-on" { "graph": Target needed, "attempts": Number, "time": Length, "cost": Number } does "resume", "goes on with a graph whose budget was used up";
    QUEUE, "pause" {} does "pause", "grants nothing more of its priority";
    QUEUE, "resume" {} does "resume", "ends that pause";
    TASK, "cancel" {} asks "kill", "ends it";
    TASK, "retry" {} does "retry", "tries it again, where it ended without success";
    TASK, "prio" { "priority": Priority needed } does "prio", "has it be as urgent as that, where it still waits";
    TASK, "signal" { "signal": Signal needed } asks "signal", "sends a signal to what it runs, which ends it where it has no handler";
    TASK, "requeue" {} asks "requeue", "stops its attempt, which counts as nothing, and puts it back into its queue";
    NODE, "cordon" {} does "cordon", "keeps new work from the machine";
    NODE, "uncordon" {} does "uncordon", "takes that, or a drain, back";
    NODE, "drain" { "within": Length } asks "drain", "empties the machine; at the end of the time also of what runs";
    NODE, "halt" {} asks "halt", "starts nothing more there; what runs goes on";
    NODE, "unhalt" {} does "unhalt", "ends the halt";
    NODE, "reset-breaker" { "kind": Name } asks "breaker", "closes its breaker, or that of a kind of work";
    NODE, "label" { "label": Name needed, "value": Name } does "label", "puts a label on the machine, over its own, or takes it back where no value is given";
    NODE, "remove" {} asks "remove", "forgets a machine that is gone";
    LEASE, "revoke" {} asks "lease", "takes the right to run back: its attempt is stopped, and its task goes back into its queue";
    INSPECTOR, "log-level" { "level": Level needed, "target": Name } does "log-level", "lets the log of its daemon say more or less";
    None, "stop" {} does "stop", "tells what to do in place of it: an actor that stays away would leave its promise to nobody";
    None, "restart" {} asks "restart", "ends the actor, so that its supervisor starts it again";
};

/// What an actor of this kind may be told.
pub fn of_kind(kind: &str) -> impl Iterator<Item = &'static Command> {
    COMMANDS.iter().filter(move |command| command.actor.is_none_or(|actor| actor == kind))
}

/// A kind of actor that can be named without looking for it: it may sleep, or be stuck.
#[must_use]
pub fn is_known(kind: &str) -> bool {
    COMMANDS.iter().any(|command| command.actor == Some(kind))
}

/// Something that an actor is to be told, with fields that fit.
#[derive(Debug, Clone)]
pub struct Order {
    /// What.
    pub command: &'static Command,
    /// Whom, without its kind; nothing where there is only one.
    pub subject: Option<Word>,
    /// The values of its fields.
    values: Vec<(&'static str, Word)>,
    /// Where it stands in the line.
    pub span: Range<usize>,
}

impl Order {
    /// An order in the words of a verb: `key=value` pairs are its fields.
    ///
    /// # Errors
    /// A value is none that is allowed.
    pub fn of_line(
        line: &Line,
        (kind, name): (Option<&str>, &str),
        subject: Option<&Word>,
    ) -> Result<Self, Fault> {
        let is = |command: &&Command| command.actor == kind && command.name == name;
        let missing = || Fault::of(Sort::Usage, format!("{name} is no command"));
        let command = COMMANDS.iter().find(is).ok_or_else(missing)?;
        let mut order =
            Self { command, subject: subject.cloned(), values: Vec::new(), span: line.span.clone() };
        for (key, word) in &line.pairs {
            // A queue is that of a priority.
            let key = if key == "priority" { "queue" } else { key };
            if command.fields.iter().any(|field| field.name == key) {
                order.take(key, word.clone())?;
            }
        }
        Ok(order)
    }

    /// The same with a field more, which a verb takes without its name.
    ///
    /// # Errors
    /// As [`Order::of_line`].
    pub fn with(mut self, field: &str, value: &Word) -> Result<Self, Fault> {
        self.take(field, value.clone())?;
        Ok(self)
    }

    /// An order in JSON, `{"pause":{"queue":"low"}}`, to an actor of this kind.
    ///
    /// # Errors
    /// What is wrong with it and where, and what is allowed.
    pub fn of_json(kind: &str, subject: Option<Word>, json: &Word) -> Result<Self, Fault> {
        let value: Value = serde_json::from_str(&json.text).map_err(|error| broken(json, &error))?;
        let wrong = || {
            let fault = Fault::usage(json.span.clone(), "one command is wanted, and its fields");
            fault.help("as in: {\"pause\":{\"queue\":\"low\"}}")
        };
        let (name, fields) = match value {
            Value::String(name) => (name, serde_json::Map::new()),
            Value::Object(of) if of.len() == 1 => match of.into_iter().next() {
                Some((name, Value::Object(fields))) => (name, fields),
                Some((name, Value::Null)) => (name, serde_json::Map::new()),
                _ => return Err(wrong()),
            },
            _ => return Err(wrong()),
        };
        let command = of_kind(kind).find(|command| command.name == name).ok_or_else(|| {
            let fault = Fault::usage(place(json, &name), format!("{kind} takes no {name}"));
            let names = || of_kind(kind).map(|command| command.name);
            let near = closest(&name, names());
            let fault =
                near.into_iter().fold(fault, |fault, near| fault.help(format!("did you mean {near}?")));
            fault.possible(names())
        })?;
        let mut order = Self { command, subject, values: Vec::new(), span: json.span.clone() };
        for (key, value) in fields {
            let text = match value {
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                // Shown as it is, and refused for that.
                other => other.to_string(),
            };
            order.take(&key, Word { text, span: place(json, &key) })?;
        }
        order.whole()
    }

    fn whole(self) -> Result<Self, Fault> {
        let missing = |field: &&Field| field.needed && self.value(field.name).is_none();
        match self.command.fields.iter().find(missing) {
            None => Ok(self),
            Some(field) => {
                let text = format!("{} wants {}: {}", self.command.name, field.name, field.takes.allowed());
                Err(Fault::usage(self.span.clone(), text))
            }
        }
    }

    fn take(&mut self, name: &str, word: Word) -> Result<(), Fault> {
        let Some(field) = self.command.fields.iter().find(|field| field.name == name) else {
            let fault = Fault::usage(word.span, format!("{} takes no {name}", self.command.name));
            return Err(fault.possible(self.command.fields.iter().map(|field| field.name)));
        };
        if !field.takes.fits(&word.text) {
            let text = format!("{name} = {:?} cannot be", word.text);
            return Err(Fault::usage(word.span, text).help(format!("allowed: {}", field.takes.allowed())));
        }
        self.values.push((field.name, word));
        Ok(())
    }

    /// A field's value.
    #[must_use]
    pub fn value(&self, field: &str) -> Option<&Word> {
        self.values.iter().find(|(name, _)| *name == field).map(|(_, word)| word)
    }

    /// A field's value as a number.
    #[must_use]
    pub fn number(&self, field: &str) -> Option<u64> {
        self.value(field)?.text.parse().ok()
    }

    /// A field's value as a length of time.
    #[must_use]
    pub fn length(&self, field: &str) -> Option<Duration> {
        quantity::duration(&self.value(field)?.text).ok()
    }

    /// A field's value as a signal.
    #[must_use]
    pub fn signal(&self, field: &str) -> Option<TaskSignal> {
        TaskSignal::read(&self.value(field)?.text).ok()
    }

    /// A field's value as a priority.
    #[must_use]
    pub fn priority(&self, field: &str) -> Option<Priority> {
        self.value(field)?.text.parse().ok()
    }
}

/// Where a name stands in JSON; all of it where it cannot be found as it is written.
fn place(json: &Word, name: &str) -> Range<usize> {
    match json.text.find(&format!("\"{name}\"")) {
        Some(at) => json.span.start + at..json.span.start + at + name.len() + 2,
        None => json.span.clone(),
    }
}

fn broken(json: &Word, error: &serde_json::Error) -> Fault {
    // Of one line, so a column is a place; at its end something is missing.
    let at = (json.span.start + error.column().saturating_sub(1)).min(json.span.end);
    let text = error.to_string();
    let what = text.split(" at line").next().unwrap_or_default();
    let end = (at + 1).min(json.span.end.max(at));
    let fault = Fault::usage(at..end, format!("this is no JSON: {what}"));
    fault.help("as in: {\"pause\":{\"queue\":\"low\"}}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::verb::{self, VERBS};

    fn order(kind: &str, json: &str) -> Result<Order, String> {
        let line = format!("send A {json}");
        let word = Word { text: json.to_owned(), span: 7..line.len() };
        Order::of_json(kind, None, &word).map_err(|fault| fault.shown(&line))
    }

    #[test]
    fn a_command_with_fields_that_fit_is_an_order() {
        let paused = order("scheduler", r#"{"pause":{"queue":"low"}}"#).expect("it fits");
        assert_eq!((paused.command.name, paused.priority("queue")), ("pause", Some(Priority::Low)));
        let on = order("scheduler", r#"{"go-on":{"graph":"g7","attempts":9,"time":"1h"}}"#).expect("it fits");
        assert_eq!((on.number("attempts"), on.length("time")), (Some(9), Some(Duration::from_hours(1))));
        assert!(order("node", r#""cordon""#).is_ok() && order("node", r#"{"cordon":null}"#).is_ok());
        assert!(order("log", r#"{"restart":{}}"#).is_ok(), "any actor that works");
    }

    #[test]
    fn what_does_not_fit_is_told_with_field_value_and_what_is_allowed() {
        let fault = |kind: &str, json: &str| order(kind, json).expect_err("it does not fit");
        let low = fault("scheduler", r#"{"pause":{"queue":"lo"}}"#);
        assert!(low.contains("queue = \"lo\" cannot be") && low.contains("allowed: low, normal"), "{low}");
        assert!(low.contains("\n                   ^^^^^^^\n"), "{low}");
        let name = fault("scheduler", r#"{"pasue":{}}"#);
        assert!(name.contains("scheduler takes no pasue") && name.contains("did you mean pause?"), "{name}");
        let field = fault("node", r#"{"drain":{"until":"1h"}}"#);
        assert!(field.contains("drain takes no until") && field.contains("possible: within"), "{field}");
        assert!(fault("scheduler", r#"{"cancel":{}}"#).contains("cancel wants target: a task or graph"));
        assert!(fault("scheduler", r#"{"go-on":{"graph":"g1","attempts":-1}}"#).contains("a whole number"));
        assert!(fault("scheduler", r#"{"pause":{"queue":["low"]}}"#).contains("[\\\"low\\\"]"));
        assert!(fault("scheduler", r#"{"pause":{"queue""#).contains("this is no JSON"));
        assert!(fault("scheduler", r#"{"pause":{},"halt":{}}"#).contains("one command is wanted"));
        assert!(
            fault("task", r#"{"pause":{}}"#)
                .contains("possible: cancel retry prio signal requeue stop restart")
        );
    }

    #[test]
    fn the_signals_that_are_offered_are_those_there_are() {
        let all: Vec<&str> = <TaskSignal as strum::VariantArray>::VARIANTS.iter().map(Into::into).collect();
        assert_eq!(SIGNALS, all);
        let hup = order("task", r#"{"signal":{"signal":"sighup"}}"#).expect("it fits");
        assert_eq!(hup.signal("signal"), Some(TaskSignal::Hup));
        let kill = order("task", r#"{"signal":{"signal":"KILL"}}"#).expect_err("cancelling is for that");
        assert!(kill.contains("allowed: HUP, INT, QUIT, USR1, USR2, WINCH"), "{kill}");
    }

    #[test]
    fn every_command_is_said_by_a_verb_and_every_verb_that_acts_says_a_command() {
        for command in COMMANDS {
            let verb = verb::find(command.verb).expect(command.name);
            assert_eq!(verb.sort, verb::Sort::Act, "{}", command.name);
        }
        for verb in VERBS.iter().filter(|verb| verb.sort == verb::Sort::Act && verb.name != "send") {
            assert!(COMMANDS.iter().any(|command| command.verb == verb.name), "{}", verb.name);
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_json_is_typed_is_an_order_or_refused_at_a_place_in_it(json in "[{}\":a-z0-9, \\\\]{0,40}") {
            let line = format!("send A {json}");
            let word = Word { text: json, span: 7..line.len() };
            if let Err(fault) = Order::of_json("scheduler", None, &word) {
                let span = fault.span.clone().unwrap_or(0..0);
                proptest::prop_assert!(span.end <= line.len() && line.get(span).is_some());
            }
        }
    }
}
