//! The inspector before a tree with an actor that is blocked on purpose.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use supervision::supervisor::{SupervisorMessage, start_behind};
use supervision::{
    Actor, ActorError, Address, Child, Fact, First, Intensity, Me, Message, Reply, Running, Strategy,
    SupervisorArgs,
};

use super::{InspectorActor, InspectorArgs, InspectorMessage};
use crate::wire::inspect::{ActorRow, Changes, FORGOTTEN_AFTER, Look, PACE_LEAST, SUBSCRIBERS_LIMIT, Sight};

/// Blocks its thread when told to.
struct Door(u32);

enum DoorMessage {
    Block(Receiver<()>),
    Knock(Reply<u32>),
}

impl Message for DoorMessage {
    fn kind(&self) -> &'static str {
        match self {
            Self::Block(_) => "Block",
            Self::Knock(_) => "Knock",
        }
    }
}

impl Actor for Door {
    const KIND: &'static str = "door";
    type Message = DoorMessage;
    type Args = ();

    fn start((): (), _: &Me<DoorMessage>) -> Result<Self, ActorError> {
        Ok(Self(0))
    }

    fn handle(&mut self, message: DoorMessage, _: &Me<DoorMessage>) -> Result<(), ActorError> {
        match message {
            DoorMessage::Block(until) => drop(until.recv()),
            DoorMessage::Knock(reply) => {
                self.0 += 1;
                reply.send(self.0);
            }
        }
        Ok(())
    }

    fn show(&self) -> Vec<Fact> {
        vec![Fact::new("knocks", self.0)]
    }
}

const SECOND: Duration = Duration::from_secs(1);

struct Scene {
    door: Address<DoorMessage>,
    inspector: Address<InspectorMessage>,
    tree: Running,
}

impl Scene {
    async fn start() -> Self {
        let (door, inspector) = (Address::new("door", "front"), Address::new("inspector", ""));
        let root: Address<SupervisorMessage> = Address::new("supervisor", "house");
        let args = InspectorArgs { root: root.clone(), head: None, spaces: None };
        let children = vec![Child::worker::<Door>("front", &door, || ()), super::child(&inspector, args)];
        let house = SupervisorArgs::new("house", Strategy::OneForOne, Intensity::new(3, SECOND), children);
        let tree = start_behind(root, house).await.expect("it starts");
        Self { door, inspector, tree }
    }

    async fn look(&self, look: Look) -> Sight {
        let question = |reply| InspectorMessage::Look { look, reply };
        self.inspector.ask(5 * SECOND, question).await.expect("the inspector answers")
    }

    async fn actors(&self, only: Option<&str>) -> Vec<ActorRow> {
        let only = only.map(Into::into);
        match self.look(Look::Actors { only, first: First::Oldest, limit: 10 }).await {
            Sight::Actors { rows, more: 0 } => rows,
            other => panic!("{other:?}"),
        }
    }

    /// What has changed since the answer of this number.
    async fn changes(&self, subscriber: u64, after: u64) -> Changes {
        let look = Look::Changes { subscriber, after, only: None, first: First::Oldest, limit: 10 };
        match self.look(look).await {
            Sight::Changes(changes) => *changes,
            other => panic!("{other:?}"),
        }
    }

