//! Small programs that tasks in the tests run, where a shell cannot do it.

use std::io::Write;
use std::process::{Command, ExitCode};

/// The first argument that makes this program a helper.
pub(crate) const ARGUMENT: &str = "__helper";

pub(crate) fn main(words: &[&str]) -> ExitCode {
    match words {
        // Leaves session, group and parent: what it starts is seen by none of them.
        ["daemonize", pid_file, environment] => again(&["in-session", pid_file, environment]),
        ["in-session", pid_file, environment] => {
            nix::unistd::setsid().unwrap();
            let mut daemon = Command::new("/bin/sleep");
            daemon.arg("1000");
            if *environment == "clean" {
                daemon.env_clear();
            }
            #[expect(clippy::zombie_processes, reason = "it is to outlive its parent")]
            let daemon = daemon.spawn().unwrap();
            std::fs::write(pid_file, format!("{}\n", daemon.id())).unwrap();
            ExitCode::SUCCESS
        }
        // Two more, and each of these, as many times over: no two in one group.
        ["bomb", generations] => {
            let _ = nix::unistd::setsid();
            if let Some(next) = generations.parse::<u32>().unwrap().checked_sub(1) {
                for _ in 0..2 {
                    let mut other = Command::new(std::env::current_exe().unwrap());
                    #[expect(clippy::zombie_processes, reason = "it is to outlive its parent")]
                    other.args([ARGUMENT, "bomb", &next.to_string()]).spawn().unwrap();
                }
            }
            nix::unistd::pause();
            ExitCode::SUCCESS
        }
        // So many MiB, each page of them.
        ["hold", mebibytes] => {
            let held = vec![1_u8; mebibytes.parse::<usize>().unwrap() << 20];
            nix::unistd::pause();
            drop(std::hint::black_box(held));
            ExitCode::SUCCESS
        }
        ["threads", count] => {
            let sleeping = || std::thread::Builder::new().stack_size(16 << 10).spawn(nix::unistd::pause);
            let all: std::io::Result<Vec<_>> = (0..count.parse().unwrap()).map(|_| sleeping()).collect();
            all.inspect_err(|error| eprintln!("{error}")).map_or(ExitCode::FAILURE, |_| ExitCode::SUCCESS)
        }
        ["both-streams", count] => {
            for n in 0..count.parse().unwrap() {
                let mut out: Box<dyn Write> =
                    if n % 2 == 0 { Box::new(std::io::stdout()) } else { Box::new(std::io::stderr()) };
                writeln!(out, "line {n}").unwrap();
                out.flush().unwrap();
                let pause = nix::poll::PollTimeout::from(2_u8);
                nix::poll::poll(&mut [], pause).unwrap();
            }
            ExitCode::SUCCESS
        }
        other => panic!("no helper {other:?}"),
    }
}

fn again(words: &[&str]) -> ExitCode {
    let exe = std::env::current_exe().unwrap();
    Command::new(exe).arg(ARGUMENT).args(words).status().unwrap();
    ExitCode::SUCCESS
}

/// The command line of a helper.
pub(crate) fn argv<'a>(exe: &'a str, words: &[&'a str]) -> Vec<&'a str> {
    [exe, ARGUMENT].into_iter().chain(words.iter().copied()).collect()
}

/// This program.
pub(crate) fn exe() -> String {
    std::env::current_exe().unwrap().to_str().unwrap().to_owned()
}
