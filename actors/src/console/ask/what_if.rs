//! What a task is supposed to ask for in place of what it does.

use policy::resources::Resources;

use crate::console::fault::Fault;
use crate::console::syntax::{Line, Word};
use crate::taskfile::quantity;
use crate::wire::client::WhatIf;

/// What may be supposed.
pub(crate) const KEYS: &[&str] = &["cpus", "mem", "disk", "gpu", "node"];

/// What a line supposes; `None` where it supposes nothing.
pub(super) fn of(line: &Line) -> Result<Option<WhatIf>, Fault> {
    if line.pairs.is_empty() {
        return Ok(None);
    }
    let number = |key: &str, read: fn(&str) -> Option<u64>, allowed: &str| match line.pair(key) {
        None => Ok(None),
        Some(word) => read(&word.text).map(Some).ok_or_else(|| wrong(key, word, allowed)),
    };
    let size = |text: &str| quantity::size(text).ok();
    Ok(Some(WhatIf {
        cpu_millis: number("cpus", |text| quantity::cpus(text).ok(), "cores such as 4 or 0.5")?,
        memory_bytes: number("mem", size, "a size such as 16G")?,
        disk_bytes: number("disk", size, "a size such as 16G")?,
        gpu_slots: number("gpu", |text| text.parse().ok(), "a whole number")?,
        node: line.pair("node").map(|word| word.text.as_str().into()),
    }))
}

fn wrong(key: &str, word: &Word, allowed: &str) -> Fault {
    let fault = Fault::usage(word.span.clone(), format!("{key} = {:?} cannot be", word.text));
    fault.help(format!("allowed: {allowed}"))
}

/// `16 GiB of memory, on studio-3`.
impl std::fmt::Display for WhatIf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let asked = Resources {
            cpu_millis: self.cpu_millis.unwrap_or(0),
            memory_bytes: self.memory_bytes.unwrap_or(0),
            disk_bytes: self.disk_bytes.unwrap_or(0),
            gpu_slots: self.gpu_slots.unwrap_or(0),
            ..Resources::default()
        };
        let mut said = Vec::new();
        if asked != Resources::default() {
            said.push(format!("it asked for {}", crate::say::resources(&asked)));
        }
        said.extend(self.node.as_ref().map(|node| format!("it had to run on {node}")));
        match said.is_empty() {
            true => f.write_str("it asked for none of that"),
            false => f.write_str(&said.join(" and ")),
        }
    }
}
