//! What a task file consists of: its tables, and their fields with what they mean.
//!
//! The comments here are what an editor shows when it reads the published schema.

use super::about::Phase;
use super::after::After;
use super::artifacts::Leavings;
use super::claims::{Locks, Pools, Rates};
use super::field::{
    Amounts, Array, Attempts, Avoiding, Conditions, Cpus, Distances, Dividing, Environment, ExitCodes,
    Factor, Follows, Groups, KeptWhen, Length, Losses, Manner, Members, Memory, Nearness, Preferences,
    Quality, Retries, RetryBudget, SignalNumbers, Slots, Spreads, Text, Truth, Units, Until, Urgency, Walls,
    Words,
};
use super::handler::Payload;
use super::hooks::{Line, Lines};
use super::provision::Secrets;
use super::reader::{At, Fields, Reader, fields};
use super::request::Requests;
use super::shard::{Count, Shard};
use super::tasks::Tasks;
use super::template::Parameters;
use super::tree::Entry;
use super::workspace::Place;

fields! {
    /// Tasks that are submitted together, as one graph.
    struct File {
        /// The schema that an editor checks the file with. Has no effect.
        "$schema" schema: Text,
        /// The graph's name. Default: the file's name without its ending.
        "name" name: Text,
        /// What may be said beside the file (`crab submit FILE --set branch=main`): usual values by name, or { help = "what it is" }
        /// for what must be given. It goes wherever a text or a name has {{branch}}; a text that is that alone has the type of the
        /// usual value.
        "parameters" parameters: Parameters,
        /// Values for every task that does not give its own.
        "defaults" defaults: Common,
        /// How many attempts may follow failures, over all tasks. Default: no limit but those of the tasks.
        "retry_budget" retry_budget: RetryBudget,
        /// What all tasks together may use up. Default: no limit.
        "budget" budget: BudgetTable,
        /// The tasks by name. At least one.
        "task" tasks: Tasks,
    }
}

fields! {
    /// One task, or an array of them. Needs one of `command`, `shell` and `handler`.
    struct Task {
        /// The program and its arguments. No shell reads them.
        "command" command: Words,
        /// A script for /bin/sh, instead of `command`.
        "shell" shell: Text,
        /// The kind of work of an agent that handles it, instead of `command`: it is told the payload, and no process is
        /// started.
        "handler" handler: Text,
        /// What the handler is told: a text as it is, anything else as JSON. Default: nothing.
        "payload" payload: Payload,
        /// The tasks before this one: names of those that must succeed, or tables that say how they must end.
        "after" after: After,
        /// Makes one task for each index; each finds its own in the variable CRAB_ARRAY_INDEX.
        "array" array: Array,
        /// Makes so many tasks that start together, each on a machine of its own, all of them or none, and are stopped and tried
        /// again together. Each finds its place among them, from 0, in CRAB_GANG_RANK, their number in CRAB_GANG_SIZE, and the
        /// machines of all, in this order with commas between them, in CRAB_GANG_NODES.
        "gang" gang: Members,
        /// Has the tests of its command run in so many pieces at once, as `crab test` does: it waits for them, and takes next to
        /// nothing; resources, limits of time and all else hold for each piece. A table says more.
        "shard" shard: Shard,
    } with common: Common
}

