//! The configured agents, as every surface shows them.
//!
//! Whether their tools are there is found out where a definition names them, not here: it would start
//! every server.

use baton_core::plan::AgentSpec;
use baton_models::ModelSet;
use baton_server::http::AgentItem;

use crate::config::{Agent, Config};

/// Every agent, by name.
pub fn listed(config: &Config) -> Vec<AgentItem> {
    let models = ModelSet::new(config.models.clone()).map_err(|fault| fault.to_string());
    let agents = config.agents.iter();
    agents.map(|(name, agent)| item(name.as_str(), agent, config, models.as_ref())).collect()
}

fn item(name: &str, agent: &Agent, config: &Config, set: Result<&ModelSet, &String>) -> AgentItem {
    let models = set.map(|set| set.resolve(&agent.models)).map_err(String::clone);
    let shown = models.iter().flatten().map(Into::into).collect();
    let spec = models.and_then(|models| agent.spec(models, config.limits.permission));
    let trouble = match &spec {
        Ok(AgentSpec { models, .. }) if models.is_empty() => {
            Some("it has no model; `[models] worker` names those of agents without any".to_owned())
        }
        Ok(_) => None,
        Err(why) => Some(why.clone()),
    };
    AgentItem {
        name: name.to_owned(),
        trouble,
        models: shown,
        tools: agent.tools.clone(),
        approve: agent.approve.clone(),
        permission: agent.permission.min(config.limits.permission),
        limits: agent.limits.into(),
        compaction: agent.compaction,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_listed_with_its_models_or_why_it_cannot_be_used() {
        let text = "[limits]\npermission = \"read_only\"\n[models]\nworker = [\"local/one\"]\n\
             [agents.a]\npermission = \"read_write\"\nusd = \"0.50\"\n\
             [agents.b]\nmodels = [\"local/two\"]\ninstructions_file = \"nowhere.md\"\n";
        let config: Config = toml::from_str(text).unwrap();
        let all = listed(&config);
        let names: Vec<&str> =
            all.iter().flat_map(|agent| &agent.models).map(|model| model.name.as_str()).collect();
        assert_eq!(names, ["local/one", "local/two"]);
        assert_eq!(all[0].trouble, None);
        assert_eq!(all[0].permission.to_string(), "read_only");
        assert!(all[1].trouble.as_ref().unwrap().contains("nowhere.md"));
    }
}
