//! Tests of what is given: on real directories, pipes and sandboxes.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use policy::provision::{Sandbox, Secret};

use super::*;

struct Bed {
    home: tempfile::TempDir,
}

impl Bed {
    fn new() -> Self {
        let bed = Self { home: tempfile::tempdir().unwrap() };
        fs::create_dir(bed.secrets()).unwrap();
        bed.mode(&bed.secrets(), 0o700);
        bed
    }

    fn secrets(&self) -> PathBuf {
        self.home.path().join("secrets")
    }

    fn root(&self) -> PathBuf {
        self.home.path().join("private")
    }

    fn mode(&self, path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn secret(&self, name: &str, mode: u32) -> PathBuf {
        let path = self.secrets().join(name);
        fs::write(&path, "hunter2").unwrap();
        self.mode(&path, mode);
        path
    }

    fn open(&self, slots: u32) -> Arc<Provisions> {
        let sandbox = Sandboxing::find(&std::env::var_os("PATH").unwrap()).map(Arc::new);
        Provisions::open(Offer { root: self.root(), secrets: self.secrets(), slots, sandbox }).unwrap()
    }

    fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.root()).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().into_string().unwrap());
        names.filter(|name| !name.starts_with("jobserver")).collect()
    }
}

fn secret(name: &str) -> Provision {
    Provision { secrets: vec![Secret::new(name)], ..Provision::default() }
}

fn builds() -> Provision {
    Provision { jobserver: true, ..Provision::default() }
}

#[test]
fn a_secret_is_a_file_for_its_user_alone_until_the_end() {
    let bed = Bed::new();
    bed.secret("npm-token", 0o600);
    let provisions = bed.open(0);
    assert_eq!(provisions.labels()[0], ("secret/npm-token".into(), "yes".into()));
    let given = provisions.give(Token(7), &secret("npm-token"), false).unwrap();
    let (variable, file) = &given.variables[0];
    assert_eq!(
        (&**variable, fs::read_to_string(file).unwrap().as_str()),
        ("CRAB_SECRET_NPM_TOKEN", "hunter2")
    );
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(file), mode(file.parent().unwrap()), mode(&bed.root())), (0o600, 0o700, 0o700));
    assert!(provisions.holds(Token(7)));
    provisions.take_back(Token(7), None);
    assert!(!provisions.holds(Token(7)) && bed.left().is_empty());
}

#[test]
fn a_secret_that_others_could_have_is_refused_with_its_path_and_what_is_wrong() {
    let bed = Bed::new();
    let path = bed.secret("open", 0o644);
    bed.secret("closed", 0o600);
    std::os::unix::fs::symlink("closed", bed.secrets().join("link")).unwrap();
    let provisions = bed.open(0);
    let refused = |name: &str| {
        let failure = provisions.give(Token(1), &secret(name), false).unwrap_err();
        assert!(!failure.nodes_fault && bed.left().is_empty());
        failure.reason.to_string()
    };
    let told = format!(
        "secret \"open\" is not given: {} has mode 0644: others may use it; 0600 is right",
        path.display()
    );
    assert_eq!(refused("open"), told);
    assert!(refused("link").ends_with("/link is a link"));
    assert!(refused("missing").ends_with("/missing does not exist"));
    bed.mode(&bed.secrets(), 0o750);
    assert!(refused("closed").ends_with("/secrets has mode 0750: others may use it; 0700 is right"));
}

#[test]
fn what_an_earlier_daemon_has_left_is_found_and_goes() {
    let bed = Bed::new();
    bed.secret("a", 0o600);
    bed.open(0).give(Token(3), &secret("a"), false).unwrap();
    let provisions = bed.open(0);
    assert_eq!(provisions.all(), [(Token(3), 1)]);
    let second = provisions.give(Token(3), &secret("a"), false).unwrap();
    provisions.take_back(Token(3), Some(1));
    assert_eq!(bed.left(), [format!("3.{}", second.number)]);
    provisions.take_back(Token(3), None);
    assert!(bed.left().is_empty());
}

#[test]
fn lost_slots_are_put_back_when_no_build_is_left() {
    let bed = Bed::new();
    let provisions = bed.open(8);
    assert!(provisions.labels().contains(&("jobserver".into(), "8".into())));
    let given = [1, 2].map(|token| provisions.give(Token(token), &builds(), false).unwrap());
    let flags = given[0].variables[0].1.to_str().unwrap().to_owned();
    let (before, path) = flags.split_once("fifo:").unwrap();
    assert_eq!((&*given[0].variables[0].0, before), ("MAKEFLAGS", " -j8 --jobserver-auth="));
    // One takes three and is killed.
    let mut pipe = OpenOptions::new().read(true).write(true).open(path).unwrap();
    pipe.read_exact(&mut [0; 3]).unwrap();
    let jobserver = provisions.jobserver.as_ref().unwrap();
    let free = || {
        let free = jobserver.drain().unwrap();
        (&pipe).write_all(&vec![b'+'; free]).unwrap();
        free
    };
    provisions.take_back(Token(1), None);
    assert_eq!(free(), 5);
    provisions.take_back(Token(2), None);
    assert_eq!(free(), 8);
}

#[test]
fn a_daemon_that_comes_back_to_running_builds_leaves_their_slots_alone() {
    let bed = Bed::new();
    let first = bed.open(4);
    let given = first.give(Token(1), &builds(), false).unwrap();
    let flags = given.variables[0].1.to_str().unwrap().to_owned();
    let path = flags.split_once("fifo:").unwrap().1;
    let mut build = OpenOptions::new().read(true).write(true).open(path).unwrap();
    build.read_exact(&mut [0; 2]).unwrap();
    drop(first);
    let second = bed.open(4);
    let jobserver = second.jobserver.as_ref().unwrap();
    assert_eq!(jobserver.drain().unwrap(), 2);
    second.take_back(Token(1), None);
    assert_eq!(jobserver.drain().unwrap(), 4);
}

#[test]
fn what_runs_in_a_sandbox_writes_where_it_may_and_nowhere_else() {
    let bed = Bed::new();
    let provisions = bed.open(0);
    let wanted = Provision { sandbox: Some(Sandbox::Workspace), ..Provision::default() };
    let given = match provisions.give(Token(1), &wanted, false) {
        Ok(given) => given,
        Err(failure) => {
            // Where there is none, or the system allows none, that is what is said.
            assert!(failure.nodes_fault && failure.reason.starts_with("no sandbox on this machine"));
            return eprintln!("not run: {}", failure.reason);
        }
    };
    let space = bed.home.path().join("space with a blank");
    fs::create_dir(&space).unwrap();
    let (temporary, sandbox) = (given.temporary.clone().unwrap(), given.sandbox.clone().unwrap());
    let script = "echo in > in && echo t > \"$T/t\" && ! echo out > ../out";
    let argv = sandbox.around(
        &space,
        &[space.clone(), temporary.clone()],
        &["/bin/sh".into(), "-c".into(), script.into()],
    );
    let words: Vec<String> = argv.iter().map(ToString::to_string).collect();
    let mut command = Command::new(&words[0]);
    let status = command.args(&words[1..]).env("T", &temporary).current_dir(&space).status().unwrap();
    assert!(status.success(), "{status}");
    assert!(
        space.join("in").exists() && temporary.join("t").exists() && !bed.home.path().join("out").exists()
    );
}
