//! The journal: clicks wait here between the redirect and the statistics, first in memory for moments, then on disk.
//!
//! A redirect appends a record to a buffer under a short lock. The writer, a thread, takes the buffer before its oldest click has
//! waited for `links.clicks.fsync`, and writes it to the end of a file as one block with a checksum: from then on no end of the
//! process loses it. The keeper, a second thread, syncs what was written, so that a slow disk does not hold up the writer, and has
//! the closed files: it hands them out to be added to the statistics, and removes those that are. A file is locked while its
//! process lives: what a crash leaves behind is taken over by the next start. So a crash loses at most `fsync` of clicks (INV-L2);
//! where redirects wait for the disk, the writer syncs before it lets them go, and a crash loses none.
//!
//! When the buffer is full, or the disk is, detail is shed before count: clicks are added up per link and hour (INV-L3). While the
//! database takes nothing, what is told of visitors in files that grow old is cut down to what the statistics keep (INV-L12).

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::{self, File};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kernel::{Id, Result};
use tokio::sync::{oneshot, watch};

use crate::clicks::agents;
use crate::clicks::record::{self, Flags, Record, Visit};
use crate::clicks::segment::{OpenSegment, Segment, SegmentName, framed, leftover, records_in, redacted, remove_unfinished, since};
use crate::links::Link;

/// Clicks that may wait in memory, in bytes.
const MAX_BUFFER: usize = 8 << 20;
/// A segment that is longer is closed, so that reading one back is cheap.
const MAX_SEGMENT: u64 = 16 << 20;
/// Links and hours that are added up while detail is shed.
const MAX_SHED: usize = 100_000;
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
    /// How a file is made to survive a loss of power.
    pub(crate) sync: fn(&File) -> io::Result<()>,
}

/// The clicks on their way to the statistics.
pub struct Journal {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
    keeper: Option<JoinHandle<()>>,
    is_strict: bool,
}

struct Shared {
    /// Between redirects and the writer.
    state: Mutex<State>,
    wake: Condvar,
    /// Between the writer, the flusher and the keeper.
    desk: Mutex<Desk>,
    called: Condvar,
    /// The number of the last record that is in a file, and synced where redirects wait for it.
    written: watch::Sender<u64>,
    /// Which database the clicks belong to; known once the module has started.
    database: OnceLock<[u8; 16]>,
    /// Bytes of all files that are not in the statistics yet.
    waiting_bytes: AtomicU64,
    /// When the oldest click of the open file was made; the end of time when none is open.
    open_since: AtomicI64,
    shed: AtomicU64,
    lost: AtomicU64,
}

#[derive(Default)]
struct State {
    buffer: Vec<u8>,
    /// Since when the oldest click in memory waits.
    oldest: Option<Instant>,
    /// How many records were pushed so far.
    pushed: u64,
    counts: HashMap<(Id<Link>, i64, bool), (i64, i64)>,
    room: Room,
    closings: Vec<oneshot::Sender<()>>,
    is_closing: bool,
}

/// What the disk still takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Room {
    /// Everything.
    #[default]
    Detail,
    /// Sums, since so much waits already.
    Counts,
    /// Nothing, since twice as much waits.
    Nothing,
}

/// What the keeper finds on its desk.
#[derive(Default)]
struct Desk {
    to_sync: Option<Arc<File>>,
    /// Whether a file was made whose name the disk does not know yet.
    has_new_file: bool,
    closed: Vec<OpenSegment>,
    requests: VecDeque<Request>,
    is_closing: bool,
}

enum Request {
    Take(oneshot::Sender<Option<Segment>>),
    Remove(SegmentName, oneshot::Sender<()>),
    Redact(i64, oneshot::Sender<()>),
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

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes counts only while more waits on disk than may, and nothing while it is twice as much: they need room too.
    fn mind_the_size(&self, max_bytes: u64) {
        let waiting_bytes = self.waiting_bytes.load(Ordering::Relaxed);
        let room = match waiting_bytes {
            bytes if bytes <= max_bytes => Room::Detail,
            bytes if bytes <= max_bytes.saturating_mul(2) => Room::Counts,
            _ => Room::Nothing,
        };
        let before = std::mem::replace(&mut self.lock().room, room);
        match room {
            Room::Counts if before < room => {
                tracing::warn!(waiting_bytes, "clicks wait on disk for too long: new ones are counted without detail");
            }
            Room::Nothing if before < room => {
                tracing::error!(waiting_bytes, "clicks wait on disk for far too long: new ones are not counted; is the database there?");
            }
            Room::Detail | Room::Counts | Room::Nothing => {}
        }
    }
}

