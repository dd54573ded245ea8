//! Looking again and again: who is told of changes alone sees what there is.

use actors::client::{Client, Endpoint};
use actors::console::{Console, syntax};
use actors::wire::codec;
use actors::wire::inspect::{CHILDREN_LIMIT, Look, Sight};
use supervision::First;
use tokio::runtime::{Builder, Runtime};

use crate::support::place::Place;
use crate::support::waiting::{SOON, until_true};

/// The actors that a console sees, and how they are.
fn seen(runtime: &Runtime, console: &mut Console) -> Vec<String> {
    let line = syntax::parse("ps window=0 | select actor, state").expect("it makes sense").expect("a verb");
    let reply = runtime.block_on(console.answer(&line)).expect("it is answered").remove(0);
    assert_eq!(reply.notes, Vec::<String>::new(), "nothing is lost");
    reply.rows.iter().map(|row| format!("{row:?}")).collect()
}

#[test]
fn who_looks_again_and_again_sees_what_comes_goes_and_comes_back_with_the_daemon() {
    let place = Place::new();
    let daemon = place.single("2");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let client = Client::connect(Endpoint::of_data_dir(&place.data()));
    let mut followed = Console::new(client.clone());
    followed.follow(true);
    let mut see = |what: &str, actor: &str, is_there: bool| {
        until_true(what, SOON, || {
            let (again, once) =
                (seen(&runtime, &mut followed), seen(&runtime, &mut Console::new(client.clone())));
            again == once && again.iter().any(|row| row.contains(actor)) == is_there
        });
    };
    see("it sees everything", "scheduler", true);
    let task = place.submit(&["--", "sleep", "600"]);
    place.wait_state(&task, "running");
    see("who comes is seen", &format!("task/{task}\""), true);
    place.run(&["cancel", &task]).expect(0);
    see("who goes is not", &format!("task/{task}\""), false);
    let late = place.submit(&["--", "sleep", "600"]);
    place.wait_state(&late, "running");
    see("nor in the place of one that has gone", &format!("task/{late}\""), true);
    assert!(daemon.stop().success());
    let _daemon = place.single("2");
    see("all is seen anew", &format!("task/{late}\""), true);
    place.run(&["cancel", &late]).expect(0);
}

/// Bytes of what a machine with a few hundred actors tells: at the first look, and at the one after it.
#[test]
fn what_has_changed_is_a_small_part_of_what_there_is() {
    let place = Place::new();
    let _daemon = place.single("2");
    let first = place.submit(&["--array", "1-60", "--cpus", "0.02", "--", "sleep", "600"]);
    until_true("all run", SOON, || place.rows("tasks running | count")[0]["count"] == 60);
    let (all, changed) = place
        .ask(|client| async move {
            let mut bytes = Vec::new();
            for after in 0..3 {
                let (only, first) = (None, First::Oldest);
                let look = Look::Changes { subscriber: 7, after, only, first, limit: CHILDREN_LIMIT };
                let sight = client.inspect(None, look).await?;
                assert!(matches!(&sight, Sight::Changes(changes) if changes.is_whole == (after == 0)));
                bytes.push(codec::encode(&sight).len());
            }
            Ok((bytes[0], bytes[2]))
        })
        .expect("it answers");
    println!("all of it {all} bytes, what has changed {changed} bytes");
    assert!(changed * 3 < all, "{changed} bytes of {all}");
    place.run(&["cancel", &first]).expect(0);
}
