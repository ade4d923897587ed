//! The definitions that a server starts by name: those of its folder, of the configured folders, and
//! those registered in its store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use baton_core::definition::{self, Fault};
use baton_core::plan::{Catalog, Plan};
use baton_core::words::Permission;
use baton_engine::ports::Tools;
use baton_engine::store::DefinitionRow;
use baton_server::http::{Definitions, Listed};
use baton_store::StoreUrl;

use crate::catalog::{LocalCatalog, read_source};
use crate::config::Config;

/// What a server finds definitions by.
pub struct ServedDefinitions {
    tools: Arc<dyn Tools>,
    config: Config,
    store: StoreUrl,
}

impl ServedDefinitions {
    /// Beside this process's folder, in the configuration's, and in the store.
    pub fn new(tools: Arc<dyn Tools>, config: Config, store: StoreUrl) -> Self {
        Self { tools, config, store }
    }

    fn catalog(&self) -> LocalCatalog {
        let views = baton_store::open_views(&self.store).ok();
        LocalCatalog::new(Arc::clone(&self.tools), &self.config, Some(Path::new(".")), views)
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

    /// The files that may be definitions.
    pub fn files(&self) -> Vec<PathBuf> {
        self.catalog().files()
    }
}

impl Definitions for ServedDefinitions {
    fn check(&self, source: &str) -> Result<Plan, Vec<Fault>> {
        definition::read(source, &self.catalog())
    }

    fn named(&self, name: &str) -> Option<Result<Plan, String>> {
        self.catalog().definition(name)
    }

    fn permission_max(&self) -> Permission {
        self.config.limits.permission
    }

    fn all(&self) -> Vec<Listed> {
        let catalog = self.catalog();
        let listed = |path: PathBuf| {
            let read = read_source(&path).map(|source| definition::read(&source, &catalog));
            let file = path.file_name().map(|name| name.to_string_lossy().into_owned());
            let (plan, faults) = match read {
                Ok(Ok(plan)) => (Some(plan), 0),
                Ok(Err(faults)) => (None, faults.len()),
                Err(_) => (None, 1),
            };
            Listed {
                name: plan.as_ref().map(|plan| plan.name.clone()),
                version: plan.as_ref().map(|plan| plan.version),
                description: plan.and_then(|plan| plan.description),
                file,
                faults,
            }
        };
        let mut all: Vec<Listed> = catalog.files().into_iter().map(listed).collect();
        all.extend(self.registered());
        all
    }
}