impl Journal {
    /// A journal in this folder; no file is made before the first click.
    pub(crate) fn start(settings: JournalSettings) -> Result<Journal> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            wake: Condvar::new(),
            desk: Mutex::default(),
            called: Condvar::new(),
            written: watch::Sender::new(0),
            database: OnceLock::new(),
            waiting_bytes: AtomicU64::new(0),
            open_since: AtomicI64::new(i64::MAX),
            shed: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        });
        let (journal, is_strict) = (fresh_name(), settings.is_strict);
        let mut keeper =
            Keeper { settings: settings.clone(), shared: shared.clone(), journal, closed: VecDeque::new(), has_looked_back: false };
        let mut writer = Writer { settings, shared: shared.clone(), journal, next_number: 0, current: None, failed_at: None };
        let mut started = Journal { shared, writer: None, keeper: None, is_strict };
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        started.keeper = Some(thread("links-keeper").spawn(move || keeper.run()).map_err(kernel::Error::internal)?);
        started.writer = Some(thread("links-journal").spawn(move || writer.run()).map_err(kernel::Error::internal)?);
        Ok(started)
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
        let was_idle = state.is_idle();
        let is_full = state.room == Room::Counts || state.buffer.len() + Visit::MAX_BYTES > MAX_BUFFER;
        match state.room {
            Room::Nothing => {
                self.shared.lost.fetch_add(1, Ordering::Relaxed);
                return None;
            }
            _ if is_full => self.count_only(&mut state, visit),
            _ => visit.write(&mut state.buffer),
        }
        state.pushed += 1;
        let number = state.pushed;
        if was_idle {
            state.oldest = Some(Instant::now());
        }
        drop(state);
        // Otherwise the writer is about to look by itself.
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

    /// Closes the file that is written to; whatever was pushed before can be taken now.
    pub(crate) async fn close(&self) {
        let (reply, answer) = oneshot::channel();
        {
            let mut state = self.shared.lock();
            if !state.is_closing {
                state.closings.push(reply);
            }
        }
        self.shared.wake.notify_one();
        // No answer means that the writer is gone, which has closed its file.
        let _ = answer.await;
    }

    /// The oldest closed segment.
    pub(crate) async fn take(&self) -> Option<Segment> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Take(reply));
        answer.await.ok().flatten()
    }

    /// Removes a segment whose clicks are all in the database.
    pub(crate) async fn remove(&self, name: SegmentName) {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Remove(name, reply));
        // No answer means that the keeper is gone; the database knows that the segment is done.
        let _ = answer.await;
    }

    /// Cuts down what files with clicks before this instant tell of visitors, as far as that changes no statistics (INV-L12).
    pub(crate) async fn redact(&self, before: i64) {
        if self.shared.open_since.load(Ordering::Relaxed) < before {
            self.close().await;
        }
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Redact(before, reply));
        // No answer means that the keeper is gone; the next start goes on.
        let _ = answer.await;
    }

    fn ask(&self, request: Request) {
        let mut desk = self.shared.desk();
        if !desk.is_closing {
            desk.requests.push_back(request);
        }
        drop(desk);
        self.shared.called.notify_one();
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
        join(self.writer.take());
        // Only now: the writer's last file is on the desk.
        self.shared.desk().is_closing = true;
        self.shared.called.notify_one();
        join(self.keeper.take());
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    if thread.is_some_and(|thread| thread.join().is_err()) {
        tracing::error!("the journal of clicks ended with a panic");
    }
}

/// The beginning of the hour of an instant.
pub(crate) fn hour_of(millis: i64) -> i64 {
    millis.div_euclid(HOUR_MS) * HOUR_MS
}

impl State {
    fn is_idle(&self) -> bool {
        self.buffer.is_empty() && self.counts.is_empty()
    }
}

