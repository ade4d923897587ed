//! Connections as `serve` takes them: over TLS with two files, under bounds, and as `[server]` says.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "clippy knows tests, not what they share, and each test file uses its part"
)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use common::{Desk, Running};
use rustix::process::Signal;
use serde_json::Value;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Certificates are made with `openssl`; nothing is tested where there is none.
fn has_openssl() -> bool {
    let found = Command::new("openssl").arg("version").output();
    let is_there = found.is_ok_and(|output| output.status.success());
    if !is_there {
        eprintln!("skipped: there is no openssl to make a certificate with");
    }
    is_there
}

/// `NAME.crt` and `NAME.key`: a certificate for 127.0.0.1 that it signed itself.
fn certificate(desk: &Desk, name: &str) {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]);
    openssl.args(["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]);
    openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    openssl.args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.crt")]);
    let made = openssl.current_dir(desk.path("")).output().unwrap();
    assert!(made.status.success(), "{made:?}");
}

/// A client that trusts this certificate alone.
fn trusting(pem: &str) -> ureq::Agent {
    let trusted = Certificate::from_pem(pem.as_bytes()).unwrap();
    let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[trusted])).build();
    let config = ureq::Agent::config_builder().tls_config(tls).max_idle_connections(0);
    config.timeout_global(Some(PATIENCE)).http_status_as_error(false).build().into()
}

/// A desk with this `[server]` table.
fn desk(table: &str) -> Desk {
    let desk = Desk::new();
    desk.write("baton.toml", &format!("[server]\nlisten = \"127.0.0.1:0\"\n{table}\n"));
    desk
}

/// The server of a desk and its URL.
fn serve(desk: &Desk, flags: &[&str]) -> (Running, String) {
    let mut running = desk.start(&[&["serve", "--json"], flags].concat());
    let url = running.line()["url"].as_str().unwrap().to_owned();
    (running, url)
}

fn end(running: Running) {
    running.signal(Signal::TERM);
    assert_eq!(running.end().0, Some(0));
}

