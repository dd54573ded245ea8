//! `crab artifacts`: what is kept of what tasks left behind, and fetching it.

mod place;

use actors::client::{Client, ClientError, Fetch};
use actors::clock::Clock;
use actors::wire::client::{Target, TaskDetail, TaskFilter};
use actors::wire::fleet::ArtifactRefusal;
use anyhow::Context;
use policy::artifact::{ArtifactId, Artifacts, Kept, Kind, Manifest};
use policy::id::{AttemptNumber, GraphId, TaskId};
use policy::time::Timestamp;

use self::place::Place;
use crate::cli::args::artifacts::{self as args, Cat, Get, List, Which};
use crate::cli::exit::{Exit, NotFound, Usage};
use crate::cli::screen::Screen;
use crate::cli::{json, target, text};

pub(crate) async fn run(client: &Client, screen: &mut Screen, args: args::Artifacts) -> anyhow::Result<Exit> {
    match args.what {
        Some(Which::Ls(args)) => list(client, screen, args).await,
        Some(Which::Get(args)) => get(client, screen, args).await,
        Some(Which::Cat(args)) => cat(client, screen, args).await,
        None => list(client, screen, args.list).await,
    }
}

/// What is kept of one task.
struct Found {
    name: Box<str>,
    manifest: Manifest,
}

async fn list(client: &Client, screen: &mut Screen, args: List) -> anyhow::Result<Exit> {
    let wanted = args.target.ok_or_else(|| Usage("name a task or a graph: crab artifacts t12".to_owned()))?;
    let attempt = args.attempt.map(AttemptNumber);
    let mut found = match target::find(client, &wanted).await? {
        Target::Task(task) => vec![of_task(client, task, attempt).await?],
        Target::Graph(graph) => of_graph(client, screen, graph, attempt).await?,
    };
    for one in &mut found {
        keep_only(&mut one.manifest, args.kind);
    }
    show(screen, &found, args.kind)?;
    Ok(Exit::SUCCESS)
}

fn keep_only(manifest: &mut Manifest, kind: Option<Kind>) {
    manifest.kept.retain(|kept| kind.is_none_or(|kind| kept.kind == kind));
}

fn show(screen: &mut Screen, found: &[Found], kind: Option<Kind>) -> anyhow::Result<()> {
    if screen.json {
        for one in found {
            for kept in &one.manifest.kept {
                screen.object(&json::Artifact::of(&one.manifest, kept))?;
            }
            for left_out in one.manifest.left_out.iter().filter(|_| kind.is_none()) {
                screen.object(&json::LeftOutArtifact::of(&one.manifest, left_out))?;
            }
        }
    } else if found.iter().any(|one| !one.manifest.kept.is_empty()) {
        screen.line(table(found, Clock::system().wall()))?;
    } else {
        screen.note("nothing is kept");
    }
    for one in found.iter().filter(|_| kind.is_none()) {
        say_left_out(screen, &one.manifest);
    }
    Ok(())
}

fn table(found: &[Found], now: Timestamp) -> String {
    let rows = found.iter().flat_map(|one| one.manifest.kept.iter().map(move |kept| (one, kept)));
    let rows = rows.map(|(one, kept)| {
        let cells = [
            one.manifest.id(kept).to_string(),
            format!("{} {}", one.manifest.task, one.name),
            one.manifest.attempt.to_string(),
            kept.kind.to_string(),
            text::size(kept.bytes),
            text::age(now, one.manifest.at),
            kept.path.to_string(),
        ];
        cells.map(|cell| text::harmless(&cell)).into()
    });
    text::table(&["id", "task", "attempt", "kind", "size", "kept", "path"], rows)
}

/// Beside the list: what is not in it.
fn say_left_out(screen: &mut Screen, manifest: &Manifest) {
    let task = manifest.task;
    if let Some(fault) = &manifest.fault {
        screen.note(text::harmless(&format!("{task}: {fault}")));
    }
    if screen.json {
        return;
    }
    for left_out in &manifest.left_out {
        let said = format!("{task}: left out {}: {}", left_out.path, left_out.why);
        screen.note(text::harmless(&said.replace('\n', "?")));
    }
    if manifest.left_out_more > 0 {
        screen.note(format_args!("{task}: {} more were left out", manifest.left_out_more));
    }
}

/// Of the attempt that is named, or of the last that left something, or was to.
async fn of_task(client: &Client, task: TaskId, attempt: Option<AttemptNumber>) -> anyhow::Result<Found> {
    let detail = declared(client.task(task).await?)?;
    let attempt = attempt.or_else(|| last(&detail));
    let manifest = client.list_artifacts(task, attempt).await?;
    Ok(Found { name: detail.row.name, manifest })
}

/// The task, if it wants anything kept.
fn declared(detail: TaskDetail) -> Result<TaskDetail, ClientError> {
    if detail.spec.artifacts.is_some() {
        Ok(detail)
    } else {
        Err(ClientError::NoArtifact(ArtifactRefusal::None))
    }
}

/// The last attempt of which something was to be kept.
fn last(detail: &TaskDetail) -> Option<AttemptNumber> {
    let kept = detail.artifacts();
    kept.iter()
        .rev()
        .find(|(_, summary)| summary.files > 0)
        .or_else(|| kept.last())
        .map(|(attempt, _)| *attempt)
}

