//! (e) What do a million waiting tasks cost?

use std::path::Path;
use std::time::Instant;

use policy::submission::Submission;

use crate::support::daemon::{Daemon, block_on};
use crate::support::{report, work};

pub(crate) fn ask() {
    report::title("(e) waiting", "array of 1,000,000: ≤ 0.5 s, ≤ 150 MB; 100,000 separate: ≤ 100 MB");
    let spec = work::spec(Path::new("/bin/true"));
    let (many, some) = (report::size(1_000_000, 100_000), report::size(100_000, 10_000));
    of(&format!("one array of {many}"), work::array(spec.clone(), many));
    of(&format!("{some} separate tasks"), work::separate(&spec, some));
}

fn of(what: &str, submission: Submission) {
    let daemon = Daemon::without_worker();
    let before = daemon.resident_mb();
    let took = block_on(async {
        let client = daemon.client();
        client.hello().await.expect("it answers");
        let start = Instant::now();
        client.submit(submission).await.expect("admitted");
        start.elapsed()
    });
    let after = daemon.resident_mb();
    let beside = format!("{after:.0} MB in all, {before:.0} MB before");
    report::row(what, &format!("submit {}", report::ms(took)), &beside);
}
