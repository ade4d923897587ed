//! A plan in the making, with what the later checks need of the source.
//!
//! It only holds; the walk fills it, the checks read it.

use std::collections::{HashMap, HashSet};

use super::tree::{Node, Place};
use crate::ids::Ordinal;
use crate::plan::Plan;

/// A plan whose needs are still names.
pub(crate) struct Draft<'t, 's> {
    /// The plan, with every task's `needs` empty.
    pub plan: Plan,
    /// Beside `plan.tasks`: what of the source is still needed.
    pub sources: Vec<TaskSource<'t, 's>>,
    /// Ordinals by key; the first of doubles.
    pub keys: HashMap<&'t str, Ordinal>,
    /// The names of the stages.
    pub stage_names: HashSet<&'t str>,
    /// The schema of the inputs.
    pub inputs: Option<&'t Node<'s>>,
    /// By stage; resolved when all tasks are known.
    pub milestones: Vec<(u32, &'t Node<'s>)>,
    /// Every template and expression.
    pub sites: Vec<Site<'t, 's>>,
    /// The tasks of all child workflows.
    pub child_tasks: usize,
    /// Calls whose input is still to be compared with a schema.
    pub calls: Vec<CallSite<'t, 's>>,
}

/// What of a task's source the checks need.
pub(crate) struct TaskSource<'t, 's> {
    /// Its stage and its index there.
    pub at: (u32, usize),
    /// Where its first key stands.
    pub place: Place,
    /// The task.
    pub node: &'t Node<'s>,
    /// Its `needs`, a list of strings as far as the walk found.
    pub needs: Option<&'t Node<'s>>,
}

/// A template or expression in the source.
pub(crate) struct Site<'t, 's> {
    /// The task; `None` for the workflow's output.
    pub task: Option<usize>,
    /// Which names it may read.
    pub kind: SiteKind,
    /// The text.
    pub node: &'t Node<'s>,
    /// Its path.
    pub path: String,
    /// A bare expression, not a template.
    pub is_expression: bool,
}

/// What a template may read besides `inputs`, `tasks` and `workflow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SiteKind {
    /// `item` and `index` under `each`.
    Task,
    /// Nothing more: evaluated before `each` expands.
    Each,
    /// `event`.
    Event,
    /// The probe's `output`.
    Probe,
    /// Nothing more: the workflow's output, which may name any task.
    Output,
    /// `event`, and none of the usual names: the workflow is not there yet.
    OnEvent,
    /// `schedule`, and none of the usual names.
    OnSchedule,
}

/// A call whose input must fit a schema.
pub(crate) struct CallSite<'t, 's> {
    /// `with`; `None` where it is not written.
    pub with: Option<&'t Node<'s>>,
    /// What a missing field points at.
    pub place: Place,
    /// The path of what `with`, or a trigger's `inputs`, belongs to.
    pub path: String,
    /// Whose input it is.
    pub of: CallOf<'t>,
}

/// Whose input a call gives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CallOf<'t> {
    /// A tool's.
    Tool(&'t str),
    /// A child workflow's: the task that runs it.
    Child(usize),
    /// That of the definition itself, by one of its triggers.
    Trigger,
}

impl Draft<'_, '_> {
    /// Nothing but the head of a plan.
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            sources: Vec::new(),
            keys: HashMap::new(),
            stage_names: HashSet::new(),
            inputs: None,
            milestones: Vec::new(),
            sites: Vec::new(),
            child_tasks: 0,
            calls: Vec::new(),
        }
    }
}
