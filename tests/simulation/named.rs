//! Seeds that once broke a promise.
