//! Connections: one serves many calls, and many calls run at once.

use std::sync::mpsc::channel;

use baton_models::Protocol;
use serde_json::{Value, json};

use crate::server::{Act, Reply, Server, ask, hello, sse};

fn end() -> Value {
    json!({ "choices": [{ "delta": { "content": "a" }, "finish_reason": "stop" }] })
}

#[test]
fn a_connection_serves_again() {
    let text = || Reply::stream([end()]);
    let server = Server::start([text(), text()]);
    let models = server.set(Protocol::Openai);
    for _ in 0..2 {
        assert_eq!(ask(&models, &hello()).1, ["a"]);
        assert_eq!(server.seen().connection, 0);
    }
}

#[test]
fn calls_run_side_by_side() {
    let (go, replies): (Vec<_>, Vec<_>) = (0..8)
        .map(|_| {
            let (go, going) = channel();
            (go, Reply::acts(vec![Act::Until(going), Act::Send(sse(&end().to_string()))]))
        })
        .unzip();
    let server = Server::start(replies);
    let models = server.set(Protocol::Openai);
    std::thread::scope(|scope| {
        let asking: Vec<_> = go.iter().map(|_| scope.spawn(|| ask(&models, &hello()))).collect();
        go.iter().for_each(|_| drop(server.seen()));
        go.iter().for_each(|go| go.send(()).expect("the server waits"));
        for asked in asking {
            assert_eq!(asked.join().expect("no panic").1, ["a"]);
        }
    });
}
