//! The real programs as separate processes on this machine, killed, misused and looked at from outside.

mod budget;
mod cancel;
mod claims;
mod commands;
mod damage;
mod equal;
mod explain;
mod fairness;
mod fleet;
mod growing;
mod guard;
mod history;
mod large;
mod leases;
mod nothing_lost;
mod operators;
mod order;
mod placement;
mod refusals;
mod settings;
mod signals;
mod strangers;
mod survival;
mod top;
