//! `crab show`.

use actors::client::Client;
use actors::clock::Clock;
use actors::say;
use actors::wire::client::{AttemptRow, TaskDetail};
use policy::dependency::Need;
use policy::provision::{Provision, Sandbox, Secret};
use policy::stages::Stages;
use policy::task::{About, Qos, TaskSpec};
use policy::text::OsText;
use policy::time::Timestamp;
use policy::workspace::Keep;

use crate::cli::args::Show;
use crate::cli::events::event_line;
use crate::cli::exit::Exit;
use crate::cli::screen::Screen;
use crate::cli::{json, target, text};

pub(crate) async fn run(client: &Client, screen: &mut Screen, args: Show) -> anyhow::Result<Exit> {
    let task = target::find_task(client, &args.task).await?;
    let detail = client.task(task).await?;
    if screen.json {
        screen.object(&json::TaskDetail::from(&detail))?;
        return Ok(Exit::SUCCESS);
    }
    let now = Clock::system().wall();
    for (name, value) in facts(&detail, now) {
        screen.line(format_args!("{name:<13}{}", text::harmless(&value)))?;
    }
    if !detail.attempts.is_empty() {
        screen.line(format_args!("\n{}", attempts(&detail.attempts, now)))?;
    }
    screen.line("")?;
    for (_, record) in &detail.events {
        screen.line(event_line(record))?;
    }
    Ok(Exit::SUCCESS)
}

fn facts(detail: &TaskDetail, now: Timestamp) -> Vec<(&'static str, String)> {
    let (row, spec) = (&detail.row, &detail.spec);
    let words: Vec<String> = spec.argv.iter().map(|word| quoted(&word.to_string())).collect();
    let mut facts = vec![
        ("task", format!("{} {} of {}", row.task, row.name, row.graph)),
        ("state", format!("{} since {}", row.doing(), text::age(now, row.since))),
        ("submitted", format!("{} ({})", text::age(now, detail.submitted), text::rfc3339(detail.submitted))),
        spec.handler().map_or_else(
            || ("command", words.join(" ")),
            |kind| ("message", format!("for {kind}: {}", words.join(" "))),
        ),
        ("resources", text::resources(&spec.resources)),
        ("priority", format!("{} for {}", row.priority, row.tenant)),
    ];
    if let Some(outcome) = &row.outcome {
        facts.insert(2, ("outcome", outcome.to_string()));
    }
    if let Some(sample) = &row.in_use {
        facts.insert(2, ("uses", say::sample(sample, now)));
    }
    if let Some(progress) = &row.progress {
        facts.insert(2, ("progress", progress.to_string()));
    }
    let results = detail.results().iter();
    facts.extend(results.map(|one| ("result", format!("{} {}", quoted(&one.name), one.json))));
    if let Some(directory) = &spec.directory {
        facts.push(("directory", directory.to_string()));
    }
    if let Some(space) = &spec.workspace {
        let home = if space.private_home { ", HOME and TMPDIR of its own" } else { "" };
        facts.push(("workspace", format!("{}, kept {}{home}", space.source, kept_when(space.keep))));
    }
    facts.extend(spec.about.iter().flat_map(|about| said(about)));
    facts.extend(spec.provision.iter().flat_map(|provision| given(provision)));
    facts.extend(spec.stages.iter().flat_map(|stages| around(stages)));
    facts.extend(kept(detail));
    facts.extend(spec.alternatives.iter().map(|other| ("or", text::resources(other))));
    facts.extend(spec.constraints.require.iter().map(|one| ("requires", one.to_string())));
    facts.extend(spec.constraints.prefer.iter().map(|one| ("prefers", one.to_string())));
    if let Some(company) = &spec.constraints.company {
        facts.extend(company.group.iter().map(|group| ("group", group.to_string())));
        facts.extend(company.spread.iter().map(|one| ("spread", one.to_string())));
        facts.extend(company.apart.iter().map(|one| ("apart from", one.to_string())));
        facts.extend(company.prefer_apart.iter().map(|one| ("rather apart", one.to_string())));
    }
    facts.extend(spec.environment.iter().map(|(name, value)| ("env", format!("{name}={value}"))));
    if !detail.dependencies.is_empty() {
        facts.push(("after", after(&detail.dependencies)));
    }
    if let Some(why) = &detail.waits_for {
        facts.insert(2, ("waits", why.to_string()));
    }
    if let Some(timeout) = spec.timeout {
        facts.push(("timeout", format!("{}, grace {}", text::length(timeout), text::length(spec.grace))));
    }
    let bounds = spec.bounds.as_deref().copied().unwrap_or_default();
    facts.extend(bounds.lengths().map(|(limit, length)| (limit.into(), text::length(length))));
    if let Some(deadline) = bounds.deadline {
        facts.retain(|(name, _)| *name != "deadline");
        facts.push(("deadline", text::rfc3339(deadline.of(detail.submitted))));
    }
    let limits = spec.limits.as_deref().copied().unwrap_or_default();
    facts.extend(limits.memory_bytes.map(|bytes| ("memory limit", text::size(bytes))));
    facts.extend(limits.processes.map(|processes| ("processes", format!("at most {processes}"))));
    facts.extend(limits.open_files.map(|files| ("open files", format!("at most {files} for each process"))));
    facts.extend(manners(spec));
    facts
}

