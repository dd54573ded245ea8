//! The shard actor: supervises its share of the children of one [`Dynamic`].
//!
//! **Role.** Hears how children end, starts transient ones again, stops all when asked.
//! **Parent** the fixed supervisor that [`Dynamic::child`] makes, which allows no restart.
//! **Hears** ractor: ends of children; its parent: Stop, Describe; itself: timers.
//! **On crash** ractor kills its children; the whole [`Dynamic`] ends and its parent decides.
//! **Invariant.** Every event costs the same, however many children there are; only a stop looks at all.

use std::time::Duration;

use ractor::{ActorId, SupervisionEvent};

use crate::actor::{Actor, ActorError, Me, Request};
use crate::address::{Activate, Reply};
use crate::describe::{Described, Errand, Fact, Inquiry};
use crate::dynamic::Dynamic;
use crate::dynamic::table::{Enrolment, Entry, Shared};
use crate::envelope::Message;
use crate::exit::{Ending, Exit, SHUTDOWN};
use crate::host::{Start, spawn_now};
use crate::intensity::Verdict;
use crate::supervisor::{KILL_GRACE, ask_stop, do_to, report};

/// What a shard can be told.
#[derive(Debug)]
pub(crate) struct ShardMessage(Told);

#[derive(Debug)]
enum Told {
    Stop,
    Describe(Inquiry, Reply<Described>),
    Run(Errand),
    Ended(ActorId, Exit),
    RestartDue(u64),
    StopDue,
    KillDue,
}

impl ShardMessage {
    /// A child had ended before it was entered.
    pub(crate) fn ended(id: ActorId, exit: Exit) -> Self {
        Self(Told::Ended(id, exit))
    }
}

impl Message for ShardMessage {
    fn kind(&self) -> &'static str {
        match self.0 {
            Told::Stop => "Stop",
            Told::Describe(..) => "Describe",
            Told::Run(_) => "Run",
            Told::Ended(..) => "Ended",
            Told::RestartDue(_) => "RestartDue",
            Told::StopDue => "StopDue",
            Told::KillDue => "KillDue",
        }
    }
}

/// See the module docs.
pub(crate) struct Shard<A: Actor> {
    whole: Dynamic<A>,
    index: usize,
    /// Why it ends, once it does.
    ending: Option<Ending>,
}

impl<A: Actor> Actor for Shard<A> {
    const KIND: &'static str = "shard";
    type Message = ShardMessage;
    type Args = (Dynamic<A>, usize);

    fn start((whole, index): Self::Args, me: &Me<ShardMessage>) -> Result<Self, ActorError> {
        if index == 0 {
            whole.forget_restarts();
        }
        let left = whole.0.shards[index].lock().open(me.cell());
        whole.release(left);
        Ok(Self { whole, index, ending: None })
    }

    fn handle(&mut self, message: ShardMessage, me: &Me<ShardMessage>) -> Result<(), ActorError> {
        match message.0 {
            Told::Stop => self.end(Ending::Stopped, me),
            Told::Describe(inquiry, reply) => {
                reply.send(self.shared().lock().describe(&inquiry));
                Ok(())
            }
            Told::Run(errand) => {
                self.run(&errand);
                Ok(())
            }
            Told::Ended(id, exit) => self.ended(id, exit, me),
            Told::RestartDue(ticket) => self.restart_due(ticket, me),
            Told::StopDue => {
                self.kill_the_late(me);
                Ok(())
            }
            Told::KillDue => self.leave_the_stuck(me),
        }
    }

    fn supervise(&mut self, event: SupervisionEvent, me: &Me<ShardMessage>) -> Result<(), ActorError> {
        match Exit::of_event(event) {
            Some((cell, exit)) => self.ended(cell.get_id(), exit, me),
            None => Ok(()),
        }
    }

    fn request(request: Request) -> Option<ShardMessage> {
        Some(ShardMessage(match request {
            Request::Stop => Told::Stop,
            Request::Describe(inquiry, reply) => Told::Describe(inquiry, reply),
            Request::Run(errand) => Told::Run(errand),
        }))
    }

    fn show(&self) -> Vec<Fact> {
        let table = self.shared().lock();
        vec![
            Fact::new("alive", table.alive()),
            Fact::new("asleep", table.asleep()),
            Fact::new("waiting for a restart", table.waiting()),
        ]
    }
}

impl<A: Actor> Shard<A> {
    fn shared(&self) -> &Shared<A> {
        &self.whole.0.shards[self.index]
    }

    fn run(&self, errand: &Errand) {
        self.whole.activate(errand.probe());
        let found = self.shared().lock().find(errand.probe());
        if let Some((cell, address)) = found
            && let Some(deed) = errand.take_for(address.probe())
        {
            do_to(deed, &address, &cell);
        }
    }

    fn ended(&mut self, id: ActorId, exit: Exit, me: &Me<ShardMessage>) -> Result<(), ActorError> {
        let Some(entry) = self.shared().lock().ended(id, &exit) else { return Ok(()) };
        if self.ending.is_none() && entry.kept.is_some() && !exit.is_orderly() {
            return self.restart(entry, exit, me);
        }
        report::left(&self.whole.0.name, entry.address.probe().name(), &exit);
        drop(entry);
        self.whole.release(1);
        self.finish_when_empty(me)
    }

