//! Words of a caller, written so that a shell takes each for one word, byte for byte, and interprets nothing.

use std::fmt::Write as _;

/// Bytes of one command with its environment, as in a task's specification.
pub const WORDS_BYTES_LIMIT: usize = 160 * 1024;

/// What cannot be said to another machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsayable {
    /// No argument of any program can have a NUL byte.
    #[error("an argument has a NUL byte, which no program can be given")]
    Nul,
    /// All words together are too long.
    #[error("the arguments have {0} bytes, at most {WORDS_BYTES_LIMIT} can be carried")]
    Long(usize),
    /// A program whose name a shell would take for an option.
    #[error("the program's name {0:?} begins with '-': name it by its path")]
    Option(Box<str>),
    /// Not a variable that can be set.
    #[error("invalid variable {0:?} (must be NAME=VALUE, not one of the shell's own)")]
    Variable(Box<str>),
    /// There is no command.
    #[error("there is no command")]
    Nothing,
}

/// Variables that shells keep for themselves: setting them does not work, or works otherwise than it looks.
const SHELLS_OWN: &[&str] = &[
    "IFS",
    "UID",
    "EUID",
    "PPID",
    "SHELLOPTS",
    "BASHOPTS",
    "BASH_VERSINFO",
    "PS4",
    "OPTIND",
    "PWD",
    "OLDPWD",
    "LINENO",
    "_",
    "AIVCS_MARK",
    "AIVCS_SESSION_MARK",
    "AIVCS_SESSION",
    "AIVCS_TOKEN",
];

/// The word in single quotes, in which a shell knows no other character than the quote itself.
///
/// # Errors
/// It has a NUL byte.
pub fn quote(word: &[u8]) -> Result<Vec<u8>, Unsayable> {
    let mut quoted = Vec::with_capacity(word.len() + 2);
    quoted.push(b'\'');
    for &byte in word {
        match byte {
            0 => return Err(Unsayable::Nul),
            b'\'' => quoted.extend_from_slice(b"'\\''"),
            other => quoted.push(other),
        }
    }
    quoted.push(b'\'');
    Ok(quoted)
}

/// As [`quote`], where people read it: plain words stay as they are.
#[must_use]
pub fn shown(word: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-=:@%+,~".contains(byte);
    let is_plain = !word.is_empty() && word.iter().all(plain) && word[0] != b'~';
    let quoted = if is_plain { Ok(word.to_vec()) } else { quote(word) };
    String::from_utf8_lossy(&quoted.unwrap_or_default()).into_owned()
}

/// Checks the variables and the command of an attempt.
///
/// # Errors
/// They cannot be carried through unchanged.
pub fn check_command(environment: &[Vec<u8>], argv: &[Vec<u8>]) -> Result<(), Unsayable> {
    let lossy = |word: &[u8]| String::from_utf8_lossy(word).into_owned().into_boxed_str();
    if let Some(bad) = environment.iter().find(|variable| !is_variable(variable)) {
        return Err(Unsayable::Variable(lossy(bad)));
    }
    let program = argv.first().filter(|program| !program.is_empty()).ok_or(Unsayable::Nothing)?;
    if program.starts_with(b"-") {
        return Err(Unsayable::Option(lossy(program)));
    }
    let words = || environment.iter().chain(argv);
    let bytes = words().map(|word| word.len() + 1).sum();
    if bytes > WORDS_BYTES_LIMIT {
        return Err(Unsayable::Long(bytes));
    }
    if words().any(|word| word.contains(&0)) { Err(Unsayable::Nul) } else { Ok(()) }
}

fn is_variable(variable: &[u8]) -> bool {
    let Some(at) = variable.iter().position(|byte| *byte == b'=') else { return false };
    let name = &variable[..at];
    let is_name = name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let begins = name.first().is_some_and(|first| !first.is_ascii_digit());
    is_name && begins && !SHELLS_OWN.iter().any(|own| own.as_bytes() == name)
}

/// The key that a name stands for: the same name is always the same key, and a plain word.
#[must_use]
pub fn key_of(name: &str) -> Box<str> {
    hex(&blake3::hash(name.as_bytes()).as_bytes()[..16]).into()
}

/// Bytes in hexadecimal: a word that is plain whatever they are.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        // Writing to a string never fails.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The bytes that [`hex`] was given; `None` where it is something else.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .bytes()
        .map(|digit| char::from(digit).to_digit(16))
        .map(|digit| digit.and_then(|d| u8::try_from(d).ok()))
        .collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    pairs.remainder().is_empty().then(|| digits.chunks_exact(2).map(|pair| pair[0] * 16 + pair[1]).collect())
}

#[cfg(test)]
mod tests;
