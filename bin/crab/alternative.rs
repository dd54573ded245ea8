//! Another request of a command, as it is typed: `cpus=2,gpu=1`.

use actors::taskfile::quantity;
use policy::resources::Resources;

/// What is asked for instead; what is not said is as in the first request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Alternative(Vec<(String, u64)>);

/// Reads one.
///
/// # Errors
/// What it must be.
pub(crate) fn read(text: &str) -> Result<Alternative, String> {
    let amount = |part: &str| {
        let (name, amount) = part.split_once('=').map(|(name, amount)| (name.trim(), amount.trim())).unzip();
        let (Some(name), Some(amount)) = (name.filter(|name| !name.is_empty()), amount) else {
            return Err(format!("{part:?} must be NAME=AMOUNT, as in cpus=2,memory=4GiB,gpu=1,licence=1"));
        };
        let read = match name {
            "cpus" => quantity::cpus(amount).map_err(|wrong| wrong.to_string()),
            "memory" | "disk" => quantity::size(amount).map_err(|wrong| wrong.to_string()),
            _ => amount.parse().map_err(|_| "must be a whole number".to_owned()),
        };
        read.map(|read| (name.to_owned(), read)).map_err(|wrong| format!("{name}: {wrong}"))
    };
    text.split(',').map(amount).collect::<Result<_, _>>().map(Alternative)
}

impl Alternative {
    /// All that it asks for.
    pub(crate) fn over(&self, first: &Resources) -> Resources {
        let mut request = first.clone();
        for (name, amount) in &self.0 {
            match name.as_str() {
                "cpus" => request.cpu_millis = *amount,
                "memory" => request.memory_bytes = *amount,
                "gpu" => request.gpu_slots = *amount,
                "disk" => request.disk_bytes = *amount,
                own if *amount == 0 => drop(request.named.remove(own)),
                own => drop(request.named.insert(own.into(), *amount)),
            }
        }
        request
    }
}

/// `license=1`.
pub(crate) fn amount(text: &str) -> Result<(String, u64), String> {
    text.split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .and_then(|(name, amount)| Some((name.to_owned(), amount.parse().ok()?)))
        .ok_or_else(|| "must be a name and a whole number, such as license=1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_what_differs_from_the_first() {
        let first =
            Resources { memory_bytes: 5, named: [("licence".into(), 1)].into(), ..Resources::cpus(8000) };
        let other = read("cpus=0.5, gpu=1,disk=1GiB,licence=0,key=2").unwrap().over(&first);
        let named = [("key".into(), 2)].into();
        let expected =
            Resources { memory_bytes: 5, gpu_slots: 1, disk_bytes: 1 << 30, named, ..Resources::cpus(500) };
        assert_eq!(other, expected);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        assert!(read("cpus").unwrap_err().contains("must be NAME=AMOUNT"));
        assert!(read("cpus=0").unwrap_err().starts_with("cpus: must be between"));
        assert!(read("gpu=x").unwrap_err().contains("whole number"));
    }
}
