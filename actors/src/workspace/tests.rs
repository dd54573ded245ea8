//! Workspaces on a real disk, with the system's git.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use policy::task::LossReason;
use policy::workspace::{Keep, Source, WhyKept};
use tempfile::TempDir;

use super::*;

const GOOD: AttemptOutcome = AttemptOutcome::Exited(0);
const BAD: AttemptOutcome = AttemptOutcome::Exited(1);

struct Bed {
    home: TempDir,
    spaces: Arc<Workspaces>,
}

impl Bed {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let spaces = open(home.path());
        Self { home, spaces }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A repository with one commit and an ignored name.
    fn repository(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir(&path).unwrap();
        git(&path, &["init", "--quiet", "--initial-branch=main"]);
        fs::write(path.join("file"), "1\n").unwrap();
        fs::write(path.join(".gitignore"), "target\n").unwrap();
        commit(&path, "first");
        path
    }

    fn prepare(&self, token: u64, source: Source) -> Result<Prepared, Unmade> {
        self.spaces.prepare(&wish(token, source, Keep::Unsaved), &Cancel::default())
    }

    fn worktree(&self, token: u64, repository: &Path) -> PathBuf {
        self.prepare(token, worktree(repository, "main")).unwrap().path
    }

    fn settle(&self, token: u64) -> Option<(PathBuf, WhyKept)> {
        let end = self.spaces.settle(Token(token), Some(&GOOD)).unwrap();
        end.kept.map(|(path, why)| (path_of(&path), why))
    }

    /// As a daemon that was killed and started again.
    fn restart(&mut self) {
        self.spaces = open(self.home.path());
    }

    fn sweep(&self) {
        self.spaces.sweep(&self.spaces.unsettled());
    }

    /// What is below the root, records included.
    fn left(&self) -> Vec<String> {
        let names = |path: PathBuf, prefix: &str| {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            entries.map(|e| format!("{prefix}{}", e.file_name().to_string_lossy())).collect::<Vec<_>>()
        };
        let mut all = names(self.path("spaces"), "");
        all.extend(names(self.path("spaces/records"), "record "));
        all.retain(|name| name != "records");
        all.sort();
        all
    }
}

fn open(home: &Path) -> Arc<Workspaces> {
    let reclaim = Reclaim { age: Duration::MAX, free_bytes: 0, unsaved_too: false };
    let environment = std::env::vars_os().collect();
    Workspaces::open(Keeping::here(home.join("spaces"), environment, reclaim), Clock::system()).unwrap()
}

fn wish(token: u64, source: Source, keep: Keep) -> Wish {
    let workspace = Workspace { source, keep, private_home: false };
    Wish { token: Token(token), task: TaskId(token), name: "build".into(), workspace }
}

fn worktree(repository: &Path, commit: &str) -> Source {
    Source::Worktree { repository: path_text(repository), commit: commit.into() }
}

fn copy_of(path: &Path) -> Source {
    Source::Copy { of: path_text(path) }
}