/// A connection on which a path was asked for.
fn open(url: &str, path: &str) -> BufReader<TcpStream> {
    let (_, address) = url.split_once("://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    BufReader::new(stream)
}

fn line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

#[test]
fn a_server_with_a_certificate_is_called_by_https_and_takes_up_a_renewed_one() {
    if !has_openssl() {
        return;
    }
    let desk = desk("tls_cert = \"now.crt\"\ntls_key = \"now.key\"");
    ["now", "next"].iter().for_each(|name| certificate(&desk, name));
    let (server, url) = serve(&desk, &[]);
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    let old = desk.read("now.crt");
    let first = trusting(&old);
    let health = format!("{url}/healthz");
    assert_eq!(first.get(&health).call().unwrap().body_mut().read_to_string().unwrap(), "ok\n");
    // Streams are told over TLS as well.
    let stream = first.get(format!("{url}/api/v1/events/stream")).call().unwrap();
    let mut events = BufReader::new(stream.into_body().into_reader());
    let begun = serde_json::json!({ "definition": { "name": "two", "version": 1, "stages":
        [{ "name": "all", "tasks": [{ "id": "a", "tool": "core.noop" }] }] } });
    let begun = first
        .post(format!("{url}/api/v1/workflows"))
        .content_type("application/json")
        .send(&begun.to_string())
        .unwrap();
    assert_eq!(begun.status(), 201);
    assert!(line(&mut events).starts_with("id: "));

    // Who renews writes both files, one after the other.
    let second = trusting(&desk.read("next.crt"));
    assert!(second.get(&health).call().is_err(), "it has another certificate");
    for kind in ["crt", "key"] {
        std::fs::rename(desk.path(&format!("next.{kind}")), desk.path(&format!("now.{kind}")))
            .unwrap();
    }
    let taken_up = (0..600).any(|_| {
        // sleep: nothing signals that a server has looked at its files.
        std::thread::sleep(Duration::from_millis(50));
        second.get(&health).call().is_ok()
    });
    assert!(taken_up, "the renewed certificate is not taken up");
    // The client that was here before goes on with what it had agreed on; a new one cannot.
    assert!(trusting(&old).get(&health).call().is_err(), "the old one is gone");
    drop(events);
    end(server);
}

#[test]
fn a_handshake_that_hangs_holds_up_nobody_and_not_the_end() {
    if !has_openssl() {
        return;
    }
    let desk = desk("");
    certificate(&desk, "flag");
    let (server, url) = serve(&desk, &["--tls-cert", "flag.crt", "--tls-key", "flag.key"]);
    let silent = TcpStream::connect(url.strip_prefix("https://").unwrap()).unwrap();
    let agent = trusting(&desk.read("flag.crt"));
    assert_eq!(agent.get(format!("{url}/healthz")).call().unwrap().status(), 200);
    end(server);
    drop(silent);
}

#[test]
fn a_certificate_that_cannot_be_used_is_named_with_what_to_do() {
    if !has_openssl() {
        return;
    }
    let desk = desk("");
    ["one", "other"].iter().for_each(|name| certificate(&desk, name));
    desk.write("empty.pem", "nothing\n");
    desk.write("broken.pem", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n");
    for (cert, key, says) in [
        (
            "none.crt",
            "one.key",
            ["none.crt cannot be read", "`[server] tls_cert` names a PEM file"],
        ),
        ("one.crt", "none.key", ["none.key cannot be read", "`[server] tls_key` names a PEM file"]),
        ("empty.pem", "one.key", ["empty.pem holds no certificate", "begins with the server's"]),
        (
            "broken.pem",
            "one.key",
            ["certificate in broken.pem cannot be read", "`[server] tls_cert`"],
        ),
        ("one.crt", "one.crt", ["one.crt holds no key", "not encrypted"]),
        (
            "one.crt",
            "other.key",
            ["the key in other.key is not that of the certificate in one.crt", "made together"],
        ),
    ] {
        let called = desk.expect(2, &["serve", "--tls-cert", cert, "--tls-key", key]);
        for part in says {
            assert!(called.said.contains(part), "{cert} {key}: {called:?}");
        }
    }
    desk.expect(2, &["serve", "--tls-cert", "one.crt"]);
}

#[test]
fn the_server_table_bounds_bodies_and_connections_and_names_hosts() {
    let desk = desk("hosts = [\"baton.test\"]\nmax_connections = 2\nmax_body = 1024");
    let (server, url) = serve(&desk, &["--host", "flag.test"]);
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_idle_connections(0)
        .build()
        .into();
    for (host, status) in [("baton.test", 200), ("flag.test", 200), ("evil.test", 403)] {
        let asked = agent.get(format!("{url}/api/v1/workflows")).header("host", host);
        assert_eq!(asked.call().unwrap().status(), status, "{host}");
    }
    let large = serde_json::json!({ "definition": "x".repeat(2_000) });
    for key in [None, Some("again")] {
        let mut asked =
            agent.post(format!("{url}/api/v1/workflows")).content_type("application/json");
        if let Some(key) = key {
            asked = asked.header("idempotency-key", key);
        }
        let mut refused = asked.send(&large.to_string()).unwrap();
        let problem: Value =
            serde_json::from_str(&refused.body_mut().read_to_string().unwrap()).unwrap();
        assert_eq!((refused.status().as_u16(), &problem["code"]), (413, &"body_too_large".into()));
        assert!(problem["detail"].as_str().unwrap().contains("at most 1024 bytes"), "{problem}");
    }

    let mut held: Vec<_> = (0..2).map(|_| open(&url, "/api/v1/events/stream")).collect();
    held.iter_mut().for_each(|stream| assert_eq!(line(stream), "HTTP/1.1 200 OK"));
    let mut away = open(&url, "/healthz");
    let mut text = String::new();
    away.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 503 ") && text.contains("retry-after: 1\r\n"), "{text}");
    // Streams are told that they end when the server does.
    end(server);
    for mut stream in held {
        let mut rest = String::new();
        stream.read_to_string(&mut rest).unwrap();
        assert!(rest.ends_with("0\r\n\r\n"), "{rest}");
    }
}

#[test]
fn more_connections_than_the_system_allows_are_not_promised() {
    let desk = desk("max_connections = 1000000");
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    if limit.maximum.is_none_or(|maximum| maximum > 1_000_000) {
        eprintln!("skipped: this system allows more");
        return;
    }
    let called = desk.expect(2, &["serve"]);
    assert!(called.said.contains("`ulimit -Hn`") && called.said.contains("at most"), "{called:?}");
}
