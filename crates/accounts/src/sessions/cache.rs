//! Sessions that were looked up lately, so that a request need not ask the database who is calling.
//!
//! An entry is dropped by the event that changes it, on this node at once and on others within seconds. A look-up that began
//! before such an event must not put its stale answer back: it notes the generation first and stores only if it still holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kernel::{Id, Identity, Permissions, Session, Timestamp, UserId};
use quick_cache::sync::Cache;

use crate::sessions::SessionKind;

/// Sessions remembered at once.
const CAPACITY: usize = 50_000;
/// How long an entry is believed without asking again, should an event be lost.
const BELIEVED: Duration = Duration::from_secs(60);

/// What a live session means for a request.
#[derive(Debug)]
pub(crate) struct Cached {
    pub(crate) identity: Arc<Identity>,
    pub(crate) kind: SessionKind,
    /// The hash of the one cookie that this session has now; an older one is dead (SES-1).
    pub(crate) cookie: Option<[u8; 32]>,
    pub(crate) permissions: Permissions,
    pub(crate) sec_epoch: i64,
    pub(crate) admin_seen_at: Option<Timestamp>,
    pub(crate) idle_at: Timestamp,
    pub(crate) absolute_at: Timestamp,
    pub(crate) last_seen_at: Timestamp,
    pub(crate) loaded_at: Timestamp,
}

impl Cached {
    /// Whether the entry can still be believed.
    pub(crate) fn is_fresh(&self, now: Timestamp) -> bool {
        // An admin grant that lapsed since may have been kept awake through another node.
        let has_lapsed = self.identity.admin_until.is_some_and(|until| self.loaded_at < until && until <= now);
        now < self.idle_at && now < self.absolute_at && now.since(self.loaded_at) < BELIEVED && !has_lapsed
    }
}

/// The sessions looked up lately, by id and by the hash of their cookie or access token.
pub(crate) struct SessionCache {
    sessions: Cache<Id<Session>, Arc<Cached>>,
    cookies: Cache<[u8; 32], Id<Session>>,
    tokens: Cache<[u8; 32], Arc<crate::tokens::jwt::Claims>>,
    generation: AtomicU64,
}

impl Default for SessionCache {
    fn default() -> Self {
        SessionCache {
            sessions: Cache::new(CAPACITY),
            cookies: Cache::new(CAPACITY),
            tokens: Cache::new(CAPACITY),
            generation: AtomicU64::new(0),
        }
    }
}

impl SessionCache {
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn session(&self, id: Id<Session>, now: Timestamp) -> Option<Arc<Cached>> {
        self.sessions.get(&id).filter(|cached| cached.is_fresh(now))
    }

    pub(crate) fn by_cookie(&self, hash: &[u8; 32], now: Timestamp) -> Option<Arc<Cached>> {
        self.session(self.cookies.get(hash)?, now).filter(|cached| cached.cookie.as_ref() == Some(hash))
    }

    pub(crate) fn claims(&self, hash: &[u8; 32]) -> Option<Arc<crate::tokens::jwt::Claims>> {
        self.tokens.get(hash)
    }

    /// Stores what a look-up found, unless something changed since it began.
    pub(crate) fn store(&self, generation: u64, id: Id<Session>, cached: Arc<Cached>) {
        if self.generation() != generation {
            return;
        }
        let cookie = cached.cookie;
        self.sessions.insert(id, cached);
        if let Some(hash) = cookie {
            self.cookies.insert(hash, id);
        }
        // The change may have come between the check and the insert.
        if self.generation() != generation {
            self.sessions.remove(&id);
        }
    }

    pub(crate) fn store_claims(&self, hash: [u8; 32], claims: Arc<crate::tokens::jwt::Claims>) {
        self.tokens.insert(hash, claims);
    }

    pub(crate) fn forget_session(&self, id: Id<Session>) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.sessions.remove(&id);
    }

    pub(crate) fn forget_user(&self, user: UserId) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.sessions.retain(|_, cached| cached.identity.user_id != user);
    }

    /// Forgets every token and session: a signing key or a role changed.
    pub(crate) fn forget_all(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.sessions.clear();
        self.tokens.clear();
    }
}
