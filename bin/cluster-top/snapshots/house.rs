//! A fleet that answers from a script, the same each time: three machines of which two have trouble, and of each sort of thing
//! that is told one.

use std::sync::Arc;
use std::time::Duration;

use actors::client::Client;
use actors::client::service::Service;
use actors::client::transport::BoxFuture;
use actors::clock::Clock;
use actors::console::Console;
use actors::meters::Meters;
use actors::wire::client as told;
use policy::breaker::Seen;
use policy::budget::{Budget, Spent};
use policy::claims::{Blocked, ClaimsView, HolderView, LockView, Mode, RateView, WaitingView, WindowView};
use policy::event::{Event, Record};
use policy::explain::{Ahead, Estimate, Holding, Verdict};
use policy::hindrance::Hindrance;
use policy::id::{AttemptNumber, Epoch, GraphId, TaskId, Token};
use policy::placement::Reason;
use policy::resources::{Resources, Shortage};
use policy::sample::Sample;
use policy::strain::Strain;
use policy::task::{Priority, Progress, TaskOutcome, TaskSpec, Usage};
use policy::time::Timestamp;
use policy::trust::Caller;
use told::{Request, Response, StateName};

use super::{inside, past};

const GIB: u64 = 1 << 30;

/// The console of the fleet; within a runtime whose time stands still.
pub(crate) fn console() -> Console {
    let clock = Clock::simulated();
    let house = House { now: clock.wall() };
    Console::timed(Client::in_process(Arc::new(house), clock), clock)
}

struct House {
    now: Timestamp,
}

impl Service for House {
    fn handle(&self, _: &Caller, request: Request) -> BoxFuture<'static, Response> {
        let response = self.answer(request);
        Box::pin(async move { response })
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn token(number: u64) -> Token {
    Token::numbered(Epoch(1), number)
}

impl House {
    fn answer(&self, request: Request) -> Response {
        match request {
            Request::Hello => Response::Hello(self.server()),
            Request::Status => Response::Status(Box::new(self.status())),
            Request::Nodes => Response::Nodes(self.nodes()),
            Request::Graphs { before: None, .. } => Response::Graphs(self.graphs()),
            Request::Graphs { .. } => Response::Graphs(Vec::new()),
            Request::Graph { graph, .. } => match self.graphs().into_iter().find(|row| row.graph == graph) {
                Some(row) => Response::Graph(Box::new(row)),
                None => Response::NotFound(told::Target::Graph(graph)),
            },
            Request::Tasks { filter, after, .. } => Response::Tasks(self.tasks_of(&filter, after)),
            Request::Task(task) => self
                .task(task)
                .map_or(Response::NotFound(told::Target::Task(task)), |one| Response::Task(Box::new(one))),
            Request::Explain(_) | Request::Suppose(..) => Response::Explanation(Box::new(self.explanation())),
            Request::Claims => Response::Claims(Box::new(claims())),
            Request::Metrics => Response::Metrics(Box::new(self.sample())),
            Request::Events { after, .. } => {
                let all = self.records();
                let next_after = all.len() as u64;
                let records = all.into_iter().filter(|record| record.number > after).collect();
                Response::Events(told::EventsPage { records, next_after, lost_before: 0 })
            }
            Request::Inspect { machine, look } => {
                Response::Inspected(Box::new(inside::inspected(machine.as_ref(), &look)))
            }
            Request::Find(name) => Response::Found(
                self.tasks()
                    .into_iter()
                    .filter(|row| *row.name == *name)
                    .map(|row| told::Found { target: told::Target::Task(row.task), name: row.name })
                    .collect(),
            ),
            other => Response::Refused(format!("the script does not answer {other:?}").into()),
        }
    }

    fn ago(&self, ago: u64) -> Timestamp {
        self.now - seconds(ago)
    }

    fn server(&self) -> told::ServerInfo {
        told::ServerInfo {
            version: "0.1.0".into(),
            name: "studio-1".into(),
            started: self.ago(7200),
            epoch: 1,
            durable: self.records().len() as u64,
        }
    }

