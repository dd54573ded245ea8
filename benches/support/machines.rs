//! The policy core without actors, log or time: graphs, queues and rooms of nodes, joined as the scheduler
//! joins them.

use std::collections::VecDeque;

use policy::constraint::Labels;
use policy::demand::Demand;
use policy::graph::{Effects, Graphs, ItemShape, Mark, Opening, TaskState};
use policy::id::{AttemptNumber, GraphId, TaskId, TaskRange};
use policy::node::Room;
use policy::placement::{Candidate, Held, Search, ShapeId, Shapes, feasible, place};
use policy::queue::{Arrival, Pick, Queue, Taken};
use policy::resources::Resources;
use policy::submission::Submission;
use policy::time::Timestamp;

/// Different needs that are mixed.
pub(crate) const SHAPES: u64 = 20;

/// What a task of this shape needs: 0.1 to 2 cores.
pub(crate) fn need(shape: u64) -> Resources {
    Resources { memory_bytes: (1 + shape % 4) << 28, ..Resources::cpus(100 * (1 + shape % SHAPES)) }
}

/// So many nodes of 16 cores each, with nothing on them.
pub(crate) fn rooms(nodes: usize) -> Vec<Room> {
    let capacity = Resources { memory_bytes: 64 << 30, ..Resources::cpus(16_000) };
    vec![Room { free: capacity.clone(), capacity, staged: 0, staged_limit: 0 }; nodes]
}

/// All of them, as placement sees them.
pub(crate) fn candidates<'a>(rooms: &'a [Room], labels: &'a Labels) -> Vec<Candidate<'a>> {
    rooms.iter().map(|room| Candidate { room, labels, accepting: Ok(()), held: Held::No }).collect()
}

/// See the module.
pub(crate) struct Core {
    pub(crate) shapes: Shapes,
    pub(crate) queue: Queue,
    graphs: Graphs,
    rooms: Vec<Room>,
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
            rooms: rooms(nodes),
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

    /// Queues so many tasks of all shapes that belong to no graph.
    pub(crate) fn crowd(&mut self, count: u64) {
        let shapes: Vec<_> = (0..SHAPES)
            .map(|shape| self.shapes.intern(&Demand::resources(need(shape))).expect("few shapes"))
            .collect();
        for number in 0..count {
            let tasks = TaskRange { first: TaskId((1 << 40) + 2 * number), count: 1 };
            let arrival = self.arrival(1);
            let shape = shapes[(number % SHAPES) as usize];
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
        let (rooms, shapes) = (&mut self.rooms, &self.shapes);
        let labels = Labels::default();
        let open = candidates(rooms, &labels);
        let lanes = self.queue.lanes().map(|(shape, ..)| shape);
        let fits = |shape: &ShapeId| shapes.demand(*shape).is_some_and(|demand| feasible(demand, &open));
        let mut fitting: Vec<_> = lanes.filter(fits).collect();
        fitting.sort_unstable();
        let pick = Pick { want: 1, fitting: fitting.into(), now: self.next_arrival, ..Pick::default() };
        let taken = self.queue.pick(&pick).pop()?;
        self.queue.ended(&[taken.shape]);
        let node = place(Search::of(shapes.demand(taken.shape)?), &open).ok()?.place;
        rooms[node].take(shapes.need(taken.shape)?);
        Some((taken, node))
    }

    /// What has run for the longest succeeds; `false` where nothing runs.
    pub(crate) fn end_one(&mut self) -> bool {
        let Some((task, node, shape)) = self.running.pop_front() else { return false };
        let need = self.shapes.need(shape).expect("it runs");
        self.rooms[node].free = self.rooms[node].free.checked_add(need).expect("it was taken");
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
