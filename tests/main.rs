//! The tests of the whole: one binary, so that it is linked once.

/// The rules of the rooms, and that the documents name what is there.
mod tidy;
