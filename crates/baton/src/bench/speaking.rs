//! How soon those who follow have what a model says: a model of the benchmark's own, whose first words
//! are followed from its mouth to every subscriber.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use baton_core::agent::{Piece, Usage};
use baton_core::failure::CallFailure;
use baton_core::plan::{AgentCall, AgentLimits, ModelSpec, Work};
use baton_core::words::{Compaction, FailureKind};
use baton_engine::loaded::Loaded;
use baton_engine::ports::{Control, ModelAnswer, ModelRequest, Models};
use baton_store::StoreUrl;

use super::figures::median;
use super::rig::{Rig, chain, load, noop};
use super::web::{self, PATIENCE, SUBSCRIBERS, part};

/// How many turns are followed.
const TURNS: usize = 200;
/// How long a model thinks before it speaks: less than any provider takes, and long enough for
/// everybody to have heard that its turn has started.
const THOUGHT: Duration = Duration::from_millis(20);
/// How often a model that babbles says something: about as fast as the fastest providers.
const BABBLE_PAUSE: Duration = Duration::from_millis(5);
/// How many babble while commits are measured.
const BABBLERS: usize = 32;

/// A model that says when it opens its mouth, and answers when it is told to.
struct Mouth {
    opened: Mutex<Sender<Instant>>,
    heard: Mutex<Receiver<()>>,
}

fn cut_off() -> CallFailure {
    CallFailure::passing(FailureKind::Cancelled, "the benchmark is over")
}

fn answer(text: &str) -> ModelAnswer {
    let content = vec![Piece::Text(text.to_owned())];
    ModelAnswer { content, usage: Usage::default(), is_cut: false }
}

impl Models for Mouth {
    fn call(
        &self,
        _: &ModelRequest,
        _: &Control,
        told: &mut dyn FnMut(&str),
    ) -> Result<ModelAnswer, CallFailure> {
        // sleep: it is a model's pace that is wanted, not a signal.
        std::thread::sleep(THOUGHT);
        let began = Instant::now();
        told("Well, ");
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.send(began).map_err(|_| cut_off())?;
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.recv_timeout(PATIENCE).map_err(|_| cut_off())?;
        Ok(answer("Well, that is it."))
    }
}

/// A workflow of one agent.
fn agent() -> anyhow::Result<Arc<Loaded>> {
    let mut task = noop("speak".to_owned(), Vec::new());
    task.work = Work::Agent(AgentCall {
        agent: "bench".to_owned(),
        models: vec![ModelSpec::named("bench/mouth")],
        instructions: None,
        prompt: "Speak.".to_owned(),
        tools: Vec::new(),
        output: None,
        limits: AgentLimits::default(),
        compaction: Compaction::default(),
        alternatives: Vec::new(),
    });
    load("speak", vec![task])
}

/// Milliseconds from a model's first words to their being seen by each of 100 subscribers: the given
/// share of all.
pub fn first_chunk(store: &StoreUrl, share: f64) -> anyhow::Result<f64> {
    let ((sender, opened), (answers, heard)) = (channel(), channel());
    let mouth = Mouth { opened: Mutex::new(sender), heard: Mutex::new(heard) };
    let rig = Rig::open_with(store, Arc::new(mouth))?;
    let web = web::serve(&rig, store)?;
    let (sender, seen) = channel();
    for _ in 0..SUBSCRIBERS {
        let mut reader = web::connect(web.address(), "/api/v1/events/stream?type=text.delta")?;
        web::headers(&mut reader)?;
        let sender = sender.clone();
        std::thread::spawn(move || web::listen(reader, &sender));
    }
    let plan = agent()?;
    let mut times = Vec::new();
    for _ in 0..TURNS {
        let id = rig.submit(&plan)?;
        let began = opened.recv_timeout(PATIENCE).context("the model was not asked")?;
        for _ in 0..SUBSCRIBERS {
            let at = seen.recv_timeout(PATIENCE).context("a subscriber heard nothing")?;
            times.push(at.saturating_duration_since(began));
        }
        answers.send(()).context("the model has left")?;
        rig.wait(id)?;
    }
    web.stop()?;
    rig.close()?;
    Ok(part(&mut times, share))
}

/// A model that says something all the time while it is to, until the benchmark is over.
#[derive(Default)]
struct Babbler {
    speaks: AtomicBool,
    over: AtomicBool,
}

impl Models for Babbler {
    fn call(
        &self,
        _: &ModelRequest,
        control: &Control,
        told: &mut dyn FnMut(&str),
    ) -> Result<ModelAnswer, CallFailure> {
        while !self.over.load(Ordering::Acquire) && !control.is_cancelled() {
            if self.speaks.load(Ordering::Acquire) {
                told("word ");
            }
            // sleep: it is a model's pace that is wanted, not a signal.
            std::thread::sleep(BABBLE_PAUSE);
        }
        Ok(answer("That is it."))
    }
}

/// The time of a step while 32 models speak against that while they are silent, by turns: what keeping
/// their words costs those who commit.
pub fn step_while_speaking(store: &StoreUrl) -> anyhow::Result<f64> {
    let babbler = Arc::new(Babbler::default());
    let rig = Rig::open_with(store, babbler.clone())?;
    let agent = agent()?;
    let agents = (0..BABBLERS).map(|_| rig.submit(&agent)).collect::<anyhow::Result<Vec<_>>>()?;
    let plan = chain(10)?;
    rig.run_many(&plan, 30, 1)?;
    let (mut silent, mut speaking) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        for (speaks, times) in [(false, &mut silent), (true, &mut speaking)] {
            babbler.speaks.store(speaks, Ordering::Release);
            times.extend(rig.run_many(&plan, 15, 1)?.0);
        }
    }
    babbler.over.store(true, Ordering::Release);
    agents.into_iter().try_for_each(|id| rig.wait(id))?;
    rig.close()?;
    Ok(median(&mut speaking).as_secs_f64() / median(&mut silent).as_secs_f64())
}
