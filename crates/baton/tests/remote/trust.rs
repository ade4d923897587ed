//! Tokens and certificates: who is let in, who is trusted, and where a token may go.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::common::{Called, Desk};
use crate::{Away, Home};

#[test]
fn a_viewer_may_look_and_is_told_what_it_takes_to_do_more() {
    let desk = Desk::new();
    let token = |role: &str| {
        let made = desk.expect(0, &["token", "create", "--role", role, "--json"]);
        made.json()[0]["token"].as_str().unwrap().to_owned()
    };
    let (viewer, operator) = (token("viewer"), token("operator"));
    let home = Home::of(desk, "127.0.0.1:0");
    let away = Away::from(&home.url);
    away.desk.define("plan.yaml", &["{ id: ask, human: approval, ask: 'go on?' }"]);
    away.expect_with(&operator, 3, &["run", "plan.yaml"]);
    away.expect_with(&viewer, 0, &["list"]);
    away.expect_with(&viewer, 3, &["watch", "last"]);
    let refused = away.expect_with(&viewer, 2, &["cancel", "last"]);
    for part in ["`viewer`", "BATON_TOKEN", "`operator`"] {
        assert!(refused.said.contains(part), "{part}: {refused:?}");
    }
    for nobody in ["", "baton_0000"] {
        let mut command = away.desk.command(&["--server", &away.url, "list"]);
        let refused = Called::of(command.env("BATON_TOKEN", nobody).output().unwrap());
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.said.contains("`baton token create`"), "{refused:?}");
    }
    away.expect_with(&operator, 0, &["cancel", "last"]);
}

#[test]
fn a_token_does_not_leave_this_machine_unencrypted() {
    for url in ["http://192.0.2.1:7420", "http://localhost.example:7420"] {
        let refused = Away::from(url).expect_with("baton_secret", 2, &["list"]);
        assert!(refused.said.contains("unencrypted"), "{refused:?}");
    }
    let broken = Away::from("http://127.0.0.1:9").expect_with("a\u{e9}b c", 2, &["list"]);
    assert!(broken.said.contains("BATON_TOKEN"), "{broken:?}");
}

/// A server with a certificate that it signed itself; its answers stand in files.
struct Encrypted {
    server: Child,
    url: String,
}

impl Drop for Encrypted {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn encrypted(desk: &Desk) -> Option<Encrypted> {
    let openssl = || {
        let mut openssl = Command::new("openssl");
        openssl.current_dir(desk.path("")).stderr(Stdio::null());
        openssl
    };
    let mut made = openssl();
    made.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]);
    made.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]);
    made.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    made.args(["-keyout", "server.key", "-out", "server.crt"]);
    if !made.output().is_ok_and(|output| output.status.success()) {
        println!("skipped: there is no openssl to make a certificate with");
        return None;
    }
    let mut serve = openssl();
    serve.args(["s_server", "-HTTP", "-accept", "127.0.0.1:0"]);
    serve.args(["-key", "server.key", "-cert", "server.crt"]);
    let mut server = serve.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let place = lines.find_map(|line| Some(line.unwrap().strip_prefix("ACCEPT ")?.to_owned()));
    let port = place.unwrap().rsplit_once(':').unwrap().1.to_owned();
    // What it says besides must not block it.
    std::thread::spawn(move || lines.for_each(drop));
    Some(Encrypted { server, url: format!("https://localhost:{port}") })
}

#[test]
fn a_private_authority_is_trusted_where_it_is_named_and_only_there() {
    let desk = Desk::new();
    let Some(server) = encrypted(&desk) else { return };
    std::fs::create_dir_all(desk.path("api/v1")).unwrap();
    let answer = "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{\"items\": []}";
    desk.write("api/v1/workflows?limit=50", answer);
    let away = Away::from(&server.url);
    let list = |authority: Option<&str>| {
        let mut command = away.desk.command(&["--server", &away.url, "list", "--json"]);
        command.env("BATON_TOKEN", "baton_secret");
        command.envs(authority.map(|file| ("BATON_CA", desk.path(file))));
        Called::of(command.output().unwrap())
    };
    let unknown = list(None);
    assert_eq!(unknown.code, Some(4), "{unknown:?}");
    assert!(unknown.said.contains("BATON_CA"), "{unknown:?}");
    let trusted = list(Some("server.crt"));
    assert_eq!((trusted.code, trusted.out.as_str()), (Some(0), ""), "{trusted:?}");
    for (file, text) in [("nothing", None), ("empty", Some(""))] {
        if let Some(text) = text {
            desk.write(file, text);
        }
        let refused = list(Some(file));
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.said.contains(file), "{refused:?}");
    }
}
