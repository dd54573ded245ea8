//! `crab man`: manual pages, made from what can be typed.

use std::fs;
use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;

use crate::cli::args::Cli;
use crate::cli::exit::Exit;
use crate::cli::screen::Screen;

/// Writes a page for crab and one for each of its commands.
pub(crate) fn run(screen: &mut Screen, directory: &Path) -> anyhow::Result<Exit> {
    let cannot = || format!("cannot write to {}", directory.display());
    fs::create_dir_all(directory).with_context(cannot)?;
    let command = Cli::command();
    clap_mangen::generate_to(command, directory).with_context(cannot)?;
    let pages = fs::read_dir(directory).with_context(cannot)?.count();
    screen.note(format_args!("crab: {pages} pages are in {}; `man -l FILE` shows one", directory.display()));
    Ok(Exit::SUCCESS)
}
