//! `crab config`: what is set, where that comes from, and whether a file is sound.

use std::path::Path;

use actors::client::Client;
use actors::config::document;
use actors::wire::client::SettingRow;

use crate::cli::args::config::Config;
use crate::cli::exit::{Exit, Usage};
use crate::cli::screen::Screen;
use crate::cli::session::Session;
use crate::cli::{json, text};

pub(crate) async fn run(session: &Session, screen: &mut Screen, args: Config) -> anyhow::Result<Exit> {
    match args {
        Config::Init => {
            screen.text(&document::file())?;
            Ok(Exit::SUCCESS)
        }
        Config::Schema => {
            screen.text(&format!("{:#}\n", document::schema()))?;
            Ok(Exit::SUCCESS)
        }
        Config::Check { file } => check(screen, &file),
        Config::Show { file: Some(file), origin, only } => {
            show(screen, read(&file)?, origin, only.as_deref())
        }
        Config::Show { file: None, origin, only } => {
            let rows = held(&session.connect()?).await?;
            show(screen, rows, origin, only.as_deref())
        }
    }
}

async fn held(client: &Client) -> anyhow::Result<Vec<SettingRow>> {
    Ok(client.settings().await?)
}

fn read(file: &Path) -> anyhow::Result<Vec<SettingRow>> {
    let config = actors::config::Config::read(file).map_err(|error| Usage(error.to_string()))?;
    Ok(config.shown())
}

fn check(screen: &mut Screen, file: &Path) -> anyhow::Result<Exit> {
    let rows = read(file)?;
    let said = rows.iter().filter(|row| row.is_said()).count();
    if screen.json {
        screen.object(&json::Checked::of(file, said))?;
    } else {
        let keys = text::count(said as u64, "key");
        screen.line(format_args!("{}: sound, {keys} set", file.display()))?;
    }
    Ok(Exit::SUCCESS)
}

fn show(
    screen: &mut Screen,
    rows: Vec<SettingRow>,
    origin: bool,
    only: Option<&str>,
) -> anyhow::Result<Exit> {
    let rows = rows.into_iter().filter(|row| only.is_none_or(|only| row.key.starts_with(only)));
    if screen.json {
        for row in rows {
            screen.object(&json::Setting::from(&row))?;
        }
        return Ok(Exit::SUCCESS);
    }
    let heads = ["key", "value", "origin", "usual", "must be", "meaning"];
    let shown = if origin { heads.len() } else { 2 };
    let rows = rows.map(|row| {
        let cells =
            [&row.key, &row.value, &row.origin.to_string().into(), &row.usual, &row.allowed, &row.about];
        cells[..shown].iter().map(ToString::to_string).collect()
    });
    screen.line(text::table(&heads[..shown], rows))?;
    Ok(Exit::SUCCESS)
}
