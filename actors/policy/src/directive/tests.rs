//! What directives come to, and that keeping the last of each subject is keeping all.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn node(name: &str) -> NodeId {
    NodeId::from(name)
}

#[test]
fn a_node_is_closed_for_the_gravest_reason_and_open_when_all_is_taken_back() {
    let mut all = Directives::default();
    let deadline = Some(Timestamp(7));
    assert!(all.apply(&Directive::Cordon(node("a"))));
    assert!(!all.apply(&Directive::Cordon(node("a"))), "it changes nothing");
    assert_eq!(all.closed(&node("a")), Some(Closed::Cordoned));
    assert!(all.apply(&Directive::Drain { node: node("a"), deadline }));
    assert_eq!(
        (all.closed(&node("a")), all.drain(&node("a"))),
        (Some(Closed::Draining { deadline }), Some(deadline))
    );
    assert!(all.apply(&Directive::Halt(None)));
    assert_eq!(all.closed(&node("b")), Some(Closed::Halted));
    assert!(all.apply(&Directive::Unhalt(None)));
    assert!(all.apply(&Directive::Uncordon(node("a"))));
    assert_eq!((all.closed(&node("a")), all.names(&node("a"))), (None, false));
    assert_eq!(all, Directives::default());
}

#[test]
fn the_widest_pause_is_told() {
    let mut all = Directives::default();
    all.apply(&Directive::Pause(Scope::Tenant("ann".into())));
    assert_eq!(all.stopped(Priority::Low, "bob"), None);
    assert_eq!(all.stopped(Priority::Low, "ann"), Some(Stopped::Paused(Scope::Tenant("ann".into()))));
    all.apply(&Directive::Pause(Scope::Priority(Priority::Low)));
    assert_eq!(all.stopped(Priority::Low, "ann"), Some(Stopped::Paused(Scope::Priority(Priority::Low))));
    assert_eq!(all.stopped(Priority::High, "bob"), None);
    all.apply(&Directive::Pause(Scope::All));
    assert_eq!(all.stopped(Priority::High, "bob"), Some(Stopped::Paused(Scope::All)));
    all.apply(&Directive::Halt(None));
    assert_eq!(all.stopped(Priority::High, "bob"), Some(Stopped::Halted));
    assert_eq!(all.paused().len(), 3);
}

fn directive() -> impl Strategy<Value = Directive> {
    let name = prop_oneof![Just(node("a")), Just(node("b"))];
    let maybe = proptest::option::of(name.clone());
    let scope = prop_oneof![
        Just(Scope::All),
        Just(Scope::Priority(Priority::Low)),
        Just(Scope::Tenant("t".into())),
        Just(Scope::Tenant("u".into())),
    ];
    prop_oneof![
        name.clone().prop_map(Directive::Cordon),
        name.clone().prop_map(Directive::Uncordon),
        (name.clone(), proptest::option::of(Just(Timestamp(3))))
            .prop_map(|(node, deadline)| Directive::Drain { node, deadline }),
        name.clone().prop_map(Directive::Remove),
        (name, proptest::sample::subsequence(vec!["rack", "spare"], 0..=2)).prop_map(|(node, names)| {
            let labels = names.into_iter().map(|name| (name.into(), Some("x".into()))).collect();
            Directive::Label { node, labels }
        }),
        maybe.clone().prop_map(Directive::Halt),
        maybe.prop_map(Directive::Unhalt),
        scope.clone().prop_map(Directive::Pause),
        scope.prop_map(Directive::Resume),
    ]
}

proptest! {
    #[test]
    fn the_last_of_each_subject_says_all_that_all_of_them_said(
        said in proptest::collection::vec(directive(), 0..40),
    ) {
        let (mut all, mut kept) = (Directives::default(), BTreeMap::new());
        for directive in &said {
            all.apply(directive);
            for subject in directive.subjects() {
                match directive.takes_back() {
                    true => drop(kept.remove(&subject)),
                    false => drop(kept.insert(subject, directive)),
                }
            }
        }
        let mut again = Directives::default();
        kept.values().for_each(|directive| {
            again.apply(directive);
        });
        prop_assert_eq!(again, all);
    }
}

#[test]
fn who_has_said_what_holds_is_known_until_it_is_taken_back() {
    let author = |by: &str, reason: &str| Author { by: by.into(), reason: reason.into(), at: Timestamp(7) };
    let mut all = Directives::default();
    let cordon = Directive::Cordon(node("a"));
    assert!(all.hear(&cordon, &author("ann", "")));
    assert!(!all.hear(&cordon, &author("bob", "")), "it is so already, and nothing more was said");
    assert_eq!(all.said_of(&node("a")), Some(&author("ann", "")));
    assert!(all.hear(&cordon, &author("bob", "new disk")), "the reason is news");
    assert!(!all.hear(&cordon, &author("cid", "new disk")));
    assert_eq!(all.said_of(&node("a")), Some(&author("bob", "new disk")));
    assert!(all.hear(&Directive::Halt(Some(node("a"))), &author("cid", "smoke")));
    assert_eq!(all.said_of(&node("a")), Some(&author("cid", "smoke")), "the gravest");
    all.hear(&Directive::Unhalt(Some(node("a"))), &author("cid", ""));
    assert_eq!(all.said_of(&node("a")), Some(&author("bob", "new disk")));
    let pause = Directive::Pause(Scope::Priority(Priority::Low));
    all.hear(&pause, &author("ann", "people wait"));
    all.hear(&Directive::Halt(None), &author("bob", ""));
    let said = [(Directive::Halt(None), author("bob", "")), (pause.clone(), author("ann", "people wait"))];
    assert_eq!(all.all_said(), said);
    all.hear(&Directive::Uncordon(node("a")), &author("ann", ""));
    all.hear(&Directive::Resume(Scope::Priority(Priority::Low)), &author("ann", ""));
    all.hear(&Directive::Unhalt(None), &author("ann", ""));
    assert_eq!(all, Directives::default(), "nothing is left of it");
}
