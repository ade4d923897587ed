//! Rates: how many tasks of a key may start in a span of time, over all workflows.
//!
//! A rate is a bucket of tokens; each comes back one span after it was taken, so that no window of
//! that length ever holds more starts than the rate says. A restart forgets who took them: what may
//! have been taken until the store's newest event counts as taken.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use baton_core::ids::Ordinal;
use baton_core::time::Span;
use serde::{Deserialize, Deserializer};

/// The most starts in a span that a rate may declare; each is remembered for that long.
const RATE_MOST_MAX: u32 = 100_000;

/// At most so many starts in any span of this length. Written `10/1s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    most: u32,
    span: Duration,
}

/// A text that is no rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotARate;

impl fmt::Display for NotARate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not a rate; write it like `10/1s` or `100/1h`: so many starts, at most \
             {RATE_MOST_MAX}, in any span of that length"
        )
    }
}

impl std::error::Error for NotARate {}

impl FromStr for Rate {
    type Err = NotARate;

    fn from_str(text: &str) -> Result<Self, NotARate> {
        let (most, span) = text.split_once('/').ok_or(NotARate)?;
        let most = most.trim().parse::<u32>().map_err(|_| NotARate)?;
        let span = span.parse::<Span>().map_err(|_| NotARate)?.0;
        let is_rate = (1..=RATE_MOST_MAX).contains(&most) && !span.is_zero();
        if is_rate { Ok(Self { most, span }) } else { Err(NotARate) }
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A task that waits for a token: its workflow, itself, its priority.
pub type Parked = (u64, Ordinal, u8);

#[derive(Debug)]
struct Bucket {
    rate: Rate,
    /// When it opens after a restart, by the steady clock.
    opens: Duration,
    /// When the tokens that are out come back, soonest first.
    out: VecDeque<Duration>,
    line: VecDeque<Parked>,
}

impl Bucket {
    fn free(&mut self, uptime: Duration) -> usize {
        while self.out.front().is_some_and(|back| *back <= uptime) {
            self.out.pop_front();
        }
        let most = if self.opens <= uptime { self.rate.most as usize } else { 0 };
        most.saturating_sub(self.out.len())
    }

    /// When the next token is there, of a bucket that has none.
    fn next(&self) -> Duration {
        self.out.front().map_or(self.opens, |back| self.opens.max(*back))
    }
}

/// The declared rates, and who waits for them.
#[derive(Debug, Default)]
pub struct Rates {
    buckets: BTreeMap<String, Bucket>,
}

/// Whether a task may start at a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// It may, now.
    Free,
    /// Not before a token comes back.
    Held,
    /// Nobody declared such a rate.
    Undeclared,
}

impl Rates {
    /// These rates, for an owner that begins at this reading of the steady clock; nothing has
    /// started for `quiet` before that.
    pub fn new(rates: &BTreeMap<String, Rate>, uptime: Duration, quiet: Duration) -> Self {
        let bucket = |(name, rate): (&String, &Rate)| {
            let opens = uptime + rate.span.saturating_sub(quiet);
            let (out, line) = (VecDeque::new(), VecDeque::new());
            (name.clone(), Bucket { rate: *rate, opens, out, line })
        };
        Self { buckets: rates.iter().map(bucket).collect() }
    }

    /// Whether a task may start at this rate now. Nothing is taken yet.
    pub fn pace(&mut self, name: &str, uptime: Duration) -> Pace {
        match self.buckets.get_mut(name).map(|bucket| bucket.free(uptime)) {
            None => Pace::Undeclared,
            Some(0) => Pace::Held,
            Some(_) => Pace::Free,
        }
    }

    /// Takes a token.
    pub fn take(&mut self, name: &str, uptime: Duration) {
        if let Some(bucket) = self.buckets.get_mut(name) {
            bucket.out.push_back(uptime + bucket.rate.span);
        }
    }

    /// Sets a task aside until a token comes back.
    pub fn park(&mut self, name: &str, task: Parked) {
        if let Some(bucket) = self.buckets.get_mut(name) {
            bucket.line.push_back(task);
        }
    }

    /// Those who may ask again: as many of each line as there are tokens.
    pub fn unpark(&mut self, uptime: Duration) -> Vec<Parked> {
        let of_bucket = |bucket: &mut Bucket| {
            let free = bucket.free(uptime).min(bucket.line.len());
            bucket.line.drain(..free).collect::<Vec<_>>()
        };
        self.buckets.values_mut().flat_map(of_bucket).collect()
    }

    /// When the next token comes back that somebody waits for, by the steady clock. One that is back
    /// already waits for room, which is given by what ends, not by time.
    pub fn next(&self, uptime: Duration) -> Option<Duration> {
        let waited_for = self.buckets.values().filter(|bucket| !bucket.line.is_empty());
        waited_for.map(Bucket::next).filter(|at| *at > uptime).min()
    }

    /// Forgets what a workflow wanted to start.
    pub fn clear(&mut self, number: u64) {
        for bucket in self.buckets.values_mut() {
            bucket.line.retain(|(of, _, _)| *of != number);
        }
    }

    /// How many tasks wait.
    pub fn depth(&self) -> usize {
        self.buckets.values().map(|bucket| bucket.line.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn rates(text: &str, quiet: Duration) -> Rates {
        let rate = text.parse().expect("a rate");
        Rates::new(&BTreeMap::from([("api".to_owned(), rate)]), at(0), quiet)
    }

    #[test]
    fn a_rate_is_a_number_and_a_span() {
        let rate = Rate { most: 10, span: at(1000) };
        assert_eq!("10/1s".parse(), Ok(rate));
        for text in ["", "10", "0/1s", "10/0s", "-1/1s", "10/s", "1e3/1s", "100001/1s"] {
            assert_eq!(text.parse::<Rate>(), Err(NotARate), "{text}");
        }
    }

    #[test]
    fn no_window_holds_more_starts_than_the_rate_says() {
        let mut rates = rates("3/1s", at(1000));
        let mut starts = Vec::new();
        for now in (0..5000).step_by(7) {
            while rates.pace("api", at(now)) == Pace::Free {
                rates.take("api", at(now));
                starts.push(now);
            }
        }
        assert!(starts.len() >= 15, "it is used up: {starts:?}");
        for window in starts.windows(4) {
            assert!(window[3] - window[0] >= 1000, "{window:?}");
        }
    }

    #[test]
    fn after_a_restart_what_may_have_been_taken_counts_as_taken() {
        for (quiet, opens) in [(0, 1000), (400, 600), (1000, 0), (9000, 0)] {
            let mut rates = rates("3/1s", at(quiet));
            if opens > 0 {
                assert_eq!(rates.pace("api", at(opens - 1)), Pace::Held, "{quiet}");
            }
            assert_eq!(rates.pace("api", at(opens)), Pace::Free, "{quiet}");
        }
    }

    #[test]
    fn those_who_wait_go_on_in_their_order_as_tokens_come_back() {
        let mut rates = rates("2/1s", at(1000));
        rates.take("api", at(0));
        rates.take("api", at(300));
        for task in 0..3 {
            rates.park("api", (1, Ordinal(task), 5));
        }
        assert_eq!((rates.next(at(300)), rates.unpark(at(999))), (Some(at(1000)), Vec::new()));
        assert_eq!(rates.unpark(at(1000)), [(1, Ordinal(0), 5)]);
        assert_eq!(rates.unpark(at(1300)).len(), 2);
        assert_eq!(rates.next(at(1300)), None);
        assert_eq!(rates.pace("other", at(0)), Pace::Undeclared);
    }
}
