//! The definitions that chat may match: those in the folders at hand, those registered in the store, and
//! the few that come with Baton. Of a name, the first of these in this order is meant.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use baton_core::body::BlobHash;
use baton_core::definition;
use baton_core::plan::Plan;
use baton_engine::ports::Tools;
use baton_engine::store::{DefinitionRow, StoreError, Views};
use baton_engine::view::plan_at;
use baton_store::StoreUrl;

use crate::catalog::{LocalCatalog, read_source};
use crate::config::Config;

/// So many registered plans are kept in memory.
const PLANS_KEPT_MAX: usize = 1_000;

/// What comes with Baton: playbooks that need no model and no server.
const SHIPPED: [&str; 3] = [
    include_str!("../../../../examples/repository-health.yaml"),
    include_str!("../../../../examples/release-notes.yaml"),
    include_str!("../../../../examples/csv-clean-up.yaml"),
];

/// What there is at one moment.
pub struct Shelf {
    /// The plans, by the names of their definitions.
    pub plans: BTreeMap<String, Arc<Plan>>,
    /// Files of playbooks that have faults.
    pub faulty: Vec<String>,
}

/// Every definition that chat may match.
pub struct Library {
    tools: Arc<dyn Tools>,
    config: Config,
    store: StoreUrl,
    shipped: OnceLock<Vec<Arc<Plan>>>,
    registered: Mutex<BTreeMap<BlobHash, Arc<Plan>>>,
}

impl Library {
    /// Of a store, and of the folders that its configuration names.
    pub fn new(tools: Arc<dyn Tools>, config: Config, store: StoreUrl) -> Self {
        let (shipped, registered) = (OnceLock::new(), Mutex::default());
        Self { tools, config, store, shipped, registered }
    }

    /// What everything was configured with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The tools that plans may name.
    pub fn tools(&self) -> &dyn Tools {
        self.tools.as_ref()
    }

    /// A reader of the store.
    pub fn views(&self) -> Result<Box<dyn Views>, StoreError> {
        baton_store::open_views(&self.store)
    }

    /// What plans may name.
    pub fn catalog(&self) -> LocalCatalog {
        let views = self.views().ok();
        let folder = Some(Path::new("."));
        let catalog = LocalCatalog::new(Arc::clone(&self.tools), &self.config, folder, views);
        catalog.with_agents_of(folder)
    }

    /// The plans, by name. A definition with faults is none, and its file is named.
    pub fn shelf(&self) -> Shelf {
        let catalog = self.catalog();
        let mut plans = BTreeMap::new();
        let mut take = |plan: Arc<Plan>| {
            plans.entry(plan.name.clone()).or_insert(plan);
        };
        let mut faulty = Vec::new();
        for path in catalog.files() {
            let source = read_source(&path).unwrap_or_default();
            match definition::read(&source, &catalog) {
                Ok(plan) => take(Arc::new(plan)),
                Err(_) if source.contains("playbook:") => faulty.push(path.display().to_string()),
                Err(_) => {}
            }
        }
        let shipped = self.shipped.get_or_init(|| {
            let read = |source| definition::read(source, &catalog).ok().map(Arc::new);
            SHIPPED.into_iter().filter_map(read).collect()
        });
        if let Some(mut views) = catalog.into_views() {
            // A store that cannot be read now has no definitions now; the others are found.
            self.registered(views.as_mut()).into_iter().flatten().for_each(&mut take);
        }
        shipped.iter().cloned().for_each(&mut take);
        Shelf { plans, faulty }
    }

    /// The newest version of each registered definition.
    fn registered(&self, views: &mut dyn Views) -> Result<Vec<Arc<Plan>>, StoreError> {
        let rows = views.definitions()?;
        let newest = rows.chunk_by(|one, other| one.name == other.name);
        let newest = newest.filter_map(|versions| versions.last());
        newest.map(|row: &DefinitionRow| self.plan(row.plan, views)).collect()
    }

    fn plan(&self, hash: BlobHash, views: &mut dyn Views) -> Result<Arc<Plan>, StoreError> {
        let kept = || self.registered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = kept().get(&hash) {
            return Ok(Arc::clone(plan));
        }
        let plan = Arc::new(plan_at(hash, views)?);
        let mut kept = kept();
        if kept.len() >= PLANS_KEPT_MAX {
            kept.clear();
        }
        kept.insert(hash, Arc::clone(&plan));
        Ok(plan)
    }
}
