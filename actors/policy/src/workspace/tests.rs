//! Tests of what becomes of workspaces.

use proptest::prelude::*;

use super::*;
use crate::task::LossReason;

const HOUR: Duration = Duration::from_secs(3600);

fn work() -> Unsaved {
    Unsaved::Work { changed: 1, commits: 0 }
}

#[test]
fn work_that_is_nowhere_else_stays_unless_the_task_says_never() {
    let ends = [AttemptOutcome::Exited(0), AttemptOutcome::Exited(1), AttemptOutcome::Cancelled];
    for keep in Keep::VARIANTS.iter().copied().filter(|keep| *keep != Keep::Never) {
        for end in ends.iter().map(Some).chain([None]) {
            let found = fate(keep, end, work());
            assert_eq!(found, Fate::Keep(WhyKept::Unsaved { changed: 1, commits: 0 }), "{keep}");
            assert!(
                matches!(fate(keep, end, Unsaved::Unknown("no git".into())), Fate::Keep(why) if why.is_unsaved())
            );
        }
    }
    assert_eq!(fate(Keep::Never, None, work()), Fate::Remove);
}

#[test]
fn what_is_saved_goes_unless_the_task_wants_it() {
    let (good, bad) = (AttemptOutcome::Exited(0), AttemptOutcome::Signalled(9));
    let lost = AttemptOutcome::Lost(LossReason::Preempted);
    let of = |keep, outcome| fate(keep, Some(outcome), Unsaved::Nothing);
    assert_eq!(of(Keep::Unsaved, &bad), Fate::Remove);
    assert_eq!(of(Keep::OnFailure, &good), Fate::Remove);
    assert_eq!(of(Keep::OnFailure, &lost), Fate::Remove);
    assert_eq!(of(Keep::OnFailure, &bad), Fate::Keep(WhyKept::Failed));
    assert_eq!(of(Keep::Always, &good), Fate::Keep(WhyKept::Asked));
}

#[test]
fn a_kept_one_says_why() {
    let why = |changed, commits| WhyKept::Unsaved { changed, commits }.to_string();
    assert_eq!(why(1, 0), "1 changed file");
    assert_eq!(why(0, 2), "2 commits that are on no branch");
    assert_eq!(why(3, 1), "3 changed files and 1 commit that is on no branch");
}

fn kept() -> impl Strategy<Value = Vec<Kept>> {
    let one = (0..50_u64, 0..100_u64, any::<bool>());
    proptest::collection::vec(one, 0..20).prop_map(|all| {
        let made = |(token, (since, bytes, is_unsaved)): (u64, (u64, u64, bool))| Kept {
            token: Token(token),
            since: Timestamp::default() + HOUR * u32::try_from(since).unwrap(),
            bytes,
            is_unsaved,
        };
        (0..).zip(all).map(made).collect()
    })
}

proptest! {
    #[test]
    fn the_old_go_the_oldest_first_and_never_unsaved_work_that_nobody_gave_up(
        kept in kept(), age in 0..60_u32, target in 0..1000_u64, free in 0..1000_u64, unsaved_too: bool,
    ) {
        let now = Timestamp::default() + HOUR * 50;
        let terms = Reclaim { age: HOUR * age, free_bytes: target, unsaved_too };
        let gone = reclaimed(&kept, terms, now, free);
        let (left, went): (Vec<&Kept>, Vec<&Kept>) = kept.iter().partition(|one| !gone.contains(&one.token));
        prop_assert!(unsaved_too || went.iter().all(|one| !one.is_unsaved));
        let may_go = |one: &&&Kept| unsaved_too || !one.is_unsaved;
        prop_assert!(left.iter().filter(may_go).all(|one| now.since(one.since) < terms.age), "none is too old");
        let after = free + went.iter().map(|one| one.bytes).sum::<u64>();
        prop_assert!(after >= target || left.iter().filter(may_go).count() == 0, "there is room, or nothing to give");
        let oldest_left = left.iter().filter(may_go).map(|one| one.since).min();
        let newest_gone = went.iter().map(|one| one.since).max();
        prop_assert!(newest_gone.zip(oldest_left).is_none_or(|(gone, left)| gone <= left));
        // No more than is needed: without the last one that went there was a reason for it.
        if let Some(last) = gone.last().and_then(|last| kept.iter().find(|one| one.token == *last)) {
            prop_assert!(now.since(last.since) >= terms.age || after - last.bytes < target);
        }
    }
}
