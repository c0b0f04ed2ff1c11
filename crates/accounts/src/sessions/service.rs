//! The verbs of sessions: start, authenticate, list, revoke, log out.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use kernel::error::{NOT_FOUND, UNAUTHENTICATED};
use kernel::page::{CursorValue, KeyKind, Keyset, Page, PageRequest, SortKey};
use kernel::ports::{Authenticator, Credential};
use kernel::{
    Actor, App, AuditEntry, CredentialKind, Ctx, Error, Id, Identity, LogAndContinue, Permissions, RequestInfo, Result, Session, Timestamp,
    Tx, UserId,
};

use crate::api_keys;
use crate::emails;
use crate::events::{SessionRevoked, SessionStarted};
use crate::logins::device::Device;
use crate::passwords;
use crate::roles;
use crate::secrets::Token;
use crate::sessions::{Cached, SessionCache, SessionKind, SessionRecord, store};
use crate::settings::{SessionSettings, TokenSettings};
use crate::tokens::refresh::{self, FirstRefresh, TokenPair};
use crate::tokens::store as token_store;
use crate::users::{self, UserRecord, UserStatus};

/// How often the last sight of a session is written down.
const TOUCH_EVERY: Duration = Duration::from_secs(5 * 60);
/// How often the use of an admin grant is written down.
const TOUCH_ADMIN_EVERY: Duration = Duration::from_secs(60);
/// Most live sessions of a person; the oldest goes first (accounts.md §13).
const MAX_SESSIONS: u32 = 100;
const SORT_KEYS: &[SortKey] = &[SortKey { name: "created_at", column: "created_at", kind: KeyKind::Int }];

/// A login about to be stored: its ids and secrets are made before the transaction.
pub(crate) struct NewSession {
    pub(crate) record: SessionRecord,
    cookie: Option<Token>,
    refresh: Option<FirstRefresh>,
    /// The browser that holds it, to be known again (LOG-2).
    device: Option<Device>,
}

/// A login that was made, with what the client gets to hold.
pub(crate) struct Started {
    pub(crate) session: SessionRecord,
    pub(crate) user: UserRecord,
    pub(crate) roles: Vec<String>,
    pub(crate) cookie: Option<Token>,
    pub(crate) tokens: Option<TokenPair>,
    pub(crate) device: Option<Device>,
    /// Whether the password must be changed before the roles count again (PWD-7).
    pub(crate) must_change: bool,
}

impl NewSession {
    /// A new login of this person by this method.
    pub(crate) fn new(ctx: &Ctx, user_id: UserId, kind: SessionKind, method: &str) -> NewSession {
        let (now, (idle, absolute)) = (ctx.now(), lives(ctx, kind));
        let id = ctx.new_id();
        let record = SessionRecord {
            id,
            user_id,
            kind,
            amr: method.to_owned(),
            auth_time: now,
            admin_until: Some(admin_end(ctx)),
            admin_seen_at: Some(now),
            is_remembered: false,
            created_at: now,
            last_seen_at: now,
            idle_at: now + idle,
            absolute_at: now + absolute,
            revoked_at: None,
            ip: ctx.request.client_address.to_string(),
            user_agent: ctx.request.user_agent.clone(),
        };
        let cookie = (kind == SessionKind::Browser).then(|| Token::generate(ctx.app.random()));
        let refresh = (kind == SessionKind::Token).then(|| FirstRefresh::new(ctx, id));
        let device = (kind == SessionKind::Browser).then(|| Device::new(ctx, user_id));
        NewSession { record, cookie, refresh, device }
    }

    /// The same login, by a browser that was known already.
    #[must_use]
    pub(crate) fn on(self, known: Option<Device>) -> NewSession {
        NewSession { device: self.device.map(|new| known.unwrap_or(new)), ..self }
    }

    /// The same login, whose cookie outlives the browser's own session if `is_remembered`.
    pub(crate) fn remembered(mut self, is_remembered: bool) -> NewSession {
        self.record.is_remembered = is_remembered;
        self
    }

