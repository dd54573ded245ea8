//! `aivcs-session` against a real sshd on loopback and a real tmux, and without SSH on this machine.
//!
//! Each test has a server, keys and two home directories of its own. They need `sshd`, `ssh-keygen`, `ssh` and
//! `tmux`; `.ci/run` installs what is missing, and without them the tests fail and say so.

mod artifacts;
mod bed;
mod cut;
mod keeps;
mod kills;
mod names;
mod nodes;
mod prunes;
mod runs;
mod terminals;
mod worktrees;
