//! What definitions may name: the tools at hand, the configured agents, and other definitions beside the file, in the
//! configured folders, or registered in the store.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use baton_core::definition;
use baton_core::plan::{AgentSpec, Catalog, Plan, ToolSpec};
use baton_core::words::Permission;
use baton_engine::ports::Tools;
use baton_engine::store::Views;
use baton_models::{ModelSet, ModelsConfig};

use crate::config::{AgentName, Agents, Config, beside};

/// The most files that are looked at for a definition's name.
const FILES_MAX: usize = 1_000;
/// The largest file that is read as a definition.
const SOURCE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The tools of a server, or why it does not tell them.
type Told = Result<Arc<[ToolSpec]>, String>;

/// The tools, agents and definitions at hand.
pub struct LocalCatalog {
    tools: Arc<dyn Tools>,
    /// The tools that were known when this was made.
    specs: Arc<[ToolSpec]>,
    /// What each server that had not told them yet told when a definition named it.
    servers: BTreeMap<String, OnceCell<Told>>,
    agents: Agents,
    /// A folder whose agents are known as well, and they.
    folder: Option<PathBuf>,
    beside: OnceCell<Result<Agents, String>>,
    models: ModelsConfig,
    model_set: OnceCell<Result<ModelSet, String>>,
    folders: Vec<PathBuf>,
    views: RefCell<Option<Box<dyn Views>>>,
    permission_max: Permission,
    /// Definitions that are being read: one that leads to itself is not read again.
    reading: RefCell<BTreeSet<String>>,
}

impl LocalCatalog {
    /// What is at hand for a definition in `folder`.
    pub fn new(
        tools: Arc<dyn Tools>,
        config: &Config,
        folder: Option<&Path>,
        views: Option<Box<dyn Views>>,
    ) -> Self {
        let folders = folder
            .map(Path::to_owned)
            .into_iter()
            .chain(config.definitions.folders.iter().cloned());
        let names = config.servers.keys();
        Self {
            specs: tools.specs(),
            servers: names.map(|name| (name.clone(), OnceCell::new())).collect(),
            tools,
            agents: config.agents.clone(),
            folder: None,
            beside: OnceCell::new(),
            models: config.models.clone(),
            model_set: OnceCell::new(),
            folders: folders.collect(),
            views: RefCell::new(views),
            permission_max: config.limits.permission,
            reading: RefCell::default(),
        }
    }

    /// With the agents that are declared in a folder, after those of the configuration.
    pub fn with_agents_of(self, folder: Option<&Path>) -> Self {
        Self { folder: folder.map(Path::to_owned), ..self }
    }

    /// The agents beside the definition, which the configuration does not know.
    fn beside(&self) -> Result<&Agents, &String> {
        let read = || self.folder.as_deref().map_or_else(|| Ok(Agents::new()), beside);
        self.beside.get_or_init(read).as_ref()
    }

    /// The tools of a server, started for that where it does not run.
    fn learned(&self, tool: &str) -> Option<&Arc<[ToolSpec]>> {
        let (server, _) = tool.split_once('.')?;
        let told = self.servers.get(server)?.get_or_init(|| {
            self.tools.learn(server)?;
            let of =
                |spec: &&ToolSpec| spec.name.split_once('.').is_some_and(|(of, _)| of == server);
            Ok(self.tools.specs().iter().filter(of).cloned().collect())
        });
        told.as_ref().ok()
    }

    /// The reader of the store, for the next catalogue.
    pub fn into_views(self) -> Option<Box<dyn Views>> {
        self.views.into_inner()
    }

    fn registered(&self, name: &str) -> Option<Result<Plan, String>> {
        let mut views = self.views.borrow_mut();
        let views = views.as_mut()?;
        let found = views.definition(name, None).and_then(|row| match row {
            Some(row) => views.blob(row.plan),
            None => Ok(None),
        });
        match found {
            Ok(None) => None,
            Ok(Some(blob)) => Some(blob.unpack().map_err(|e| e.to_string()).and_then(|text| {
                serde_json::from_str(text.as_str())
                    .map_err(|e| format!("the registered definition cannot be read: {e}"))
            })),
            Err(fault) => Some(Err(fault.to_string())),
        }
    }

