//! The walk along the chain, which names the first place where something is not as it was written.

use crate::app::App;
use crate::audit::chain::{self, GENESIS, Hash};
use crate::audit::sealer::HEAD;
use crate::audit::store::{self, AuditRow, Checkpoint, PRUNED};
use crate::error::Result;
use crate::seal::Keyring;

/// Rows that one look takes; the store's SQL says the same number.
const BATCH: u64 = 1_000;

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The first row that is kept; one more than the last when there is none.
    pub first_seq: i64,
    /// The last row that was found whole; 0 when there is none.
    pub last_seq: i64,
    /// Its hash.
    pub last_hash: Hash,
    /// How many rows were looked at.
    pub row_count: u64,
    /// How many of them tell no more where somebody called from, or lack what was personal.
    pub erased_count: u64,
    /// Whether rows wait to be sealed; for more than moments only where no server runs.
    pub has_waiting: bool,
    /// The first thing that is wrong.
    pub fault: Option<Fault>,
}

/// Something wrong with the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The first place where it shows.
    pub seq: i64,
    /// What it is.
    pub kind: FaultKind,
}

/// What can be wrong with the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The row is not there, also at the end of the chain.
    Missing,
    /// The row is not what was sealed.
    Changed,
    /// The row does not follow the row before it.
    Unlinked,
    /// The erasable members of the row are not those that were sealed.
    PersonalChanged,
    /// The row has a place that no sealer gave out.
    Surplus,
    /// The note of where the chain ends is gone.
    HeadMissing,
    /// The note of where the chain ends was not written by this server.
    HeadForged,
    /// A checkpoint was not written by this server.
    CheckpointForged,
    /// A head that was kept elsewhere, or a daily one, names another hash.
    OtherHead,
}

impl FaultKind {
    const ALL: [FaultKind; 9] = [
        FaultKind::Missing,
        FaultKind::Changed,
        FaultKind::Unlinked,
        FaultKind::PersonalChanged,
        FaultKind::Surplus,
        FaultKind::HeadMissing,
        FaultKind::HeadForged,
        FaultKind::CheckpointForged,
        FaultKind::OtherHead,
    ];

    /// The kind of this name.
    pub(super) fn parse(name: &str) -> Option<FaultKind> {
        FaultKind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Its name in answers and events.
    pub fn as_str(self) -> &'static str {
        match self {
            FaultKind::Missing => "missing",
            FaultKind::Changed => "changed",
            FaultKind::Unlinked => "unlinked",
            FaultKind::PersonalChanged => "personal_changed",
            FaultKind::Surplus => "surplus",
            FaultKind::HeadMissing => "head_missing",
            FaultKind::HeadForged => "head_forged",
            FaultKind::CheckpointForged => "checkpoint_forged",
            FaultKind::OtherHead => "other_head",
        }
    }

    /// What it means, to follow the place.
    pub fn sentence(self) -> &'static str {
        match self {
            FaultKind::Missing => "the row is missing",
            FaultKind::Changed => "the row was changed",
            FaultKind::Unlinked => "the row does not follow the row before it: one of them was replaced, removed or moved",
            FaultKind::PersonalChanged => "the address, the program or what is personal was changed, not erased",
            FaultKind::Surplus => "the row was put in by somebody else than the sealer",
            FaultKind::HeadMissing => "the note of where the chain ends is gone",
            FaultKind::HeadForged => "the note of where the chain ends was not written with the key of this server",
            FaultKind::CheckpointForged => "the checkpoint was not written with the key of this server",
            FaultKind::OtherHead => "a head that was written down earlier names another hash",
        }
    }
}

/// A head that was kept elsewhere: a mail, a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownHead {
    /// The place.
    pub seq: i64,
    /// The hash of the row there.
    pub hash: Hash,
}

impl KnownHead {
    /// Reads `seq:hash` as it was mailed and logged.
    pub fn parse(text: &str) -> Option<KnownHead> {
        let (seq, hash) = text.trim().split_once(':')?;
        Some(KnownHead { seq: seq.parse().ok().filter(|seq| *seq > 0)?, hash: chain::parse_hash(hash)? })
    }
}

impl App {
    /// Walks the whole chain of the audit trail; see [`Report::fault`].
    pub async fn verify_audit(&self, known: Option<KnownHead>) -> Result<Report> {
        verify(self, known, |_| ()).await
    }
}

/// Walks the whole chain in steps of a thousand rows, none of which is kept; `progress` is told the rows so far after each step.
pub(super) async fn verify(app: &App, known: Option<KnownHead>, mut progress: impl FnMut(u64)) -> Result<Report> {
    let mut walk = Walk { seq: -1, hash: GENESIS, first_seq: 1, row_count: 0, erased_count: 0, fault: None };
    loop {
        let (keys, from) = (app.keyring().clone(), walk.clone());
        let (next, is_over) = app.db().read_long(move |c| step(c, &keys, known, from.clone())).await?;
        walk = next;
        progress(walk.row_count);
        if is_over || walk.fault.is_some() {
            let has_waiting = app.db().read(|c| Ok::<_, crate::Error>(store::has_unsealed(c)?)).await?;
            return Ok(Report {
                first_seq: walk.first_seq,
                last_seq: walk.seq.max(0),
                last_hash: walk.hash,
                row_count: walk.row_count,
                erased_count: walk.erased_count,
                has_waiting,
                fault: walk.fault,
            });
        }
    }
}

/// How far the walk has come.
#[derive(Clone, Debug)]
struct Walk {
    /// The last row that was looked at; less than none before the first step.
    seq: i64,
    hash: Hash,
    first_seq: i64,
    row_count: u64,
    erased_count: u64,
    fault: Option<Fault>,
}

