//! `/api/v1/definitions`: what can be started by name, and checking what is not there yet.
//!
//! Where definitions are kept is not known here: whoever knows implements [`Definitions`].

use axum::Json;
use axum::extract::{Path, State};
use baton_core::definition::Fault;
use baton_core::plan::Plan;
use baton_core::words::Permission;
use baton_engine::forecast::{Forecast, forecast_of};
use baton_engine::store::Views;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::agents::AgentItem;
use super::code::ProblemCode;
use super::extract::{Asked, Text};
use super::page::Page;
use super::problem::{FieldError, Problem};
use super::schema::{Any, ForecastSchema, Problems};

/// Knows definitions. Everything here may block.
pub trait Definitions: Send + Sync {
    /// Reads a source; `Err` lists every fault.
    fn check(&self, source: &str) -> Result<Plan, Vec<Fault>>;

    /// Reads what a plan was edited to; `Err` lists every fault.
    fn edited(&self, source: &str, of: &Plan) -> Result<Plan, Vec<Fault>>;

    /// The newest definition of this name; `Err` says why it cannot be used.
    fn named(&self, name: &str) -> Option<Result<Plan, String>>;

    /// The highest permission a task may ask for.
    fn permission_max(&self) -> Permission;

    /// What there is, by file and name.
    fn all(&self) -> Vec<Listed>;

    /// The agents that tasks can name.
    fn agents(&self) -> Vec<AgentItem> {
        Vec::new()
    }
}

/// A definition in a list.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = DefinitionItem)]
pub struct Listed {
    /// The name to start it by; none where it cannot be read.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<u32>,
    /// What it is for.
    pub description: Option<String>,
    /// The file it stands in, without its folder.
    pub file: Option<String>,
    /// How many faults it has.
    pub faults: usize,
}

/// One definition.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Definition)]
pub struct Shown {
    /// The name to start it by.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// What it is for.
    pub description: Option<String>,
    /// A JSON Schema object of its inputs.
    pub inputs: Option<Value>,
    /// The names of its stages, in order.
    pub stages: Vec<String>,
    /// How many tasks it has.
    pub tasks: usize,
}

/// What is found wrong with a definition.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = DefinitionCheck)]
pub struct Checked {
    /// Whether it can be started.
    pub valid: bool,
    /// The definition, where it can.
    pub definition: Option<Shown>,
    /// Every fault, where it cannot.
    pub errors: Vec<FieldError>,
    /// What it will probably use; where that was asked for, and it can be started.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ForecastSchema>, nullable = false)]
    pub forecast: Option<Forecast>,
}

/// What is asked beside whether a definition can be started.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Beside {
    /// What it will probably use as well.
    #[param(default = false)]
    forecast: Option<bool>,
}

impl Shown {
    pub(super) fn of(plan: Plan) -> Self {
        Self {
            name: plan.name,
            version: plan.version,
            description: plan.description,
            inputs: plan.inputs,
            stages: plan.stages.into_iter().map(|stage| stage.name).collect(),
            tasks: plan.tasks.len(),
        }
    }
}

/// Definitions that can be started by name.
#[utoipa::path(get, path = "/definitions", tag = "definitions", operation_id = "list_definitions",
    responses((status = 200, description = "The definitions", body = Page<Listed>), Problems))]
pub(super) async fn list(State(api): State<Api>) -> Result<Json<Page<Listed>>, Problem> {
    let definitions = api.definitions.clone();
    let items = blocking(move || Ok(definitions.all())).await?;
    Ok(Json(Page { items, next_cursor: None }))
}

