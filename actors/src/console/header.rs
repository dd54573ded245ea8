//! What the head of a screen tells in one line.

use std::time::Duration;

use policy::budget::{Budget, Spent};
use policy::directive::Scope;
use policy::pressure::Mode;
use policy::time::Timestamp;

use crate::console::fault::Fault;
use crate::console::render::{Canvas, Strip, Tone};
use crate::console::{Console, eye::Eye, lint};
use crate::say;
use crate::wire::client::{NodeHealth, NodeRow, Status};

/// How long a head waits for the scheduler: then it says that it does not answer.
const STATUS_DEADLINE: Duration = Duration::from_millis(500);

/// Hundredths of a budget from which on it is a warning.
const BUDGET_WARN: u64 = 80;

/// Between two pieces.
const GAP: &str = " | ";

/// The fleet in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What the daemon calls itself.
    pub name: String,
    /// Machines that are up, suspect, lost.
    pub nodes: [usize; 3],
    /// Machines that are being emptied.
    pub draining: usize,
    /// The tenant that has used most of its budget, and how many hundredths of it.
    pub budget: Option<(String, u64)>,
    /// Tasks that are ready, run, and wait for others or for another attempt.
    pub tasks: [u64; 3],
    /// How strained the queue is.
    pub mode: Mode,
    /// What looks wrong, as far as that is seen without asking the actors.
    pub lints: usize,
    /// Whether operators have halted or paused everything, or a part.
    pub stopped: Option<&'static str>,
    /// The scheduler does not answer.
    pub is_silent: bool,
    /// The moment in the past that is shown.
    pub moment: Option<(u64, Timestamp)>,
}

pub(super) async fn of(console: &Console) -> Result<Header, Fault> {
    match console.eye()? {
        Eye::Live(client) => match tokio::time::timeout(STATUS_DEADLINE, client.status()).await {
            Ok(status) => Ok(live(&status?, console.now())),
            Err(_) => Ok(Header { is_silent: true, lints: 1, ..empty("?") }),
        },
        Eye::Past(fold) => {
            let counts = fold.counts();
            Ok(Header {
                nodes: healths(&fold.nodes()),
                draining: draining(&fold.nodes()),
                tasks: [counts.ready, counts.active, counts.waiting + counts.backing_off],
                stopped: stopped(fold.directives().is_everything_halted(), &fold.directives().paused()),
                moment: console.moment(),
                ..empty("log")
            })
        }
    }
}

fn empty(name: &str) -> Header {
    Header {
        name: name.to_owned(),
        nodes: [0; 3],
        draining: 0,
        budget: None,
        tasks: [0; 3],
        mode: Mode::default(),
        lints: 0,
        stopped: None,
        is_silent: false,
        moment: None,
    }
}

fn live(status: &Status, now: Timestamp) -> Header {
    let counts = &status.tasks;
    Header {
        nodes: healths(&status.nodes),
        draining: draining(&status.nodes),
        budget: budget(status),
        tasks: [counts.ready, counts.active, counts.waiting + counts.backing_off],
        stopped: stopped(status.halted, &status.paused),
        mode: status.pressure.mode,
        lints: lint::of_nodes(&status.nodes, now).len() + status.warnings.len(),
        ..empty(&status.server.name)
    }
}

fn stopped(halted: bool, paused: &[Scope]) -> Option<&'static str> {
    match (halted, paused.is_empty()) {
        (true, _) => Some("halted"),
        (false, false) => Some("paused"),
        (false, true) => None,
    }
}

fn draining(nodes: &[NodeRow]) -> usize {
    nodes.iter().filter(|node| node.directed.draining).count()
}

/// Who has used most of what it may.
fn budget(status: &Status) -> Option<(String, u64)> {
    let used = status.tenants.iter().filter_map(|row| {
        let of = row.budget.as_deref()?;
        Some((row.tenant.to_string(), hundredths(&of.budget, &of.spent)?))
    });
    used.max_by_key(|(_, most)| *most)
}

/// Of the limit that is used up most; `None` where there is none.
fn hundredths(budget: &Budget, spent: &Spent) -> Option<u64> {
    let micros = |length: Duration| u64::try_from(length.as_micros()).unwrap_or(u64::MAX);
    let all = [
        (micros(spent.wall), micros(budget.wall)),
        (micros(spent.cpu), micros(budget.cpu)),
        (spent.attempts, budget.attempts),
        (spent.cost, budget.cost),
        (spent.retries, budget.retries),
    ];
    all.iter().filter_map(|(used, limit)| used.saturating_mul(100).checked_div(*limit)).max()
}

