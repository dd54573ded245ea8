//! Everything knittingCrab does: the actors of the scheduler side and of the machine side, what crosses
//! processes and disks, and the client that Rust agents use. What is decided is decided in `policy`.

pub mod client;
pub mod clock;
pub mod log;
pub mod taskfile;
pub mod wire;

pub mod worker;

pub mod process;

pub mod output;
