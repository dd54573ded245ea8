//! The daemon's own log: for people or as JSON, to standard error or to files that are put aside when they are
//! large, with a level for each target that can be changed while it runs.
//!
//! What is logged by an actor's handler says by which actor: as `cluster-top` names it (`lease#17`).

use std::fmt;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Mutex;

use actors::config::log::{LogConfig, LogFormat};
use actors::levels::{self, Levels};
use anyhow::Context;
use supervision::ProbeId;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, Layer as Lines, format};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, reload};

use super::rotation::{Keeping, Rotating};

/// The variable that goes before `log.level`.
pub(crate) const VARIABLE: &str = "CRAB_LOG";

type Written = Box<dyn Layer<Registry> + Send + Sync>;

/// Begins the log as the configuration says, with files below `data`.
pub(crate) fn begin(config: &LogConfig, data: &Path) -> anyhow::Result<()> {
    let levels = levels(config)?;
    let (writer, to_terminal) = match &config.file {
        Some(path) => (BoxMakeWriter::new(Mutex::new(rotating(config, &data.join(path))?)), false),
        None => (BoxMakeWriter::new(std::io::stderr), std::io::stderr().is_terminal()),
    };
    let with_colours = to_terminal && std::env::var_os("NO_COLOR").is_none();
    let (filter, handle) = reload::Layer::new(targets(&levels));
    let lines = lines(config.format(), writer, with_colours);
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
    levels::governed_by(levels, move |levels| {
        // It fails only where the subscriber is gone, and then nothing is logged.
        let _ = handle.reload(targets(levels));
    });
    Ok(())
}

/// What the environment says, else the configuration.
fn levels(config: &LogConfig) -> anyhow::Result<Levels> {
    match std::env::var(VARIABLE) {
        Ok(text) if !text.is_empty() => text.parse().with_context(|| format!("{VARIABLE}={text}")),
        _ => config.level().parse().context("log.level"),
    }
}

fn rotating(config: &LogConfig, path: &Path) -> anyhow::Result<Rotating> {
    let keeping = Keeping { file_bytes: config.file_size().0, files: config.files() };
    Rotating::open(path, keeping).with_context(|| format!("cannot write the log {}", path.display()))
}

fn targets(levels: &Levels) -> Targets {
    Targets::new().with_default(levels.all()).with_targets(levels.targets())
}

fn lines(written: LogFormat, writer: BoxMakeWriter, with_colours: bool) -> Written {
    let lines = Lines::new().with_writer(writer).with_ansi(with_colours);
    match written {
        LogFormat::Human => lines
            .event_format(Attributed { within: format().with_ansi(with_colours), is_json: false })
            .boxed(),
        LogFormat::Json => {
            let within = format().json().flatten_event(true).with_current_span(false).with_span_list(false);
            let fields = format::JsonFields::new();
            lines.fmt_fields(fields).event_format(Attributed { within, is_json: true }).boxed()
        }
    }
}

/// Lines with the actor that says them.
struct Attributed<F> {
    within: Format<F>,
    is_json: bool,
}

impl<S, N, F> FormatEvent<S, N> for Attributed<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    Format<F>: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(actor) = supervision::current_actor() else {
            return self.within.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.within.format_event(context, Writer::new(&mut line), event)?;
        writer.write_str(&attributed(&line, actor, self.is_json))
    }
}

fn attributed(line: &str, (kind, ProbeId(probe)): (&str, ProbeId), is_json: bool) -> String {
    let line = line.trim_end_matches('\n');
    match line.strip_suffix('}').filter(|_| is_json) {
        Some(open) => format!("{open},\"actor\":\"{kind}#{probe}\"}}\n"),
        None => format!("{line} actor={kind}#{probe}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_whose_it_is_in_both_formats() {
        let actor = ("lease", ProbeId(17));
        assert_eq!(attributed("INFO x: done n=1\n", actor, false), "INFO x: done n=1 actor=lease#17\n");
        let json = attributed("{\"message\":\"a}\"}\n", actor, true);
        assert_eq!(json, "{\"message\":\"a}\",\"actor\":\"lease#17\"}\n");
    }
}
