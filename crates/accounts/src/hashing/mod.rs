//! The one place where passwords are hashed: a few threads of their own behind a bounded, fair line (accounts.md §4.4).
//!
//! A key derivation takes tens of milliseconds and 19 MiB. On an async worker it would stall every other request, on a
//! pool without bounds it would take the process down (HSH-1, HSH-2). Here each thread reuses one work area, a full line
//! answers `hasher_busy` at once, client addresses take turns (HSH-4), and a job whose caller hung up is dropped (HSH-5).
//!
//! The threads run at normal priority: lowering it needs a system call that `std` does not offer.

mod area;
pub(crate) mod formats;
pub(crate) mod mix;
mod port;
mod queue;

use std::fmt;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use argon2::Params;
use kernel::error::INTERNAL;
use kernel::{Error, Result};
use tokio::sync::oneshot;

use self::area::{Area, Current, SALT_BYTES};
pub(crate) use self::formats::MAX_BCRYPT_BYTES;
use self::formats::{MAX_BCRYPT_COST, MAX_M_KIB, MAX_T, MIN_BCRYPT_COST};
use self::mix::Mix;
pub(crate) use self::port::SharedHasher;
use self::queue::{Queue, Waiting};
use crate::problems::HASHER_BUSY;
use crate::secrets::Password;

/// The start of every hashing thread's name.
const THREAD_NAME: &str = "hasher-";

/// The least memory for a new hash, in KiB (PWD-5).
const MIN_M_KIB: u32 = 19_456;

/// The fewest passes for a new hash (PWD-5).
const MIN_T: u32 = 2;

/// The least cost of a new bcrypt hash (PWD-7).
const LEAST_BCRYPT_COST: u32 = 10;

/// The most threads that settings may ask for.
const MAX_THREADS: usize = 64;

/// How much hashing at once, and how dear each hash is.
#[derive(Clone, Debug)]
pub struct HasherSettings {
    /// Hashing threads; 0 is half the cores, at least 1 and at most 4.
    pub threads: usize,
    /// Jobs that may wait; one more is answered `hasher_busy`.
    pub queue: usize,
    /// Argon2id memory in KiB.
    pub m_kib: u32,
    /// Argon2id passes.
    pub t: u32,
    /// Argon2id lanes, computed one after the other.
    pub p: u32,
    /// The cost of bcrypt, an exponent of two, where it was chosen instead of Argon2id (PWD-7).
    pub bcrypt_cost: Option<u32>,
    is_for_tests: bool,
}

impl Default for HasherSettings {
    fn default() -> HasherSettings {
        HasherSettings { threads: 0, queue: 64, m_kib: MIN_M_KIB, t: MIN_T, p: 1, bcrypt_cost: None, is_for_tests: false }
    }
}

impl HasherSettings {
    /// The cheapest hash there is, protecting nothing: thousands of logins in a test must not take minutes.
    pub fn for_tests() -> HasherSettings {
        HasherSettings { threads: 1, queue: 1024, m_kib: Params::MIN_M_COST, t: 1, p: 1, bcrypt_cost: None, is_for_tests: true }
    }

    /// How new hashes are made, unless a setting is out of bounds (PWD-5, PWD-7).
    fn current(&self) -> Result<Current> {
        let (least_m, least_t) = if self.is_for_tests { (Params::MIN_M_COST, 1) } else { (MIN_M_KIB, MIN_T) };
        within("accounts.passwords.hash_threads", self.threads, 0, MAX_THREADS)?;
        within("accounts.passwords.hash_queue", self.queue, 1, 1 << 16)?;
        within("accounts.passwords.argon2.m", self.m_kib, least_m, MAX_M_KIB)?;
        within("accounts.passwords.argon2.t", self.t, least_t, MAX_T)?;
        within("accounts.passwords.argon2.p", self.p, 1, self.m_kib / 8)?;
        if let Some(cost) = self.bcrypt_cost {
            let least = if self.is_for_tests { MIN_BCRYPT_COST } else { LEAST_BCRYPT_COST };
            within("accounts.passwords.bcrypt_cost", cost, least, MAX_BCRYPT_COST)?;
        }
        Ok(Current { argon2: Params::new(self.m_kib, self.t, self.p, None).map_err(Error::internal)?, bcrypt_cost: self.bcrypt_cost })
    }

