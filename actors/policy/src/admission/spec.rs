//! What a single specification must be, field by field; of other items it knows nothing.

use std::time::Duration;

use crate::admission::limits::{
    AdmissionLimits, CPU_LIMIT_MILLIS, DISK_LIMIT_BYTES, EXIT_CODES_LIMIT, FACTOR_RANGE_PERCENT,
    GPU_LIMIT_SLOTS, MEMORY_LIMIT_BYTES, NAME_LIMIT_CHARS, NAMED_LIMIT, NAMED_LIMIT_COUNT, SIGNALS_LIMIT,
};
use crate::admission::{Findings, about, artifact, claims, handler, provision, stages, workspace};
use crate::constraint::{COMPANY_LIMIT, CONDITIONS_LIMIT, Company, Constraints, WEIGHT_LIMIT};
use crate::resources::Resources;
use crate::task::{REQUESTS_LIMIT, RetryPolicy, Signals, TaskSpec};
use crate::text::{OsText, is_word};

/// Characters of a value that a problem shows: enough to recognise it.
const SHOWN_LIMIT_CHARS: usize = 60;
/// What names that others sort by have to be.
pub(super) const WORD_RULE: &str = "must be 1 to 63 of a-z 0-9 . _ - and start with a letter or digit";
/// Names that mean an amount with a field of its own.
const FIELDS: [&str; 4] = ["cpu_millis", "memory_bytes", "gpu_slots", "disk_bytes"];

pub(super) fn check(spec: &TaskSpec, limits: &AdmissionLimits, found: &mut Findings) {
    name(&spec.name, found);
    if !handler::check(spec, limits, found) {
        command(&spec.argv, limits, found);
    }
    environment(&spec.environment, limits, found);
    spec.requests().for_each(|request| resources(request, found));
    if spec.alternatives.len() >= REQUESTS_LIMIT {
        let expected = format_args!("must be at most {REQUESTS_LIMIT} requests").to_string();
        found.push("alternatives", &(spec.alternatives.len() + 1), expected);
    }
    constraints(&spec.constraints, found);
    retry(&spec.retry, limits, found);
    if let Some(claims) = &spec.claims {
        claims::check(claims, found);
    }
    if !is_word(&spec.tenant) {
        found.push("tenant", &quoted(&spec.tenant), WORD_RULE);
    }
    if let Some(kind) = spec.kind.as_deref().filter(|kind| !is_word(kind)) {
        found.push("kind", &quoted(kind), WORD_RULE);
    }
    workspace::check(spec, found);
    provision::check(spec, found);
    about::check(spec, found);
    stages::check(spec, limits, found);
    artifact::check(spec, found);
    if let Some(timeout) = spec.timeout
        && (timeout.is_zero() || timeout > limits.timeout)
    {
        let expected =
            format_args!("must be longer than nothing and at most {:?}", limits.timeout).to_string();
        found.push("timeout", &format_args!("{timeout:?}"), expected);
    }
    bounds(spec, limits, found);
    let limited = spec.limits.as_deref().copied().unwrap_or_default();
    for (name, amount) in limited.named() {
        if amount == Some(0) {
            found.push(name, &0, "must be more than nothing; leave it out for no limit");
        }
    }
    at_most("grace", spec.grace, limits.grace, found);
    let rest = rest_bytes(spec);
    if rest > limits.spec_bytes {
        let expected =
            format_args!("names, paths and lists must take at most {} bytes", limits.spec_bytes).to_string();
        found.push("", &format_args!("{rest} bytes"), expected);
    }
}

/// What a task says of time beside its `timeout`.
fn bounds(spec: &TaskSpec, limits: &AdmissionLimits, found: &mut Findings) {
    let Some(bounds) = spec.bounds.as_deref() else { return };
    for (limit, length) in bounds.lengths() {
        if length.is_zero() || length > limits.timeout {
            let expected =
                format_args!("must be longer than nothing and at most {:?}", limits.timeout).to_string();
            found.push(limit.into(), &format_args!("{length:?}"), expected);
        }
    }
    if let Some((soft, timeout)) = bounds.soft_timeout.zip(spec.timeout).filter(|(soft, hard)| soft >= hard) {
        let expected = format_args!("must be shorter than timeout, {timeout:?}").to_string();
        found.push("soft_timeout", &format_args!("{soft:?}"), expected);
    }
}

