//! What may come next in a line that is being typed: verbs, ids, names, keys, columns. Pure; whoever edits lines
//! brings the names that are known.

mod json;

use std::collections::BTreeMap;
use std::ops::Range;

use crate::console::ask::columns;
use crate::console::ask::tasks::state_words;
use crate::console::fuzzy;
use crate::console::verb::{self, STAGES, VERBS, Verb, Wants};
use crate::wire::inspect::Look;
use supervision::First;

use super::ask::actors::name_of;
use super::ask::gather::{Where, gather};
use super::{Console, eye::Eye};
use crate::wire::client::TaskFilter;

/// Names of one sort that are kept: more is no help to choose from.
const NAMES_LIMIT: usize = 2000;
/// What is offered at once.
const OFFERED: usize = 60;

/// The names that are known, each with what it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// Tasks and graphs: ids and names.
    pub targets: BTreeMap<String, String>,
    /// Machines.
    pub nodes: BTreeMap<String, String>,
    /// Actors.
    pub actors: BTreeMap<String, String>,
    /// The user's clusters.
    pub contexts: BTreeMap<String, String>,
    /// The user's own verbs.
    pub aliases: BTreeMap<String, String>,
}

/// Something that may come next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The text.
    pub text: String,
    /// What it is.
    pub about: String,
    /// What it takes the place of, in bytes.
    pub span: Range<usize>,
    /// Whether a space follows.
    pub is_whole: bool,
    /// Which of its letters were typed.
    pub matched: Vec<usize>,
}

impl Console {
    /// The names that are known now; what cannot be had is left out.
    pub async fn words(&self) -> Words {
        let mut words = Words::default();
        let Ok(eye) = self.eye() else { return words };
        if let Ok(rows) = eye.tasks(&TaskFilter::default(), NAMES_LIMIT).await {
            for row in rows {
                words.targets.insert(row.task.to_string(), format!("{} {}", row.state, row.name));
            }
        }
        for row in eye.graphs(NAMES_LIMIT / 4).await.unwrap_or_default() {
            words.targets.insert(row.graph.to_string(), format!("graph {}", row.name));
            words.targets.entry(row.name.to_string()).or_insert_with(|| format!("graph {}", row.graph));
        }
        for row in eye.nodes().await.unwrap_or_default() {
            words.nodes.insert(row.node.to_string(), row.health.to_string());
        }
        if let Eye::Live(client) = eye {
            let look = Look::Actors { only: None, first: First::Oldest, limit: 32 };
            for side in gather(client, &Where::Everywhere, &look).await.unwrap_or_default() {
                let rows = side.rows.unwrap_or_default();
                words.actors.extend(rows.iter().map(|row| {
                    let about = format!("{} waiting, {} handled", row.mailbox, row.handled);
                    (name_of(row, side.machine.as_ref()), about)
                }));
            }
        }
        words
    }
}

/// What may stand at `position` of a line, the best first.
#[must_use]
pub fn complete(line: &str, position: usize, words: &Words) -> Vec<Candidate> {
    let before = line.get(..position).unwrap_or(line);
    let start = before.rfind(|c: char| c.is_whitespace() || c == '|').map_or(0, |at| at + 1);
    let typed = &before[start..];
    if let Some((actor, json, from)) = told(before) {
        let (at, offered) = json::offered(actor, json, words);
        return ranked(offered, &json[at..], from + at..position);
    }
    let part = before.rfind('|').map_or(before, |bar| &before[bar + 1..]);
    let mut earlier: Vec<&str> = part.split_whitespace().collect();
    if !typed.is_empty() {
        earlier.pop();
    }
    let first = before.split('|').next().unwrap_or_default().split_whitespace().next();
    let verb = first.and_then(verb::find);
    let offered = if before.contains('|') {
        stages(&earlier, verb)
    } else {
        match earlier.split_first() {
            None => verbs(words),
            // Behind `watch` stands another line.
            Some((name, rest)) if verb::find(name).is_some_and(|verb| verb.wants.contains(&Wants::Line)) => {
                match rest.first().and_then(|inner| verb::find(inner)) {
                    Some(inner) => arguments(inner, typed, words),
                    None => verbs(words),
                }
            }
            Some((name, _)) => verb::find(name).map(|verb| arguments(verb, typed, words)).unwrap_or_default(),
        }
    };
    ranked(offered, typed, start..position)
}

