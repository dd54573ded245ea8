//! This machine and its data directory.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;

use actors::client::COOKIE_NAME;
use actors::client::endpoint::SOCKET_NAME;
use actors::clock::Clock;
use actors::process::protocol::HostDirectory;
use actors::trust::{Own, RENEW_BEFORE};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;
use policy::time::Timestamp;
use policy::trust::Member;

use super::Finding;
use crate::cli::text;

/// Open files below which a daemon with a fleet or many tasks may run out: two for each task that runs, some for each
/// connection.
const OPEN_FILES_LEAST: u64 = 4096;
/// Processes of the user below which tasks may not be started.
#[cfg(any(target_os = "linux", test))]
const PROCESSES_LEAST: u64 = 1024;
/// Bytes free below which the log may soon not be written.
const DISK_LEAST_BYTES: u64 = 1 << 30;
/// Percent free below which somebody should look.
const DISK_LEAST_PERCENT: u64 = 5;

/// Looks at all of it; mends what can be mended without harm where `fix` says so.
pub(super) fn look(directory: &Path, fix: bool) -> io::Result<Vec<Finding>> {
    let mut findings = vec![open_files(limit(Resource::RLIMIT_NOFILE))];
    findings.extend(process_limit());
    if !directory.exists() {
        let next = format!("start `crabd --data-dir {0}` once, which makes it", directory.display());
        findings.push(Finding::warning(
            "data.directory",
            format!("{} is not there", directory.display()),
            next,
        ));
        return Ok(findings);
    }
    findings.push(disk(directory)?);
    findings.extend(permissions(directory, fix)?);
    findings.extend(certificates(directory));
    findings.push(socket_path(directory));
    findings.push(stale_socket(directory, fix)?);
    findings.push(lonely_host(directory));
    findings.extend(halted(directory));
    findings.extend(service_of_macos());
    Ok(findings)
}

/// How much there may be, and how much it could be raised to.
fn limit(resource: Resource) -> (u64, u64) {
    getrlimit(resource).unwrap_or((0, 0))
}

fn open_files((now, most): (u64, u64)) -> Finding {
    let evidence = format!("{now} open files, at most {most}");
    if now.max(most) < OPEN_FILES_LEAST {
        let next = "raise the hard limit: LimitNOFILE= of systemd, SoftResourceLimits of launchd, ulimit -Hn";
        return Finding::failure("limits.files", evidence, next);
    }
    if now < OPEN_FILES_LEAST {
        let next = format!("`ulimit -n {most}` before crabd, or `crab service install`, which sets it");
        return Finding::warning("limits.files", evidence, next);
    }
    Finding::ok("limits.files", evidence)
}

/// How many processes there may be.
#[cfg(target_os = "linux")]
fn process_limit() -> Option<Finding> {
    Some(processes(limit(Resource::RLIMIT_NPROC)))
}

/// What reads limits has no name for this one here.
#[cfg(not(target_os = "linux"))]
fn process_limit() -> Option<Finding> {
    None
}

#[cfg(any(target_os = "linux", test))]
fn processes((now, most): (u64, u64)) -> Finding {
    let evidence = format!("{now} processes, at most {most}");
    if now < PROCESSES_LEAST {
        return Finding::warning("limits.processes", evidence, format!("`ulimit -u {most}` before crabd"));
    }
    Finding::ok("limits.processes", evidence)
}

fn disk(directory: &Path) -> io::Result<Finding> {
    let disk = statvfs(directory)?;
    let unit = wide(disk.fragment_size());
    let (free, all) = (wide(disk.blocks_available()) * unit, wide(disk.blocks()) * unit);
    Ok(space(directory, free, all))
}

/// The systems count in numbers of different widths.
fn wide(number: impl Into<u64>) -> u64 {
    number.into()
}

fn space(directory: &Path, free: u64, all: u64) -> Finding {
    let evidence = format!("{} of {} free at {}", text::size(free), text::size(all), directory.display());
    let next =
        "make room: old output is in host/output, closed files of the log in scheduler/log ([limits] log)";
    if free < DISK_LEAST_BYTES {
        Finding::failure("disk.space", evidence, next)
    } else if free / 100 * 100 < all / 100 * DISK_LEAST_PERCENT {
        Finding::warning("disk.space", evidence, next)
    } else {
        Finding::ok("disk.space", evidence)
    }
}

