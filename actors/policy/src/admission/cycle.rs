//! Finds a circle of tasks that wait for each other, and names it; nothing else is judged here.

use crate::admission::spec::quoted;
use crate::event::Item;

/// Tasks of a circle that are named: more are left out in the middle.
const NAMED_LIMIT: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    OnPath,
    Done,
}

/// The items of one circle, each waiting for the next and the last for the first; `None` where there is
/// none. Items that wait for themselves or for nobody known are another problem. Walks with a path of its
/// own instead of the stack, since chains may be a million long.
pub(super) fn find(items: &[Item]) -> Option<Vec<usize>> {
    let mut marks = vec![Mark::New; items.len()];
    let mut path: Vec<(usize, usize)> = Vec::new();
    for start in 0..items.len() {
        if marks[start] == Mark::New {
            marks[start] = Mark::OnPath;
            path.push((start, 0));
        }
        while let Some((item, next)) = path.last_mut() {
            let (here, place) = (*item, *next);
            *next += 1;
            let Some(on) = items[here].dependencies.get(place) else {
                marks[here] = Mark::Done;
                path.pop();
                continue;
            };
            // What is there already waits for nothing that comes.
            let Some(on) = on.place().map(|on| on as usize) else { continue };
            match marks.get(on) {
                Some(Mark::New) => {
                    marks[on] = Mark::OnPath;
                    path.push((on, 0));
                }
                Some(Mark::OnPath) if on != here => {
                    return Some(path.iter().map(|(item, _)| *item).skip_while(|item| *item != on).collect());
                }
                _ => {}
            }
        }
    }
    None
}

/// `"a" → "b" → "a"`.
pub(super) fn shown(cycle: &[usize], items: &[Item]) -> String {
    let named = |places: &[usize]| -> Vec<String> {
        places.iter().map(|place| quoted(&items[*place].spec.name)).collect()
    };
    let mut names = match cycle.len().checked_sub(NAMED_LIMIT) {
        None | Some(0) => named(cycle),
        Some(left_out) => {
            let mut names = named(&cycle[..NAMED_LIMIT - 1]);
            names.push(format!("({left_out} more)"));
            names.extend(named(&cycle[cycle.len() - 1..]));
            names
        }
    };
    names.extend(names.first().cloned());
    names.join(" → ")
}
