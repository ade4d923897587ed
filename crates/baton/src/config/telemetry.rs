//! `[telemetry]`: the collector that traces and metrics go to, and what of them.
//!
//! What the table leaves out, the standard variables of OpenTelemetry say
//! (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/>). Nothing is sent here.

use std::ffi::OsString;
use std::fmt::Display;

use baton_telemetry::{Content, Settings};
use serde::Deserialize;

use crate::exit::Failed;

/// Where a collector is.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// What is sent along, keys before all.
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
/// Under which name.
const SERVICE: &str = "OTEL_SERVICE_NAME";
/// What else is known of this process.
const RESOURCE: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// The table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// The collector's address for OTLP over HTTP, such as `http://127.0.0.1:4318`. Where it is absent,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` says; where it is empty, nothing is sent.
    pub otlp_endpoint: Option<String>,
    /// The variable of Baton's environment that holds headers for the collector, as
    /// `name=value,name=value`; `OTEL_EXPORTER_OTLP_HEADERS` where it is absent.
    pub headers_env: Option<String>,
    /// Whether messages, arguments, results and the texts of failures are sent too.
    pub content: bool,
}

impl Telemetry {
    /// What it comes to with the variables of an environment; `None` where nothing is to be sent.
    pub fn settings(
        &self,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Option<Settings>, Failed> {
        let read = |name: &str| match variable(name).filter(|value| !value.is_empty()) {
            None => Ok(None),
            Some(value) => value.into_string().map(Some).map_err(|_| wrong(name, "it is no text")),
        };
        let (endpoint, place) = match &self.otlp_endpoint {
            Some(endpoint) => (Some(endpoint.clone()), "`[telemetry] otlp_endpoint`"),
            None => (read(ENDPOINT)?, ENDPOINT),
        };
        let Some(endpoint) = endpoint.filter(|endpoint| !endpoint.trim().is_empty()) else {
            return Ok(None);
        };
        let mut settings = Settings::to(endpoint.trim()).map_err(|fault| wrong(place, fault))?;
        let headers = self.headers_env.as_deref().unwrap_or(HEADERS);
        if let Some(list) = read(headers)? {
            settings = settings.with_headers(&list).map_err(|fault| wrong(headers, fault))?;
        } else if self.headers_env.is_some() {
            let message = "`[telemetry] headers_env` names it, and it is not set";
            return Err(wrong(headers, message));
        }
        if let Some(list) = read(RESOURCE)? {
            settings = settings.with_resource(&list).map_err(|fault| wrong(RESOURCE, fault))?;
        }
        if let Some(name) = read(SERVICE)? {
            settings = settings.named(&name);
        }
        settings.content = if self.content { Content::On } else { Content::Off };
        Ok(Some(settings))
    }
}

fn wrong(place: &str, fault: impl Display) -> Failed {
    Failed::usage(format!("{place}: {fault}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// What a table comes to with these variables.
    fn read(table: &str, variables: &[(&str, &str)]) -> Result<Option<Settings>, String> {
        let text = format!("[telemetry]\n{table}\n");
        let config: Config = toml::from_str(&text).map_err(|fault| fault.to_string())?;
        let known = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        config.telemetry.settings(&known).map_err(|fault| fault.to_string())
    }

    #[test]
    fn nothing_is_sent_unless_somebody_says_where() {
        assert!(read("", &[]).unwrap().is_none());
        assert!(read("content = true", &[(ENDPOINT, "")]).unwrap().is_none());
        let there = [(ENDPOINT, "http://127.0.0.1:4318")];
        let settings = read("", &there).unwrap().unwrap();
        assert_eq!((settings.endpoint(), settings.content), (there[0].1, Content::Off));
        assert!(read("otlp_endpoint = \"\"", &there).unwrap().is_none());
        let ours = "otlp_endpoint = \"https://otel.example\"\ncontent = true";
        let settings = read(ours, &there).unwrap().unwrap();
        assert_eq!((settings.endpoint(), settings.content), ("https://otel.example", Content::On));
    }

    #[test]
    fn a_fault_names_its_place_and_repeats_no_secret() {
        let there = (ENDPOINT, "http://127.0.0.1:4318");
        for (table, variables, says) in [
            ("otlp_endpoint = \"x\"", vec![], "otlp_endpoint`: it is no address"),
            (
                "",
                vec![(ENDPOINT, "127.0.0.1:4318")],
                "OTEL_EXPORTER_OTLP_ENDPOINT: it is no address",
            ),
            ("headers_env = \"KEYS\"", vec![there], "KEYS: `[telemetry] headers_env` names it"),
            ("headers_env = \"KEYS\"", vec![there, ("KEYS", "secret")], "KEYS: pair 1 is not like"),
            (
                "",
                vec![there, (HEADERS, "a b=secret")],
                "OTEL_EXPORTER_OTLP_HEADERS: \"a b\" is no header",
            ),
            ("port = 1", vec![], "unknown field `port`"),
        ] {
            let fault = read(table, &variables).unwrap_err();
            assert!(fault.contains(says) && !fault.contains("secret"), "{table}: {fault}");
        }
    }
}