fn git(at: &Path, words: &[&str]) -> String {
    let identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"];
    let out = Command::new("git").arg("-C").arg(at).args(identity).args(words).output().unwrap();
    assert!(out.status.success(), "{words:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

fn commit(at: &Path, message: &str) {
    git(at, &["add", "--all"]);
    git(at, &["commit", "--quiet", "--allow-empty", "-m", message]);
}

fn reason(made: Result<Prepared, Unmade>) -> (String, bool) {
    match made {
        Err(Unmade::Failed(failure)) => (failure.reason.into(), failure.nodes_fault),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_scratch_directory_is_empty_this_users_alone_and_gone_at_the_end() {
    let bed = Bed::new();
    assert!(bed.spaces.is_empty());
    let space = bed.prepare(7, Source::Scratch).unwrap();
    assert_eq!(fs::read_dir(&space.path).unwrap().count(), 0);
    assert!(bed.spaces.holds(Token(7)));
    for path in [&bed.path("spaces"), &space.path] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o700);
    }
    fs::write(space.path.join("result"), "1").unwrap();
    assert_eq!(bed.settle(7), None);
    assert!(bed.left().is_empty() && bed.spaces.is_empty() && !bed.spaces.holds(Token(7)));
}

#[test]
fn home_and_temporary_files_stand_beside_the_workspace() {
    let bed = Bed::new();
    let mut wish = wish(7, Source::Scratch, Keep::Unsaved);
    wish.workspace.private_home = true;
    let space = bed.spaces.prepare(&wish, &Cancel::default()).unwrap();
    let (home, temporary) = space.home.unwrap();
    assert!(home.is_dir() && temporary.is_dir() && !home.starts_with(&space.path));
    bed.spaces.settle(Token(7), Some(&GOOD)).unwrap();
    assert!(!home.exists() && bed.left().is_empty());
}

#[test]
fn a_clean_worktree_has_the_files_of_its_commit_and_is_gone_at_the_end_from_git_as_well() {
    let bed = Bed::new();
    let repository = bed.repository("r");
    let first = git(&repository, &["rev-parse", "HEAD"]);
    fs::write(repository.join("file"), "2\n").unwrap();
    commit(&repository, "second");
    let space = bed.prepare(7, worktree(&repository, &first)).unwrap().path;
    assert_eq!(fs::read_to_string(space.join("file")).unwrap(), "1\n");
    assert_eq!(git(&space, &["rev-parse", "--abbrev-ref", "HEAD"]), "HEAD", "it is on no branch");
    fs::create_dir(space.join("target")).unwrap();
    fs::write(space.join("target/ignored"), "").unwrap();
    assert_eq!(bed.settle(7), None);
    assert!(bed.left().is_empty());
    assert_eq!(git(&repository, &["worktree", "list"]).lines().count(), 1);
}

#[test]
fn changed_and_new_files_and_commits_on_no_branch_are_kept_and_those_on_a_branch_are_not() {
    let bed = Bed::new();
    let repository = bed.repository("r");
    let dirty = bed.worktree(1, &repository);
    fs::write(dirty.join("file"), "changed\n").unwrap();
    fs::write(dirty.join("new"), "").unwrap();
    let (path, why) = bed.settle(1).unwrap();
    assert_eq!((path, why), (dirty.clone(), WhyKept::Unsaved { changed: 2, commits: 0 }));
    assert_eq!(fs::read_to_string(dirty.join("file")).unwrap(), "changed\n");

    let ahead = bed.worktree(2, &repository);
    commit(&ahead, "on no branch");
    commit(&ahead, "nor this");
    assert_eq!(bed.settle(2).unwrap().1, WhyKept::Unsaved { changed: 0, commits: 2 });

    let branched = bed.worktree(3, &repository);
    git(&branched, &["checkout", "--quiet", "-b", "work"]);
    commit(&branched, "on a branch");
    assert_eq!(bed.settle(3), None);
    assert_eq!(git(&repository, &["log", "--format=%s", "-1", "work"]), "on a branch");

    let kept: Vec<u64> = bed.spaces.kept().iter().map(|one| one.token.0).collect();
    assert_eq!(kept, [1, 2]);
    assert_eq!(bed.settle(1).unwrap().1, WhyKept::Unsaved { changed: 2, commits: 0 }, "it is told again");
    assert!(bed.spaces.discard(Token(1)) && !bed.spaces.discard(Token(1)));
    assert!(!dirty.exists() && ahead.exists());
}

#[test]
fn the_task_says_when_what_is_saved_stays() {
    let bed = Bed::new();
    let kept = |token, keep, outcome: &AttemptOutcome| {
        let wish = wish(token, Source::Scratch, keep);
        bed.spaces.prepare(&wish, &Cancel::default()).unwrap();
        bed.spaces.settle(Token(token), Some(outcome)).unwrap().kept.map(|(_, why)| why)
    };
    assert_eq!(kept(1, Keep::OnFailure, &GOOD), None);
    assert_eq!(kept(2, Keep::OnFailure, &AttemptOutcome::Lost(LossReason::Drained)), None);
    assert_eq!(kept(3, Keep::OnFailure, &BAD), Some(WhyKept::Failed));
    assert_eq!(kept(4, Keep::Always, &GOOD), Some(WhyKept::Asked));
    assert_eq!(kept(5, Keep::Never, &BAD), None);
}

#[test]
fn twenty_worktrees_of_one_repository_are_made_and_removed_at_once() {
    let bed = Bed::new();
    let repository = bed.repository("r");
    std::thread::scope(|scope| {
        for token in 1..=20 {
            let (bed, repository) = (&bed, &repository);
            scope.spawn(move || {
                let space = bed.worktree(token, repository);
                assert!(space.join("file").exists());
                assert_eq!(bed.settle(token), None);
            });
        }
    });
    assert_eq!(git(&repository, &["worktree", "list"]).lines().count(), 1);
    assert!(bed.left().is_empty());
    git(&repository, &["fsck", "--strict"]);
}

#[test]
fn what_cannot_be_made_says_why_and_whose_fault_it_is_and_leaves_nothing() {
    let bed = Bed::new();
    let repository = bed.repository("r");
    let absent = bed.path("absent");
    let of_task = [
        (worktree(&absent, "main"), format!("no workspace: there is no directory {}", absent.display())),
        (
            worktree(bed.home.path(), "main"),
            format!("no workspace: {} is no repository of git: ", bed.home.path().display()),
        ),
        (
            worktree(&repository, "nosuch"),
            format!("no workspace: there is no commit \"nosuch\" in {}", repository.display()),
        ),
        (copy_of(&absent), format!("no workspace: there is no {} on this machine", absent.display())),
        (copy_of(&repository.join("file")), "is not a directory".to_owned()),
        (copy_of(bed.home.path()), "contains the workspaces themselves".to_owned()),
    ];
    for (source, expected) in of_task {
        let (text, nodes_fault) = reason(bed.prepare(7, source));
        assert!(text.contains(&expected) && !nodes_fault, "{text:?} is not {expected:?}");
        assert!(bed.left().is_empty() && bed.spaces.is_empty(), "{:?}", bed.left());
    }
    let of_node = Workspaces::none(Clock::system());
    let (text, nodes_fault) =
        reason(of_node.prepare(&wish(7, Source::Scratch, Keep::Unsaved), &Cancel::default()));
    assert!(text.contains("this machine makes none") && nodes_fault);
}

#[test]
fn a_root_that_is_a_link_is_not_used_and_nothing_behind_it_is_touched() {
    let bed = Bed::new();
    let other = bed.path("other");
    fs::create_dir_all(other.join("7")).unwrap();
    symlink(&other, bed.path("spaces")).unwrap();
    let (text, nodes_fault) = reason(bed.prepare(7, Source::Scratch));
    assert!(text.contains("it is a link or no directory") && nodes_fault, "{text}");
    assert!(other.join("7").exists());
}

#[test]
fn nothing_outside_is_removed_whatever_a_task_puts_in_the_place_of_its_workspace() {
    let bed = Bed::new();
    let repository = bed.repository("r");
    let precious = bed.path("precious");
    fs::create_dir(&precious).unwrap();
    fs::write(precious.join("data"), "").unwrap();

    let scratch = bed.prepare(1, Source::Scratch).unwrap().path;
    symlink(&precious, scratch.join("link")).unwrap();
    assert_eq!(bed.settle(1), None);

    let replaced = bed.prepare(2, Source::Scratch).unwrap().path;
    fs::remove_dir(&replaced).unwrap();
    symlink(&precious, &replaced).unwrap();
    assert_eq!(bed.settle(2), None);

    let of_git = bed.worktree(3, &repository);
    fs::remove_dir_all(&of_git).unwrap();
    symlink(&precious, &of_git).unwrap();
    assert_eq!(bed.settle(3), None);

    // The file that leads git to the repository leads elsewhere: it is not believed.
    let misled = bed.worktree(4, &repository);
    fs::write(misled.join(".git"), format!("gitdir: {}/.git\n", bed.repository("other").display())).unwrap();
    fs::write(misled.join("file"), "changed").unwrap();
    assert!(bed.settle(4).is_some());

    let sealed = bed.prepare(5, Source::Scratch).unwrap().path;
    fs::create_dir_all(sealed.join("a/b")).unwrap();
    fs::write(sealed.join("a/b/c"), "").unwrap();
    for inner in ["a/b", "a"] {
        fs::set_permissions(sealed.join(inner), fs::Permissions::from_mode(0o500)).unwrap();
    }
    assert_eq!(bed.settle(5), None);
    assert!(precious.join("data").exists());
    assert_eq!(bed.left(), ["4", "record 4"]);
}

#[test]
fn a_worktree_that_its_repository_has_forgotten_is_kept() {
    let bed = Bed::new();
    let repository = bed.repository("r");
    let space = bed.worktree(1, &repository);
    fs::remove_dir_all(&repository).unwrap();
    let (path, why) = bed.settle(1).unwrap();
    assert_eq!(path, space);
    assert_eq!(why, WhyKept::Unknown("its repository does not know it any more".into()));
    assert!(bed.spaces.discard(Token(1)) && bed.left().is_empty());
}

#[test]
fn hooks_do_not_run() {
    let bed = Bed::new();
    let repository = bed.repository("r");
    let (mark, hook) = (bed.path("mark"), repository.join(".git/hooks/post-checkout"));
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, format!("#!/bin/sh\ntouch {}\n", mark.display())).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o700)).unwrap();
    bed.worktree(1, &repository);
    assert_eq!(bed.settle(1), None);
    assert!(!mark.exists());
}