/// A name for people: of a task or a graph.
pub(super) fn name(name: &str, found: &mut Findings) {
    let chars = name.chars().take(NAME_LIMIT_CHARS + 1).count();
    if chars == 0 || chars > NAME_LIMIT_CHARS {
        found.push("name", &quoted(name), format_args!("must have 1 to {NAME_LIMIT_CHARS} characters"));
    }
    if name.chars().any(char::is_control) {
        found.push("name", &quoted(name), "must not contain control characters");
    }
}

/// A text as a problem shows it: in quotes, on one line, shortened.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(SHOWN_LIMIT_CHARS) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

pub(super) fn shown(text: &OsText) -> String {
    // Bytes enough for as many characters as are shown, however long the text.
    let bytes = text.as_bytes();
    quoted(&String::from_utf8_lossy(&bytes[..bytes.len().min(4 * SHOWN_LIMIT_CHARS + 4)]))
}

/// That words can be a command, however many they are.
pub(super) fn words(field: &str, argv: &[OsText], found: &mut Findings) {
    match argv.first() {
        None => found.push(field, &"[]", "must name at least the program"),
        Some(program) if program.is_empty() => found.push(field, &"\"\"", "the program's name is empty"),
        Some(_) => {}
    }
    argv.iter().for_each(|argument| no_nul(field, argument, found));
}

fn command(argv: &[OsText], limits: &AdmissionLimits, found: &mut Findings) {
    words("command", argv, found);
    let bytes: usize = argv.iter().map(|argument| argument.len() + 1).sum();
    if bytes > limits.argv_bytes {
        let expected =
            format_args!("must take at most {} bytes: put them in a file", limits.argv_bytes).to_string();
        found.push("command", &format_args!("{bytes} bytes"), expected);
    }
}

fn environment(variables: &[(OsText, OsText)], limits: &AdmissionLimits, found: &mut Findings) {
    for (name, value) in variables {
        if name.is_empty() || name.as_bytes().contains(&b'=') {
            found.push("env", &shown(name), "a variable's name must not be empty or contain =");
        }
        no_nul("env", name, found);
        no_nul("env", value, found);
    }
    if variables.len() > limits.environment_entries {
        let expected = format_args!("must be at most {} variables", limits.environment_entries).to_string();
        found.push("env", &format_args!("{} variables", variables.len()), expected);
    }
    let bytes: usize = variables.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    if bytes > limits.environment_bytes {
        let expected = format_args!("must take at most {} bytes", limits.environment_bytes).to_string();
        found.push("env", &format_args!("{bytes} bytes"), expected);
    }
}

/// A task that needed nothing would never be held back by anything.
fn resources(need: &Resources, found: &mut Findings) {
    if need.is_zero() {
        found.push("cpus", &0, "must be at least 1 (thousandths of a core) where nothing else is needed");
    }
    found.range("cpus", need.cpu_millis, (0, CPU_LIMIT_MILLIS), "thousandths of a core");
    found.range("memory", need.memory_bytes, (0, MEMORY_LIMIT_BYTES), "bytes");
    found.range("gpu", need.gpu_slots, (0, GPU_LIMIT_SLOTS), "slots");
    found.range("disk", need.disk_bytes, (0, DISK_LIMIT_BYTES), "bytes");
    if need.named.len() > NAMED_LIMIT_COUNT {
        found.push("resources", &need.named.len(), format_args!("must be at most {NAMED_LIMIT_COUNT} names"));
    }
    for (name, amount) in &need.named {
        if !is_word(name) {
            found.push("resources", &quoted(name), WORD_RULE);
        } else if FIELDS.contains(&&**name) {
            found.push("resources", &quoted(name), "has a field of its own: cpus, memory, gpu or disk");
        } else {
            found.range(&format!("resources.{name}"), *amount, (0, NAMED_LIMIT), "of it");
        }
    }
}

fn constraints(constraints: &Constraints, found: &mut Findings) {
    let Constraints { require, prefer, avoid_failed: _, company } = constraints;
    if let Some(company) = company {
        self::company(company, found);
    }
    let preferred = prefer.iter().map(|one| &one.on);
    let named = require.iter().map(|one| ("require", one)).chain(preferred.map(|one| ("prefer", one)));
    for (field, condition) in named {
        if let Err(wrong) = condition.validate() {
            found.push(field, &quoted(&condition.to_string()), wrong);
        }
    }
    for (field, count) in [("require", require.len()), ("prefer", prefer.len())] {
        if count > CONDITIONS_LIMIT {
            found.push(field, &count, format_args!("must be at most {CONDITIONS_LIMIT} conditions"));
        }
    }
    for preference in prefer {
        found.range("prefer", preference.weight.into(), (1, WEIGHT_LIMIT.into()), "weight");
    }
}

