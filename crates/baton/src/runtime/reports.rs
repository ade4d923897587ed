//! What running calls, workers and models say, for those who watch. What calls and workers say is
//! never written down, and what nobody asks for costs its place alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use baton_core::ids::{Ordinal, TaskId, WorkflowId};
use baton_core::time::Timestamp;
use baton_engine::chunks::{Chunk, TurnId};
use baton_engine::exchange::Held;
use baton_engine::ports::{Live, Progress};
use baton_engine::said::Said;
use serde_json::json;

use super::speech::Speech;
use crate::log::{Level, log};

/// The most tasks of which something is kept; those of the oldest workflow make room.
const TASKS_MAX: usize = 20_000;
/// The least time between two news of one task.
const PAUSE: Duration = Duration::from_millis(250);

/// Called when something was said, until it returns `false`.
type News = Box<dyn FnMut() -> bool + Send>;

/// What was said of the tasks that run just now.
pub(super) struct Reports {
    board: Mutex<Board>,
    /// And what models say.
    pub(super) speech: Speech,
    /// None from the owner's end on.
    followers: Mutex<Option<Followers>>,
}

type Followers = Vec<(Option<WorkflowId>, News)>;

#[derive(Default)]
struct Board {
    tasks: BTreeMap<TaskId, Running>,
    /// Of these something was said that is no news yet.
    fresh: BTreeSet<TaskId>,
}

struct Running {
    attempt: u32,
    said: Option<Said>,
    /// When it last was news.
    told: Option<Instant>,
}

impl Default for Reports {
    fn default() -> Self {
        Self {
            board: Mutex::default(),
            speech: Speech::default(),
            followers: Mutex::new(Some(Vec::new())),
        }
    }
}

impl Reports {
    fn followers(&self) -> MutexGuard<'_, Option<Followers>> {
        // It is whole between any two statements.
        self.followers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets every follower go, now and later.
    pub(super) fn close(&self) {
        *self.followers() = None;
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        // It is whole between any two statements.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call begins; an earlier attempt of its task is not listened to any more.
    pub(super) fn begin(&self, task: TaskId, attempt: u32) {
        self.board().begin(task, attempt);
    }

    /// A call says how far it is; one that has ended is not listened to.
    pub(super) fn hear(&self, task: TaskId, attempt: u32, progress: &Progress) {
        self.keep(Said::by_tool((task, attempt), progress, now()));
    }

    /// A task is held back, until its next attempt begins.
    pub(super) fn hold(&self, held: &Held) {
        let Held { task, attempt, why } = held;
        log(Level::Warn, "a task is held back", &[("task", json!(task)), ("why", json!(why))]);
        self.board().begin(*task, *attempt);
        self.keep(Said::held((*task, *attempt), why, now()));
    }

    fn keep(&self, said: Said) {
        let workflow = said.task.split().map(|(workflow, _)| workflow);
        if self.board().keep(said) {
            self.ring(workflow);
        }
    }

    /// A model says something in a turn.
    pub(super) fn tell(&self, turn: TurnId, text: &str) {
        if self.speech.tell(turn, text) {
            self.ring(turn.workflow());
        }
    }

    /// There is news of a workflow.
    fn ring(&self, workflow: Option<WorkflowId>) {
        if let Some(followers) = self.followers().as_mut() {
            followers.retain_mut(|(of, news)| (of.is_some() && *of != workflow) || news());
        }
    }
}

impl Board {
    fn begin(&mut self, task: TaskId, attempt: u32) {
        self.fresh.remove(&task);
        self.tasks.insert(task, Running { attempt, said: None, told: None });
        while self.tasks.len() > TASKS_MAX {
            self.tasks.pop_first();
        }
    }

    /// Whether it was listened to.
    fn keep(&mut self, said: Said) -> bool {
        let running = self.tasks.get_mut(&said.task);
        let Some(running) = running.filter(|running| running.attempt == said.attempt) else {
            return false;
        };
        self.fresh.insert(said.task);
        running.said = Some(said);
        true
    }
}

impl Live for Reports {
    fn report(&self, said: Said) {
        let mut board = self.board();
        let known = board.tasks.get(&said.task).map(|running| running.attempt);
        if known != Some(said.attempt) {
            board.begin(said.task, said.attempt);
        }
        drop(board);
        self.keep(said);
    }