impl Walk {
    fn fail(&mut self, seq: i64, kind: FaultKind) {
        // The first fault is the one that is told; what follows it may be its consequence.
        if self.fault.is_none() {
            self.fault = Some(Fault { seq, kind });
        }
    }

    /// Looks at the next row.
    fn row(&mut self, row: &AuditRow, keys: &Keyring, daily: &[Checkpoint], known: Option<KnownHead>) {
        let (Some(seq), None) = (row.seq, self.fault) else { return };
        if seq != self.seq + 1 {
            return self.fail(self.seq + 1, FaultKind::Missing);
        }
        if row.prev_hash != Some(self.hash) {
            return self.fail(seq, FaultKind::Unlinked);
        }
        let hash = chain::row_hash(row, seq, &self.hash);
        if row.hash != Some(hash) {
            return self.fail(seq, FaultKind::Changed);
        }
        if !chain::is_true_to_its_commitments(row) {
            return self.fail(seq, FaultKind::PersonalChanged);
        }
        let written = daily.binary_search_by_key(&seq, |checkpoint| checkpoint.seq).ok().map(|at| &daily[at]);
        if written.is_some_and(|written| !is_ours(keys, written)) {
            return self.fail(seq, FaultKind::CheckpointForged);
        }
        if written.is_some_and(|written| written.hash != hash) || known.is_some_and(|known| known.seq == seq && known.hash != hash) {
            return self.fail(seq, FaultKind::OtherHead);
        }
        (self.seq, self.hash) = (seq, hash);
        self.row_count += 1;
        let is_erased =
            (row.origin_hash.is_some() && row.origin_salt.is_none()) || (row.personal_hash.is_some() && row.personal_salt.is_none());
        self.erased_count += u64::from(is_erased);
    }
}

/// Looks at the next thousand rows, in one state of the database, and at the end of the chain at its end.
fn step(c: &mut db::Conn, keys: &Keyring, known: Option<KnownHead>, mut walk: Walk) -> Result<(Walk, bool)> {
    begin(c, keys, &mut walk)?;
    let daily = store::daily_after(c, walk.seq)?;
    let mut seen = 0;
    store::each_sealed(c, walk.seq, |row| {
        seen += 1;
        walk.row(&row, keys, &daily, known);
    })?;
    let is_over = seen < BATCH;
    if is_over {
        end(c, keys, known, &mut walk)?;
    }
    Ok((walk, is_over))
}

/// Begins where the rows begin that are kept; rows may be pruned while the walk goes on.
fn begin(c: &mut db::Conn, keys: &Keyring, walk: &mut Walk) -> Result<()> {
    let base = store::base(c)?;
    let (seq, hash) = base.as_ref().map_or((0, GENESIS), |base| (base.seq, base.hash));
    if let Some(base) = base.filter(|base| !is_ours(keys, base)) {
        walk.fail(base.seq, FaultKind::CheckpointForged);
    }
    if seq > walk.seq {
        (walk.seq, walk.hash, walk.first_seq) = (seq, hash, seq + 1);
        if let Some(surplus) = store::first_seq(c)?.filter(|first| *first <= seq) {
            walk.fail(surplus, FaultKind::Surplus);
        }
    }
    Ok(())
}

fn is_ours(keys: &Keyring, checkpoint: &Checkpoint) -> bool {
    chain::is_head_mac(keys, &checkpoint.kind, checkpoint.seq, &checkpoint.hash, checkpoint.at, &checkpoint.mac)
}

/// Compares the end of the chain with every note of where it ends.
fn end(c: &mut db::Conn, keys: &Keyring, known: Option<KnownHead>, walk: &mut Walk) -> Result<()> {
    let last = walk.seq;
    match store::head(c)? {
        None if last == 0 => {}
        None => walk.fail(last, FaultKind::HeadMissing),
        Some(head) if !chain::is_head_mac(keys, HEAD, head.seq, &head.hash, head.at, &head.mac) => {
            walk.fail(head.seq, FaultKind::HeadForged)
        }
        Some(head) if head.seq > last => walk.fail(last + 1, FaultKind::Missing),
        Some(head) if head.seq < last => walk.fail(head.seq + 1, FaultKind::Surplus),
        Some(head) if head.hash != walk.hash => walk.fail(last, FaultKind::OtherHead),
        Some(_) => {}
    }
    let is_beyond = |seq: i64| seq > last;
    if store::daily_after(c, last)?.first().is_some_and(|checkpoint| is_beyond(checkpoint.seq))
        || known.is_some_and(|known| is_beyond(known.seq))
    {
        walk.fail(last + 1, FaultKind::Missing);
    }
    Ok(())
}

/// The checkpoint of the last row that is pruned.
pub(super) fn pruned_at(keys: &Keyring, seq: i64, hash: Hash, at: crate::Timestamp) -> Checkpoint {
    Checkpoint { kind: PRUNED.to_owned(), seq, hash, at, mac: chain::head_mac(keys, PRUNED, seq, &hash, at) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_is_mailed() {
        let text = format!("4711:{}", "ab".repeat(32));
        assert_eq!(KnownHead::parse(&text), Some(KnownHead { seq: 4711, hash: [0xab; 32] }));
        for wrong in ["", "4711", "x:ab", "0:ab", "4711:ab", &format!("-1:{}", "ab".repeat(32))] {
            assert_eq!(KnownHead::parse(wrong), None, "{wrong}");
        }
    }
}
