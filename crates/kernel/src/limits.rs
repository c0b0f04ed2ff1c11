//! Rate limits in memory: the generic cell rate algorithm over a table whose size is bounded by construction (LOG-5).
//!
//! Each key owns one number, its *theoretical arrival time*: how far its use runs ahead of an even flow. The table has shards
//! with a lock each, and buckets of eight slots. A new key takes an empty or expired slot of its bucket; when there is none the
//! shard grows, and when it may not grow any more the key with the least time left makes room. Whoever is being held back has
//! the most time left, so that a flood of made-up names does not set him free.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::time::Timestamp;

const SHARDS: usize = 16;
/// Slots that one key can stand in.
const WAYS: usize = 8;
const FIRST_SLOTS: usize = 8 * WAYS;
/// 16 shards of 65,536 slots of 16 bytes are 16 MiB.
const MAX_SLOTS: usize = 65_536;

/// So many uses within a window, refilled evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The public name; quotas with different names never share a count.
    pub name: &'static str,
    /// Uses that may come at once, and in every window.
    pub burst: u32,
    /// The time after which a used-up quota is whole again.
    pub window: Duration,
}

/// What a limiter says to one use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether the use is within the quota.
    pub allowed: bool,
    /// Further uses that would be allowed right now.
    pub remaining: u32,
    /// Seconds until the quota is whole again, or, for a refused use, until one more is allowed.
    pub reset_secs: u64,
    /// Seconds until one more use is allowed; zero when one is allowed now.
    pub retry_after_secs: u64,
}

/// Counts uses per quota and key.
///
/// ```
/// use std::time::Duration;
/// use kernel::{Timestamp, limits::{Limiter, Quota}};
///
/// const QUOTA: Quota = Quota { name: "login", burst: 2, window: Duration::from_secs(60) };
/// let limiter = Limiter::new();
/// let (key, now) = (limiter.key(&"ada@example.com"), Timestamp::from_millis(0));
/// assert!(limiter.check(&QUOTA, key, now).allowed);
/// assert!(limiter.check(&QUOTA, key, now).allowed);
/// assert_eq!(limiter.check(&QUOTA, key, now).retry_after_secs, 30);
/// ```
pub struct Limiter {
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
    max_slots: usize,
}

struct Shard {
    slots: Vec<Slot>,
}

/// A key and its theoretical arrival time in microseconds after the Unix epoch; the time 0 marks an empty slot.
#[derive(Clone, Copy)]
struct Slot {
    key: u64,
    arrival: u64,
}

const EMPTY: Slot = Slot { key: 0, arrival: 0 };

impl Default for Limiter {
    fn default() -> Limiter {
        Limiter::new()
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Limiter({} bytes)", self.size_bytes())
    }
}

impl Limiter {
    /// A limiter that has seen nobody.
    pub fn new() -> Limiter {
        Limiter::with_max_slots(MAX_SLOTS)
    }

    fn with_max_slots(max_slots: usize) -> Limiter {
        let shards = std::array::from_fn(|_| Mutex::new(Shard { slots: vec![EMPTY; FIRST_SLOTS] }));
        Limiter { hasher: RandomState::new(), shards, max_slots }
    }

    /// The key of anything hashable; nobody outside this process can find two that collide.
    pub fn key(&self, value: &(impl Hash + ?Sized)) -> u64 {
        self.hasher.hash_one(value)
    }

    /// Counts one use, unless it is refused.
    pub fn check(&self, quota: &Quota, key: u64, now: Timestamp) -> Decision {
        let key = self.hasher.hash_one((quota.name, key));
        let (rate, now) = (Rate::of(quota), micros(now));
        let mut shard = self.shard(key);
        let slot = shard.slot(key, now, self.max_slots);
        let (decision, arrival) = rate.decide(slot.arrival, now);
        slot.arrival = arrival;
        decision
    }