#[test]
fn what_is_cancelled_while_it_is_made_is_not_there() {
    let bed = Bed::new();
    let repository = bed.repository("r");
    let cancel = Cancel::default();
    cancel.cancel();
    for source in [Source::Scratch, copy_of(&repository), worktree(&repository, "main")] {
        let made = bed.spaces.prepare(&wish(1, source, Keep::Always), &cancel);
        assert_eq!(made, Err(Unmade::Cancelled));
        assert!(bed.left().is_empty() && bed.spaces.is_empty());
    }
}

#[test]
fn who_administers_a_repository_is_waited_for() {
    let bed = Bed::new();
    let repository = bed.repository("r");
    let held = fs::File::open(repository.join(".git")).unwrap();
    let held = nix::fcntl::Flock::lock(held, nix::fcntl::FlockArg::LockExclusive).unwrap();
    let cancel = Cancel::default();
    let wanted = wish(1, worktree(&repository, "main"), Keep::Unsaved);
    std::thread::scope(|scope| {
        let made = scope.spawn(|| bed.spaces.prepare(&wanted, &cancel));
        cancel.cancel();
        assert_eq!(made.join().unwrap(), Err(Unmade::Cancelled));
    });
    drop(held);
    bed.worktree(1, &repository);
}

#[test]
fn a_copy_has_files_links_times_and_permissions_and_nothing_special() {
    let bed = Bed::new();
    let source = bed.path("source");
    fs::create_dir_all(source.join("sub")).unwrap();
    fs::write(source.join("sub/tool"), "x").unwrap();
    fs::set_permissions(source.join("sub/tool"), fs::Permissions::from_mode(0o555)).unwrap();
    let long_ago = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000);
    fs::File::open(source.join("sub/tool")).unwrap().set_modified(long_ago).unwrap();
    symlink("/nowhere", source.join("link")).unwrap();
    fs::set_permissions(source.join("sub"), fs::Permissions::from_mode(0o555)).unwrap();
    let space = bed.prepare(1, copy_of(&source)).unwrap().path;
    let tool = fs::metadata(space.join("sub/tool")).unwrap();
    assert_eq!((tool.permissions().mode() & 0o777, tool.modified().unwrap()), (0o555, long_ago));
    assert_eq!(fs::read_link(space.join("link")).unwrap(), Path::new("/nowhere"));
    fs::write(space.join("made"), "").unwrap();
    assert_eq!(bed.settle(1), None);
    assert!(source.join("sub/tool").exists() && !source.join("made").exists());

    nix::unistd::mkfifo(&source.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let (text, nodes_fault) = reason(bed.prepare(2, copy_of(&source)));
    assert!(text.contains("pipe is neither a file, a directory nor a link") && !nodes_fault, "{text}");
    assert!(bed.left().is_empty());
}