    /// A transient child ended abnormally or did not start again.
    fn restart(&mut self, mut entry: Entry<A>, exit: Exit, me: &Me<ShardMessage>) -> Result<(), ActorError> {
        let (Some(transient), Some(kept)) = (&self.whole.0.transient, &mut entry.kept) else { return Ok(()) };
        let name = entry.address.probe().name();
        let delay = transient.backoff.map_or(Duration::ZERO, |backoff| {
            kept.failures = backoff.failures(kept.failures, kept.since.elapsed());
            backoff.delay(kept.failures)
        });
        let intensity = transient.intensity;
        if let Exit::Stuck(child) = exit {
            self.whole.release(1);
            return self.give_up(Ending::Stuck { child }, me);
        }
        if self.whole.record_restart(intensity) == Verdict::GiveUp {
            let child = name.to_owned();
            self.whole.release(1);
            let ending =
                Ending::GaveUp { child, exit, restarts: intensity.restarts, period: intensity.period };
            return self.give_up(ending, me);
        }
        report::restarting(&self.whole.0.name, name, &exit, delay);
        // Also without a delay by message, so that a stop is heard between attempts.
        let due = |ticket| ShardMessage(Told::RestartDue(ticket));
        let ticket = self.shared().lock().wait(entry);
        if delay.is_zero() {
            me.tell_this_life(due(ticket));
        } else {
            me.after(delay, due(ticket));
        }
        Ok(())
    }

    fn restart_due(&mut self, ticket: u64, me: &Me<ShardMessage>) -> Result<(), ActorError> {
        let mut table = self.shared().lock();
        let Some(life) = table.open_life().map(|(life, _)| life) else { return Ok(()) };
        let Some(mut entry) = table.waited(ticket) else { return Ok(()) };
        drop(table);
        let (Some(transient), Some(kept)) = (&self.whole.0.transient, &mut entry.kept) else { return Ok(()) };
        kept.since = tokio::time::Instant::now();
        entry.address.probe().restarted();
        let start = Start { args: (transient.copy)(&kept.args), address: entry.address.clone(), ready: None };
        match spawn_now::<A>(start, Some(me.cell())) {
            Ok((cell, _)) => {
                entry.cell = cell;
                // Its end cannot have been heard yet: this very actor would have to hear it.
                let enrolment = self.shared().lock().enrol(life, entry);
                debug_assert_eq!(enrolment, Enrolment::Done, "a shard enrols in its own life");
                Ok(())
            }
            Err(error) => self.restart(entry, Exit::of_spawn_error(&error), me),
        }
    }

    fn give_up(&mut self, ending: Ending, me: &Me<ShardMessage>) -> Result<(), ActorError> {
        report::giving_up(&self.whole.0.name, &ending);
        self.end(ending, me)
    }

    /// Stops taking children and asks all to stop.
    fn end(&mut self, ending: Ending, me: &Me<ShardMessage>) -> Result<(), ActorError> {
        if self.ending.is_some() {
            return Ok(());
        }
        self.ending = Some(ending);
        let (living, given_up) = self.shared().lock().close();
        self.whole.release(given_up);
        let deadline = self.whole.deadline();
        if deadline == Some(Duration::ZERO) {
            self.kill_the_late(me);
            return self.finish_when_empty(me);
        }
        for (cell, address) in &living {
            ask_stop::<A>(address, cell);
        }
        if let Some(deadline) = deadline.filter(|_| !living.is_empty()) {
            me.after(deadline, ShardMessage(Told::StopDue));
        }
        self.finish_when_empty(me)
    }

    fn kill_the_late(&self, me: &Me<ShardMessage>) {
        for (cell, address) in self.shared().lock().living() {
            if self.whole.deadline() != Some(Duration::ZERO) {
                report::late(&self.whole.0.name, address.probe().name());
            }
            cell.kill();
        }
        me.after(KILL_GRACE, ShardMessage(Told::KillDue));
    }

    /// What a kill could not end is left behind, and said.
    fn leave_the_stuck(&mut self, me: &Me<ShardMessage>) -> Result<(), ActorError> {
        let living = self.shared().lock().living();
        for (_, address) in &living {
            report::stuck(&self.whole.0.name, address.probe().name());
        }
        if let Some((_, address)) = living.first() {
            self.ending = Some(Ending::Stuck { child: address.probe().name().to_owned() });
        }
        self.finish(me)
    }

    fn finish_when_empty(&mut self, me: &Me<ShardMessage>) -> Result<(), ActorError> {
        if self.ending.is_none() || self.shared().lock().alive() > 0 {
            return Ok(());
        }
        self.finish(me)
    }

    fn finish(&mut self, me: &Me<ShardMessage>) -> Result<(), ActorError> {
        let left = self.shared().lock().clear();
        self.whole.release(left);
        match self.ending.clone() {
            Some(Ending::Stopped) | None => {
                me.cell().stop(Some(SHUTDOWN.to_owned()));
                Ok(())
            }
            Some(ending) => Err(Box::new(ending)),
        }
    }
}
