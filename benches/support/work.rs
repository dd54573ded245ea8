//! What is submitted.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use policy::event::{ArraySpec, Item, SubmissionKey};
use policy::submission::Submission;
use policy::task::TaskSpec;

/// A task that takes one core and runs this.
pub(crate) fn spec(program: &Path) -> TaskSpec {
    TaskSpec {
        directory: Some("/".into()),
        tenant: "bench".into(),
        ..TaskSpec::new("t", vec![program.to_str().expect("UTF-8").into()])
    }
}

/// A graph of these items.
pub(crate) fn graph(items: Vec<Item>) -> Submission {
    static KEY: AtomicU64 = AtomicU64::new(1);
    let key = SubmissionKey(u128::from(KEY.fetch_add(1, Ordering::Relaxed)));
    Submission::new(key, "bench", items)
}

/// So many tasks that differ by index only.
pub(crate) fn array(spec: TaskSpec, count: usize) -> Submission {
    let array = Some(ArraySpec { first: 0, count: count as u64, parallel_limit: None });
    graph(vec![Item { array, ..Item::new(spec) }])
}

/// So many tasks with a name each.
pub(crate) fn separate(spec: &TaskSpec, count: usize) -> Submission {
    graph((0..count).map(|place| item(spec, place, Vec::new())).collect())
}

/// So many tasks, each of which waits for the one before.
pub(crate) fn chain(spec: &TaskSpec, count: usize) -> Submission {
    let before = |place: usize| place.checked_sub(1).map(|before| before as u32).into_iter().collect();
    graph((0..count).map(|place| item(spec, place, before(place))).collect())
}

/// `layers` layers of `width` tasks, each of which waits for two of the layer before.
pub(crate) fn layers(spec: &TaskSpec, layers: usize, width: usize) -> Submission {
    let of = |place: usize| {
        let (layer, column) = (place / width, place % width);
        let above = |column: usize| ((layer - 1) * width + column % width) as u32;
        if layer == 0 { Vec::new() } else { vec![above(column), above(column + 1)] }
    };
    graph((0..layers * width).map(|place| item(spec, place, of(place))).collect())
}

fn item(spec: &TaskSpec, place: usize, dependencies: Vec<u32>) -> Item {
    let spec = Arc::new(TaskSpec { name: format!("t{place}").into(), ..spec.clone() });
    let dependencies = dependencies.into_iter().map(Into::into).collect();
    Item { dependencies, ..Item::new(spec) }
}
