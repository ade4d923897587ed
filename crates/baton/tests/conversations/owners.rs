//! Who may write in a conversation: who began it, and who has taken it over.

use serde_json::{Value, json};

use crate::client::{HELLO, served};
use crate::common::Desk;
use crate::server::{Answer, Server};

struct Person {
    token: String,
}

impl Person {
    fn new(desk: &Desk, role: &str, name: &str) -> Self {
        let made = desk.expect(0, &["token", "create", "--role", role, "--name", name, "--json"]);
        Self { token: made.json()[0]["token"].as_str().unwrap().to_owned() }
    }

    fn post(&self, server: &Server, path: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let path = format!("/conversations{path}");
        server.post_with(&path, &[("authorization", &bearer)], &body.to_string())
    }

    fn get(&self, server: &Server, path: &str) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        server.get_with(&format!("/conversations{path}"), &[("authorization", &bearer)])
    }
}

#[test]
fn ho2_who_began_it_and_who_claimed_it_may_write_and_nobody_else() {
    let (desk, server) = served();
    let [ada, bob, eve] = [("operator", "ada"), ("operator", "bob"), ("viewer", "eve")]
        .map(|(role, name)| Person::new(&desk, role, name));
    let opened = ada.post(&server, "", &json!({})).expect(201);
    let originator = opened["originator"].clone();
    let id = opened["id"].as_str().unwrap();
    let say = |person: &Person| {
        person.post(&server, &format!("/{id}/messages"), &json!({ "text": HELLO }))
    };
    let tell =
        |person: &Person, word: &str| person.post(&server, &format!("/{id}/{word}"), &Value::Null);

    let refused = say(&bob).expect(403);
    assert_eq!(refused["code"], "not_yours");
    assert!(refused["detail"].as_str().unwrap().contains("claim it"), "{refused}");
    for word in ["stop", "close"] {
        assert_eq!(tell(&bob, word).expect(403)["code"], "not_yours", "{word}");
    }
    let start = json!({ "definition": "greet", "inputs": { "who": "Bob" }, "conversation_id": id });
    let bearer = format!("Bearer {}", bob.token);
    let headers = [("authorization", bearer.as_str())];
    let started = server.post_with("/workflows", &headers, &start.to_string());
    assert_eq!(started.expect(403)["code"], "not_yours", "nor is anything started in it");
    // Who only looks may look, and no more.
    assert_eq!(eve.get(&server, &format!("/{id}/messages")).status, 200);
    assert_eq!(tell(&eve, "claim").expect(403)["code"], "forbidden");
    assert_eq!(server.get(&format!("/conversations/{id}")).status, 401);

    let claimed = tell(&bob, "claim").expect(200);
    assert_eq!(claimed["originator"], originator, "for the record it stays who began it");
    assert_ne!(claimed["claimed_by"], Value::Null);
    assert_eq!(tell(&ada, "claim").expect(409)["code"], "claimed");
    assert_eq!((say(&bob).status, say(&ada).status), (200, 200), "both may write");
    assert_eq!(tell(&ada, "release").expect(409)["code"], "claimed");
    assert_eq!(tell(&bob, "release").expect(200)["claimed_by"], Value::Null);
    assert_eq!(say(&bob).expect(403)["code"], "not_yours");
    let reason = json!({ "reason": "somebody who knows sheep" });
    let escalated = ada.post(&server, &format!("/{id}/escalate"), &reason).expect(200);
    assert_eq!(escalated["doing"], "escalated");

    let said = ada.get(&server, &format!("/{id}/messages")).expect(200);
    let by: Vec<&Value> = said["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["role"] == "user")
        .map(|entry| &entry["actor"])
        .collect();
    assert_eq!(by.len(), 2);
    assert_ne!(by[0], by[1], "who wrote is who is named");
}
