//! A connection to the server that blocks its caller, and comes back after it was lost.
//!
//! It speaks to this machine only: encryption is not built in, and a password or a journal that
//! crosses a network in the clear is refused rather than sent.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use baton_engine::store::StoreError;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Row, Statement};

use super::fault::Fault;

/// How long a server may take to answer a new connection, and to acknowledge what was sent.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// The schema that is used where the URL names none.
const SCHEMA: &str = "baton";
/// The longest name PostgreSQL does not cut.
const SCHEMA_BYTES_MAX: usize = 63;

/// What a connection is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// Owning the store.
    Write,
    /// Reading beside the owner.
    Read,
    /// Reading all of one instant.
    Snapshot,
    /// Changing rows in one transaction.
    Repair,
}

impl Purpose {
    /// Whether a lost connection may be made again: not where a transaction went with it.
    fn may_reconnect(self) -> bool {
        match self {
            Self::Write | Self::Read => true,
            Self::Snapshot | Self::Repair => false,
        }
    }
}

/// Where the server is and which schema is ours.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    config: Config,
    /// The schema's name: lower-case letters, digits and `_`.
    pub schema: String,
    purpose: Purpose,
    /// Server and schema, for messages; never the password.
    pub place: String,
}

/// Parameters of a statement.
pub(crate) type Parameters<'a> = [&'a (dyn ToSql + Sync)];

impl Target {
    /// Reads `postgres://user@host/database?schema=name`.
    pub fn parse(url: &str, purpose: Purpose) -> Result<Self, StoreError> {
        let (plain, schema) = split_schema(url);
        let schema = schema.unwrap_or(SCHEMA).to_owned();
        let letter = |at: usize, byte: u8| {
            byte.is_ascii_lowercase() || byte == b'_' || (at > 0 && byte.is_ascii_digit())
        };
        let sound = !schema.is_empty()
            && schema.len() <= SCHEMA_BYTES_MAX
            && schema.bytes().enumerate().all(|(at, byte)| letter(at, byte));
        if !sound {
            return Err(StoreError::Unavailable(format!(
                "`{schema}` cannot be the schema of a store: use lower-case letters, digits and `_`"
            )));
        }
        let mut config: Config = plain.parse().map_err(|error| {
            StoreError::Unavailable(format!(
                "the store's URL cannot be read: {error}; write it like \
                 postgres://user@127.0.0.1:5432/database"
            ))
        })?;
        refuse_the_network(&config)?;
        let place = format!("postgres {:?} schema {schema}", config.get_dbname().unwrap_or("?"));
        let given = config.get_options().unwrap_or("").to_owned();
        config
            .options(format!("{given} {}", options(&schema, purpose)))
            .connect_timeout(SILENCE_MAX)
            .tcp_user_timeout(SILENCE_MAX)
            .keepalives_idle(SILENCE_MAX);
        if config.get_application_name().is_none() {
            config.application_name("baton");
        }
        Ok(Self { config, schema, purpose, place })
    }
}

/// Settings of the session. Joins by key are always walks of an index here: a plan that was made
/// while a table was small must not read all of it once it is large.
fn options(schema: &str, purpose: Purpose) -> String {
    let purpose = match purpose {
        Purpose::Write => {
            "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off \
             -c plan_cache_mode=force_generic_plan"
        }
        Purpose::Read => "-c default_transaction_read_only=on",
        Purpose::Snapshot => {
            "-c default_transaction_read_only=on \
             -c default_transaction_isolation=repeatable\\ read"
        }
        Purpose::Repair => "",
    };
    format!("-c search_path={schema} -c synchronous_commit=on -c jit=off {purpose}")
}

/// The same server and database, with another schema.
pub fn with_schema(url: &str, schema: &str) -> String {
    let (plain, _) = split_schema(url);
    let joint = if plain.contains('?') { '&' } else { '?' };
    format!("{plain}{joint}schema={schema}")
}

/// Takes `schema=…` out of a URL's query, which the driver would refuse.
fn split_schema(url: &str) -> (String, Option<&str>) {
    let Some((before, query)) = url.split_once('?') else {
        return (url.to_owned(), None);
    };
    let schema = query.split('&').find_map(|pair| pair.strip_prefix("schema="));
    let rest: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("schema=")).collect();
    let plain =
        if rest.is_empty() { before.to_owned() } else { format!("{before}?{}", rest.join("&")) };
    (plain, schema)
}

fn refuse_the_network(config: &Config) -> Result<(), StoreError> {
    let refuse = |what: String| {
        Err(StoreError::Unavailable(format!(
            "{what}, and this Baton has no encryption for PostgreSQL yet: use a server on this \
             machine, or an encrypted tunnel that ends on 127.0.0.1"
        )))
    };
    if config.get_ssl_mode() == SslMode::Require {
        return refuse("the URL asks for an encrypted connection".to_owned());
    }
    let here = |host: &Host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
    };
    if let Some(Host::Tcp(name)) = config.get_hosts().iter().find(|host| !here(host)) {
        return refuse(format!("the PostgreSQL server `{name}` is not this machine"));
    }
    if let Some(address) = config.get_hostaddrs().iter().find(|ip| !ip.is_loopback()) {
        return refuse(format!("the PostgreSQL server {address} is not this machine"));
    }
    Ok(())
}

