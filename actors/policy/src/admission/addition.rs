//! What is added to a graph: whether it goes together with what is there, and the places of what it names.
//!
//! What is there never depends on what comes later, so an addition cannot close a circle that is not in it.

use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;

use crate::admission::{AdmissionLimits, Findings, Rejection, spec};
use crate::dependency::{Dependency, On};
use crate::event::Item;
use crate::id::TaskId;
use crate::submission::Submission;
use crate::task::TaskSpec;

/// The items of a graph that is added to, as far as additions can name them.
#[derive(Debug, Clone, Default)]
pub struct Existing {
    names: FxHashMap<Arc<str>, u32>,
    /// The first task of each item, and whether it is the only one.
    firsts: Vec<(TaskId, bool)>,
    tasks: u64,
}

impl Existing {
    /// One more item, in the order of the graph.
    pub fn push(&mut self, first: TaskId, item: &Item) {
        self.names.insert(Arc::clone(&item.spec.name), self.items());
        self.firsts.push((first, item.array.is_none()));
        self.tasks = self.tasks.saturating_add(item.tasks());
    }

    /// How many items there are.
    #[must_use]
    pub fn items(&self) -> u32 {
        u32::try_from(self.firsts.len()).unwrap_or(u32::MAX)
    }

    fn task(&self, task: TaskId) -> Result<u32, &'static str> {
        match self.firsts.binary_search_by_key(&task, |(first, _)| *first) {
            Ok(place) if self.firsts[place].1 => Ok(u32::try_from(place).unwrap_or(u32::MAX)),
            Ok(_) => Err("is one of an array's tasks: name the array"),
            Err(0) => Err("is no task of the graph"),
            Err(place) if self.firsts[place - 1].1 => Err("is no task of the graph"),
            Err(_) => Err("is no task of the graph, or one of an array's: name the array"),
        }
    }
}

/// Gives a time limit to each task that says none, and is not to be asked to finish only later than that. Kept with it: another
/// usual limit later changes nothing that is admitted.
pub fn give_usual_timeout(submission: &mut Submission, usual: Duration) {
    let is_bound = |spec: &TaskSpec| {
        let soft = spec.bounds.as_ref().and_then(|bounds| bounds.soft_timeout);
        spec.timeout.is_some() || soft.is_some_and(|soft| soft >= usual)
    };
    for item in submission.items.iter_mut().filter(|item| !is_bound(&item.spec)) {
        // Items of one submission may share what they are: each that does is given its own.
        Arc::make_mut(&mut item.spec).timeout = Some(usual);
    }
}

/// Gives the places of items that a submission names although they are its own.
pub fn find_own_names(submission: &mut Submission) {
    let named = |item: &Item| item.dependencies.iter().any(|on| matches!(on.on, On::Name(_)));
    if !submission.items.iter().any(named) {
        return;
    }
    let places = (0..).zip(&submission.items).map(|(place, item)| (Arc::clone(&item.spec.name), place));
    let own: FxHashMap<Arc<str>, u32> = places.collect();
    for dependency in submission.items.iter_mut().flat_map(|item| &mut item.dependencies) {
        if let On::Name(name) = &dependency.on
            && let Some(place) = own.get(name)
        {
            dependency.on = On::Item(*place);
        }
    }
}

/// The items as they are recorded: with the places in the graph of all they depend on. The submission has been
/// checked by itself.
///
/// # Errors
///
/// With everything that does not go together with what is there.
pub fn place(
    submission: &Submission,
    existing: &Existing,
    limits: &AdmissionLimits,
) -> Result<Vec<Item>, Rejection> {
    let mut found = Findings::default();
    size(submission, existing, limits, &mut found);
    let mut items = Vec::with_capacity(submission.items.len());
    for (place, item) in submission.items.iter().enumerate() {
        found.item = Some(place);
        let name = &item.spec.name;
        if let Some(other) = existing.names.get(name) {
            let expected = format_args!(
                "{} of the graph has this name: choose another",
                existing.firsts[*other as usize].0
            )
            .to_string();
            found.push("name", &spec::quoted(name), expected);
        }
        let dependencies =
            item.dependencies.iter().filter_map(|on| placed(on, existing, &mut found)).collect();
        items.push(Item { dependencies, ..item.clone() });
    }
    found.done().map(|()| items)
}

fn size(submission: &Submission, existing: &Existing, limits: &AdmissionLimits, found: &mut Findings) {
    let items = existing.firsts.len() + submission.items.len();
    if items > limits.items {
        let expected = format_args!("a graph has at most {}", limits.items).to_string();
        found.push("", &format_args!("{items} items with those that are there"), expected);
    }
    let tasks = existing.tasks.saturating_add(submission.tasks());
    if tasks > limits.tasks {
        let expected = format_args!("a graph makes at most {}", limits.tasks).to_string();
        found.push("", &format_args!("{tasks} tasks with those that are there"), expected);
    }
}

fn placed(dependency: &Dependency, existing: &Existing, found: &mut Findings) -> Option<Dependency> {
    let place = match &dependency.on {
        On::Item(place) => Ok(place.saturating_add(existing.items())),
        On::Name(name) => {
            existing.names.get(name).copied().ok_or("no task or array of the graph has this name")
        }
        On::Task(task) => existing.task(*task),
    };
    match place {
        Ok(place) => Some(Dependency::item(place, dependency.needs)),
        Err(expected) => {
            found.push("after", &dependency.on, expected);
            None
        }
    }
}