    fn end(&self, task: TaskId, attempt: u32) {
        let mut board = self.board();
        if board.tasks.get(&task).is_some_and(|running| running.attempt == attempt) {
            board.tasks.remove(&task);
            board.fresh.remove(&task);
        }
    }

    fn of(&self, workflow: WorkflowId) -> Vec<Said> {
        let all = workflow.task(Ordinal(0))..=workflow.task(Ordinal(u32::MAX - 1));
        let board = self.board();
        board.tasks.range(all).filter_map(|(_, running)| running.said.clone()).collect()
    }

    fn news(&self) -> (Vec<Said>, Option<Duration>) {
        let now = Instant::now();
        let Board { tasks, fresh } = &mut *self.board();
        let (mut due, mut rest) = (Vec::new(), None::<Duration>);
        fresh.retain(|task| {
            let Some(running) = tasks.get_mut(task) else { return false };
            let since = running.told.map(|told| now.saturating_duration_since(told));
            let left = since.and_then(|since| PAUSE.checked_sub(since)).filter(|it| !it.is_zero());
            match left {
                Some(left) => rest = Some(rest.map_or(left, |rest| rest.min(left))),
                None => {
                    running.told = Some(now);
                    due.extend(running.said.clone());
                }
            }
            left.is_some()
        });
        (due, rest)
    }

    fn texts(&self, workflow: Option<WorkflowId>, until: u64) -> Vec<Chunk> {
        self.speech.texts(workflow, until)
    }

    fn spoken(&self) -> Vec<(u64, Chunk)> {
        self.speech.spoken()
    }

    fn is_running(&self, turn: TurnId) -> bool {
        self.speech.is_running(turn)
    }

    fn follow(&self, workflow: Option<WorkflowId>, news: News) {
        if let Some(followers) = self.followers().as_mut() {
            followers.push((workflow, news));
        }
    }
}

/// The wall clock: what is said is shown by it.
fn now() -> Timestamp {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workflow(byte: u8) -> WorkflowId {
        WorkflowId::from_bytes([byte, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    fn progress(done: f64) -> Progress {
        Progress { done, total: Some(2.0), message: None }
    }

    fn done(reports: &Reports, of: WorkflowId) -> Vec<Option<f64>> {
        reports.of(of).into_iter().map(|said| said.progress).collect()
    }

    #[test]
    fn what_a_call_says_is_seen_until_it_ends_and_a_late_end_takes_nothing_from_the_next_attempt() {
        let reports = Reports::default();
        let task = workflow(1).task(Ordinal(2));
        reports.begin(task, 1);
        assert_eq!(done(&reports, workflow(1)), []);
        reports.hear(task, 1, &progress(1.0));
        assert_eq!(done(&reports, workflow(1)), [Some(1.0)]);
        assert_eq!(done(&reports, workflow(2)), []);
        reports.begin(task, 2);
        reports.hear(task, 2, &progress(0.5));
        reports.hear(task, 1, &progress(2.0));
        reports.end(task, 1);
        assert_eq!(done(&reports, workflow(1)), [Some(0.5)]);
        reports.end(task, 2);
        reports.hear(task, 2, &progress(2.0));
        assert_eq!(done(&reports, workflow(1)), []);
    }

    #[test]
    fn of_what_is_said_at_once_the_first_and_then_the_last_is_news() {
        let reports = Reports::default();
        let task = workflow(1).task(Ordinal(0));
        reports.begin(task, 1);
        reports.hear(task, 1, &progress(0.0));
        assert_eq!(reports.news().0.len(), 1);
        (1..1_000).for_each(|n| reports.hear(task, 1, &progress(f64::from(n))));
        let (due, rest) = reports.news();
        assert_eq!(due, []);
        assert!(rest.is_some_and(|rest| rest <= PAUSE));
        // sleep: the pause is what is tested.
        std::thread::sleep(PAUSE);
        let (due, rest) = reports.news();
        assert_eq!(due.iter().map(|said| said.progress).collect::<Vec<_>>(), [Some(999.0)]);
        assert_eq!((rest, reports.news().0.len()), (None, 0));
    }
}
