//! An invitation as one line: where to go, whom to believe there, and a secret that is good once.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::str::FromStr;

/// What every line begins with.
const PREFIX: &str = "crab1:";
/// Characters of the longest line that is looked at.
const LINE_LIMIT: usize = 512;

/// What somebody wrote where a line may stand: the line or an address itself, `-` for the first line of standard input, or
/// `@FILE` for that of a file. A line on a command line is seen by everybody on the machine.
///
/// # Errors
/// Where it cannot be read, is no text, or there is none.
pub fn meant(written: &str) -> io::Result<String> {
    match written.strip_prefix('@') {
        Some(path) => first_line(File::open(path)?),
        None if written == "-" => first_line(io::stdin().lock()),
        None => Ok(written.to_owned()),
    }
}

fn first_line(from: impl Read) -> io::Result<String> {
    let mut line = String::new();
    // Whatever it is, no more of it is read than a line may have.
    BufReader::new(from.take(LINE_LIMIT as u64 + 1)).read_line(&mut line)?;
    let line = line.trim();
    if line.is_empty() { Err(io::Error::other("there is no line to read")) } else { Ok(line.to_owned()) }
}

/// See the module's documentation. Shown it is the line itself; `Debug` keeps the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Where the scheduler listens: `HOST:PORT`.
    pub address: String,
    /// The digest of the certificate of its authority.
    pub authority: blake3::Hash,
    /// Good for one certificate.
    pub secret: [u8; 32],
}

/// The text is no invitation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no invitation; it looks like crab1:HOST:PORT:…:… and `crab cluster invite NAME` prints one")]
pub struct NoInvitation;

impl Invitation {
    /// Whether a text wants to be one, well formed or not.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.trim().starts_with(PREFIX)
    }
}

impl fmt::Display for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = blake3::Hash::from_bytes(self.secret);
        write!(f, "{PREFIX}{}:{}:{}", self.address, self.authority.to_hex(), secret.to_hex())
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invitation({})", self.address)
    }
}

impl FromStr for Invitation {
    type Err = NoInvitation;

    fn from_str(text: &str) -> Result<Self, NoInvitation> {
        let text = text.trim();
        let rest = text.strip_prefix(PREFIX).filter(|_| text.len() <= LINE_LIMIT).ok_or(NoInvitation)?;
        let (rest, secret) = rest.rsplit_once(':').ok_or(NoInvitation)?;
        let (address, authority) = rest.rsplit_once(':').ok_or(NoInvitation)?;
        let (host, port) = address.rsplit_once(':').ok_or(NoInvitation)?;
        if host.is_empty() || port.parse::<u16>().is_err() {
            return Err(NoInvitation);
        }
        let hash = |text: &str| blake3::Hash::from_hex(text).map_err(|_| NoInvitation);
        Ok(Self {
            address: address.to_owned(),
            authority: hash(authority)?,
            secret: *hash(secret)?.as_bytes(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_printed() {
        for address in ["192.0.2.1:7070", "[2001:db8::1]:7070", "mac.example:1"] {
            let line = Invitation { address: address.into(), authority: blake3::hash(b"a"), secret: [7; 32] };
            assert_eq!(line.to_string().parse(), Ok(line.clone()));
            assert!(Invitation::is_meant(&line.to_string()));
            assert!(!format!("{line:?}").contains("0707"), "the secret is not shown");
        }
    }

    #[test]
    fn a_line_may_be_in_a_file_where_nobody_else_sees_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("line");
        std::fs::write(&path, "  crab1:x\nmore").unwrap();
        let named = format!("@{}", path.display());
        assert_eq!(meant(&named).unwrap(), "crab1:x");
        assert_eq!(meant("192.0.2.1:7070").unwrap(), "192.0.2.1:7070");
        std::fs::write(&path, "\n").unwrap();
        assert!(meant(&named).is_err());
        assert_eq!(meant("@/nowhere").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    proptest! {
        #[test]
        fn no_text_harms(text in ".{0,600}") {
            prop_assert!(text.parse::<Invitation>().is_err());
            let _ = format!("crab1:{text}").parse::<Invitation>();
        }
    }
}
