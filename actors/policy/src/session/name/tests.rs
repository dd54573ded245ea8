//! Names: a table of hostile ones, and that any two identities are told apart or found to collide.

use proptest::prelude::*;

use super::*;

const FORBIDDEN: &str = "must be refused";

/// A part as it is given, and what becomes of it.
const HOSTILE: &[(&str, &str)] = &[
    ("knittingcrab", "knittingcrab"),
    ("KnittingCrab", "knittingcrab"),
    ("repo.rs", "repo.rs"),
    ("a.b.c", "a.b.c"),
    (".hidden", ".hidden"),
    ("end.", "end."),
    ("t-4790", "t-4790"),
    ("-rf", "-rf"),
    ("--help", "--help"),
    ("-t=victim", "-t_victim"),
    ("=exact", "_exact"),
    ("@1", "_1"),
    ("%1", "_1"),
    ("$1", "_1"),
    ("{last}", "_last_"),
    ("a:b", "a_b"),
    ("a:0.1", "a_0.1"),
    ("a b", "a_b"),
    (" ", "_"),
    ("   ", "___"),
    ("\t", "_"),
    ("\n", "_"),
    ("a\nb", "a_b"),
    ("a\r\nb", "a__b"),
    ("\u{1b}[2J", "__2j"),
    ("\u{7}", "_"),
    ("\u{7f}", "_"),
    ("\u{9b}31m", "_31m"),
    ("'", "_"),
    ("\"", "_"),
    ("`id`", "_id_"),
    ("$(id)", "__id_"),
    ("${HOME}", "__home_"),
    ("$HOME", "_home"),
    ("a;b", "a_b"),
    (";", "_"),
    ("a&b", "a_b"),
    ("a|b", "a_b"),
    ("a>b", "a_b"),
    ("<a", "_a"),
    ("a\\b", "a_b"),
    ("*", "_"),
    ("?", "_"),
    ("[a-z]", "_a-z_"),
    ("~", "_"),
    ("~user", "_user"),
    ("#{pane_id}", "__pane_id_"),
    ("#(touch x)", "__touch_x_"),
    ("!!", "__"),
    ("a__b", "a__b"),
    ("__", "__"),
    ("_", "_"),
    ("__agent", "__agent"),
    ("é", "_"),
    ("\u{212a}elvin", "_elvin"),
    ("раypal", "__ypal"),
    ("D", "d"),
    ("aDb", "adb"),
    ("İ", "_"),
    ("ß", "_"),
    ("名前", "__"),
    ("🦀", "_"),
    ("a\u{202e}b", "a_b"),
    ("a\u{200b}b", "a_b"),
    ("\u{feff}a", "_a"),
    ("CON", "con"),
    ("", FORBIDDEN),
    (".", FORBIDDEN),
    ("..", FORBIDDEN),
    ("...", FORBIDDEN),
    ("a..b", FORBIDDEN),
    ("../../etc", FORBIDDEN),
    ("/", FORBIDDEN),
    ("/etc/passwd", FORBIDDEN),
    ("bad/name", FORBIDDEN),
    ("a/", FORBIDDEN),
    ("a\0b", FORBIDDEN),
];

#[test]
fn each_hostile_part_is_refused_or_becomes_plain() {
    for (given, becomes) in HOSTILE {
        let made = |repo: &str, work: &str| Identity::new(repo, work, Role::Agent).map(|made| made.name());
        if *becomes == FORBIDDEN {
            assert!(made(given, "w").is_err() && made("r", given).is_err(), "{given:?}");
            continue;
        }
        assert_eq!(made(given, "w").unwrap().as_str(), format!("aivcs__{becomes}__w__agent"), "{given:?}");
        assert_eq!(made("r", given).unwrap().as_str(), format!("aivcs__r__{becomes}__agent"), "{given:?}");
    }
    assert!(HOSTILE.len() >= 60);
}

