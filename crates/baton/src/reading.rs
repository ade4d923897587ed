//! What commands read of workflows, wherever those are: in a store at hand, or behind a server.
//!
//! It changes nothing, and it words no answers beyond those to a name that leads nowhere.

use anyhow::bail;
use baton_core::body::Json;
use baton_core::codes::Code;
use baton_core::definition::InputFault;
use baton_core::ids::{ConversationId, Ordinal, TaskId, WorkflowId};
use baton_core::plan::{AgentCall, Plan, WORKFLOW_TASKS_MAX};
use baton_core::spoken::cut;
use baton_core::time::Timestamp;
use baton_core::workflow::rows::{WorkflowCard, WorkflowRow};
use baton_core::workflow::{Event, EventKind, Output, UnreadableEvent};
use baton_engine::conversations::{
    ConversationView, EntryView, conversation_view, conversation_views, entries,
};
use baton_engine::events::{EventView, Showing};
use baton_engine::exchange::Declined;
use baton_engine::inbox::{InboxItem, inbox, misfits};
use baton_engine::prompt::{self, PromptFault, PromptView};
use baton_engine::store::{ConversationFilter, Filter, Record, Views};
use baton_engine::transcript::{Transcript, agent_of};
use baton_engine::turn_view::{AgentView, TurnView, Whose, agent_view, turn_view};
use baton_engine::usage::{UsageFault, UsageQuery, UsageReport, usage};
use baton_engine::view::{self, TaskView, WorkflowView, workflow_brief, workflow_briefs};
use baton_engine::wording::Wording;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::exit::Failed;
use crate::text::clean;

/// Among how many of the newest workflows the one is looked for that was probably meant.
const SUGGESTED_FROM_MAX: u32 = 1_000;
/// From how many characters on the beginning of an id is taken for one.
const SUGGESTED_CHARS_MIN: usize = 6;

/// What commands read. Every answer is what was committed when it was asked for, or later.
pub trait Reading {
    /// Workflows, newest first, without what is not in a list: descriptions, outputs, errors.
    fn list(&mut self, filter: &Filter) -> anyhow::Result<Vec<WorkflowView>>;

    /// What needs a person; at most this many plans, and as many tasks.
    fn inbox(&mut self, most: u32) -> anyhow::Result<Vec<InboxItem>>;

    /// One workflow as a list shows it.
    fn brief(&mut self, id: WorkflowId) -> anyhow::Result<Option<WorkflowView>>;

    /// One workflow with its description, output and error.
    fn workflow(&mut self, id: WorkflowId) -> anyhow::Result<Option<WorkflowView>>;

    /// Conversations, newest first.
    fn conversations(
        &mut self,
        filter: &ConversationFilter,
    ) -> anyhow::Result<Vec<ConversationView>>;

    /// One conversation.
    fn conversation(&mut self, id: ConversationId) -> anyhow::Result<Option<ConversationView>>;

    /// What was said and done in a conversation, oldest first.
    fn entries(&mut self, id: ConversationId) -> anyhow::Result<Vec<EntryView>>;

    /// The tasks of a workflow that was not purged, by ordinal.
    fn tasks(&mut self, id: WorkflowId) -> anyhow::Result<Vec<TaskView>>;

    /// The plan of a workflow that was not purged.
    fn plan(&mut self, id: WorkflowId) -> anyhow::Result<Plan>;

    /// At most so many events of a workflow behind a position, and what they tell of calls; none where
    /// there are no more.
    fn events(&mut self, id: WorkflowId, after: u64, most: u32) -> anyhow::Result<Vec<ShownEvent>>;

    /// What calls of models used, added up.
    fn usage(&mut self, query: &UsageQuery) -> anyhow::Result<UsageReport>;

    /// What an answer to a task's question does not fit in, as far as that is known here.
    fn misfits(&mut self, task: TaskId, value: &Value) -> anyhow::Result<Vec<InputFault>>;

    /// What a task brought, if it is a value.
    fn output(&mut self, task: &TaskView) -> anyhow::Result<Option<Json>>;

    /// What a task's agent did in sum, if it has one.
    fn agent(&mut self, task: &TaskView) -> anyhow::Result<Option<AgentView>>;

    /// The turns of a task's agent, oldest first.
    fn transcript(&mut self, task: &TaskView) -> anyhow::Result<Vec<TurnView>>;

    /// What the model was asked in one call of a task.
    fn prompt(&mut self, task: TaskId, call: u32) -> anyhow::Result<PromptView>;
}