fn permissions(directory: &Path, fix: bool) -> io::Result<Vec<Finding>> {
    let wanted = [
        ("data.directory", directory.to_owned(), 0o700),
        ("data.cookie", directory.join(COOKIE_NAME), 0o600),
    ];
    let mut findings = Vec::new();
    for (check, path, most) in wanted {
        let Ok(found) = fs::metadata(&path) else { continue };
        let mut finding = private(check, &path, (found.uid(), found.mode() & 0o777), most);
        if fix && finding.next.is_some() && found.uid() == nix::unistd::geteuid().as_raw() {
            fs::set_permissions(&path, Permissions::from_mode(most))?;
            finding = finding.fixed();
        }
        findings.push(finding);
    }
    Ok(findings)
}

/// Whether nobody else can read it.
fn private(check: &'static str, path: &Path, (owner, mode): (u32, u32), most: u32) -> Finding {
    let evidence = format!("{} has mode {mode:o} and belongs to user {owner}", path.display());
    let me = nix::unistd::geteuid().as_raw();
    if owner != me {
        let next = format!("run crab and crabd as that user, or `chown {me} {}`", path.display());
        return Finding::failure(check, evidence, next);
    }
    if mode & !most != 0 {
        return Finding::failure(check, evidence, format!("`chmod {most:o} {}`, or --fix", path.display()));
    }
    Finding::ok(check, evidence)
}

/// How long the certificates of this machine and of its user are good.
fn certificates(directory: &Path) -> Vec<Finding> {
    let now = Clock::system().wall();
    [("certificate.worker", Own::of_worker(directory)), ("certificate.client", Own::of_client(directory))]
        .into_iter()
        .filter_map(|(check, own)| match own {
            Ok(own) => own.map(|own| certificate(check, (own.member(), own.until()), now)),
            Err(error) => {
                let next = "ask for an invitation (`crab cluster invite NAME`) and join with it again";
                Some(Finding::failure(check, error.to_string(), next))
            }
        })
        .collect()
}

fn certificate(check: &'static str, (member, until): (&Member, Timestamp), now: Timestamp) -> Finding {
    let evidence = format!("{} {}, good until {}", member.role, member.name, text::rfc3339(until));
    let next =
        "ask for an invitation (`crab cluster invite NAME` on the scheduler's machine) and join with it";
    if until <= now {
        Finding::failure(check, evidence, next)
    } else if now + RENEW_BEFORE / 2 >= until {
        // It should have been renewed long ago.
        Finding::warning(check, evidence, format!("see in its log why it is not renewed; else {next}"))
    } else {
        Finding::ok(check, evidence)
    }
}

fn socket_path(directory: &Path) -> Finding {
    let path = directory.join("host");
    match HostDirectory::new(&path).socket() {
        Some(socket) => {
            Finding::ok("data.path", format!("{} is short enough for a socket", socket.display()))
        }
        None => Finding::failure(
            "data.path",
            format!("{} is too long for a socket", path.display()),
            "name a directory with a shorter path with --data-dir",
        ),
    }
}

/// Whether somebody holds the lock of a file; its process where it is written there.
fn holder(path: &Path) -> Option<String> {
    let file = File::open(path).ok()?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(_) => None,
        Err(_) => Some(fs::read_to_string(path).unwrap_or_default().trim().to_owned()),
    }
}

fn stale_socket(directory: &Path, fix: bool) -> io::Result<Finding> {
    let path = directory.join(SOCKET_NAME);
    let check = "daemon.socket";
    if !path.exists() {
        return Ok(Finding::ok(check, format!("{} is not there: no daemon leads here", path.display())));
    }
    if UnixStream::connect(&path).is_ok() {
        return Ok(Finding::ok(check, format!("somebody listens on {}", path.display())));
    }
    if let Some(process) = holder(&directory.join("lock")) {
        let evidence =
            format!("process {process} has {} and does not listen on its socket", directory.display());
        return Ok(Finding::failure(
            check,
            evidence,
            "see its log; if it hangs, stop it and start crabd anew",
        ));
    }
    let evidence = format!("{} was left behind: nobody listens", path.display());
    let finding = Finding::warning(check, evidence, "start crabd, which takes it over, or --fix");
    if !fix {
        return Ok(finding);
    }
    fs::remove_file(&path)?;
    Ok(finding.fixed())
}

