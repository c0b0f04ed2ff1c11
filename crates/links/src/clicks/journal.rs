//! The journal: clicks wait here between the redirect and the statistics, first in memory for moments, then on disk.
//!
//! A redirect appends a record to a buffer under a short lock. One thread takes the buffer, writes it to the end of a file as one
//! block with a checksum, and syncs. A segment is closed when the statistics want it or when it is large; whoever has added all of
//! it to the database has it removed. A file is locked while its process lives: what a crash leaves behind is taken over by the
//! next start. What is lost by a crash is what was not yet written: at most `links.clicks.fsync` of clicks (INV-L2).
//!
//! When the buffer is full, or the disk is, detail is shed before count: clicks are added up per link and hour (INV-L3).

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::{self, File};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kernel::{Id, Result};
use sha2::{Digest as _, Sha256};
use tokio::sync::{oneshot, watch};

use crate::clicks::agents;
use crate::clicks::record::{self, Flags, Record, Visit};
use crate::links::Link;

/// Clicks that may wait in memory, in bytes.
const MAX_BUFFER: usize = 8 << 20;
/// A segment that is longer is closed, so that reading one back is cheap.
const MAX_SEGMENT: u64 = 16 << 20;
/// Links and hours that are added up while detail is shed.
const MAX_SHED: usize = 100_000;
/// What every segment begins with, before the name of its database.
const MAGIC: &[u8; 8] = b"UCCLICK1";
const HEADER: usize = 8 + 16;
/// Length and checksum before every block.
const BLOCK_HEADER: usize = 4 + 16;
/// How long the disk is left alone after it failed.
const PATIENCE: Duration = Duration::from_millis(500);
const HOUR_MS: i64 = 3_600_000;

/// How the journal works.
#[derive(Clone, Debug)]
pub(crate) struct JournalSettings {
    pub(crate) folder: PathBuf,
    pub(crate) fsync: Duration,
    pub(crate) is_strict: bool,
    pub(crate) max_bytes: u64,
}

/// The clicks on their way to the statistics.
pub struct Journal {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    is_strict: bool,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    /// The number of the last record that is on disk.
    written: watch::Sender<u64>,
    /// Which database the clicks belong to; known once the module has started.
    database: OnceLock<[u8; 16]>,
    shed: AtomicU64,
    lost: AtomicU64,
}

#[derive(Default)]
struct State {
    buffer: Vec<u8>,
    /// How many records were pushed so far.
    pushed: u64,
    counts: HashMap<(Id<Link>, i64, bool), (i64, i64)>,
    /// Whether the disk has so much already that only counts are taken.
    is_full: bool,
    requests: VecDeque<Request>,
    is_closing: bool,
}

enum Request {
    Take(oneshot::Sender<Option<Segment>>),
    Remove(SegmentName, oneshot::Sender<()>),
}

/// Which segment of which journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentName {
    pub(crate) journal: u128,
    pub(crate) number: u32,
}

/// What a closed segment holds.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) name: SegmentName,
    bytes: Vec<u8>,
}

