//! What may start and has not: fair between workflows, priorities with ageing, limits.
//!
//! Workflows take turns; a turn starts one task. A workflow's place is the moment it asked for a
//! turn, set ahead by its priority: waiting counts as much as being important, so nobody starves.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use baton_core::ids::Ordinal;

use crate::rates::Rates;

/// How far one step of priority sets a workflow ahead of those that asked at the same moment.
pub const PRIORITY_HEAD_START: Duration = Duration::from_secs(10);

/// How much may execute at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Tasks executing in the workspace.
    pub executing_max: u32,
    /// Tasks executing of one workflow.
    pub executing_per_workflow_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { executing_max: 256, executing_per_workflow_max: 256 }
    }
}

#[derive(Debug, Default)]
struct Line {
    tasks: BinaryHeap<(u8, Reverse<Ordinal>)>,
    executing: u32,
    has_turn: bool,
}

/// The workflows that want a turn, and what executes.
#[derive(Debug, Default)]
pub struct Queue {
    limits: Limits,
    turns: BinaryHeap<Reverse<(i64, u64, u64)>>,
    lines: HashMap<u64, Line>,
    asked: u64,
    executing: u32,
    held: HashSet<(u64, Ordinal)>,
    keys: HashMap<String, VecDeque<(u64, Ordinal, u8)>>,
    key_of: HashMap<(u64, Ordinal), String>,
    parked_items: BTreeMap<(u64, Ordinal), VecDeque<(Ordinal, u8)>>,
    /// The declared rates.
    pub rates: Rates,
}

impl Queue {
    /// An empty queue under these limits and rates.
    pub fn new(limits: Limits, rates: Rates) -> Self {
        Self { limits, rates, ..Self::default() }
    }

    /// A task may start; `uptime` is when it asked.
    pub fn push(&mut self, number: u64, task: Ordinal, priority: u8, uptime: Duration) {
        self.lines.entry(number).or_default().tasks.push((priority, Reverse(task)));
        self.ask(number, uptime);
    }

    /// Asks for a turn for a workflow that has something to start and room for it.
    fn ask(&mut self, number: u64, uptime: Duration) {
        let Some(line) = self.lines.get_mut(&number) else {
            return;
        };
        let Some((priority, _)) = line.tasks.peek() else {
            return;
        };
        if line.has_turn || line.executing >= self.limits.executing_per_workflow_max {
            return;
        }
        line.has_turn = true;
        let head_start =
            i64::try_from(PRIORITY_HEAD_START.as_millis()).unwrap_or(0) * i64::from(*priority);
        let place = i64::try_from(uptime.as_millis()).unwrap_or(i64::MAX) - head_start;
        self.asked += 1;
        self.turns.push(Reverse((place, self.asked, number)));
    }

    /// The next task that may start, or `None` when nothing may.
    pub fn pop(&mut self, uptime: Duration) -> Option<(u64, Ordinal)> {
        while self.executing < self.limits.executing_max {
            let Reverse((_, _, number)) = self.turns.pop()?;
            let Some(line) = self.lines.get_mut(&number) else {
                continue;
            };
            line.has_turn = false;
            // It asked before what it started last was counted.
            if line.executing >= self.limits.executing_per_workflow_max {
                continue;
            }
            let Some((_, Reverse(task))) = line.tasks.pop() else {
                continue;
            };
            self.ask(number, uptime);
            return Some((number, task));
        }
        None
    }

    /// Something of this workflow executes from now on.
    pub fn begin(&mut self, number: u64, task: Ordinal) {
        if self.held.insert((number, task)) {
            self.executing += 1;
            self.lines.entry(number).or_default().executing += 1;
        }
    }

    /// Whether as much executes as may.
    pub fn is_full(&self) -> bool {
        self.executing >= self.limits.executing_max
    }

    /// Whether one task more of a workflow may execute.
    pub fn has_room(&self, number: u64) -> bool {
        let executing = self.lines.get(&number).map_or(0, |line| line.executing);
        !self.is_full() && executing < self.limits.executing_per_workflow_max
    }

    /// It executes no longer; whoever waited for its place may ask again.
    pub fn end(&mut self, number: u64, task: Ordinal, uptime: Duration) {
        self.rest(number, task, uptime);
        self.give_back_key(number, task, uptime);
    }

    /// It executes no longer for now: its place is free, its key is not.
    pub fn rest(&mut self, number: u64, task: Ordinal, uptime: Duration) {
        if self.held.remove(&(number, task)) {
            self.executing -= 1;
            if let Some(line) = self.lines.get_mut(&number) {
                line.executing -= 1;
            }
            self.ask(number, uptime);
        }
    }