    /// Stores the login in the caller's transaction.
    pub(crate) fn insert(&self, tx: &mut Tx<'_, '_>) -> Result<()> {
        let session = &self.record;
        store::insert(tx, session, self.cookie.as_ref().map(Token::hash))?;
        if let Some(refresh) = &self.refresh {
            token_store::insert_refresh(tx, &refresh.row)?;
        }
        users::store::note_login(tx, session.user_id, session.created_at)?;
        drop_surplus(tx, session)?;
        let (session_id, user_id) = (session.id.uuid(), session.user_id.uuid());
        tx.record(&SessionStarted { session_id, user_id, method: session.amr.clone() })?;
        let subject = format!("user:{}", session.user_id);
        let detail = serde_json::json!({ "method": session.amr, "device": self.device.as_ref().map(Device::label) });
        tx.audit(AuditEntry::ok("accounts.session.start", &subject).with_detail(detail))
    }

    /// What the client gets to hold, once the transaction has committed.
    pub(crate) async fn finish(&self, ctx: &Ctx) -> Result<Started> {
        let user_id = self.record.user_id;
        let (user, roles) =
            ctx.read(move |c| Ok((users::store::find(c, user_id)?.ok_or(&NOT_FOUND)?, roles::store::names_of(c, user_id)?))).await?;
        let tokens = match &self.refresh {
            None => None,
            Some(first) => {
                let (access_token, expires_in_secs) =
                    refresh::mint_access(ctx, self.record.id, user_id, first.row.access_jti, first.row.created_at).await?;
                Some(TokenPair { access_token, expires_in_secs, refresh_token: first.token.clone() })
            }
        };
        Ok(Started {
            session: self.record.clone(),
            user,
            roles,
            cookie: self.cookie.clone(),
            tokens,
            device: self.device.clone(),
            must_change: false,
        })
    }
}

/// How long a session lasts unused, and at most (SES-3, TOK-8).
fn lives(ctx: &Ctx, kind: SessionKind) -> (Duration, Duration) {
    let (sessions, tokens) = (ctx.settings::<SessionSettings>(), ctx.settings::<TokenSettings>());
    match kind {
        SessionKind::Browser => (*sessions.idle, *sessions.absolute),
        SessionKind::Token => (*tokens.refresh_idle, *tokens.refresh_absolute),
    }
}

/// When an admin grant that begins now ends at the latest (SES-3).
pub(crate) fn admin_end(ctx: &Ctx) -> Timestamp {
    ctx.now() + *ctx.settings::<SessionSettings>().admin_absolute
}

fn drop_surplus(tx: &mut Tx<'_, '_>, session: &SessionRecord) -> Result<()> {
    let live = store::newest_live_of(tx, session.user_id, session.created_at, MAX_SESSIONS + 10)?;
    for old in live.iter().skip(MAX_SESSIONS as usize) {
        store::revoke(tx, old.user_id, old.id, session.created_at)?;
        tx.record(&SessionRevoked { session_id: Some(old.id.uuid()), user_id: old.user_id.uuid() })?;
    }
    Ok(())
}

/// Turns cookies, access tokens and API keys into actors.
pub(crate) struct SessionAuthenticator;

impl Authenticator for SessionAuthenticator {
    fn authenticate<'a>(&'a self, app: &'a App, credential: Credential<'a>, from: IpAddr) -> BoxFuture<'a, Result<Actor>> {
        Box::pin(async move {
            match credential {
                Credential::Cookie(text) => by_cookie(app, text, from).await,
                Credential::Bearer(text) if text.starts_with(api_keys::FAMILY) => api_keys::service::authenticate(app, text, from).await,
                Credential::Bearer(text) => by_access_token(app, text, from).await,
            }
        })
    }

    fn note_admin_use<'a>(&'a self, app: &'a App, actor: &'a Actor) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            // A key has no login that could lapse.
            if let Ok(identity) = actor.identity()
                && actor.credential() != CredentialKind::ApiKey
            {
                touch_admin(app, identity.session_id).await;
            }
            Ok(())
        })
    }
}

/// Writes down that the admin grant of a session was used, at most every minute.
async fn touch_admin(app: &App, id: Id<Session>) {
    let now = app.clock().now();
    let seen = app.state::<SessionCache>().session(id, now).and_then(|cached| cached.admin_seen_at);
    if seen.is_some_and(|seen| now.since(seen) < TOUCH_ADMIN_EVERY) {
        return;
    }
    let ctx = Ctx::system(app, "admin-grant");
    let idle_since = now - *app.settings::<SessionSettings>().admin_idle;
    let written = ctx.write(move |tx| Ok(store::touch_admin(tx, id, now, idle_since)?)).await;
    written.log_and_continue("noting that an admin grant was used");
    app.state::<SessionCache>().forget_session(id);
}

