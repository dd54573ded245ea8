//! The words of the language: what each wants and does. Help, completion and parsing read this one table.

/// What may follow a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// An actor: `scheduler`, `task/t12`, `#7`, with `@machine` behind it where it is elsewhere.
    Actor,
    /// A task or graph, by id or name.
    Target,
    /// A machine.
    Node,
    /// States of tasks.
    States,
    /// `key=value` with one of these keys.
    Pairs(&'static [&'static str]),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A number, `+1`.
    Number,
    /// A cluster of the user's.
    Context,
    /// A point in time: `-5m`, `seq=81`.
    Moment,
    /// Another line.
    Line,
    /// A verb.
    Verb,
    /// A command in JSON: all that is left of the line.
    Json,
}

/// Whom a verb concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// Looks, and changes nothing.
    Look,
    /// Changes something in the cluster.
    Act,
    /// Changes what the session looks at.
    Session,
}

/// A verb.
#[derive(Debug, Clone, Copy)]
pub struct Verb {
    /// What is typed.
    pub name: &'static str,
    /// Or one of these.
    pub aliases: &'static [&'static str],
    /// What may follow.
    pub wants: &'static [Wants],
    /// The least number of plain words that must follow.
    pub least: usize,
    /// What follows, for help.
    pub usage: &'static str,
    /// What it does, for help.
    pub does: &'static str,
    /// Whom it concerns.
    pub sort: Sort,
}

macro_rules! verbs {
    ($($sort:ident $name:literal $aliases:tt $wants:expr, $least:literal, $usage:literal, $does:literal;)*) => {
        &[$(Verb {
            name: $name, aliases: &$aliases, wants: &$wants, least: $least, usage: $usage, does: $does,
            sort: Sort::$sort,
        }),*]
    };
}

use Wants::{Actor, Line, Moment, Node, Number, Pairs, States, Target, Word};

