//! What a task is given where it runs: names that can be names of files and of variables, and what needs what.

use crate::admission::Findings;
use crate::admission::spec::{WORD_RULE, quoted};
use crate::provision::{SECRETS_LIMIT, Secret};
use crate::task::TaskSpec;
use crate::text::is_word;

/// What a variable is called.
const VARIABLE_RULE: &str = "must be 1 to 100 of A-Z a-z 0-9 _ and start with no digit";
/// Bytes of the name of a variable.
const VARIABLE_LIMIT_BYTES: usize = 100;

pub(super) fn check(spec: &TaskSpec, found: &mut Findings) {
    let Some(provision) = spec.provision.as_deref() else { return };
    if provision.secrets.len() > SECRETS_LIMIT {
        let expected = format_args!("must be at most {SECRETS_LIMIT}").to_string();
        found.push("secrets", &provision.secrets.len(), expected);
    }
    provision.secrets.iter().enumerate().for_each(|(place, one)| {
        secret(one, &provision.secrets[..place], found);
    });
    if let Some(sandbox) = provision.sandbox.filter(|_| spec.workspace.is_none()) {
        let expected = "needs a workspace of its own, such as workspace = \"scratch\"";
        found.push("sandbox", &quoted(sandbox.into()), expected);
    }
}

fn secret(one: &Secret, before: &[Secret], found: &mut Findings) {
    if !is_word(&one.name) {
        found.push("secrets", &quoted(&one.name), WORD_RULE);
    }
    if !is_variable(&one.variable) {
        found.push("secrets", &quoted(&one.variable), VARIABLE_RULE);
    }
    if let Some(other) = before.iter().find(|other| other.variable == one.variable) {
        let expected = format_args!("secret {} has this variable", quoted(&other.name)).to_string();
        found.push("secrets", &quoted(&one.variable), expected);
    }
}

fn is_variable(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let starts = name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    starts && name.len() <= VARIABLE_LIMIT_BYTES && name.bytes().all(plain)
}
