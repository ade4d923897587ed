//! Where `serve` listens, for how many, and with which certificate: what the configuration and the flags
//! say, as this system allows it.

use std::net::{SocketAddr, TcpListener};

use anyhow::anyhow;
use baton_server::http::{Certificate, Listening};

use crate::cli::Serve;
use crate::config::{Server, Tls};
use crate::descriptors;
use crate::exit::Failed;

/// How many descriptors are kept for what is no connection: the store, tools and their programs.
const OTHER_DESCRIPTORS: u64 = 512;
/// The share of the descriptors that connections have at least, where there are very few.
const SHARE_MIN: u64 = 2;

/// Listens as the flags say, or else the configuration.
pub fn listen(server: &Server, serve: &Serve) -> anyhow::Result<Listening> {
    let flags = serve.tls_cert.clone().zip(serve.tls_key.clone());
    let flags = flags.map(|(cert, key)| Tls { cert, key });
    let tls = flags.as_ref().or(server.tls.as_ref());
    let read = |tls: &Tls| Certificate::read(&tls.cert, &tls.key);
    let tls = tls.map(read).transpose().map_err(|fault| Failed::usage(fault.to_string()))?;
    let connections_max = connections(server.connections_max)?;
    let address = address(server, serve);
    let listener = TcpListener::bind(address).map_err(|cause| {
        let what = "name another address with `--listen`";
        Failed::unreachable(anyhow!("cannot listen on {address}: {cause}; {what}"))
    })?;
    Ok(Listening { tls, connections_max, ..Listening::from(listener) })
}

/// Where to listen.
pub fn address(server: &Server, serve: &Serve) -> SocketAddr {
    serve.listen.unwrap_or(server.listen)
}

/// How many connections may be open: as many as were asked for, or fewer than usual on a small system.
fn connections(asked: Option<u32>) -> anyhow::Result<u32> {
    let descriptors = descriptors::raise()?;
    let room = descriptors.saturating_sub(OTHER_DESCRIPTORS).max(descriptors / SHARE_MIN).max(1);
    let room = u32::try_from(room).unwrap_or(u32::MAX);
    match asked {
        None => Ok(room.min(Listening::CONNECTIONS_MAX)),
        Some(asked) if asked <= room => Ok(asked),
        Some(asked) => Err(Failed::usage(format!(
            "`[server] max_connections` is {asked}, and this system lets a process have \
             {descriptors} files and connections open (`ulimit -Hn`); raise that limit, or ask for \
             at most {room}"
        ))
        .into()),
    }
}
