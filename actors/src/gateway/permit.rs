//! Who may ask what. Every kind of request asks for one right; without it nothing else of it is looked at.
//!
//! The table of roles is in `policy::trust`. Where a right is for a caller's own tenant alone, what is asked is
//! cut down to that, and what is another's is as if it were not there.

use std::sync::Arc;

use policy::event::Item;
use policy::id::GraphId;
use policy::submission::Submission;
use policy::trust::{Caller, Member, Permission, Right};

use crate::gateway::answer::Answerer;
use crate::scheduler::SchedulerMessage;
use crate::side::Side;
use crate::wire::client::{EventFilter, PAGE_LIMIT, Request, Response, Target, TaskFilter};

/// What a request asks to be allowed.
#[must_use]
pub fn right(request: &Request) -> Right {
    match request {
        Request::Hello => Right::Greet,
        Request::Nodes => Right::Machines,
        Request::Graphs { .. }
        | Request::Graph { .. }
        | Request::Tasks { .. }
        | Request::Task(_)
        | Request::Find(_)
        | Request::Events { .. }
        | Request::Output { .. }
        | Request::Artifact { .. }
        | Request::Explain(_)
        | Request::Suppose(..) => Right::See,
        Request::Status
        | Request::Metrics
        | Request::Claims
        | Request::Settings
        | Request::Oldest(_)
        | Request::Inspect { .. } => Right::Survey,
        Request::Submit(_) | Request::Run { .. } => Right::Submit,
        Request::Cancel(_) | Request::Retry(_) | Request::Resume { .. } | Request::Signal(..) => {
            Right::Change
        }
        // Whoever is told the way to a machine gets a shell there.
        Request::Direct { .. } | Request::Drain { .. } | Request::Operate { .. } | Request::Way(_) => {
            Right::Operate
        }
        Request::Cluster(_) => Right::Enrol,
    }
}

/// The door's look at a request: whether it may come in at all. What a member wants done is said to be theirs, whatever
/// the request says, and written down.
///
/// # Errors
/// The refusal, which was written down.
pub(crate) fn admit(side: &Side, caller: &Caller, request: Request) -> Result<Request, Response> {
    let Some(member) = caller.member() else { return Ok(request) };
    let asked = right(&request);
    if caller.permits(asked) == Permission::Denied {
        let (kind, right): (&'static str, &'static str) = ((&request).into(), asked.into());
        let why = format!("as {} you have no right to {right}", member.role);
        side.audit.refused((&side.log, side.clock), &caller.to_string(), kind, &why);
        let next = format!("{why}: ask an operator, or for an invitation with another role");
        return Err(Response::Refused(next.into()));
    }
    if let Request::Cancel(target) | Request::Retry(target) = &request {
        let kind: &'static str = (&request).into();
        let target = crate::client::error::target_text(*target);
        side.audit.done(&side.log, &caller.to_string(), &format!("{kind} {target}"));
    }
    Ok(named(request, &caller.to_string()))
}

/// The same, by whom the certificate names.
fn named(request: Request, who: &str) -> Request {
    match request {
        Request::Direct { directive, reason, .. } => Request::Direct { directive, by: who.into(), reason },
        Request::Drain { node, within, reason, .. } => {
            Request::Drain { node, within, by: who.into(), reason }
        }
        Request::Operate { reason, action, .. } => Request::Operate { by: who.into(), reason, action },
        other => other,
    }
}

/// What an agent submits is its tenant's, whatever it says: `crab` names its user where nobody names a tenant.
fn adopt(submission: &mut Submission, tenant: &Arc<str>) {
    for Item { spec, .. } in &mut submission.items {
        if spec.tenant != *tenant {
            Arc::make_mut(spec).tenant = Arc::clone(tenant);
        }
    }
}

impl Answerer {
    /// Answers as far as the caller may know.
    pub(super) async fn answer_to(self: &Arc<Self>, caller: &Caller, request: Request) -> Response {
        let asked = right(&request);
        match (caller.permits(asked), caller.member()) {
            (Permission::Granted, _) => self.answer(caller, request).await,
            (Permission::OwnTenant, Some(member)) => self.answer_within(member, caller, request).await,
            (Permission::OwnTenant | Permission::Denied, _) => {
                let right: &'static str = asked.into();
                Response::Refused(format!("{caller} has no right to {right}").into())
            }
        }
    }

    async fn answer_within(
        self: &Arc<Self>,
        member: &Arc<Member>,
        caller: &Caller,
        mut request: Request,
    ) -> Response {
        if let Request::Submit(submission) | Request::Run { submission, .. } = &mut request {
            adopt(submission, &member.tenant);
        }
        match self.check_own(&member.tenant, &request).await {
            Ok(()) => {}
            Err(refusal) => {
                if let Response::NotFound(_) | Response::Refused(_) = &refusal {
                    let kind: &'static str = (&request).into();
                    let why = "it is of another tenant, or not there";
                    self.side.audit.refused(
                        (&self.side.log, self.side.clock),
                        &caller.to_string(),
                        kind,
                        why,
                    );
                }
                return refusal;
            }
        }
        match request {
            Request::Graphs { before, limit } => self.own_graphs(&member.tenant, before, limit).await,
            Request::Find(name) => self.own_found(&member.tenant, name).await,
            other => match self.answer(caller, other).await {
                Response::Conflict { graph } => self.conflict(&member.tenant, graph).await,
                answer => answer,
            },
        }
    }