    /// The tasks of a workflow that have a key.
    pub fn with_keys(&self, number: u64) -> impl Iterator<Item = Ordinal> + '_ {
        self.key_of.keys().filter(move |(of, _)| *of == number).map(|(_, task)| *task)
    }

    /// Takes a concurrency key for a task, or parks the task until the key is free. Whoever has it
    /// keeps it.
    pub fn take_key(&mut self, key: String, number: u64, task: Ordinal, priority: u8) -> Taken {
        if self.key_of.get(&(number, task)) == Some(&key) {
            return Taken::Yes;
        }
        match self.keys.get_mut(&key) {
            Some(line) => {
                line.push_back((number, task, priority));
                Taken::Parked
            }
            None => {
                self.keys.insert(key.clone(), VecDeque::new());
                self.key_of.insert((number, task), key);
                Taken::Yes
            }
        }
    }

    fn give_back_key(&mut self, number: u64, task: Ordinal, uptime: Duration) {
        let Some(key) = self.key_of.remove(&(number, task)) else {
            return;
        };
        for (number, task, priority) in self.keys.remove(&key).into_iter().flatten() {
            self.push(number, task, priority, uptime);
        }
    }

    /// Sets an item aside until another item of its `each` ends.
    pub fn park_item(&mut self, number: u64, parent: Ordinal, item: Ordinal, priority: u8) {
        self.parked_items.entry((number, parent)).or_default().push_back((item, priority));
    }

    /// Lets the next parked item of an `each` ask again.
    pub fn unpark_item(&mut self, number: u64, parent: Ordinal, uptime: Duration) {
        let next = self.parked_items.get_mut(&(number, parent)).and_then(VecDeque::pop_front);
        if let Some((item, priority)) = next {
            self.push(number, item, priority, uptime);
        }
    }

    /// Lets those ask again for whom a rate has a token. `false` where there are none, or no room.
    pub fn unpark_rated(&mut self, uptime: Duration) -> bool {
        if self.executing >= self.limits.executing_max {
            return false;
        }
        let parked = self.rates.unpark(uptime);
        for (number, task, priority) in &parked {
            self.push(*number, *task, *priority, uptime);
        }
        !parked.is_empty()
    }

    /// Forgets a workflow that has ended.
    pub fn forget(&mut self, number: u64) {
        self.rates.clear(number);
        self.lines.remove(&number);
        // What was only being prepared for it may still come back, perhaps into its next run.
        self.held.retain(|(of, _)| *of != number);
        self.executing = u32::try_from(self.held.len()).unwrap_or(u32::MAX);
        let parked: Vec<_> = self
            .parked_items
            .range((number, Ordinal(0))..=(number, Ordinal(u32::MAX)))
            .map(|(at, _)| *at)
            .collect();
        for at in parked {
            self.parked_items.remove(&at);
        }
    }

    /// Drops what a workflow wanted to start; what executes stays counted.
    pub fn clear(&mut self, number: u64) {
        self.rates.clear(number);
        if let Some(line) = self.lines.get_mut(&number) {
            line.tasks.clear();
        }
    }

    /// How many tasks execute.
    pub fn executing(&self) -> u32 {
        self.executing
    }

    /// How many tasks wait for a place.
    pub fn depth(&self) -> usize {
        let asking: usize = self.lines.values().map(|line| line.tasks.len()).sum();
        asking + self.rates.depth()
    }
}

/// Whether a concurrency key was free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It was, and is taken now.
    Yes,
    /// It was not; the task waits for it.
    Parked,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Push(u64, u8),
        Start,
        End(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            2 => (0..4_u64, 0..10_u8).prop_map(|(number, priority)| Step::Push(number, priority)),
            3 => Just(Step::Start),
            1 => any::<usize>().prop_map(Step::End),
        ]
    }

    proptest! {
        /// Whatever comes in whatever order: no limit is exceeded, nothing starts twice, nothing is
        /// forgotten.
        #[test]
        fn limits_hold_and_everything_starts_once(
            (all, each) in (1..5_u32, 1..5_u32),
            steps in prop::collection::vec(step(), 0..200),
        ) {
            let limits = Limits { executing_max: all, executing_per_workflow_max: each };
            let mut queue = Queue::new(limits, Rates::default());
            let (mut pushed, mut started) = (BTreeSet::new(), BTreeSet::new());
            let mut running: Vec<(u64, Ordinal)> = Vec::new();
            let mut uptime = Duration::ZERO;
            let rest = std::iter::repeat_n([Step::Start, Step::End(0)], 400).flatten();
            for step in steps.into_iter().chain(rest) {
                uptime += Duration::from_millis(700);
                match step {
                    Step::Push(number, priority) => {
                        let task = Ordinal(u32::try_from(pushed.len()).unwrap_or(0));
                        pushed.insert((number, task));
                        queue.push(number, task, priority, uptime);
                    }
                    Step::Start => {
                        if let Some((number, task)) = queue.pop(uptime) {
                            prop_assert!(started.insert((number, task)), "it started twice");
                            queue.begin(number, task);
                            running.push((number, task));
                        }
                    }
                    Step::End(which) if !running.is_empty() => {
                        let (number, task) = running.swap_remove(which % running.len());
                        queue.end(number, task, uptime);
                    }
                    Step::End(_) => {}
                }
                prop_assert!(running.len() <= all as usize);
                for number in 0..4 {
                    let of_it = running.iter().filter(|(of, _)| *of == number).count();
                    prop_assert!(of_it <= each as usize);
                }
            }
            prop_assert_eq!(started, pushed);
        }
    }
}
