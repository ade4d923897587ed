//! What commands read, through a server's API.

use baton_core::body::Json;
use baton_core::codes::Code;
use baton_core::definition::InputFault;
use baton_core::ids::{ConversationId, TaskId, WorkflowId};
use baton_core::plan::Plan;
use baton_engine::conversations::{ConversationView, EntryView};
use baton_engine::inbox::InboxItem;
use baton_engine::prompt::PromptView;
use baton_engine::store::{ConversationFilter, Filter};
use baton_engine::turn_view::{AgentView, TurnView};
use baton_engine::usage::{UsageQuery, UsageReport};
use baton_engine::view::{TaskView, WorkflowView};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answers::{Fault, Page};
use super::client::Client;
use crate::reading::{Reading, ShownEvent};

/// The most that a page of the API holds.
const PAGE_MAX: u32 = 1_000;
/// The most tasks of a workflow that are taken from a server.
const TASKS_MAX: usize = 1 << 20;
/// The most turns of an agent that are taken from a server.
const TURNS_MAX: usize = 10_000;
/// The most entries of a conversation that are taken from a server.
const ENTRIES_MAX: usize = 10_000;

/// Reads through a server.
pub(super) struct RemoteReading {
    pub client: Client,
}

/// A task as it is shown alone, as far as it is used.
#[derive(Deserialize)]
struct TaskAlone {
    output: Option<Json>,
    #[serde(default)]
    agent: Option<AgentView>,
}

impl RemoteReading {
    fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.client.get(path).map_err(|fault| self.failed(fault))
    }

    fn find<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Option<T>> {
        self.client.find(path).map_err(|fault| self.failed(fault))
    }

    fn failed(&self, fault: Fault) -> anyhow::Error {
        fault.failed(self.client.base()).into()
    }

    /// At most so many items of a list, page by page.
    fn pages<T: DeserializeOwned>(&self, path: &str, most: usize) -> anyhow::Result<Vec<T>> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        while items.len() < most {
            let limit = (most - items.len()).min(PAGE_MAX as usize);
            let sign = if path.contains('?') { '&' } else { '?' };
            let mut page: Page<T> = self.get(&format!("{path}{sign}limit={limit}{cursor}"))?;
            let is_empty = page.items.is_empty();
            items.append(&mut page.items);
            let next = page.next_cursor.filter(|next| next.bytes().all(|b| b.is_ascii_digit()));
            let Some(next) = next.filter(|_| !is_empty) else { break };
            cursor = format!("&cursor={next}");
        }
        items.truncate(most);
        Ok(items)
    }
}

impl Reading for RemoteReading {
    fn list(&mut self, filter: &Filter) -> anyhow::Result<Vec<WorkflowView>> {
        let mut asked = Vec::new();
        if !filter.statuses.is_empty() {
            let words: Vec<&str> = filter.statuses.iter().map(|status| status.word()).collect();
            asked.push(format!("status={}", words.join(",")));
        }
        asked.extend(filter.name.as_ref().map(|name| format!("q={}", encoded(name))));
        let sign = if asked.is_empty() { "" } else { "?" };
        self.pages(&format!("/workflows{sign}{}", asked.join("&")), filter.limit as usize)
    }

    fn inbox(&mut self, most: u32) -> anyhow::Result<Vec<InboxItem>> {
        let page: Page<InboxItem> = self.get(&format!("/inbox?limit={}", most.min(PAGE_MAX)))?;
        Ok(page.items)
    }

    fn brief(&mut self, id: WorkflowId) -> anyhow::Result<Option<WorkflowView>> {
        self.workflow(id)
    }

    fn workflow(&mut self, id: WorkflowId) -> anyhow::Result<Option<WorkflowView>> {
        self.find(&format!("/workflows/{id}"))
    }

    fn conversations(
        &mut self,
        filter: &ConversationFilter,
    ) -> anyhow::Result<Vec<ConversationView>> {
        self.pages("/conversations", filter.limit as usize)
    }

    fn conversation(&mut self, id: ConversationId) -> anyhow::Result<Option<ConversationView>> {
        self.find(&format!("/conversations/{id}"))
    }

    fn entries(&mut self, id: ConversationId) -> anyhow::Result<Vec<EntryView>> {
        let mut entries: Vec<EntryView> =
            self.pages(&format!("/conversations/{id}/messages"), ENTRIES_MAX)?;
        entries.reverse();
        Ok(entries)
    }

    fn tasks(&mut self, id: WorkflowId) -> anyhow::Result<Vec<TaskView>> {
        let mut tasks: Vec<TaskView> = self.pages(&format!("/workflows/{id}/tasks"), TASKS_MAX)?;
        for task in &mut tasks {
            let ordinal = task.id.split().map(|(_, ordinal)| ordinal);
            task.ordinal = ordinal.unwrap_or(task.ordinal);
        }
        Ok(tasks)
    }

    fn plan(&mut self, id: WorkflowId) -> anyhow::Result<Plan> {
        self.get(&format!("/workflows/{id}/plan"))
    }

    fn events(&mut self, id: WorkflowId, after: u64, most: u32) -> anyhow::Result<Vec<ShownEvent>> {
        let limit = most.clamp(1, PAGE_MAX);
        let path = format!("/workflows/{id}/events?cursor={after}&limit={limit}");
        let page: Page<ShownEvent> = self.get(&path)?;
        Ok(page.items)
    }

    fn usage(&mut self, query: &UsageQuery) -> anyhow::Result<UsageReport> {
        let by = query.by.map(|by| by.word().to_owned());
        let (workflow, conversation) = (query.workflow, query.conversation);
        let asked = [
            ("by", by),
            ("from", query.from.clone()),
            ("to", query.to.clone()),
            ("workflow", workflow.map(|id| id.to_string())),
            ("conversation", conversation.map(|id| id.to_string())),
            ("model", query.model.clone()),
            ("agent", query.agent.clone()),
            ("user", query.user.clone()),
            ("cursor", query.cursor.clone()),
            ("limit", Some(query.limit.to_string())),
        ];
        let asked = asked
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| format!("{name}={}", encoded(&value))));
        self.get(&format!("/usage?{}", asked.collect::<Vec<_>>().join("&")))
    }

    fn misfits(&mut self, _: TaskId, _: &Value) -> anyhow::Result<Vec<InputFault>> {
        // The server says, when it is asked to take the answer.
        Ok(Vec::new())
    }

    fn output(&mut self, task: &TaskView) -> anyhow::Result<Option<Json>> {
        let alone: TaskAlone = self.get(&format!("/tasks/{}", task.id))?;
        Ok(alone.output)
    }

    fn agent(&mut self, task: &TaskView) -> anyhow::Result<Option<AgentView>> {
        if task.kind != "agent" {
            return Ok(None);
        }
        let alone: TaskAlone = self.get(&format!("/tasks/{}", task.id))?;
        Ok(alone.agent)
    }

    fn transcript(&mut self, task: &TaskView) -> anyhow::Result<Vec<TurnView>> {
        if task.kind != "agent" {
            return Ok(Vec::new());
        }
        self.pages(&format!("/tasks/{}/transcript", task.id), TURNS_MAX)
    }

    fn prompt(&mut self, task: TaskId, call: u32) -> anyhow::Result<PromptView> {
        self.get(&format!("/tasks/{task}/calls/{call}/prompt"))
    }
}

/// A text as it stands in a query (RFC 3986, 2.1).
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_one_value_of_a_query() {
        assert_eq!(encoded("a b&limit=1#ü"), "a%20b%26limit%3D1%23%C3%BC");
    }
}
