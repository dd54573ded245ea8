//! What a simulated task does, written into its arguments and read back by the host that runs it, or into the message for an
//! agent.

use policy::id::AttemptNumber;
use policy::text::OsText;

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Program {
    /// Milliseconds until it ends by itself.
    pub(super) length: u64,
    /// So many attempts fail before one succeeds.
    pub(super) fails: u32,
    /// Milliseconds it takes to end when politely asked to; `None` where it does not listen.
    pub(super) obeys_after: Option<u64>,
    /// Whether it cannot be started at all.
    pub(super) is_missing: bool,
    /// Whether it takes the host down with it where it would end by itself.
    pub(super) kills: bool,
}

impl Program {
    /// As arguments.
    pub(super) fn argv(self) -> Vec<OsText> {
        let obeys = self.obeys_after.map_or_else(|| "never".to_owned(), |after| after.to_string());
        let name = if self.is_missing { "missing" } else { "simulated" };
        let kills = self.kills.then(|| "kills".into());
        let words =
            [name.into(), self.length.to_string().into(), self.fails.to_string().into(), obeys.into()];
        words.into_iter().chain(kills).collect()
    }

    /// As a message.
    pub(super) fn payload(self) -> OsText {
        let words: Vec<String> = self.argv().iter().map(ToString::to_string).collect();
        words.join(" ").into()
    }

    /// Read back.
    pub(super) fn of(argv: &[OsText]) -> Self {
        let words = argv.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let words: Vec<&str> = words.split(' ').collect();
        Self {
            length: words[1].parse().expect("written by us"),
            fails: words[2].parse().expect("written by us"),
            obeys_after: words[3].parse().ok(),
            is_missing: words[0] == "missing",
            kills: words.len() > 4,
        }
    }

    /// What this attempt exits with.
    pub(super) fn exit_code(self, attempt: AttemptNumber) -> i32 {
        i32::from(attempt.0 <= self.fails)
    }
}
