//! What strangers may send in place of messages: any bytes, and messages of ours with some bytes changed.

use std::path::Path;

use policy::admission;
use policy::id::GraphId;
use proptest::collection::vec;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::client::{Request, Response};
use super::codec;
use super::fleet::{FromWorker, ToWorker};
use super::inspect::{Look, Sight};
use crate::taskfile::{self, Context, Given};

/// Bytes of a message here.
const LIMIT: usize = 4096;

/// Reads bytes as a message. What is taken for one can be written, and is the same when it is read again.
fn is_survived<T: Serialize + DeserializeOwned + std::fmt::Debug>(bytes: &[u8]) {
    if let Ok(message) = codec::decode::<T>(bytes, LIMIT) {
        let written = codec::encode(&message);
        let again: T = codec::decode(&written, 16 * LIMIT).expect("what was written is read");
        assert_eq!(codec::encode(&again), written, "{message:?}");
    }
}

fn everybody_survives(bytes: &[u8]) {
    is_survived::<Request>(bytes);
    is_survived::<Response>(bytes);
    is_survived::<ToWorker>(bytes);
    is_survived::<FromWorker>(bytes);
    is_survived::<Look>(bytes);
    is_survived::<Sight>(bytes);
}

/// A submission with something of nearly everything.
fn rich() -> Vec<u8> {
    const TASKS: &str = r#"
        [defaults]
        priority = "high"
        env = { LANG = "C" }
        [task.build]
        command = ["make", "-j4"]
        cpus = 2.5
        memory = "4GiB"
        require = ["os=linux", "!gpu"]
        locks = ["tree"]
        timeout = "5m"
        [task.test]
        after = [{ task = "build", needs = "end" }]
        array = "1-20%4"
        shell = "make test"
        retry = { attempts = 3 }
    "#;
    let context = Context {
        directory: "/work".into(),
        name: "rich".into(),
        tenant: "somebody".into(),
        key: policy::event::SubmissionKey(7),
        into: Some(GraphId(3)),
        parameters: Given::new(),
    };
    let submission = taskfile::parse(TASKS, Path::new("rich.toml"), &context);
    let submission = submission.unwrap_or_else(|refused| panic!("{refused}"));
    codec::encode(&Request::Submit(Box::new(submission)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_are_a_message_or_an_error(kind in 0..80_u8, mut bytes in vec(any::<u8>(), 0..600)) {
        // Else hardly any begins as a message does.
        bytes.insert(0, kind);
        everybody_survives(&bytes);
    }

    #[test]
    fn small_numbers_are_a_message_or_an_error(bytes in vec(0..6_u8, 0..300)) {
        everybody_survives(&bytes);
    }

    #[test]
    fn a_message_with_changed_bytes_is_a_message_or_an_error(
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        end in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let mut bytes = rich();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if is_cut {
            bytes.truncate(end.index(bytes.len()));
        }
        everybody_survives(&bytes);
        // One that is a submission all the same is looked at as the gateway does before anybody else sees it.
        if let Ok(Request::Submit(mut submission)) = codec::decode(&bytes, LIMIT) {
            admission::find_own_names(&mut submission);
            if let Err(rejection) = admission::check(&submission) {
                let told = rejection.problems.iter().map(|problem| problem.line(&submission));
                prop_assert!(told.into_iter().all(|line| !line.is_empty()));
            }
        }
    }
}

#[test]
fn what_is_changed_above_is_a_message() {
    assert!(codec::decode::<Request>(&rich(), LIMIT).is_ok());
}