struct Session {
    client: Client,
    prepared: HashMap<String, Statement>,
}

/// A connection that blocks, made when first needed and made again after it was lost.
pub(crate) struct Link {
    runtime: Runtime,
    target: Target,
    session: Option<Session>,
}

impl Link {
    /// Connects, so that a wrong URL is noticed at once.
    pub fn open(target: Target) -> Result<Self, Fault> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| {
            Fault::unavailable(format!("no connection could be set up: {error}"))
        })?;
        let mut link = Self { runtime, target, session: None };
        link.session = Some(link.connect()?);
        Ok(link)
    }

    /// Where it leads.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Runs a statement once. When the connection is lost under it, whether the server carried it
    /// out is not known.
    pub fn once(&mut self, sql: &str, parameters: &Parameters<'_>) -> Result<Vec<Row>, Fault> {
        let mut session = self.session()?;
        let outcome = self.runtime.block_on(session.query(sql, parameters));
        self.keep(session, outcome)
    }

    /// Runs a statement that changes nothing; once more where the connection had been lost.
    pub fn read(&mut self, sql: &str, parameters: &Parameters<'_>) -> Result<Vec<Row>, Fault> {
        match self.once(sql, parameters) {
            Err(fault) if fault.lost_the_connection() => self.once(sql, parameters),
            outcome => outcome,
        }
    }

    /// Runs several statements without parameters.
    pub fn batch(&mut self, sql: &str) -> Result<(), Fault> {
        let session = self.session()?;
        let outcome = self.runtime.block_on(session.client.batch_execute(sql));
        self.keep(session, outcome.map_err(Fault::from))
    }

    fn session(&mut self) -> Result<Session, Fault> {
        match self.session.take().filter(|session| !session.client.is_closed()) {
            Some(session) => Ok(session),
            None if self.target.purpose.may_reconnect() => self.connect(),
            None => Err(Fault::unavailable(
                "the connection was lost, and with it the transaction: nothing was changed; see \
                 that the server runs, then call it again",
            )),
        }
    }

    fn keep<T>(&mut self, session: Session, outcome: Result<T, Fault>) -> Result<T, Fault> {
        let lost = outcome.as_ref().is_err_and(Fault::lost_the_connection);
        self.session = (!lost).then_some(session);
        outcome
    }

    fn connect(&self) -> Result<Session, Fault> {
        let (client, connection) = self.runtime.block_on(self.target.config.connect(NoTls))?;
        // Moves only while a statement waits, which is when there is something to move. How it
        // ends is seen by the next statement.
        drop(self.runtime.spawn(connection));
        Ok(Session { client, prepared: HashMap::new() })
    }
}

impl Session {
    async fn query(&mut self, sql: &str, parameters: &Parameters<'_>) -> Result<Vec<Row>, Fault> {
        let statement = match self.prepared.get(sql) {
            Some(statement) => statement.clone(),
            None => {
                let statement = self.client.prepare(sql).await?;
                self.prepared.insert(sql.to_owned(), statement.clone());
                statement
            }
        };
        Ok(self.client.query(&statement, parameters).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::{Purpose, Target};

    fn refusal(url: &str) -> String {
        match Target::parse(url, Purpose::Write) {
            Ok(target) => panic!("{target:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn only_this_machine_is_spoken_to() {
        assert!(refusal("postgres://u@db.example.org/x").contains("db.example.org"));
        assert!(refusal("postgres://u@10.0.0.1/x").contains("encrypt"));
        assert!(refusal("postgres://u@127.0.0.1/x?sslmode=require").contains("encrypt"));
        assert!(refusal("postgres://u@localhost/x?hostaddr=10.0.0.1").contains("10.0.0.1"));
        for url in ["postgres://u@[::1]/x", "postgres://u@localhost/x", "postgres://u@%2Ftmp/x"] {
            assert!(Target::parse(url, Purpose::Read).is_ok(), "{url}");
        }
    }

    #[test]
    fn another_schema_takes_the_place_of_the_first() {
        let other = |url| super::with_schema(url, "b");
        assert_eq!(other("postgres://u@h/x"), "postgres://u@h/x?schema=b");
        assert_eq!(other("postgres://h/x?schema=a&user=u"), "postgres://h/x?user=u&schema=b");
    }

    #[test]
    fn the_schema_is_a_plain_word() {
        let target = Target::parse(
            "postgres://u:secret@127.0.0.1:1/x?schema=s_1&connect_timeout=3",
            Purpose::Write,
        );
        let target = target.expect("a target");
        assert_eq!(target.schema, "s_1");
        assert!(!target.place.contains("secret"));
        for schema in ["", "A", "1a", "a;drop", "a b", "\"a\""] {
            assert!(
                refusal(&format!("postgres://u@localhost/x?schema={schema}")).contains("schema")
            );
        }
    }
}