fields! {
    /// What tasks and the defaults have in common.
    struct Common {
        /// Where to run, seen from the directory of the file; in a workspace, seen from that. Default: the directory of the
        /// file, or the workspace.
        "directory" directory: Text,
        /// Where it works: "shared" (in place), or in a directory of its own, which it finds in CRAB_WORKSPACE: "scratch" (an
        /// empty one), { copy = "DIR" }, or { worktree = "REPO", commit = "main" }, which git makes. Default: "shared".
        "workspace" workspace: Place,
        /// When its workspace stays: "unsaved" (where it holds work that is nowhere else), "on_failure" (there, and where it
        /// fails), "always" or "never". Default: "unsaved".
        "workspace_keep" workspace_keep: KeptWhen,
        /// Whether HOME and TMPDIR are directories of its own beside its workspace. Default: false.
        "private_home" private_home: Truth,
        /// Secrets of the machine that runs it, by name: each is a file that it alone can read, whose path is in a variable such
        /// as CRAB_SECRET_NPM_TOKEN, or in the one that a table names. Those of the defaults are added.
        "secrets" secrets: Secrets,
        /// Whether it shares the machine's jobserver (MAKEFLAGS) with all others that do: make 4.4, cargo and ninja then run no
        /// more jobs together than that has slots, and one of each. Default: false.
        "jobserver" jobserver: Truth,
        /// Where it may write: "workspace" (in that, and in HOME and TMPDIR of its own). Default: wherever its user may.
        "sandbox" sandbox: Walls,
        /// What must succeed after the command, in the same place, before that counts as succeeded: a list of texts, or a text
        /// that /bin/sh reads.
        "gate" gate: Line,
        /// Commands before the command, without which it is not run, and after all that, however it went.
        "hooks" hooks: Around,
        /// Files that are kept when an attempt has ended, however it went: patterns of paths below the directory it runs in
        /// ("out/*.log", "**/report.xml"), or { path = "out/**", kind = "coverage" }. The kind (log, junit, coverage, patch, other) is
        /// guessed from the name where it is not said. `crab artifacts` shows and fetches them.
        "artifacts" artifacts: Leavings,
        /// Environment variables, on top of the worker's own; those of the defaults are added.
        "env" env: Environment,
        /// Cores, such as 2 or 0.5. Default: 1.
        "cpus" cpus: Cpus,
        /// Memory, such as "4 GiB" or "512 MB". Default: none is set aside.
        "memory" memory: Memory,
        /// Slots of the GPU. Default: 0.
        "gpu" gpu: Slots,
        /// Disk that it fills while it runs, such as "20 GiB". Default: none is set aside.
        "disk" disk: Memory,
        /// What it takes instead of the above, the best first: requests such as { cpus = 8 } and { cpus = 2, gpu = 1 };
        /// what one does not say is as above. Its number, from 1, is in the variable CRAB_ALTERNATIVE.
        "alternatives" alternatives: Requests,
        /// Amounts of the site's own resources by name; those of the defaults are added.
        "resources" resources: Amounts,
        /// Conditions on the labels of a machine (`crab nodes --json`) that must all hold: "os=macos", "rack!=left",
        /// "rack in left,right", "rack not in left", "xcode>=16" (also > <= <), "gpu" (it has the label), "!gpu". Those
        /// of the defaults are added.
        "require" require: Conditions,
        /// Conditions that should hold; with a weight from 1 to 100 before it, such as "50:rack=left". Those of the
        /// defaults are added.
        "prefer" prefer: Preferences,
        /// Data by name beside which it should run: it prefers machines that have the label data/NAME; with a weight from 1
        /// to 100 before it, such as "50:imagenet". Those of the defaults are added.
        "near" near: Nearness,
        /// The one machine that may run it, by its name.
        "node" node: Text,
        /// Where it is to run: the host of a machine behind SSH ("aivcs.local"), or a machine by its name.
        "location" location: Text,
        /// Whether the machine where the last attempt failed is avoided: "no"; "prefer": any other with room is taken
        /// first; "require": it waits for another one. Default: "prefer".
        "avoid_failed" avoid_failed: Avoiding,
        /// The group that it is counted with, a name in the whole fleet: for `spread`, and for what others say of it.
        "group" group: Text,
        /// How many of its group may run at once for each value of a label: "node=1" for each machine, "rack=2". Those of
        /// the defaults are added.
        "spread" spread: Spreads,
        /// Groups of which none runs on its machine meanwhile, whoever comes first. Those of the defaults are added.
        "apart" apart: Groups,
        /// Groups beside which it would rather not run; with a weight from 1 to 100 before it, such as "50:builds". Its own
        /// group spreads it as far as there is room. Those of the defaults are added.
        "prefer_apart" prefer_apart: Distances,
        /// Locks: their names for each alone, or a table that says of each "exclusive" or "shared"; those of the
        /// defaults are added.
        "locks" locks: Locks,
        /// How many indices of each of the fleet's pools; the task finds them in variables such as
        /// CRAB_POOL_PORTS. Those of the defaults are added.
        "pools" pools: Pools,
        /// How much of each of the fleet's amounts; those of the defaults are added.
        "amounts" amounts: Amounts,
        /// What it takes of the fleet's rates when it starts: their names for one call of each, or a table of calls,
        /// or of amounts by unit. Those of the defaults are added.
        "rates" rates: Rates,
        /// How urgent it is. Default: normal.
        "priority" priority: Urgency,
        /// Who is charged its share. Default: who submits.
        "tenant" tenant: Text,
        /// What sort of work it is, such as "build": tasks of one kind are expected to fail alike.
        "kind" kind: Text,
        /// Texts by name for whoever looks for tasks, such as { team = "red" }; it finds them in variables such as CRAB_LABEL_TEAM.
        /// Those of the defaults are added.
        "labels" labels: Environment,
        /// What it is done for, in words: it is shown with it, and the task finds it in CRAB_GOAL.
        "goal" goal: Text,
        /// By what its run is judged, and how far its agent is; what it does not say, the defaults do.
        "evaluation" evaluation: Judged,
        /// Whether it may be stopped to make room for a critical task, where the site lets that happen, and run again
        /// later; that costs it no attempt. Default: false.
        "preemptible" preemptible: Truth,
        /// How much its processes matter to the machine where more run than it has cores: "default", "utility" (others
        /// first), "background" (only what nobody else wants; on a Mac the efficiency cores). Default: "default".
        "qos" qos: Quality,
        /// The longest an attempt may run, such as "5m". Default: no limit.
        "timeout" timeout: Length,
        /// After which an attempt is asked to finish by SIGTERM: it has until its `timeout`, or its `grace`. Default:
        /// not.
        "soft_timeout" soft_timeout: Length,
        /// The longest an attempt may write nothing. Default: no limit.
        "idle_timeout" idle_timeout: Length,
        /// The longest it may wait for a machine once all it depends on is as needed; counted anew for each attempt.
        /// Default: no limit.
        "queue_timeout" queue_timeout: Length,
        /// When it is of no use any more, whether it runs or waits: "2h" after its submission, or a point in time such
        /// as "2026-12-24T18:00:00Z". No attempt follows. Default: never.
        "deadline" deadline: Until,
        /// Memory that all its processes together must not exceed, such as "8 GiB": it is killed where they do. What is
        /// set aside for it is `memory`. Default: no limit.
        "memory_limit" memory_limit: Memory,
        /// How many processes it may have at a time. Default: no limit.
        "process_limit" process_limit: Slots,
        /// How many files each of its processes may have open; the system refuses more to the process. Default: what the
        /// machine allows.
        "open_files" open_files: Slots,
        /// Between SIGTERM and SIGKILL. Default: "5s".
        "grace" grace: Length,
        /// Attempts after the first one where it fails. Default: 0.
        "retries" retries: Retries,
        /// Which failures lead to another attempt, and when; instead of `retries`.
        "retry" retry: Retry,
    }
}

