//! The signing keys in use: made a day ahead, active for 90 days, published until their last token has expired (TOK-9).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use kernel::error::{QUOTA_EXCEEDED, UNAVAILABLE};
use kernel::{App, AuditEntry, Clock, Ctx, Error, Result, Timestamp};
use tokio::sync::Mutex;

use crate::events::SigningKeyRotated;
use crate::tokens::jwt::{Claims, TokenProblem, Verifier, mint};
use crate::tokens::keys::{Jwks, KeyAlgorithm, SigningKey};
use crate::tokens::store;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long a key signs.
const ACTIVE: Duration = Duration::from_secs(90 * 24 * 3600);
/// How long before its use a key is published.
const AHEAD: Duration = DAY;
/// How long a key is published after its use: longer than any access token lives.
const AFTER: Duration = Duration::from_secs(2 * 3600);

struct Loaded {
    key: SigningKey,
    active_from: Timestamp,
}

/// The keys of this node.
pub(crate) struct SigningKeys {
    verifier: Verifier,
    loaded: RwLock<Arc<Vec<Loaded>>>,
    /// How often the keys changed, and up to which change they were read.
    changes: AtomicU64,
    read: AtomicU64,
    /// Whoever comes while somebody reads the keys waits for them: without them good tokens would look forged.
    reading: Mutex<()>,
}

impl SigningKeys {
    pub(crate) fn new(issuer: &str, clock: Clock) -> Result<SigningKeys> {
        let verifier = Verifier::new([], issuer, issuer, clock)?;
        let (changes, read) = (AtomicU64::new(1), AtomicU64::new(0));
        Ok(SigningKeys { verifier, loaded: RwLock::default(), changes, read, reading: Mutex::default() })
    }

    /// Reads the keys again before they are next used.
    pub(crate) fn mark_stale(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn verify(&self, token: &str) -> Result<Claims, TokenProblem> {
        self.verifier.verify(token)
    }

    /// Signs with the key that is active now.
    pub(crate) fn mint(&self, claims: &Claims, now: Timestamp) -> Result<String> {
        let loaded = self.snapshot();
        let active = loaded.iter().rev().find(|loaded| loaded.active_from <= now);
        let active = active.ok_or_else(|| UNAVAILABLE.because("There is no signing key yet.").retry_after(1))?;
        mint(&active.key, claims)
    }

    pub(crate) fn jwks(&self) -> Jwks {
        self.snapshot().iter().map(|loaded| loaded.key.public()).collect()
    }

    fn is_read(&self) -> bool {
        self.read.load(Ordering::Acquire) == self.changes.load(Ordering::Acquire)
    }

    fn snapshot(&self) -> Arc<Vec<Loaded>> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Loads the keys if they changed.
pub(crate) async fn refresh(app: &App) -> Result<()> {
    let keys = app.state::<SigningKeys>();
    if keys.is_read() {
        return Ok(());
    }
    let _turn = keys.reading.lock().await;
    if keys.is_read() {
        return Ok(());
    }
    let changes = keys.changes.load(Ordering::Acquire);
    let loaded = load(app).await?;
    keys.verifier.replace_keys(loaded.iter().map(|loaded| loaded.key.public()));
    *keys.loaded.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded);
    keys.read.store(changes, Ordering::Release);
    Ok(())
}

async fn load(app: &App) -> Result<Vec<Loaded>> {
    let now = app.clock().now();
    let rows = app.db().read(move |c| Ok::<_, Error>(store::keys(c, now)?)).await?;
    rows.into_iter()
        .map(|row| {
            let algorithm = KeyAlgorithm::parse(&row.algorithm).ok_or_else(|| Error::internal("a signing key has an unknown algorithm"))?;
            let pkcs8 = app.keyring().open(&context(&row.kid), &row.private_sealed)?;
            Ok(Loaded { key: SigningKey::from_pkcs8(algorithm, &pkcs8)?, active_from: row.active_from })
        })
        .collect()
}

fn context(kid: &str) -> String {
    format!("accounts_signing_keys.private/{kid}")
}

/// Makes a key when none signs now, and the next one at least a day before the last one ends.
pub(crate) async fn keep_supplied(app: &App) -> Result<()> {
    let now = app.clock().now();
    let spans = app.db().read(move |c| Ok::<_, Error>(store::key_spans(c, now + AFTER)?)).await?;
    if !spans.iter().any(|(active_from, _)| *active_from <= now) {
        make(&system(app), now).await?;
    }
    // The job looks once a day, so a key that ends within two days must have its successor by now. It starts where that one
    // ends: later, and a server that restarts in between would have no key to sign with.
    let end = spans.iter().map(|(_, retire_at)| *retire_at - AFTER).max();
    match end.filter(|end| *end <= now + AHEAD + DAY) {
        Some(end) => make(&system(app), end).await.map(|_| ()),
        None => Ok(()),
    }
}

/// Most keys that are published at once; each stays until its last token has expired.
const MAX_KEYS: usize = 50;

/// Makes a new key that signs from tomorrow on, or at once; tells its name.
pub(crate) async fn rotate(ctx: &Ctx, at_once: bool) -> Result<String> {
    let now = ctx.now();
    if published(ctx).await?.len() >= MAX_KEYS {
        return Err(QUOTA_EXCEEDED.because("So many keys are published already; wait until an old one retires."));
    }
    make(ctx, if at_once { now } else { now + AHEAD }).await
}

/// A key that is published, without its private part.
pub(crate) struct PublishedKey {
    pub(crate) kid: String,
    pub(crate) algorithm: String,
    pub(crate) active_from: Timestamp,
    pub(crate) retire_at: Timestamp,
}

/// The keys that are published: signing now, soon, or still needed for tokens already made.
pub(crate) async fn published(ctx: &Ctx) -> Result<Vec<PublishedKey>> {
    let now = ctx.now();
    let rows = ctx.read(move |c| Ok(store::keys(c, now)?)).await?;
    let key = |row: store::KeyRow| {
        let store::KeyRow { kid, algorithm, active_from, retire_at, .. } = row;
        PublishedKey { kid, algorithm, active_from, retire_at }
    };
    Ok(rows.into_iter().map(key).collect())
}

fn system(app: &App) -> Ctx {
    Ctx::system(app, "signing-keys")
}

/// Makes a key that signs from `active_from` on.
async fn make(ctx: &Ctx, active_from: Timestamp) -> Result<String> {
    let app = &ctx.app;
    let key = SigningKey::generate(KeyAlgorithm::Es256)?;
    let kid = key.public().kid().to_owned();
    let sealed = app.keyring().seal(app.random(), &context(&kid), key.pkcs8());
    let jwk = serde_json::to_string(&key.public().jwk()).map_err(Error::internal)?;
    let (id, now) = (ctx.new_id(), ctx.now());
    let made = kid.clone();
    ctx.write(move |tx| {
        let new = store::NewKey {
            id,
            kid: &kid,
            algorithm: KeyAlgorithm::Es256.as_str(),
            public_jwk: &jwk,
            private_sealed: &sealed,
            active_from,
            retire_at: active_from + ACTIVE + AFTER,
        };
        store::insert_key(tx, &new, now)?;
        tx.record(&SigningKeyRotated { kid: kid.clone() })?;
        tx.audit(AuditEntry::ok("accounts.signing_key.rotate", &format!("signing_key:{kid}")))
    })
    .await?;
    app.state::<SigningKeys>().mark_stale();
    refresh(app).await?;
    Ok(made)
}