    /// A key is everybody's; whose graph has it is told to its tenant alone.
    async fn conflict(&self, tenant: &Arc<str>, graph: GraphId) -> Response {
        match self.check_target(tenant, Target::Graph(graph)).await {
            Ok(()) => Response::Conflict { graph },
            Err(_) => Response::Refused("the key was used by somebody else: choose another key".into()),
        }
    }

    /// Whether everything that a request names is the tenant's. A graph is its first task's tenant's.
    async fn check_own(&self, tenant: &Arc<str>, request: &Request) -> Result<(), Response> {
        match request {
            Request::Submit(submission) | Request::Run { submission, .. } => match submission.into {
                Some(graph) => self.check_target(tenant, Target::Graph(graph)).await,
                None => Ok(()),
            },
            Request::Cancel(target) | Request::Retry(target) => self.check_target(tenant, *target).await,
            Request::Task(task)
            | Request::Explain(task)
            | Request::Suppose(task, _)
            | Request::Signal(task, _)
            | Request::Output { task, .. }
            | Request::Artifact { task, .. }
            | Request::Events { filter: EventFilter::Task(task), .. } => {
                self.check_target(tenant, Target::Task(*task)).await
            }
            Request::Resume { graph, .. }
            | Request::Graph { graph, .. }
            | Request::Events { filter: EventFilter::Graph(graph), .. }
            | Request::Tasks { filter: TaskFilter { graph: Some(graph), .. }, .. } => {
                self.check_target(tenant, Target::Graph(*graph)).await
            }
            // Cut down afterwards.
            Request::Graphs { .. } | Request::Find(_) => Ok(()),
            Request::Events { filter: EventFilter::All, .. } | Request::Tasks { .. } => {
                Err(Response::Refused(
                    "an agent sees what is its tenant's: name a graph or a task of yours".into(),
                ))
            }
            Request::Hello
            | Request::Nodes
            | Request::Status
            | Request::Metrics
            | Request::Claims
            | Request::Settings
            | Request::Oldest(_)
            | Request::Inspect { .. }
            | Request::Direct { .. }
            | Request::Drain { .. }
            | Request::Operate { .. }
            | Request::Way(_)
            | Request::Cluster(_) => Err(Response::Refused("this is not for one tenant".into())),
        }
    }

    async fn check_target(&self, tenant: &Arc<str>, target: Target) -> Result<(), Response> {
        let tenants = self.tenants(vec![target]).await?;
        if tenants.first().is_some_and(|found| found.as_ref() == Some(tenant)) {
            Ok(())
        } else {
            Err(Response::NotFound(target))
        }
    }

    async fn tenants(&self, targets: Vec<Target>) -> Result<Vec<Option<Arc<str>>>, Response> {
        self.ask(|reply| SchedulerMessage::Tenants(targets, reply)).await
    }

    /// A page of the tenant's graphs. Pages that are all others' are passed over, since an empty one is the end.
    async fn own_graphs(
        self: &Arc<Self>,
        tenant: &Arc<str>,
        mut before: Option<GraphId>,
        limit: u32,
    ) -> Response {
        loop {
            let page = Request::Graphs { before, limit: limit.min(PAGE_LIMIT) };
            let mut rows = match self.answer(&Caller::Local, page).await {
                Response::Graphs(rows) if !rows.is_empty() => rows,
                other => return other,
            };
            before = rows.last().map(|row| row.graph);
            let targets = rows.iter().map(|row| Target::Graph(row.graph)).collect();
            let tenants = match self.tenants(targets).await {
                Ok(tenants) => tenants,
                Err(busy) => return busy,
            };
            let mut of_row = tenants.iter();
            rows.retain(|_| of_row.next().is_some_and(|found| found.as_ref() == Some(tenant)));
            if !rows.is_empty() {
                return Response::Graphs(rows);
            }
        }
    }