/// All of them, in the order of the help.
pub const VERBS: &[Verb] = verbs! {
    Look "status" ["st"] [], 0, "", "the fleet in a few lines";
    Look "ps" ["actors"] [Actor, Pairs(&["node", "window"])], 0, "[ACTOR] [node=N] [window=250ms]", "actors, with their counters";
    Look "tree" [] [Actor, Pairs(&["node", "window"])], 0, "[ACTOR] [node=N] [window=250ms]", "actors below their supervisors";
    Look "actor" ["a"] [Actor], 1, "ACTOR", "all that is counted of one actor";
    Look "state" ["s"] [Actor], 1, "ACTOR", "what an actor holds; a stuck one is told of from its counters";
    Look "top" [] [Pairs(&["by", "window", "node"])], 0, "[by=mbox|grow|in|wait|handle|restarts] [window=1s] [node=N]",
        "the actors with the most, by what happens within the window";
    Look "nodes" ["n"] [], 0, "", "the machines";
    Look "node" [] [Node], 1, "NODE", "one machine and what runs there";
    Look "breakers" [] [], 0, "", "breakers that are not closed";
    Look "tasks" ["t", "ls"] [States, Pairs(&["graph", "limit", "order"])], 0, "[STATE...] [graph=G] [limit=500] [order=state]",
        "tasks by id; order=state: what runs, then what waits, then what ended last";
    Look "task" [] [Target], 1, "TASK", "one task and its attempts";
    Look "queue" ["q"] [], 0, "", "what waits, the next first";
    Look "graphs" ["gs"] [Pairs(&["limit"])], 0, "[limit=50]", "graphs, the newest first";
    Look "graph" ["g"] [Target], 1, "GRAPH", "one graph and its tasks";
    Look "trace" [] [Actor, Pairs(&["max", "for"]), Word(&["payload"])], 1, "ACTOR [max=50] [for=5s] [payload]",
        "the messages that go through an actor, and of which tasks and grants they speak; ends by itself";
    Look "leases" [] [], 0, "", "who holds the right to run what";
    Look "tenants" [] [], 0, "", "who is charged what";
    Look "locks" ["pools", "amounts"] [], 0, "", "who holds which lock, index or amount of the fleet, and who waits for it";
    Look "rates" [] [], 0, "", "what rates have used of what they let through";
    Look "budgets" [] [], 0, "", "what graphs and tenants may use up, and have";
    Look "sessions" [] [Pairs(&["host"])], 0, "[host=NAME]", "sessions of tmux, here or on a machine behind SSH";
    Look "why" ["explain"] [Target, Node, Word(&["--what-if"]), Pairs(crate::console::ask::what_if::KEYS)], 1,
        "TASK [--what-if mem=16G cpus=N disk=1G gpu=N node=N] | NODE | eN",
        "what a task waits for, and would if it asked otherwise; why a machine takes no work; which events led to one";
    Look "blame" [] [Target], 1, "TASK", "where a task's time went, and for whom it waited longest";
    Look "lints" ["lint"] [], 0, "", "what looks wrong, with the evidence and what helps; exits with 3 where there is something";
    Look "events" ["e"] [Target, Pairs(&["last"]), Word(&["-f"])], 0, "[TASK|GRAPH] [last=40] [-f]",
        "what has happened, -f as it happens";
    Look "tail" [] [Target], 0, "[TASK|GRAPH]", "events as they happen";
    Look "logs" ["l"] [Target, Word(&["-f", "-d"])], 1, "TASK [-f|-d]", "what a task wrote, -f as it writes, -d what matters of it";
    Look "export" [] [Word(&["chrome", "dot"]), Target], 2, "chrome|dot GRAPH",
        "a graph's execution as a trace for Perfetto, or its shape for Graphviz";
    Look "watch" ["w"] [Line], 1, "LINE [1s]", "asks again and again";
    Look "help" ["?", "h"] [Wants::Verb], 0, "[VERB]", "this";
    Act "kill" ["cancel"] [Target], 1, "TASK|GRAPH", "ends tasks: SIGTERM, and SIGKILL after the grace";
    Act "retry" [] [Target], 1, "TASK|GRAPH", "tries again what ended without success";
    Act "signal" ["sig"] [Target, Word(crate::console::command::SIGNALS)], 2, "TASK HUP|INT|QUIT|USR1|USR2|WINCH",
        "a word to what it runs, which ends it where it has no handler";
    Act "resume" [] [Target, Pairs(&["attempts", "time", "cost", "tenant", "queue", "priority"])], 0,
        "[tenant=T|queue=P] | GRAPH [attempts=N] [time=1h] [cost=N]", "ends a pause; goes on with a graph whose budget was used up";
    Act "pause" [] [Pairs(&["tenant", "queue", "priority"])], 0, "[tenant=T|queue=P]", "grants nothing more; what was granted goes on";
    Act "cordon" [] [Node], 1, "NODE", "keeps new work from a machine";
    Act "uncordon" [] [Node], 1, "NODE", "takes that, or a drain, back";
    Act "drain" [] [Node, Pairs(&["within"])], 1, "NODE [within=10m]", "empties a machine; at the end of the time also of what runs";
    Act "halt" [] [Node], 0, "[NODE]", "starts nothing more, there or anywhere; what runs goes on";
    Act "unhalt" [] [Node], 0, "[NODE]", "ends the halt";
    Act "requeue" [] [Target], 1, "TASK", "stops its attempt, which counts as nothing, and puts it back into its queue";
    Act "prio" ["priority"] [Target, Word(crate::console::command::PRIORITIES)], 2, "TASK|GRAPH PRIORITY", "lets it be as urgent as that while it waits; of an array, all of it";
    Act "lease" [] [Word(&["revoke"])], 2, "revoke TOKEN", "the same, by the token of the lease (`leases`)";
    Act "label" [] [Node], 2, "NODE NAME [VALUE]", "puts a label on a machine, over its own, or takes it back where no value is given";
    Act "remove" ["forget"] [Node], 1, "NODE", "forgets a machine that is gone";
    Act "stop" [] [Actor], 1, "ACTOR", "is refused, with what to do in place of it: no actor can be missed";
    Act "restart" [] [Actor], 1, "ACTOR", "ends an actor, so that its supervisor starts it again";
    Act "breaker" [] [Word(&["reset"]), Node, Pairs(&["kind"])], 2, "reset NODE [kind=K]", "closes a breaker";
    Act "log-level" ["level"] [Word(crate::levels::NAMES), Pairs(&["target", "node"])], 1, "LEVEL [target=actors::task] [node=N]",
        "lets a daemon's log say more or less, until it is started again";
    Act "send" [] [Actor, Wants::Json], 1, "ACTOR {JSON}", "a command of an actor, as in: send scheduler {\"pause\":{\"queue\":\"low\"}}";
    Session "at" [] [Moment], 1, "-5m|seq=N", "everything as it was then; `live` goes back";
    Session "step" [] [Number], 0, "[+N|-N]", "so many events on, or back";
    Session "play" [] [Word(&["x1", "x10", "x100"])], 0, "[x10]", "events as they came, so many times as fast, until Ctrl-C";
    Session "live" ["now"] [], 0, "", "back to what is";
    Session "diff" [] [Moment, Target], 2, "@-5m @seq=N | TASK TASK", "what tasks, graphs and nodes are otherwise than then; what two tasks are otherwise";
    Session "context" ["use"] [Wants::Context], 0, "[NAME]", "another cluster of yours, or which there are";
    Session "alias" [] [Line], 0, "[NAME = LINE]", "a word of your own";
    Session "tui" ["full"] [], 0, "", "the full screen (F2)";
    Session "quit" ["exit", "bye"] [], 0, "", "leaves (Ctrl-D)";
};

/// The verb that is called so.
#[must_use]
pub fn find(name: &str) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| verb.name == name || verb.aliases.contains(&name))
}

/// What may follow a `|`, with its usage and what it does.
pub const STAGES: &[(&str, &str, &str)] = &[
    ("where", "FIELD OP VALUE", "rows for which it holds; OP is = != < <= > >= ~ !~ (~ contains)"),
    ("sort", "[-]FIELD", "in order; with - the largest first"),
    ("head", "[N]", "the first rows"),
    ("select", "FIELD...", "only these columns"),
    ("count", "", "how many rows"),
    ("by", "FIELD", "how many rows for each value"),
    ("json", "", "as JSON, one object on each line"),
];
