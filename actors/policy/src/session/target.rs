//! Which machines and users may be named. What is let through is handed to `ssh` as arguments, and there to
//! whatever the user's configuration makes of `%h` and `%r`, so it is plain or it is refused.

use std::fmt;

/// The machine that sessions are usually on, and whose user is known.
const USUAL_HOST: &str = "aivcs.local";
/// The user of [`USUAL_HOST`].
const USUAL_USER: &str = "aivcs";
/// What this machine is called.
const HERE: &str = "local";
/// Characters of a host's name, the bound of the domain name system.
const HOST_CHARS_LIMIT: usize = 253;
/// Characters of a user's name: more than any system lets one have.
const USER_CHARS_LIMIT: usize = 64;

/// Where sessions are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Target {
    /// On this machine, without SSH.
    #[default]
    Here,
    /// Behind SSH.
    There(Remote),
}

/// A machine behind SSH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Its name or address, or what the user's SSH configuration calls it.
    pub host: Box<str>,
    /// Who one is there; as that configuration says, where nobody is named.
    pub user: Option<Box<str>>,
    /// Its port; as that configuration says, where none is named.
    pub port: Option<u16>,
}

/// Why there is no such machine or user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetRefused {
    /// Not a host.
    #[error(
        "invalid host {0:?} (must be 1 to {HOST_CHARS_LIMIT} of a-z, A-Z, 0-9, '.', '_', '-', ':', '%' and not begin with '-')"
    )]
    Host(Box<str>),
    /// Not a user.
    #[error(
        "invalid user {0:?} (must be 1 to {USER_CHARS_LIMIT} of a-z, A-Z, 0-9, '.', '_', '-', '+' and not begin with '-')"
    )]
    User(Box<str>),
    /// A user or a port of this machine.
    #[error("--user, --port and --identity are of a machine behind SSH: name it with --host")]
    NotRemote,
}

impl Target {
    /// Of what was named: no host, or `local`, is this machine.
    ///
    /// # Errors
    /// The host or the user is none, or belongs to no host.
    pub fn new(host: Option<&str>, user: Option<&str>, port: Option<u16>) -> Result<Self, TargetRefused> {
        let Some(host) = host.filter(|host| *host != HERE) else {
            let is_here = user.is_none() && port.is_none();
            return is_here.then_some(Self::Here).ok_or(TargetRefused::NotRemote);
        };
        if !is_plain(host, HOST_CHARS_LIMIT, "._-:%") {
            return Err(TargetRefused::Host(host.chars().take(HOST_CHARS_LIMIT).collect::<String>().into()));
        }
        let user = user.or_else(|| (host == USUAL_HOST).then_some(USUAL_USER));
        if let Some(user) = user.filter(|user| !is_plain(user, USER_CHARS_LIMIT, "._-+")) {
            return Err(TargetRefused::User(user.chars().take(USER_CHARS_LIMIT).collect::<String>().into()));
        }
        Ok(Self::There(Remote { host: host.into(), user: user.map(Into::into), port }))
    }
}

fn is_plain(name: &str, limit: usize, also: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || also.contains(c);
    (1..=limit).contains(&name.len()) && !name.starts_with('-') && name.chars().all(plain)
}

/// As people know the machine.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here => f.pad(HERE),
            Self::There(remote) => f.pad(&remote.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_host_and_local_are_here() {
        assert_eq!(Target::new(None, None, None), Ok(Target::Here));
        assert_eq!(Target::new(Some("local"), None, None), Ok(Target::Here));
        assert_eq!(Target::new(None, Some("root"), None), Err(TargetRefused::NotRemote));
        assert_eq!(Target::new(Some("local"), None, Some(22)), Err(TargetRefused::NotRemote));
    }

    #[test]
    fn the_usual_host_has_its_user_and_others_have_their_own() {
        let user = |host, user| match Target::new(Some(host), user, None).unwrap() {
            Target::There(remote) => remote.user,
            Target::Here => panic!("{host} is not here"),
        };
        assert_eq!(user("aivcs.local", None).as_deref(), Some("aivcs"));
        assert_eq!(user("aivcs.local", Some("me")).as_deref(), Some("me"));
        assert_eq!(user("mac-1", None), None);
    }

    #[test]
    fn what_ssh_could_take_for_something_else_is_refused() {
        let hosts = [
            "",
            "-oProxyCommand=id",
            "-",
            "a b",
            "a;b",
            "a$(id)",
            "a`id`",
            "a\nb",
            "a/b",
            "user@host",
            "ho'st",
            "a\\b",
            "é",
            "a&b",
            "a|b",
            "$HOME",
            "\0",
        ];
        for host in hosts {
            assert!(matches!(Target::new(Some(host), None, None), Err(TargetRefused::Host(_))), "{host:?}");
        }
        assert!(Target::new(Some(&"a".repeat(254)), None, None).is_err());
        for user in ["", "-l", "a b", "a@b", "$(id)", "a;b", "a\n", "a'b", &"a".repeat(65)] {
            let made = Target::new(Some("h"), Some(user), None);
            assert!(matches!(made, Err(TargetRefused::User(_))), "{user:?}");
        }
        for host in ["h", "192.0.2.1", "::1", "fe80::1%en0", "mac_1.local", "A-b"] {
            assert!(Target::new(Some(host), Some("a.b-c_d"), Some(2222)).is_ok(), "{host}");
        }
    }
}