    /// What [`Limiter::check`] would say, without counting.
    pub fn peek(&self, quota: &Quota, key: u64, now: Timestamp) -> Decision {
        let key = self.hasher.hash_one((quota.name, key));
        let arrival = self.shard(key).find(key).map_or(0, |slot| slot.arrival);
        Rate::of(quota).decide(arrival, micros(now)).0
    }

    /// Takes back one counted use, for quotas that count failures only: count first, give back on success.
    pub fn give_back(&self, quota: &Quota, key: u64) {
        let key = self.hasher.hash_one((quota.name, key));
        if let Some(slot) = self.shard(key).find(key) {
            slot.arrival = slot.arrival.saturating_sub(Rate::of(quota).interval);
        }
    }

    /// The memory of the table; never more than 16 MiB.
    pub fn size_bytes(&self) -> usize {
        let slots: usize = self.shards.iter().map(|shard| lock(shard).slots.len()).sum();
        slots * size_of::<Slot>() + size_of::<Limiter>()
    }

    fn shard(&self, key: u64) -> MutexGuard<'_, Shard> {
        lock(&self.shards[key as usize % SHARDS])
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn micros(now: Timestamp) -> u64 {
    u64::try_from(now.as_millis()).unwrap_or(0).saturating_mul(1_000)
}

impl Shard {
    /// The first slot of the bucket of this key. The lowest bits of the key have chosen the shard.
    fn bucket(&self, key: u64) -> usize {
        (key >> 32) as usize % (self.slots.len() / WAYS) * WAYS
    }

    fn find(&mut self, key: u64) -> Option<&mut Slot> {
        let bucket = self.bucket(key);
        self.slots[bucket..bucket + WAYS].iter_mut().find(|slot| slot.key == key && slot.arrival != 0)
    }

    /// The slot of this key; a fresh one when it has none.
    fn slot(&mut self, key: u64, now: u64, max_slots: usize) -> &mut Slot {
        loop {
            let bucket = self.bucket(key);
            let slots = &self.slots[bucket..bucket + WAYS];
            let known = slots.iter().position(|slot| slot.key == key && slot.arrival != 0);
            let free = || slots.iter().position(|slot| slot.arrival <= now);
            let index = match known.or_else(free) {
                Some(index) => index,
                None if self.slots.len() < max_slots => {
                    self.grow(now);
                    continue;
                }
                None => (0..WAYS).min_by_key(|index| slots[*index].arrival).unwrap_or(0),
            };
            let slot = &mut self.slots[bucket + index];
            if known.is_none() {
                *slot = Slot { key, arrival: 0 };
            }
            return slot;
        }
    }

    /// Doubles the buckets. What stood in one bucket spreads over two, so that nobody loses a place.
    fn grow(&mut self, now: u64) {
        let grown = vec![EMPTY; self.slots.len() * 2];
        let old = std::mem::replace(&mut self.slots, grown);
        for slot in old.into_iter().filter(|slot| slot.arrival > now) {
            let bucket = self.bucket(slot.key);
            if let Some(place) = self.slots[bucket..bucket + WAYS].iter_mut().find(|place| place.arrival == 0) {
                *place = slot;
            }
        }
    }
}

/// A quota in microseconds.
struct Rate {
    /// What one use costs.
    interval: u64,
    /// What may be used ahead of time.
    capacity: u64,
}

impl Rate {
    fn of(quota: &Quota) -> Rate {
        let burst = u64::from(quota.burst.max(1));
        let window = u64::try_from(quota.window.as_micros()).unwrap_or(u64::MAX / 4).clamp(1, u64::MAX / 4);
        let interval = window.div_ceil(burst);
        Rate { interval, capacity: interval * burst }
    }

