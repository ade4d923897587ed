//! The readers' side of the store in memory: each question a walk over what is kept.

use baton_core::actor::Actor;
use baton_core::agent::Spending;
use baton_core::body::{Blob, BlobHash};
use baton_core::conversation::rows::ConversationRow;
use baton_core::ids::{ConversationId, TaskId, WorkflowId};
use baton_core::words::FactKind;
use baton_core::workflow::rows::{TaskRow, WorkflowCard, WorkflowRow};
use baton_engine::store::{
    ConversationFilter, DefinitionRow, FactRow, Filter, Head, Record, StoreError, UsageFilter,
    UsageKey, UsageOfTask, Views,
};

use super::MemoryViews;
use crate::conversation::sought;
use crate::vocabulary::FOR_PEOPLE;
use crate::{sound, sums};

impl Views for MemoryViews {
    fn head(&mut self) -> Result<Head, StoreError> {
        Ok(self.kept().head)
    }

    fn list(&mut self, filter: &Filter) -> Result<Vec<(WorkflowCard, WorkflowRow)>, StoreError> {
        let kept = self.kept();
        let before = filter.before.unwrap_or(u64::MAX);
        let wanted = |(card, row): &&(WorkflowCard, WorkflowRow)| {
            (filter.statuses.is_empty() || filter.statuses.contains(&row.status))
                && filter.name.as_ref().is_none_or(|name| card.name.contains(name))
                && filter.origin.is_none_or(|origin| card.origin == origin)
                && filter.project.is_none_or(|project| card.project == Some(project))
                && filter.conversation.is_none_or(|of| card.conversation == of)
                && filter.since.is_none_or(|since| card.created_at >= since)
                && (!filter.needs_people || row.waiting_people > 0)
        };
        let newest_first = kept.workflows.range(..before).rev().map(|(_, both)| both);
        let page = newest_first.filter(wanted).take(usize::try_from(filter.limit).unwrap_or(0));
        Ok(page.cloned().collect())
    }

    fn workflow(
        &mut self,
        id: WorkflowId,
    ) -> Result<Option<(WorkflowCard, WorkflowRow)>, StoreError> {
        let kept = self.kept();
        let number = kept.numbers.get(&id);
        Ok(number.and_then(|number| kept.workflows.get(number)).cloned())
    }

    fn conversations(
        &mut self,
        filter: &ConversationFilter,
    ) -> Result<Vec<ConversationRow>, StoreError> {
        let kept = self.kept();
        let before = filter.before.unwrap_or(u64::MAX);
        let title = filter.title.as_deref().map(sought);
        let wanted = |row: &&ConversationRow| {
            filter.status.is_none_or(|status| row.status == status)
                && title.as_ref().is_none_or(|part| sought(&row.face.title).contains(part))
        };
        let newest_first = kept.conversations.range(..before).rev().map(|(_, row)| row);
        let page = newest_first.filter(wanted).take(usize::try_from(filter.limit).unwrap_or(0));
        Ok(page.cloned().collect())
    }

    fn conversation(&mut self, id: ConversationId) -> Result<Option<ConversationRow>, StoreError> {
        let kept = self.kept();
        let number = kept.conversation_numbers.get(&id);
        Ok(number.and_then(|number| kept.conversations.get(number)).cloned())
    }

    fn conversation_of(&mut self, number: u64) -> Result<Option<ConversationId>, StoreError> {
        Ok(self.kept().conversations.get(&number).map(|row| row.id))
    }

    fn tasks(&mut self, number: u64) -> Result<Vec<TaskRow>, StoreError> {
        let [first, last] = sound::task_keys(number);
        Ok(self.kept().tasks.range(first..=last).map(|(_, row)| row.clone()).collect())
    }

    fn usage(&mut self, filter: &UsageFilter) -> Result<Vec<(UsageKey, Spending)>, StoreError> {
        Ok(sums::of(self.kept().usage.values(), filter))
    }

    fn usage_of_tasks(&mut self, number: u64) -> Result<Vec<UsageOfTask>, StoreError> {
        Ok(sums::of_tasks(&self.kept().usage_of(number)))
    }

    fn waiting_for_people(
        &mut self,
        limit: u32,
    ) -> Result<Vec<(WorkflowCard, TaskRow)>, StoreError> {
        let kept = self.kept();
        let waits = |row: &&TaskRow| row.waits_for.is_some_and(|on| FOR_PEOPLE.contains(&on));
        let mut waiting: Vec<_> = kept
            .tasks
            .values()
            .filter(waits)
            .filter_map(|row| Some((kept.workflows.get(&row.number)?.0.clone(), row.clone())))
            .collect();
        waiting.sort_by_key(|(_, row)| row.position);
        waiting.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(waiting)
    }

    fn events(
        &mut self,
        after: u64,
        stream: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Record>, StoreError> {
        let kept = self.kept();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if let Some(number) = stream {
            let mut records = kept.stream(number, after)?;
            records.truncate(limit);
            return Ok(records);
        }
        let later = kept.journal.range(after.saturating_add(1)..);
        Ok(later.take(limit).map(|(_, record)| record.clone()).collect())
    }

    fn stream(&mut self, number: u64) -> Result<Vec<Record>, StoreError> {
        self.kept().stream(number, 0)
    }

    fn blob(&mut self, hash: BlobHash) -> Result<Option<Blob>, StoreError> {
        Ok(self.kept().blob(hash))
    }

    fn actor(&mut self, number: u32) -> Result<Option<Actor>, StoreError> {
        Ok(self.kept().actors.get(&number).cloned())
    }

    fn id_of(&mut self, number: u64) -> Result<Option<WorkflowId>, StoreError> {
        Ok(self.kept().workflows.get(&number).map(|(card, _)| card.id))
    }

    fn workflow_of(&mut self, task: TaskId) -> Result<Option<u64>, StoreError> {
        let kept = self.kept();
        Ok(task.split().and_then(|(workflow, _)| kept.numbers.get(&workflow).copied()))
    }

    fn definition(
        &mut self,
        name: &str,
        version: Option<u32>,
    ) -> Result<Option<DefinitionRow>, StoreError> {
        Ok(self.kept().definition(name, version))
    }

    fn definitions(&mut self) -> Result<Vec<DefinitionRow>, StoreError> {
        Ok(self.kept().all_definitions())
    }

    fn fact(&mut self, kind: FactKind, key: &[u8]) -> Result<Option<FactRow>, StoreError> {
        Ok(self.kept().fact(kind, key))
    }

    fn facts(&mut self, kind: FactKind) -> Result<Vec<FactRow>, StoreError> {
        let kept = self.kept();
        Ok(kept.facts.values().filter(|fact| fact.kind == kind).cloned().collect())
    }
}