/// An event as every surface shows it: a CloudEvent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownEvent {
    /// The version of CloudEvents.
    pub specversion: String,
    /// Its position in the journal; unique with the source.
    pub id: String,
    /// The path of the workflow, or of the server whose tool was called.
    pub source: String,
    /// Such as `task.completed`, or `tool.fs.read.completed`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is about: a task's or a workflow's id, or a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When it happened.
    pub time: Timestamp,
    /// Of the data: always JSON.
    pub datacontenttype: String,
    /// The conversation of the workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversationid: Option<ConversationId>,
    /// The workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlationid: Option<WorkflowId>,
    /// The position of the event that led to it, where no command did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causationid: Option<String>,
    /// Who is behind it, such as `user:ada`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// W3C trace context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The key of the task it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Its body, as it is stored; or what was called and what came of it.
    pub data: Box<RawValue>,
}

impl ShownEvent {
    /// Its place in the journal; 0 where what was sent is none.
    pub fn position(&self) -> u64 {
        self.id.parse().unwrap_or(0)
    }

    /// Whether it tells of a call of a tool, and follows from an event of the journal.
    pub fn is_call(&self) -> bool {
        self.kind.starts_with("tool.")
    }

    /// Whether it is about this task.
    pub fn is_about(&self, task: TaskId) -> bool {
        self.subject.as_deref().and_then(|subject| subject.parse().ok()) == Some(task)
    }

    /// What it says; an error where this version does not know its kind, or it is damaged.
    pub fn event(&self) -> anyhow::Result<Event> {
        let place = &self.id;
        let Some(kind) = EventKind::from_word(&self.kind) else {
            let kind = clean(&cut(&self.kind, 60));
            bail!(Failed::unreachable(anyhow::anyhow!(
                "the event at position {place} is of the unknown kind `{kind}`; use the same \
                 version of baton as wrote it"
            )));
        };
        let damaged = |fault: UnreadableEvent| {
            Failed::unreachable(anyhow::anyhow!("the event at position {place}: {fault}"))
        };
        let event = Event::read(kind, self.data.get()).map_err(damaged)?;
        // Whoever folds it makes that many tasks.
        if let Event::TaskExpanded(made) = &event
            && made.count as usize > WORKFLOW_TASKS_MAX
        {
            let what = format!("the event at position {place} makes {} tasks", made.count);
            bail!(Failed::unreachable(anyhow::anyhow!(what)));
        }
        Ok(event)
    }
}

/// Reads a store.
pub struct StoreReading {
    views: Box<dyn Views>,
    showing: Showing,
    /// The workflow whose events were read last, and its number.
    last: Option<(WorkflowId, u64)>,
}

impl StoreReading {
    /// Through these views.
    pub fn new(views: Box<dyn Views>) -> Self {
        Self { views, showing: Showing::default(), last: None }
    }

    fn rows(&mut self, id: WorkflowId) -> anyhow::Result<(WorkflowCard, WorkflowRow)> {
        let missing = || Failed::usage(Declined::NoSuchWorkflow(id).to_string());
        Ok(self.views.workflow(id)?.ok_or_else(missing)?)
    }

    /// What a task's agent did, and what it is there for.
    fn done_by_agent(
        &mut self,
        task: &TaskView,
    ) -> anyhow::Result<Option<(Transcript, AgentCall)>> {
        let Some((workflow, ordinal)) = task.id.split().filter(|_| task.kind == "agent") else {
            return Ok(None);
        };
        let (card, _) = self.rows(workflow)?;
        let views = self.views.as_mut();
        let row = views.tasks(card.number)?.into_iter().find(|row| row.ordinal == ordinal);
        let plan = view::plan_of(&card, views)?;
        let of = row.map_or(ordinal, |row| row.of);
        let Some(agent) = agent_of(&plan, of) else { return Ok(None) };
        Ok(Some((Transcript::read(card.number, ordinal, views)?, agent.clone())))
    }

    fn number(&mut self, id: WorkflowId) -> anyhow::Result<u64> {
        if let Some((_, number)) = self.last.filter(|(last, _)| *last == id) {
            return Ok(number);
        }
        let (card, _) = self.rows(id)?;
        self.last = Some((id, card.number));
        Ok(card.number)
    }
}

impl Reading for StoreReading {
    fn list(&mut self, filter: &Filter) -> anyhow::Result<Vec<WorkflowView>> {
        let found = self.views.list(filter)?;
        Ok(workflow_briefs(&found, self.views.as_mut())?)
    }

    fn inbox(&mut self, most: u32) -> anyhow::Result<Vec<InboxItem>> {
        Ok(inbox(self.views.as_mut(), most)?)
    }

    fn brief(&mut self, id: WorkflowId) -> anyhow::Result<Option<WorkflowView>> {
        let Some((card, row)) = self.views.workflow(id)? else { return Ok(None) };
        Ok(Some(workflow_brief(&card, &row, self.views.as_mut())?))
    }

