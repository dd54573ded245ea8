//! Tests of digests.

use proptest::prelude::*;

use super::*;

fn digest(limit: usize, lines: &[String]) -> Digested {
    let mut digest = Digest::new(limit);
    for (number, line) in lines.iter().enumerate() {
        digest.push(Stream::Stdout, Timestamp(number as u64), line, 0);
    }
    digest.finish()
}

fn told(digested: &Digested) -> Vec<String> {
    let told = |part: &Part| match part {
        Part::Line(shown) if shown.alike > 0 => format!("{} (+{})", shown.text, shown.alike),
        Part::Line(shown) => shown.text.to_string(),
        Part::Gap { lines, troubles } => format!("<{lines} {troubles}>"),
    };
    digested.parts.iter().map(told).collect()
}

/// The most bytes that it takes as text.
fn size(digested: &Digested) -> usize {
    let size = |part: &Part| match part {
        Part::Line(shown) => {
            shown.text.len() + 1 + NOTE_BYTES * (usize::from(shown.cut > 0) + usize::from(shown.alike > 0))
        }
        Part::Gap { .. } => NOTE_BYTES,
    };
    HEAD_BYTES + digested.parts.iter().map(size).sum::<usize>()
}

fn numbered(lines: std::ops::Range<usize>, what: &str) -> Vec<String> {
    // A letter of its own keeps neighbours apart: numbers alone make no difference.
    lines
        .map(|number| format!("{what} {} {number}", char::from(b'a' + u8::try_from(number % 7).unwrap())))
        .collect()
}

#[test]
fn what_fits_is_shown_whole() {
    let lines = numbered(0..20, "step");
    assert_eq!(told(&digest(USUAL_LIMIT_BYTES, &lines)), lines);
    let same = vec!["again".to_owned(); 10];
    assert_eq!(told(&digest(USUAL_LIMIT_BYTES, &same)), same);
    assert_eq!(told(&digest(USUAL_LIMIT_BYTES, &[])), [""; 0]);
}

#[test]
fn the_first_the_last_and_those_that_tell_of_trouble_are_shown() {
    let mut lines = numbered(0..1000, "step");
    lines[500] = "error: it broke".to_owned();
    lines[501] = "  --> at this place".to_owned();
    let digested = digest(LEAST_LIMIT_BYTES, &lines);
    let told = told(&digested);
    assert_eq!((told.first(), told.last()), (lines.first(), lines.last()));
    let at = told.iter().position(|line| line == "error: it broke").expect("the error");
    assert_eq!(told[at + 1], "  --> at this place");
    assert_eq!((digested.lines, digested.troubles), (1000, 1));
}

#[test]
fn what_comes_over_and_over_is_shown_once() {
    let mut lines = vec!["begin".to_owned()];
    lines.extend((0..1000).map(|percent| format!("loaded {percent} of 1000")));
    lines.extend((0..1000).flat_map(|_| ["poll".to_owned(), "nothing yet".to_owned()]));
    lines.push("end".to_owned());
    let expected = ["begin", "loaded 0 of 1000 (+999)", "poll", "nothing yet", "poll (+1997)", "end"];
    assert_eq!(told(&digest(LEAST_LIMIT_BYTES, &lines)), expected);
}

#[test]
fn the_last_line_of_a_run_is_shown_as_it_is() {
    let lines: Vec<_> = (0..1000).map(|percent| format!("loaded {percent} of 1000")).collect();
    let expected = ["loaded 0 of 1000 (+998)", "loaded 999 of 1000"];
    assert_eq!(told(&digest(LEAST_LIMIT_BYTES, &lines)), expected);
}

#[test]
fn errors_that_differ_by_a_number_are_different() {
    let mut lines = numbered(0..200, "step");
    lines.splice(50..50, ["error at 1", "error at 2", "error at 2"].map(str::to_owned));
    let told = told(&digest(LEAST_LIMIT_BYTES, &lines));
    assert!(
        told.contains(&"error at 1".to_owned()) && told.contains(&"error at 2 (+1)".to_owned()),
        "{told:?}"
    );
}

