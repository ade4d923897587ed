//! Two hundred conversations at once: nothing is lost, and nothing gets into another's.

use std::time::Instant;

use serde_json::json;

use crate::client::{HELLO, answer, approve, entries, is_idle, kinds, open, say, served, until};

const MANY: usize = 200;

#[test]
fn two_hundred_conversations_at_once_all_reach_their_end() {
    let (_desk, server) = served();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for number in 0..MANY {
            let server = &server;
            scope.spawn(move || {
                let id = open(server, None);
                let told = say(server, &id, HELLO);
                assert_eq!(told.last().unwrap().value()["status"], "waiting_for_user");
                answer(server, &id, &format!("guest {number}"));
                let workflow = approve(server, &id);
                until(server, &id, is_idle);
                let run = server.get(&format!("/workflows/{workflow}")).expect(200);
                assert_eq!(run["output"], json!(format!("Hello guest {number}")));
                let said = entries(server, &id);
                assert_eq!(
                    kinds(&said),
                    ["message", "clarification", "message", "plan", "closing"]
                );
                assert_eq!(said[4]["workflow_id"], json!(workflow));
            });
        }
    });
    println!("{MANY} conversations, each from a message to its end, took {:?}", began.elapsed());
    let listed = server.get("/conversations?limit=1000").expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), MANY);
    let done = server.get("/workflows?status=completed&origin=chat&limit=1000").expect(200);
    assert_eq!(done["items"].as_array().unwrap().len(), MANY);
}
