//! Asking models over the network: whose turn it is, one exchange, and the end of it when told so.
//!
//! One thread of its own serves all connections; it is there once a model was asked. The caller's
//! thread reads the answer itself, so that a text is told without a way round.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use baton_core::agent::{Message, Part};
use baton_core::failure::CallFailure;
use baton_core::words::{FailureKind, Happened};
use baton_engine::ports::{Control, ModelAnswer, ModelRequest};
use reqwest::Client;
use reqwest::redirect::Policy;
use serde_json::Value;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::config::{Limit, ModelsConfig};
use crate::exchange::Exchange;
use crate::failure::{Place, millis};
use crate::gathering::Gathering;
use crate::names::{ToolNames, ids_of};
use crate::protocol::Asked;
use crate::provider::{Environment, Key, Provider, providers};
use crate::set::ModelsFault;
use crate::stream::Stream;
use crate::turns::{Queues, Taken};

/// How often a call looks whether it should end.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A connection that was not used for so long may be closed at its other end by now.
const POOL_IDLE: Duration = Duration::from_secs(30);
/// How often a silent connection is looked after, so that one whose other end is gone ends.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// What an image counts for where the tokens of a request are guessed.
const TOKENS_OF_IMAGE: u64 = 1_500;
/// How many bytes of JSON are about a token.
const BYTES_OF_TOKEN: u64 = 4;

/// The providers, and the way to them.
pub(crate) struct Network {
    providers: BTreeMap<String, Arc<Provider>>,
    queues: Queues,
    environment: Environment,
    clients: Mutex<BTreeMap<String, Client>>,
    runtime: Mutex<Option<Runtime>>,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("providers", &self.providers.keys()).finish_non_exhaustive()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let runtime = self.runtime.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // A name that is still being looked up would hold up whoever drops this.
        runtime.into_iter().for_each(Runtime::shutdown_background);
    }
}

impl Network {
    /// As configured; nothing is asked yet.
    pub(crate) fn new(
        config: &ModelsConfig,
        environment: Environment,
    ) -> Result<Self, ModelsFault> {
        for (model, limit) in &config.limits {
            check_limit(model, *limit)?;
        }
        Ok(Self {
            providers: providers(config)?,
            queues: Queues::new(&config.limits),
            environment,
            clients: Mutex::default(),
            runtime: Mutex::default(),
        })
    }

    /// Asks a model at its provider.
    pub(crate) fn call(
        &self,
        request: &ModelRequest,
        control: &Control,
        told: &mut dyn FnMut(&str),
    ) -> Result<ModelAnswer, CallFailure> {
        let (provider, name) = self.provider_of(&request.model)?;
        let names = ToolNames::of(&request.tools)?;
        let key = self.key(&provider, &request.model)?;
        let asked = Asked { provider: &provider, name, request };
        let wire = asked.wire(key.as_ref());
        let url = provider.url(wire.path.iter().map(String::as_str)).to_string();
        let place = Place { provider: &provider, model: &request.model, url, key };
        let client = self.client(&provider)?;
        let exchange = Exchange { client: &client, place: &place, timeouts: &provider.timeouts };
        let (mut stream, mut answer) = (Stream::new(asked.reader()), Gathering::new(told));
        let is_sent = Cell::new(false);
        let asked = self.handle()?.block_on(async {
            let made = async {
                let tokens = || guessed_tokens(request, &wire.body);
                let turn = self.queues.turn(&request.model, tokens, control.timeout).await;
                let turn = turn.map_err(|pause| no_room(&request.model, pause))?;
                is_sent.set(true);
                let made = exchange.make(wire, &mut stream, &mut answer);
                let made = in_time(&exchange, control.timeout, made).await;
                settle(turn, made.as_ref().map(|()| answer.usage.tokens()));
                made
            };
            tokio::select! {
                biased;
                () = told_to_end(control) => Err(cancelled(&place, is_sent.get())),
                made = made => made,
            }
        });
        asked.map(|()| answer.finish(&request.model, &names, ids_of(&request.messages)))
    }

    fn key(&self, provider: &Provider, model: &str) -> Result<Option<Key>, CallFailure> {
        provider.key(&self.environment).map_err(|variable| {
            let message =
                format!("`{model}` needs a key: set the variable `{variable}` where Baton starts");
            CallFailure::refused(FailureKind::Denied, message)
        })
    }

