//! What is said between machines has the layout that was stored with its number.

use policy::layout::Layout;
use policy::task::TaskSpec;
use policy::{
    artifact, bounds, breaker, budget, causes, claims, constraint, dependency, directive, event, excess,
    explain, hindrance, output, placement, pressure, provision, signal, stages, strain, task, tenant, trust,
    workspace,
};
use serde_reflection::{Tracer, TracerConfig};
use supervision::{ChildState, First};

use super::{client, codec, fleet, inspect};
use crate::process::protocol;

/// Traces types; of those that are enums every variant, however deep they stand.
macro_rules! traced {
    ($tracer:ident: $($kind:ty),+) => { $( $tracer.trace_simple_type::<$kind>()?; )+ };
}

fn traced() -> Result<String, serde_reflection::Error> {
    let mut tracer = tracer();
    traced!(tracer: client::Request, client::Response, fleet::ToWorker, fleet::FromWorker, inspect::Look, inspect::Sight);
    traced!(tracer: client::Enrolled, client::Enrolment, client::EventFilter, client::NodeHealth, client::Origin);
    traced!(tracer: client::StateName, client::Target, client::WhereTo, fleet::OutputFrom, fleet::Phase, fleet::StopCause);
    traced!(tracer: inspect::Action, ChildState, First, Result<fleet::OutputPiece, fleet::OutputRefusal>);
    trace_records(&mut tracer)?;
    traced!(tracer: claims::Blocked, explain::Verdict, hindrance::Hindrance, placement::Reason, output::Stream);
    // What a worker and its process host say to each other has the same layouts.
    traced!(tracer: protocol::Command, protocol::HostReport, protocol::HostedPhase, protocol::StopReason);
    traced!(tracer: fleet::OutputRefusal, tenant::OverQuota, breaker::Seen, directive::Stopped, trust::FleetRole);
    traced!(tracer: signal::TaskSignal, fleet::ArtifactRead, fleet::ArtifactPiece, fleet::ArtifactRefusal);
    traced!(tracer: artifact::Sort, artifact::WhyLeftOut, fleet::ArtifactAnswer);
    lines(tracer)
}

pub(crate) fn tracer() -> Tracer {
    Tracer::new(TracerConfig::default().is_human_readable(false))
}

/// Traces records with all that they are made of: these are said as well as kept.
pub(crate) fn trace_records(tracer: &mut Tracer) -> Result<(), serde_reflection::Error> {
    traced!(tracer: event::Record, event::Event, event::GraphEvent, event::TaskEvent, event::NodeEvent);
    traced!(tracer: event::SchedulerEvent, event::Next, task::AttemptOutcome, task::TaskOutcome, task::LossReason);
    traced!(tracer: task::Priority, task::Qos, task::Signals, dependency::Need, dependency::On);
    traced!(tracer: bounds::Deadline, bounds::TimeLimit, excess::UseLimit, constraint::AvoidFailed, constraint::Test);
    traced!(tracer: claims::Mode, breaker::Change, budget::Meter, budget::OnReached, directive::Directive);
    traced!(tracer: directive::Scope, pressure::Mode, workspace::Source, workspace::Keep, workspace::WhyKept);
    traced!(tracer: strain::Level, strain::Sign, provision::Sandbox, causes::Cause);
    traced!(tracer: stages::Stage, stages::StepOutcome, artifact::Kind);
    Ok(())
}

/// Every type that was traced: its fields and variants, in order.
pub(crate) fn lines(tracer: Tracer) -> Result<String, serde_reflection::Error> {
    let lines = tracer.registry()?.into_iter().map(|(name, format)| {
        let format = serde_json::to_string(&format).expect("a format is text");
        format!("{name} {format}\n")
    });
    Ok(lines.collect())
}

/// In which types what was traced and what is `known` differ, as it was and is.
pub(crate) fn changes(traced: &Result<String, serde_reflection::Error>, known: &str) -> Vec<String> {
    match traced {
        Ok(traced) if traced == known => Vec::new(),
        Ok(traced) => {
            let missing = |here: &str, there: &str, sign| -> Vec<String> {
                let missing = here.lines().filter(|line| !there.lines().any(|other| other == *line));
                missing.map(|line| format!("{sign} {line}")).collect()
            };
            [missing(known, traced, '-'), missing(traced, known, '+')].concat()
        }
        Err(error) => vec![format!("{error}: {} Trace it as well.", error.explanation())],
    }
}

#[test]
fn what_is_said_has_the_layout_of_its_number() {
    let changes = changes(&traced(), include_str!("samples/layout-20.types"));
    assert!(changes.is_empty(), "what is said changed; how it may is said in policy::layout: {changes:#?}");
}

/// For a new layout: `cargo test -p knittingcrab-actors --lib -- --ignored writes_the_current_layout`.
#[test]
#[ignore = "writes what the test above reads"]
fn writes_the_current_layout_of_what_is_said() {
    let number = Layout::CURRENT.number();
    let path = format!("{}/src/wire/samples/layout-{number}.types", env!("CARGO_MANIFEST_DIR"));
    std::fs::write(path, traced().unwrap()).unwrap();
}

/// A peer of the version before neither gets nor sends what was added.
#[test]
fn a_peer_that_speaks_an_older_layout_is_understood_and_understands() {
    let mut task = TaskSpec::new("t", vec!["true".into()]);
    task.is_preemptible = true;
    let said = codec::encode_as(Layout::FIRST, &task);
    assert!(said.len() < codec::encode(&task).len());
    task.is_preemptible = false;
    assert_eq!(codec::decode_as(Layout::FIRST, &said, 1000), Ok(task));
}