/// How much longer the writer may gather clicks, the oldest of which has waited for so long already.
///
/// Four fifths of the promise; the rest is for the write itself. Where redirects wait, nobody else does; after a failure the disk is
/// given time.
fn patience(settings: &JournalSettings, since_failure: Option<Duration>, waited: Duration) -> Duration {
    match (since_failure, settings.is_strict) {
        (Some(since), _) => PATIENCE.saturating_sub(since),
        (None, true) => Duration::ZERO,
        (None, false) => (settings.fsync * 4 / 5).saturating_sub(waited),
    }
}

/// The thread that writes.
struct Writer {
    settings: JournalSettings,
    shared: Arc<Shared>,
    journal: u128,
    next_number: u32,
    current: Option<OpenSegment>,
    failed_at: Option<Instant>,
}

/// What the writer takes at once.
#[derive(Default)]
struct Round {
    block: Vec<u8>,
    counts: BTreeMap<(Id<Link>, i64, bool), (i64, i64)>,
    /// The number of the last click in it.
    upto: u64,
    closings: Vec<oneshot::Sender<()>>,
    is_closing: bool,
}

impl Writer {
    fn run(&mut self) {
        loop {
            let mut round = self.wait();
            for ((link, hour, is_human), (clicks, last_at)) in &round.counts {
                record::write_count(&mut round.block, *link, *hour, *is_human, *clicks, *last_at);
            }
            let appended = if round.block.is_empty() { Ok(()) } else { self.append(&round.block) };
            self.shared.mind_the_size(self.settings.max_bytes);
            match appended {
                Ok(()) => {
                    self.failed_at = None;
                    self.shared.written.send_replace(round.upto);
                }
                Err(error) if round.is_closing => {
                    let clicks = records_in(&round.block).count();
                    tracing::error!(clicks, "clicks cannot be written to disk while the server ends, and are lost: {error}");
                }
                Err(error) => self.put_back(&round.block, &error),
            }
            if round.is_closing || !round.closings.is_empty() {
                self.close_current();
            }
            for reply in round.closings {
                // Who asked may be gone; the file is closed all the same.
                let _ = reply.send(());
            }
            if round.is_closing {
                return;
            }
        }
    }