/// Of all its tasks that left something. What one machine does not tell is said, and is no end of it.
async fn of_graph(
    client: &Client,
    screen: &mut Screen,
    graph: GraphId,
    attempt: Option<AttemptNumber>,
) -> anyhow::Result<Vec<Found>> {
    let filter = TaskFilter { graph: Some(graph), ..TaskFilter::default() };
    let mut found = Vec::new();
    client.graph(graph).await?;
    for row in client.tasks(&filter, usize::MAX).await?.into_iter().filter(|row| row.attempts > 0) {
        let detail = client.task(row.task).await?;
        if detail.spec.artifacts.is_none() || detail.artifacts().is_empty() {
            continue;
        }
        match client.list_artifacts(row.task, attempt.or_else(|| last(&detail))).await {
            Ok(manifest) => found.push(Found { name: row.name, manifest }),
            Err(error) if Exit::of(&anyhow::Error::from(error.clone()), Exit::FAILURE) != Exit::FAILURE => {
                screen.note(format_args!("{}: {error}", row.task));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

async fn get(client: &Client, screen: &mut Screen, args: Get) -> anyhow::Result<Exit> {
    let attempt = args.attempt.map(AttemptNumber);
    let mut manifest = wanted(client, (&args.task, attempt), &args.what).await?;
    keep_only(&mut manifest, args.kind);
    if manifest.kept.is_empty() {
        return Err(
            NotFound("nothing is kept of that; `crab artifacts TASK` shows what is".to_owned()).into()
        );
    }
    let place = Place::open(args.into.as_deref().unwrap_or_else(|| ".".as_ref()), args.force)?;
    for kept in &manifest.kept {
        place.check(&kept.path)?;
    }
    let mut bytes = 0;
    for kept in &manifest.kept {
        let fetch = client.get_artifact(&manifest, kept);
        fetch_into(&place, kept, fetch).await.with_context(|| format!("{:?} is not fetched", kept.path))?;
        bytes += kept.bytes;
        if screen.json {
            screen.object(&json::Artifact::of(&manifest, kept))?;
        }
    }
    if !screen.json {
        let files = manifest.kept.len();
        let files = if files == 1 { "1 file".to_owned() } else { format!("{files} files") };
        screen.note(format_args!("fetched {files}, {}", text::size(bytes)));
    }
    Ok(Exit::SUCCESS)
}

async fn fetch_into(place: &Place, kept: &Kept, mut fetch: Fetch) -> anyhow::Result<()> {
    let mut file = place.begin(kept)?;
    while let Some(bytes) = fetch.next().await? {
        file.write(&bytes)?;
    }
    // Only now it is known that it is what was kept.
    file.finish()
}

async fn cat(client: &Client, screen: &mut Screen, args: Cat) -> anyhow::Result<Exit> {
    let attempt = args.attempt.map(AttemptNumber);
    let manifest = wanted(client, (&args.task, attempt), &[args.what]).await?;
    let kept = match &*manifest.kept {
        [one] => one,
        [] => return Err(NotFound("there is no such artifact".to_owned()).into()),
        many => {
            let text = format!("this is the pattern of {} files: name one of them", many.len());
            return Err(Usage(text).into());
        }
    };
    let mut fetch = client.get_artifact(&manifest, kept);
    while let Some(bytes) = fetch.next().await? {
        screen.bytes(&bytes)?;
    }
    Ok(Exit::SUCCESS)
}

/// The manifest with what is wanted of it alone; all of it where nothing is named.
async fn wanted(
    client: &Client,
    (task, attempt): (&str, Option<AttemptNumber>),
    what: &[String],
) -> anyhow::Result<Manifest> {
    let task = target::find_task(client, task).await?;
    let detail = declared(client.task(task).await?)?;
    // An id says which attempt.
    let ids = what.iter().filter_map(|one| one.parse::<ArtifactId>().ok());
    let token = ids.map(|id| id.token).next();
    let of_id = detail.attempts.iter().find(|one| Some(one.token) == token).map(|one| one.number);
    let attempt = attempt.or(of_id).or_else(|| last(&detail));
    let mut manifest = client.list_artifacts(task, attempt).await?;
    if !what.is_empty() {
        let mut places = Vec::new();
        for one in what {
            places.extend(named(&manifest, one)?);
        }
        let mut place = 0..;
        manifest.kept.retain(|_| place.next().is_some_and(|place| places.contains(&place)));
    }
    Ok(manifest)
}

/// The places of the files that are called so.
fn named(manifest: &Manifest, wanted: &str) -> anyhow::Result<Vec<usize>> {
    let places = |is_it: &dyn Fn(&Kept) -> bool| -> Vec<usize> {
        let all = manifest.kept.iter().enumerate();
        all.filter(|(_, kept)| is_it(kept)).map(|(place, _)| place).collect()
    };
    let id = wanted.parse::<ArtifactId>().ok();
    let exact = places(&|kept| *kept.path == *wanted || id == Some(manifest.id(kept)));
    if !exact.is_empty() {
        return Ok(exact);
    }
    let pattern = Artifacts::parse([wanted]).map_err(|(text, why)| Usage(format!("{text:?} {why}")))?;
    let matcher = pattern.matcher().map_err(|why| Usage(format!("{wanted:?} {why}")))?;
    let found = places(&|kept| matcher.matches(&kept.path).is_some());
    if found.is_empty() {
        let text = format!(
            "{wanted:?} is nothing that is kept of attempt {} of {}; `crab artifacts {}` shows what is",
            manifest.attempt, manifest.task, manifest.task
        );
        return Err(NotFound(text).into());
    }
    Ok(found)
}
