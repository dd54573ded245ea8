//! Which sessions are pruned: the left ones, by age and by role.

use std::fs;

use super::bed::Bed;
use crate::support::program::write;
use crate::support::waiting::{SOON, until_true};

fn attach(bed: &Bed, work: &str, role: &str) {
    bed.run(&["attach", "--repo", "r", "--work", work, "--role", role]).expect(0);
}

#[test]
fn prune_takes_what_is_old_enough_and_of_the_role() {
    let bed = Bed::new();
    for role in ["agent", "runner", "human"] {
        attach(&bed, "w", role);
    }
    bed.run(&["exec", "--repo", "r", "--work", "busy", "--role", "agent", "--detach", "--", "sleep", "600"])
        .expect(0);
    bed.run(&["prune", "--older-than", "24"]).expect(0);
    assert_eq!(bed.names().len(), 4, "they are young");
    let pruned = bed.run(&["prune", "--older-than", "0", "--role", "runner"]).expect(0).text();
    assert_eq!(pruned, "aivcs__r__w__runner ended\n");
    let told = bed.run(&["--json", "prune", "--older-than", "0"]).expect(0).json();
    let kept = |work: &str, role: &str| {
        let name = format!("aivcs__r__{work}__{role}");
        told.iter().find(|row| row["name"] == name.as_str()).expect("it is told of")["kept"].clone()
    };
    assert_eq!(kept("w", "agent"), serde_json::Value::Null);
    assert_eq!(kept("busy", "agent"), "at work: kill ends it");
    assert_eq!(kept("w", "human"), "of a person: name the role to prune it");
    assert_eq!(bed.names(), ["aivcs__r__busy__agent", "aivcs__r__w__human"]);
    bed.run(&["prune", "--older-than", "0", "--role", "human"]).expect(0);
    assert_eq!(bed.names(), ["aivcs__r__busy__agent"]);
    assert!(!bed.session("aivcs__r__w__human").exists(), "its files go as well");
}

#[test]
fn files_without_a_session_go_by_their_age() {
    let bed = Bed::new();
    attach(&bed, "old", "agent");
    attach(&bed, "new", "agent");
    bed.tmux(&["kill-server"]);
    until_true("no session is there", SOON, || bed.list().is_empty());
    let identity = bed.session("aivcs__r__old__agent").join("identity");
    let words = fs::read_to_string(&identity).unwrap();
    let words: Vec<&str> = words.split_whitespace().collect();
    write(&identity, format!("{} {} 1000000000\n", words[0], words[1]));
    let shown = bed.run(&["--dry-run", "prune"]).expect(0).text();
    assert!(shown.contains("aivcs__r__old__agent") && !shown.contains("aivcs__r__new__agent"));
    assert_eq!(bed.run(&["prune"]).expect(0).text(), "aivcs__r__old__agent ended\n");
    assert!(!bed.session("aivcs__r__old__agent").exists());
    assert!(bed.session("aivcs__r__new__agent").exists());
}