    async fn own_found(self: &Arc<Self>, tenant: &Arc<str>, name: Arc<str>) -> Response {
        let mut found = match self.answer(&Caller::Local, Request::Find(name)).await {
            Response::Found(found) => found,
            other => return other,
        };
        let tenants = match self.tenants(found.iter().map(|one| one.target).collect()).await {
            Ok(tenants) => tenants,
            Err(busy) => return busy,
        };
        let mut of_one = tenants.iter();
        found.retain(|_| of_one.next().is_some_and(|theirs| theirs.as_ref() == Some(tenant)));
        Response::Found(found)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use policy::budget::Raise;
    use policy::directive::Directive;
    use policy::event::SubmissionKey;
    use policy::id::{NodeId, TaskId};
    use policy::signal::TaskSignal;
    use policy::trust::FleetRole;
    use strum::{VariantArray, VariantNames};

    use super::*;
    use crate::wire::client::{Enrolment, WhatIf, WhereTo};
    use crate::wire::fleet::{ArtifactRead, OutputFrom, OutputRead};
    use crate::wire::inspect::{Action, Look};

    const READ: OutputRead = OutputRead { from: OutputFrom::Cursor(0), max_bytes: 1, wait: Duration::ZERO };

    /// One of each kind, with the roles that may ask it: agent, viewer, operator. Never a worker.
    fn table() -> Vec<(Request, [Permission; 3])> {
        use Permission::{Denied, Granted, OwnTenant};
        let submission = || Box::new(Submission::new(SubmissionKey(1), "g", Vec::new()));
        let (graph, task, wait) = (GraphId(1), TaskId(1), Duration::ZERO);
        let everybody = [Granted, Granted, Granted];
        let sees = [OwnTenant, Granted, Granted];
        let surveys = [Denied, Granted, Granted];
        let changes = [OwnTenant, Denied, Granted];
        let operates = [Denied, Denied, Granted];
        let events = |filter| Request::Events { after: 0, filter, limit: 1, wait };
        let (node, by) = (NodeId::from("n"), Arc::from("x"));
        vec![
            (Request::Hello, everybody),
            (Request::Nodes, everybody),
            (Request::Graphs { before: None, limit: 1 }, sees),
            (Request::Graph { graph, wait }, sees),
            (Request::Tasks { filter: TaskFilter::default(), after: None, limit: 1 }, sees),
            (Request::Task(task), sees),
            (Request::Find("x".into()), sees),
            (events(EventFilter::All), sees),
            (Request::Output { task, attempt: None, read: READ }, sees),
            (Request::Artifact { task, attempt: None, read: ArtifactRead::Manifest { from: 0 } }, sees),
            (Request::Explain(task), sees),
            (Request::Suppose(task, WhatIf::default()), sees),
            (Request::Status, surveys),
            (Request::Metrics, surveys),
            (Request::Claims, surveys),
            (Request::Settings, surveys),
            (Request::Oldest(1), surveys),
            (
                Request::Inspect {
                    machine: None,
                    look: Look::Actors { only: None, first: supervision::First::Oldest, limit: 1 },
                },
                surveys,
            ),
            (Request::Submit(submission()), changes),
            (Request::Run { submission: submission(), wait, report: false }, changes),
            (Request::Cancel(Target::Task(task)), changes),
            (Request::Retry(Target::Task(task)), changes),
            (Request::Resume { graph, raise: Raise::default() }, changes),
            (Request::Signal(task, TaskSignal::Usr1), changes),
            (
                Request::Direct {
                    directive: Directive::Cordon(node.clone()),
                    by: Arc::clone(&by),
                    reason: "".into(),
                },
                operates,
            ),
            (Request::Drain { node, within: None, by, reason: "".into() }, operates),
            (
                Request::Operate {
                    by: "x".into(),
                    reason: "".into(),
                    action: Action::Cancel(Target::Task(task)),
                },
                operates,
            ),
            (Request::Way(WhereTo::Task(task)), operates),
            (Request::Cluster(Enrolment::List), operates),
        ]
    }

    #[test]
    fn each_role_may_ask_each_kind_of_request_or_not() {
        let mut kinds: Vec<&'static str> = table().iter().map(|(request, _)| request.into()).collect();
        let mut all = Request::VARIANTS.to_vec();
        kinds.sort_unstable();
        all.sort_unstable();
        assert_eq!(kinds, all, "each kind once");
        for (request, expected) in table() {
            let kind: &'static str = (&request).into();
            for (role, expected) in
                FleetRole::VARIANTS.iter().zip([Permission::Denied, expected[0], expected[2], expected[1]])
            {
                assert_eq!(role.permits(right(&request)), expected, "{role} {kind}");
            }
        }
    }

    #[test]
    fn what_an_agent_submits_is_its_tenants_and_who_says_so_is_the_certificate() {
        let item = |tenant: &str| Item {
            spec: Arc::new(policy::task::TaskSpec {
                tenant: tenant.into(),
                ..policy::task::TaskSpec::new("t", vec!["true".into()])
            }),
            dependencies: Vec::new(),
            array: None,
        };
        let mut submission = Submission::new(SubmissionKey(1), "g", vec![item("bot"), item("other")]);
        adopt(&mut submission, &"bot".into());
        let tenants: Vec<_> = submission.items.iter().map(|item| &*item.spec.tenant).collect();
        assert_eq!(tenants, ["bot", "bot"]);
        let (by, reason) = ("eve@x".into(), "new disk".into());
        let request = Request::Direct { directive: Directive::Cordon("n".into()), by, reason };
        let Request::Direct { by, reason, .. } = named(request, "operator olga") else { panic!() };
        assert_eq!((&*by, &*reason), ("operator olga", "new disk"));
    }
}