impl Segment {
    /// The records of all whole blocks; a block that a crash cut short, and what follows it, is nothing.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record<'_>> {
        records_of(&self.bytes)
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Journal({} pushed)", self.shared.lock().pushed)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal {
    /// A journal in this folder; no file is made before the first click.
    pub(crate) fn start(settings: JournalSettings) -> Result<Journal> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            wake: Condvar::new(),
            written: watch::Sender::new(0),
            database: OnceLock::new(),
            shed: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        });
        let is_strict = settings.is_strict;
        let mut writer = Writer::new(settings, shared.clone());
        let thread = std::thread::Builder::new().name("links-journal".to_owned()).spawn(move || writer.run());
        Ok(Journal { shared, thread: Some(thread.map_err(kernel::Error::internal)?), is_strict })
    }

    /// Names the database that the clicks belong to; before that none is written.
    pub(crate) fn set_database(&self, id: [u8; 16]) {
        // A second start of one app names the same one.
        let _ = self.shared.database.set(id);
        self.shared.wake.notify_one();
    }

    /// Takes a click; never waits. Tells its number where redirects wait for the disk.
    pub(crate) fn push(&self, visit: &Visit<'_>) -> Option<u64> {
        let mut state = self.shared.lock();
        let was_idle = state.buffer.is_empty() && state.counts.is_empty();
        if state.is_full || state.buffer.len() + Visit::MAX_BYTES > MAX_BUFFER {
            self.count_only(&mut state, visit);
        } else {
            visit.write(&mut state.buffer);
        }
        state.pushed += 1;
        let number = state.pushed;
        drop(state);
        // Otherwise the thread is about to look by itself.
        if was_idle {
            self.shared.wake.notify_one();
        }
        self.is_strict.then_some(number)
    }

    /// Adds a click up instead of describing it (INV-L3).
    fn count_only(&self, state: &mut State, visit: &Visit<'_>) {
        let is_human = visit.flags.0 & (Flags::HEAD | Flags::PREFETCH) == 0 && agents::class_of(visit.user_agent) == super::Class::Human;
        let key = (visit.link, hour_of(visit.at.as_millis()), is_human);
        self.shared.shed.fetch_add(1, Ordering::Relaxed);
        if state.counts.len() >= MAX_SHED && !state.counts.contains_key(&key) {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let (clicks, last_at) = state.counts.entry(key).or_default();
        *clicks += 1;
        *last_at = (*last_at).max(visit.at.as_millis());
    }

    /// Returns once the click of this number is on disk.
    pub(crate) async fn written(&self, number: u64) {
        // An error means that the thread is gone, and with it the server.
        let _ = self.shared.written.subscribe().wait_for(|written| *written >= number).await;
    }

    /// The oldest closed segment; whatever was pushed before is in this one or a later one.
    pub(crate) async fn take(&self) -> Option<Segment> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Take(reply));
        answer.await.ok().flatten()
    }

    /// Removes a segment whose clicks are all in the database.
    pub(crate) async fn remove(&self, name: SegmentName) {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Remove(name, reply));
        // No answer means that the thread is gone; the database knows that the segment is done.
        let _ = answer.await;
    }

    fn ask(&self, request: Request) {
        let mut state = self.shared.lock();
        if !state.is_closing {
            state.requests.push_back(request);
        }
        drop(state);
        self.shared.wake.notify_one();
    }

    /// Clicks that were counted without detail since the last call, and clicks that were not even counted.
    pub(crate) fn take_losses(&self) -> (u64, u64) {
        (self.shared.shed.swap(0, Ordering::Relaxed), self.shared.lost.swap(0, Ordering::Relaxed))
    }
}

impl Drop for Journal {
    /// Writes and syncs what is left: a server that ends in good order loses no click.
    fn drop(&mut self) {
        self.shared.lock().is_closing = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the journal of clicks ended with a panic");
        }
    }
}

/// The beginning of the hour of an instant.
pub(crate) fn hour_of(millis: i64) -> i64 {
    millis.div_euclid(HOUR_MS) * HOUR_MS
}

/// A file of the journal. While it is open, no other process takes it for a leftover.
struct OpenSegment {
    name: SegmentName,
    path: PathBuf,
    file: File,
    bytes: u64,
}

/// The thread's own side.
struct Writer {
    settings: JournalSettings,
    shared: Arc<Shared>,
    journal: u128,
    next_number: u32,
    current: Option<OpenSegment>,
    closed: VecDeque<OpenSegment>,
    has_looked_back: bool,
    failed_at: Option<Instant>,
}

impl Writer {
    fn new(settings: JournalSettings, shared: Arc<Shared>) -> Writer {
        Writer {
            settings,
            shared,
            journal: fresh_name(),
            next_number: 0,
            current: None,
            closed: VecDeque::new(),
            has_looked_back: false,
            failed_at: None,
        }
    }