    fn thread_count(&self) -> usize {
        match self.threads {
            0 => (thread::available_parallelism().map_or(1, usize::from) / 2).clamp(1, 4),
            chosen => chosen,
        }
    }
}

fn within<N: PartialOrd + fmt::Display>(setting: &str, value: N, least: N, most: N) -> Result<()> {
    if least <= value && value <= most {
        return Ok(());
    }
    Err(INTERNAL.because(format!("{setting} is {value}; it must lie between {least} and {most} (PWD-5, PWD-7, HSH-2).")))
}

/// What comparing a password with a stored hash showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The password is the right one.
    pub matches: bool,
    /// It is, and the hash should be made anew: another scheme, other costs, or not from composed text (PWD-5).
    pub needs_rehash: bool,
    /// It is, as far as bcrypt read it, which was not to its end: it must be changed rather than hashed anew (PWD-7).
    pub is_cut: bool,
}

/// The handle to the hashing threads; clones share them, and they end with the last clone or [`Hasher::shutdown`].
#[derive(Clone)]
pub struct Hasher(Arc<Pool>);

struct Pool {
    queue: Arc<Queue<Job>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    mix: Mix,
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl Hasher {
    /// Starts the threads; settings weaker than PWD-5 are refused with a sentence that names the setting.
    pub fn start(settings: &HasherSettings) -> Result<Hasher> {
        let current = settings.current()?;
        let queue = Arc::new(Queue::new(settings.queue));
        // From here on dropping the pool closes the line and so ends the threads that were started.
        let pool = Pool { queue, threads: Mutex::new(Vec::new()), mix: Mix::of_new_hashes(&current)? };
        for number in 0..settings.thread_count() {
            pool.start_thread(number, Area::new(current.clone()))?;
        }
        Ok(Hasher(Arc::new(pool)))
    }

    /// Hashes a new password with this salt into a PHC string.
    pub async fn hash(&self, from: IpAddr, password: &Password, salt: [u8; SALT_BYTES]) -> Result<String> {
        answer(self.submit_hash(from, password, salt).await)
    }

    /// Compares a typed password with a stored PHC string.
    pub async fn verify(&self, from: IpAddr, password: &Password, phc: &str) -> Result<Verdict> {
        answer(self.submit_verify(from, password, phc.into()).await)
    }

    /// The hash that a name without a password is checked against, so that it takes as long as one with a password (ENU-2).
    ///
    /// No password matches it. `point` belongs to the name: the same name always meets the same scheme, and over all names the
    /// schemes are as frequent as they are among the passwords that there are.
    pub fn nobodys_hash(&self, point: u64) -> Arc<str> {
        self.0.mix.pick(point)
    }

    /// Takes over how many passwords there are of each scheme.
    pub(crate) fn learn_mix(&self, schemes: &[(String, u64)]) {
        self.0.mix.learn(schemes);
    }

    /// [`Hasher::hash`] for the command line and tests.
    ///
    /// # Panics
    /// Inside an async task; that is what [`Hasher::hash`] is for.
    pub fn hash_blocking(&self, from: IpAddr, password: &Password, salt: [u8; SALT_BYTES]) -> Result<String> {
        answer(self.submit_hash(from, password, salt).blocking_recv())
    }

    /// [`Hasher::verify`] for the command line and tests.
    ///
    /// # Panics
    /// Inside an async task; that is what [`Hasher::verify`] is for.
    pub fn verify_blocking(&self, from: IpAddr, password: &Password, phc: &str) -> Result<Verdict> {
        answer(self.submit_verify(from, password, phc.into()).blocking_recv())
    }

    /// Turns away who waits and who comes, and returns when the threads have finished the hash they are at.
    pub fn shutdown(&self) {
        self.0.queue.close();
        let threads = std::mem::take(&mut *self.0.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a hashing thread had panicked");
            }
        }
    }

    fn submit_hash(&self, from: IpAddr, password: &Password, salt: [u8; SALT_BYTES]) -> oneshot::Receiver<Result<String>> {
        let (reply, receiver) = oneshot::channel();
        self.0.queue.push(from, Job::Hash { password: password.clone(), salt, reply });
        receiver
    }

