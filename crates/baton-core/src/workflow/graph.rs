//! What a plan's edges say, turned round once: who waits for a task, and how many needs each has.
//!
//! Built once per plan and shared by its workflows; items of `each` have no edges of their own.

use crate::ids::Ordinal;
use crate::plan::Plan;

/// The reversed edges of a plan, and its stages' members.
#[derive(Debug)]
pub struct Graph {
    needs: Vec<u32>,
    dependents: Vec<Ordinal>,
    first_dependent: Vec<u32>,
    /// By stage, the tasks that start when the stages before it are done.
    at_barrier: Vec<Vec<Ordinal>>,
}

impl Graph {
    /// The graph of a validated plan.
    pub fn of(plan: &Plan) -> Self {
        let count = plan.tasks.len();
        let mut at_barrier = vec![Vec::new(); plan.stages.len()];
        let mut needs = Vec::with_capacity(count);
        let mut edges: Vec<(Ordinal, Ordinal)> = Vec::new();
        for (task, ordinal) in plan.tasks.iter().zip((0..).map(Ordinal)) {
            if task.needs.is_none()
                && let Some(stage) = at_barrier.get_mut(task.stage as usize)
            {
                stage.push(ordinal);
            }
            // The barrier counts as one need.
            needs.push(
                task.needs
                    .as_ref()
                    .map_or(1, |needs| u32::try_from(needs.len()).unwrap_or(u32::MAX)),
            );
            edges.extend(task.needs.iter().flatten().map(|need| (*need, ordinal)));
        }
        edges.sort_unstable();
        let first_dependent = (0..=u32::try_from(count).unwrap_or(u32::MAX))
            .map(|task| edges.partition_point(|(need, _)| need.0 < task))
            .map(|at| u32::try_from(at).unwrap_or(u32::MAX))
            .collect();
        Self {
            needs,
            dependents: edges.into_iter().map(|(_, task)| task).collect(),
            first_dependent,
            at_barrier,
        }
    }

    /// How many needs a task of the plan has; its stage's barrier counts as one.
    pub fn needs(&self, task: Ordinal) -> u32 {
        self.needs.get(task.index()).copied().unwrap_or(0)
    }

    /// The tasks that name this one in their `needs`.
    pub fn dependents(&self, task: Ordinal) -> &[Ordinal] {
        let from = self.first_dependent.get(task.index()).copied().unwrap_or(0) as usize;
        let to = self.first_dependent.get(task.index() + 1).copied().unwrap_or(0) as usize;
        self.dependents.get(from..to).unwrap_or_default()
    }

    /// The tasks of a stage that start when the stages before it are done.
    pub fn at_barrier(&self, stage: u32) -> &[Ordinal] {
        self.at_barrier.get(stage as usize).map(Vec::as_slice).unwrap_or_default()
    }
}