type Work = fn(&Path);

#[test]
fn a_copy_of_a_repository_is_kept_where_work_was_done_in_it() {
    let bed = Bed::new();
    let repository = bed.repository("r");
    fs::write(repository.join("file"), "changed before").unwrap();
    let work: [(Work, bool); 5] = [
        (|_| {}, false),
        (|copy| fs::write(copy.join("new"), "").unwrap(), true),
        (|copy| fs::write(copy.join("file"), "changed again").unwrap(), true),
        (|copy| commit(copy, "work"), true),
        (|copy| drop(git(copy, &["branch", "work"])), true),
    ];
    for (token, (work, is_kept)) in (1..).zip(work) {
        let copy = bed.prepare(token, copy_of(&repository)).unwrap().path;
        work(&copy);
        assert_eq!(bed.settle(token).is_some(), is_kept, "{token}");
    }
    let linked = bed.worktree(9, &repository);
    let (text, nodes_fault) = reason(bed.prepare(10, copy_of(&linked)));
    assert!(text.contains("is a worktree of git") && !nodes_fault, "{text}");
}

/// Changes what is written down, as if the daemon had been killed at that point.
fn set_state(bed: &Bed, token: u64, state: State) {
    let root = bed.path("spaces");
    let mut record = Record::read(&root, Token(token)).unwrap().unwrap();
    record.state = state;
    record.write(&root).unwrap();
}