    fn workflow(&mut self, id: WorkflowId) -> anyhow::Result<Option<WorkflowView>> {
        let Some((card, row)) = self.views.workflow(id)? else { return Ok(None) };
        if row.purged_at().is_some() {
            return Ok(Some(workflow_brief(&card, &row, self.views.as_mut())?));
        }
        let views = self.views.as_mut();
        let plan = view::plan_of(&card, views)?;
        Ok(Some(view::workflow_view(&card, &row, &Wording::of(&plan), views)?))
    }

    fn conversations(
        &mut self,
        filter: &ConversationFilter,
    ) -> anyhow::Result<Vec<ConversationView>> {
        let found = conversation_views(filter, self.views.as_mut())?;
        Ok(found.into_iter().map(|(_, view)| view).collect())
    }

    fn conversation(&mut self, id: ConversationId) -> anyhow::Result<Option<ConversationView>> {
        Ok(conversation_view(id, self.views.as_mut())?)
    }

    fn entries(&mut self, id: ConversationId) -> anyhow::Result<Vec<EntryView>> {
        let Some(row) = self.views.conversation(id)? else { return Ok(Vec::new()) };
        Ok(entries(row.number, self.views.as_mut())?)
    }

    fn tasks(&mut self, id: WorkflowId) -> anyhow::Result<Vec<TaskView>> {
        let (card, row) = self.rows(id)?;
        let plan = view::plan_of(&card, self.views.as_mut())?;
        let rows = self.views.tasks(card.number)?;
        let usage = self.views.usage_of_tasks(card.number)?;
        Ok(view::all_tasks((&card, &row), &plan, (&rows, &usage), self.views.as_mut())?)
    }

    fn plan(&mut self, id: WorkflowId) -> anyhow::Result<Plan> {
        let (card, _) = self.rows(id)?;
        Ok(view::plan_of(&card, self.views.as_mut())?)
    }

    fn events(&mut self, id: WorkflowId, after: u64, most: u32) -> anyhow::Result<Vec<ShownEvent>> {
        let number = self.number(id)?;
        let records = self.views.events(after, Some(number), most)?;
        shown(&records, &mut self.showing, self.views.as_mut())
    }

    fn usage(&mut self, query: &UsageQuery) -> anyhow::Result<UsageReport> {
        let answered = usage(query, self.views.as_mut());
        answered.map_err(|fault| match fault {
            UsageFault::Store(fault) => fault.into(),
            asked @ (UsageFault::NoDay(..) | UsageFault::NoCursor | UsageFault::NoWorkflow(_)) => {
                Failed::usage(asked.to_string()).into()
            }
        })
    }

    fn misfits(&mut self, task: TaskId, value: &Value) -> anyhow::Result<Vec<InputFault>> {
        let Some(named) = task.split() else { return Ok(Vec::new()) };
        Ok(misfits(named, value, self.views.as_mut())?)
    }

    fn output(&mut self, task: &TaskView) -> anyhow::Result<Option<Json>> {
        let Some((workflow, _)) = task.id.split() else { return Ok(None) };
        let number = self.number(workflow)?;
        let ended = self.views.events(task.position.saturating_sub(1), Some(number), 1)?;
        let ended = ended.first().map(baton_engine::live::read_event).transpose()?;
        Ok(match ended {
            Some(Event::TaskCompleted(done)) => match &done.output {
                Output::Value(body) => Some(view::text_of(body, self.views.as_mut())?),
                Output::Items { .. } => None,
            },
            Some(_) | None => None,
        })
    }

    fn agent(&mut self, task: &TaskView) -> anyhow::Result<Option<AgentView>> {
        let Some((transcript, agent)) = self.done_by_agent(task)? else { return Ok(None) };
        Ok(Some(agent_view(&transcript, &agent)))
    }

    fn transcript(&mut self, task: &TaskView) -> anyhow::Result<Vec<TurnView>> {
        let Some((transcript, agent)) = self.done_by_agent(task)? else { return Ok(Vec::new()) };
        let Some((workflow, _)) = task.id.split() else { return Ok(Vec::new()) };
        let whose = Whose { workflow, key: &task.key, agent: &agent };
        let turns = transcript.turns.iter().map(|turn| {
            let view = turn_view(whose, turn, self.views.as_mut());
            view.map_err(anyhow::Error::from)
        });
        turns.collect()
    }

