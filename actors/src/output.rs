//! What attempts write: [`spool`] is the file it is kept in, [`reader`] reads it, [`retention`] removes it.
//!
//! The host writes, the worker reads the same files. Must not know of processes.

pub mod reader;
pub mod retention;
pub mod spool;
