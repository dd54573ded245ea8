//! An answer that waits until all of several tasks have heard what it is about.
//!
//! A task that is on its way to a machine may be granted an attempt until it hears that its graph is cancelled. Once it has
//! written that down, or its actor is gone with what it was told, it is granted nothing more: whoever grants does so once,
//! when it is woken.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::task::Acknowledge;

/// Answers when the last copy of it is gone and what was asked is on disk; where that is not, nobody is answered.
#[derive(Clone)]
pub(super) struct Heard(Arc<Waiting>);

struct Waiting {
    is_written: AtomicBool,
    answer: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Heard {
    pub(super) fn with(answer: impl FnOnce() + Send + 'static) -> Self {
        let answer = Mutex::new(Some(Box::new(answer) as Box<dyn FnOnce() + Send>));
        Self(Arc::new(Waiting { is_written: AtomicBool::new(false), answer }))
    }

    /// For one who is told.
    pub(super) fn acknowledge(&self) -> Acknowledge {
        let one = self.clone();
        Acknowledge::with(move || drop(one))
    }

    /// What was asked is on disk.
    pub(super) fn written(self) {
        self.0.is_written.store(true, Ordering::Relaxed);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let answer = self.answer.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(answer) = answer.filter(|_| *self.is_written.get_mut()) {
            answer();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use policy::admission::Unschedulable;
    use policy::event::{Item, SubmissionKey};
    use policy::graph::TaskState;
    use policy::id::{Incarnation, NodeId};
    use policy::lease::LeaseTerms;
    use policy::resources::Resources;
    use policy::strain::Strain;
    use policy::submission::Submission;
    use policy::task::TaskSpec;
    use supervision::Reply;

    use super::*;
    use crate::clock::Clock;
    use crate::config::Limits;
    use crate::head::{Head, hear_worker};
    use crate::log::disk::SimulatedDisk;
    use crate::log::{Log, LogLimits};
    use crate::node::NodeMessage;
    use crate::outlet::Outlet;
    use crate::scheduler::SchedulerMessage;
    use crate::side::Side;
    use crate::wire::client::{Response, Target, TaskFilter};
    use crate::wire::fleet::{FromWorker, HaltState, Registration, ToWorker};

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn it_answers_when_all_have_heard_and_only_what_is_on_disk() {
        let answered = Arc::new(AtomicBool::new(false));
        let of_answer = Arc::clone(&answered);
        let heard = Heard::with(move || of_answer.store(true, Ordering::Relaxed));
        let (one, gone) = (heard.acknowledge(), heard.acknowledge());
        heard.written();
        one.now();
        assert!(!answered.load(Ordering::Relaxed), "somebody has not heard it");
        drop(gone);
        assert!(answered.swap(false, Ordering::Relaxed));
        let of_answer = Arc::clone(&answered);
        Heard::with(move || of_answer.store(true, Ordering::Relaxed)).acknowledge().now();
        assert!(!answered.load(Ordering::Relaxed), "it is not on disk");
    }

    async fn admit(side: &Side, key: u8) -> Response {
        let items = vec![Item::new(Arc::new(TaskSpec::new("one", vec!["true".into()])))];
        let submission = Box::new(Submission::new(SubmissionKey(key.into()), "g", items));
        let ask = |reply| SchedulerMessage::Admit { submission, digest: [key; 16], reply };
        side.scheduler.ask(PATIENCE, ask).await.unwrap()
    }

    async fn is_on_its_way(side: &Side) -> bool {
        let ask =
            |reply| SchedulerMessage::Rows { filter: TaskFilter::default(), after: None, limit: 1, reply };
        let rows = side.scheduler.ask(PATIENCE, ask).await.unwrap();
        rows.iter().any(|row| row.state == TaskState::Active)
    }

    /// A machine whose node stands still in the middle of an answer to it, until what is given back is dropped.
    async fn held_up(side: &Arc<Side>) -> mpsc::Sender<()> {
        let (hold, held) = mpsc::channel::<()>();
        let (say, said) = mpsc::channel();
        let held = Mutex::new(held);
        let outlet = Outlet::new(move |message: ToWorker| {
            let is_answer = matches!(message, ToWorker::HeartbeatHeard { .. });
            say.send(message).unwrap();
            if is_answer {
                tokio::task::block_in_place(|| held.lock().unwrap().recv().unwrap_err());
            }
            true
        });
        let (node, inventory) = (NodeId::from("n"), Vec::new());
        let registration = Registration {
            node: node.clone(),
            incarnation: Incarnation(1),
            boot: "boot".into(),
            capacity: Resources::cpus(4000),
            labels: Vec::new(),
            version: "1".into(),
            inventory: Vec::new(),
        };
        hear_worker(side, &node, FromWorker::Register(registration), &outlet);
        let welcome = tokio::task::block_in_place(|| said.recv().unwrap());
        let ToWorker::Welcome { session, .. } = welcome else { panic!("{welcome:?}") };
        // It is asked behind the registration, and once more behind what follows from that: then the scheduler knows its room.
        let registered = side.nodes.get(&node).unwrap();
        for _ in 0..2 {
            registered.ask(PATIENCE, NodeMessage::Describe).await.unwrap();
        }
        let heartbeat = FromWorker::Heartbeat {
            session,
            sequence: 1,
            sent: side.clock.now(),
            inventory,
            halt: HaltState::default(),
            samples: Vec::new(),
            progress: Vec::new(),
            strain: Strain::default(),
        };
        hear_worker(side, &node, heartbeat, &outlet);
        tokio::task::block_in_place(|| said.recv().unwrap());
        hold
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_graphs_cancellation_is_not_acknowledged_while_a_task_of_it_is_on_its_way_to_a_machine() {
        let clock = Clock::system();
        let log = Log::open(SimulatedDisk::new().hold().unwrap(), LogLimits::default(), clock).unwrap();
        let limits = Limits { unschedulable: Unschedulable::Warn, ..Limits::default() };
        let head = Head::start_on(log, ("h".into(), clock), LeaseTerms::default(), limits, |_, _| Vec::new());
        let head = head.await.unwrap();
        let side = Arc::clone(head.side());
        let hold = held_up(&side).await;
        let Response::Submitted(submitted) = admit(&side, 1).await else { panic!("it is taken in") };
        let placed = async { while !is_on_its_way(&side).await {} };
        tokio::time::timeout(PATIENCE, placed).await.expect("it is placed");
        let (reply, mut answered) = Reply::channel();
        side.scheduler.tell(SchedulerMessage::Cancel { target: Target::Graph(submitted.graph), reply });
        // Whatever is answered when it is on disk is answered before this is.
        assert!(matches!(admit(&side, 2).await, Response::Submitted(_)));
        let early = tokio::time::timeout(Duration::ZERO, &mut answered).await;
        assert!(early.is_err(), "acknowledged, and granted after: {early:?}");
        drop(hold);
        let answer = tokio::time::timeout(PATIENCE, answered).await.unwrap();
        assert!(matches!(answer, Ok(Response::CancelAsked { tasks: 1 })), "{answer:?}");
        head.stop().await;
    }
}