    fn submit_verify(&self, from: IpAddr, password: &Password, phc: Arc<str>) -> oneshot::Receiver<Result<Verdict>> {
        let (reply, receiver) = oneshot::channel();
        self.0.queue.push(from, Job::Verify { password: password.clone(), phc, reply });
        receiver
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

impl Pool {
    fn start_thread(&self, number: usize, area: Area) -> Result<()> {
        let queue = Arc::clone(&self.queue);
        let builder = thread::Builder::new().name(format!("{THREAD_NAME}{number}"));
        let thread = builder.spawn(move || work(&queue, area)).map_err(Error::internal)?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }
}

/// What a hashing thread does all its life.
fn work(queue: &Queue<Job>, mut area: Area) {
    while let Some(job) = queue.pop() {
        // A panic costs the caller an answer, not the server a thread.
        if catch_unwind(AssertUnwindSafe(|| job.run(&mut area))).is_err() {
            tracing::error!("hashing a password panicked");
        }
    }
}

/// Whether the current thread is one that may hash (HSH-1).
fn is_hashing_thread() -> bool {
    thread::current().name().is_some_and(|name| name.starts_with(THREAD_NAME))
}

fn answer<T>(received: Result<Result<T>, oneshot::error::RecvError>) -> Result<T> {
    received.unwrap_or_else(|gone| Err(Error::internal(gone)))
}

/// One hash to make, and who waits for it.
enum Job {
    Hash { password: Password, salt: [u8; SALT_BYTES], reply: oneshot::Sender<Result<String>> },
    Verify { password: Password, phc: Arc<str>, reply: oneshot::Sender<Result<Verdict>> },
}

impl Job {
    fn run(self, area: &mut Area) {
        // A reply that nobody takes is no failure: the caller hung up meanwhile.
        match self {
            Job::Hash { password, salt, reply } => drop(reply.send(area.hash(&password, salt))),
            Job::Verify { password, phc, reply } => drop(reply.send(area.verify(&password, &phc))),
        }
    }
}

impl Waiting for Job {
    fn is_abandoned(&self) -> bool {
        match self {
            Job::Hash { reply, .. } => reply.is_closed(),
            Job::Verify { reply, .. } => reply.is_closed(),
        }
    }

    fn turn_away(self) {
        let busy = HASHER_BUSY.error().retry_after(1);
        match self {
            Job::Hash { reply, .. } => drop(reply.send(Err(busy))),
            Job::Verify { reply, .. } => drop(reply.send(Err(busy))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn password(text: &str) -> Password {
        Password::new(text.to_owned())
    }

    fn refused(change: impl FnOnce(&mut HasherSettings)) -> String {
        let mut settings = HasherSettings::default();
        change(&mut settings);
        Hasher::start(&settings).unwrap_err().to_string()
    }

    #[tokio::test]
    async fn a_password_verifies_against_its_own_hash_only() {
        let hasher = Hasher::start(&HasherSettings::for_tests()).unwrap();
        let phc = hasher.hash(HOME, &password("correct horse"), [1; 16]).await.unwrap();
        let right = hasher.verify(HOME, &password("correct horse"), &phc).await.unwrap();
        assert_eq!(right, Verdict { matches: true, needs_rehash: false, is_cut: false });
        let wrong = hasher.verify(HOME, &password("correct house"), &phc).await.unwrap();
        assert_eq!(wrong, Verdict { matches: false, needs_rehash: false, is_cut: false });
        let nobodys = hasher.nobodys_hash(7);
        assert!(!hasher.verify(HOME, &password("correct horse"), &nobodys).await.unwrap().matches);
    }

    #[test]
    fn the_blocking_twins_do_the_same() {
        let hasher = Hasher::start(&HasherSettings::for_tests()).unwrap();
        let phc = hasher.hash_blocking(HOME, &password("correct horse"), [1; 16]).unwrap();
        assert!(hasher.verify_blocking(HOME, &password("correct horse"), &phc).unwrap().matches);
    }

    #[test]
    fn pwd5_other_costs_ask_for_a_rehash() {
        let before = Hasher::start(&HasherSettings::for_tests()).unwrap();
        let phc = before.hash_blocking(HOME, &password("correct horse"), [1; 16]).unwrap();
        let after = Hasher::start(&HasherSettings { t: 2, ..HasherSettings::for_tests() }).unwrap();
        let verdict = after.verify_blocking(HOME, &password("correct horse"), &phc).unwrap();
        assert_eq!(verdict, Verdict { matches: true, needs_rehash: true, is_cut: false });
    }

    #[test]
    fn pwd5_weaker_settings_do_not_start_and_say_which() {
        assert!(refused(|settings| settings.m_kib = 19_455).contains("accounts.passwords.argon2.m is 19455"));
        assert!(refused(|settings| settings.t = 1).contains("accounts.passwords.argon2.t is 1"));
        assert!(refused(|settings| settings.p = 0).contains("accounts.passwords.argon2.p is 0"));
        assert!(refused(|settings| settings.queue = 0).contains("accounts.passwords.hash_queue is 0"));
        assert!(refused(|settings| settings.m_kib = MAX_M_KIB + 1).contains("accounts.passwords.argon2.m"));
        assert!(refused(|settings| settings.t = MAX_T + 1).contains("accounts.passwords.argon2.t"));
        assert!(refused(|settings| settings.bcrypt_cost = Some(9)).contains("accounts.passwords.bcrypt_cost is 9"));
        assert!(refused(|settings| settings.bcrypt_cost = Some(16)).contains("between 10 and 15 (PWD-5, PWD-7"));
    }

    #[test]
    fn pwd5_the_defaults_make_the_hash_that_the_rule_names() {
        let hasher = Hasher::start(&HasherSettings { threads: 1, ..HasherSettings::default() }).unwrap();
        let phc = hasher.hash_blocking(HOME, &password("correct horse"), [1; 16]).unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
    }

    #[test]
    fn hsh2_zero_threads_is_between_one_and_four() {
        assert!((1..=4).contains(&HasherSettings::default().thread_count()));
        assert_eq!(HasherSettings { threads: 3, ..HasherSettings::default() }.thread_count(), 3);
    }

    #[tokio::test]
    async fn hsh2_whoever_finds_no_room_is_told_when_to_come_back() {
        let queue = Queue::new(1);
        let (first, _waits) = oneshot::channel();
        let (second, told) = oneshot::channel();
        queue.push(HOME, Job::Hash { password: password("x"), salt: [0; 16], reply: first });
        queue.push(HOME, Job::Hash { password: password("x"), salt: [0; 16], reply: second });
        let error = answer(told.await).unwrap_err();
        assert!(error.is(&HASHER_BUSY));
        assert_eq!(error.retry_after_secs(), Some(1));
    }

    #[test]
    fn hsh5_a_caller_who_hung_up_leaves_an_abandoned_job() {
        let (reply, receiver) = oneshot::channel();
        let job = Job::Verify { password: password("x"), phc: "".into(), reply };
        assert!(!job.is_abandoned());
        drop(receiver);
        assert!(job.is_abandoned());
    }

    #[test]
    fn after_shutdown_everybody_is_turned_away_and_no_thread_is_left() {
        let hasher = Hasher::start(&HasherSettings::for_tests()).unwrap();
        hasher.shutdown();
        assert!(hasher.hash_blocking(HOME, &password("x"), [1; 16]).unwrap_err().is(&HASHER_BUSY));
        assert!(hasher.0.threads.lock().unwrap().is_empty());
        hasher.shutdown();
    }

    #[test]
    fn the_threads_end_with_the_last_handle() {
        let hasher = Hasher::start(&HasherSettings::for_tests()).unwrap();
        let threads = std::mem::take(&mut *hasher.0.threads.lock().unwrap());
        drop(hasher.clone());
        assert!(hasher.hash_blocking(HOME, &password("x"), [1; 16]).is_ok());
        drop(hasher);
        for thread in threads {
            thread.join().unwrap();
        }
    }

    #[test]
    fn an_unusable_stored_hash_fails_alone() {
        let hasher = Hasher::start(&HasherSettings::for_tests()).unwrap();
        assert_eq!(hasher.verify_blocking(HOME, &password("x"), "nonsense").unwrap_err().code(), "internal");
        assert!(hasher.hash_blocking(HOME, &password("x"), [1; 16]).is_ok());
    }
}
