//! Commands that have a person's terminal.

use super::bed::Bed;
use crate::support::program::write;
use crate::support::pty::Terminal;
use crate::support::waiting::{SOON, until_true};

fn exec(bed: &Bed, role: &str, argv: &[&str]) -> Terminal {
    let words = [&["exec", "--repo", "r", "--work", "w", "--role", role, "--tty", "--"], argv].concat();
    Terminal::start(&mut bed.there(&words))
}

#[test]
fn a_command_has_the_terminal_its_size_and_what_is_typed_and_its_exit_code_comes_back() {
    let bed = Bed::new();
    let script =
        "stty size; printf 'name? '; read -r name; echo \"it's $name $A\"; test -t 0 && test -t 1 && exit 7";
    let mut person = exec(&bed, "runner", &["env", "A=b  c", "sh", "-c", script]);
    // One line is tmux's.
    person.shows("23 80");
    person.shows("name? ");
    person.types("x y\r");
    // Once on the session's screen, and once when that has gone.
    person.shows("it's x y b  c");
    assert_eq!(person.ended().code(), Some(7));
    assert!(bed.list().is_empty(), "a runner ends with its work");
    let said = bed.run(&["logs", "--session", "aivcs__r__w__runner"]).expect(0).text();
    assert!(said.starts_with("23 80\n") && said.ends_with("it's x y b  c\n"), "{said:?}");
}

#[test]
fn what_is_over_at_once_is_seen_all_the_same() {
    let bed = Bed::new();
    let mut person = exec(&bed, "runner", &["echo", "here it is"]);
    person.shows("here it is");
    assert_eq!(person.ended().code(), Some(0));
    let person = exec(&bed, "runner", &["/no/such/program"]);
    assert_eq!(person.ended().code(), Some(127));
}

#[test]
fn what_is_about_to_begin_goes_on() {
    let bed = Bed::new();
    let (name, key) = ("aivcs__r__w__human", actors::session::words::key_of("k"));
    bed.run(&["attach", "--repo", "r", "--work", "w", "--role", "human"]).expect(0);
    // As another call has claimed it, whose pane takes its time.
    let (session, seconds) = (bed.session(name), actors::clock::Clock::system().wall().0 / 1_000_000);
    let at = session.join("a").join(&*key);
    std::fs::create_dir_all(at.join("launched")).expect("it can be made");
    write(&at.join("limit"), "3600\n");
    write(&session.join("n/1"), format!("{key} 0 {seconds}\n"));
    let words = ["exec", "--repo", "r", "--work", "w", "--role", "human", "--tty", "--key", "k"];
    let mut person =
        Terminal::start(&mut bed.there(&[&words, &["--setup-timeout", "1s", "--", "true"][..]].concat()));
    person.shows("[aivcs");
    person.types("\x02d");
    person.shows("it goes on in aivcs__r__w__human");
    assert_eq!(person.ended().code(), Some(125));
}

#[test]
fn keys_that_interrupt_reach_the_command_and_none_stops_it_for_ever() {
    let bed = Bed::new();
    let mut person = exec(
        &bed,
        "agent",
        &["sh", "-c", "trap 'echo heard; exit 9' INT; echo ready; while :; do sleep 0.1; done"],
    );
    person.shows("ready");
    person.types("\x1a");
    person.types("\x03");
    person.shows("heard");
    assert_eq!(person.ended().code(), Some(9));
}

#[test]
fn who_detaches_leaves_it_running_and_a_killed_session_is_the_end_of_it() {
    let bed = Bed::new();
    let seconds = format!("58{}", std::process::id());
    let mut person = exec(&bed, "agent", &["sh", "-c", "echo ready; sleep \"$0\"; :", &seconds]);
    person.shows("ready");
    person.types("\x02d");
    person.shows("it goes on in aivcs__r__w__agent");
    assert_eq!(person.ended().code(), Some(125));
    assert_eq!(bed.list()[0]["attempt"]["state"], "running");
    let asleep = || !bed.processes(&format!("sleep {seconds}")).is_empty();
    assert!(asleep());
    bed.tmux(&["kill-server"]);
    until_true("nothing of it is left", SOON, || !asleep());
    until_true("it is told how it ended", SOON, || {
        bed.run(&["list", "--all", "--json"]).expect(0).json()[0]["attempt"]["outcome"] == "hung-up"
    });
    let none =
        bed.run(&["exec", "--repo", "r", "--work", "w", "--role", "agent", "--tty", "--", "true"]).expect(2);
    none.says(&["--tty is for somebody at a terminal"]);
}
