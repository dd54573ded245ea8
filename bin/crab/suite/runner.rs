//! Who runs tests: how each lists them, and how some of them are run. What they write is read by [`super::dialect`].

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

use policy::shards::Test;

use super::cargo;
use super::dialect::Dialect;
use super::listing::{Launch, NotListed};
use super::others;
use crate::cli::args::suite::{self, Runner};
use crate::cli::exit::Usage;

/// Tests of a suite: their names alone take some hundred megabytes then.
const TESTS_LIMIT: usize = 1_000_000;

/// All tests there are, and how they are run.
#[derive(Debug)]
pub(crate) struct Suite {
    pub(super) runner: Runner,
    /// Whole names, no two alike.
    pub(super) tests: Vec<Test>,
    /// As their runner calls them, in the same order.
    pub(super) ids: Vec<Box<str>>,
    pub(super) groups: Vec<Group>,
    named: HashSet<Box<str>>,
}

/// Tests that one process can run together.
#[derive(Debug)]
pub(super) struct Group {
    /// Its name; empty where there is but one.
    pub(super) name: Box<str>,
    /// To which the tests are added.
    launch: Launch,
    dialect: Dialect,
}

impl Suite {
    /// Builds and lists the tests, as the arguments say.
    pub(super) fn of(args: &suite::Test) -> anyhow::Result<Self> {
        let mut suite = Self::new(chosen(args)?);
        match suite.runner {
            Runner::Cargo | Runner::Auto => cargo::list(&mut suite, &args.args)?,
            Runner::Nextest => others::nextest(&mut suite, &args.args)?,
            Runner::Pytest => others::pytest(&mut suite, &args.args)?,
            Runner::Go => others::go(&mut suite, &args.args)?,
            Runner::Swift => others::swift(&mut suite, &args.args)?,
            Runner::Xcodebuild => others::xcodebuild(&mut suite, &args.args)?,
            Runner::Command => {
                let (Some(list), Some(run)) = (&args.list, &args.run) else { return Ok(suite) };
                others::command(&mut suite, (list, run), &args.args)?;
            }
        }
        Ok(suite)
    }

    fn new(runner: Runner) -> Self {
        Self { runner, tests: Vec::new(), ids: Vec::new(), groups: Vec::new(), named: HashSet::new() }
    }

    pub(super) fn group(&mut self, name: &str, launch: Launch, dialect: Dialect) -> u32 {
        self.groups.push(Group { name: name.into(), launch, dialect });
        u32::try_from(self.groups.len() - 1).unwrap_or(u32::MAX)
    }

    /// Takes a test of a group; one of a name that is there already is the same.
    pub(super) fn test(&mut self, group: u32, id: &str) -> anyhow::Result<()> {
        let of = &self.groups[group as usize].name;
        let name: Box<str> = if of.is_empty() { id.into() } else { format!("{of} {id}").into() };
        if self.tests.len() >= TESTS_LIMIT {
            return Err(NotListed(format!("there are more than {TESTS_LIMIT} tests")).into());
        }
        if self.named.insert(name.clone()) {
            self.tests.push(Test { name, group, measured: None });
            self.ids.push(id.into());
        }
        Ok(())
    }

    pub(super) fn group_of(&self, test: usize) -> &Group {
        &self.groups[self.tests[test].group as usize]
    }

    pub(super) fn dialect(&self, tests: &[usize]) -> Dialect {
        tests.first().map_or(Dialect::ExitCode, |&test| self.group_of(test).dialect)
    }