    fn provider_of<'m>(&self, model: &'m str) -> Result<(Arc<Provider>, &'m str), CallFailure> {
        let refused = |message| CallFailure::refused(FailureKind::NotFound, message);
        let Some((provider, name)) = model.split_once('/').filter(|(_, name)| !name.is_empty())
        else {
            return Err(refused(format!("`{model}` names no model: write `provider/name`")));
        };
        let Some(provider) = self.providers.get(provider) else {
            let known: Vec<&str> = self.providers.keys().map(String::as_str).collect();
            return Err(refused(format!(
                "there is no provider `{provider}`; there are {}. Declare it in \
                 [models.providers.{provider}]",
                known.join(", ")
            )));
        };
        Ok((Arc::clone(provider), name))
    }

    /// The provider's client, with its pool of connections.
    fn client(&self, provider: &Provider) -> Result<Client, CallFailure> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&provider.name) {
            return Ok(client.clone());
        }
        // Another part of the process may have chosen before; any choice will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .connect_timeout(provider.timeouts.connect_timeout.0)
            .pool_idle_timeout(POOL_IDLE)
            .tcp_keepalive(KEEP_ALIVE)
            .tcp_nodelay(true)
            .redirect(Policy::none())
            .user_agent(concat!("baton/", env!("CARGO_PKG_VERSION")));
        if provider.is_local() {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|fault| {
            let message = format!("no HTTP client can be made: {}", fault.without_url());
            CallFailure::refused(FailureKind::Unavailable, message)
        })?;
        clients.insert(provider.name.clone(), client.clone());
        Ok(client)
    }

    fn handle(&self) -> Result<Handle, CallFailure> {
        let mut runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = runtime.as_ref() {
            return Ok(runtime.handle().clone());
        }
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).thread_name("baton-models").enable_all();
        let built = builder.build().map_err(|fault| {
            let message = format!("no thread can be had for the models: {fault}");
            CallFailure::passing(FailureKind::Unavailable, message)
        })?;
        Ok(runtime.insert(built).handle().clone())
    }
}

/// A limit that would never let anything through is a slip.
fn check_limit(model: &str, limit: Limit) -> Result<(), ModelsFault> {
    let fault = |why: &str| ModelsFault::new(format!("[models.limits.\"{model}\"]: {why}"));
    if !model.contains('/') {
        return Err(fault("a model is named `provider/name`"));
    }
    if limit.requests_per_minute == Some(0) || limit.tokens_per_minute == Some(0) {
        return Err(fault("0 would let nothing through; leave the line out for no limit"));
    }
    Ok(())
}

/// The exchange, or that it took too long in all.
async fn in_time(
    exchange: &Exchange<'_>,
    timeout: Duration,
    made: impl Future<Output = Result<(), CallFailure>>,
) -> Result<(), CallFailure> {
    let made = tokio::time::timeout(timeout, made).await;
    made.unwrap_or_else(|_| Err(exchange.late(&format!("did not end within {timeout:?}"))))
}

/// What is known of a call's tokens counts from now on; of one in doubt, what was reserved.
fn settle(turn: Option<Taken>, used: Result<u64, &CallFailure>) {
    let Some(turn) = turn else {
        return;
    };
    match used {
        Ok(tokens) => turn.settle(tokens),
        Err(failure) if failure.happened == Happened::No => turn.settle(0),
        Err(_) => {}
    }
}

/// Ends when the call is told to; looks ten times more often than tools must.
async fn told_to_end(control: &Control) {
    let mut look = tokio::time::interval(LOOK_EVERY);
    while !control.is_cancelled() {
        look.tick().await;
    }
}

fn cancelled(place: &Place<'_>, is_sent: bool) -> CallFailure {
    if is_sent {
        let message = format!("told to stop; what {place} had worked may be billed");
        return CallFailure::in_doubt(FailureKind::Cancelled, message);
    }
    let message = format!("told to stop before {place} was asked");
    CallFailure::refused(FailureKind::Cancelled, message)
}

fn no_room(model: &str, pause: Duration) -> CallFailure {
    let message = format!(
        "`{model}` may not be asked for another {} s: [models.limits.\"{model}\"] is used up, and the \
         call may not wait so long. It goes on by itself; a longer `timeout` of the task waits instead",
        pause.as_secs().saturating_add(1)
    );
    let failure = CallFailure::passing(FailureKind::RateLimited, message);
    CallFailure { retry_after_ms: millis(pause), ..failure }
}

/// About what a request takes, read and written: it is settled by what the provider counts.
fn guessed_tokens(request: &ModelRequest, body: &Value) -> u64 {
    let images = request.messages.iter().flat_map(|message| match message {
        Message::User(parts) => parts.as_slice(),
        Message::Assistant(_) | Message::Tool(_) => &[],
    });
    let images = images.filter_map(|part| match part {
        Part::Image { data, .. } => Some(data.len() as u64),
        Part::Text(_) => None,
    });
    let (count, bytes) = images.fold((0_u64, 0_u64), |(count, all), one| (count + 1, all + one));
    let text = (body.to_string().len() as u64).saturating_sub(bytes) / BYTES_OF_TOKEN;
    let read = text.saturating_add(count.saturating_mul(TOKENS_OF_IMAGE));
    read.saturating_add(u64::from(request.output_tokens_max))
}