    fn run(&mut self) {
        loop {
            let (mut block, counts, upto, requests, is_closing) = self.wait();
            for ((link, hour, is_human), (clicks, last_at)) in &counts {
                record::write_count(&mut block, *link, *hour, *is_human, *clicks, *last_at);
            }
            if !block.is_empty() {
                match self.append(&block) {
                    Ok(()) => {
                        self.failed_at = None;
                        self.shared.written.send_replace(upto);
                    }
                    Err(error) => self.put_back(&block, &error),
                }
            } else {
                self.shared.written.send_replace(upto);
            }
            for request in requests {
                self.serve(request);
            }
            self.mind_the_size();
            if is_closing {
                return;
            }
        }
    }

    /// Waits for clicks or requests, then a little for more clicks, so that one sync serves many.
    #[expect(clippy::type_complexity, reason = "what one round of the loop works on, and only it")]
    fn wait(&self) -> (Vec<u8>, BTreeMap<(Id<Link>, i64, bool), (i64, i64)>, u64, Vec<Request>, bool) {
        let mut state = self.shared.lock();
        let is_ready = |state: &State| {
            let may_write = self.shared.database.get().is_some();
            state.is_closing || !state.requests.is_empty() || (may_write && !(state.buffer.is_empty() && state.counts.is_empty()))
        };
        while !is_ready(&state) {
            state = self.shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        // Four fifths of the promise; the rest is for the write itself. Where redirects wait, nobody else does; after a failure the
        // disk is given time.
        let patience = match (self.failed_at, self.settings.is_strict) {
            (Some(_), _) => PATIENCE,
            (None, true) => Duration::ZERO,
            (None, false) => self.settings.fsync * 4 / 5,
        };
        let started = Instant::now();
        while !state.is_closing && state.requests.is_empty() && started.elapsed() < patience {
            let left = patience.saturating_sub(started.elapsed());
            state = self.shared.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let requests = state.requests.drain(..).collect();
        if self.shared.database.get().is_none() {
            return (Vec::new(), BTreeMap::new(), 0, requests, state.is_closing);
        }
        let capacity = state.buffer.len();
        let buffer = std::mem::replace(&mut state.buffer, Vec::with_capacity(capacity));
        let counts = std::mem::take(&mut state.counts).into_iter().collect();
        (buffer, counts, state.pushed, requests, state.is_closing)
    }

    /// Puts what could not be written before what came meanwhile; what does not fit is added up.
    fn put_back(&mut self, block: &[u8], error: &io::Error) {
        if self.failed_at.is_none() {
            tracing::error!(folder = %self.settings.folder.display(), "clicks cannot be written to disk and wait in memory: {error}");
        }
        self.failed_at = Some(Instant::now());
        let mut state = self.shared.lock();
        let mut rest = block;
        let mut kept = Vec::new();
        while let Some(record) = {
            let before = rest;
            record::read(&mut rest).map(|record| (record, &before[..before.len() - rest.len()]))
        } {
            match record {
                (Record::Count { link, hour, is_human, clicks, last_at }, _) => {
                    let entry = state.counts.entry((link, hour, is_human)).or_default();
                    *entry = (entry.0 + clicks, entry.1.max(last_at));
                }
                (Record::Click(click), bytes) if state.buffer.len() + kept.len() + bytes.len() > MAX_BUFFER => {
                    let is_human = click.flags.0 & (Flags::HEAD | Flags::PREFETCH) == 0;
                    let is_human = is_human && agents::class_of(click.user_agent) == super::Class::Human;
                    let entry = state.counts.entry((click.link, hour_of(click.at), is_human)).or_default();
                    *entry = (entry.0 + 1, entry.1.max(click.at));
                    self.shared.shed.fetch_add(1, Ordering::Relaxed);
                }
                (Record::Click(_), bytes) => kept.extend_from_slice(bytes),
            }
        }
        kept.extend_from_slice(&state.buffer);
        state.buffer = kept;
    }

    fn append(&mut self, block: &[u8]) -> io::Result<()> {
        if self.current.as_ref().is_some_and(|segment| segment.bytes >= MAX_SEGMENT) {
            self.close_current();
        }
        let segment = match &mut self.current {
            Some(segment) => segment,
            None => {
                let segment = self.create()?;
                self.current.insert(segment)
            }
        };
        let mut bytes = Vec::with_capacity(BLOCK_HEADER + block.len());
        bytes.extend_from_slice(&u32::try_from(block.len()).map_err(io::Error::other)?.to_le_bytes());
        bytes.extend_from_slice(&checksum(block));
        bytes.extend_from_slice(block);
        // Half a block is no block for whoever reads it; a whole one that is not synced would be counted twice if it came again.
        if let Err(error) = segment.file.write_all(&bytes) {
            if segment.file.set_len(segment.bytes).is_err() {
                // Nothing may follow half a block.
                self.close_current();
            }
            return Err(error);
        }
        if let Err(error) = segment.file.sync_data() {
            if segment.file.set_len(segment.bytes).is_ok() {
                return Err(error);
            }
            tracing::error!(file = %segment.path.display(), "clicks are written, but a loss of power may lose them: {error}");
        }
        segment.bytes += bytes.len() as u64;
        Ok(())
    }

    fn create(&mut self) -> io::Result<OpenSegment> {
        fs::create_dir_all(&self.settings.folder)?;
        let database = self.shared.database.get().ok_or_else(|| io::Error::other("the database has no name yet"))?;
        loop {
            let name = SegmentName { journal: self.journal, number: self.next_number };
            let path = self.settings.folder.join(format!("{:032x}-{:08}.clicks", name.journal, name.number));
            let mut file = match File::options().create_new(true).read(true).append(true).open(&path) {
                Ok(file) => file,
                // Two names of 128 random bits never meet; an old file of ours would.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    self.next_number += 1;
                    continue;
                }
                Err(error) => return Err(error),
            };
            file.try_lock().map_err(io::Error::from)?;
            if let Err(error) = file.write_all(MAGIC).and_then(|()| file.write_all(database)) {
                // On a full disk every try would leave another empty file.
                let _ = fs::remove_file(&path);
                return Err(error);
            }
            sync_folder(&self.settings.folder);
            self.next_number += 1;
            return Ok(OpenSegment { name, path, file, bytes: HEADER as u64 });
        }
    }

    fn close_current(&mut self) {
        if let Some(segment) = self.current.take() {
            self.closed.push_back(segment);
        }
    }

    /// Takes counts only while more waits on disk than may.
    fn mind_the_size(&mut self) {
        let waiting: u64 = self.closed.iter().chain(&self.current).map(|segment| segment.bytes).sum();
        let is_full = waiting > self.settings.max_bytes;
        let mut state = self.shared.lock();
        if is_full && !state.is_full {
            tracing::warn!(waiting_bytes = waiting, "clicks wait on disk for too long: new ones are counted without detail");
        }
        state.is_full = is_full;
    }

    fn serve(&mut self, request: Request) {
        match request {
            Request::Take(reply) => {
                self.look_back();
                if self.closed.is_empty() {
                    self.close_current();
                }
                let segment = self.read_oldest();
                // Nobody waits any more: the segment stays and is taken next time.
                let _ = reply.send(segment);
            }
            Request::Remove(name, reply) => {
                if let Some(at) = self.closed.iter().position(|segment| segment.name == name)
                    && let Some(segment) = self.closed.remove(at)
                    && let Err(error) = fs::remove_file(&segment.path)
                {
                    tracing::warn!(file = %segment.path.display(), "a file of counted clicks cannot be removed: {error}");
                }
                let _ = reply.send(());
            }
        }
    }

    /// Takes over, once, what processes that crashed have left for this database.
    fn look_back(&mut self) {
        let Some(database) = self.shared.database.get().filter(|_| !self.has_looked_back) else { return };
        self.has_looked_back = true;
        let Ok(entries) = fs::read_dir(&self.settings.folder) else { return };
        let mut found: Vec<OpenSegment> = entries.flatten().filter_map(|entry| leftover(&entry.path(), database)).collect();
        found.retain(|segment| segment.name.journal != self.journal);
        found.sort_by_key(|segment| segment.name);
        for segment in found.into_iter().rev() {
            self.closed.push_front(segment);
        }
    }

    fn read_oldest(&mut self) -> Option<Segment> {
        loop {
            let segment = self.closed.front()?;
            match fs::read(&segment.path) {
                Ok(bytes) => return Some(Segment { name: segment.name, bytes }),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    tracing::error!(file = %segment.path.display(), "a file of clicks is gone; its clicks are lost");
                    self.closed.pop_front();
                }
                Err(error) => {
                    // Not the next one: what is applied later makes this one look as if it had been applied before.
                    tracing::error!(file = %segment.path.display(), "a file of clicks cannot be read; the next flush tries again: {error}");
                    return None;
                }
            }
        }
    }
}

