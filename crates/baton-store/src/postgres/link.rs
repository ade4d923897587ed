//! A connection to the server that blocks its caller, and comes back after it was lost.
//!
//! What of it is encrypted is decided elsewhere.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use baton_engine::store::StoreError;
use rustls::ClientConfig;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::fault::Fault;
use super::tls::{Asked, Encryption};

/// How long a server may take to answer a new connection, and to acknowledge what was sent.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// How long a question is asked again while the server does not answer: it may be starting anew.
const OUTAGE_MAX: Duration = Duration::from_secs(10);
/// The pause before the second time; it doubles each time.
const PAUSE: Duration = Duration::from_millis(20);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_millis(500);
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
    encryption: Encryption,
    /// The schema's name: lower-case letters, digits and `_`.
    pub schema: String,
    purpose: Purpose,
    /// Server and schema, for messages; never the password.
    pub place: String,
}

/// Parameters of a statement.
pub(crate) type Parameters<'a> = [&'a (dyn ToSql + Sync)];

impl Target {
    /// Reads `postgres://user@host/database?schema=name&sslmode=verify-full&sslrootcert=FILE`.
    pub fn parse(url: &str, purpose: Purpose) -> Result<Self, StoreError> {
        let (plain, schema) = split(url, "schema");
        let (plain, mode) = split(&plain, "sslmode");
        let (plain, roots) = split(&plain, "sslrootcert");
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
        let encryption = Encryption::of(Asked { mode, roots }, &mut config)?;
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
        Ok(Self { config, encryption, schema, purpose, place })
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
    let (plain, _) = split(url, "schema");
    let joint = if plain.contains('?') { '&' } else { '?' };
    format!("{plain}{joint}schema={schema}")
}

/// Takes `name=…`, which the driver would refuse, out of a URL's query.
fn split<'url>(url: &'url str, name: &str) -> (String, Option<&'url str>) {
    let Some((before, query)) = url.split_once('?') else {
        return (url.to_owned(), None);
    };
    let value_of = |pair: &'url str| pair.strip_prefix(name)?.strip_prefix('=');
    let value = query.split('&').find_map(value_of);
    let rest: Vec<&str> = query.split('&').filter(|pair| value_of(pair).is_none()).collect();
    let plain =
        if rest.is_empty() { before.to_owned() } else { format!("{before}?{}", rest.join("&")) };
    (plain, value)
}

struct Session {
    client: Client,
    prepared: HashMap<String, Statement>,
}

/// A connection that blocks, made when first needed and made again after it was lost.
pub(crate) struct Link {
    /// There until the link is dropped.
    runtime: Option<Runtime>,
    target: Target,
    session: Option<Session>,
    on_return: Option<String>,
}

impl Link {
    /// Connects to the store at this URL, so that a wrong one is noticed at once, and makes
    /// something of the connection.
    pub fn open<T>(
        url: &str,
        purpose: Purpose,
        make: impl FnOnce(Self) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let target = Target::parse(url, purpose)?;
        let place = target.place.clone();
        Self::to(target).and_then(make).map_err(|fault| fault.said(&place))
    }