    /// Waits for clicks or requests, then a little for more clicks, so that one write serves many.
    fn wait(&self) -> Round {
        let mut state = self.shared.lock();
        let has_name = || self.shared.database.get().is_some();
        while !state.is_closing && state.closings.is_empty() && (state.is_idle() || !has_name()) {
            state = self.shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        while !state.is_closing && state.closings.is_empty() {
            let waited = state.oldest.map_or(Duration::ZERO, |oldest| oldest.elapsed());
            let left = patience(&self.settings, self.failed_at.map(|at| at.elapsed()), waited);
            if left.is_zero() {
                break;
            }
            state = self.shared.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let (closings, is_closing) = (std::mem::take(&mut state.closings), state.is_closing);
        if !has_name() {
            return Round { closings, is_closing, ..Round::default() };
        }
        state.oldest = None;
        let capacity = state.buffer.len();
        let block = std::mem::replace(&mut state.buffer, Vec::with_capacity(capacity));
        let counts = std::mem::take(&mut state.counts).into_iter().collect();
        Round { block, counts, upto: state.pushed, closings, is_closing }
    }

    /// Puts what could not be written before what came meanwhile; what does not fit is added up.
    fn put_back(&mut self, block: &[u8], error: &io::Error) {
        if self.failed_at.is_none() {
            tracing::error!(folder = %self.settings.folder.display(), "clicks cannot be written to disk and wait in memory: {error}");
        }
        self.failed_at = Some(Instant::now());
        let mut state = self.shared.lock();
        let mut kept = Vec::new();
        for record in records_in(block) {
            match record {
                Record::Count { link, hour, is_human, clicks, last_at } => {
                    let entry = state.counts.entry((link, hour, is_human)).or_default();
                    *entry = (entry.0 + clicks, entry.1.max(last_at));
                }
                Record::Click(click) if state.buffer.len() + kept.len() + Visit::MAX_BYTES > MAX_BUFFER => {
                    let is_human = click.flags.0 & (Flags::HEAD | Flags::PREFETCH) == 0;
                    let is_human = is_human && agents::class_of(click.user_agent) == super::Class::Human;
                    let entry = state.counts.entry((click.link, hour_of(click.at), is_human)).or_default();
                    *entry = (entry.0 + 1, entry.1.max(click.at));
                    self.shared.shed.fetch_add(1, Ordering::Relaxed);
                }
                Record::Click(click) => click.write(&mut kept),
            }
        }
        kept.extend_from_slice(&state.buffer);
        state.buffer = kept;
        state.oldest = Some(Instant::now());
    }

    fn append(&mut self, block: &[u8]) -> io::Result<()> {
        if self.current.as_ref().is_some_and(|segment| segment.bytes >= MAX_SEGMENT) {
            self.close_current();
        }
        let is_new = self.current.is_none();
        let segment = match &mut self.current {
            Some(segment) => segment,
            None => {
                let segment = self.create(since(block))?;
                self.current.insert(segment)
            }
        };
        let bytes = framed(block)?;
        // Half a block is no block for whoever reads it; a whole one that is not synced would be counted twice if it came again.
        if let Err(error) = (&*segment.file).write_all(&bytes) {
            if segment.file.set_len(segment.bytes).is_err() {
                // Nothing may follow half a block.
                self.close_current();
            }
            return Err(error);
        }
        if self.settings.is_strict {
            if is_new {
                sync_folder(&self.settings.folder);
            }
            if let Err(error) = (self.settings.sync)(&segment.file) {
                if segment.file.set_len(segment.bytes).is_ok() {
                    return Err(error);
                }
                tracing::error!(file = %segment.path.display(), "clicks are written, but a loss of power may lose them: {error}");
            }
        } else {
            let mut desk = self.shared.desk();
            desk.to_sync = Some(segment.file.clone());
            desk.has_new_file |= is_new;
            drop(desk);
            self.shared.called.notify_one();
        }
        segment.bytes += bytes.len() as u64;
        self.shared.waiting_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn create(&mut self, since: i64) -> io::Result<OpenSegment> {
        fs::create_dir_all(&self.settings.folder)?;
        let database = self.shared.database.get().ok_or_else(|| io::Error::other("the database has no name yet"))?;
        loop {
            let name = SegmentName { journal: self.journal, number: self.next_number };
            match OpenSegment::create(&self.settings.folder, name, database, since) {
                Ok(segment) => {
                    self.next_number += 1;
                    self.shared.waiting_bytes.fetch_add(segment.bytes, Ordering::Relaxed);
                    self.shared.open_since.store(since, Ordering::Relaxed);
                    return Ok(segment);
                }
                // Two names of 128 random bits never meet; an old file of ours would.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.next_number += 1,
                Err(error) => return Err(error),
            }
        }
    }

    fn close_current(&mut self) {
        if let Some(segment) = self.current.take() {
            self.shared.open_since.store(i64::MAX, Ordering::Relaxed);
            self.shared.desk().closed.push(segment);
            self.shared.called.notify_one();
        }
    }
}

/// The thread that has the files.
struct Keeper {
    settings: JournalSettings,
    shared: Arc<Shared>,
    journal: u128,
    /// Oldest first.
    closed: VecDeque<OpenSegment>,
    has_looked_back: bool,
}

impl Keeper {
    fn run(&mut self) {
        loop {
            let desk = self.wait();
            if desk.has_new_file {
                sync_folder(&self.settings.folder);
            }
            if let Some(Err(error)) = desk.to_sync.map(|file| (self.settings.sync)(&file)) {
                tracing::error!(folder = %self.settings.folder.display(), "clicks are written, but a loss of power may lose them: {error}");
            }
            self.closed.extend(desk.closed);
            desk.requests.into_iter().for_each(|request| self.serve(request));
            if desk.is_closing {
                for segment in self.closed.iter().filter(|segment| !segment.is_synced) {
                    self.sync(segment);
                }
                return;
            }
        }
    }

    /// Waits for something to do, and takes all of it: of the files to be synced only the last, since earlier ones are closed.
    fn wait(&self) -> Desk {
        let mut desk = self.shared.desk();
        while !desk.is_closing && desk.to_sync.is_none() && desk.closed.is_empty() && desk.requests.is_empty() {
            desk = self.shared.called.wait(desk).unwrap_or_else(PoisonError::into_inner);
        }
        let taken = std::mem::take(&mut *desk);
        desk.is_closing = taken.is_closing;
        taken
    }

    fn sync(&self, segment: &OpenSegment) -> bool {
        let synced = (self.settings.sync)(&segment.file);
        if let Err(error) = &synced {
            tracing::error!(file = %segment.path.display(), "a file of clicks cannot be synced; the next flush tries again: {error}");
        }
        synced.is_ok()
    }

    fn serve(&mut self, request: Request) {
        match request {
            Request::Take(reply) => {
                self.look_back();
                let segment = self.read_oldest();
                // Nobody waits any more: the segment stays and is taken next time.
                let _ = reply.send(segment);
            }
            Request::Remove(name, reply) => {
                self.remove(name);
                let _ = reply.send(());
            }
            Request::Redact(before, reply) => {
                self.look_back();
                self.redact(before);
                let _ = reply.send(());
            }
        }
    }

    fn remove(&mut self, name: SegmentName) {
        let Some(segment) = self.closed.iter().position(|segment| segment.name == name).and_then(|at| self.closed.remove(at)) else {
            return;
        };
        if let Err(error) = fs::remove_file(&segment.path) {
            tracing::warn!(file = %segment.path.display(), "a file of counted clicks cannot be removed: {error}");
        }
        self.forget(&segment);
    }

    fn forget(&self, segment: &OpenSegment) {
        self.shared.waiting_bytes.fetch_sub(segment.bytes, Ordering::Relaxed);
        self.shared.mind_the_size(self.settings.max_bytes);
    }

    /// Takes over, once, what processes that crashed have left for this database.
    fn look_back(&mut self) {
        let Some(database) = self.shared.database.get().filter(|_| !self.has_looked_back) else { return };
        self.has_looked_back = true;
        let Ok(entries) = fs::read_dir(&self.settings.folder) else { return };
        let paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.iter().filter(|path| path.extension().is_some_and(|end| end == "new")).for_each(|path| remove_unfinished(path));
        let mut found: Vec<OpenSegment> = paths.iter().filter_map(|path| leftover(path, database)).collect();
        found.retain(|segment| segment.name.journal != self.journal);
        found.sort_by_key(|segment| segment.name);
        let bytes = found.iter().map(|segment| segment.bytes).sum();
        self.shared.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        for segment in found.into_iter().rev() {
            self.closed.push_front(segment);
        }
    }

    fn read_oldest(&mut self) -> Option<Segment> {
        loop {
            let segment = self.closed.front()?;
            // How far a segment is counted only says something while the segment stays as it was, also after a loss of power.
            if !segment.is_synced && !self.sync(segment) {
                return None;
            }
            let segment = self.closed.front_mut()?;
            segment.is_synced = true;
            match fs::read(&segment.path) {
                Ok(bytes) => return Some(Segment { name: segment.name, bytes }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    tracing::error!(file = %segment.path.display(), "a file of clicks is gone; its clicks are lost");
                    self.shared.lost.fetch_add(1, Ordering::Relaxed);
                    if let Some(gone) = self.closed.pop_front() {
                        self.forget(&gone);
                    }
                }
                Err(error) => {
                    // Not the next one: what is applied later makes this one look as if it had been applied before.
                    tracing::error!(file = %segment.path.display(), "a file of clicks cannot be read; the next flush tries again: {error}");
                    return None;
                }
            }
        }
    }

    /// Writes files with clicks before this instant anew, without what the statistics will not keep.
    fn redact(&mut self, before: i64) {
        for segment in self.closed.iter_mut().filter(|segment| segment.since < before && !segment.is_redacted) {
            match redacted(segment, self.settings.sync) {
                Ok((file, bytes)) => {
                    self.shared.waiting_bytes.fetch_sub(segment.bytes, Ordering::Relaxed);
                    self.shared.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
                    (segment.file, segment.bytes, segment.is_synced, segment.is_redacted) = (Arc::new(file), bytes, true, true);
                    sync_folder(&self.settings.folder);
                }
                Err(error) => {
                    tracing::error!(file = %segment.path.display(), "a file of clicks tells more of visitors than it may and cannot be cut down: {error}");
                }
            }
        }
        self.shared.mind_the_size(self.settings.max_bytes);
    }
}

/// 128 bits that no other process has; the seeded randomness of tests would repeat them after a restart.
fn fresh_name() -> u128 {
    let (high, low) = (RandomState::new().hash_one(0), RandomState::new().hash_one(std::process::id()));
    u128::from(high) << 64 | u128::from(low)
}

/// Makes the name of a new file survive a loss of power; where folders cannot be synced, the file system does it by itself.
fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use kernel::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::clicks::segment::records_of;

    fn settings(folder: &Path, max_bytes: u64) -> JournalSettings {
        let (folder, fsync, sync) = (folder.to_owned(), Duration::from_millis(5), File::sync_data);
        JournalSettings { folder, fsync, is_strict: true, max_bytes, sync }
    }

    pub(crate) fn visit(n: u8) -> Visit<'static> {
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

    async fn taken(journal: &Journal) -> Option<Segment> {
        journal.close().await;
        journal.take().await
    }

    fn links_in(segment: &Segment) -> Vec<u8> {
        segment.records().map(|record| if let Record::Click(click) = record { click.link.uuid().as_bytes()[0] } else { 0 }).collect()
    }

    /// Everything in the files of a folder.
    fn text_of(folder: &Path) -> String {
        let files = fs::read_dir(folder).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
        files.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
    }

    #[tokio::test]
    async fn inv_l2_what_was_written_is_taken_once_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let journal = started(folder.path(), 1);
        assert!(taken(&journal).await.is_none());
        push(&journal, 1).await;
        push(&journal, 2).await;
        let segment = taken(&journal).await.expect("a segment");
        assert_eq!(segment.records().count(), 2);
        // Not removed yet: it is there until its clicks are in the database.
        assert_eq!(journal.take().await.expect("the same").name, segment.name);
        journal.remove(segment.name).await;
        assert!(taken(&journal).await.is_none());
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
        assert_eq!(links_in(&segment), [1]);
        next.remove(segment.name).await;
        // The file of the journal that lives is locked, the other one belongs to another database.
        assert!(next.take().await.is_none());
    }

    /// Clicks with detail, and clicks that are only counted.
    fn clicks_in(segment: &Segment) -> (i64, i64) {
        segment.records().fold((0, 0), |(detailed, counted), record| match record {
            Record::Click(_) => (detailed + 1, counted),
            Record::Count { clicks, .. } => (detailed, counted + clicks),
        })
    }

    #[tokio::test]
    async fn inv_l3_a_full_disk_sheds_detail_before_count_and_count_before_it_overflows() {
        const MAX: u64 = 4_000;
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::start(settings(folder.path(), MAX)).unwrap();
        journal.set_database([1; 16]);
        // A click that finds no room has no number, and nobody waits for it.
        let mut pushed = 0;
        while let Some(number) = journal.push(&visit(1)) {
            journal.written(number).await;
            pushed += 1;
            assert!(pushed < 1_000, "a full disk takes no more");
        }
        let (shed, lost) = journal.take_losses();
        let segment = taken(&journal).await.expect("what there was room for");
        let (detailed, counted) = clicks_in(&segment);
        assert!(detailed > 0 && counted > 0, "{detailed} {counted}");
        assert_eq!((detailed + counted, u64::try_from(counted).unwrap(), lost), (pushed, shed, 1));
        // One block more than twice as much at most.
        assert!((2 * MAX..2 * MAX + 100).contains(&fs::metadata(journal_file(folder.path())).unwrap().len()));
        // What is in the database makes room again.
        journal.remove(segment.name).await;
        push(&journal, 2).await;
        assert_eq!(clicks_in(&taken(&journal).await.expect("a segment")), (1, 0));
        assert_eq!(journal.take_losses(), (0, 0));
    }

    fn journal_file(folder: &Path) -> PathBuf {
        fs::read_dir(folder).unwrap().next().unwrap().unwrap().path()
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
        assert!(taken(&journal).await.is_none());
        fs::remove_file(&path).unwrap();
        // Writing is tried again, and everything is still there.
        assert_eq!(taken(&journal).await.map(|segment| segment.records().count()), Some(100));
    }

    #[test]
    fn inv_l2_no_click_waits_longer_in_memory_than_four_fifths_of_the_promise() {
        let millis = Duration::from_millis;
        let lenient = JournalSettings { fsync: millis(50), is_strict: false, ..settings(Path::new("/"), 1) };
        // Also when it had to wait for the write before it: what it has waited already counts.
        for waited in 0..200 {
            let more = patience(&lenient, None, millis(waited));
            assert_eq!(more, millis(40_u64.saturating_sub(waited)), "after {waited} ms");
        }
        let strict = JournalSettings { is_strict: true, ..lenient };
        assert_eq!(patience(&strict, None, Duration::ZERO), Duration::ZERO, "a redirect waits");
        assert_eq!(patience(&strict, Some(millis(100)), Duration::ZERO), PATIENCE - millis(100), "the disk has failed");
    }

    /// Whether syncs hang.
    static HANGS: Mutex<bool> = Mutex::new(false);
    static RELEASED: Condvar = Condvar::new();

    fn hanging_sync(_: &File) -> io::Result<()> {
        let mut hangs = HANGS.lock().unwrap();
        while *hangs {
            hangs = RELEASED.wait(hangs).unwrap();
        }
        Ok(())
    }

    #[tokio::test]
    async fn inv_l2_clicks_leave_memory_also_while_the_disk_hangs_in_a_sync() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::start(JournalSettings { is_strict: false, sync: hanging_sync, ..settings(folder.path(), 1 << 30) }).unwrap();
        journal.set_database([1; 16]);
        *HANGS.lock().unwrap() = true;
        let mut written = journal.shared.written.subscribe();
        for n in 1..=5 {
            journal.push(&visit(n));
            // Ends only if the writer goes on although the first sync has not come back.
            written.wait_for(|written| *written == u64::from(n)).await.unwrap();
        }
        // What a killed process leaves: the files as they are now.
        let bytes = fs::read(journal_file(folder.path())).unwrap();
        assert_eq!(records_of(&bytes).count(), 5);
        *HANGS.lock().unwrap() = false;
        RELEASED.notify_all();
        assert_eq!(links_in(&taken(&journal).await.expect("a segment")), [1, 2, 3, 4, 5]);
    }

