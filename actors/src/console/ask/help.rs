//! What can be typed.

use crate::console::command::{COMMANDS, Command, Field};
use crate::console::fault::Fault;
use crate::console::reply::Reply;
use crate::console::syntax::Line;
use crate::console::verb::{self, STAGES, Sort, VERBS, Wants};
use crate::taskfile::suggest::closest;

pub(super) fn help(line: &Line) -> Result<Reply, Fault> {
    match line.plain().next() {
        None => Ok(all()),
        Some(word) => match verb::find(&word.text) {
            Some(verb) => Ok(one(verb)),
            None => {
                let names = || VERBS.iter().map(|verb| verb.name);
                let fault = Fault::usage(word.span.clone(), format!("there is no verb {}", word.text));
                let near = closest(&word.text, names());
                let fault =
                    near.into_iter().fold(fault, |fault, near| fault.help(format!("did you mean {near}?")));
                Err(fault.possible(names()))
            }
        },
    }
}

fn one(verb: &verb::Verb) -> Reply {
    let mut reply = Reply::lines("help");
    reply.line("usage", format!("{} {}", verb.name, verb.usage).trim_end());
    reply.line("does", verb.does);
    if !verb.aliases.is_empty() {
        reply.line("also", verb.aliases.join(", "));
    }
    if verb.sort == Sort::Act {
        reply.line(
            "note",
            "it is recorded with your name before it is done; what ends something asks first, --yes does not",
        );
    }
    if verb.wants.contains(&Wants::Json) {
        COMMANDS.iter().for_each(|command| reply.line(shape(command), command.does));
    }
    reply
}

/// `node/… {"drain":{"within":…}}`; a field in brackets need not be there.
fn shape(command: &Command) -> String {
    let field = |field: &Field| match field.needed {
        true => format!("\"{}\":...", field.name),
        false => format!("[\"{}\":...]", field.name),
    };
    let fields = command.fields.iter().map(field).collect::<Vec<_>>().join(",");
    format!("{} {{\"{}\":{{{fields}}}}}", command.actor.unwrap_or("ACTOR"), command.name)
}

fn all() -> Reply {
    let mut reply = Reply::lines("help");
    for verb in VERBS {
        reply.line(format!("{} {}", verb.name, verb.usage).trim_end(), verb.does);
    }
    for (name, usage, does) in STAGES {
        reply.line(format!("| {name} {usage}").trim_end(), *does);
    }
    reply.notes.push(
        "an ACTOR is scheduler, task/t12, t12 or #7, with @machine behind it; help VERB tells more"
            .to_owned(),
    );
    reply
}