    /// Does something here; what goes wrong is said with the place.
    pub fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        work(self).map_err(|fault| fault.said(&self.target.place))
    }

    fn to(target: Target) -> Result<Self, Fault> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| {
            Fault::unavailable(format!("no connection could be set up: {error}"))
        })?;
        let mut link = Self { runtime: Some(runtime), target, session: None, on_return: None };
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
        let outcome = self.runtime()?.block_on(session.query(sql, parameters));
        self.keep(session, outcome)
    }

    /// Runs a statement that changes nothing; again, for some seconds, where the connection had
    /// been lost.
    pub fn read(&mut self, sql: &str, parameters: &Parameters<'_>) -> Result<Vec<Row>, Fault> {
        let began = Instant::now();
        let mut pause = PAUSE;
        loop {
            match self.once(sql, parameters) {
                Err(fault) if fault.lost_the_connection() && began.elapsed() < OUTAGE_MAX => {}
                outcome => return outcome,
            }
            // The first new connection is made at once.
            if pause > PAUSE {
                // sleep: a server that starts gives no signal to those who wait for it.
                std::thread::sleep(pause);
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Has a statement run first on each connection that takes the place of a lost one.
    pub fn on_return(&mut self, sql: String) {
        self.on_return = Some(sql);
    }

    /// Runs several statements without parameters.
    pub fn batch(&mut self, sql: &str) -> Result<(), Fault> {
        let session = self.session()?;
        let outcome = self.runtime()?.block_on(session.client.batch_execute(sql));
        self.keep(session, outcome.map_err(Fault::from))
    }

    fn session(&mut self) -> Result<Session, Fault> {
        match self.session.take().filter(|session| !session.client.is_closed()) {
            Some(session) => Ok(session),
            None if self.target.purpose.may_reconnect() => {
                let session = self.connect()?;
                if let Some(sql) = &self.on_return {
                    self.runtime()?.block_on(session.client.batch_execute(sql))?;
                }
                Ok(session)
            }
            None => Err(Fault::unavailable(
                "the connection was lost, and with it the transaction: nothing was changed; see \
                 that the server runs, then call it again",
            )),
        }
    }

    fn runtime(&self) -> Result<&Runtime, Fault> {
        self.runtime.as_ref().ok_or_else(|| Fault::unavailable("the connection has been let go of"))
    }

    fn keep<T>(&mut self, session: Session, outcome: Result<T, Fault>) -> Result<T, Fault> {
        let lost = outcome.as_ref().is_err_and(Fault::lost_the_connection);
        self.session = (!lost).then_some(session);
        outcome
    }

    fn connect(&self) -> Result<Session, Fault> {
        let config = &self.target.config;
        // A connection moves only while a statement waits, which is when there is something to
        // move. How it ends is seen by the next statement.
        let client = match &self.target.encryption {
            Encryption::Plain => {
                let (client, connection) = self.runtime()?.block_on(config.connect(NoTls))?;
                drop(self.runtime()?.spawn(connection));
                client
            }
            Encryption::Tls(tls) => {
                let tls = MakeRustlsConnect::new(ClientConfig::clone(tls));
                let (client, connection) = self.runtime()?.block_on(config.connect(tls))?;
                drop(self.runtime()?.spawn(connection));
                client
            }
        };
        Ok(Session { client, prepared: HashMap::new() })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // The last to let go may be an asynchronous thread, which must not wait for a runtime's end.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
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
    use super::{Encryption, Purpose, Target};

    fn refusal(url: &str) -> String {
        match Target::parse(url, Purpose::Write) {
            Ok(target) => panic!("{target:?}"),
            Err(error) => error.to_string(),
        }
    }

    fn encrypts(url: &str) -> bool {
        match Target::parse(url, Purpose::Read).expect(url).encryption {
            Encryption::Plain => false,
            Encryption::Tls(_) => true,
        }
    }

    #[test]
    fn nothing_leaves_this_machine_in_the_clear() {
        let refused = refusal("postgres://u@db.example.org/x?sslmode=disable");
        assert!(refused.contains("`db.example.org`") && refused.contains("verify-full"));
        assert!(refusal("postgres://u@10.0.0.1/x?sslmode=prefer").contains("encrypted"));
        assert!(
            refusal("postgres://u@localhost/x?hostaddr=10.0.0.1&sslmode=disable")
                .contains("10.0.0.1")
        );
        assert!(refusal("postgres://u@localhost/x?sslmode=verify-ca").contains("verify-ca"));
        assert!(refusal("postgres://u@localhost/x?sslrootcert=/no/such").contains("/no/such"));
        let both = refusal("postgres://u@h/x?sslmode=require&sslrootcert=/no/such");
        assert!(both.contains("goes with"), "{both}");
        for url in ["postgres://u@[::1]/x", "postgres://u@localhost/x", "postgres://u@%2Ftmp/x"] {
            assert!(!encrypts(url), "{url}");
        }
        for url in ["postgres://u@127.0.0.1/x?sslmode=require", "postgres://u@h/x?sslmode=require"]
        {
            assert!(encrypts(url), "{url}");
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
