//! The link over real sockets, on loopback and in temporary directories.

mod cluster;
mod gate;
mod lean;
mod measure;
mod secure;
mod support;
