//! Randomness and identifiers, both from the context so that tests can repeat them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::time::{Clock, Timestamp};

/// A source of random bytes: the operating system's, or a seeded one for tests.
#[derive(Clone)]
pub struct Random(Source);

#[derive(Clone)]
enum Source {
    System,
    Seeded(Arc<Mutex<(u64, u64)>>),
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::System => "Random(system)",
            Source::Seeded(_) => "Random(seeded)",
        })
    }
}

impl Random {
    /// The operating system's generator.
    pub fn system() -> Random {
        Random(Source::System)
    }

    /// A repeatable generator for tests; never for secrets of a real server.
    pub fn seeded(seed: u64) -> Random {
        Random(Source::Seeded(Arc::new(Mutex::new((seed, 0)))))
    }

    /// Fills `bytes` with random bytes.
    ///
    /// # Panics
    /// When the operating system has no randomness to give; nothing safe can be done then.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the operating system for randomness")]
    pub fn fill(&self, bytes: &mut [u8]) {
        match &self.0 {
            Source::System => getrandom::fill(bytes).expect("the operating system gives random bytes"),
            Source::Seeded(state) => {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                for chunk in bytes.chunks_mut(32) {
                    state.1 += 1;
                    let block = Sha256::new().chain_update(state.0.to_le_bytes()).chain_update(state.1.to_le_bytes()).finalize();
                    chunk.copy_from_slice(&block[..chunk.len()]);
                }
            }
        }
    }

    /// An array of random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// 256 random bits as 43 characters of base64url.
    pub fn token(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes::<32>())
    }

    /// A number in `0..bound`, evenly distributed.
    pub fn below(&self, bound: u32) -> u32 {
        let zone = u32::MAX - u32::MAX % bound.max(1);
        loop {
            let value = u32::from_le_bytes(self.bytes());
            if value < zone {
                return value % bound.max(1);
            }
        }
    }
}

/// Makes UUIDv7 identifiers that strictly increase within a process, also when the clock steps back.
#[derive(Debug)]
pub struct IdSource {
    clock: Clock,
    random: Random,
    last: Mutex<(i64, u16)>,
}

/// The largest value of the 12-bit counter beside the time of a UUIDv7 (RFC 9562 §6.2, method 1).
const MAX_COUNTER: u16 = 0x0fff;

impl IdSource {
    /// A source that reads this clock and this randomness.
    pub fn new(clock: Clock, random: Random) -> IdSource {
        IdSource { clock, random, last: Mutex::new((0, 0)) }
    }

    /// The next identifier.
    pub fn next(&self) -> Uuid {
        let mut bytes = self.random.bytes::<10>();
        let (millis, counter) = self.tick(self.clock.now());
        bytes[0] = (counter >> 8) as u8;
        bytes[1] = (counter & 0xff) as u8;
        uuid::Builder::from_unix_timestamp_millis(u64::try_from(millis).unwrap_or(0), &bytes).into_uuid()
    }

    fn tick(&self, now: Timestamp) -> (i64, u16) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = match *last {
            (millis, _) if now.as_millis() > millis => (now.as_millis(), 0),
            (millis, MAX_COUNTER) => (millis + 1, 0),
            (millis, counter) => (millis, counter + 1),
        };
        *last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id;

    #[test]
    fn r11_an_id_is_not_less_than_the_first_one_of_its_instant() {
        let at = Timestamp::from_millis(1_700_000_000_123);
        let id = Id::<()>::from_uuid(IdSource::new(Clock::manual(at), Random::system()).next());
        assert!(id >= Id::first_at(at) && id < Id::first_at(Timestamp::from_millis(at.as_millis() + 1)));
    }

    #[test]
    fn r11_ids_strictly_increase_in_a_tight_loop() {
        let source = IdSource::new(Clock::manual(Timestamp::from_millis(1_000)), Random::system());
        let ids: Vec<Uuid> = (0..10_000).map(|_| source.next()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
    }

    #[test]
    fn r11_ids_increase_when_the_clock_steps_back() {
        let source = IdSource::new(Clock::system(), Random::system());
        let (now, _) = source.tick(Timestamp::from_millis(2_000));
        let (after, counter) = source.tick(Timestamp::from_millis(1_000));
        assert_eq!((now, after, counter), (2_000, 2_000, 1));
    }

    #[test]
    fn a_seeded_source_repeats_itself() {
        assert_eq!(Random::seeded(7).token(), Random::seeded(7).token());
        assert_ne!(Random::seeded(7).token(), Random::seeded(8).token());
        assert_eq!(Random::system().token().len(), 43);
    }
}
