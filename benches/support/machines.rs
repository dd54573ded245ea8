//! The policy core without actors, log or time: graphs, a queue and the fleet, joined as the scheduler joins
//! them.

use std::collections::VecDeque;
use std::sync::Arc;

use policy::demand::Demand;
use policy::fleet::{Asker, Fleet};
use policy::graph::{Effects, Graphs, ItemShape, Mark, Opening, TaskState};
use policy::id::{AttemptNumber, GraphId, NodeId, TaskId, TaskRange};
use policy::node::Room;
use policy::placement::{ShapeId, Shapes};
use policy::queue::{Arrival, Pick, Queue, Taken};
use policy::resources::Resources;
use policy::submission::Submission;
use policy::time::Timestamp;

/// Different needs that are mixed.
pub(crate) const SHAPES: u64 = 20;

/// What a task of this shape needs: 0.1 to 2 cores, and beyond [`SHAPES`] a little more memory each.
pub(crate) fn need(shape: u64) -> Resources {
    let more = (shape / SHAPES) << 12;
    Resources { memory_bytes: ((1 + shape % 4) << 28) + more, ..Resources::cpus(100 * (1 + shape % SHAPES)) }
}

/// So many nodes of 16 cores each, with nothing on them.
pub(crate) fn rooms(nodes: usize) -> Vec<Room> {
    let capacity = Resources { memory_bytes: 64 << 30, ..Resources::cpus(16_000) };
    vec![Room { free: capacity.clone(), capacity, staged: 0, staged_limit: 0 }; nodes]
}

/// So many nodes, as [`rooms`] has them.
pub(crate) struct Machines {
    pub(crate) fleet: Fleet,
    rooms: Vec<Room>,
    /// Attempts that each has been sent.
    sent: Vec<u64>,
}

impl Machines {
    pub(crate) fn new(nodes: usize) -> Self {
        let mut machines = Self { fleet: Fleet::default(), rooms: rooms(nodes), sent: vec![0; nodes] };
        for node in 0..nodes {
            machines.fleet.add(&NodeId::from(format!("n{node:04}").as_str()));
        }
        (0..nodes).for_each(|node| machines.tell(node));
        machines
    }

    /// The node says what is free there.
    fn tell(&mut self, node: usize) {
        let id = self.fleet.id(node).clone();
        self.fleet.changed(&id, Some(self.rooms[node].clone()), self.sent[node]);
    }

    /// Starts a task on the node that suits it best; `None` where none has room.
    pub(crate) fn start(&mut self, demand: &Arc<Demand>, shape: ShapeId) -> Option<usize> {
        let choice = self.fleet.choose(demand, shape, Asker::default())?;
        let need = demand.request(choice.request);
        self.fleet.take(choice.place, need);
        self.sent[choice.place] += 1;
        assert!(self.rooms[choice.place].take(need), "what was placed fits");
        Some(choice.place)
    }

    /// It ends, and the node says so.
    pub(crate) fn end(&mut self, node: usize, need: &Resources) {
        self.rooms[node].free = self.rooms[node].free.checked_add(need).expect("it was taken");
        self.tell(node);
    }
}

/// See the module.
pub(crate) struct Core {
    pub(crate) shapes: Shapes,
    pub(crate) queue: Queue,
    graphs: Graphs,
    machines: Machines,
    running: VecDeque<(TaskId, usize, ShapeId)>,
    effects: Effects,
    next_arrival: Arrival,
}

impl Core {
    /// With so many nodes.
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            shapes: Shapes::new(10_000),
            queue: Queue::new(),
            graphs: Graphs::new(),
            machines: Machines::new(nodes),
            running: VecDeque::new(),
            effects: Effects::default(),
            next_arrival: Arrival(1),
        }
    }

    /// Takes in a graph; what is ready of it is queued.
    pub(crate) fn admit(&mut self, submission: &Submission) {
        let head = submission.head([0; 16]);
        let graph = GraphId(self.graphs.next_task().0);
        let opening = Opening { graph, position: 1, at: Timestamp::default(), head: &head };
        let shapes = &mut self.shapes;
        let items = submission.items.iter().map(|item| {
            let shape = shapes.intern(&Demand::of(&item.spec)).expect("few shapes");
            ItemShape::of(item, shape, 1)
        });
        let items: Vec<_> = items.collect();
        self.graphs.admit(&opening, items, &mut self.effects).expect("well formed");
        self.queue_ready();
    }

    /// Queues so many tasks of so many shapes that belong to no graph.
    pub(crate) fn crowd(&mut self, count: u64, kinds: u64) {
        let shapes: Vec<_> = (0..kinds)
            .map(|shape| self.shapes.intern(&Demand::resources(need(shape))).expect("few shapes"))
            .collect();
        for number in 0..count {
            let tasks = TaskRange { first: TaskId((1 << 40) + 2 * number), count: 1 };
            let arrival = self.arrival(1);
            let shape = shapes[(number % kinds) as usize];
            self.queue.push(tasks, shape, self.shapes.demand(shape).expect("it is in use"), arrival);
        }
    }

    /// Takes the next task that fits, and starts it on its node; `false` where none does.
    pub(crate) fn decide(&mut self) -> bool {
        let Some((taken, node)) = self.next() else { return false };
        self.graphs.activate(taken.task, &mut self.effects);
        self.graphs.granted(taken.task, AttemptNumber(1), Mark::default(), &mut self.effects);
        self.running.push_back((taken.task, node, taken.shape));
        true
    }

    fn next(&mut self) -> Option<(Taken, usize)> {
        let (machines, shapes) = (&mut self.machines, &self.shapes);
        let lanes = self.queue.lanes().map(|(shape, ..)| shape);
        let mut fits = |shape: &ShapeId| {
            shapes.demand(*shape).is_some_and(|demand| machines.fleet.room_for(demand, *shape) > 0)
        };
        let mut fitting: Vec<_> = lanes.filter(&mut fits).collect();
        fitting.sort_unstable();
        let pick = Pick { want: 1, fitting: fitting.into(), now: self.next_arrival, ..Pick::default() };
        let taken = self.queue.pick(&pick).pop()?;
        self.queue.ended(&[taken.shape]);
        let node = machines.start(shapes.demand(taken.shape)?, taken.shape)?;
        Some((taken, node))
    }

    /// What has run for the longest succeeds; `false` where nothing runs.
    pub(crate) fn end_one(&mut self) -> bool {
        let Some((task, node, shape)) = self.running.pop_front() else { return false };
        self.machines.end(node, self.shapes.need(shape).expect("it runs"));
        self.graphs.ended(task, TaskState::Succeeded, Mark::default(), &mut self.effects);
        self.queue_ready();
        true
    }

    fn queue_ready(&mut self) {
        for ready in std::mem::take(&mut self.effects).ready {
            let arrival = self.arrival(u64::from(ready.tasks.count));
            let demand = self.shapes.demand(ready.shape).expect("it is in use");
            self.queue.push(ready.tasks, ready.shape, demand, arrival);
        }
    }

    fn arrival(&mut self, count: u64) -> Arrival {
        let arrival = self.next_arrival;
        self.next_arrival = arrival.after(count);
        arrival
    }
}
