//! `crab log-level`: what a daemon's log says, more or less of it.

use actors::client::{Client, ClientError};
use actors::wire::inspect::{Action, Look, Sight};
use policy::id::NodeId;

use crate::cli::args::operators::LogLevel;
use crate::cli::exit::Exit;
use crate::cli::json;
use crate::cli::operate::by;
use crate::cli::screen::Screen;

pub(crate) async fn run(client: &Client, screen: &mut Screen, args: LogLevel) -> anyhow::Result<Exit> {
    let machine = args.node.as_deref().map(NodeId::from);
    let levels = match args.levels {
        Some(levels) => {
            let action = Action::LogLevel { machine, levels: levels.to_string().into() };
            client.operate(&by(), &args.reason, action).await?
        }
        None => match client.inspect(machine, Look::Levels).await? {
            Sight::Levels(levels) => levels.into(),
            Sight::Unseen(why) => return Err(ClientError::Refused(why).into()),
            other => anyhow::bail!("the daemon answered what was not asked: {other:?}"),
        },
    };
    if screen.json {
        screen.object(&json::LogLevels::of(args.node, levels))?;
    } else {
        screen.line(levels)?;
    }
    Ok(Exit::SUCCESS)
}
