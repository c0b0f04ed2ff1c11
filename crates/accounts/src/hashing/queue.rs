//! The bounded, fair line in front of the hashing threads (HSH-2, HSH-4, HSH-5).
//!
//! Client addresses take turns, so a flood from one delays itself only. When the line is full, the newcomer takes the
//! place of the longest-waiting address's newest job if that address holds more places, else is turned away.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use kernel::address::limit_key;

/// What can wait in a [`Queue`].
pub(super) trait Waiting {
    /// Whether nobody waits for the result any more.
    fn is_abandoned(&self) -> bool;
    /// Tells whoever waits that there is no room.
    fn turn_away(self);
}

/// A bounded line with one turn per client.
pub(super) struct Queue<J> {
    capacity: usize,
    line: Mutex<Line<J>>,
    changed: Condvar,
}

struct Line<J> {
    /// By client, as it is counted everywhere (LOG-3).
    waiting: HashMap<IpAddr, VecDeque<J>>,
    /// Every key of `waiting` once, next turn first.
    turns: VecDeque<IpAddr>,
    length: usize,
    is_closed: bool,
}

impl<J: Waiting> Queue<J> {
    /// An empty line with room for `capacity` jobs.
    pub(super) fn new(capacity: usize) -> Queue<J> {
        let line = Line { waiting: HashMap::new(), turns: VecDeque::new(), length: 0, is_closed: false };
        Queue { capacity, line: Mutex::new(line), changed: Condvar::new() }
    }

    /// Puts a job in line, or turns it or another one away. Never blocks.
    pub(super) fn push(&self, from: IpAddr, job: J) {
        let turned_away = self.lock().admit(limit_key(from), job, self.capacity);
        match turned_away {
            Some(job) => job.turn_away(),
            None => self.changed.notify_one(),
        }
    }

