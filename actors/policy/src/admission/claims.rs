//! What a task may claim: by itself, and of what the fleet has.

use crate::admission::limits::{CLAIMS_LIMIT_COUNT, NAMED_LIMIT};
use crate::admission::{Findings, Rejection, spec};
use crate::claims::{BadClaim, CLAIM_NAME_RULE, ClaimRules, Claims, is_claim_name, pool_variable};
use crate::submission::Submission;

/// Names that a problem lists, of those that there are.
const KNOWN_LIMIT: usize = 16;

/// Whether claims are sound by themselves; what is declared is not known here.
pub(super) fn check(claims: &Claims, found: &mut Findings) {
    let count = claims.len();
    if count > CLAIMS_LIMIT_COUNT {
        let expected = format_args!("must claim at most {CLAIMS_LIMIT_COUNT} things").to_string();
        found.push("locks", &format_args!("{count} claims"), expected);
    }
    let units = claims.rates.values().flat_map(|needs| needs.keys());
    let named = [
        ("locks", claims.locks.keys().collect::<Vec<_>>()),
        ("rates", claims.rates.keys().chain(units).collect()),
        ("pools", claims.pools.keys().collect()),
        ("amounts", claims.amounts.keys().collect()),
    ];
    for (field, names) in named {
        for name in names.into_iter().filter(|name| !is_claim_name(name)) {
            found.push(field, &spec::quoted(name), CLAIM_NAME_RULE);
        }
    }
    for (rate, needs) in &claims.rates {
        for (unit, needed) in needs {
            found.range(&format!("rates.{rate}.{unit}"), *needed, (0, NAMED_LIMIT), "of it");
        }
    }
    for (pool, count) in &claims.pools {
        found.range(&format!("pools.{pool}"), u64::from(*count), (1, NAMED_LIMIT), "indices");
    }
    for (name, amount) in &claims.amounts {
        found.range(&format!("amounts.{name}"), *amount, (1, NAMED_LIMIT), "of it");
    }
    confused(claims, found);
}

/// Two pools whose indices would stand in one and the same variable.
fn confused(claims: &Claims, found: &mut Findings) {
    let pools: Vec<_> = claims.pools.keys().map(|pool| (pool_variable(pool), pool)).collect();
    for (place, (variable, pool)) in pools.iter().enumerate() {
        if let Some((_, other)) = pools[..place].iter().find(|(known, _)| known == variable) {
            let expected = format_args!("has the same variable {variable} as {other}").to_string();
            found.push("pools", &spec::quoted(pool), expected);
        }
    }
}

/// Whether the fleet has what the tasks of a submission claim, as it is declared now.
///
/// # Errors
///
/// With every claim that can never be met, and what there is instead.
pub fn check_declared(submission: &Submission, rules: &ClaimRules) -> Result<(), Rejection> {
    let mut found = Findings::default();
    for (place, item) in submission.items.iter().enumerate() {
        let Some(claims) = &item.spec.claims else { continue };
        found.item = Some(place);
        for fault in rules.faults(claims) {
            tell(&fault, &mut found);
        }
    }
    found.done()
}

fn tell(fault: &BadClaim, found: &mut Findings) {
    match fault {
        BadClaim::Unknown { field, name, known, .. } => {
            found.push(field, &spec::quoted(name), format_args!("{fault}: {}", there_are(known)));
        }
        BadClaim::TooMuch { field, name, needed, limit } => {
            let field = format!("{field}.{name}");
            found.push(&field, needed, format_args!("must be at most {limit}: there is no more"));
        }
    }
}

/// `there are "a", "b"`.
fn there_are(known: &[Box<str>]) -> String {
    let mut named: Vec<String> = known.iter().take(KNOWN_LIMIT).map(|name| spec::quoted(name)).collect();
    match known.len().saturating_sub(KNOWN_LIMIT) {
        0 if known.is_empty() => return "none is configured".to_owned(),
        0 => {}
        more => named.push(format!("{more} more")),
    }
    format!("there are {}", named.join(", "))
}
