//! What is kept is what was there, whole, and nothing else; and what is not is said.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use nix::sys::stat::Mode;
use policy::artifact::{Artifacts, Kind, LeftOut, Sort, WhyLeftOut};
use policy::id::{AttemptNumber, TaskId};
use policy::task::SpawnFailure;
use policy::text::OsText;

use super::*;
use crate::taskfile::path_text;
use crate::wire::fleet::{ArtifactPiece, ArtifactRead, ArtifactRefusal};

const TOKEN: Token = Token(42);

struct Bed {
    home: tempfile::TempDir,
    depot: Arc<Depot>,
}

impl Bed {
    fn new() -> Self {
        Self::within(KeepLimits::default())
    }

    fn within(limits: KeepLimits) -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("work")).unwrap();
        let depot = open(home.path(), limits, Expiry::default());
        Self { home, depot }
    }

    fn work(&self) -> PathBuf {
        self.home.path().join("work")
    }

    fn put(&self, path: impl AsRef<Path>, bytes: &[u8]) {
        let path = self.work().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn wanted(&self, token: Token, patterns: &[&str]) -> Wanted {
        Wanted {
            token,
            task: TaskId(7),
            attempt: AttemptNumber(1),
            directory: path_text(&self.work()),
            artifacts: Artifacts::parse(patterns.iter().copied()).unwrap(),
        }
    }

    fn keep(&self, patterns: &[&str]) -> Summary {
        self.depot.expect(self.wanted(TOKEN, patterns));
        self.depot.keep(TOKEN, Some(&AttemptOutcome::Exited(0))).unwrap()
    }

    fn manifest(&self) -> Manifest {
        manifest(&self.depot, TOKEN).unwrap()
    }

    fn left_out(&self) -> Vec<String> {
        self.manifest().left_out.iter().map(|LeftOut { path, why }| format!("{path}: {why}")).collect()
    }
}

fn open(home: &Path, limits: KeepLimits, expiry: Expiry) -> Arc<Depot> {
    let storing = Storing { limits, expiry, ..Storing::usual(home.join("artifacts")) };
    Depot::open(storing, Clock::system()).unwrap()
}

fn manifest(depot: &Depot, token: Token) -> Result<Manifest, ArtifactRefusal> {
    match depot.read(token, ArtifactRead::Manifest { from: 0 })? {
        ArtifactPiece::Manifest(page) => Ok(page.manifest),
        ArtifactPiece::File(_) => panic!("a file"),
    }
}

fn bytes(depot: &Depot, number: u32, from: u64, max_bytes: u32) -> Vec<u8> {
    match depot.read(TOKEN, ArtifactRead::File { number, from, max_bytes }) {
        Ok(ArtifactPiece::File(bytes)) => bytes,
        other => panic!("{other:?}"),
    }
}

#[test]
fn files_are_kept_with_their_bytes_and_modes_and_are_there_after_they_went() {
    let bed = Bed::new();
    bed.put("out/a.log", b"hello");
    bed.put("out/deep/tool", b"#!/bin/sh\n");
    fs::set_permissions(bed.work().join("out/deep/tool"), fs::Permissions::from_mode(0o4755)).unwrap();
    bed.put("other", b"not wanted");
    assert!(bed.depot.keeps() && !bed.depot.holds(TOKEN));
    let summary = bed.keep(&["out/**"]);
    assert_eq!((summary.files, summary.bytes, summary.left_out, summary.fault), (2, 15, 0, None));
    fs::remove_dir_all(bed.work()).unwrap();
    let manifest = bed.manifest();
    let kept: Vec<_> = manifest.kept.iter().map(|one| (&*one.path, one.kind, one.mode, one.number)).collect();
    assert_eq!(kept[0], ("out/a.log", Kind::Log, 0o644, 1));
    assert_eq!(kept[1], ("out/deep/tool", Kind::Other, 0o755, 2));
    assert_eq!(manifest.kept[0].digest.0, *blake3::hash(b"hello").as_bytes());
    assert_eq!(bytes(&bed.depot, 1, 0, 3), b"hel");
    assert_eq!(bytes(&bed.depot, 1, 3, 1000), b"lo");
    assert_eq!(bytes(&bed.depot, 1, 5, 1000), b"");
    let gone = bed.depot.read(TOKEN, ArtifactRead::File { number: 3, from: 0, max_bytes: 1 });
    assert_eq!(gone, Err(ArtifactRefusal::Gone));
}

