//! The numbers in the link's documentation. Run by hand, in a release build:
//! `cargo test --release -p knittingcrab-actors --lib link::tests::measure::the_link -- --ignored --nocapture`

use std::sync::Arc;
use std::time::{Duration, Instant};

use policy::id::Incarnation;
use tokio::task::JoinSet;

use super::cluster::rerun;
use super::support::{PATIENCE, Server, hello};
use crate::link::{Cluster, Connection, Dial, Endpoint, Limits, Purpose, connect_once};

const CLIENT: &str = "CRAB_TEST_LINK_MEASURE";
const CONNECTS: usize = 200;
const CALLS: usize = 5_000;
const AT_A_TIME: usize = 256;
const CALLS_EACH: usize = 400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn the_link() {
    let server = Server::start(Limits::default()).await;
    let (unix, tcp) = (server.unix().display().to_string(), server.tcp.to_string());
    for (carrier, endpoint) in [("lean", &unix), ("cluster", &unix), ("cluster", &tcp)] {
        let value = format!("{carrier} {endpoint} {}", server.cookie_file().display());
        let run = move || rerun("measure::client", CLIENT, &value).status();
        assert!(tokio::task::spawn_blocking(run).await.unwrap().unwrap().success());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a part of the measurement, in a process of its own"]
async fn client() {
    let Ok(value) = std::env::var(CLIENT) else { return };
    let [carrier, endpoint, cookie] = value.split(' ').collect::<Vec<_>>()[..] else { panic!("{value}") };
    let purpose = if carrier == "lean" { Purpose::Local } else { Purpose::Cluster };
    let endpoint: Endpoint = endpoint.parse().unwrap();
    let dial = Dial {
        endpoint: endpoint.clone(),
        hello: hello(purpose),
        cookie: Some(crate::link::Cookie::read(cookie.as_ref()).unwrap()),
        cluster: Some(Cluster::new("tester", Incarnation(1))),
        own: None,
        inbound: Arc::new(|_, frame| drop(frame)),
        limits: Limits::default(),
    };
    let mut firsts = Vec::new();
    for _ in 0..CONNECTS {
        let started = Instant::now();
        let connection = connect_once(&dial).await.unwrap();
        connection.call(vec![1; 100], PATIENCE).await.unwrap();
        firsts.push(started.elapsed());
    }
    let connection = connect_once(&dial).await.unwrap();
    let mut calls = Vec::new();
    for _ in 0..CALLS {
        let started = Instant::now();
        connection.call(vec![1; 100], PATIENCE).await.unwrap();
        calls.push(started.elapsed());
    }
    let rate = pipelined(&connection).await;
    println!("{carrier} {endpoint}: first {:?}, call {:?}, {rate:.0}/s", median(firsts), median(calls));
}

fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort();
    durations[durations.len() / 2]
}

async fn pipelined(connection: &Connection) -> f64 {
    let started = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..AT_A_TIME {
        let connection = connection.clone();
        callers.spawn(async move {
            for _ in 0..CALLS_EACH {
                connection.call(vec![1; 100], PATIENCE).await.unwrap();
            }
        });
    }
    callers.join_all().await;
    f64::from(u32::try_from(AT_A_TIME * CALLS_EACH).unwrap()) / started.elapsed().as_secs_f64()
}