fn healths(nodes: &[NodeRow]) -> [usize; 3] {
    [NodeHealth::Up, NodeHealth::Suspect, NodeHealth::Lost]
        .map(|health| nodes.iter().filter(|node| node.health == health).count())
}

impl Header {
    /// The line, cut to the width of the canvas.
    #[must_use]
    pub fn line(&self, canvas: &Canvas) -> String {
        let mut line = String::new();
        for (text, tone) in self.strip(canvas.width) {
            line.push_str(&canvas.paint(tone, &text));
        }
        line
    }

    /// The line in pieces, as many as fit: the gravest stay.
    #[must_use]
    pub fn strip(&self, width: usize) -> Strip {
        let [up, suspect, lost] = self.nodes;
        let [ready, active, waiting] = self.tasks;
        let mut parts = vec![(format!("crab {}", self.name), Tone::Strong)];
        if self.is_silent {
            parts.push(("the scheduler does not answer: `lints` tells more".to_owned(), Tone::Bad));
        } else {
            parts.push((format!("{up} up"), if up > 0 { Tone::Good } else { Tone::Plain }));
            parts.extend((suspect > 0).then(|| (format!("{suspect} suspect"), Tone::Warn)));
            parts.extend((self.draining > 0).then(|| (format!("{} draining", self.draining), Tone::Warn)));
            parts.extend((lost > 0).then(|| (format!("{lost} lost"), Tone::Bad)));
            parts.push((format!("queue {ready}"), Tone::Plain));
            parts.push((format!("run {active}"), if active > 0 { Tone::Good } else { Tone::Plain }));
            parts.extend((waiting > 0).then(|| (format!("wait {waiting}"), Tone::Plain)));
        }
        parts.extend(self.stopped.map(|stopped| (stopped.to_owned(), Tone::Warn)));
        if self.mode != Mode::Normal {
            parts.push((format!("{} pressure", self.mode), Tone::Warn));
        }
        if let Some((tenant, used)) = &self.budget {
            let tone = if *used >= BUDGET_WARN { Tone::Warn } else { Tone::Plain };
            parts.push((format!("budget {tenant} {used}%"), tone));
        }
        if self.lints > 0 {
            parts.push((format!("lints {}!", self.lints), Tone::Bad));
        }
        if let Some((number, at)) = self.moment {
            parts.push((format!("@{number} {}", say::clock_time(at)), Tone::Warn));
        }
        let used = |parts: &[(String, Tone)]| {
            parts.iter().map(|(text, _)| text.chars().count() + GAP.len()).sum::<usize>() - GAP.len()
        };
        // What is wrong goes last where there is no room for all.
        while parts.len() > 1 && used(&parts) > width {
            let grave = |tone: Tone| match tone {
                Tone::Bad => 3,
                Tone::Warn => 2,
                Tone::Good | Tone::Strong => 1,
                Tone::Plain | Tone::Dim => 0,
            };
            let leaves = parts.iter().enumerate().skip(1);
            let least = leaves.min_by_key(|(place, (_, tone))| (grave(*tone), std::cmp::Reverse(*place)));
            let Some((place, _)) = least else { break };
            parts.remove(place);
        }
        let mut strip = Strip::new();
        for (text, tone) in parts {
            let gap = if strip.is_empty() { "" } else { GAP };
            strip.extend([(gap.to_owned(), Tone::Plain), (text, tone)]);
        }
        strip
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_room_is_short_what_is_wrong_stays() {
        let head = Header { nodes: [2, 1, 1], draining: 1, tasks: [7, 4, 9], lints: 3, ..empty("one") };
        let line = |width| head.line(&Canvas { width, color: false, ascii: true });
        assert_eq!(
            line(80),
            "crab one | 2 up | 1 suspect | 1 draining | 1 lost | queue 7 | run 4 | lints 3!"
        );
        assert_eq!(line(30), "crab one | 1 lost | lints 3!");
    }

    #[test]
    fn the_head_tells_who_drains_and_what_is_nearly_used_up() {
        let spent = Spent { attempts: 40, cost: 9, ..Spent::default() };
        let budget = Budget { attempts: 50, cost: 100, ..Budget::default() };
        assert_eq!(hundredths(&budget, &spent), Some(80));
        assert_eq!(hundredths(&Budget::default(), &spent), None);
        let head =
            Header { nodes: [2, 0, 1], draining: 1, budget: Some(("ci".to_owned(), 80)), ..empty("one") };
        let line = head.line(&Canvas { width: 200, color: false, ascii: true });
        assert_eq!(line, "crab one | 2 up | 1 draining | 1 lost | queue 0 | run 0 | budget ci 80%");
    }
}
