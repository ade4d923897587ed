//! What all trials together came to: counted, and shown as a table or as one line of JSON.

use std::time::Duration;

use serde_json::json;

use super::trial::{Kill, Settled, Trialled, point_name};
use super::verdict::Verdict;
use crate::runtime::{Death, DeathPoint};

/// What all trials together came to.
#[derive(Debug, Default)]
pub struct Report {
    rows: Vec<Row>,
    settled: Settled,
    lost: u64,
    doubled: u64,
    recoveries: Vec<Duration>,
}

#[derive(Debug)]
struct Row {
    how: How,
    killed: u64,
    whole: u64,
    in_doubt: u64,
}

/// How the runs of a row were killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// Once, at a point about a commit.
    At(DeathPoint),
    /// At a commit, and at one of their recovery.
    Again,
    /// At an instant, and perhaps at one of their recovery.
    Instant,
}

impl How {
    fn of(kill: Kill, trialled: &Trialled) -> Self {
        match kill {
            Kill::Again(..) if trialled.killed_again => Self::Again,
            Kill::At(Death { point, .. }) | Kill::Again(Death { point, .. }, _) => Self::At(point),
            Kill::Never | Kill::After(..) => Self::Instant,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::At(point) => point_name(point),
            Self::Again => "at a commit, again in its recovery",
            Self::Instant => "at a random instant",
        }
    }
}

impl Report {
    /// Takes one trial in.
    pub fn count(&mut self, kill: Kill, trialled: &Trialled, verdict: &Verdict) {
        let how = How::of(kill, trialled);
        let whole = verdict.lost.is_empty() && verdict.doubled == 0;
        let one =
            Row { how, killed: 1, whole: u64::from(whole), in_doubt: trialled.settled.total() };
        match self.rows.iter_mut().find(|row| row.how == how) {
            Some(row) => {
                row.killed += one.killed;
                row.whole += one.whole;
                row.in_doubt += one.in_doubt;
            }
            None => self.rows.push(one),
        }
        self.settled.happened += trialled.settled.happened;
        self.settled.begun += trialled.settled.begun;
        self.settled.undone += trialled.settled.undone;
        self.lost += verdict.lost.len() as u64;
        self.doubled += verdict.doubled;
        self.recoveries.extend(trialled.recovered_in);
        self.recoveries.sort_unstable();
    }

    /// Whether nothing was lost and nothing done twice.
    pub fn is_clean(&self) -> bool {
        self.lost == 0 && self.doubled == 0
    }

    fn killed(&self, which: impl Fn(How) -> bool) -> u64 {
        self.rows.iter().filter(|row| which(row.how)).map(|row| row.killed).sum()
    }

    fn boundaries(&self) -> u64 {
        self.killed(|how| how != How::Instant)
    }

    fn median(&self) -> Duration {
        let middle = self.recoveries.get(self.recoveries.len() / 2);
        middle.copied().unwrap_or_default()
    }

    fn longest(&self) -> Duration {
        self.recoveries.last().copied().unwrap_or_default()
    }

    /// The line of the contract, and more beside it: times in whole milliseconds, `recovery_ms`
    /// their median.
    pub fn json(&self) -> String {
        let line = json!({
            "boundaries": self.boundaries(),
            "lost": self.lost,
            "doubled": self.doubled,
            "in_doubt": self.settled.total(),
            "recovery_ms": millis(self.median()),
            "recovery_ms_max": millis(self.longest()),
            "random": self.killed(|how| how == How::Instant),
            "again": self.killed(|how| how == How::Again),
            "settled": {
                "happened": self.settled.happened,
                "begun": self.settled.begun,
                "not_happened": self.settled.undone,
            },
        });
        line.to_string()
    }

    /// The table for people.
    pub fn table(&self) -> String {
        let mut text =
            format!("  {:<34} {:>6} {:>6} {:>9}\n", "killed", "tried", "whole", "in doubt");
        for row in &self.rows {
            let name = row.how.name();
            text.push_str(&format!(
                "  {name:<34} {:>6} {:>6} {:>9}\n",
                row.killed, row.whole, row.in_doubt
            ));
        }
        let Settled { happened, begun, undone } = self.settled;
        let doubt = if self.settled.total() == 0 {
            String::new()
        } else {
            format!(
                ": {happened} had ended, {begun} were begun and count as happened, {undone} were never begun"
            )
        };
        text.push_str(&format!(
            "\n  lost      {}\n  doubled   {}\n  in doubt  {}{doubt}\n  recovery  median {} ms, longest {} ms",
            self.lost,
            self.doubled,
            self.settled.total(),
            millis(self.median()),
            millis(self.longest()),
        ));
        text
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