    async fn the_door(&self) -> ActorRow {
        let rows = self.actors(Some("door/front")).await;
        rows.into_iter().find(|row| &*row.kind == Door::KIND).expect("it is there")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_tree_is_told_parents_first_and_an_actor_shows_what_it_holds() {
    let mut scene = Scene::start().await;
    scene.door.ask(SECOND, DoorMessage::Knock).await.expect("it answers");
    let told: Vec<_> = scene
        .actors(None)
        .await
        .iter()
        .map(|row| format!("{} {}/{}", row.level, row.kind, row.name))
        .collect();
    assert_eq!(told, ["0 supervisor/house", "1 door/front", "1 supervisor/inspection", "2 inspector/"]);
    let door = scene.the_door().await;
    assert_eq!(door.handled, 1);
    assert_eq!(scene.look(Look::State(door.probe)).await, Sight::State(vec![Fact::new("knocks", 1)]));
    assert_eq!(scene.look(Look::State(supervision::ProbeId(u64::MAX))).await, Sight::NoActor);
    scene.tree.stop().await;
}

/// Which actors are told of, by name or kind.
fn named(changes: &Changes) -> Vec<&str> {
    let name = |row: &'_ ActorRow| row.name.is_empty();
    changes.rows.iter().map(|(_, row)| if name(row) { &*row.kind } else { &*row.name }).collect()
}

#[tokio::test(start_paused = true)]
async fn who_looks_again_and_again_is_told_what_has_changed_and_all_of_it_after_an_answer_was_lost() {
    let mut scene = Scene::start().await;
    let first = scene.changes(7, 0).await;
    assert_eq!((first.number, first.is_whole, first.rows.len(), first.dropped), (1, true, 4, 0));
    let began = tokio::time::Instant::now();
    let quiet = scene.changes(7, 1).await;
    assert!(began.elapsed() >= PACE_LEAST, "not as often as one likes");
    assert_eq!(named(&quiet), ["house", "inspection", "inspector"], "those that are asked, and no others");
    scene.door.ask(SECOND, DoorMessage::Knock).await.expect("it answers");
    assert_eq!(named(&scene.changes(7, 2).await), ["house", "front", "inspection", "inspector"]);
    let _lost = scene.changes(7, 3).await;
    let _lost = scene.changes(7, 3).await;
    let anew = scene.changes(7, 3).await;
    assert_eq!((anew.number, anew.is_whole, anew.rows.len(), anew.dropped), (6, true, 4, 2));
    assert!(!scene.changes(7, 6).await.is_whole);
    tokio::time::sleep(FORGOTTEN_AFTER * 2).await;
    let back = scene.changes(7, 7).await;
    assert_eq!((back.number, back.is_whole, back.dropped), (8, true, 0), "it was away for long");
    scene.tree.stop().await;
}

#[tokio::test(start_paused = true)]
async fn where_too_many_look_again_and_again_the_next_is_told_everything_each_time() {
    let mut scene = Scene::start().await;
    for subscriber in 0..SUBSCRIBERS_LIMIT as u64 {
        scene.changes(subscriber, 0).await;
    }
    let look = Look::Changes { subscriber: 99, after: 0, only: None, first: First::Oldest, limit: 10 };
    assert!(matches!(scene.look(look).await, Sight::Actors { rows, .. } if rows.len() == 4));
    let inspector = scene.actors(Some("inspector")).await.pop().expect("it is there").probe;
    let held = |sight| match sight {
        Sight::State(facts) => facts.into_iter().find(|fact| &*fact.name == "who look again and again"),
        other => panic!("{other:?}"),
    };
    let before = held(scene.look(Look::State(inspector)).await).expect("it is told");
    tokio::time::sleep(FORGOTTEN_AFTER * 2).await;
    let after = held(scene.look(Look::State(inspector)).await).expect("it is told");
    assert_eq!((&*before.value, &*after.value), ("64", "0"), "nothing is kept for who is gone");
    scene.tree.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_actor_that_is_blocked_on_purpose_is_told_of_all_the_same() {
    let mut scene = Scene::start().await;
    let (open, until) = channel();
    let door = scene.the_door().await.probe;
    scene.door.tell(DoorMessage::Block(until));
    let (reply, knocked) = Reply::channel();
    scene.door.tell(DoorMessage::Knock(reply));
    let mut row = scene.the_door().await;
    while row.current.is_none() {
        row = scene.the_door().await;
    }
    assert_eq!((row.current.expect("it is there").0.as_ref(), row.mailbox), ("Block", 1));
    let Sight::Busy(busy) = scene.look(Look::State(door)).await else { panic!("it is blocked") };
    let (kind, since) = busy.current.expect("it handles something");
    assert_eq!((&*kind, busy.mailbox), ("Block", 1), "the knock, and not the question");
    assert!(since >= crate::wire::inspect::STATE_DEADLINE);
    drop(open);
    assert_eq!(knocked.await, Ok(1));
    scene.tree.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_restart_is_its_supervisors_and_is_counted() {
    let mut scene = Scene::start().await;
    let before = scene.the_door().await;
    assert_eq!(scene.look(Look::Restart(before.probe)).await, Sight::Restarted);
    let mut after = scene.the_door().await;
    while after.restarts == 0 {
        after = scene.the_door().await;
    }
    assert_eq!((after.restarts, after.restarted.len(), after.probe), (1, 1, before.probe));
    let root = scene.actors(None).await.remove(2).probe;
    assert!(matches!(scene.look(Look::Restart(root)).await, Sight::Unseen(_)), "a supervisor is not killed");
    scene.tree.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_inspector_that_crashes_again_and_again_stays_away_alone() {
    let mut scene = Scene::start().await;
    let is_there = |rows: &[ActorRow]| rows.iter().any(|row| &*row.kind == InspectorActor::KIND);
    assert!(is_there(&scene.actors(None).await));
    for _ in 0..20 {
        let Ok(Sight::Actors { rows, .. }) = scene
            .inspector
            .ask(SECOND, |reply| InspectorMessage::Look {
                look: Look::Actors { only: Some("inspector".into()), first: First::Oldest, limit: 1 },
                reply,
            })
            .await
        else {
            break;
        };
        let probe = rows.last().expect("it is there").probe;
        let _ = scene
            .inspector
            .ask(SECOND, |reply| InspectorMessage::Look { look: Look::Restart(probe), reply })
            .await;
    }
    assert_eq!(scene.door.ask(SECOND, DoorMessage::Knock).await, Ok(1), "the rest goes on");
    scene.tree.stop().await;
}