#[test]
fn refusals_say_what_they_refuse() {
    let said = |repo: &str, work: &str| Identity::new(repo, work, Role::Human).unwrap_err().to_string();
    assert_eq!(said("bad/name", "w"), "invalid repo name \"bad/name\" (forbids /)");
    assert_eq!(said("r", "a..b"), "invalid work name \"a..b\" (forbids ..)");
    assert_eq!(said("a\0", "w"), "invalid repo name \"a\\0\" (forbids NUL)");
    assert_eq!(said("", "w"), "invalid repo name \"\" (must have 1 to 100 characters, has 0)");
    let long = said("r", &"é".repeat(300));
    assert!(long.ends_with("(must have 1 to 100 characters, has 300)") && long.len() < 300, "{long}");
    assert!(Identity::new(&"é".repeat(100), &"w".repeat(100), Role::Runner).is_ok());
}

#[test]
fn what_is_no_name_of_ours_is_not_read() {
    let bad = [
        "",
        "aivcs",
        "aivcs__",
        "aivcs__r__agent",
        "aivcs____w__agent",
        "aivcs__r____agent",
        "aivcs__r__w__boss",
        "aivcs__r__w__agent ",
        "aivcs__R__w__agent",
        "aivcs__r__w__agent:0",
        "=aivcs__r__w__agent",
        "aivcs__../x__w__agent",
        "aivcs__a..b__w__agent",
        "xaivcs__r__w__agent",
        "work",
        "-t",
    ];
    for bad in bad {
        assert!(SessionName::parse(bad).is_err(), "{bad:?}");
        assert_eq!(SessionName::from_tmux(bad), None, "{bad:?}");
    }
    assert_eq!(SessionName::from_tmux("aivcs__a.b__w__agent"), None, "tmux has no dots");
    let name = SessionName::from_tmux("aivcs__aDb__w__agent").unwrap();
    assert_eq!((name.as_str(), name.role()), ("aivcs__a.b__w__agent", Role::Agent));
}

#[test]
fn different_identities_can_meet_in_one_name() {
    let made = |repo, work| Identity::new(repo, work, Role::Agent).unwrap();
    for (one, other) in [
        (made("a b", "w"), made("a_b", "w")),
        (made("a__b", "c"), made("a", "b__c")),
        (made("Repo", "w"), made("repo", "w")),
    ] {
        assert_eq!(one.name(), other.name());
        assert_ne!(one, other, "which is how it is found out");
    }
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Agent), Just(Role::Runner), Just(Role::Human)]
}

fn part() -> impl Strategy<Value = String> {
    let letters = "aAbDz09._-/ \n:$'\"é名\u{212a}\0".chars().collect::<Vec<_>>();
    let few = proptest::collection::vec(proptest::sample::select(letters), 0..8);
    prop_oneof![
        few.prop_map(String::from_iter),
        proptest::collection::vec(any::<char>(), 0..120).prop_map(String::from_iter),
    ]
}

proptest! {
    #[test]
    fn whatever_is_let_in_has_a_name_that_is_read_back(repo in part(), work in part(), role in role()) {
        let Ok(identity) = Identity::new(&repo, &work, role) else { return Ok(()) };
        let name = identity.name();
        name.check();
        prop_assert_eq!(name.role(), role);
        prop_assert!(!name.tmux().contains(['.', ':', ' ', '=']));
        prop_assert_eq!((identity.repo(), identity.work()), (&*repo, &*work));
    }

    #[test]
    fn only_names_are_read(text in "[a-zA-Z0-9._:=-]{0,40}|aivcs__[a-zD._-]{1,9}__[a-zD._-]{1,9}__(agent|runner|human)") {
        if let Ok(name) = SessionName::parse(&text) {
            name.check();
        }
        if let Some(name) = SessionName::from_tmux(&text) {
            prop_assert_eq!(name.tmux(), text);
        }
    }

    #[test]
    fn two_names_are_two_names_in_tmux(one in "aivcs__[a-z.]{1,3}__w__agent", other in "aivcs__[a-z.]{1,3}__w__agent") {
        if let (Ok(one), Ok(other)) = (SessionName::parse(&one), SessionName::parse(&other)) {
            prop_assert_eq!(one == other, one.tmux() == other.tmux());
        }
    }
}
