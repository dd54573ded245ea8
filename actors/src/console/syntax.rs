//! From a line to what it asks for: words with their places, a verb, what follows it, and the stages behind `|`.

use std::ops::Range;

use crate::console::fault::Fault;
use crate::console::pipe::{self, Stage};
use crate::console::verb::{self, STAGES, VERBS, Verb, Wants};
use crate::taskfile::suggest::closest;

/// Bytes of one line: a screen full.
pub const LINE_LIMIT_BYTES: usize = 8192;

/// A word and its place in the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Without quotes.
    pub text: String,
    /// Where it stands, with its quotes.
    pub span: Range<usize>,
}

/// A line that makes sense.
#[derive(Debug, Clone)]
pub struct Line {
    /// What is asked for.
    pub verb: &'static Verb,
    /// Where the verb stands.
    pub span: Range<usize>,
    /// The plain words behind it.
    pub words: Vec<Word>,
    /// The `key=value` among them.
    pub pairs: Vec<(String, Word)>,
    /// What becomes of the rows.
    pub stages: Vec<Stage>,
    /// As it was typed.
    pub text: String,
}

impl Line {
    /// The value of a pair.
    #[must_use]
    pub fn pair(&self, key: &str) -> Option<&Word> {
        self.pairs.iter().find(|(name, _)| name == key).map(|(_, word)| word)
    }

    /// Whether a flag such as `-f` stands in it.
    #[must_use]
    pub fn has(&self, flag: &str) -> bool {
        self.words.iter().any(|word| word.text == flag)
    }

    /// The words that are no flags.
    pub fn plain(&self) -> impl Iterator<Item = &Word> {
        self.words.iter().filter(|word| !is_flag(&word.text))
    }
}

fn is_flag(word: &str) -> bool {
    word.len() == 2 && word.starts_with('-') && word.ends_with(|c: char| c.is_ascii_alphabetic())
}