    fn status(&self) -> told::Status {
        let tenant = |tenant: &str, share_ppm, budget| told::TenantRow {
            tenant: tenant.into(),
            weight: 1,
            waiting: [0, 1, 1, 0],
            running: [0, 1, 0, 0],
            share_ppm,
            budget,
        };
        let spending = told::SpendingRow {
            budget: Budget { attempts: 500, ..Budget::default() },
            spent: Spent { attempts: 430, ..Spent::default() },
            exceeded: None,
        };
        told::Status {
            server: self.server(),
            tasks: counts(),
            queued: [0, 1, 1, 0],
            tenants: vec![
                tenant("ci", [0, 120_000, 0, 0], Some(Box::new(spending))),
                tenant("default", [0, 700_000, 0, 0], None),
            ],
            graphs: 1,
            nodes: self.nodes(),
            awake: 3,
            warnings: vec![
                "1 task waits in vain: no node can ever run it: studio-1 label os=macos missing".into(),
            ],
            pressure: told::PressureRow { depth: 6, limit: 2_100_000, ..Default::default() },
            halted: false,
            paused: Vec::new(),
            said: Vec::new(),
        }
    }

    fn nodes(&self) -> Vec<told::NodeRow> {
        let node = |name: &str, health, running: u32, heard| told::NodeRow {
            node: name.into(),
            health,
            capacity: Resources { memory_bytes: 64 * GIB, disk_bytes: 200 * GIB, ..Resources::cpus(12_000) },
            allocated: Resources { memory_bytes: 24 * GIB, ..Resources::cpus(u64::from(running) * 4000) },
            running,
            staged: 0,
            heard: self.ago(heard),
            labels: vec![("os".into(), "macos".into()), ("xcode".into(), "16.2".into())],
            version: "0.1.0".into(),
            breakers: Vec::new(),
            directed: Default::default(),
            strain: Strain::default(),
        };
        let drained = told::Directed { cordoned: true, draining: true, ..Default::default() };
        vec![
            node("studio-1", told::NodeHealth::Up, 2, 1),
            told::NodeRow { directed: drained, ..node("studio-2", told::NodeHealth::Up, 0, 2) },
            told::NodeRow {
                breakers: vec![(None, Seen::Open(seconds(41)))],
                version: "0.0.9".into(),
                ..node("mac-mini-3", told::NodeHealth::Suspect, 0, 9)
            },
        ]
    }

    fn graphs(&self) -> Vec<told::GraphRow> {
        let budget = told::BudgetRow {
            budget: Budget { attempts: 50, wall: seconds(3600), ..Budget::default() },
            spent: Spent { attempts: 7, wall: seconds(600), ..Spent::default() },
            reached: None,
        };
        vec![told::GraphRow {
            graph: GraphId(1),
            name: "release".into(),
            submitted: self.ago(400),
            ended: None,
            tasks: counts(),
            unschedulable: 1,
            budget: Some(Box::new(budget)),
        }]
    }

    fn tasks(&self) -> Vec<told::TaskRow> {
        let row = |task, name: &str, state, priority, since| told::TaskRow {
            task: TaskId(task),
            graph: GraphId(1),
            name: name.into(),
            state,
            priority,
            tenant: if task % 2 == 0 { "ci".into() } else { "default".into() },
            attempts: 1,
            node: None,
            since: self.ago(since),
            outcome: None,
            in_use: None,
            progress: None,
            about: None,
            step: None,
        };
        let sample = Sample {
            at: self.ago(1),
            cpu: seconds(95),
            memory_bytes: 11 * GIB,
            peak_memory_bytes: 12 * GIB,
            processes: 9,
            output_bytes: 48_000,
        };
        vec![
            told::TaskRow {
                outcome: Some(TaskOutcome::Succeeded),
                node: Some("studio-1".into()),
                ..row(1, "build", StateName::Succeeded, Priority::Normal, 300)
            },
            told::TaskRow {
                node: Some("studio-1".into()),
                in_use: Some(Box::new(sample)),
                progress: Some(Box::new(Progress { permille: Some(400), doing: "linking".into() })),
                ..row(2, "cargo nextest run --workspace[17]", StateName::Running, Priority::Normal, 120)
            },
            told::TaskRow {
                node: Some("studio-1".into()),
                ..row(3, "größe-測定", StateName::Running, Priority::Normal, 61)
            },
            row(4, "edit", StateName::Ready, Priority::High, 372),
            row(5, "xcode", StateName::Ready, Priority::Normal, 200),
            row(6, "report", StateName::Waiting, Priority::Critical, 400),
        ]
    }

    fn tasks_of(&self, filter: &told::TaskFilter, after: Option<TaskId>) -> Vec<told::TaskRow> {
        let wanted = |row: &told::TaskRow| {
            (filter.states.is_empty() || filter.states.contains(&row.state))
                && after.is_none_or(|after| row.task > after)
        };
        self.tasks().into_iter().filter(wanted).collect()
    }