#[test]
fn no_link_is_followed_and_what_is_no_file_or_cannot_be_named_is_said() {
    let bed = Bed::new();
    bed.put("out/a", b"a");
    symlink("/etc/passwd", bed.work().join("out/link")).unwrap();
    symlink("/etc", bed.work().join("out/etc")).unwrap();
    symlink("/etc", bed.work().join("linked")).unwrap();
    nix::unistd::mkfifo(&bed.work().join("out/pipe"), Mode::S_IRWXU).unwrap();
    bed.put("out/new\nline", b"x");
    if fs::write(bed.work().join(std::ffi::OsStr::from_bytes(b"out/\xff")), b"x").is_err() {
        // Where the file system takes no such names.
        return;
    }
    let summary = bed.keep(&["out/**", "linked/passwd", "out"]);
    assert_eq!((summary.files, summary.left_out), (1, 8));
    let (link, name) = (
        "a symbolic link, and these are not followed",
        "its path is not UTF-8, longer than 1024 bytes or has control characters",
    );
    let mut left_out = bed.left_out();
    left_out.sort();
    let expected = [
        "linked/passwd: nothing matches it".to_owned(),
        "linked: a link or no directory, and links are not followed".to_owned(),
        format!("out/etc: {link}"),
        format!("out/link: {link}"),
        format!("out/new\nline: {name}"),
        "out/pipe: no regular file: a pipe, a socket or a device".to_owned(),
        format!("out/\u{fffd}: {name}"),
        "out: a directory: for all below it say DIRECTORY/**".to_owned(),
    ];
    let mut expected = expected.to_vec();
    expected.sort();
    assert_eq!(left_out, expected);
}

#[test]
fn what_is_over_the_limits_is_left_out() {
    let bed = Bed::within(KeepLimits { files: 2, bytes: 10 });
    for (name, bytes) in [("a", 4), ("b", 9), ("c", 3), ("d", 1)] {
        bed.put(name, &vec![b'x'; bytes]);
    }
    assert_eq!(bed.keep(&["*"]).files, 2);
    assert_eq!(bed.left_out().len(), 2);
    assert_eq!(bed.manifest().kept.iter().map(|one| &*one.path).collect::<Vec<_>>(), ["a", "c"]);
}

