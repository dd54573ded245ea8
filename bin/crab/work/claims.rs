//! What a command claims of the fleet, from its options.

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::claims::{Claims, Mode};

use crate::cli::args::TaskOptions;
use crate::cli::exit::Usage;

/// Behind the name of a lock that is shared.
const SHARED: &str = ":shared";

/// What the options claim; `None` where that is nothing.
pub(super) fn of(options: &TaskOptions) -> Result<Option<Arc<Claims>>, Usage> {
    let lock = |text: &String| match text.strip_suffix(SHARED) {
        Some(name) => (name.into(), Mode::Shared),
        None => (text.as_str().into(), Mode::Exclusive),
    };
    let count = |(name, count): &(String, u64)| match u32::try_from(*count) {
        Ok(count) => Ok((name.as_str().into(), count)),
        Err(_) => Err(Usage(format!("--pool {name}={count}: no pool has so many indices"))),
    };
    let claims = Claims {
        locks: options.lock.iter().map(lock).collect(),
        rates: options.rate.iter().map(|text| rate(text)).collect::<Result<_, _>>()?,
        pools: options.pool.iter().map(count).collect::<Result<_, _>>()?,
        amounts: options.amount.iter().map(|(name, amount)| (name.as_str().into(), *amount)).collect(),
    };
    Ok((!claims.is_empty()).then(|| Arc::new(claims)))
}

/// A rate, and what is taken of it by unit.
type Taken = (Box<str>, BTreeMap<Box<str>, u64>);

/// Reads `llm:org-1`, or `llm:org-1=calls:1,tokens:2000`.
fn rate(text: &str) -> Result<Taken, Usage> {
    let Some((name, needs)) = text.split_once('=') else { return Ok((text.into(), BTreeMap::new())) };
    let need = |need: &str| {
        let (unit, amount) = need.split_once(':')?;
        Some((unit.into(), amount.parse().ok()?))
    };
    match needs.split(',').map(need).collect::<Option<_>>() {
        Some(needs) => Ok((name.into(), needs)),
        None => Err(Usage(format!(
            "--rate {text}: must be NAME, or NAME=UNIT:N with commas between more of them"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_claim_what_they_say() {
        let options = TaskOptions {
            lock: vec!["repo".into(), "llm:org:shared".into()],
            rate: vec!["llm:org-1".into(), "api=calls:2,tokens:30".into()],
            pool: vec![("ports".into(), 2)],
            ..TaskOptions::default()
        };
        let claims = of(&options).ok().flatten().expect("sound");
        assert_eq!(claims.locks, [("repo".into(), Mode::Exclusive), ("llm:org".into(), Mode::Shared)].into());
        assert_eq!(claims.rates["api"], [("calls".into(), 2), ("tokens".into(), 30)].into());
        assert!(claims.rates["llm:org-1"].is_empty());
        assert_eq!(claims.pools["ports"], 2);
        assert!(rate("llm=tokens").is_err() && rate("llm=tokens:x").is_err());
        assert!(of(&TaskOptions::default()).ok().flatten().is_none());
    }
}