/// The context in which credentials are looked up, before it is known whose they are.
pub(crate) fn lookup_context(app: &App, from: IpAddr) -> Ctx {
    let request = RequestInfo { client_address: from, ..RequestInfo::internal("authenticate") };
    Ctx::new(app.clone(), Actor::anonymous(), Arc::new(request))
}

async fn by_cookie(app: &App, text: &str, from: IpAddr) -> Result<Actor> {
    let token = Token::parse(text).ok_or(&UNAUTHENTICATED)?;
    let (hash, now, cache) = (token.hash(), app.clock().now(), app.state::<SessionCache>());
    let cached = match cache.by_cookie(&hash, now) {
        Some(cached) => cached,
        None => {
            let generation = cache.generation();
            let found = app.db().read(move |c| Ok::<_, Error>(store::find_by_token(c, &hash)?)).await?;
            let session = found.filter(|session| session.is_live(now)).ok_or(&UNAUTHENTICATED)?;
            load(app, session, generation, Some(hash)).await?
        }
    };
    touch(app, &cached, from).await;
    Ok(actor_of(&cached, CredentialKind::Cookie))
}

async fn by_access_token(app: &App, text: &str, from: IpAddr) -> Result<Actor> {
    let ctx = lookup_context(app, from);
    let claims = refresh::verify_access(&ctx, text).await?;
    let (now, cache, id) = (app.clock().now(), app.state::<SessionCache>(), claims.sid);
    let cached = match cache.session(id, now) {
        Some(cached) => cached,
        None => {
            let generation = cache.generation();
            let found = app.db().read(move |c| Ok::<_, Error>(store::find(c, id)?)).await?;
            let session = found.filter(|session| session.is_live(now)).ok_or(&UNAUTHENTICATED)?;
            load(app, session, generation, None).await?
        }
    };
    if cached.identity.user_id != claims.sub || cached.sec_epoch != claims.ver {
        return Err(UNAUTHENTICATED.error());
    }
    touch(app, &cached, from).await;
    Ok(actor_of(&cached, CredentialKind::Bearer))
}

fn actor_of(cached: &Cached, credential: CredentialKind) -> Actor {
    Actor::user(cached.identity.clone(), cached.permissions.clone(), credential)
}

async fn load(app: &App, session: SessionRecord, generation: u64, cookie: Option<[u8; 32]>) -> Result<Arc<Cached>> {
    let user_id = session.user_id;
    let (user, permissions) = app.db().read(move |c| Ok::<_, Error>((users::store::find(c, user_id)?, effective(c, user_id)?))).await?;
    let user = user.filter(|user| user.status == UserStatus::Active).ok_or(&UNAUTHENTICATED)?;
    let admin_until = admin_until(app, &session);
    let identity = Identity { user_id, session_id: session.id, authenticated_at: session.auth_time, admin_until };
    let cached = Arc::new(Cached {
        identity: Arc::new(identity),
        kind: session.kind,
        cookie,
        permissions,
        sec_epoch: user.sec_epoch,
        admin_seen_at: session.admin_seen_at,
        idle_at: session.idle_at,
        absolute_at: session.absolute_at,
        last_seen_at: session.last_seen_at,
        loaded_at: app.clock().now(),
    });
    app.state::<SessionCache>().store(generation, session.id, cached.clone());
    Ok(cached)
}

/// What the person's roles grant; nothing while a change of the password is due (PWD-7).
fn effective(c: &mut db::Conn, user: UserId) -> Result<Permissions> {
    if passwords::store::must_change(c, user)? { Ok(Permissions::none()) } else { roles::service::permissions_of(c, user) }
}

/// Until when the admin grant of a session lasts unless it is used again.
fn admin_until(app: &App, session: &SessionRecord) -> Option<Timestamp> {
    let idle = *app.settings::<SessionSettings>().admin_idle;
    Some((session.admin_seen_at? + idle).min(session.admin_until?))
}

