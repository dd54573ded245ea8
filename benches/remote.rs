//! (q) What does a task cost on a machine behind SSH, in a session of tmux, beside a bare `ssh` over a shared connection?

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::support::daemon::{Daemon, block_on};
use crate::support::ssh::Machine;
use crate::support::{report, work};

/// Tasks at once in the second part.
const SLOTS: usize = 4;

pub(crate) fn ask() {
    report::title("(q) remote: one task over SSH and tmux", "bare ssh over a shared connection");
    let Some(machine) = Machine::start() else {
        return report::row("no sshd or no tmux here", "not measured", "");
    };
    let times = report::size(50, 5);
    let daemon = daemon(&machine);
    timed(&mut machine.ssh());
    timed(&mut machine.exec("warm"));
    let (mut bare, mut sessions, mut tasks) = (Vec::new(), Vec::new(), Vec::new());
    block_on(async {
        let client = daemon.client();
        client.hello().await.expect("it answers");
        for time in 0..times {
            bare.push(timed(&mut machine.ssh()));
            sessions.push(timed(&mut machine.exec(&format!("w{time}"))));
            let start = Instant::now();
            let submission = work::array(work::spec(Path::new("/bin/true")), 1);
            let submitted = client.submit(submission).await.expect("admitted");
            client.wait(submitted.graph, None).await.expect("it ends");
            tasks.push(start.elapsed().as_secs_f64() * 1e3);
        }
    });
    let line = |what: &str, values: &[f64]| {
        let (p50, p99) = (report::median(values), report::quantile(values, 0.99));
        let beside = format!("p99 {p99:.1} ms, {:.1} × bare", p50 / report::median(&bare));
        report::row(what, &format!("p50 {p50:.1} ms"), &beside);
    };
    line("ssh box true, connection shared", &bare);
    line("aivcs-session exec -- /bin/true", &sessions);
    line("a task: submit and wait", &tasks);
    many(&machine, &daemon);
}

/// As many at once as there are slots.
fn many(machine: &Machine, daemon: &Daemon) {
    let count = report::size(200, 12);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..SLOTS {
            scope.spawn(|| {
                for _ in 0..count / SLOTS {
                    timed(&mut machine.ssh());
                }
            });
        }
    });
    let bare = report::per_second(count, start.elapsed());
    let ours = report::per_second(count, daemon.run(work::array(work::spec(Path::new("/bin/true")), count)));
    report::row("ssh box true, 4 at once", &format!("{bare:.0}/s"), "");
    report::row(
        "tasks, 4 at once",
        &format!("{ours:.1}/s"),
        &format!("{:.0} % of bare", 100.0 * ours / bare),
    );
}

/// With that machine as its only node.
fn daemon(machine: &Machine) -> Daemon {
    let text = format!(
        "[ssh_nodes.mac-1]\nhost = \"box\"\nrepo = \"r\"\nssh_config = \"{}\"\ncpus = {SLOTS}\n",
        machine.ssh_config().display()
    );
    let daemon = Daemon::of_config(&machine.file("crabd.toml", &text), &machine.home());
    daemon.run(work::array(work::spec(Path::new("/bin/true")), 1));
    daemon
}

fn timed(command: &mut Command) -> f64 {
    let start = Instant::now();
    let status = command.status().expect("it runs");
    assert!(status.success(), "{command:?}: {status}");
    start.elapsed().as_secs_f64() * 1e3
}
