//! A plan made ready to run: compiled, its edges turned round, its blob packed, its children too.
//!
//! Made where the plan was read, beside the owner's thread, or once per plan when a store is opened.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use baton_core::body::Blob;
use baton_core::plan::{Plan, Work};
use baton_core::program::Program;
use baton_core::workflow::Graph;

/// A plan made ready to run.
pub struct Loaded {
    /// The plan.
    pub plan: Arc<Plan>,
    /// Its edges, turned round.
    pub graph: Arc<Graph>,
    /// Its templates, compiled.
    pub program: Arc<Program>,
    /// Its JSON as a store keeps it.
    pub blob: Blob,
    /// The plans of its child workflows, by the key of the task.
    pub children: BTreeMap<String, Arc<Loaded>>,
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Loaded({} v{}, {})", self.plan.name, self.plan.version, self.blob.hash)
    }
}

/// A stored plan that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unloadable(pub String);

impl fmt::Display for Unloadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the plan cannot be used: {}", self.0)
    }
}

impl std::error::Error for Unloadable {}

impl Loaded {
    /// Makes a validated plan ready.
    pub fn new(plan: Plan) -> Result<Self, Unloadable> {
        let text = serde_json::to_string(&plan).map_err(|e| Unloadable(e.to_string()))?;
        Self::with_blob(plan, Blob::pack(&text))
    }

    /// Makes a stored plan ready.
    pub fn from_blob(blob: Blob) -> Result<Self, Unloadable> {
        let text = blob.unpack().map_err(|e| Unloadable(e.to_string()))?;
        let plan = serde_json::from_str(text.as_str()).map_err(|e| Unloadable(e.to_string()))?;
        Self::with_blob(plan, blob)
    }

    fn with_blob(plan: Plan, blob: Blob) -> Result<Self, Unloadable> {
        let mut children = BTreeMap::new();
        for task in &plan.tasks {
            match &task.work {
                Work::Workflow(child) => {
                    children
                        .insert(task.key.clone(), Arc::new(Self::new(Plan::clone(&child.plan))?));
                }
                Work::Tool(_)
                | Work::Human(_)
                | Work::Wait(_)
                | Work::Emit(_)
                | Work::Worker(_)
                | Work::Agent(_) => {}
            }
        }
        let plan = Arc::new(plan);
        let program = Program::compile(&plan).map_err(|failure| Unloadable(failure.message))?;
        let graph = Arc::new(Graph::of(&plan));
        Ok(Self { plan, graph, program: Arc::new(program), blob, children })
    }
}
