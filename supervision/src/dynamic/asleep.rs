//! Children that sleep: until its address is told something, an entry stands for the actor.
//!
//! For children of which most are never told anything: an entry costs a hundredth of an actor, is listed among the
//! children, and counts as one. Must not know what the children do.

use std::sync::{Arc, PoisonError};

use crate::actor::Actor;
use crate::address::{Activate, Address};
use crate::dynamic::table::{Shared, Sleeping};
use crate::dynamic::{Dynamic, Place, Refusal};
use crate::probe::ProbeId;

impl<A: Actor> Dynamic<A> {
    /// Enters a child that sleeps behind `address`: the first message wakes it, and is not lost. Whoever tells it
    /// something must do so within a tokio runtime, and not from within [`Actor::start`] of a sibling.
    ///
    /// # Errors
    /// As [`Self::start`], except that a start that fails shows later.
    pub fn start_asleep(&self, args: A::Args, address: &Address<A::Message>) -> Result<(), Refusal> {
        let place = self.take_place()?;
        address.sleep(Arc::new(self.clone()));
        let child = Sleeping { address: address.clone(), args };
        if !self.shard_of(address.probe().id()).lock().lay(child) {
            return Err(self.not_running());
        }
        place.keep();
        Ok(())
    }

    /// Wakes a child that sleeps; one that does not is left alone.
    pub fn wake(&self, address: &Address<A::Message>) {
        if !address.is_bound() {
            self.activate(address.probe().id());
        }
    }

    /// Ends a child that still sleeps, without a word. `false` where it does not: then it has to be told.
    #[must_use]
    pub fn dismiss(&self, address: &Address<A::Message>) -> bool {
        let probe = address.probe().id();
        let left = self.shard_of(probe).lock().rouse(probe);
        if left.is_some() {
            self.release(1);
        }
        left.is_some()
    }

    fn shard_of(&self, probe: ProbeId) -> &Shared<A> {
        let shards = &self.0.shards;
        let place = usize::try_from(probe.0 % shards.len() as u64);
        &shards[place.unwrap_or(0)]
    }
}

impl<A: Actor> Activate for Dynamic<A> {
    fn activate(&self, probe: ProbeId) {
        // Whoever comes second returns when the first has put the actor behind its address.
        let _one_at_a_time = self.0.waking.lock().unwrap_or_else(PoisonError::into_inner);
        let shard = self.shard_of(probe);
        let Some(Sleeping { address, args }) = shard.lock().rouse(probe) else { return };
        let place = Place(Some(&self.0.taken));
        if let Err(refusal) = self.start_in(shard, place, args, &address) {
            tracing::error!(name = address.probe().name(), %refusal, "a child could not be woken");
        }
    }
}