fields! {
    /// How the tests of a task are divided.
    struct Sharding {
        /// How many pieces run at once. Default: as many as the machines have room for.
        "count" count: Count,
        /// "time" (as measured before), "count" (in turn), "slice" (neighbours together) or "hash" (of the name). Default: "time".
        "by" by: Dividing,
        /// How often a test that failed is run again, without the others. Default: the task's `retries`.
        "retries" retries: Retries,
        /// Where what came of them is written as JUnit's XML, seen from the directory of the file.
        "junit" junit: Text,
        /// A shell command that prints the tests, one a line; with `run`, instead of a command.
        "list" list: Text,
        /// A shell command that runs some of them, which stand for {tests}, and fails where one does.
        "run" run: Text,
        /// Whether the command divides its tests itself: `count` of it run, and each finds which it is, from 0, in CRAB_SHARD_INDEX
        /// and how many there are in CRAB_SHARD_TOTAL. Default: false.
        "own" own: Truth,
    }
}

fields! {
    /// By what the run of a task is judged, and how far its agent is.
    struct Judged {
        /// The run that it belongs to, which it finds in CRAB_EVALUATION_RUN.
        "run" run: Text,
        /// Where the rubric is, which it finds in CRAB_RUBRIC.
        "rubric" rubric: Text,
        /// Whether it decides on a promotion: it runs on machines with the label production=yes alone. Default: false.
        "gate" gate: Truth,
        /// The phase of the agent, from 1 to 4, which it finds in CRAB_PHASE: in 1 and 2 it runs on no machine with the label
        /// production=yes, unless it is a gate.
        "phase" phase: Phase,
    }
}