/// 128 bits that no other process has; the seeded randomness of tests would repeat them after a restart.
fn fresh_name() -> u128 {
    let (high, low) = (RandomState::new().hash_one(0), RandomState::new().hash_one(std::process::id()));
    u128::from(high) << 64 | u128::from(low)
}

fn checksum(block: &[u8]) -> [u8; 16] {
    let digest = Sha256::digest(block);
    std::array::from_fn(|n| digest[n])
}

/// Makes the name of a new file survive a loss of power; where folders cannot be synced, the file system does it by itself.
fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// A file of a process that is gone, if it belongs to this database; locked from now on.
fn leftover(path: &Path, database: &[u8; 16]) -> Option<OpenSegment> {
    let (journal, number) = path.file_name()?.to_str()?.strip_suffix(".clicks")?.split_once('-')?;
    let name = SegmentName { journal: u128::from_str_radix(journal, 16).ok()?, number: number.parse().ok()? };
    let mut file = File::options().read(true).append(true).open(path).ok()?;
    file.try_lock().ok()?;
    let mut header = [0; HEADER];
    file.read_exact(&mut header).ok()?;
    let bytes = file.metadata().ok()?.len();
    (header[..8] == MAGIC[..] && header[8..] == database[..]).then(|| OpenSegment { name, path: path.to_owned(), file, bytes })
}

