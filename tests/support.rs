//! What tests of the whole share. Knows no single test.

pub(crate) mod place;
pub(crate) mod program;
pub(crate) mod pty;
pub(crate) mod residue;
pub(crate) mod sshd;
pub(crate) mod waiting;