fields! {
    /// What is done around a command, in the same place: each process of it finds in CRAB_STAGE which part it is.
    struct Around {
        /// Commands before it, in order, each a list of texts or a text that /bin/sh reads: where one fails the command is not
        /// run.
        "before" before: Lines,
        /// Commands after it and its gate, also where these or those before failed, were cancelled or timed out; how that
        /// went is in CRAB_OUTCOME ("exit:0", "gate:exit:1", "timeout", "cancelled"). What fails of them changes nothing.
        "after" after: Lines,
    }
}

fields! {
    /// What is in a workspace at first: either a copy, or a worktree.
    struct Origin {
        /// The directory that is copied, seen from the directory of the file: the blocks are shared where the file system
        /// can.
        "copy" copy: Text,
        /// The repository of git, seen from the directory of the file.
        "worktree" worktree: Text,
        /// The commit: a branch, a tag, an id. Default: "HEAD".
        "commit" commit: Text,
    }
}

fields! {
    /// One of several requests of a task.
    struct Request {
        /// Cores.
        "cpus" cpus: Cpus,
        /// Memory.
        "memory" memory: Memory,
        /// Slots of the GPU.
        "gpu" gpu: Slots,
        /// Disk.
        "disk" disk: Memory,
        /// Amounts of the site's own resources by name; those of the task are added.
        "resources" resources: Amounts,
    }
}

fields! {
    /// Which failures lead to another attempt, and when.
    struct Retry {
        /// Attempts in all, the first one included. Default: 3.
        "attempts" attempts: Attempts,
        /// The wait after the first failure. Default: "100ms".
        "backoff" backoff: Length,
        /// What the wait is multiplied with after each failure. Default: 2.
        "factor" factor: Factor,
        /// The longest wait. Default: "30s".
        "backoff_limit" backoff_limit: Length,
        /// The exit codes worth another attempt. Default: all but 0.
        "exit_codes" exit_codes: ExitCodes,
        /// The signals worth another attempt, by number. Default: all.
        "signals" signals: SignalNumbers,
        /// Whether running into `timeout` is worth another attempt. Default: true.
        "timeouts" timeouts: Truth,
        /// Whether a command that cannot be started is worth another attempt. Default: false.
        "spawn_failures" spawn_failures: Truth,
        /// How often it may be lost with its machine, which is not counted as an attempt. Default: 10.
        "losses" losses: Losses,
    }
}

fields! {
    /// What all tasks of the graph together may use up; what is not said has no limit.
    struct BudgetTable {
        /// Time of all attempts together, such as "8h".
        "time" time: Length,
        /// Processor time of all attempts together.
        "cpu_time" cpu_time: Length,
        /// Attempts.
        "attempts" attempts: Units,
        /// Units of cost that attempts report.
        "cost" cost: Units,
        /// What follows when one is reached: pause (until `crab resume`) or cancel. Default: pause.
        "on_reached" on_reached: Follows,
    }
}

fields! {
    /// A task before this one, and how it must end.
    struct Wanted {
        /// The task.
        "task" task: Text,
        /// "success": it succeeded. "end": it ran to its end, well or badly. "always": it is over in whatever
        /// manner. Default: "success".
        "needs" needs: Manner,
    }
}

fields! {
    /// The indices of an array as a table.
    struct Range {
        /// The first index.
        "from" from: super::field::Index,
        /// The last index.
        "to" to: super::field::Index,
        /// How many may run at once. Default: no limit.
        "limit" limit: super::field::Parallel,
    }
}