/// The actor that is told something in JSON, what of that is typed, and where it stands.
fn told(before: &str) -> Option<(&str, &str, usize)> {
    let rest = before.trim_start();
    let (name, rest) = rest.split_once(char::is_whitespace)?;
    verb::find(name).filter(|verb| verb.wants.contains(&Wants::Json))?;
    let rest = rest.trim_start();
    let end = rest.find(|c: char| c.is_whitespace() || c == '{')?;
    Some((&rest[..end], &rest[end..], before.len() - (rest.len() - end)))
}

type Offered = Vec<(String, String, bool)>;

fn verbs(words: &Words) -> Offered {
    let verbs = VERBS.iter().map(|verb| (verb.name.to_owned(), verb.does.to_owned(), true));
    let aliases = words.aliases.iter().map(|(name, line)| (name.clone(), line.clone(), true));
    verbs.chain(aliases).collect()
}

fn stages(earlier: &[&str], verb: Option<&Verb>) -> Offered {
    match earlier {
        [] => STAGES.iter().map(|(name, _, does)| ((*name).to_owned(), (*does).to_owned(), true)).collect(),
        ["where" | "sort" | "select" | "by", ..] => {
            let names = verb.map(|verb| columns(verb.name)).unwrap_or_default();
            names.iter().map(|name| (name.to_string(), "column".to_owned(), true)).collect()
        }
        _ => Vec::new(),
    }
}

fn arguments(verb: &Verb, typed: &str, words: &Words) -> Offered {
    let known = |names: &BTreeMap<String, String>| -> Offered {
        names.iter().map(|(name, about)| (name.clone(), about.clone(), true)).collect()
    };
    if let Some((key, _)) = typed.split_once('=') {
        let of_key = |names: &BTreeMap<String, String>| -> Offered {
            names.iter().map(|(name, about)| (format!("{key}={name}"), about.clone(), true)).collect()
        };
        return match key {
            "node" => of_key(&words.nodes),
            "graph" => of_key(&words.targets).into_iter().filter(|one| one.1.starts_with("graph")).collect(),
            "by" => ["mbox", "grow", "in", "wait", "handle", "restarts"]
                .map(|by| (format!("by={by}"), String::new(), true))
                .to_vec(),
            _ => Vec::new(),
        };
    }
    let mut offered = Vec::new();
    if verb.sort == verb::Sort::Act && !verb.wants.contains(&Wants::Json) && typed.starts_with('r') {
        offered.push(("reason=".to_owned(), "why, for the record".to_owned(), false));
    }
    for wants in verb.wants {
        match wants {
            Wants::Actor => offered.extend(known(&words.actors)),
            Wants::Target => offered.extend(known(&words.targets)),
            Wants::Node => offered.extend(known(&words.nodes)),
            Wants::States => {
                offered.extend(state_words().map(|word| (word.to_owned(), "state".to_owned(), true)))
            }
            Wants::Pairs(keys) => {
                offered.extend(keys.iter().map(|key| (format!("{key}="), String::new(), false)))
            }
            Wants::Word(list) => {
                offered.extend(list.iter().map(|word| ((*word).to_owned(), String::new(), true)))
            }
            Wants::Moment => offered.extend(
                [("-1m", "a minute ago"), ("-5m", ""), ("-1h", ""), ("seq=", "the event of this number")]
                    .map(|(text, about)| (text.to_owned(), about.to_owned(), !text.ends_with('='))),
            ),
            Wants::Context => offered.extend(known(&words.contexts)),
            Wants::Verb => offered.extend(verbs(&Words::default())),
            Wants::Number | Wants::Line | Wants::Json => {}
        }
    }
    offered
}

/// Those that match: what begins so first, then what contains it, then what has its letters in this order, the best first.
fn ranked(offered: Offered, typed: &str, span: Range<usize>) -> Vec<Candidate> {
    let small = typed.to_lowercase();
    let rank = |text: &str| {
        let fit = fuzzy::fit(text, typed)?;
        let text = text.to_lowercase();
        let rank = if text.starts_with(&small) { (0, 0) } else { (1, 0) };
        let rank = if text.contains(&small) { rank } else { (2, -fit.score) };
        Some((rank, fit.places))
    };
    let mut matching: Vec<_> = offered
        .into_iter()
        .filter_map(|one| {
            let (rank, places) = rank(&one.0)?;
            Some((rank, natural(&one.0), one, places))
        })
        .collect();
    matching.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
    let candidate = |(_, _, (text, about, is_whole), matched)| Candidate {
        text,
        about,
        span: span.clone(),
        is_whole,
        matched,
    };
    matching.into_iter().take(OFFERED).map(candidate).collect()
}

