//! A group of the kernel's for each attempt that is limited: cgroup v2 of Linux, where a place for groups was given.
//!
//! A place is given by having this process in the group [`OWN`] below it: nobody makes one of that name by chance, and
//! groups with limits cannot be made beside processes. `crab service install` has systemd do so. Where none is given, and
//! on other systems, there are no groups, and attempts are measured instead.
//!
//! A group tells exactly who belongs to an attempt, kills all of them at one stroke, and refuses what is beyond the limits
//! as far as the place has controllers of that kind. Must not know of attempts.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use policy::excess::{Excess, UseLimit, UseLimits};

/// The group in which the daemon and its host are, below the place for others.
pub const OWN: &str = "crab-daemon";
/// How many threads a process may have on average before the kernel starts no more: a bound for what multiplies between
/// two looks, which count processes.
const THREADS_PER_PROCESS: u64 = 32;
/// Threads beside that: a few programs start hundreds.
const THREADS_SPARE: u64 = 512;

/// The place for groups that this process was given.
#[must_use]
pub fn place() -> Option<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    place_of(&own, &fs::read_to_string("/proc/self/mountinfo").ok()?)
}

/// Of what the kernel says of this process's groups, and of what is mounted where.
fn place_of(own: &str, mounts: &str) -> Option<PathBuf> {
    let own = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let above = Path::new(own.strip_suffix(OWN)?.strip_suffix('/')?);
    let mount = mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        after.starts_with("cgroup2 ").then_some((root, point))
    })?;
    let below = above.strip_prefix("/").ok()?;
    // In a container the hierarchy begins further down.
    let below = if mount.0 == "/" { below } else { above.strip_prefix(mount.0).unwrap_or(below) };
    Some(Path::new(mount.1).join(below))
}

/// Where the groups of one host's attempts are.
#[derive(Debug)]
pub struct Cgroups(PathBuf);

impl Cgroups {
    /// Below `place`, by a name of its own.
    ///
    /// # Errors
    /// It is not writable.
    pub fn open(place: &Path, name: &str) -> io::Result<Self> {
        let root = place.join(name);
        // What is not there is not limited by the kernel, and measured.
        let controllers = fs::read_to_string(place.join("cgroup.controllers")).unwrap_or_default();
        let known = |wanted: &str| controllers.split_whitespace().any(|known| known == wanted);
        let wanted: Vec<&str> = ["memory", "pids"].into_iter().filter(|wanted| known(wanted)).collect();
        let pass_on = |group: &Path| {
            wanted.iter().try_for_each(|one| set(&group.join("cgroup.subtree_control"), &format!("+{one}")))
        };
        pass_on(place)?;
        match fs::create_dir(&root) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => pass_on(&root)?,
        }
        Ok(Self(root))
    }

    /// Where they are.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A group of that name, empty.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn make(&self, name: &str, limits: &UseLimits) -> io::Result<Cgroup> {
        let path = self.0.join(name);
        fs::create_dir(&path)?;
        let group = Cgroup { path, limits: *limits };
        group.limit().inspect_err(|_| drop(group.remove()))?;
        Ok(group)
    }

    /// Those that an earlier process has left below `root`.
    #[must_use]
    pub fn left_in(root: &Path) -> Vec<Cgroup> {
        let entries = fs::read_dir(root).into_iter().flatten().flatten();
        let groups = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        groups.map(|entry| Cgroup { path: entry.path(), limits: UseLimits::default() }).collect()
    }

    /// Nothing is made here any more; goes as well where none is left.
    pub fn close(&self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// A group of one attempt.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
    limits: UseLimits,
}

impl Cgroup {
    fn limit(&self) -> io::Result<()> {
        if let Some(bytes) = self.limits.memory_bytes {
            self.set_if_known("memory.max", &bytes.to_string())?;
            // What is swapped out counts as well, as where it is measured; all of it goes, not any one of its processes.
            self.set_if_known("memory.swap.max", "0")?;
            self.set_if_known("memory.oom.group", "1")?;
        }
        if let Some(processes) = self.limits.processes {
            let threads = processes.saturating_mul(THREADS_PER_PROCESS).saturating_add(THREADS_SPARE);
            self.set_if_known("pids.max", &threads.to_string())?;
        }
        Ok(())
    }

    fn set_if_known(&self, file: &str, value: &str) -> io::Result<()> {
        match set(&self.path.join(file), value) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    /// What a process writes `0` to so that it is a member.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn door(&self) -> io::Result<Door> {
        OpenOptions::new().write(true).open(self.path.join("cgroup.procs")).map(Door)
    }

    /// All processes in it and in groups below, which its members may have made.
    #[must_use]
    pub fn members(&self) -> Vec<i32> {
        let mut members = Vec::new();
        self.each(&mut |group| {
            let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
            members.extend(text.lines().filter_map(|pid| pid.parse::<i32>().ok()));
        });
        members
    }

