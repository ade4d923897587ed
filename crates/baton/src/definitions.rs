//! The definitions that a server starts by name: those of its folder, of the configured folders, and
//! those registered in its store.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use baton_core::definition::{self, Fault};
use baton_core::plan::{Catalog, Plan};
use baton_core::words::Permission;
use baton_engine::ports::Tools;
use baton_engine::store::{DefinitionRow, Views};
use baton_server::http::{AgentItem, Definitions, Listed};
use baton_store::StoreUrl;

use crate::agents;
use crate::catalog::{LocalCatalog, read_source};
use crate::config::Config;

/// How many readers of the store are kept for the next request.
const READERS_KEPT_MAX: usize = 2;

/// What a server finds definitions by.
pub struct ServedDefinitions {
    tools: Arc<dyn Tools>,
    config: Config,
    store: StoreUrl,
    idle: Mutex<Vec<Box<dyn Views>>>,
}

impl ServedDefinitions {
    /// Beside this process's folder, in the configuration's, and in the store.
    pub fn new(tools: Arc<dyn Tools>, config: Config, store: StoreUrl) -> Self {
        Self { tools, config, store, idle: Mutex::default() }
    }

    /// How many files may be definitions.
    pub fn files_count(&self) -> usize {
        self.with(|catalog| catalog.files().len())
    }

    fn with<T>(&self, work: impl FnOnce(&LocalCatalog) -> T) -> T {
        let kept = self.idle().pop();
        // A store that cannot be read now has no definitions now; those in folders are found.
        let views = kept.or_else(|| baton_store::open_views(&self.store).ok());
        let folder = Some(Path::new("."));
        let catalog = LocalCatalog::new(Arc::clone(&self.tools), &self.config, folder, views);
        let done = work(&catalog);
        let mut idle = self.idle();
        idle.extend(catalog.into_views());
        idle.truncate(READERS_KEPT_MAX);
        done
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Box<dyn Views>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest version of each registered definition; none while the store does not answer.
    fn registered(&self) -> Vec<Listed> {
        let views = baton_store::open_views(&self.store);
        let rows = views.and_then(|mut views| views.definitions()).unwrap_or_default();
        // By name and then by version: the last of a name is its newest.
        let newest = rows.chunk_by(|one, other| one.name == other.name);
        let listed = |row: &DefinitionRow| Listed {
            name: Some(row.name.clone()),
            version: Some(row.version),
            description: None,
            file: None,
            faults: 0,
        };
        newest.filter_map(|versions| versions.last()).map(listed).collect()
    }
}

impl Definitions for ServedDefinitions {
    fn check(&self, source: &str) -> Result<Plan, Vec<Fault>> {
        self.with(|catalog| definition::read(source, catalog))
    }

    fn edited(&self, source: &str, of: &Plan) -> Result<Plan, Vec<Fault>> {
        self.with(|catalog| definition::edited(source, of, catalog))
    }

    fn named(&self, name: &str) -> Option<Result<Plan, String>> {
        self.with(|catalog| catalog.definition(name))
    }

    fn permission_max(&self) -> Permission {
        self.config.limits.permission
    }

    fn agents(&self) -> Vec<AgentItem> {
        agents::listed(&self.config)
    }

    fn all(&self) -> Vec<Listed> {
        let mut all: Vec<Listed> = self.with(|catalog| {
            catalog.files().into_iter().map(|path| listed(&path, catalog)).collect()
        });
        all.extend(self.registered());
        all
    }
}

/// A file as it is listed.
fn listed(path: &Path, catalog: &LocalCatalog) -> Listed {
    let read = read_source(path).map(|source| definition::read(&source, catalog));
    let (plan, faults) = match read {
        Ok(Ok(plan)) => (Some(plan), 0),
        Ok(Err(faults)) => (None, faults.len()),
        Err(_) => (None, 1),
    };
    Listed {
        name: plan.as_ref().map(|plan| plan.name.clone()),
        version: plan.as_ref().map(|plan| plan.version),
        description: plan.and_then(|plan| plan.description),
        file: path.file_name().map(|name| name.to_string_lossy().into_owned()),
        faults,
    }
}
