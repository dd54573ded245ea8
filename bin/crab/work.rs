//! From a file or a command with its options to a submission.

mod claims;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actors::client::{key_of, random_key};
use actors::taskfile::{self, Context, path_text};
use anyhow::Context as _;
use policy::bounds::TimeBounds;
use policy::constraint::{Condition, Constraints, NODE};
use policy::dependency::Dependency;
use policy::event::{ArraySpec, Item};
use policy::excess::UseLimits;
use policy::id::GraphId;
use policy::resources::Resources;
use policy::submission::Submission;
use policy::task::{DEFAULT_CPU_MILLIS, DEFAULT_GRACE, RetryPolicy, TaskSpec};
use policy::text::OsText;

use crate::cli::args::{TaskOptions, Work};
use crate::cli::exit::Usage;

/// Characters of a name that a command gives: the limit of all names.
const NAME_CHARS: usize = 100;
/// Who is charged where nobody is named and the user has no name.
const ANYBODY: &str = "default";

/// Where something is put that is added to a graph.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    /// The graph.
    pub(crate) into: Option<GraphId>,
    /// What a command depends on there.
    pub(crate) after: Vec<Dependency>,
}

/// What the user wants to have run, as a graph of its own.
pub(crate) fn submission(work: Work) -> anyhow::Result<Submission> {
    addition(work, Joined::default())
}

/// What the user wants to have run, where it belongs.
pub(crate) fn addition(work: Work, Joined { into, after }: Joined) -> anyhow::Result<Submission> {
    let key = work.key.as_deref().map_or_else(random_key, key_of);
    let tenant = work.task.tenant.clone().or_else(user).unwrap_or_else(|| ANYBODY.to_owned());
    match work.file {
        Some(file) => {
            if let Some(option) = option_given(&work.task) {
                let text =
                    format!("{option} is for a command; a task file says it itself (see `crab schema`)");
                return Err(Usage(text).into());
            }
            if !after.is_empty() {
                let text = "--after is for a command; a task file says it itself (see `crab schema`)";
                return Err(Usage(text.to_owned()).into());
            }
            let parameters = work.set.into_iter().collect();
            Ok(match work.text {
                Some(text) => {
                    let (tenant, name) = (tenant.into(), "tasks".into());
                    let context = Context { directory: here()?, name, tenant, key, into, parameters };
                    taskfile::parse(&text, &file, &context)?
                }
                None => taskfile::read_file(&file, tenant.into(), (key, into), parameters)?,
            })
        }
        None => {
            let array = work.task.gang.map(ArraySpec::of_gang).or(work.task.array);
            let spec = spec(work.task, work.argv, tenant.into())?;
            let name = Arc::clone(&spec.name);
            let item = Item { array, dependencies: after, ..Item::new(spec) };
            Ok(Submission { into, ..Submission::new(key, name, vec![item]) })
        }
    }
}

/// The first option that means nothing beside a file.
fn option_given(options: &TaskOptions) -> Option<&'static str> {
    let given = [
        ("--name", options.name.is_some()),
        ("--priority", options.priority.is_some()),
        ("--kind", options.kind.is_some()),
        ("--preemptible", options.preemptible),
        ("--qos", options.qos.is_some()),
        ("--cpus", options.cpus.is_some()),
        ("--memory", options.memory.is_some()),
        ("--gpu", options.gpu.is_some()),
        ("--disk", options.disk.is_some()),
        ("--alternative", !options.alternative.is_empty()),
        ("--resource", !options.resource.is_empty()),
        ("--require", !options.require.is_empty()),
        ("--prefer", !options.prefer.is_empty()),
        ("--near", !options.near.is_empty()),
        ("--node", options.node.is_some()),
        ("--avoid-failed", options.avoid_failed.is_some()),
        ("--group", options.company.group.is_some()),
        ("--spread", !options.company.spread.is_empty()),
        ("--apart", !options.company.apart.is_empty()),
        ("--prefer-apart", !options.company.prefer_apart.is_empty()),
        ("--lock", !options.lock.is_empty()),
        ("--pool", !options.pool.is_empty()),
        ("--amount", !options.amount.is_empty()),
        ("--rate", !options.rate.is_empty()),
        ("--env", !options.env.is_empty()),
        ("--directory", options.directory.is_some()),
        ("--timeout", options.timeout.is_some()),
        ("--soft-timeout", options.soft_timeout.is_some()),
        ("--idle-timeout", options.idle_timeout.is_some()),
        ("--queue-timeout", options.queue_timeout.is_some()),
        ("--deadline", options.deadline.is_some()),
        ("--memory-limit", options.memory_limit.is_some()),
        ("--process-limit", options.process_limit.is_some()),
        ("--open-files", options.open_files.is_some()),
        ("--grace", options.grace.is_some()),
        ("--retries", options.retries.is_some()),
        ("--array", options.array.is_some()),
        ("--gang", options.gang.is_some()),
    ];
    let given = given.into_iter().chain(options.space.given()).chain(options.provision.given());
    let given = given.chain(options.about.given()).chain(options.stages.given());
    given.into_iter().find(|&(_, given)| given).map(|(option, _)| option)
}

