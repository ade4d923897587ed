//! Calls that are ended from here: for silence, for want of time, or because they were told to stop.

use std::time::{Duration, Instant};

use baton_core::time::Span;
use baton_core::words::FailureKind;
use baton_engine::ports::{Control, Models};
use baton_models::{ModelsConfig, Protocol, ProviderConfig};

use crate::server::{Act, Reply, Server, fail, hello, in_doubt, text};

fn impatient(change: impl Fn(&mut ProviderConfig)) -> impl FnOnce(&mut ModelsConfig) {
    move |config| config.providers.values_mut().for_each(change)
}

#[test]
fn silence_has_an_end() {
    let short = Span(Duration::from_millis(150));
    let server = Server::start([Reply::silence(), Reply::acts(vec![Act::UntilGone])]);
    let set = impatient(|provider| provider.first_byte_timeout = short);
    let models = server.set_with(Protocol::Openai, set);
    for _ in 0..2 {
        let failure = fail(&models, &hello());
        in_doubt(FailureKind::TimedOut, &failure);
        assert!(failure.message.contains("first_byte_timeout"), "{}", failure.message);
        server.wait_until_gone();
    }

    let server = Server::start([Reply::acts(vec![text("a"), Act::UntilGone])]);
    let set = impatient(|provider| provider.idle_timeout = short);
    let failure = fail(&server.set_with(Protocol::Openai, set), &hello());
    in_doubt(FailureKind::TimedOut, &failure);
    assert!(failure.message.contains("idle_timeout"), "{}", failure.message);
    server.wait_until_gone();

    let server = Server::start([Reply::acts(vec![text("a"), Act::UntilGone])]);
    let control = Control::new(Duration::from_millis(150));
    let failure = server.set(Protocol::Openai).call(&hello(), &control, &mut |_| {});
    in_doubt(FailureKind::TimedOut, &failure.expect_err("it never ends"));
    server.wait_until_gone();
}

/// Has a call cancelled while its answer comes; how long it took to end.
fn cancelled() -> Duration {
    let server = Server::start([Reply::acts(vec![text("a"), Act::UntilGone])]);
    let (models, control) = (server.set(Protocol::Openai), Control::new(Duration::from_secs(60)));
    let mut cancelled_at = None;
    let failure = models
        .call(&hello(), &control, &mut |_| {
            control.cancel();
            cancelled_at = Some(Instant::now());
        })
        .expect_err("it was cancelled");
    let took = cancelled_at.expect("a text was told").elapsed();
    in_doubt(FailureKind::Cancelled, &failure);
    server.wait_until_gone();
    took
}

#[test]
fn a_cancelled_call_ends_at_once_and_its_connection_with_it() {
    // The best of some: a machine that does other work may be late once.
    let took = (0..5).map(|_| cancelled()).min().unwrap_or_default();
    assert!(took < Duration::from_millis(100), "{took:?}");
}

#[test]
fn a_call_is_cancelled_before_its_answer_begins() {
    let server = Server::start([Reply::silence()]);
    let (models, control) = (server.set(Protocol::Openai), Control::new(Duration::from_secs(60)));
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| models.call(&hello(), &control, &mut |_| {}));
        server.seen();
        control.cancel();
        let failure = asking.join().expect("no panic").expect_err("it was cancelled");
        in_doubt(FailureKind::Cancelled, &failure);
    });
    server.wait_until_gone();
}
