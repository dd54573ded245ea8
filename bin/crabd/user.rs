//! Whom the daemon runs as, and with it every task.
//!
//! Root may name somebody else, whom the daemon becomes for good before it reads or writes anything. It then begins anew as that
//! user: what a process has gathered as root, its `/proc` files among it, stays root's. Must not know what the daemon does.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use nix::unistd::{Uid, User, chown, setgid, setuid};

/// Variables that name places of whoever set them.
const ROOTS_PLACES: [&str; 6] =
    ["TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"];

/// Goes on as `wanted`, where that is said and somebody else: with that user's groups and home, in a new start of this program.
///
/// # Errors
/// There is no such user, only root may become another one, or `data_dir` is somebody else's.
pub(crate) fn settle(wanted: Option<&str>, data_dir: Option<&Path>) -> anyhow::Result<()> {
    let Some(name) = wanted else { return Ok(()) };
    let user = User::from_name(name).with_context(|| format!("looking up the user {name:?}"))?;
    let user =
        user.with_context(|| format!("there is no user {name:?} on this machine (--user, daemon.user)"))?;
    if user.uid == Uid::effective() {
        return Ok(());
    }
    if !Uid::effective().is_root() {
        anyhow::bail!(
            "only root can become the user {name:?}: start crabd as root, or as {name} without --user"
        );
    }
    data_dir.map_or(Ok(()), |directory| give(directory, &user))?;
    turn_into(&user).with_context(|| format!("becoming the user {name:?}"))?;
    Err(again(&user))
        .with_context(|| format!("starting crabd again as {name}, who must be able to read and run it"))
}

/// Says so where every task has the rights of root, and nobody has asked for that.
pub(crate) fn tell_of_root(wanted: Option<&str>) {
    if wanted.is_none() && Uid::effective().is_root() {
        tracing::warn!("runs as root, and so does every task: with --user NAME both run as somebody else");
    }
}

/// A data directory that is not there yet is made, for the user alone; nothing that is there changes hands.
fn give(directory: &Path, user: &User) -> anyhow::Result<()> {
    let shown = directory.display();
    match fs::metadata(directory) {
        Ok(found) if found.uid() == user.uid.as_raw() => Ok(()),
        Ok(found) => anyhow::bail!(
            "the data directory {shown} belongs to user {}, not to {1}: `chown -R {1} {shown}`, or name another with --data-dir",
            found.uid(),
            user.name
        ),
        // Where not even that is there, the user makes it, or is told that it cannot.
        Err(_) if !directory.parent().is_some_and(Path::exists) => Ok(()),
        Err(_) => fs::DirBuilder::new()
            .mode(0o700)
            .create(directory)
            .and_then(|()| Ok(chown(directory, Some(user.uid), Some(user.gid))?))
            .with_context(|| format!("cannot make the data directory {shown}")),
    }
}

fn turn_into(user: &User) -> anyhow::Result<()> {
    take_groups(user)?;
    setgid(user.gid)?;
    setuid(user.uid)?;
    // No other way back is left: the saved user went as well.
    anyhow::ensure!(setuid(Uid::from_raw(0)).is_err(), "root could be taken back");
    Ok(())
}

#[cfg(not(target_os = "macos"))]
fn take_groups(user: &User) -> anyhow::Result<()> {
    let name = std::ffi::CString::new(user.name.as_str())?;
    Ok(nix::unistd::initgroups(&name, user.gid)?)
}

/// Not run by our tests.
#[cfg(target_os = "macos")]
#[expect(unsafe_code, reason = "nix has no form of it for macOS")]
fn take_groups(user: &User) -> anyhow::Result<()> {
    let name = std::ffi::CString::new(user.name.as_str())?;
    let group = i32::try_from(user.gid.as_raw())?;
    // SAFETY: `name` ends with a zero byte and outlives the call, which keeps nothing of it.
    let done = unsafe { libc::initgroups(name.as_ptr(), group) };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error().into()) }
}

/// Comes back only where it cannot be started.
fn again(user: &User) -> anyhow::Error {
    let own = match std::env::current_exe() {
        Ok(own) => own,
        Err(error) => return error.into(),
    };
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut command = Command::new(own);
    for name in ROOTS_PLACES {
        command.env_remove(name);
    }
    command.args(arguments).env("HOME", &user.dir).env("SHELL", &user.shell);
    command.env("USER", &user.name).env("LOGNAME", &user.name).exec().into()
}