fn user() -> Option<String> {
    std::env::var("USER").ok().and_then(|user| tenant_of(&user))
}

/// Characters of a tenant's name.
const TENANT_CHARS: usize = 63;

/// The user's name as a tenant's: in lower case, other characters replaced; `None` where nothing is left.
fn tenant_of(user: &str) -> Option<String> {
    let plain =
        |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c) { c } else { '-' };
    let name: String = user.to_ascii_lowercase().chars().map(plain).collect();
    let name: String = name.trim_start_matches(['.', '_', '-']).chars().take(TENANT_CHARS).collect();
    (!name.is_empty()).then_some(name)
}

fn here() -> anyhow::Result<PathBuf> {
    std::env::current_dir().context("the present directory cannot be told; name one with --directory")
}

fn spec(options: TaskOptions, argv: Vec<OsString>, tenant: Arc<str>) -> anyhow::Result<TaskSpec> {
    let claims = claims::of(&options)?;
    let here = here()?;
    let workspace = options.space.workspace(&here).map_err(|why| Usage(why.to_owned()))?;
    // Within a workspace it is relative to that.
    let directory = match (&workspace, options.directory) {
        (Some(_), directory) => directory,
        (None, directory) => Some(directory.map_or_else(|| here.clone(), |directory| here.join(directory))),
    };
    let retry = RetryPolicy::default();
    let limits = UseLimits {
        memory_bytes: options.memory_limit,
        processes: options.process_limit,
        open_files: options.open_files,
    };
    let bounds = TimeBounds {
        soft_timeout: options.soft_timeout,
        idle_timeout: options.idle_timeout,
        queue_timeout: options.queue_timeout,
        deadline: options.deadline,
    };
    let company = options.company.company();
    let resources = Resources {
        cpu_millis: options.cpus.unwrap_or(DEFAULT_CPU_MILLIS),
        memory_bytes: options.memory.unwrap_or(0),
        gpu_slots: options.gpu.unwrap_or(0),
        disk_bytes: options.disk.unwrap_or(0),
        named: options.resource.into_iter().map(|(name, amount)| (name.into(), amount)).collect(),
    };
    Ok(TaskSpec {
        directory: directory.as_deref().map(path_text),
        workspace,
        provision: options.provision.provision(),
        about: options.about.about(),
        artifacts: options.stages.artifacts(),
        stages: options.stages.stages(),
        environment: options.env.iter().map(|variable| self::variable(variable)).collect::<Result<_, _>>()?,
        alternatives: options.alternative.iter().map(|other| other.over(&resources)).collect(),
        resources,
        constraints: Constraints {
            require: options
                .require
                .into_iter()
                .chain(options.node.map(|node| Condition::is(NODE, &node)))
                .collect(),
            prefer: options.prefer.into_iter().chain(options.near.into_iter().map(|near| near.0)).collect(),
            avoid_failed: options.avoid_failed.unwrap_or_default(),
            company: Some(company).filter(|company| !company.is_empty()).map(Arc::new),
        },
        priority: options.priority.unwrap_or_default(),
        tenant,
        retry: RetryPolicy { max_attempts: options.retries.unwrap_or(0).saturating_add(1), ..retry },
        timeout: options.timeout,
        bounds: (!bounds.is_empty()).then(|| Box::new(bounds)),
        limits: (!limits.is_empty()).then(|| Box::new(limits)),
        grace: options.grace.unwrap_or(DEFAULT_GRACE),
        kind: options.kind.map(Arc::from),
        claims,
        is_preemptible: options.preemptible,
        gang: options.gang,
        qos: options.qos.unwrap_or_default(),
        ..TaskSpec::new(
            options.name.map_or_else(|| program_name(&argv), Arc::from),
            argv.into_iter().map(|word| OsText::from(word.into_vec())).collect(),
        )
    })
}

/// `/usr/bin/make` is called `make`.
fn program_name(argv: &[OsString]) -> Arc<str> {
    let program = argv.first().and_then(|program| Path::new(program).file_name()).map(OsStr::to_string_lossy);
    program.unwrap_or_else(|| "command".into()).chars().take(NAME_CHARS).collect::<String>().into()
}

fn variable(text: &OsStr) -> Result<(OsText, OsText), Usage> {
    let bytes = text.as_bytes();
    let refused = |why: &str| Usage(format!("--env {}: {why}", text.display()));
    match bytes.iter().position(|&byte| byte == b'=') {
        Some(0) => Err(refused("must be NAME=VALUE")),
        Some(at) => Ok((bytes[..at].to_vec().into(), bytes[at + 1..].to_vec().into())),
        None => {
            let value = std::env::var_os(text).ok_or_else(|| refused("is not set here; write NAME=VALUE"))?;
            Ok((bytes.to_vec().into(), value.into_vec().into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_user_makes_a_tenant() {
        assert_eq!(tenant_of("ann"), Some("ann".into()));
        assert_eq!(tenant_of("_Ann Lee@x"), Some("ann-lee-x".into()));
        assert_eq!(tenant_of("§"), None);
    }
}
