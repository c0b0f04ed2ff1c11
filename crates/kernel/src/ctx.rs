//! The context of one piece of work: the app, who is calling, and the request.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use db::Conn;

use crate::actor::Actor;
use crate::app::App;
use crate::audit::Sealer;
use crate::error::{IDEMPOTENCY_KEY_IN_USE, Result};
use crate::id::Id;
use crate::idempotency::{self, Claim};
use crate::outbox;
use crate::settings::Section;
use crate::time::Timestamp;
use crate::tx::{Effects, Tx};

/// What is known about the request, independent of who makes it.
#[derive(Clone, Debug)]
pub struct RequestInfo {
    /// The id in logs, audit rows, events and the `X-Request-Id` header.
    pub id: String,
    /// Where the request comes from, after trusted proxies.
    pub client_address: IpAddr,
    /// The client's `User-Agent`, cut to 256 bytes.
    pub user_agent: Option<String>,
    /// The language the caller prefers, from `Accept-Language`.
    pub locale: String,
    /// Whether the connection is encrypted, or a trusted proxy says so.
    pub is_secure: bool,
}

impl RequestInfo {
    /// The work of the system itself, under this name.
    pub fn internal(id: impl Into<String>) -> Self {
        RequestInfo {
            id: id.into(),
            client_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            user_agent: None,
            locale: "en".to_owned(),
            is_secure: true,
        }
    }
}

/// Everything a service verb needs, and its first argument.
#[derive(Clone)]
pub struct Ctx {
    /// The app: settings, state, ports.
    pub app: App,
    /// Who is calling.
    pub actor: Actor,
    /// The request.
    pub request: Arc<RequestInfo>,
    claim: Option<Arc<PendingClaim>>,
}

/// The claim on an idempotency key that the first transaction of the request writes.
struct PendingClaim {
    claim: Claim,
    is_written: AtomicBool,
}

impl Ctx {
    /// The context of this request by this actor.
    pub fn new(app: App, actor: Actor, request: Arc<RequestInfo>) -> Self {
        Ctx { app, actor, request, claim: None }
    }

    /// The context of work that the system does by itself.
    pub fn system(app: &App, name: &str) -> Self {
        Ctx::new(app.clone(), Actor::system(), Arc::new(RequestInfo::internal(name)))
    }

    /// The same context, whose first write claims an idempotency key in its transaction.
    pub(crate) fn with_claim(self, claim: Claim) -> Ctx {
        Ctx { claim: Some(Arc::new(PendingClaim { claim, is_written: AtomicBool::new(false) })), ..self }
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        self.app.clock().now()
    }

    /// A fresh identifier.
    pub fn new_id<T>(&self) -> Id<T> {
        self.app.new_id()
    }

    /// The module's state.
    ///
    /// # Panics
    /// When no module registered a state of this type: a programming error that every test of the module meets.
    pub fn state<T: Send + Sync + 'static>(&self) -> &T {
        self.app.state()
    }

    /// The settings section of this type.
    ///
    /// # Panics
    /// When no module registered the section: a programming error that every test of the module meets.
    pub fn settings<S: Section>(&self) -> &S {
        self.app.settings()
    }

    /// Fails with `reauthentication_required` when the login is older than `max_age` (SES-10).
    pub fn require_recent(&self, max_age: Duration) -> Result<()> {
        self.actor.require_recent(self.now(), max_age)
    }

    /// Reads from the database: short reads that an index answers.
    pub async fn read<T, F>(&self, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Conn) -> Result<T> + Send + Sync + 'static,
    {
        self.app.db().read(f).await
    }

    /// Reads from the database off the request workers: searches, reports, exports.
    pub async fn read_long<T, F>(&self, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Conn) -> Result<T> + Send + Sync + 'static,
    {
        self.app.db().read_long(f).await
    }

    /// Writes to the database in one transaction, with its events, jobs, mails and audit rows.
    ///
    /// The closure may run more than once and so has no side effects of its own. It has committed, durably, when this returns `Ok`.
    pub async fn write<T, F>(&self, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Tx<'_, '_>) -> Result<T> + Send + Sync + 'static,
    {
        let ctx = self.clone();
        let claim = self.claim.clone().filter(|claim| !claim.is_written.load(Ordering::Acquire));
        let written = claim.clone();
        let (value, effects) = self
            .app
            .db()
            .write(move |inner| {
                if let Some(pending) = &claim
                    && !idempotency::store::claim(inner, &pending.claim.key_hash, &pending.claim.fingerprint, ctx.now())?
                {
                    return Err(IDEMPOTENCY_KEY_IN_USE.error().retry_after(1));
                }
                let mut tx = Tx::new(inner, &ctx);
                let value = f(&mut tx)?;
                Ok((value, tx.into_effects()))
            })
            .await?;
        if let Some(pending) = written {
            pending.is_written.store(true, Ordering::Release);
        }
        self.after_commit(effects);
        Ok(value)
    }

    /// Runs `f` again and again, a transaction each, until it finds less than a whole batch to do.
    ///
    /// For purges and backfills: one transaction over millions of rows would hold up every other writer.
    pub async fn write_in_batches<F>(&self, batch: u64, f: F) -> Result<()>
    where
        F: Fn(&mut Tx<'_, '_>) -> Result<u64> + Clone + Send + Sync + 'static,
    {
        while self.write(f.clone()).await? >= batch {}
        Ok(())
    }

    fn after_commit(&self, effects: Effects) {
        if effects.jobs > 0 {
            self.app.jobs().wake();
        }
        if effects.audit_rows > 0 {
            self.state::<Sealer>().wake();
        }
        for event in &effects.events {
            outbox::tell_own(&self.app, event);
        }
    }
}