/// How it is started and runs beside others.
fn manners(spec: &TaskSpec) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if spec.is_preemptible {
        facts.push((
            "preemptible",
            "makes room for critical tasks where the site lets them have it".to_owned(),
        ));
    }
    if let Some(members) = spec.gang {
        facts.push(("gang", format!("one of {members} that start together, each on a machine of its own")));
    }
    if spec.qos != Qos::Default {
        facts.push(("qos", spec.qos.to_string()));
    }
    if spec.retry.max_attempts > 1 {
        facts.push(("attempts", format!("at most {}", spec.retry.max_attempts)));
    }
    facts
}

/// What it says of itself.
fn said(about: &About) -> Vec<(&'static str, String)> {
    let labels = about.labels.iter().map(|(name, value)| ("label", format!("{name}={value}")));
    let goal = about.goal.iter().map(|goal| ("goal", text::harmless(goal).to_string()));
    labels
        .chain(goal)
        .chain(about.evaluation.iter().map(|one| ("evaluation", say::evaluation(one))))
        .collect()
}

/// What it is given where it runs; of secrets their names alone are known here.
fn given(provision: &Provision) -> Vec<(&'static str, String)> {
    let secret = |one: &Secret| ("secret", format!("{}, its file in ${}", one.name, one.variable));
    let jobserver = provision.jobserver.then(|| ("jobserver", "shares the machine's".to_owned()));
    let sandbox =
        provision.sandbox.map(|Sandbox::Workspace| ("sandbox", "writes in its workspace alone".to_owned()));
    provision.secrets.iter().map(secret).chain(jobserver).chain(sandbox).collect()
}

/// What it wants kept, and what is kept of it.
fn kept(detail: &TaskDetail) -> Vec<(&'static str, String)> {
    let patterns = detail.spec.artifacts.iter().flat_map(|artifacts| &artifacts.patterns);
    let wanted: Vec<String> = patterns.map(|pattern| quoted(&pattern.to_string())).collect();
    let kept = detail.artifacts().last().map(|(attempt, summary)| {
        let task = detail.row.task;
        format!("{} of attempt {attempt}: crab artifacts {task}", say::artifacts(summary))
    });
    let wanted = (!wanted.is_empty()).then(|| ("keeps", wanted.join(" ")));
    wanted.into_iter().chain(kept.map(|kept| ("artifacts", kept))).collect()
}

/// What is done around its command.
fn around(stages: &Stages) -> Vec<(&'static str, String)> {
    let shown =
        |argv: &[OsText]| argv.iter().map(|word| quoted(&word.to_string())).collect::<Vec<_>>().join(" ");
    let before = stages.before.iter().map(|argv| ("before hook", shown(argv)));
    let gate = stages.gate.iter().map(|argv| ("gate", shown(argv)));
    let after = stages.after.iter().map(|argv| ("after hook", shown(argv)));
    before.chain(gate).chain(after).collect()
}

fn kept_when(keep: Keep) -> &'static str {
    match keep {
        Keep::Unsaved => "where it holds unsaved work",
        Keep::OnFailure => "where it fails or holds unsaved work",
        Keep::Always => "in any case",
        Keep::Never => "in no case",
    }
}

/// `build, test (end)`.
fn after(dependencies: &[(Box<str>, Need)]) -> String {
    let one = |(name, needs): &(Box<str>, Need)| match needs {
        Need::Success => name.to_string(),
        Need::End | Need::Always => format!("{name} ({needs})"),
    };
    dependencies.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// As it could be typed into a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

fn attempts(attempts: &[AttemptRow], now: Timestamp) -> String {
    let rows = attempts.iter().map(|attempt| {
        let took = match (attempt.started, attempt.ended) {
            (Some(started), ended) => text::length(ended.unwrap_or(now).since(started)),
            (None, _) => String::new(),
        };
        vec![
            attempt.number.to_string(),
            attempt.node.to_string(),
            attempt.token.to_string(),
            attempt.pid.map(|pid| pid.to_string()).unwrap_or_default(),
            took,
            text::length(attempt.usage.cpu),
            text::size(attempt.usage.peak_memory_bytes),
            attempt.outcome.as_ref().map_or_else(|| "running".to_owned(), ToString::to_string),
        ]
    });
    text::table(&["attempt", "node", "token", "pid", "took", "cpu", "memory", "outcome"], rows)
}
