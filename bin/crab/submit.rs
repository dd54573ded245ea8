//! `crab submit`.

use std::time::Duration;

use actors::client::Client;

use crate::cli::args::Submit;
use crate::cli::exit::Exit;
use crate::cli::json;
use crate::cli::screen::Screen;
use crate::cli::session::Session;
use crate::cli::{text, wait, work};

/// How long the acknowledgement is held back for the end of what is waited for.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// How long a scheduler that is full is asked again.
pub(crate) const BUSY_PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn run(session: &Session, screen: &mut Screen, args: Submit) -> anyhow::Result<Exit> {
    let submission = work::submission(args.work)?;
    let client: Client = session.connect()?;
    if args.wait {
        let ran = client.run_patiently(submission, (FIRST_WAIT, false), BUSY_PATIENCE).await?;
        return match ran.row.ended {
            Some(_) => wait::tell(screen, &ran.row),
            None => wait::graph(&client, screen, ran.submitted.graph, None).await,
        };
    }
    let submitted = client.submit_patiently(submission, BUSY_PATIENCE).await?;
    if screen.json {
        screen.object(&json::Submission::from(&submitted))?;
    } else if screen.quiet {
        screen.line(submitted.graph)?;
    } else {
        let known = if submitted.repeated { ", submitted before under this key" } else { "" };
        screen.line(format_args!("{} ({}{known})", submitted.graph, text::count(submitted.tasks, "task")))?;
    }
    Ok(Exit::SUCCESS)
}