    #[tokio::test]
    async fn inv_l2_a_file_that_cannot_be_synced_is_not_counted_until_it_is() {
        static FAILS: Mutex<bool> = Mutex::new(true);
        fn failing_sync(_: &File) -> io::Result<()> {
            if *FAILS.lock().unwrap() { Err(io::Error::other("the disk is tired")) } else { Ok(()) }
        }
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::start(JournalSettings { is_strict: false, sync: failing_sync, ..settings(folder.path(), 1 << 30) }).unwrap();
        journal.set_database([1; 16]);
        journal.push(&visit(7));
        assert!(taken(&journal).await.is_none());
        *FAILS.lock().unwrap() = false;
        assert_eq!(links_in(&taken(&journal).await.expect("a segment")), [7]);
    }

    #[tokio::test]
    async fn inv_l12_files_that_grow_old_keep_their_clicks_and_forget_who_made_them() {
        let folder = tempfile::tempdir().unwrap();
        let journal = started(folder.path(), 1);
        let told = Visit { user_agent: "Mozilla/5.0 (canary) Firefox/1", query: "utm_source=news&secret=canary", ..visit(3) };
        for at in [1_000, 5_000] {
            let number = journal.push(&Visit { at: Timestamp::from_millis(at), ..told }).unwrap();
            journal.written(number).await;
            if at == 1_000 {
                journal.close().await;
            }
        }
        journal.redact(1_000).await;
        assert_eq!(text_of(folder.path()).matches("canary").count(), 4, "nothing is old yet");
        journal.redact(1_001).await;
        assert_eq!(text_of(folder.path()).matches("canary").count(), 2, "one file is old");
        // The file that is written to is closed when it is its turn.
        journal.redact(5_001).await;
        assert_eq!(text_of(folder.path()).matches("canary").count(), 0);
        drop(journal);
        // A crash in the midst of it has left an unfinished copy.
        fs::write(folder.path().join(format!("{:032x}-{:08}.new", 1, 1)), "canary").unwrap();
        let next = started(folder.path(), 1);
        let mut seen = Vec::new();
        while let Some(segment) = next.take().await {
            for record in segment.records() {
                let Record::Click(click) = record else { panic!("{record:?}") };
                assert_eq!((agents::recognise(click.user_agent).browser, click.query), ("Firefox", "utm_source=news"));
                seen.push(click.at);
            }
            next.remove(segment.name).await;
        }
        seen.sort_unstable();
        assert_eq!((seen, fs::read_dir(folder.path()).unwrap().count()), (vec![1_000, 5_000], 0));
    }
}