/// The lines that `;` separates, outside of quotes.
#[must_use]
pub fn statements(text: &str) -> Vec<&str> {
    let (mut statements, mut from, mut quote) = (Vec::new(), 0, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None, ';') => {
                statements.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    statements.push(&text[from..]);
    statements.retain(|statement| !statement.trim().is_empty());
    statements
}

/// Reads a line; `None` where nothing stands in it.
///
/// # Errors
/// What is wrong, and where.
pub fn parse(text: &str) -> Result<Option<Line>, Fault> {
    if text.len() > LINE_LIMIT_BYTES {
        let long = format!("a line of {} bytes, the limit is {LINE_LIMIT_BYTES}", text.len());
        return Err(Fault::usage(0..0, long));
    }
    if let Some(line) = with_json(text) {
        return Ok(Some(line?));
    }
    let words = words(text)?;
    let mut parts = words.split(|word| word.text == "|" && word.span.len() == 1);
    let first = parts.next().unwrap_or_default();
    let Some((name, rest)) = first.split_first() else {
        return match words.first() {
            Some(bar) => Err(Fault::usage(bar.span.clone(), "a verb should stand before |")),
            None => Ok(None),
        };
    };
    let verb = verb::find(&name.text).ok_or_else(|| unknown_verb(name))?;
    let mut line = Line {
        verb,
        span: name.span.clone(),
        words: Vec::new(),
        pairs: Vec::new(),
        stages: Vec::new(),
        text: text.to_owned(),
    };
    if verb.wants.contains(&Wants::Line) {
        // What follows is a line of its own, with the stages in it.
        line.words = words[1..].to_vec();
    } else {
        rest.iter().try_for_each(|word| take(&mut line, word))?;
    }
    if line.plain().count() < verb.least {
        let end = rest.last().unwrap_or(name).span.end;
        let missing = format!("{} wants more: {} {}", verb.name, verb.name, verb.usage);
        return Err(Fault::usage(end..end, missing));
    }
    let end = text.len();
    for part in parts.filter(|_| !verb.wants.contains(&Wants::Line)) {
        line.stages.push(pipe::stage(part, end)?);
    }
    Ok(Some(line))
}

/// A line whose verb takes JSON: a word, and all that is left as it was typed. `None` for other lines.
fn with_json(text: &str) -> Option<Result<Line, Fault>> {
    let from = |at: usize| text[at..].find(|c: char| !c.is_whitespace()).map_or(text.len(), |more| at + more);
    let word_end = |at: usize| text[at..].find(char::is_whitespace).map_or(text.len(), |more| at + more);
    let start = from(0);
    let end = word_end(start);
    let verb = verb::find(&text[start..end]).filter(|verb| verb.wants.contains(&Wants::Json))?;
    let who = from(end);
    let who_end = word_end(who).min(text[who..].find('{').map_or(text.len(), |more| who + more));
    let (json, json_end) = (from(who_end), text.trim_end().len());
    let word = |span: Range<usize>| Word { text: text[span.clone()].to_owned(), span };
    let mut words: Vec<_> = (who < who_end).then(|| word(who..who_end)).into_iter().collect();
    words.extend((json < json_end).then(|| word(json..json_end)));
    if words.len() < verb.least {
        let missing = format!("{} wants more: {} {}", verb.name, verb.name, verb.usage);
        return Some(Err(Fault::usage(json_end..json_end, missing)));
    }
    let (span, text) = (start..end, text.to_owned());
    Some(Ok(Line { verb, span, words, pairs: Vec::new(), stages: Vec::new(), text }))
}

fn take(line: &mut Line, word: &Word) -> Result<(), Fault> {
    let keys = line.verb.wants.iter().find_map(|wants| match wants {
        Wants::Pairs(keys) => Some(*keys),
        _ => None,
    });
    let takes_moment = line.verb.wants.contains(&Wants::Moment);
    match word.text.split_once('=') {
        Some((key, value)) if !takes_moment => {
            let span = word.span.clone();
            // Whatever one does, one may say why.
            let is_why = key == "reason" && line.verb.sort == verb::Sort::Act;
            if !is_why && !keys.unwrap_or_default().contains(&key) {
                let text = format!("{} takes no {key}=", line.verb.name);
                return Err(Fault::usage(span, text)
                    .possible(keys.unwrap_or_default().iter().map(|key| format!("{key}="))));
            }
            let value = Word { text: value.to_owned(), span: span.start + key.len() + 1..span.end };
            line.pairs.push((key.to_owned(), value));
        }
        _ if line.verb.wants.is_empty() => {
            let text = format!("{} takes nothing behind it", line.verb.name);
            return Err(Fault::usage(word.span.clone(), text));
        }
        _ => {
            let flags = line
                .verb
                .wants
                .iter()
                .any(|wants| matches!(wants, Wants::Word(list) if list.contains(&word.text.as_str())));
            if is_flag(&word.text) && !flags && !takes_moment {
                let text = format!("{} takes no {}", line.verb.name, word.text);
                return Err(Fault::usage(word.span.clone(), text));
            }
            line.words.push(word.clone());
        }
    }
    Ok(())
}

fn unknown_verb(word: &Word) -> Fault {
    let names = || VERBS.iter().map(|verb| verb.name);
    let fault = Fault::usage(word.span.clone(), format!("there is no verb {}", word.text));
    if STAGES.iter().any(|(name, ..)| *name == word.text) {
        return fault.help(format!("{} stands behind a |, as in: tasks | {}", word.text, word.text));
    }
    let near = closest(&word.text, names());
    let behind = || closest(&word.text, STAGES.iter().map(|(name, ..)| *name));
    let fault = match near.map(ToOwned::to_owned).or_else(|| behind().map(|stage| format!("| {stage}"))) {
        Some(near) => fault.help(format!("did you mean {near}?")),
        None => fault,
    };
    fault.possible(names())
}

/// The words of a line. `|` is a word of its own; quotes keep spaces together.
fn words(text: &str) -> Result<Vec<Word>, Fault> {
    let mut words = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some(&(start, c)) = chars.peek() {
        if c.is_whitespace() {
            chars.next();
            continue;
        }
        if c == '|' {
            chars.next();
            words.push(Word { text: "|".to_owned(), span: start..start + 1 });
            continue;
        }
        let mut word = String::new();
        let mut end = start;
        while let Some(&(at, c)) = chars.peek() {
            if c.is_whitespace() || c == '|' {
                break;
            }
            chars.next();
            end = at + c.len_utf8();
            if c != '"' && c != '\'' {
                word.push(c);
                continue;
            }
            let mut closed = false;
            for (at, inner) in chars.by_ref() {
                end = at + inner.len_utf8();
                if inner == c {
                    closed = true;
                    break;
                }
                word.push(inner);
            }
            if !closed {
                return Err(Fault::usage(at..end, format!("this {c} has no end")));
            }
        }
        words.push(Word { text: word, span: start..end });
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(line: &str) -> String {
        parse(line).expect_err("it makes no sense").shown(line)
    }

    #[test]
    fn a_line_is_a_verb_with_words_pairs_and_stages() {
        let line = parse("tasks running \"backing-off\" graph=g7 | sort -since | head 5").unwrap().unwrap();
        let words: Vec<_> = line.words.iter().map(|word| word.text.as_str()).collect();
        assert_eq!((line.verb.name, words), ("tasks", vec!["running", "backing-off"]));
        assert_eq!(line.pair("graph").map(|word| word.text.as_str()), Some("g7"));
        assert_eq!(line.stages.len(), 2);
        assert!(parse("  ").unwrap().is_none());
    }

    #[test]
    fn statements_end_with_a_semicolon_outside_of_quotes() {
        assert_eq!(statements("at seq=5; tasks 'a;b' ;"), ["at seq=5", " tasks 'a;b' "]);
        assert!(statements(" ; ").is_empty());
    }

    #[test]
    fn an_error_points_into_the_line_and_says_what_is_possible() {
        let shown = fault("taskz | head 5");
        assert!(
            shown
                .starts_with("  taskz | head 5\n  ^^^^^\nerror: there is no verb taskz\n  did you mean task"),
            "{shown}"
        );
        assert!(fault("tasks colour=red").contains("  tasks colour=red\n        ^^^^^^^^^^\n"));
        assert!(fault("nodes now").contains("takes nothing"));
        assert!(fault("why").contains("why TASK"));
        assert!(fault("tasks \"x").contains("has no end"));
        assert!(fault("| head").contains("a verb should stand before"));
        assert!(fault("head 5").contains("stands behind a |"));
    }

    #[test]
    fn json_is_all_that_is_left_as_it_was_typed() {
        let told = |text: &str| {
            let line = parse(text).unwrap().unwrap();
            line.words.iter().map(|word| word.text.clone()).collect::<Vec<_>>()
        };
        assert_eq!(
            told(r#"send node/a  {"drain": {"within":"1m"} } "#),
            ["node/a", r#"{"drain": {"within":"1m"} }"#]
        );
        assert_eq!(told(r#" send x{"a":"b|c;d"}"#), ["x", r#"{"a":"b|c;d"}"#]);
        assert_eq!(told("send scheduler"), ["scheduler"]);
        assert!(fault("send ").contains("send ACTOR {JSON}"));
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_typed_is_understood_or_refused_at_a_place_in_it(line in ".{0,60}") {
            if let Err(fault) = parse(&line) {
                let span = fault.span.clone().unwrap_or(0..0);
                proptest::prop_assert!(span.end <= line.len() && line.get(span).is_some());
                proptest::prop_assert!(!fault.shown(&line).is_empty());
            }
        }
    }
}
