//! Every file in one list at the most, none that is not wanted, no more than there may be; and what patterns mean.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::id::{Epoch, Token};
use crate::text::OsText;
use crate::time::Timestamp;

fn artifacts(patterns: &[&str]) -> Artifacts {
    Artifacts::parse(patterns.iter().copied()).unwrap()
}

fn matcher(patterns: &[&str]) -> Matcher {
    artifacts(patterns).matcher().unwrap()
}

fn file(path: &str, bytes: u64) -> Found {
    Found { path: path.into(), sort: Sort::File, bytes }
}

fn paths(chosen: &Chosen) -> Vec<&str> {
    chosen.kept.iter().map(|choice| &*choice.path).collect()
}

fn left_out(chosen: &Chosen) -> Vec<String> {
    chosen.left_out.iter().map(|one| format!("{}: {}", one.path, one.why)).collect()
}

#[test]
fn what_leads_out_of_the_directory_or_is_no_pattern_is_refused_and_says_why() {
    let why = |text: &str| text.parse::<Pattern>().unwrap_err();
    let all = |texts: &[&str], expected: &Unsound| texts.iter().all(|text| why(text) == *expected);
    assert!(all(&["", "log:"], &Unsound::Empty));
    let outside = ["/etc/passwd", "../a", "a/../b", "a/..", "..", "/", "log:/a", "./../a"];
    assert!(all(&outside, &Unsound::Outside));
    assert!(all(&["a/", ".", "./."], &Unsound::Directory));
    assert!(all(&["a//b", "a\nb", "a\0", "a/./b"], &Unsound::Odd));
    assert_eq!(why(&"ä".repeat(257)), Unsound::Long);
    assert!("ä".repeat(256).parse::<Pattern>().is_ok());
    for broken in ["[a", "{a", "a}", "a\\"] {
        assert!(matches!(why(broken), Unsound::Syntax(_)), "{broken}");
    }
    assert_eq!(artifacts(&["a", "junit:b/*.xml"]).patterns[1].kind, Some(Kind::Junit));
    assert_eq!(Artifacts::parse(["a", "/b"]), Err(("/b", Unsound::Outside)));
}

#[test]
fn a_star_stops_at_a_slash_and_two_do_not() {
    for (pattern, path, is_met) in [
        ("*.xml", "a.xml", true),
        ("*.xml", ".xml", true),
        ("*.xml", "b/a.xml", false),
        ("**/*.xml", "a.xml", true),
        ("**/*.xml", "b/c/a.xml", true),
        ("out/**", "out/a/b", true),
        ("out/**", "out", false),
        ("out/**", "outer/a", false),
        ("a?c", "a/c", false),
        ("a[!b]c", "a/c", false),
        ("out/*.{xml,json}", "out/a.json", true),
        ("./a", "a", true),
        (r"\*", "*", true),
        (r"\*", "a", false),
        ("A", "a", false),
    ] {
        assert_eq!(matcher(&[pattern]).matches(path).is_some(), is_met, "{pattern} {path}");
    }
}

#[test]
fn the_first_pattern_that_matches_says_the_kind_and_otherwise_the_name_does() {
    let all = matcher(&["coverage:out/a*", "log:out/**", "**"]);
    assert_eq!(all.matches("out/ab"), Some(Kind::Coverage));
    assert_eq!(all.matches("out/b.xml"), Some(Kind::Log));
    for (path, kind) in [
        ("target/nextest/junit.xml", Kind::Junit),
        ("TEST-all.xml", Kind::Junit),
        ("coverage-report.xml", Kind::Coverage),
        ("lcov.info", Kind::Coverage),
        ("coverage.json", Kind::Coverage),
        ("test.json", Kind::Other),
        ("junit/pom.xml", Kind::Other),
        ("Build.LOG", Kind::Log),
        ("0001-fix.patch", Kind::Patch),
        ("crab", Kind::Other),
    ] {
        assert_eq!(all.matches(path), Some(kind), "{path}");
    }
}

#[test]
fn what_to_look_at_is_as_little_as_the_patterns_say() {
    let roots = |patterns: &[&str]| artifacts(patterns).roots().join(" ");
    assert_eq!(roots(&["target/report.xml", "out/**", "out/a/*.log"]), "out target/report.xml");
    assert_eq!(roots(&["out", "outer/*"]), "out outer");
    assert_eq!(roots(&["a/b*/c", "{a,b}/c"]), ".");
    assert_eq!(roots(&["*"]), ".");
    assert_eq!(roots(&["a/{b/c,d}"]), "a");
}

