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
#[path = "common/proxy.rs"]
mod proxy;

use std::process::Command;

use cluster::Cluster;
use common::Desk;
use proxy::Proxy;

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
fn finished_workflows_are_archived_purged_and_retired_on_a_server() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let (desk, url) = (Desk::new(), cluster.url());
    desk.define("good.yaml", &["{ id: a, tool: core.noop }"]);
    for _ in 0..3 {
        desk.expect(0, &["run", "good.yaml", "--store", &url]);
    }
    let shown = desk.expect(0, &["show", "last", "--json", "--store", &url]).json().pop().unwrap();
    let last = shown["workflow"]["id"].as_str().unwrap().to_owned();
    let said = desk.expect(0, &["archive", &last, "--to", "old.jsonl", "--store", &url]).out;
    assert!(said.contains("archived 1 workflow"), "{said}");
    assert_eq!(desk.read("old.jsonl").matches("\"type\":\"task.completed\"").count(), 1);
    let said = desk.expect(0, &["purge", "--older-than", "0s", "--store", &url]).out;
    assert!(said.contains("purged 2 workflows"), "{said}");
    desk.write("keep.toml", "[retention]\nkeep = \"0s\"\n");
    desk.expect(0, &["run", "good.yaml", "--config", "keep.toml", "--store", &url]);
    assert_eq!(cluster.sql("SELECT count(*) FROM baton.workflow WHERE head > 0"), "0");
    assert_eq!(cluster.sql("SELECT count(*) FROM baton.task"), "0");
    is_sound(&desk, &url);
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

/// A chain of this many tasks, each of which appends its number to a log, once.
fn chain(desk: &Desk, tasks: usize) {
    let task = |at: usize| {
        let needs = if at == 0 { String::new() } else { format!("t{}", at - 1) };
        format!(
            "{{ id: t{at}, tool: shell.run, permission: read_write, needs: [{needs}], \
             with: {{ script: 'echo {at} >> log' }} }}"
        )
    };
    let tasks: Vec<String> = (0..tasks).map(task).collect();
    let tasks: Vec<&str> = tasks.iter().map(String::as_str).collect();
    desk.define("chain.yaml", &tasks);
}

fn logged(desk: &Desk) -> Vec<usize> {
    desk.read("log").lines().map(|line| line.parse().unwrap()).collect()
}

fn is_sound(desk: &Desk, url: &str) {
    let said = desk.expect(0, &["doctor", "--store", url]).out;
    assert!(said.contains("every row is as the journal says"), "{said}");
    let said = desk.expect(0, &["doctor", "--rebuild", "--store", url]).out;
    assert!(said.contains("nothing was changed"), "{said}");
}

#[test]
fn a_server_that_crashes_and_comes_back_costs_nothing() {
    let Some(mut cluster) = Cluster::start(&[]) else { return };
    let (desk, url) = (Desk::new(), cluster.url());
    chain(&desk, 30);
    let mut run = desk.start(&["run", "chain.yaml", "--json", "--store", &url]);
    run.until("task.completed", Some("t3"));
    cluster.crash();
    cluster.restart();
    run.until("task.completed", Some("t12"));
    cluster.terminate_all();
    let (code, last) = run.end();
    assert_eq!(code, Some(0), "{last}");
    assert_eq!(logged(&desk), (0..30).collect::<Vec<_>>());
    is_sound(&desk, &url);
}

#[test]
fn connections_that_end_again_and_again_lose_nothing_and_double_nothing() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let (desk, url) = (Desk::new(), cluster.url());
    chain(&desk, 40);
    let mut run = desk.start(&["run", "chain.yaml", "--json", "--store", &url]);
    for task in (0..36).step_by(2) {
        run.until("task.completed", Some(&format!("t{task}")));
        cluster.terminate_all();
    }
    let (code, last) = run.end();
    assert_eq!(code, Some(0), "{last}");
    assert_eq!(logged(&desk), (0..40).collect::<Vec<_>>());
    is_sound(&desk, &url);
}

#[test]
fn commits_whose_answer_was_lost_are_found_to_be_there() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let proxy = Proxy::to(cluster.port, 9);
    let (desk, url) = (Desk::new(), cluster.url());
    let through = url.replace(&cluster.port.to_string(), &proxy.port.to_string());
    chain(&desk, 40);
    let mut run = desk.start(&["run", "chain.yaml", "--json", "--store", &through]);
    run.until("task.completed", Some("t0"));
    proxy.arm();
    run.until("task.completed", Some("t35"));
    let cuts = proxy.disarm();
    let (code, last) = run.end();
    assert_eq!(code, Some(0), "{cuts} cuts: {last}");
    assert!(cuts >= 5, "{cuts} cuts");
    assert_eq!(logged(&desk), (0..40).collect::<Vec<_>>());
    is_sound(&desk, &url);
}

#[test]
fn a_server_that_stays_away_ends_the_owner_and_what_was_said_stays() {
    let Some(mut cluster) = Cluster::start(&[]) else { return };
    let (desk, url) = (Desk::new(), cluster.url());
    let mut gate = desk.gate("gate");
    desk.define(
        "gated.yaml",
        &[
            "{ id: first, tool: core.noop }",
            "{ id: held, tool: shell.run, permission: read_write, needs: [first], \
             with: { script: 'read x < gate; echo 1 >> log' } }",
        ],
    );
    let mut run = desk.start(&["run", "gated.yaml", "--json", "--store", &url]);
    run.until("task.started", Some("held"));
    cluster.crash();
    gate.open();
    let (code, said) = run.end();
    assert_eq!(code, Some(4), "{said}");
    let away = desk.expect(4, &["list", "--store", &url]);
    assert!(away.said.contains("see that the server runs"), "{}", away.said);
    cluster.restart();
    // It happened, and nobody has been told: that is a question for a person, not another call.
    desk.expect(3, &["resume", "last", "--store", &url]);
    desk.expect(0, &["settle", "last/held", "--happened", "--store", &url]);
    assert_eq!(logged(&desk), [1]);
    let shown = desk.expect(0, &["show", "last", "--json", "--store", &url]).json().pop().unwrap();
    assert_eq!(shown["workflow"]["status"], "completed", "{shown}");
    is_sound(&desk, &url);
}