    /// Whether nothing that lives is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match fs::read_to_string(self.path.join("cgroup.events")) {
            Ok(text) => value(&text, "populated") != Some(1),
            Err(_) => true,
        }
    }

    /// Kills all that is in it, whatever it starts meanwhile.
    pub fn kill(&self) {
        if !self.is_empty() && set(&self.path.join("cgroup.kill"), "1").is_err() {
            // Kernels before 5.14.
            for pid in self.members() {
                let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL);
            }
        }
    }

    /// Kills what is in it and removes it; gives back whether it is gone.
    #[must_use]
    pub fn clear(&self) -> bool {
        self.kill();
        self.remove().is_ok()
    }

    /// What the kernel has refused to it.
    #[must_use]
    pub fn refused(&self) -> Option<Excess> {
        let count = |file: &str, name: &str| {
            let text = fs::read_to_string(self.path.join(file)).unwrap_or_default();
            value(&text, name).unwrap_or(0)
        };
        if let Some(allowed) = self.limits.memory_bytes
            && count("memory.events", "oom_kill") > 0
        {
            return Some(Excess { limit: UseLimit::MemoryLimit, allowed, used: allowed });
        }
        let allowed = self.limits.processes.filter(|_| count("pids.events", "max") > 0)?;
        Some(Excess { limit: UseLimit::ProcessLimit, allowed, used: allowed })
    }

    /// Removes it, and what its members have made below.
    ///
    /// # Errors
    /// Something in it still lives.
    pub fn remove(&self) -> io::Result<()> {
        let mut groups = Vec::new();
        self.each(&mut |group| groups.push(group.to_owned()));
        for group in groups.iter().rev() {
            match fs::remove_dir(group) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// It, and each group below it behind the one above.
    fn each(&self, visit: &mut dyn FnMut(&Path)) {
        let mut waiting = vec![self.path.clone()];
        while let Some(group) = waiting.pop() {
            visit(&group);
            let below = fs::read_dir(&group).into_iter().flatten().flatten();
            let below = below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            waiting.extend(below.map(|entry| entry.path()));
        }
    }
}

/// The way into a group.
#[derive(Debug)]
pub struct Door(File);

impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn set(file: &Path, value: &str) -> io::Result<()> {
    use std::io::Write;
    OpenOptions::new().write(true).open(file)?.write_all(value.as_bytes())
}

/// The number behind `name` in lines such as `populated 1`.
fn value(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "31 1 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n\
                          32 1 0:28 / /proc rw - proc proc rw";

    #[test]
    fn a_place_is_given_by_the_group_that_one_is_in() {
        let place = |own: &str| place_of(own, MOUNTS);
        let given = Path::new("/sys/fs/cgroup/system.slice/crabd.service");
        assert_eq!(place("9:pids:/x\n0::/system.slice/crabd.service/crab-daemon\n").as_deref(), Some(given));
        assert_eq!(place("0::/system.slice/crabd.service"), None);
        assert_eq!(place("0::/not-crab-daemon"), None, "another name ends like it");
        assert_eq!(place_of("0::/a/crab-daemon", "32 1 0:28 / /proc rw - proc proc rw"), None);
        let inner = "31 1 0:27 /box /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
        assert_eq!(place_of("0::/box/a/crab-daemon", inner).as_deref(), Some(Path::new("/sys/fs/cgroup/a")));
    }

    /// A directory with the files that the kernel would have in it.
    fn directory(files: &[(&str, &str)]) -> (tempfile::TempDir, Cgroup) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let limits = UseLimits { memory_bytes: Some(1 << 20), processes: Some(10), open_files: None };
        let group = Cgroup { path: dir.path().to_owned(), limits };
        (dir, group)
    }

    #[test]
    fn limits_are_said_where_the_kernel_knows_of_such() {
        let files = ["memory.max", "memory.swap.max", "memory.oom.group", "pids.max"].map(|name| (name, ""));
        let (dir, group) = directory(&files);
        group.limit().unwrap();
        let said: Vec<String> =
            files.iter().map(|(name, _)| fs::read_to_string(dir.path().join(name)).unwrap()).collect();
        assert_eq!(said, ["1048576", "0", "1", "832"]);
        let (dir, group) = directory(&[]);
        group.limit().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_the_kernel_refused_is_told() {
        let (_dir, group) = directory(&[("memory.events", "low 0\noom 1\noom_kill 3\n")]);
        assert_eq!(group.refused().unwrap().limit, UseLimit::MemoryLimit);
        let (_dir, group) =
            directory(&[("memory.events", "oom_kill 0\noom_group_kill 0\n"), ("pids.events", "max 7\n")]);
        assert_eq!(group.refused().unwrap().limit, UseLimit::ProcessLimit);
        let (_dir, group) = directory(&[("cgroup.events", "populated 0\nfrozen 0\n")]);
        assert_eq!((group.refused(), group.is_empty()), (None, true));
        let (_dir, group) = directory(&[("cgroup.events", "populated 1\nfrozen 0\n")]);
        assert!(!group.is_empty());
    }
}