fn records_of(bytes: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut rest = bytes.get(HEADER..).unwrap_or_default();
    let blocks = std::iter::from_fn(move || next_block(&mut rest));
    blocks.flat_map(|mut block| std::iter::from_fn(move || record::read(&mut block)))
}

fn next_block<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = u32::from_le_bytes(rest.get(..4)?.try_into().ok()?) as usize;
    let sum = rest.get(4..BLOCK_HEADER)?;
    let block = rest.get(BLOCK_HEADER..BLOCK_HEADER.checked_add(length)?)?;
    if checksum(block) != sum {
        return None;
    }
    *rest = &rest[BLOCK_HEADER + length..];
    Some(block)
}

#[cfg(test)]
mod tests {
    use kernel::Timestamp;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn settings(folder: &Path, max_bytes: u64) -> JournalSettings {
        JournalSettings { folder: folder.to_owned(), fsync: Duration::from_millis(5), is_strict: true, max_bytes }
    }

    fn visit(n: u8) -> Visit<'static> {
        Visit {
            at: Timestamp::from_millis(7_200_000),
            link: Id::from_uuid(Uuid::from_bytes([n; 16])),
            flags: Flags::default(),
            user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            referrer: "",
            language: "",
            query: "",
        }
    }

    fn started(folder: &Path, database: u8) -> Journal {
        let journal = Journal::start(settings(folder, 1 << 30)).unwrap();
        journal.set_database([database; 16]);
        journal
    }

    async fn push(journal: &Journal, n: u8) {
        let number = journal.push(&visit(n)).expect("a strict journal numbers its clicks");
        journal.written(number).await;
    }

    #[tokio::test]
    async fn inv_l2_what_was_written_is_taken_once_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let journal = started(folder.path(), 1);
        assert!(journal.take().await.is_none());
        push(&journal, 1).await;
        push(&journal, 2).await;
        let segment = journal.take().await.expect("a segment");
        assert_eq!(segment.records().count(), 2);
        // Not removed yet: it is there until its clicks are in the database.
        assert_eq!(journal.take().await.expect("the same").name, segment.name);
        journal.remove(segment.name).await;
        assert!(journal.take().await.is_none());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn inv_l2_the_next_start_takes_over_what_was_left_for_its_database_only() {
        let folder = tempfile::tempdir().unwrap();
        for database in [1, 2] {
            let journal = started(folder.path(), database);
            // No wait: the drop writes what is left.
            journal.push(&visit(database));
            drop(journal);
        }
        let living = started(folder.path(), 1);
        push(&living, 9).await;
        let next = started(folder.path(), 1);
        let segment = next.take().await.expect("what the first one left");
        let links: Vec<u8> =
            segment.records().map(|record| if let Record::Click(click) = record { click.link.uuid().as_bytes()[0] } else { 0 }).collect();
        assert_eq!(links, [1]);
        next.remove(segment.name).await;
        // The file of the journal that lives is locked, the other one belongs to another database.
        assert!(next.take().await.is_none());
    }

    #[tokio::test]
    async fn inv_l3_a_full_disk_sheds_detail_before_count() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::start(settings(folder.path(), 1)).unwrap();
        journal.set_database([1; 16]);
        push(&journal, 1).await;
        // One more round of the thread, after which it knows how much lies on the disk.
        assert!(journal.take().await.is_some());
        for _ in 0..3 {
            push(&journal, 1).await;
        }
        assert_eq!(journal.take_losses(), (3, 0));
        let name = journal.take().await.expect("the first segment").name;
        journal.remove(name).await;
        let segment = journal.take().await.expect("the counts");
        let counted: i64 =
            segment.records().map(|record| if let Record::Count { clicks, is_human: true, .. } = record { clicks } else { 0 }).sum();
        assert_eq!(counted, 3, "{segment:?}");
    }

    #[tokio::test]
    async fn inv_l1_a_folder_that_cannot_be_written_holds_nobody_up_and_loses_no_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::write(&path, "a file where the folder should be").unwrap();
        let mut lenient = settings(&path, 1 << 30);
        lenient.is_strict = false;
        let journal = Journal::start(lenient).unwrap();
        journal.set_database([1; 16]);
        for _ in 0..100 {
            journal.push(&visit(1));
        }
        assert!(journal.take().await.is_none());
        fs::remove_file(&path).unwrap();
        // Writing is tried again, and everything is still there.
        let mut segment = None;
        while segment.is_none() {
            segment = journal.take().await;
        }
        assert_eq!(segment.map(|segment| segment.records().count()), Some(100));
    }

    fn file_of(blocks: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = [&MAGIC[..], &[1; 16]].concat();
        for block in blocks {
            bytes.extend_from_slice(&(block.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&checksum(block));
            bytes.extend_from_slice(block);
        }
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn inv_l2_a_damaged_or_cut_file_gives_its_whole_blocks_and_never_more(cut in any::<prop::sample::Index>(), flip in any::<prop::sample::Index>()) {
            let blocks: Vec<Vec<u8>> = (1..=5).map(|n| { let mut block = Vec::new(); visit(n).write(&mut block); visit(n).write(&mut block); block }).collect();
            let whole = file_of(&blocks);
            let all: Vec<_> = records_of(&whole).collect();
            prop_assert_eq!(all.len(), 10);
            let short = &whole[..cut.index(whole.len())];
            let found: Vec<_> = records_of(short).collect();
            prop_assert!(found.len() % 2 == 0 && found[..] == all[..found.len()]);
            let mut damaged = whole.clone();
            let at = HEADER + flip.index(whole.len() - HEADER);
            damaged[at] ^= 1;
            let found: Vec<_> = records_of(&damaged).collect();
            prop_assert!(found.len() < 10 && found[..] == all[..found.len()]);
        }
    }
}