#[test]
fn what_a_killed_daemon_has_left_is_removed_or_kept_by_the_next_as_it_would_have_been() {
    let mut bed = Bed::new();
    let repository = bed.repository("r");
    // Killed while it made one, while attempts ran, and while it removed one.
    bed.worktree(1, &repository);
    set_state(&bed, 1, State::Preparing);
    fs::write(bed.worktree(2, &repository).join("new"), "").unwrap();
    bed.worktree(3, &repository);
    fs::write(bed.worktree(4, &repository).join("new"), "").unwrap();
    set_state(&bed, 4, State::Removing);
    bed.worktree(5, &repository);
    bed.restart();
    let live = Token(5);
    assert_eq!(bed.spaces.unsettled().len(), 5);
    let mut left = bed.spaces.unsettled();
    left.retain(|(token, _)| *token != live);
    bed.spaces.sweep(&left);
    assert_eq!(bed.left(), ["2", "5", "record 2", "record 5"]);
    assert!(bed.spaces.holds(live));
    assert_eq!(bed.settle(5), None);
    assert_eq!(git(&repository, &["worktree", "list"]).lines().count(), 2);
    bed.restart();
    assert_eq!(bed.spaces.kept().len(), 1, "it is known for good");
}

#[test]
fn what_nobody_has_written_down_is_kept_and_names_that_are_none_of_ours_are_left_alone() {
    let mut bed = Bed::new();
    bed.prepare(1, Source::Scratch).unwrap();
    let root = bed.path("spaces");
    fs::create_dir(root.join("2")).unwrap();
    for other in ["02", "x", "-1"] {
        fs::create_dir(root.join(other)).unwrap();
    }
    fs::write(root.join("records/3"), "damaged").unwrap();
    bed.restart();
    bed.sweep();
    let kept: Vec<(u64, bool)> =
        bed.spaces.kept().iter().map(|one| (one.token.0, one.why.is_unsaved())).collect();
    assert_eq!(kept, [(2, true), (3, true)]);
    assert_eq!(bed.left(), ["-1", "02", "2", "record 3", "x"]);
    let (text, _) = reason(bed.prepare(2, Source::Scratch));
    assert!(text.contains("kept already"), "{text}");
}

#[test]
fn one_that_was_given_up_does_not_take_with_it_the_one_that_was_made_after_it() {
    let bed = Bed::new();
    let first = bed.prepare(1, Source::Scratch).unwrap();
    let left = bed.spaces.unsettled();
    let second = bed.prepare(1, Source::Scratch).unwrap();
    assert_ne!(first.made, second.made);
    bed.spaces.abandon(Token(1), first.made);
    bed.spaces.sweep(&left);
    assert!(second.path.exists());
    bed.spaces.abandon(Token(1), second.made);
    assert!(bed.left().is_empty() && bed.spaces.is_empty());
}

#[test]
fn records_of_every_version_are_read() {
    let sample = include_bytes!("samples/version-1.json");
    let record = Record::parse(sample).unwrap();
    assert_eq!((record.token, record.task, &*record.name), (Token(7), TaskId(3), "build"));
    assert_eq!(record.workspace.source, worktree(Path::new("/r"), "main"));
    let newer = String::from_utf8_lossy(sample).replace("\"version\":1", "\"version\":2");
    let error = Record::parse(newer.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("format version 2"), "{error}");
}

/// `cargo test -p knittingcrab-actors --lib -- --ignored writes_a_record`.
#[test]
#[ignore = "makes the sample that the test above reads"]
fn writes_a_record_of_this_version() {
    let mut record = Record::new(
        &Wish { task: TaskId(3), ..wish(7, worktree(Path::new("/r"), "main"), Keep::OnFailure) },
        5,
    );
    record.worktree =
        Some(record::Worktree { admin: "/r/.git/worktrees/crab-7".into(), commit: "abc".into() });
    let why = WhyKept::Unsaved { changed: 1, commits: 2 };
    record.state = State::Kept { since: policy::time::Timestamp(9), bytes: 4096, why };
    let path = format!(
        "{}/src/workspace/samples/version-{}.json",
        env!("CARGO_MANIFEST_DIR"),
        record::RECORD_VERSION
    );
    fs::write(path, serde_json::to_vec(&record).unwrap()).unwrap();
}