    /// What to say to one use at `now`, and the arrival time after it.
    fn decide(&self, arrival: u64, now: u64) -> (Decision, u64) {
        // Never further ahead than a used-up quota, even when the clock steps back.
        let used = arrival.saturating_sub(now).min(self.capacity);
        let after = used + self.interval;
        if after > self.capacity {
            let wait = seconds(after - self.capacity);
            (Decision { allowed: false, remaining: 0, reset_secs: wait, retry_after_secs: wait }, now + used)
        } else {
            let remaining = u32::try_from((self.capacity - after) / self.interval).unwrap_or(u32::MAX);
            (Decision { allowed: true, remaining, reset_secs: seconds(after), retry_after_secs: 0 }, now + after)
        }
    }
}

/// Whole seconds, rounded up, so that who waits that long is let in.
fn seconds(micros: u64) -> u64 {
    micros.div_ceil(1_000_000)
}

impl Decision {
    /// The headers `RateLimit-Policy` and `RateLimit` of an answer under this quota (R-63).
    pub fn headers(&self, quota: &Quota) -> [(&'static str, String); 2] {
        let Quota { name, burst, window } = quota;
        let window = seconds(u64::try_from(window.as_micros()).unwrap_or(u64::MAX));
        [
            ("RateLimit-Policy", format!("\"{name}\";q={burst};w={window}")),
            ("RateLimit", format!("\"{name}\";r={};t={}", self.remaining, self.reset_secs)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEN: Quota = Quota { name: "default", burst: 10, window: Duration::from_secs(60) };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_763_812_800_000 + millis)
    }

    #[test]
    fn r63_a_quota_is_used_up_then_refills_evenly() {
        let limiter = Limiter::new();
        let remaining: Vec<u32> = (0..10).map(|_| limiter.check(&TEN, 1, at(0)).remaining).collect();
        assert_eq!(remaining, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
        let refused = limiter.check(&TEN, 1, at(0));
        assert_eq!(refused, Decision { allowed: false, remaining: 0, reset_secs: 6, retry_after_secs: 6 });
        assert!(!limiter.check(&TEN, 1, at(5_999)).allowed);
        assert!(limiter.check(&TEN, 1, at(6_000)).allowed);
        assert!(!limiter.check(&TEN, 1, at(6_000)).allowed);
        assert_eq!(limiter.check(&TEN, 1, at(66_000)).remaining, 9);
    }

    #[test]
    fn r63_the_headers_have_the_form_of_the_draft() {
        let quota = Quota { name: "default", burst: 600, window: Duration::from_secs(60) };
        let limiter = Limiter::new();
        let [policy, limit] = limiter.check(&quota, 1, at(0)).headers(&quota);
        assert_eq!(policy, ("RateLimit-Policy", "\"default\";q=600;w=60".to_owned()));
        assert_eq!(limit, ("RateLimit", "\"default\";r=599;t=1".to_owned()));
        for _ in 0..599 {
            limiter.check(&quota, 1, at(0));
        }
        assert_eq!(limiter.check(&quota, 1, at(0)).headers(&quota)[1].1, "\"default\";r=0;t=1");
    }

    #[test]
    fn r63_waiting_for_retry_after_is_enough_and_covers_t() {
        let quota = Quota { name: "odd", burst: 7, window: Duration::from_secs(61) };
        let limiter = Limiter::new();
        for _ in 0..7 {
            assert!(limiter.check(&quota, 1, at(0)).allowed);
        }
        let refused = limiter.check(&quota, 1, at(0));
        assert!(!refused.allowed && refused.retry_after_secs >= refused.reset_secs);
        assert!(limiter.check(&quota, 1, at(i64::try_from(refused.retry_after_secs * 1_000).unwrap())).allowed);
    }

    #[test]
    fn quotas_and_keys_do_not_share_counts() {
        let limiter = Limiter::new();
        let one = Quota { burst: 1, ..TEN };
        let other = Quota { name: "other", ..one };
        assert!(limiter.check(&one, 1, at(0)).allowed);
        assert!(limiter.check(&one, 2, at(0)).allowed);
        assert!(limiter.check(&other, 1, at(0)).allowed);
        assert!(!limiter.check(&one, 1, at(0)).allowed);
    }

    #[test]
    fn peeking_counts_nothing_and_a_use_can_be_given_back() {
        let limiter = Limiter::new();
        let one = Quota { burst: 1, ..TEN };
        assert!(limiter.peek(&one, 1, at(0)).allowed && limiter.peek(&one, 1, at(0)).allowed);
        assert!(limiter.check(&one, 1, at(0)).allowed);
        assert!(!limiter.peek(&one, 1, at(0)).allowed);
        limiter.give_back(&one, 1);
        limiter.give_back(&one, 2);
        assert!(limiter.check(&one, 1, at(0)).allowed);
        assert!(!limiter.check(&one, 1, at(0)).allowed);
    }

    #[test]
    fn a_clock_that_steps_back_locks_nobody_out_for_longer_than_a_window() {
        let limiter = Limiter::new();
        for _ in 0..10 {
            limiter.check(&TEN, 1, at(0));
        }
        let refused = limiter.check(&TEN, 1, at(-86_400_000));
        assert_eq!((refused.allowed, refused.retry_after_secs), (false, 6));
        assert!(limiter.check(&TEN, 1, at(-86_400_000 + 6_000)).allowed);
    }

    #[test]
    fn log5_millions_of_random_names_add_less_than_100_mb() {
        let limiter = Limiter::new();
        let victim = limiter.key("throttled@example.com");
        while limiter.check(&TEN, victim, at(0)).allowed {}
        for name in 0..2_000_000_u64 {
            limiter.check(&TEN, name, at(0));
        }
        assert!(limiter.size_bytes() <= 17 << 20, "{limiter:?}");
        assert!(!limiter.check(&TEN, victim, at(1_000)).allowed, "a flood of names does not free who is held back");
    }

    #[test]
    fn log5_a_full_table_forgets_who_has_the_least_time_left() {
        let limiter = Limiter::with_max_slots(FIRST_SLOTS);
        let held: Vec<u64> = (0..100).collect();
        for key in &held {
            while limiter.check(&TEN, *key, at(0)).allowed {}
        }
        for name in 1_000..100_000 {
            limiter.check(&TEN, name, at(1));
        }
        let still_held = held.iter().filter(|key| !limiter.peek(&TEN, **key, at(2)).allowed).count();
        assert!(still_held > 90, "{still_held}");
        assert_eq!(limiter.size_bytes(), SHARDS * FIRST_SLOTS * 16 + size_of::<Limiter>());
    }

    #[test]
    fn expired_keys_make_room_without_growing() {
        let limiter = Limiter::new();
        let one = Quota { burst: 1, window: Duration::from_millis(1), name: "short" };
        for name in 0..50_000 {
            limiter.check(&one, u64::try_from(name).unwrap(), at(name * 10));
        }
        assert_eq!(limiter.size_bytes(), SHARDS * FIRST_SLOTS * 16 + size_of::<Limiter>());
    }

    #[test]
    fn growing_forgets_nobody() {
        let limiter = Limiter::new();
        let one = Quota { burst: 1, ..TEN };
        for key in 0..20_000 {
            assert!(limiter.check(&one, key, at(0)).allowed);
        }
        assert!((0..20_000).all(|key| !limiter.peek(&one, key, at(1)).allowed));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn r63_never_more_than_twice_the_burst_in_any_window(
            burst in 1u32..50,
            window_ms in 1u64..100_000,
            gaps in prop::collection::vec(0i64..3_000, 1..200),
        ) {
            let quota = Quota { name: "p", burst, window: Duration::from_millis(window_ms) };
            let limiter = Limiter::new();
            let mut now = 0;
            let mut allowed = Vec::new();
            for gap in gaps {
                now += gap;
                let peeked = limiter.peek(&quota, 1, at(now));
                let decision = limiter.check(&quota, 1, at(now));
                prop_assert_eq!(peeked, decision);
                prop_assert!(decision.remaining < burst);
                if decision.allowed {
                    allowed.push(now);
                }
            }
            for start in &allowed {
                let window = *start..*start + i64::try_from(window_ms).unwrap();
                let count = allowed.iter().filter(|time| window.contains(time)).count();
                prop_assert!(count <= 2 * burst as usize, "{count} in a window of {burst}");
            }
        }
    }
}