    fn prompt(&mut self, task: TaskId, call: u32) -> anyhow::Result<PromptView> {
        let none = || Failed::usage(PromptFault::NoSuchCall(call).to_string());
        let (workflow, ordinal) = task.split().ok_or_else(none)?;
        let number = self.number(workflow)?;
        Ok(match prompt::prompt(number, (ordinal, call), self.views.as_mut()) {
            Ok(prompt) => prompt,
            Err(fault @ PromptFault::NoSuchCall(_)) => bail!(Failed::usage(fault.to_string())),
            Err(fault @ PromptFault::Changed { .. }) => {
                bail!(Failed::unreachable(anyhow::Error::from(fault)))
            }
            Err(PromptFault::Store(fault)) => bail!(fault),
        })
    }
}

/// Records as every surface shows them.
fn shown(
    records: &[Record],
    showing: &mut Showing,
    views: &mut dyn Views,
) -> anyhow::Result<Vec<ShownEvent>> {
    let mut all = Vec::with_capacity(records.len());
    for record in records {
        all.extend(showing.show(record, views)?.messages().map(|(_, view)| told(view)));
    }
    Ok(all)
}

fn told(view: EventView<'_>) -> ShownEvent {
    ShownEvent {
        specversion: view.specversion.to_owned(),
        id: view.id,
        source: view.source,
        kind: view.kind.into_owned(),
        subject: view.subject,
        time: view.time,
        datacontenttype: view.datacontenttype.to_owned(),
        conversationid: view.conversationid,
        correlationid: view.correlationid,
        causationid: view.causationid,
        actor: view.actor.map(|actor| actor.to_string()),
        traceparent: view.traceparent,
        task: view.task,
        data: view.data.into_owned(),
    }
}

/// The workflow that a person names: by its id, by one of its tasks' ids, or `last`.
pub fn find_workflow(reading: &mut dyn Reading, named: &str) -> anyhow::Result<WorkflowView> {
    let (named, _) = named.split_once('/').unwrap_or((named, ""));
    if named == "last" {
        let newest = reading.list(&Filter { limit: 1, ..Filter::default() })?.pop();
        return newest.ok_or_else(|| Failed::usage("there is no workflow yet").into());
    }
    let id =
        match (named.parse::<TaskId>().ok().and_then(TaskId::split), named.parse::<WorkflowId>()) {
            (Some((workflow, _)), _) => workflow,
            (None, Ok(workflow)) => workflow,
            (None, Err(_)) => bail!(Failed::usage(no_id(named, reading)?)),
        };
    let missing =
        || Failed::usage(format!("there is no workflow {id}; `baton list` shows those there are"));
    Ok(reading.brief(id)?.ok_or_else(missing)?)
}

/// What to say of something that is no id: the workflow that was probably meant.
fn no_id(named: &str, reading: &mut dyn Reading) -> anyhow::Result<String> {
    let newest = reading.list(&Filter { limit: SUGGESTED_FROM_MAX, ..Filter::default() })?;
    let is_meant = |workflow: &&WorkflowView| {
        let id = workflow.id.to_string();
        let is_part = named.len() >= SUGGESTED_CHARS_MIN && id.starts_with(named);
        is_part || workflow.name == named
    };
    let shown = clean(&cut(named, 60));
    Ok(match newest.iter().find(is_meant) {
        Some(workflow) => {
            let (name, id, status) = (clean(&workflow.name), workflow.id, workflow.status);
            format!("`{shown}` is no id; did you mean {id}, the newest `{name}` ({status})?")
        }
        None => format!(
            "`{shown}` is no id; `baton list` shows the ids of workflows, `baton inbox` those of tasks"
        ),
    })
}

/// The task that a person names: by its id, or as `WORKFLOW/KEY`. `None` where they name a whole
/// workflow.
pub fn find_task(
    reading: &mut dyn Reading,
    named: &str,
) -> anyhow::Result<(WorkflowView, Option<Ordinal>)> {
    let workflow = find_workflow(reading, named)?;
    if let Some((_, ordinal)) = named.parse::<TaskId>().ok().and_then(TaskId::split) {
        return Ok((workflow, Some(ordinal)));
    }
    let Some((_, key)) = named.split_once('/') else {
        return Ok((workflow, None));
    };
    if workflow.purged_at.is_some() {
        return Err(Failed::usage(Declined::Purged(workflow.id).to_string()).into());
    }
    let tasks = reading.tasks(workflow.id)?;
    let task = tasks.iter().find(|task| task.key == key).ok_or_else(|| {
        let (name, key, id) = (clean(&workflow.name), clean(key), workflow.id);
        Failed::usage(format!(
            "the workflow `{name}` has no task `{key}`; `baton show {id}` lists them"
        ))
    })?;
    let ordinal = task.ordinal;
    Ok((workflow, Some(ordinal)))
}
