//! A real PostgreSQL under the real binary: encrypted, restarted, its connections ended.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "clippy knows tests, not what they share, and each test file uses its part"
)]

#[path = "common/cluster.rs"]
mod cluster;
mod common;

use std::process::Command;

use cluster::Cluster;
use common::Desk;

/// A certificate for `localhost` that it signed itself; nothing where there is no `openssl`.
fn certificate(cluster: &Cluster) -> Option<()> {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]);
    openssl.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]);
    openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    openssl.args(["-keyout", "server.key", "-out", "server.crt"]).current_dir(cluster.data());
    if !openssl.output().is_ok_and(|output| output.status.success()) {
        println!("skipped: there is no openssl to make a certificate with");
        return None;
    }
    for file in ["server.key", "server.crt"] {
        cluster::own(&cluster.data().join(file));
    }
    Some(())
}

#[test]
fn an_encrypted_server_is_used_only_with_a_certificate_that_is_trusted() {
    let Some(mut cluster) = Cluster::start(&[]) else { return };
    let Some(()) = certificate(&cluster) else { return };
    cluster.crash();
    let access = "hostssl all all 127.0.0.1/32 trust\n";
    std::fs::write(cluster.data().join("pg_hba.conf"), access).unwrap();
    std::fs::write(cluster.data().join("postgresql.auto.conf"), "ssl = on\n").unwrap();
    cluster.restart();
    let desk = Desk::new();
    desk.define("good.yaml", &["{ id: a, tool: core.noop }"]);
    let run = |url: &str| desk.call(&["run", "good.yaml", "--store", url]);
    let root = cluster.data().join("server.crt");
    std::fs::copy(&root, desk.path("authority.pem")).unwrap();
    let url = cluster.url();
    let trusted = run(&format!("{url}?sslmode=verify-full&sslrootcert=authority.pem"));
    assert_eq!(trusted.code, Some(0), "{trusted:?}");
    let trusted = run(&format!("{url}?sslrootcert=authority.pem"));
    assert_eq!(trusted.code, Some(0), "{trusted:?}");
    let encrypted = run(&format!("{url}?sslmode=require"));
    assert_eq!(encrypted.code, Some(0), "{encrypted:?}");
    let unknown = run(&format!("{url}?sslmode=verify-full"));
    assert_eq!(unknown.code, Some(4), "{unknown:?}");
    assert!(unknown.said.contains("sslrootcert=FILE"), "{}", unknown.said);
    let address = url.replace("localhost", "127.0.0.1");
    let other = run(&format!("{address}?sslrootcert=authority.pem"));
    assert_eq!(other.code, Some(4), "{other:?}");
    assert!(other.said.contains("certificate"), "{}", other.said);
    let plain = run(&url);
    assert_eq!(plain.code, Some(4), "{plain:?}");
    assert!(plain.said.contains("no encryption"), "{}", plain.said);
}

#[test]
fn a_server_without_encryption_is_not_spoken_to_in_the_clear() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let desk = Desk::new();
    desk.define("good.yaml", &["{ id: a, tool: core.noop }"]);
    let refused = desk
        .expect(4, &["run", "good.yaml", "--store", &format!("{}?sslmode=require", cluster.url())]);
    assert!(refused.said.contains("ssl = on"), "{}", refused.said);
}