fn company(company: &Company, found: &mut Findings) {
    let Company { group, spread, apart, prefer_apart } = company;
    let groups = group.iter().map(|group| ("group", group)).chain(apart.iter().map(|group| ("apart", group)));
    let groups = groups.chain(prefer_apart.iter().map(|one| ("prefer_apart", &one.group)));
    for (field, group) in groups.filter(|(_, group)| !is_word(group)) {
        found.push(field, &quoted(group), WORD_RULE);
    }
    for rule in spread {
        if let Err(wrong) = rule.validate() {
            found.push("spread", &quoted(&rule.to_string()), wrong);
        }
    }
    if let (Some(rule), None) = (spread.first(), group) {
        found.push(
            "spread",
            &quoted(&rule.to_string()),
            "needs a group that is counted, such as group = \"web\"",
        );
    }
    let counts = [("spread", spread.len()), ("apart", apart.len()), ("prefer_apart", prefer_apart.len())];
    for (field, count) in counts.into_iter().filter(|(_, count)| *count > COMPANY_LIMIT) {
        found.push(field, &count, format_args!("must be at most {COMPANY_LIMIT}"));
    }
    for one in prefer_apart {
        found.range("prefer_apart", one.weight.into(), (1, WEIGHT_LIMIT.into()), "weight");
    }
}

fn retry(policy: &RetryPolicy, limits: &AdmissionLimits, found: &mut Findings) {
    found.range("retry.attempts", policy.max_attempts.into(), (1, limits.attempts.into()), "in all");
    found.range("retry.factor", policy.factor_percent.into(), FACTOR_RANGE_PERCENT, "percent");
    at_most("retry.backoff", policy.backoff, limits.backoff, found);
    at_most("retry.backoff_limit", policy.backoff_limit, limits.backoff, found);
    found.range("retry.losses", policy.losses.into(), (0, limits.attempts.into()), "in all");
    retry_codes(policy, found);
    let Signals::These(signals) = &policy.signals else { return };
    if signals.len() > SIGNALS_LIMIT {
        found.push("retry.signals", &signals.len(), format_args!("must be at most {SIGNALS_LIMIT} signals"));
    } else if let Some(signal) = signals.iter().find(|signal| !(1..=64).contains(*signal)) {
        found.push("retry.signals", signal, "must be between 1 and 64");
    }
}

fn retry_codes(policy: &RetryPolicy, found: &mut Findings) {
    let codes = &policy.retryable_exit_codes;
    if codes.len() > EXIT_CODES_LIMIT {
        found.push(
            "retry.exit_codes",
            &codes.len(),
            format_args!("must be at most {EXIT_CODES_LIMIT} codes"),
        );
    } else if let Some(code) = codes.iter().find(|code| !(1..=255).contains(*code)) {
        found.push("retry.exit_codes", code, "must be between 1 and 255");
    }
}

fn at_most(field: &str, length: Duration, limit: Duration, found: &mut Findings) {
    if length > limit {
        found.push(field, &format_args!("{length:?}"), format_args!("must be at most {limit:?}"));
    }
}

/// Operating systems end a text at the first byte 0, so what follows it would be lost in silence.
pub(super) fn no_nul(field: &str, text: &OsText, found: &mut Findings) {
    if text.as_bytes().contains(&0) {
        found.push(field, &shown(text), "must not contain a byte 0");
    }
}

/// Bytes of all that varies in length and has no limit of its own.
fn rest_bytes(spec: &TaskSpec) -> usize {
    let named = spec.requests().flat_map(|request| request.named.keys());
    let named: usize = named.map(|name| name.len() + 8).sum();
    let directory = spec.directory.as_ref().map_or(0, OsText::len);
    let claims = spec.claims.as_ref().map_or(0, |claims| claims.bytes());
    spec.name.len()
        + spec.tenant.len()
        + directory
        + named
        + claims
        + spec.workspace.as_ref().map_or(0, |workspace| workspace.bytes())
        + spec.provision.as_ref().map_or(0, |provision| provision.bytes())
        + spec.about.as_ref().map_or(0, |about| about.bytes())
        + spec.artifacts.as_ref().map_or(0, |artifacts| artifacts.bytes())
        + 4 * spec.retry.retryable_exit_codes.len()
}