/// One definition, the newest version of its name.
#[utoipa::path(get, path = "/definitions/{name}", tag = "definitions", operation_id = "show_definition",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, description = "The definition", body = Shown), Problems))]
pub(super) async fn show(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<Shown>, Problem> {
    let definitions = api.definitions.clone();
    let plan = blocking(move || named(definitions.as_ref(), &name)).await?;
    Ok(Json(Shown::of(plan)))
}

/// What a workflow of a definition will probably use, from what the same tasks used in earlier runs.
#[utoipa::path(get, path = "/definitions/{name}/forecast", tag = "definitions", operation_id = "forecast_definition",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, description = "The forecast; without a history it says so", body = ForecastSchema), Problems))]
pub(super) async fn ahead(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<Forecast>, Problem> {
    let definitions = api.definitions.clone();
    let plan = blocking(move || named(definitions.as_ref(), &name)).await?;
    let read = move |views: &mut dyn Views| Ok(forecast_of(&plan, views)?);
    Ok(Json(api.readers.read(read).await?))
}

/// Checks a definition, YAML or JSON, and starts nothing.
#[utoipa::path(post, path = "/definitions/validate", tag = "definitions", operation_id = "validate_definition", params(Beside),
    request_body(content((String = "application/yaml"), (Any = "application/json"))),
    responses((status = 200, description = "What was found", body = Checked), Problems))]
pub(super) async fn validate(
    State(api): State<Api>,
    Asked(beside): Asked<Beside>,
    Text(source): Text,
) -> Result<Json<Checked>, Problem> {
    let definitions = api.definitions.clone();
    let read = blocking(move || Ok(definitions.check(&source))).await?;
    let plan = match read {
        Ok(plan) => plan,
        Err(faults) => {
            let errors = faults.iter().map(|fault| error_of("", fault)).collect();
            return Ok(Json(Checked { valid: false, definition: None, errors, forecast: None }));
        }
    };
    let (plan, forecast) = match beside.forecast {
        Some(true) => {
            let read = move |views: &mut dyn Views| {
                let forecast = forecast_of(&plan, views)?;
                Ok((plan, Some(forecast)))
            };
            api.readers.read(read).await?
        }
        Some(false) | None => (plan, None),
    };
    let definition = Some(Shown::of(plan));
    Ok(Json(Checked { valid: true, definition, errors: Vec::new(), forecast }))
}

/// The newest definition of a name.
pub(super) fn named(definitions: &dyn Definitions, name: &str) -> Result<Plan, Problem> {
    let shown: String = name.chars().take(80).collect();
    match definitions.named(name) {
        Some(Ok(plan)) => Ok(plan),
        Some(Err(cause)) => {
            let detail = format!("the definition `{shown}` cannot be used: {cause}");
            Err(Problem::new(ProblemCode::InvalidDefinition, detail))
        }
        None => {
            let detail = format!(
                "there is no definition `{shown}`; `GET /api/v1/definitions` lists those there are"
            );
            Err(Problem::new(ProblemCode::NoSuchDefinition, detail))
        }
    }
}

/// Runs what may block beside the asynchronous threads.
pub(super) async fn blocking<T, F>(work: F) -> Result<T, Problem>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Problem> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panicked| {
        Err(Problem::new(ProblemCode::Internal, format!("the work panicked: {panicked}")))
    })
}

/// A fault of a definition, which stands at `within` in what was sent.
pub(super) fn error_of(within: &str, fault: &Fault) -> FieldError {
    let help = fault.help.as_ref().map_or_else(String::new, |help| format!(" ({help})"));
    FieldError {
        pointer: format!("{within}{}", pointer_of(&fault.path)),
        detail: format!("{}{help}", fault.message),
        line: Some(fault.line),
        column: Some(fault.column),
    }
}

/// `stages[1].tasks[0]` as a JSON pointer: `/stages/1/tasks/0`.
fn pointer_of(path: &str) -> String {
    let parts = path.split(['.', '[']).filter(|part| !part.is_empty());
    let parts = parts.map(|part| part.trim_end_matches(']').replace('~', "~0").replace('/', "~1"));
    parts.map(|part| format!("/{part}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_a_pointer() {
        assert_eq!(pointer_of(""), "");
        assert_eq!(pointer_of("stages[1].tasks[0].needs[2]"), "/stages/1/tasks/0/needs/2");
        assert_eq!(pointer_of("inputs.a/b~c"), "/inputs/a~1b~0c");
    }
}