    /// The next job that somebody still waits for; blocks until there is one, `None` once closed.
    pub(super) fn pop(&self) -> Option<J> {
        let mut line = self.lock();
        loop {
            if line.is_closed {
                return None;
            }
            match line.take_turn() {
                Some(job) if job.is_abandoned() => drop(job),
                Some(job) => return Some(job),
                None => line = self.changed.wait(line).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Turns everybody away, now and from now on, and releases the threads in [`Queue::pop`].
    pub(super) fn close(&self) {
        let mut line = self.lock();
        line.is_closed = true;
        line.turns.clear();
        line.length = 0;
        let left = std::mem::take(&mut line.waiting);
        drop(line);
        self.changed.notify_all();
        left.into_values().flatten().for_each(Waiting::turn_away);
    }

    fn lock(&self) -> MutexGuard<'_, Line<J>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<J: Waiting> Line<J> {
    /// Takes the job in; gives back the one that found no room, which may be another.
    fn admit(&mut self, client: IpAddr, job: J, capacity: usize) -> Option<J> {
        if self.is_closed {
            return Some(job);
        }
        if self.length >= capacity {
            self.forget_abandoned();
        }
        if self.length < capacity {
            self.append(client, job);
            return None;
        }
        let places = self.waiting.get(&client).map_or(0, VecDeque::len);
        let Some(longest) = self.longest().filter(|(_, length)| *length > places + 1) else { return Some(job) };
        let evicted = self.waiting.get_mut(&longest.0).and_then(VecDeque::pop_back);
        self.length -= usize::from(evicted.is_some());
        self.append(client, job);
        evicted
    }

    fn longest(&self) -> Option<(IpAddr, usize)> {
        self.waiting.iter().map(|(client, jobs)| (*client, jobs.len())).max_by_key(|(_, length)| *length)
    }

    fn append(&mut self, client: IpAddr, job: J) {
        let jobs = self.waiting.entry(client).or_default();
        if jobs.is_empty() {
            self.turns.push_back(client);
        }
        jobs.push_back(job);
        self.length += 1;
    }

    fn take_turn(&mut self) -> Option<J> {
        let client = self.turns.pop_front()?;
        let jobs = self.waiting.get_mut(&client)?;
        let job = jobs.pop_front();
        if jobs.is_empty() {
            self.waiting.remove(&client);
        } else {
            self.turns.push_back(client);
        }
        self.length -= usize::from(job.is_some());
        job
    }

    fn forget_abandoned(&mut self) {
        self.waiting.retain(|_, jobs| {
            jobs.retain(|job| !job.is_abandoned());
            !jobs.is_empty()
        });
        self.turns.retain(|client| self.waiting.contains_key(client));
        self.length = self.waiting.values().map(VecDeque::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    struct Job {
        name: &'static str,
        is_abandoned: bool,
        turned_away: Rc<RefCell<Vec<&'static str>>>,
    }

    impl Waiting for Job {
        fn is_abandoned(&self) -> bool {
            self.is_abandoned
        }
        fn turn_away(self) {
            self.turned_away.borrow_mut().push(self.name);
        }
    }

    #[derive(Default)]
    struct Jobs(Rc<RefCell<Vec<&'static str>>>);

    impl Jobs {
        fn job(&self, name: &'static str) -> Job {
            Job { name, is_abandoned: false, turned_away: Rc::clone(&self.0) }
        }
        fn abandoned(&self, name: &'static str) -> Job {
            Job { is_abandoned: true, ..self.job(name) }
        }
        fn turned_away(&self) -> Vec<&'static str> {
            self.0.borrow().clone()
        }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn drain(queue: &Queue<Job>) -> Vec<&'static str> {
        let length = queue.lock().length;
        let names = (0..length).map(|_| queue.pop().unwrap().name).collect();
        assert_eq!(queue.lock().length, 0);
        assert!(queue.lock().waiting.is_empty() && queue.lock().turns.is_empty());
        names
    }

    #[test]
    fn hsh4_addresses_take_turns() {
        let (jobs, queue) = (Jobs::default(), Queue::new(9));
        let flood = address("192.0.2.1");
        for name in ["f1", "f2", "f3", "f4"] {
            queue.push(flood, jobs.job(name));
        }
        queue.push(address("192.0.2.2"), jobs.job("a1"));
        queue.push(address("192.0.2.3"), jobs.job("b1"));
        queue.push(address("192.0.2.2"), jobs.job("a2"));
        assert_eq!(drain(&queue), ["f1", "a1", "b1", "f2", "a2", "f3", "f4"]);
    }

    #[test]
    fn hsh2_a_full_line_turns_the_next_job_away_at_once() {
        let (jobs, queue) = (Jobs::default(), Queue::new(2));
        for name in ["a1", "a2", "a3"] {
            queue.push(address("192.0.2.1"), jobs.job(name));
        }
        assert_eq!(jobs.turned_away(), ["a3"]);
        assert_eq!(drain(&queue), ["a1", "a2"]);
    }

    #[test]
    fn hsh4_a_flood_gives_up_its_last_place_to_another_address() {
        let (jobs, queue) = (Jobs::default(), Queue::new(4));
        for name in ["f1", "f2", "f3", "f4"] {
            queue.push(address("192.0.2.1"), jobs.job(name));
        }
        queue.push(address("192.0.2.2"), jobs.job("a1"));
        queue.push(address("192.0.2.3"), jobs.job("b1"));
        queue.push(address("192.0.2.1"), jobs.job("f5"));
        assert_eq!(jobs.turned_away(), ["f4", "f3", "f5"]);
        assert_eq!(drain(&queue), ["f1", "a1", "b1", "f2"]);
    }

    #[test]
    fn hsh2_many_addresses_with_one_job_each_do_not_push_each_other_out() {
        let (jobs, queue) = (Jobs::default(), Queue::new(2));
        queue.push(address("192.0.2.1"), jobs.job("a1"));
        queue.push(address("192.0.2.2"), jobs.job("b1"));
        queue.push(address("192.0.2.3"), jobs.job("c1"));
        assert_eq!(jobs.turned_away(), ["c1"]);
        assert_eq!(drain(&queue), ["a1", "b1"]);
    }

    #[test]
    fn hsh4_one_ipv6_network_takes_one_turn() {
        let (jobs, queue) = (Jobs::default(), Queue::new(4));
        queue.push(address("2001:db8::1"), jobs.job("f1"));
        queue.push(address("2001:db8::ffff:1"), jobs.job("f2"));
        queue.push(address("2001:db8:0:1::1"), jobs.job("a1"));
        assert_eq!(drain(&queue), ["f1", "a1", "f2"]);
    }

    #[test]
    fn hsh5_abandoned_jobs_are_skipped_and_leave_their_places() {
        let (jobs, queue) = (Jobs::default(), Queue::new(3));
        for name in ["x1", "x2"] {
            queue.push(address("192.0.2.1"), jobs.abandoned(name));
        }
        queue.push(address("192.0.2.2"), jobs.job("a1"));
        queue.push(address("192.0.2.2"), jobs.job("a2"));
        assert_eq!(drain(&queue), ["a1", "a2"]);
        queue.push(address("192.0.2.1"), jobs.abandoned("x3"));
        queue.push(address("192.0.2.1"), jobs.job("a3"));
        assert_eq!(queue.pop().unwrap().name, "a3");
        assert!(jobs.turned_away().is_empty());
    }

    #[test]
    fn a_closed_line_turns_everybody_away() {
        let (jobs, queue) = (Jobs::default(), Queue::new(3));
        queue.push(address("192.0.2.1"), jobs.job("a1"));
        queue.close();
        queue.push(address("192.0.2.1"), jobs.job("a2"));
        assert_eq!(jobs.turned_away(), ["a1", "a2"]);
        assert!(queue.pop().is_none());
    }
}
