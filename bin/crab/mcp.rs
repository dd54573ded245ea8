//! `crab mcp`: the fleet as tools of a coding agent, by the Model Context Protocol on standard input and output.
//!
//! Each tool is a command of this program and takes the same values: what is refused, and how that is said, is the same
//! for agents and people. It knows nothing of scheduling, and keeps nothing between two calls.

mod line;
mod tool;
mod watch;
mod work;

use std::future::ready;

use clap::Parser;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData, Implementation,
    ListResourcesResult, ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams,
    ReadResourceResponse, ReadResourceResult, Resource, ResourceContents, ServerCapabilities, ServerConfig,
    Tool,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler, ServiceExt};
use serde::Deserialize;

use crate::cli::args::later::Later;
use crate::cli::args::{Cli, Command};
use crate::cli::exit::Exit;
use crate::cli::mcp::tool::{Call, TOOLS};
use crate::cli::screen::Screen;
use crate::cli::session::Session;

/// What an agent is told before anything else.
const INSTRUCTIONS: &str = "\
Runs commands on a fleet of machines: durable, queued by priority and resources, tried again as asked.
Submit one command with submit_command or a graph of tasks with submit_tasks (its format: resource crab://task-file). \
With wait_seconds the answer comes when it has ended or the time is over, for a single task with what it wrote; wait goes on waiting. \
Where something failed, logs shows what it wrote; where something does not start, explain says why. \
t12 is a task, g12 a graph; names work where they are unique. Times are RFC 3339, lengths of time are in seconds.";

/// Where the format of task files is.
const TASK_FILE: &str = "crab://task-file";

/// Serves one agent until it closes standard input.
pub(crate) async fn serve(session: Session) -> anyhow::Result<Exit> {
    let service = Server { session }.serve(rmcp::transport::io::stdio()).await?;
    service.waiting().await?;
    Ok(Exit::SUCCESS)
}

/// The commands of this program as tools.
#[derive(Debug)]
struct Server {
    session: Session,
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_resources().build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("knittingcrab", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> impl Future<Output = Result<ListToolsResult, ErrorData>> + Send {
        ready(Ok(ListToolsResult::with_all_items(TOOLS.iter().map(tool::Tool::described).collect())))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tool::find(name).map(tool::Tool::described)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(tool) = tool::find(&request.name) else {
            return Err(ErrorData::invalid_params(format!("there is no tool {:?}", request.name), None));
        };
        let call = match tool.read(request.arguments.unwrap_or_default()) {
            Ok(call) => call,
            Err(error) => return Ok(refused(format!("{}: {error}", request.name)).into()),
        };
        // An agent that does not want the answer any more gets none; what it has submitted goes on.
        tokio::select! {
            biased;
            () = context.ct.cancelled() => Ok(refused("cancelled".to_owned()).into()),
            answer = answer(&self.session, call) => Ok(answer.into()),
        }
    }

    fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> impl Future<Output = Result<ListResourcesResult, ErrorData>> + Send {
        let resource = Resource::new(TASK_FILE, "task-file")
            .with_description("JSON schema of task files")
            .with_mime_type("application/schema+json");
        ready(Ok(ListResourcesResult::with_all_items(vec![resource])))
    }

    fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> impl Future<Output = Result<ReadResourceResponse, ErrorData>> + Send {
        ready(if request.uri == TASK_FILE {
            let text = ResourceContents::text(actors::taskfile::schema(), TASK_FILE);
            Ok(ReadResourceResult::new(vec![text]).into())
        } else {
            let text = format!("there is no resource {:?}, but {TASK_FILE}", request.uri);
            Err(ErrorData::resource_not_found(text, None))
        })
    }
}

fn refused(text: String) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(text)])
}

/// Does what is asked; for a submission also waits where that is asked, and of a single task that has ended tells what
/// it wrote.
async fn answer(session: &Session, call: Call) -> CallToolResult {
    let wait = call.wait_seconds;
    let mut told = match perform(session, call).await {
        Ok(told) => vec![told],
        Err(text) => return refused(text),
    };
    let Some((submitted, seconds)) = Submitted::read(&told[0]).zip(wait) else { return answered(told) };
    let target = submitted.single().unwrap_or(submitted.graph);
    match perform(session, watch::wait_for(target.clone(), seconds)).await {
        Ok(end) => told.push(end),
        Err(text) => return refused(format!("{}submitted, but waiting for it failed: {text}", told[0])),
    }
    if submitted.tasks == 1 {
        // One that has not started yet has written nothing.
        told.extend(perform(session, watch::logs_of(target)).await.ok().filter(|text| !text.is_empty()));
    }
    answered(told)
}

fn answered(told: Vec<String>) -> CallToolResult {
    CallToolResult::success(told.into_iter().map(ContentBlock::text).collect())
}

/// What a submission has made, as the command tells it.
#[derive(Debug, Deserialize)]
struct Submitted {
    graph: String,
    first_task: String,
    tasks: u64,
}

impl Submitted {
    fn read(told: &str) -> Option<Self> {
        serde_json::from_str(told.lines().next()?).ok()
    }

    /// The one task, where it is one: more is told of it than of a graph.
    fn single(&self) -> Option<String> {
        (self.tasks == 1).then(|| self.first_task.clone())
    }
}

/// Runs a command of this program; what it wrote, or what went wrong.
async fn perform(session: &Session, call: Call) -> Result<String, String> {
    let mut cli = Cli::try_parse_from(&call.line.0).map_err(|error| error.render().to_string())?;
    if let Command::Submit(Later(submit)) = &mut cli.command {
        submit.work.text = call.tasks;
    }
    let (mut screen, [out, notes]) = Screen::remembering(call.json);
    let done = crate::dispatch(session, cli.command, &mut screen).await;
    match done {
        // That something has failed, or has not ended in time, is what was asked for.
        Ok(Exit::SUCCESS | Exit::FAILURE | Exit::CONDITION) => Ok(out.text() + &notes.text()),
        Ok(exit) => Err(format!("{}{}exit code {}", out.text(), notes.text(), exit.0)),
        Err(error) => Err(format!("{error:#}")),
    }
}
