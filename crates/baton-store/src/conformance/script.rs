//! Writes valid commits for tests: what an engine would hand to a store, without the engine.
//!
//! It knows no rule of workflows; rows here are any that the types can hold.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use baton_core::actor::Actor;
use baton_core::agent::{Cost, Usage};
use baton_core::body::{Blob, BlobHash, Json};
use baton_core::conversation::rows::{ConversationRow, Face};
use baton_core::ids::{ConversationId, Ordinal, ProjectId, WorkflowId};
use baton_core::progress::Progress;
use baton_core::time::{Moment, Timestamp};
use baton_core::words::{
    Billing, ConversationStatus, FactKind, Origin, ProgressMethod, TaskStatus, WaitReason,
    WorkflowStatus,
};
use baton_core::workflow::rows::{BudgetRow, TaskRow, WorkflowCard, WorkflowRow};
use baton_core::workflow::usage::UsageRow;
use baton_core::workflow::{Account, EventKind};
use baton_core::{codes::Code, ids::TaskId};
use baton_engine::store::{BlobUse, Commit, DefinitionRow, FactRow, Head, Record, SYSTEM_STREAM};

/// An owner's memory of what it has written, and the commit it is writing.
pub(crate) struct Script {
    next: Commit,
    runs: BTreeMap<u64, Run>,
    talks: BTreeMap<u64, ConversationRow>,
    changed: BTreeSet<u64>,
    changed_talks: BTreeSet<u64>,
    changed_tasks: BTreeSet<(u64, u32)>,
}

/// A workflow as it stands.
#[derive(Clone)]
pub(crate) struct Run {
    pub card: WorkflowCard,
    pub row: WorkflowRow,
    pub tasks: BTreeMap<u32, TaskRow>,
    pub uses: BTreeMap<BlobHash, u32>,
}

impl Script {
    /// Goes on from a head; the first commit brings actor 1.
    pub fn from(head: Head) -> Self {
        let next = Commit {
            after: head,
            head: Head { at: head.at.max(Timestamp::from_millis(1_800_000_000_000)), ..head },
            actors: vec![(1, Actor::user("ada"))],
            ..Commit::default()
        };
        Self {
            next,
            runs: BTreeMap::new(),
            talks: BTreeMap::new(),
            changed: BTreeSet::new(),
            changed_talks: BTreeSet::new(),
            changed_tasks: BTreeSet::new(),
        }
    }

    /// The commit under way, for what the methods here do not offer.
    pub fn next(&mut self) -> &mut Commit {
        &mut self.next
    }

    /// A workflow as it stands.
    pub fn run(&self, number: u64) -> &Run {
        &self.runs[&number]
    }

    /// All workflows, by number.
    pub fn numbers(&self) -> Vec<u64> {
        self.runs.keys().copied().collect()
    }

    /// Time goes on.
    pub fn later(&mut self) -> Timestamp {
        self.next.head.at = self.next.head.at.plus(Duration::from_millis(7));
        self.next.head.at
    }

    /// The project of every fifth workflow: one of two.
    pub fn project(number: u64) -> ProjectId {
        ProjectId::from_bytes([if number.is_multiple_of(2) { 2 } else { 1 }; 16])
    }

    /// A new workflow, queued, with its first event.
    pub fn admit(&mut self, name: &str) -> u64 {
        let at = self.later();
        self.next.head.streams += 1;
        let number = self.next.head.streams;
        let moment = Moment::new(at, number);
        let id = WorkflowId::new(&moment, 0);
        let plan = Blob::pack(&format!("{{\"plan\":{name:?}}}"));
        let card = WorkflowCard {
            number,
            id,
            conversation: ConversationId::new(&moment, 1),
            parent: number
                .is_multiple_of(3)
                .then(|| TaskId::from_bytes(*id.task(Ordinal(4)).as_bytes())),
            project: number.is_multiple_of(5).then(|| Self::project(number)),
            name: name.to_owned(),
            version: 3,
            plan: plan.hash,
            origin: Origin::Cli,
            priority: 5,
            scripted: number.is_multiple_of(2),
            created_at: at,
        };
        let row = WorkflowRow {
            number,
            status: WorkflowStatus::Queued,
            run: 1,
            revision: 0,
            head: 0,
            current_stage: None,
            progress: Progress {
                completed: 0,
                total: 4,
                percentage: 0,
                method: ProgressMethod::AgentBased,
            },
            failed: 0,
            waiting_people: 0,
            started_at: None,
            updated_at: at,
            ended_at: None,
            budget: (!number.is_multiple_of(3))
                .then(|| BudgetRow { account: Account::default(), time_ms: 0 }),
        };
        self.next.cards.push(card.clone());
        let run = Run { card, row, tasks: BTreeMap::new(), uses: BTreeMap::new() };
        self.runs.insert(number, run);
        self.uses(number, &plan);
        self.event(number, EventKind::Admitted, "{}");
        number
    }