    /// What runs these tests of one group, so many at once.
    pub(super) fn launch(&self, tests: &[usize], threads: u64) -> Launch {
        let Some(&first) = tests.first() else { return Launch::default() };
        let launch = self.group_of(first).launch.clone();
        let ids: Vec<&str> = tests.iter().map(|&test| &*self.ids[test]).collect();
        let threads = threads.max(1).to_string();
        match self.runner {
            Runner::Cargo | Runner::Auto => match self.group_of(first).dialect {
                // One word each: who reads arguments less well takes a value for the name of a test.
                Dialect::Libtest => launch.args([&*format!("--test-threads={threads}"), "--exact"]).args(ids),
                _ => launch,
            },
            Runner::Nextest => {
                let names: Vec<String> = ids.iter().map(|id| format!("test(={id})")).collect();
                let binary = &self.group_of(first).name;
                let wanted = format!("binary_id(={binary}) and ({})", names.join(" or "));
                launch.args(["--test-threads", &threads, "-E", &wanted])
            }
            Runner::Go => {
                let package = &self.group_of(first).name;
                launch.args(["-run", &format!("^({})$", ids.join("|"))]).arg(&**package)
            }
            Runner::Swift => {
                let names: Vec<String> = ids.iter().map(|id| id.replace('.', "\\.")).collect();
                launch.args(["--filter", &format!("^({})$", names.join("|"))])
            }
            Runner::Xcodebuild => launch.args(ids.iter().map(|id| format!("-only-testing:{id}"))),
            Runner::Pytest | Runner::Command => launch.args(ids),
        }
    }

    /// What the start of a process costs beside its tests, about: batches are not made smaller than pays for it.
    pub(super) fn start(&self) -> Duration {
        Duration::from_millis(match self.runner {
            // Processes of a compiled program, and an exchange with the scheduler for each.
            Runner::Cargo | Runner::Auto | Runner::Command => 20,
            Runner::Nextest | Runner::Go => 300,
            // It collects the tests of each file that is named.
            Runner::Pytest => 700,
            Runner::Swift | Runner::Xcodebuild => 3000,
        })
    }
}

/// Who runs them: whoever was named, or whose files are here.
fn chosen(args: &suite::Test) -> Result<Runner, Usage> {
    match (args.runner, &args.list) {
        (Runner::Auto, Some(_)) => Ok(Runner::Command),
        (_, Some(_)) => Err(Usage("--list and --run take the place of --runner".to_owned())),
        (Runner::Auto, None) => guessed(&args.task.directory.clone().unwrap_or_else(|| ".".into())),
        (runner, None) => Ok(runner),
    }
}

fn guessed(here: &Path) -> Result<Runner, Usage> {
    let here = std::path::absolute(here).unwrap_or_else(|_| here.to_owned());
    let known = [
        ("Cargo.toml", Runner::Cargo),
        ("go.mod", Runner::Go),
        ("Package.swift", Runner::Swift),
        ("pytest.ini", Runner::Pytest),
        ("pyproject.toml", Runner::Pytest),
        ("setup.cfg", Runner::Pytest),
        ("tox.ini", Runner::Pytest),
        ("conftest.py", Runner::Pytest),
    ];
    let of =
        |directory: &Path| known.iter().find(|(file, _)| directory.join(file).is_file()).map(|known| known.1);
    here.ancestors().find_map(of).ok_or_else(|| {
        Usage(format!(
            "nothing in {} tells who runs its tests; name it with --runner, or --list and --run",
            here.display()
        ))
    })
}

/// The arguments before and behind the first `--`.
pub(super) fn divided(args: &[OsString]) -> (&[OsString], &[OsString]) {
    match args.iter().position(|word| word == OsStr::new("--")) {
        Some(at) => (&args[..at], &args[at + 1..]),
        None => (args, &[]),
    }
}

#[cfg(test)]
impl Suite {
    /// A suite of tests that are only named.
    pub(super) fn for_test(tests: &[(&str, &str)]) -> Self {
        let mut suite = Self::new(Runner::Command);
        for (group, test) in tests {
            let known = suite.groups.iter().position(|known| &*known.name == *group);
            let group = known.and_then(|at| u32::try_from(at).ok());
            let group = group.unwrap_or_else(|| {
                suite.group(tests[suite.tests.len()].0, Launch::default(), Dialect::ExitCode)
            });
            suite.test(group, test).expect("they are few");
        }
        suite
    }
}