#[test]
fn what_is_no_file_or_has_no_plain_name_is_left_out_and_said() {
    let odd = |path: OsText, sort| Found { path, sort, bytes: 1 };
    let found = vec![
        file("out/a", 1),
        odd("out".into(), Sort::Directory),
        odd("out/sub".into(), Sort::Directory),
        odd("out/link".into(), Sort::Link),
        odd("out/pipe".into(), Sort::Special),
        file("out/new\nline", 1),
        odd(b"out/\xff".to_vec().into(), Sort::File),
        file("unwanted\n", 1),
    ];
    let chosen = choose(&matcher(&["out", "out/**", "absent"]), found, KeepLimits::default());
    assert_eq!(paths(&chosen), ["out/a"]);
    let name = "its path is not UTF-8, longer than 1024 bytes or has control characters";
    assert_eq!(
        left_out(&chosen),
        [
            "absent: nothing matches it".to_owned(),
            "out: a directory: for all below it say DIRECTORY/**".to_owned(),
            "out/link: a symbolic link, and these are not followed".to_owned(),
            format!("out/new\nline: {name}"),
            "out/pipe: no regular file: a pipe, a socket or a device".to_owned(),
            format!("out/\u{fffd}: {name}"),
        ]
    );
}

#[test]
fn what_is_too_large_leaves_its_room_to_those_behind_it() {
    let limits = KeepLimits { files: 2, bytes: 10 };
    let found = [file("a", 4), file("b", 7), file("c", 6), file("d", 0)];
    let chosen = choose(&matcher(&["d", "*"]), found, limits);
    assert_eq!(paths(&chosen), ["d", "a"]);
    let chosen = choose(&matcher(&["*"]), [file("a", 4), file("b", 7), file("c", 6), file("d", 0)], limits);
    assert_eq!(paths(&chosen), ["a", "c"]);
    assert_eq!(
        left_out(&chosen),
        [
            "b: its 7 bytes would exceed 10 bytes, the limit of an attempt",
            "d: more than 2 files, the limit of an attempt"
        ]
    );
}

#[test]
fn ids_are_read_back_from_what_is_shown_and_nothing_else_is_one() {
    let id = ArtifactId { token: Token::numbered(Epoch(3), 42), number: 7 };
    assert_eq!(id.to_string(), "3.42-7");
    assert_eq!("3.42-7".parse(), Ok(id));
    for other in ["", "3.42", "3-7", "a.b-c", "3.42-7-1", "report.xml", "1.18446744073709551615-1"] {
        assert_eq!(other.parse::<ArtifactId>(), Err(UnknownId), "{other}");
    }
}

#[test]
fn the_oldest_go_first_by_age_number_and_size() {
    let one = |token, since: u64, bytes| Collection {
        token: Token(token),
        since: Timestamp::default() + Duration::from_secs(since),
        bytes,
    };
    let kept = [one(3, 300, 10), one(1, 100, 10), one(2, 200, 10)];
    let now = Timestamp::default() + Duration::from_secs(300);
    let gone =
        |bytes, age, attempts| expired(&kept, Expiry { bytes, age: Duration::from_secs(age), attempts }, now);
    assert_eq!(gone(30, 200, 3), []);
    assert_eq!(gone(29, 200, 3), [Token(1)]);
    assert_eq!(gone(30, 150, 3), [Token(1)]);
    assert_eq!(gone(30, 200, 1), [Token(1), Token(2)]);
    assert_eq!(gone(0, 200, 3).len(), 3);
}

fn any_path() -> impl Strategy<Value = String> {
    prop::collection::vec("[ab.]{1,2}", 1..4).prop_map(|names| names.join("/"))
}

fn any_pattern() -> impl Strategy<Value = String> {
    let name =
        prop_oneof![Just("**".to_owned()), "[ab*?.]{1,3}", Just("{a,b}".to_owned()), Just("[!a]".to_owned())];
    prop::collection::vec(name, 1..4).prop_map(|names| names.join("/"))
}

fn any_found() -> impl Strategy<Value = Vec<Found>> {
    let sort = prop_oneof![4 => Just(Sort::File), 1 => Just(Sort::Directory), 1 => Just(Sort::Link)];
    let one =
        (any_path(), sort, 0_u64..8).prop_map(|(path, sort, bytes)| Found { path: path.into(), sort, bytes });
    prop::collection::vec(one, 0..20)
}