    /// The files that may be definitions, in all folders.
    pub fn files(&self) -> Vec<PathBuf> {
        let files = self.folders.iter().flat_map(|folder| definition_files(folder));
        files.take(FILES_MAX).collect()
    }

    /// The definition of this name in one of the folders, with the file it stands in.
    pub fn in_folders(&self, name: &str) -> Option<(PathBuf, String)> {
        self.files().into_iter().find_map(|path| {
            let source = read_source(&path).ok()?;
            declares(&source, name).then_some((path, source))
        })
    }
}

impl Catalog for LocalCatalog {
    fn tool(&self, name: &str) -> Option<&ToolSpec> {
        let known = self.specs.iter().find(|spec| spec.name == name);
        known.or_else(|| self.learned(name)?.iter().find(|spec| spec.name == name))
    }

    fn tool_names(&self) -> Vec<&str> {
        let told = self.servers.values().filter_map(OnceCell::get);
        let learned = told.flatten().flat_map(|specs| specs.iter());
        self.specs.iter().chain(learned).map(|spec| spec.name.as_str()).collect()
    }

    fn tool_trouble(&self, name: &str) -> Option<String> {
        let server = name.split('.').next()?;
        self.servers.get(server)?.get()?.as_ref().err().cloned()
    }

    fn agent(&self, name: &str) -> Option<Result<AgentSpec, String>> {
        let agent = match (self.agents.get(name), self.beside()) {
            (Some(agent), _) => agent,
            (None, Ok(beside)) => beside.get(name)?,
            (None, Err(fault)) => return Some(Err(fault.clone())),
        };
        let made = || ModelSet::new(self.models.clone()).map_err(|fault| fault.to_string());
        let set = self.model_set.get_or_init(made).as_ref();
        let models = set.map(|set| set.resolve(&agent.models)).map_err(String::clone);
        Some(models.and_then(|models| agent.spec(models, self.permission_max)))
    }

    fn agent_names(&self) -> Vec<&str> {
        let beside = self.beside().ok().into_iter().flat_map(|agents| agents.keys());
        self.agents.keys().chain(beside).map(AgentName::as_str).collect()
    }

    fn definition(&self, name: &str) -> Option<Result<Plan, String>> {
        let Some((path, source)) = self.in_folders(name) else {
            return self.registered(name);
        };
        if !self.reading.borrow_mut().insert(name.to_owned()) {
            return Some(Err("it leads back to itself".to_owned()));
        }
        let read = definition::read(&source, self).map_err(|faults| {
            let first =
                faults.first().map(|fault| format!("line {}: {}", fault.line, fault.message));
            format!(
                "{} has {} faults, the first in {}",
                path.display(),
                faults.len(),
                first.unwrap_or_default()
            )
        });
        self.reading.borrow_mut().remove(name);
        Some(read)
    }

    fn permission_max(&self) -> Permission {
        self.permission_max
    }
}

/// The text of a definition's file, which may be a pipe.
pub fn read_source(path: &Path) -> std::io::Result<String> {
    let mut source = String::new();
    let read = File::open(path)?.take(SOURCE_BYTES_MAX + 1).read_to_string(&mut source)?;
    if read as u64 > SOURCE_BYTES_MAX {
        let message = format!("a definition has at most {SOURCE_BYTES_MAX} bytes");
        return Err(std::io::Error::other(message));
    }
    Ok(source)
}

fn definition_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_definition = |path: &PathBuf| {
        path.extension()
            .is_some_and(|ending| ["yaml", "yml", "json"].iter().any(|known| ending == *known))
    };
    let paths = entries.map(|entry| entry.path());
    let mut files: Vec<PathBuf> =
        paths.filter(is_definition).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// Whether a source declares this name at its top level; a full reading follows.
fn declares(source: &str, name: &str) -> bool {
    let named = |line: &str| {
        let line = line.trim_start_matches('{').trim_start();
        let rest = line.strip_prefix("name:").or_else(|| line.strip_prefix("\"name\":"))?;
        let value = rest.split(" #").next().unwrap_or(rest).trim().trim_end_matches(',');
        Some(value.trim_matches(['"', '\'']) == name)
    };
    source
        .lines()
        .filter(|line| !line.starts_with(' ') || source.trim_start().starts_with('{'))
        .any(|line| named(line.trim_start()).unwrap_or(false))
}
