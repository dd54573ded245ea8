//! What may come next in a command's JSON: names of commands, of their fields, and values, from the table of
//! [`super::command`].

use crate::console::command::{self, Command, Field, Takes};
use crate::console::complete::{Offered, Words};

/// What may stand at the end of `typed`, and where in it that begins.
pub(super) fn offered(actor: &str, typed: &str, words: &Words) -> (usize, Offered) {
    let name = actor.split('@').next().unwrap_or_default();
    let kind = name.split('/').next().unwrap_or_default();
    let begin = typed.len() - typed.trim_start().len();
    let mut rest = Rest { typed, at: begin };
    let whole = || (begin, command::of_kind(kind).map(beginning).collect());
    if !rest.take('{') {
        return whole();
    }
    let Some(named) = rest.text() else { return whole() };
    let Some(command) = command::of_kind(kind).find(|command| command.name == named) else { return whole() };
    if !(rest.take(':') && rest.take('{')) {
        return whole();
    }
    fields(command, rest, words)
}

/// `{"pause":{`, and all of it where nothing has to follow.
fn beginning(command: &Command) -> (String, String, bool) {
    let end = if command.fields.is_empty() { "}}" } else { "" };
    (format!("{{\"{}\":{{{end}", command.name), command.does.to_owned(), false)
}

fn fields(command: &Command, mut rest: Rest<'_>, words: &Words) -> (usize, Offered) {
    let mut given: Vec<&str> = Vec::new();
    loop {
        let at = rest.here();
        let is_first = given.is_empty();
        if rest.typed[at..].starts_with('}') || !is_first && !rest.take(',') {
            return (at, after_value(command, &given, rest));
        }
        let key_at = rest.here();
        let field = rest.text().and_then(|key| command.fields.iter().find(|field| field.name == key));
        let Some(field) = field.filter(|_| rest.take(':')) else {
            let open = command.fields.iter().filter(|field| !given.contains(&field.name));
            let mut keys: Offered = open.map(|field| (key(field), field.takes.allowed(), false)).collect();
            keys.extend((is_first && is_whole(command, &given)).then(end));
            return (key_at, keys);
        };
        let value_at = rest.here();
        if !rest.value() {
            return (value_at, values(field, words));
        }
        given.push(field.name);
    }
}

fn after_value(command: &Command, given: &[&str], mut rest: Rest<'_>) -> Offered {
    if rest.take('}') {
        // One more is missing, or none.
        return if rest.take('}') { Vec::new() } else { vec![("}}".to_owned(), "done".to_owned(), false)] };
    }
    let open = command.fields.iter().filter(|field| !given.contains(&field.name));
    let more = open.map(|field| (format!(",{}", key(field)), field.takes.allowed(), false));
    more.chain(is_whole(command, given).then(end)).collect()
}

fn is_whole(command: &Command, given: &[&str]) -> bool {
    command.fields.iter().all(|field| !field.needed || given.contains(&field.name))
}

fn end() -> (String, String, bool) {
    ("}}".to_owned(), "done".to_owned(), false)
}

fn key(field: &Field) -> String {
    format!("\"{}\":", field.name)
}

fn values(field: &Field, words: &Words) -> Offered {
    let value = |text: &str, about: &str| (format!("\"{text}\""), about.to_owned(), false);
    match field.takes {
        Takes::Target => words.targets.iter().map(|(name, about)| value(name, about)).collect(),
        Takes::Length => ["1m", "10m", "1h"].map(|text| value(text, "")).to_vec(),
        Takes::Priority | Takes::Level | Takes::Signal => {
            field.takes.words().iter().map(|text| value(text, "")).collect()
        }
        Takes::Name | Takes::Number => Vec::new(),
    }
}

/// What is left of what was typed.
struct Rest<'a> {
    typed: &'a str,
    at: usize,
}

impl<'a> Rest<'a> {
    /// Where the next thing stands.
    fn here(&mut self) -> usize {
        let rest = &self.typed[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        self.at
    }

    fn take(&mut self, wanted: char) -> bool {
        let at = self.here();
        let is_there = self.typed[at..].starts_with(wanted);
        self.at += if is_there { wanted.len_utf8() } else { 0 };
        is_there
    }

    /// A text with both its quotes; nothing is taken where one is missing.
    fn text(&mut self) -> Option<&'a str> {
        let at = self.here();
        let inner = self.typed[at..].strip_prefix('"')?;
        let length = inner.find('"')?;
        self.at = at + length + 2;
        Some(&inner[..length])
    }

    /// A whole value; nothing is taken of one that goes on.
    fn value(&mut self) -> bool {
        let at = self.here();
        if self.typed[at..].starts_with('"') {
            return self.text().is_some();
        }
        let end = self.typed[at..].find([',', '}']);
        self.at += end.unwrap_or(0);
        end.is_some_and(|end| end > 0)
    }
}
