//! What tests of the whole share. Knows no single test.

pub(crate) mod history;