/// `t9` before `t10`.
fn natural(text: &str) -> (String, u64, String) {
    let at = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
    let end = text[at..].find(|c: char| !c.is_ascii_digit()).map_or(text.len(), |end| at + end);
    (text[..at].to_owned(), text[at..end].parse().unwrap_or(0), text[end..].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(line: &str) -> Vec<String> {
        let pair = |name: &str, about: &str| (name.to_owned(), about.to_owned());
        let words = Words {
            targets: BTreeMap::from([pair("t9", "running a"), pair("t10", "ready b"), pair("g9", "graph x")]),
            nodes: BTreeMap::from([pair("mac-1", "up")]),
            actors: BTreeMap::from([pair("scheduler", ""), pair("worker/mac-1@mac-1", "")]),
            aliases: BTreeMap::from([pair("mine", "tasks pending")]),
            contexts: BTreeMap::from([pair("prod", "192.0.2.1:7070")]),
        };
        complete(line, line.len(), &words).into_iter().map(|one| one.text).collect()
    }

    #[test]
    fn verbs_ids_names_keys_and_columns_are_offered_where_they_may_stand() {
        assert_eq!(offered("tas")[..2], ["task", "tasks"]);
        assert_eq!(offered("why t")[..2], ["t9", "t10"]);
        assert_eq!(offered("node "), ["mac-1"]);
        assert_eq!(offered("state sched"), ["scheduler"]);
        assert_eq!(offered("context p"), ["prod"]);
        assert_eq!(
            (&offered("prio t1")[0], &offered("prio t10 cri")[0]),
            (&"t10".into(), &"critical".into())
        );
        assert_eq!(offered("tasks graph="), ["graph=g9"]);
        assert!(offered("tasks pend").contains(&"pending".to_owned()));
        assert_eq!(offered("tasks | wh"), ["where"]);
        assert!(offered("tasks | sort st").contains(&"state".to_owned()));
        assert_eq!(offered("watch nod")[..1], ["node".to_owned()]);
        assert_eq!(offered("mi")[0], "mine");
        assert!(offered("nodes x").is_empty());
    }

    #[test]
    fn commands_are_offered_piece_by_piece_from_their_table() {
        assert_eq!(offered("send sche"), ["scheduler"]);
        assert!(offered("send node/mac-1 ").contains(&"{\"drain\":{".to_owned()));
        assert_eq!(offered("send node/mac-1 {\"dr"), ["{\"drain\":{"]);
        assert_eq!(offered("send node/mac-1 {\"cor")[0], "{\"cordon\":{}}");
        assert_eq!(offered("send scheduler {\"pause\":{\"qu"), ["\"queue\":"]);
        assert_eq!(offered("send scheduler {\"pause\":{\"queue\":\"lo"), ["\"low\""]);
        assert_eq!(offered("send scheduler {\"pause\": {\"queue\": \"low\""), [",\"tenant\":", "}}"]);
        assert_eq!(offered("send scheduler {\"cancel\":{\"target\":\"t1"), ["\"t10\""]);
        assert_eq!(
            offered("send scheduler {\"cancel\":{"),
            ["\"target\":"],
            "nothing is left out that is needed"
        );
        assert!(offered("send scheduler {\"pause\":{}}").is_empty());
        let one = complete("send scheduler {\"pause\":{\"qu", 28, &Words::default()).remove(0);
        assert_eq!((one.span, one.is_whole), (25..28, false));
    }

    #[test]
    fn letters_in_order_are_enough_and_beginnings_come_first() {
        assert_eq!(offered("state wmac"), ["worker/mac-1@mac-1"]);
        assert_eq!(offered("lnt"), ["lints"]);
    }

    #[test]
    fn what_is_offered_takes_the_place_of_what_was_typed() {
        let one = complete("tasks | so", 10, &Words::default()).remove(0);
        assert_eq!((one.span, one.is_whole, one.matched), (8..10, true, vec![0, 1]));
    }
}
