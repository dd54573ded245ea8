//! What attempts write arrives whole and in order, and never holds them up.

use actors::output::spool::OutputLimits;
use actors::process::protocol::StopReason;
use policy::output::Stream;
use policy::task::AttemptOutcome;

use crate::bed::Bed;
use crate::helpers;

crate::tests![
    output_need_not_be_text,
    each_stream_keeps_its_order,
    large_output_is_complete,
    beyond_the_limit_head_and_tail_are_kept_and_the_task_goes_on,
    the_last_line_is_there_when_the_end_is_told,
    the_output_of_a_killed_one_is_kept,
];

fn output_need_not_be_text() {
    let mut bed = Bed::new();
    bed.sh(1, r"printf '\377\376\000x'; exit 4");
    assert_eq!(bed.ended(1), AttemptOutcome::Exited(4));
    assert_eq!(bed.stdout(1), [0xff, 0xfe, 0, b'x']);
}

/// Two pipes have no common order but that in which they are read: a host that is late finds both filled. What
/// holds always is the order within each stream, and times that never go back.
fn each_stream_keeps_its_order() {
    let mut bed = Bed::new();
    bed.start(1, &helpers::argv(&helpers::exe(), &["both-streams", "40"]));
    bed.ended(1);
    let lines =
        |odd: u32| (0..40).filter(|n| n % 2 == odd).map(|n| format!("line {n}\n")).collect::<String>();
    let parts = bed.parts(1);
    for (stream, odd) in [(Stream::Stdout, 0), (Stream::Stderr, 1)] {
        let of_stream = parts.iter().filter(|part| part.stream == stream);
        let bytes: Vec<u8> = of_stream.flat_map(|part| part.bytes.clone()).collect();
        assert_eq!(String::from_utf8_lossy(&bytes), lines(odd));
    }
    let times: Vec<_> = parts.iter().map(|part| part.at).collect();
    assert!(times.is_sorted() && times.len() > 1);
}

fn large_output_is_complete() {
    let mut bed = Bed::new();
    bed.sh(1, "head -c 20000000 /dev/zero | tr '\\0' 'x'");
    let (outcome, usage) = bed.ended_with(1);
    assert_eq!(outcome, AttemptOutcome::Exited(0));
    assert_eq!(usage.stdout_bytes, 20_000_000);
    let output = bed.stdout(1);
    assert!(output.len() == 20_000_000 && output.iter().all(|byte| *byte == b'x'));
}

fn beyond_the_limit_head_and_tail_are_kept_and_the_task_goes_on() {
    let mut bed = Bed::new();
    let script = "echo first; head -c 5000000 /dev/zero; echo; echo last; echo done > done";
    bed.start_with(1, &["sh", "-c", script], |start| {
        start.output = OutputLimits { head_bytes: 100_000, tail_bytes: 200_000, total_bytes: 1_000_000 };
    });
    assert_eq!(bed.ended(1), AttemptOutcome::Exited(0));
    assert_eq!(bed.file("done"), "done");
    let output = bed.stdout(1);
    assert!(output.starts_with(b"first\n") && output.ends_with(b"\nlast\n"));
    let omitted: u64 = bed.parts(1).iter().map(|part| part.omitted).sum();
    assert_eq!(omitted + output.len() as u64, 5_000_012);
    assert!(output.len() <= 300_000 && output.len() > 200_000, "{}", output.len());
}

fn the_last_line_is_there_when_the_end_is_told() {
    let mut bed = Bed::new();
    for token in 1..=50 {
        bed.sh(token, "echo a; echo b >&2; echo z");
    }
    for token in 1..=50 {
        bed.ended(token);
        let mut lines: Vec<String> = bed.output(token).lines().map(str::to_owned).collect();
        lines.sort_unstable();
        assert_eq!(lines, ["a", "b", "z"]);
    }
}

fn the_output_of_a_killed_one_is_kept() {
    let mut bed = Bed::new();
    bed.sh(1, "echo before; echo ready > ready; sleep 1000");
    bed.file("ready");
    bed.stop(1, StopReason::LeaseLost);
    assert_eq!(bed.ended(1), AttemptOutcome::Lost(policy::task::LossReason::LeaseLost));
    assert_eq!(bed.output(1), "before\n");
}
