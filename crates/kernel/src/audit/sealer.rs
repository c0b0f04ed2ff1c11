//! The sealer: gives rows their places and hashes, one at a time over all nodes.
//!
//! The lease is the lock on the row of the head, held for one transaction and let go with it, also by a node that dies. On SQLite
//! there is one writer anyway. Were there two all the same, the second finds the head moved, or the place taken, and its
//! transaction fails whole: the chain cannot fork.
//!
//! A node wakes its own sealer when it has committed audit rows. Looking for those of others (the command line, a node that died)
//! is one read of an index every two seconds; nothing is written while nothing happens.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::app::App;
use crate::audit::chain::{self, GENESIS};
use crate::audit::store::{self, Head};
use crate::error::{Error, LogAndContinue as _, Result};
use crate::seal::Keyring;
use crate::time::Timestamp;

/// How often rows of others are looked for.
const LOOK: Duration = Duration::from_secs(2);
/// How long rows are gathered after the first, so that a busy server seals many in one transaction.
const GATHER: Duration = Duration::from_millis(500);
/// Rows that one transaction seals; the store's SQL says the same number. More would hold up the writers of SQLite.
const BATCH: usize = 200;

/// Kept in the head's checkpoints.
pub(super) const HEAD: &str = "head";

/// Wakes the sealer of this node.
#[derive(Debug, Default)]
pub(crate) struct Sealer {
    wake: Notify,
    has_own: AtomicBool,
}

impl Sealer {
    /// Says that this node has committed audit rows.
    pub(crate) fn wake(&self) {
        self.has_own.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }
}

/// Seals until the app stops.
pub(crate) async fn run(app: App) {
    let mut stopping = app.stopping();
    while !stopping.is_set() {
        tokio::select! {
            sealed = seal(&app) => {
                sealed.log_and_continue("sealing the audit trail");
            }
            // However much waits: the next server goes on with it.
            () = stopping.wait() => return,
        }
        let gather = async {
            tokio::select! {
                () = app.state::<Sealer>().wake.notified() => tokio::time::sleep(GATHER).await,
                () = tokio::time::sleep(LOOK) => {}
            }
        };
        tokio::select! {
            () = gather => {}
            () = stopping.wait() => {}
        }
    }
}

/// Seals what this process has committed since it looked last; what it only found is left to others.
pub(crate) async fn seal_own(app: &App) {
    if app.state::<Sealer>().has_own.swap(false, Ordering::Relaxed) {
        seal(app).await.log_and_continue("sealing the audit trail");
    }
}

impl App {
    /// Seals all audit rows that wait; the number of rows. For tests: a running server does it by itself.
    pub async fn seal_audit(&self) -> Result<u64> {
        seal(self).await
    }
}

/// Seals all rows that wait; tells how many there were.
pub(super) async fn seal(app: &App) -> Result<u64> {
    let mut total = 0;
    // A read first: it costs nothing, and a write would.
    while app.db().read(|c| Ok::<_, Error>(store::has_unsealed(c)?)).await? {
        let (keys, now) = (app.keyring().clone(), app.clock().now());
        let sealed = app.db().write(move |tx| seal_batch(tx, &keys, now)).await?;
        total += sealed as u64;
        if sealed < BATCH {
            break;
        }
    }
    Ok(total)
}

fn seal_batch(tx: &mut db::Tx<'_>, keys: &Keyring, now: Timestamp) -> Result<usize> {
    let Some(head) = take_lease(tx, keys, now)? else { return Ok(0) };
    let rows = store::unsealed(tx)?;
    if rows.is_empty() {
        return Ok(0);
    }
    let (mut seq, mut hash) = (head.seq, head.hash);
    for row in &rows {
        seq += 1;
        let next = chain::row_hash(row, seq, &hash);
        if !store::seal(tx, row.id, seq, &hash, &next)? {
            return Err(Error::internal("an audit row was sealed by somebody else in the meantime"));
        }
        hash = next;
    }
    let mac = chain::head_mac(keys, HEAD, seq, &hash, now);
    let moved = Head { seq, hash, at: now, mac, addresses_until: head.addresses_until };
    if !store::move_head(tx, &head, &moved)? {
        return Err(Error::internal("the head of the audit chain was moved by somebody else in the meantime"));
    }
    Ok(rows.len())
}

/// The head for this transaction alone; none while another sealer has it.
fn take_lease(tx: &mut db::Tx<'_>, keys: &Keyring, now: Timestamp) -> Result<Option<Head>> {
    if let Some(head) = store::lock_head(tx)? {
        return Ok(Some(head));
    }
    if store::head(tx)?.is_some() {
        return Ok(None);
    }
    if store::has_history(tx)? {
        return Err(Error::internal("the head of the audit chain is gone, so nothing more is sealed; run undercroft audit verify"));
    }
    let mac = chain::head_mac(keys, HEAD, 0, &GENESIS, now);
    let head = Head { seq: 0, hash: GENESIS, at: now, mac, addresses_until: Timestamp::from_millis(0) };
    Ok(store::insert_head(tx, &head)?.then_some(head))
}