#[test]
fn of_many_errors_the_first_and_the_last_are_shown_and_the_others_counted() {
    let lines = numbered(0..10_000, "error");
    let digested = digest(LEAST_LIMIT_BYTES, &lines);
    let told = told(&digested);
    assert_eq!((told.first(), told.last()), (lines.first(), lines.last()));
    assert_eq!(digested.troubles, 10_000);
    let missing: u64 = digested
        .parts
        .iter()
        .map(|part| if let Part::Gap { troubles, .. } = part { *troubles } else { 0 })
        .sum();
    assert_eq!(
        usize::try_from(missing).unwrap() + told.iter().filter(|line| line.starts_with("error")).count(),
        10_000
    );
}

#[test]
fn a_hundred_thousand_lines_are_held_in_some_multiples_of_the_limit() {
    let mut digest = Digest::new(LEAST_LIMIT_BYTES);
    for number in 0..100_000_u64 {
        let word = ["error", "fine", "also fine"][usize::try_from(number % 3).unwrap()];
        digest.push(Stream::Stderr, Timestamp(number), &format!("{word} {}", number / 3 % 5), 0);
    }
    let held: usize =
        [&digest.head, &digest.early, &digest.late, &digest.tail].iter().map(|store| store.size()).sum();
    assert!(held <= 4 * LEAST_LIMIT_BYTES, "{held} bytes");
    assert!(size(&digest.finish()) <= LEAST_LIMIT_BYTES);
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[a-c]{0,3}",
        3 => "[a-c ]{1,3} [0-9]{1,3}",
        2 => "error [a-c0-9]{1,4}",
        1 => "[a-cé]{100,700}",
        1 => "Error: [x ]{100,900}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_was_written_a_digest_is_bounded_and_true(
        lines in prop::collection::vec(line(), 0..400), limit in LEAST_LIMIT_BYTES..4000
    ) {
        let digested = digest(limit, &lines);
        prop_assert!(size(&digested) <= limit, "{} of {limit}", size(&digested));
        let (mut next, mut troubles) = (0, 0);
        for part in &digested.parts {
            match part {
                Part::Gap { lines: missing, troubles: told } => {
                    prop_assert!(*missing > 0);
                    let end = next + usize::try_from(*missing).unwrap();
                    let count = lines[next..end].iter().filter(|line| trouble::speaks_of(line)).count();
                    prop_assert_eq!(count as u64, *told);
                    (next, troubles) = (end, troubles + told);
                }
                Part::Line(shown) => {
                    let line = &lines[next];
                    prop_assert_eq!(shown.number, next as u64 + 1);
                    prop_assert!(line.starts_with(&*shown.text), "{line} is not {}", shown.text);
                    prop_assert_eq!(line.len() as u64, shown.text.len() as u64 + shown.cut);
                    let end = next + 1 + usize::try_from(shown.alike).unwrap();
                    troubles += lines[next..end].iter().filter(|line| trouble::speaks_of(line)).count() as u64;
                    next = end;
                }
            }
        }
        prop_assert_eq!((next, troubles), (lines.len(), digested.troubles));
        if let Some(last) = lines.last() {
            let Some(Part::Line(shown)) = digested.parts.last() else { panic!("the last line is missing") };
            prop_assert!(last.starts_with(&*shown.text) && shown.alike == 0);
        }
    }

    #[test]
    fn what_is_small_is_left_as_it_is(lines in prop::collection::vec("[a-z0-9]{0,20}", 0..35)) {
        prop_assert_eq!(told(&digest(LEAST_LIMIT_BYTES, &lines)), lines);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_few_errors_are_all_shown(
        places in prop::collection::btree_set(0_usize..3000, 0..8), limit in USUAL_LIMIT_BYTES..20_000
    ) {
        let mut lines = numbered(0..3000, "a step on the way to somewhere");
        for place in &places {
            lines[*place] = format!("error in step {place}");
        }
        let told = told(&digest(limit, &lines));
        for place in places {
            prop_assert!(told.contains(&format!("error in step {place}")), "of {place} in {told:?}");
        }
    }
}