/// A host goes on without its daemon until the lease of its tasks ends.
fn lonely_host(directory: &Path) -> Finding {
    let host = HostDirectory::new(directory.join("host"));
    let (has_host, has_daemon) = (holder(&host.lock()).is_some(), holder(&directory.join("lock")).is_some());
    match (has_host, has_daemon) {
        (true, false) => Finding::warning(
            "host.daemon",
            "the process host runs without a daemon: its tasks go on until their lease ends",
            "start crabd, which finds them again",
        ),
        (true, true) => Finding::ok("host.daemon", "the process host runs, and its daemon"),
        (false, _) => Finding::ok("host.daemon", "no process host runs, since nothing does"),
    }
}

fn halted(directory: &Path) -> Option<Finding> {
    let path = HostDirectory::new(directory.join("host")).halt();
    let by = fs::read_to_string(&path).ok()?;
    let evidence = format!("nothing is started here: halted by {}", by.trim());
    Some(Finding::warning("host.halted", evidence, "`crab unhalt --here` ends it"))
}

/// launchd throttles what is not interactive, and its children with it. Type-checked; it has not been run on a Mac.
#[cfg(target_os = "macos")]
fn service_of_macos() -> Option<Finding> {
    use crate::cli::service;
    let path = service::Scope::User.path(service::System::Launchd).ok()?;
    let plist = fs::read_to_string(&path).ok()?;
    let evidence = format!("{} (this check has not been run on a Mac)", path.display());
    Some(match plist.contains("<string>Interactive</string>") {
        true => Finding::ok("service.process-type", evidence),
        false => Finding::warning(
            "service.process-type",
            format!("{evidence} does not ask for ProcessType Interactive: tasks are throttled"),
            "`crab service install` writes it anew",
        ),
    })
}

/// Only launchd throttles.
#[cfg(not(target_os = "macos"))]
fn service_of_macos() -> Option<Finding> {
    None
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn limits_are_judged_by_what_they_are_and_could_be() {
        assert_eq!(open_files((65_536, 65_536)).level, Level::Ok);
        assert_eq!(open_files((256, 65_536)).level, Level::Warning);
        assert_eq!(open_files((256, 1024)).level, Level::Failure);
        assert_eq!(processes((100, 2000)).level, Level::Warning);
        assert_eq!(processes((2000, 2000)).level, Level::Ok);
    }

    #[test]
    fn a_disk_is_full_by_bytes_and_nearly_full_by_percent() {
        let at = |free, all| space(Path::new("/x"), free, all).level;
        assert_eq!(at(100 << 30, 400 << 30), Level::Ok);
        assert_eq!(at(10 << 30, 400 << 30), Level::Warning);
        assert_eq!(at(1 << 29, 1 << 30), Level::Failure);
    }

    #[test]
    fn what_others_can_read_is_mended_and_what_is_theirs_is_not() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("it is ours");
        fs::write(directory.path().join(COOKIE_NAME), "x").expect("it can be written");
        fs::set_permissions(directory.path().join(COOKIE_NAME), Permissions::from_mode(0o644)).expect("ours");
        let levels = |fix| permissions(directory.path(), fix).expect("it can be read");
        assert!(levels(false).iter().all(|one| one.level == Level::Failure && !one.is_fixed));
        assert!(levels(true).iter().all(|one| one.is_fixed));
        assert!(levels(false).iter().all(|one| one.level == Level::Ok));
        let me = nix::unistd::geteuid().as_raw();
        assert_eq!(private("x", Path::new("/x"), (me + 1, 0o600), 0o600).level, Level::Failure);
    }

    #[test]
    fn a_socket_that_was_left_behind_is_removed_and_one_that_is_heard_is_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(SOCKET_NAME);
        let listener = std::os::unix::net::UnixListener::bind(&path).expect("it can be bound");
        assert_eq!(stale_socket(directory.path(), true).expect("looks").level, Level::Ok);
        drop(listener);
        assert_eq!(stale_socket(directory.path(), false).expect("looks").level, Level::Warning);
        assert!(path.exists());
        assert!(stale_socket(directory.path(), true).expect("looks").is_fixed);
        assert!(!path.exists());
    }
}
