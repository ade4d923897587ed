//! How much a model may still be asked this minute, over all calls of a Baton, and whose turn it is.
//!
//! Pure: the clock is given, and nobody waits here. No window of a minute ever holds more than the
//! limit says; those who wait go in the order in which they came.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::config::Limit;

const WINDOW: Duration = Duration::from_secs(60);

/// A place in the queue, and later what was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// Whether it is a ticket's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is: what it needs is taken.
    Now,
    /// Another one is before it.
    Queued,
    /// It is first, and there is room after this long at the latest.
    After(Duration),
}

/// What one model may be asked.
#[derive(Debug)]
pub(crate) struct Limiter {
    limit: Limit,
    taken: VecDeque<Taken>,
    queue: VecDeque<Ticket>,
    next: u64,
}

#[derive(Debug)]
struct Taken {
    at: Instant,
    ticket: Ticket,
    tokens: u64,
}

impl Limiter {
    /// Nothing is taken yet.
    pub(crate) fn new(limit: Limit) -> Self {
        Self { limit, taken: VecDeque::new(), queue: VecDeque::new(), next: 0 }
    }

    /// Takes a place at the end of the queue.
    pub(crate) fn queue(&mut self) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.queue.push_back(ticket);
        ticket
    }

    /// Takes a request of about so many tokens, if it is the ticket's turn and there is room. One that
    /// is larger than a whole minute's limit goes when nothing else does.
    pub(crate) fn take(&mut self, ticket: Ticket, tokens: u64, now: Instant) -> Turn {
        if self.queue.front() != Some(&ticket) {
            return Turn::Queued;
        }
        while self.taken.front().is_some_and(|taken| now >= taken.at + WINDOW) {
            self.taken.pop_front();
        }
        let tokens = self.limit.tokens_per_minute.map_or(tokens, |most| tokens.min(most));
        if let Some(free_at) = self.free_at(tokens) {
            return Turn::After(free_at.saturating_duration_since(now));
        }
        self.queue.pop_front();
        self.taken.push_back(Taken { at: now, ticket, tokens });
        Turn::Now
    }

    /// When so many tokens more are free; `None` where they are.
    fn free_at(&self, tokens: u64) -> Option<Instant> {
        let most = self.limit.requests_per_minute.map_or(usize::MAX, |most| most as usize);
        let spare = (self.taken.len() + 1).checked_sub(most).filter(|over| *over > 0);
        let by_requests = spare.and_then(|over| self.taken.get(over - 1)).map(|taken| taken.at);
        let mut over = match self.limit.tokens_per_minute {
            Some(most) => {
                let all = self.taken.iter().fold(tokens, |all, one| all.saturating_add(one.tokens));
                all.saturating_sub(most)
            }
            None => 0,
        };
        let mut by_tokens = None;
        for taken in &self.taken {
            if over == 0 {
                break;
            }
            over = over.saturating_sub(taken.tokens);
            by_tokens = Some(taken.at);
        }
        by_requests.max(by_tokens).map(|at| at + WINDOW)
    }

    /// What a request really took; before, it was a guess.
    pub(crate) fn settle(&mut self, ticket: Ticket, tokens: u64) {
        if let Some(taken) = self.taken.iter_mut().rev().find(|taken| taken.ticket == ticket) {
            taken.tokens = tokens;
        }
    }

    /// Gives up the place in the queue.
    pub(crate) fn leave(&mut self, ticket: Ticket) {
        self.queue.retain(|queued| *queued != ticket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limiter(requests: Option<u32>, tokens: Option<u64>) -> Limiter {
        Limiter::new(Limit { requests_per_minute: requests, tokens_per_minute: tokens })
    }

    #[test]
    fn no_minute_holds_more_requests_than_the_limit() {
        let (mut limiter, start) = (limiter(Some(2), None), Instant::now());
        let [first, second, third] = [(); 3].map(|()| limiter.queue());
        assert_eq!(limiter.take(first, 1, start), Turn::Now);
        assert_eq!(limiter.take(second, 1, start + 10 * SECOND), Turn::Now);
        assert_eq!(limiter.take(third, 1, start + 20 * SECOND), Turn::After(40 * SECOND));
        assert_eq!(limiter.take(third, 1, start + 60 * SECOND), Turn::Now);
        let fourth = limiter.queue();
        assert_eq!(limiter.take(fourth, 1, start + 60 * SECOND), Turn::After(10 * SECOND));
    }

    #[test]
    fn tokens_are_reserved_and_settled() {
        let (mut limiter, start) = (limiter(None, Some(1_000)), Instant::now());
        let first = limiter.queue();
        assert_eq!(limiter.take(first, 900, start), Turn::Now);
        let second = limiter.queue();
        assert_eq!(limiter.take(second, 200, start + SECOND), Turn::After(59 * SECOND));
        limiter.settle(first, 300);
        assert_eq!(limiter.take(second, 200, start + SECOND), Turn::Now);
        let third = limiter.queue();
        // The room of both is needed, so that it is the later one that counts.
        assert_eq!(limiter.take(third, 900, start + 2 * SECOND), Turn::After(59 * SECOND));
    }

    #[test]
    fn a_request_larger_than_the_limit_goes_alone() {
        let (mut limiter, start) = (limiter(None, Some(100)), Instant::now());
        let first = limiter.queue();
        assert_eq!(limiter.take(first, 5_000, start), Turn::Now);
        let second = limiter.queue();
        assert_eq!(limiter.take(second, 1, start), Turn::After(60 * SECOND));
    }

    #[test]
    fn those_who_wait_go_in_their_order() {
        let (mut limiter, start) = (limiter(Some(1), None), Instant::now());
        let [first, second, third] = [(); 3].map(|()| limiter.queue());
        assert_eq!(limiter.take(third, 1, start), Turn::Queued);
        assert_eq!(limiter.take(first, 1, start), Turn::Now);
        assert_eq!(limiter.take(third, 1, start + 61 * SECOND), Turn::Queued);
        limiter.leave(second);
        assert_eq!(limiter.take(third, 1, start + 61 * SECOND), Turn::Now);
    }
}