#[test]
fn what_cannot_be_read_is_left_out() {
    let bed = Bed::new();
    if nix::unistd::Uid::effective().is_root() {
        // To root everything can be read.
        return;
    }
    bed.put("a", b"a");
    bed.put("closed/b", b"b");
    bed.put("c", b"c");
    fs::set_permissions(bed.work().join("a"), fs::Permissions::from_mode(0o0)).unwrap();
    fs::set_permissions(bed.work().join("closed"), fs::Permissions::from_mode(0o0)).unwrap();
    assert_eq!(bed.keep(&["**"]).files, 1);
    assert_eq!(bed.left_out().len(), 2);
    fs::set_permissions(bed.work().join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_directory_that_is_gone_is_said_and_nothing_is_kept() {
    let bed = Bed::new();
    fs::remove_dir(bed.work()).unwrap();
    let fault = bed.keep(&["a"]).fault.unwrap();
    assert!(fault.contains("cannot be read"), "{fault}");
    assert_eq!(bed.manifest().kept, []);
}

#[test]
fn a_disk_that_takes_nothing_is_said_and_nothing_is_half_there() {
    let bed = Bed::new();
    bed.put("a", b"a");
    // Where the root was to be there is a file.
    fs::write(bed.home.path().join("artifacts"), b"").unwrap();
    let summary = bed.keep(&["a"]);
    assert!(summary.fault.unwrap().starts_with("none can be kept: "));
    assert_eq!(bed.depot.read(TOKEN, ArtifactRead::Manifest { from: 0 }), Err(ArtifactRefusal::Gone));
    assert!(!bed.depot.holds(TOKEN));
}

#[test]
fn the_next_daemon_keeps_what_the_last_was_to_keep_and_tells_of_what_it_kept() {
    let bed = Bed::new();
    bed.put("a", b"a");
    bed.depot.expect(bed.wanted(TOKEN, &["a"]));
    let unfinished = bed.home.path().join("artifacts/42-0.new");
    fs::create_dir(&unfinished).unwrap();
    fs::write(unfinished.join("1"), b"half").unwrap();
    let next = open(bed.home.path(), KeepLimits::default(), Expiry::default());
    assert!(!unfinished.exists(), "what was half there");
    assert_eq!((next.holds(TOKEN), next.unsettled()), (true, vec![TOKEN]));
    assert_eq!(manifest(&next, TOKEN), Err(ArtifactRefusal::NotYet));
    let first = next.keep(TOKEN, None).unwrap();
    assert_eq!((first.files, next.unsettled()), (1, Vec::new()));
    bed.put("a", b"changed since");
    // Killed before it told anybody.
    let last = open(bed.home.path(), KeepLimits::default(), Expiry::default());
    assert!(last.holds(TOKEN));
    assert_eq!(last.keep(TOKEN, None), Some(first));
    assert_eq!(bytes(&last, 1, 0, 10), b"a");
}

#[test]
fn two_that_keep_the_same_attempt_keep_it_once() {
    let bed = Bed::new();
    bed.put("a", b"a");
    bed.depot.expect(bed.wanted(TOKEN, &["a"]));
    let keep = || bed.depot.keep(TOKEN, None);
    let told: Vec<_> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(keep)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(told.iter().flatten().all(|summary| summary.files == 1), "{told:?}");
    assert!(told.iter().any(Option::is_some));
    let names = fs::read_dir(bed.home.path().join("artifacts")).unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["42", "wanted"]);
}

#[test]
fn an_attempt_that_never_began_leaves_nothing_of_those_before_it() {
    let bed = Bed::new();
    bed.put("a", b"of the attempt before");
    bed.depot.expect(bed.wanted(TOKEN, &["a"]));
    let failed = AttemptOutcome::SpawnFailed(SpawnFailure::of_task("no such program"));
    assert_eq!(bed.depot.keep(TOKEN, Some(&failed)), None);
    bed.depot.expect(bed.wanted(TOKEN, &["a"]));
    bed.depot.forget(TOKEN);
    assert_eq!((bed.depot.keep(TOKEN, None), bed.depot.holds(TOKEN)), (None, false));
    let next = open(bed.home.path(), KeepLimits::default(), Expiry::default());
    assert!(!next.holds(TOKEN));
}

#[test]
fn the_oldest_go_and_their_files_with_them() {
    let bed = Bed::new();
    bed.put("a", &[0; 100]);
    let expiry = Expiry { attempts: 2, ..Expiry::default() };
    let depot = open(bed.home.path(), KeepLimits::default(), expiry);
    for token in 1..=3 {
        depot.expect(bed.wanted(Token(token), &["a"]));
        depot.keep(Token(token), None).unwrap();
    }
    assert_eq!(depot.expire(), 1);
    assert_eq!(manifest(&depot, Token(1)), Err(ArtifactRefusal::Gone));
    assert!(manifest(&depot, Token(2)).is_ok() && !bed.home.path().join("artifacts/1").exists());
    let small = open(bed.home.path(), KeepLimits::default(), Expiry { bytes: 100, ..Expiry::default() });
    assert_eq!(small.expire(), 1);
    assert!(manifest(&small, Token(3)).is_ok());
    assert_eq!(small.expire(), 0);
}

#[test]
fn a_long_manifest_is_read_in_parts() {
    let bed = Bed::new();
    for number in 0..600 {
        bed.put(format!("{number:0>250}/{number:0>250}"), b"");
    }
    assert_eq!(bed.keep(&["**", "absent"]).files, 600);
    let (mut from, mut found, mut parts) = (Some(0), Vec::new(), 0);
    while let Some(place) = from {
        let Ok(ArtifactPiece::Manifest(page)) = bed.depot.read(TOKEN, ArtifactRead::Manifest { from: place })
        else {
            panic!("no manifest")
        };
        assert_eq!(page.manifest.left_out.len(), usize::from(place == 0));
        found.extend(page.manifest.kept.iter().map(|one| one.number));
        (from, parts) = (page.next, parts + 1);
    }
    assert_eq!((found, parts), ((1..=600).collect(), 2));
}

#[test]
fn stored_samples_of_every_version_are_read() {
    let wanted = Wanted {
        token: TOKEN,
        task: TaskId(7),
        attempt: AttemptNumber(2),
        directory: "/work".into(),
        artifacts: Artifacts::parse(["out/**", "junit:report.xml"]).unwrap(),
    };
    let sample = include_bytes!("samples/record-1.json");
    assert_eq!(record::parse(sample).unwrap(), wanted);
    assert_eq!(record::text(&wanted).unwrap(), sample.trim_ascii_end());
    let digest = policy::artifact::Digest([7; 32]);
    let kept = policy::artifact::Kept {
        number: 1,
        path: "report.xml".into(),
        kind: Kind::Junit,
        bytes: 5,
        mode: 0o644,
        digest,
    };
    let why = [
        WhyLeftOut::NothingThere,
        WhyLeftOut::Name,
        WhyLeftOut::NotAFile(Sort::Link),
        WhyLeftOut::TooMany { limit: 1 },
        WhyLeftOut::TooLarge { bytes: 2, limit: 1 },
        WhyLeftOut::Unreadable("permission denied".into()),
        WhyLeftOut::Changed,
    ];
    let manifest = Manifest {
        token: TOKEN,
        task: TaskId(7),
        attempt: AttemptNumber(2),
        at: policy::time::Timestamp(1 << 50),
        kept: vec![kept],
        left_out: why.map(|why| LeftOut { path: OsText::from("a"), why }).to_vec(),
        left_out_more: 3,
        fault: Some("it took too long".into()),
    };
    let sample = include_bytes!("samples/manifest-1.json");
    assert_eq!(manifest::parse(sample).unwrap(), manifest);
    assert_eq!(manifest::text(&manifest).unwrap(), sample.trim_ascii_end());
    let newer = |text: &[u8]| String::from_utf8_lossy(text).replace("\"version\":1", "\"version\":2");
    assert!(manifest::parse(newer(sample).as_bytes()).unwrap_err().to_string().contains("version 2"));
}