    fn task(&self, task: TaskId) -> Option<told::TaskDetail> {
        let row = self.tasks().into_iter().find(|row| row.task == task)?;
        let mut spec = TaskSpec::new(&*row.name, vec!["cargo".into(), "nextest".into(), "run".into()]);
        spec.environment.push(("TOKEN".into(), "hidden".into()));
        let attempt = told::AttemptRow {
            number: AttemptNumber(1),
            request: Default::default(),
            token: token(21),
            node: "studio-1".into(),
            granted: self.ago(121),
            started: Some(self.ago(120)),
            pid: Some(48_121),
            ended: None,
            outcome: None,
            usage: Usage::default(),
        };
        let events =
            self.records().into_iter().filter(|record| is_of(record, task)).map(|record| (0, record));
        Some(told::TaskDetail {
            attempts: if row.node.is_some() { vec![attempt] } else { Vec::new() },
            row,
            array_index: None,
            spec: Arc::new(spec),
            dependencies: Vec::new(),
            waits_for: None,
            submitted: self.ago(400),
            events: events.collect(),
        })
    }

    fn explanation(&self) -> told::Explanation {
        let row = self.tasks().swap_remove(3);
        let short = Shortage { resource: "memory_bytes".into(), needed: 24 * GIB, available: 17 * GIB };
        let nodes = vec![
            ("studio-1".into(), Reason::Short(vec![short])),
            ("studio-2".into(), Reason::NotAccepting("draining".into())),
            ("mac-mini-3".into(), Reason::NotAccepting("its breaker is open".into())),
        ];
        let blocked = Blocked::Lock { lock: "repo".into(), holders: vec![TaskId(2)], count: 1 };
        let holding = Holding {
            task: TaskId(2),
            priority: Priority::Normal,
            node: "studio-1".into(),
            held_for: seconds(120),
            free_in: Some(seconds(200)),
        };
        told::Explanation {
            row,
            verdict: Verdict::NotNow,
            blocked_by: Vec::new(),
            hindrances: vec![
                Hindrance::Claim { blocked, until: None },
                Hindrance::NoNode { never: false, nodes },
            ],
            evicting: None,
            makes_room_for: None,
            lent: None,
            evicted: None,
            holdings: vec![holding],
            ahead: Some(Ahead {
                tasks: 2,
                first: Some(TaskId(5)),
                own: 2,
                is_exact: true,
                ..Ahead::default()
            }),
            usual: Some(seconds(200)),
            estimate: Some(Estimate {
                start_in: seconds(200),
                by: "the usual length of what holds what it needs".into(),
            }),
        }
    }

    fn sample(&self) -> told::Sample {
        told::Sample {
            at: self.now,
            server: self.server(),
            status: Some(Box::new(self.status())),
            meters: Meters::default().read(),
            actors: Vec::new(),
            log_trouble: None,
        }
    }

    /// What has happened, a second after the other, from 400 seconds ago on.
    fn records(&self) -> Vec<Record> {
        let events = past::events();
        let record = |(place, event): (usize, Event)| {
            let number = place as u64 + 1;
            Record {
                number,
                at: self.ago(400) + seconds(number),
                cause: number.min(2),
                correlation: 1,
                event,
            }
        };
        events.into_iter().enumerate().map(record).collect()
    }
}

fn is_of(record: &Record, of: TaskId) -> bool {
    matches!(&record.event, Event::Task { task, .. } if *task == of)
}

fn counts() -> told::TaskCounts {
    told::TaskCounts { waiting: 1, ready: 2, active: 2, succeeded: 1, ..Default::default() }
}

fn claims() -> ClaimsView {
    let holder = HolderView {
        task: TaskId(2),
        node: "studio-1".into(),
        priority: Priority::Normal,
        held_for: seconds(120),
    };
    let window = |unit: &str, used, limit, length| WindowView { unit: unit.into(), used, limit, length };
    ClaimsView {
        locks: vec![LockView { name: "repo".into(), mode: Mode::Exclusive, holders: vec![holder] }],
        rates: vec![RateView {
            name: "llm:org-1".into(),
            parked_for: None,
            windows: vec![
                window("calls", 50, 50, seconds(60)),
                window("tokens", 12_000, 2_000_000, seconds(86_400)),
            ],
        }],
        waiting: vec![WaitingView {
            task: TaskId(4),
            tasks: 2,
            priority: Priority::High,
            blocked: Blocked::Lock { lock: "repo".into(), holders: vec![TaskId(2)], count: 1 },
        }],
        ..ClaimsView::default()
    }
}