/// Writes down that the session was seen, at most every few minutes.
async fn touch(app: &App, cached: &Cached, from: IpAddr) {
    if app.clock().now().since(cached.last_seen_at) < TOUCH_EVERY {
        return;
    }
    let (ctx, id, kind) = (lookup_context(app, from), cached.identity.session_id, cached.kind);
    let written = ctx.write({
        let ctx = ctx.clone();
        move |tx| touch_in(tx, &ctx, id, kind)
    });
    written.await.log_and_continue("noting that a session was seen");
    app.state::<SessionCache>().forget_session(id);
}

pub(crate) fn touch_in(tx: &mut Tx<'_, '_>, ctx: &Ctx, id: Id<Session>, kind: SessionKind) -> Result<()> {
    let now = ctx.now();
    Ok(store::touch(tx, id, now, now + lives(ctx, kind).0)?)
}

/// The caller's live sessions, newest first.
pub(crate) async fn list(ctx: &Ctx, request: PageRequest) -> Result<Page<SessionRecord>> {
    list_of(ctx, ctx.actor.user_id()?, "listMySessions", request).await
}

/// A person's live sessions, newest first.
pub(crate) async fn list_of(ctx: &Ctx, user: UserId, operation: &str, request: PageRequest) -> Result<Page<SessionRecord>> {
    let now = ctx.now();
    let keyset = Keyset::parse(ctx, SORT_KEYS, "-created_at", None, operation, &user.to_string(), &request)?;
    let place = keyset.clone();
    let rows = ctx.read(move |c| Ok(store::live_of(c, user, now, &place)?)).await?;
    Ok(keyset.page(ctx, rows, |session| (CursorValue::Int(session.created_at.as_millis()), session.id.uuid())))
}

/// Ends one of the caller's sessions; another person's is not found (ENU-8).
pub(crate) async fn revoke(ctx: &Ctx, id: Id<Session>) -> Result<()> {
    revoke_of(ctx, ctx.actor.user_id()?, id).await
}

/// Ends one session of a person; only an owner ends an owner's.
pub(crate) async fn revoke_of(ctx: &Ctx, user: UserId, id: Id<Session>) -> Result<()> {
    let (now, context) = (ctx.now(), ctx.clone());
    ctx.write(move |tx| {
        if context.actor.maybe_user_id() != Some(user) {
            roles::service::require_may_act_on(tx, &context, user)?;
        }
        if !store::revoke(tx, user, id, now)? {
            return Err(NOT_FOUND.error());
        }
        token_store::revoke_refresh_of_session(tx, id, now)?;
        tx.record(&SessionRevoked { session_id: Some(id.uuid()), user_id: user.uuid() })?;
        tx.audit(AuditEntry::ok("accounts.session.revoke", &format!("session:{id}")))
    })
    .await
}

/// Ends the caller's sessions, all or all but this one; tells how many.
pub(crate) async fn revoke_mine(ctx: &Ctx, except_current: bool) -> Result<u64> {
    let identity = ctx.actor.identity()?;
    let (user, kept) = (identity.user_id, except_current.then_some(identity.session_id));
    let ctx2 = ctx.clone();
    ctx.write(move |tx| revoke_all(tx, &ctx2, user, kept)).await
}

/// Ends every session of a person except `kept`, within the caller's transaction.
pub(crate) fn revoke_all(tx: &mut Tx<'_, '_>, ctx: &Ctx, user: UserId, kept: Option<Id<Session>>) -> Result<u64> {
    let count = store::revoke_all(tx, user, kept, ctx.now())?;
    // Who ends all logins may fear a thief, who may have asked for another address (RST-10).
    emails::store::end_all(tx, user, ctx.now())?;
    if count > 0 {
        tx.record(&SessionRevoked { session_id: None, user_id: user.uuid() })?;
        tx.audit(
            AuditEntry::ok("accounts.session.revoke_all", &format!("user:{user}")).with_detail(serde_json::json!({ "count": count })),
        )?;
    }
    Ok(count)
}

/// Ends the caller's own session.
pub(crate) async fn log_out(ctx: &Ctx) -> Result<()> {
    let id = ctx.actor.identity()?.session_id;
    match revoke(ctx, id).await {
        Err(error) if error.is(&NOT_FOUND) => Ok(()),
        outcome => outcome,
    }
}
