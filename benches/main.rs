//! How fast is it, beside what bounds it and beside others?
//!
//! One module per question; each measures ours and its limit alternately in one run and prints a small table,
//! because only the ratio says something on a machine that does other things as well. `cargo bench` asks all
//! of them, `cargo bench -- chain single` some; `CRAB_BENCH_QUICK=1` asks in seconds. What came out, and
//! what is missing, is in `benches/README.md`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot run ends with the reason")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people"
)]

mod support {
    pub(crate) mod bare;
    pub(crate) mod costs;
    pub(crate) mod daemon;
    pub(crate) mod instant;
    pub(crate) mod machines;
    pub(crate) mod peers;
    pub(crate) mod report;
    pub(crate) mod ssh;
    #[expect(dead_code, reason = "tests configure and stop it as well")]
    #[path = "../../tests/support/sshd.rs"]
    pub(crate) mod sshd;
    pub(crate) mod terminal;
    pub(crate) mod work;
}

mod agent;
mod chain;
mod decisions;
mod dispatch;
mod explaining;
mod failures;
mod growth;
mod layers;
mod output;
mod processes;
mod recovery;
mod remote;
mod scale;
mod seeing;
mod shapes;
mod single;
mod suites;
mod waiting;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A question and who asks it.
type Question = (&'static str, fn());

/// In the order of the letters in `benches/README.md`.
const QUESTIONS: [Question; 18] = [
    ("processes", processes::ask),
    ("chain", chain::ask),
    ("single", single::ask),
    ("dispatch", dispatch::ask),
    ("waiting", waiting::ask),
    ("recovery", recovery::ask),
    ("growth", growth::ask),
    ("layers", layers::ask),
    ("decisions", decisions::ask),
    ("shapes", shapes::ask),
    ("seeing", seeing::ask),
    ("explaining", explaining::ask),
    ("failures", failures::ask),
    ("agent", agent::ask),
    ("suites", suites::ask),
    ("remote", remote::ask),
    ("scale", scale::ask),
    ("output", output::ask),
];

fn main() {
    // Cargo adds `--bench`.
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if let Some(unknown) = wanted.iter().find(|name| QUESTIONS.iter().all(|(known, _)| known != name)) {
        let known: Vec<_> = QUESTIONS.iter().map(|(name, _)| *name).collect();
        println!("no question {unknown:?}; there are: {}", known.join(" "));
        std::process::exit(2);
    }
    for (name, ask) in QUESTIONS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            ask();
        }
    }
}