    /// A conversation as it stands.
    pub fn talk(&self, number: u64) -> &ConversationRow {
        &self.talks[&number]
    }

    /// All conversations, by number.
    pub fn talks(&self) -> Vec<u64> {
        self.talks.keys().copied().collect()
    }

    /// A new conversation, idle, with its first event.
    pub fn open(&mut self, title: &str) -> u64 {
        let at = self.later();
        self.next.head.streams += 1;
        let number = self.next.head.streams;
        let face = Face {
            title: title.to_owned(),
            originator: Actor::user("ada"),
            claimant: number.is_multiple_of(2).then(|| Actor::user("grace")),
            escalated: None,
            focus: None,
            project: number.is_multiple_of(5).then(|| Self::project(number)),
            messages: 0,
            questions: Vec::new(),
            round: 0,
            planning: false,
            planned: None,
            proposal: None,
            open: Vec::new(),
        };
        let row = ConversationRow {
            number,
            id: ConversationId::new(&Moment::new(at, number), 2),
            status: ConversationStatus::Active,
            busy: false,
            revision: 0,
            head: 0,
            created_at: at,
            updated_at: at,
            face,
        };
        self.talks.insert(number, row);
        self.event(number, EventKind::Opened, "{}");
        number
    }

    /// A conversation's row, to be changed.
    pub fn change_talk(&mut self, number: u64) -> &mut ConversationRow {
        self.changed_talks.insert(number);
        self.talks.get_mut(&number).expect("opened before")
    }

    /// An event of a workflow, of a conversation, or of the whole store; its position.
    pub fn event(&mut self, stream: u64, kind: EventKind, body: &str) -> u64 {
        let at = self.later();
        self.next.head.position += 1;
        let position = self.next.head.position;
        let (previous, version) = if stream == SYSTEM_STREAM {
            let head = &mut self.next.head;
            head.system_version += 1;
            (std::mem::replace(&mut head.system_head, position), head.system_version)
        } else if self.talks.contains_key(&stream) {
            let row = self.change_talk(stream);
            row.revision += 1;
            row.updated_at = at;
            (std::mem::replace(&mut row.head, position), row.revision)
        } else {
            let row = self.change(stream);
            row.revision += 1;
            row.updated_at = at;
            if let Some(budget) = &mut row.budget {
                budget.time_ms += 7;
                budget.account.used.tokens += position;
            }
            (std::mem::replace(&mut row.head, position), row.revision)
        };
        self.next.records.push(Record {
            position,
            stream,
            version,
            previous,
            cause: position.saturating_sub(2),
            kind: kind.code(),
            shape: 1,
            body: body.into(),
            actor: 1,
            at,
        });
        position
    }

    /// A workflow's row, to be changed.
    pub fn change(&mut self, number: u64) -> &mut WorkflowRow {
        self.changed.insert(number);
        &mut self.runs.get_mut(&number).expect("admitted before").row
    }

    /// A workflow's status, with an event and, where it ends, its time.
    pub fn status(&mut self, number: u64, status: WorkflowStatus) {
        self.event(number, EventKind::Started, "{\"status\":1}");
        let at = self.next.head.at;
        let row = self.change(number);
        row.status = status;
        row.ended_at = status.is_terminal().then_some(at);
        row.started_at = Some(at);
    }

    /// A task's row, with an event.
    pub fn task(
        &mut self,
        number: u64,
        ordinal: u32,
        status: TaskStatus,
        waits_for: Option<WaitReason>,
    ) {
        let position = self.event(number, EventKind::TaskStarted, "{\"task\":0}");
        let at = self.next.head.at;
        let run = self.runs.get_mut(&number).expect("admitted before");
        let earlier = run.tasks.get(&ordinal);
        let row = TaskRow {
            number,
            ordinal: Ordinal(ordinal),
            of: Ordinal(ordinal / 2),
            status,
            waits_for,
            attempts: earlier.map_or(1, |row| row.attempts + 1),
            started_at: earlier.map_or(Some(at), |row| row.started_at),
            ended_at: status.is_terminal().then_some(at),
            items: (ordinal % 5 == 4).then_some((Ordinal(ordinal + 1), 3)),
            position,
        };
        run.tasks.insert(ordinal, row);
        self.changed_tasks.insert((number, ordinal));
    }