proptest! {
    #[test]
    fn whatever_a_text_is_it_is_refused_or_compared_with_anything(text in "\\PC{0,20}", path in "\\PC{0,20}") {
        if let Ok(pattern) = text.parse::<Pattern>() {
            let all = Artifacts { patterns: vec![pattern.clone()] };
            let _ = all.matcher().unwrap().matches(&path);
            prop_assert_eq!(pattern.to_string().parse::<Pattern>().map(|read| read.glob), Ok(pattern.glob));
        }
    }

    #[test]
    fn what_matches_is_below_a_root(patterns in prop::collection::vec(any_pattern(), 1..4), path in any_path()) {
        let Ok(all) = Artifacts::parse(patterns.iter().map(String::as_str)) else { return Ok(()) };
        let roots = all.roots();
        if all.matcher().unwrap().matches(&path).is_some() {
            let holds = |root: &&str| *root == "." || path == *root || path.starts_with(&format!("{root}/"));
            prop_assert!(roots.iter().any(holds), "{:?} {}", roots, path);
        }
    }

    #[test]
    fn each_file_is_chosen_or_left_out_once_and_limits_hold(
        patterns in prop::collection::vec(any_pattern(), 1..4),
        found in any_found(),
        files in 0_u32..6,
        bytes in 0_u64..30,
    ) {
        let Ok(all) = Artifacts::parse(patterns.iter().map(String::as_str)) else { return Ok(()) };
        let (matcher, limits) = (all.matcher().unwrap(), KeepLimits { files, bytes });
        let chosen = choose(&matcher, found.clone(), limits);
        let mut seen: Vec<&[u8]> = chosen.kept.iter().map(|choice| choice.path.as_bytes()).collect();
        let told = chosen.left_out.iter().filter(|one| one.why != WhyLeftOut::NothingThere);
        seen.extend(told.map(|one| one.path.as_bytes()));
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        prop_assert_eq!(seen.len(), count);
        prop_assert!(chosen.kept.len() <= files as usize);
        prop_assert!(chosen.kept.iter().map(|choice| choice.bytes).sum::<u64>() <= bytes);
        for choice in &chosen.kept {
            prop_assert_eq!(matcher.matches(&choice.path), Some(choice.kind));
            let is_it = |one: &Found| one.path == (*choice.path).into() && one.sort == Sort::File && one.bytes == choice.bytes;
            prop_assert!(found.iter().any(is_it));
        }
        for one in found.iter().filter(|one| one.sort != Sort::Directory) {
            let is_wanted = matcher.matches(&one.path.to_string()).is_some();
            prop_assert_eq!(seen.contains(&one.path.as_bytes()), is_wanted);
        }
        let mut backwards = found;
        backwards.reverse();
        let paths_unlike = backwards.iter().enumerate().any(|(at, one)| backwards[..at].iter().any(|other| other.path == one.path));
        prop_assert!(paths_unlike || choose(&matcher, backwards, limits) == chosen);
    }

    #[test]
    fn what_stays_is_within_the_terms_and_younger_than_what_goes(
        kept in prop::collection::vec((0_u64..50, 0_u64..9), 0..12),
        bytes in 0_u64..40,
        age in 0_u64..60,
        attempts in 0_usize..12,
    ) {
        let of = |(token, (since, bytes)): (usize, &(u64, u64))| Collection {
            token: Token(token as u64),
            since: Timestamp::default() + Duration::from_secs(*since),
            bytes: *bytes,
        };
        let all: Vec<Collection> = kept.iter().enumerate().map(of).collect();
        let terms = Expiry { bytes, age: Duration::from_secs(age), attempts };
        let now = Timestamp::default() + Duration::from_secs(60);
        let gone = expired(&all, terms, now);
        let (stays, goes): (Vec<Collection>, Vec<Collection>) = all.iter().copied().partition(|one| !gone.contains(&one.token));
        prop_assert!(stays.len() <= attempts);
        prop_assert!(stays.iter().map(|one| one.bytes).sum::<u64>() <= bytes);
        prop_assert!(stays.iter().all(|one| now.since(one.since) <= terms.age));
        let youngest = goes.iter().map(|one| one.since).max();
        prop_assert!(stays.iter().all(|one| youngest.is_none_or(|youngest| one.since >= youngest)));
    }
}