    /// A call of a model, with the event that settles it; what is in it follows from `seed`.
    pub fn book(&mut self, number: u64, seed: u64) -> UsageRow {
        let position = self.event(number, EventKind::TaskAnswered, "{\"booked\":true}");
        let used = (!seed.is_multiple_of(4)).then(|| Usage {
            input_tokens: 1_000 + seed,
            cached_tokens: seed % 7,
            cache_write_tokens: seed % 5,
            output_tokens: seed % 11,
            reasoning_tokens: seed % 3,
        });
        // Days go by: they are counted from the time of the row, and time never goes back.
        self.next.head.at = self.next.head.at.plus(Duration::from_secs(seed % 3 * 40_000));
        let cost = used.filter(|_| !seed.is_multiple_of(3)).map(|used| {
            Cost::pico(if seed.is_multiple_of(13) {
                1 << 62
            } else {
                used.input_tokens * 3_000_001
            })
        });
        let row = UsageRow {
            position,
            number,
            ordinal: Ordinal((seed % 6) as u32),
            of: Ordinal((seed % 2) as u32),
            task: format!("task-{}", seed % 2),
            attempt: (seed % 9) as u32 + 1,
            agent: ["writer", "Critic", "ärzte"][(seed % 3) as usize].to_owned(),
            model: ["a/one", "B/two"][(seed % 2) as usize].to_owned(),
            user: ["user:ada", "system:baton"][(seed / 2 % 2) as usize].to_owned(),
            conversation: self.runs[&number].card.conversation,
            at: self.next.head.at,
            billing: used.map_or(Billing::PossiblyBilled, |_| Billing::Answered),
            used,
            cost,
            reserved_tokens: seed.is_multiple_of(5).then_some(seed),
            reserved_cost: seed.is_multiple_of(5).then_some(Cost::pico(seed)),
        };
        self.next.usage.push(row.clone());
        row
    }

    /// A blob that a workflow's next event names.
    pub fn uses(&mut self, number: u64, blob: &Blob) {
        let run = self.runs.get_mut(&number).expect("admitted before");
        *run.uses.entry(blob.hash).or_default() += 1;
        self.next.blobs.push(BlobUse { hash: blob.hash, more: 1, blob: Some(blob.clone()) });
    }

    /// A definition, with an event of the whole store.
    pub fn define(&mut self, name: &str, version: u32) -> DefinitionRow {
        self.event(SYSTEM_STREAM, EventKind::TaskEmitted, "{\"defined\":true}");
        let row = DefinitionRow {
            name: name.to_owned(),
            version,
            plan: BlobHash::of(name.as_bytes()),
            source: version.is_multiple_of(2).then(|| BlobHash::of(b"source")),
            triggers: version % 3,
            at: self.next.head.at,
        };
        self.next.definitions.push(row.clone());
        row
    }

    /// Removes every version of a definition.
    pub fn undefine(&mut self, name: &str) {
        self.event(SYSTEM_STREAM, EventKind::DefinitionRemoved, "{}");
        self.next.definitions.retain(|row| row.name != name);
        self.next.undefined.push(name.to_owned());
    }

    /// A fact, in the place of an earlier one; the newest of a commit counts.
    pub fn fact(&mut self, kind: FactKind, key: &[u8], expires: Option<Timestamp>) -> FactRow {
        let position = self.event(SYSTEM_STREAM, EventKind::EventReceived, "{}");
        let (key, at) = (key.to_vec(), self.next.head.at);
        let value = Json::of(&serde_json::json!({ "position": position, "ä": "\u{1F3BC}" }));
        let fact = FactRow { kind, key, value, position, at, expires };
        self.next.facts.retain(|other| (other.kind, &other.key) != (kind, &fact.key));
        self.next.facts.push(fact.clone());
        fact
    }

    /// Removes a workflow's events and tasks.
    pub fn purge(&mut self, number: u64) {
        self.event(SYSTEM_STREAM, EventKind::TaskEmitted, "{\"purged\":true}");
        let run = self.runs.get_mut(&number).expect("admitted before");
        run.row.head = 0;
        run.tasks.clear();
        self.next.purged.push(number);
        self.next.released.extend(std::mem::take(&mut run.uses));
    }

    /// The commit; what follows extends it.
    pub fn take(&mut self) -> Commit {
        let changed = std::mem::take(&mut self.changed);
        let rows = changed.iter().map(|number| self.runs[number].row.clone());
        self.next.workflows = rows.collect();
        let changed = std::mem::take(&mut self.changed_talks);
        let rows = changed.iter().map(|number| self.talks[number].clone());
        self.next.conversations = rows.collect();
        let changed = std::mem::take(&mut self.changed_tasks);
        let rows = changed.iter().filter_map(|(of, task)| self.runs[of].tasks.get(task).cloned());
        self.next.tasks = rows.collect();
        let head = self.next.head;
        std::mem::replace(&mut self.next, Commit { after: head, head, ..Commit::default() })
    }
}
