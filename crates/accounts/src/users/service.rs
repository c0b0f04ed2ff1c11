//! The verbs of users: read, change the profile, lock and unlock.

use std::time::Duration;

use kernel::error::NOT_FOUND;
use kernel::http::IfMatch;
use kernel::{AuditEntry, Ctx, Error, Result, Tx, UserId};

use crate::emails::address::EmailAddress;
use crate::events::{UserCreated, UserDisabled, UserEnabled, UserUpdated};
use crate::logins::throttle;
use crate::problems::{LAST_OWNER, USERNAME_TAKEN};
use crate::roles;
use crate::sessions;
use crate::settings::Rate;
use crate::users::names::{DisplayName, Username};
use crate::users::store::{self, NewUser, ProfileChange};
use crate::users::{UserRecord, UserStatus};

/// A new person, in the caller's transaction: row, address, role, event. Open invitations of the address are over (SGN-4).
pub(crate) struct Creation<'a> {
    pub(crate) id: UserId,
    pub(crate) email: &'a EmailAddress,
    pub(crate) verified_by: &'static str,
    pub(crate) username: Option<&'a Username>,
    pub(crate) display_name: &'a str,
    pub(crate) locale: &'a str,
    pub(crate) role: &'static str,
}

pub(crate) fn create(tx: &mut Tx<'_, '_>, ctx: &Ctx, new: &Creation<'_>) -> Result<()> {
    use db::OnViolation as _;
    let now = ctx.now();
    let username = new.username.map(|name| (name.shown(), name.norm()));
    let row = NewUser { id: new.id, username, display_name: new.display_name, locale: new.locale };
    store::insert(tx, &row, now).on_unique("accounts_users_username_norm", || USERNAME_TAKEN.on("/username"))?;
    store::insert_email(tx, ctx.new_id(), new.id, new.email, new.verified_by, now)?;
    crate::invitations::store::void(tx, new.email.norm(), now)?;
    roles::service::assign(tx, new.id, new.role)?;
    tx.record(&UserCreated { user_id: new.id.uuid() })?;
    tx.audit(AuditEntry::ok("accounts.user.create", &format!("user:{}", new.id)))
}

/// The caller's profile and roles.
pub(crate) async fn me(ctx: &Ctx) -> Result<(UserRecord, Vec<String>)> {
    let id = ctx.actor.user_id()?;
    ctx.read(move |c| Ok((store::find(c, id)?.ok_or(&NOT_FOUND)?, roles::store::names_of(c, id)?))).await
}

/// What a person changes about themselves; absent means unchanged.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProfilePatch {
    pub(crate) username: Option<Option<Username>>,
    pub(crate) display_name: Option<DisplayName>,
    pub(crate) locale: Option<String>,
}

/// Changes the caller's profile if it still has the version they saw.
pub(crate) async fn update_me(ctx: &Ctx, patch: ProfilePatch, if_match: IfMatch) -> Result<(UserRecord, Vec<String>)> {
    let id = ctx.actor.user_id()?;
    if matches!(patch.username, Some(Some(_))) {
        check_taken(ctx, &id.to_string()).await?;
    }
    let updated = update(ctx, id, patch, if_match).await;
    count_taken(ctx, &id.to_string(), updated).await
}

/// Changes a person's profile if it still has the version that the caller saw.
pub(crate) async fn update(ctx: &Ctx, id: UserId, patch: ProfilePatch, if_match: IfMatch) -> Result<(UserRecord, Vec<String>)> {
    let (now, context) = (ctx.now(), ctx.clone());
    ctx.write(move |tx| {
        use db::OnViolation as _;
        store::lock(tx, id)?;
        if context.actor.maybe_user_id() != Some(id) {
            roles::service::require_may_act_on(tx, &context, id)?;
        }
        let user = store::find(tx, id)?.ok_or(&NOT_FOUND)?;
        if_match.expected(user.version)?;
        let kept = user.username.as_deref().and_then(|name| Username::parse(name).ok());
        let username = patch.username.clone().unwrap_or(kept);
        let change = ProfileChange {
            username: username.as_ref().map(|name| (name.shown(), name.norm())),
            display_name: patch.display_name.as_ref().map_or(&user.display_name, DisplayName::as_str),
            locale: patch.locale.as_ref().unwrap_or(&user.locale),
        };
        let is_changed = store::update_profile(tx, id, user.version, &change, now)
            .on_unique("accounts_users_username_norm", || USERNAME_TAKEN.on("/username"))?;
        if !is_changed {
            let current = store::find(tx, id)?.map_or(user.version, |user| user.version);
            return Err(kernel::http::version_conflict(current));
        }
        tx.record(&UserUpdated { user_id: id.uuid() })?;
        tx.audit(AuditEntry::ok("accounts.user.update", &format!("user:{id}")))?;
        Ok((store::find(tx, id)?.ok_or(&NOT_FOUND)?, roles::store::names_of(tx, id)?))
    })
    .await
}

/// How often somebody may hear that a username is taken (ENU-6).
const TAKEN: Rate = Rate { count: 20, window: Duration::from_secs(3600) };
const TAKEN_THROTTLE: &str = "taken usernames";

/// Refuses to try another username for somebody who heard often enough that one is taken.
pub(crate) async fn check_taken(ctx: &Ctx, subject: &str) -> Result<()> {
    throttle::check_count(ctx, TAKEN_THROTTLE, subject, TAKEN).await
}

/// The same outcome; that a username is taken is counted for whoever hears it.
pub(crate) async fn count_taken<T>(ctx: &Ctx, subject: &str, outcome: Result<T>) -> Result<T> {
    if outcome.as_ref().is_err_and(|error| error.is(&USERNAME_TAKEN)) {
        // Without the idempotency key of the request: nothing was done that a repetition must not do.
        let ctx = Ctx::new(ctx.app.clone(), ctx.actor.clone(), ctx.request.clone());
        throttle::note_count(&ctx, TAKEN_THROTTLE, subject, TAKEN).await?;
    }
    outcome
}

/// Locks an account: every login of it ends, and none begins (SES-4). The last owner stays (ADM-3).
pub(crate) async fn disable(ctx: &Ctx, id: UserId) -> Result<()> {
    let context = ctx.clone();
    ctx.write(move |tx| {
        let holders = roles::store::holders(tx, roles::OWNER)?;
        roles::service::require_may_act_on(tx, &context, id)?;
        if holders == [id] {
            return Err(LAST_OWNER.error());
        }
        if !store::set_status(tx, id, UserStatus::Disabled, context.now())? {
            return store::find(tx, id)?.map(|_| ()).ok_or_else(|| NOT_FOUND.error());
        }
        sessions::service::revoke_all(tx, &context, id, None)?;
        crate::one_time::void_all(tx, id, context.now())?;
        tx.record(&UserDisabled { user_id: id.uuid() })?;
        tx.audit(AuditEntry::ok("accounts.user.disable", &format!("user:{id}")))
    })
    .await
}

/// Unlocks an account.
pub(crate) async fn enable(ctx: &Ctx, id: UserId) -> Result<()> {
    let (now, context) = (ctx.now(), ctx.clone());
    ctx.write(move |tx| {
        roles::service::require_may_act_on(tx, &context, id)?;
        if !store::set_status(tx, id, UserStatus::Active, now)? {
            return store::find(tx, id)?.map(|_| ()).ok_or_else(|| NOT_FOUND.error());
        }
        tx.record(&UserEnabled { user_id: id.uuid() })?;
        tx.audit(AuditEntry::ok("accounts.user.enable", &format!("user:{id}")))
    })
    .await
}

/// The person with this id, address or username, for operators.
pub(crate) async fn find_by_name(ctx: &Ctx, name: &str) -> Result<(UserRecord, Vec<String>)> {
    let name = name.to_owned();
    ctx.read_long(move |c| {
        let id = match name.parse::<UserId>() {
            Ok(id) => Some(id),
            Err(_) => find_login_name(c, &name)?,
        };
        let id = id.ok_or(&NOT_FOUND)?;
        Ok((store::find(c, id)?.ok_or(&NOT_FOUND)?, roles::store::names_of(c, id)?))
    })
    .await
}

/// The user who logs in with this typed name: an address, or a username.
pub(crate) fn find_login_name(c: &mut db::Conn, typed: &str) -> Result<Option<UserId>, Error> {
    if let Ok(email) = EmailAddress::parse(typed) {
        return Ok(store::id_by_email(c, email.norm())?);
    }
    match Username::parse(typed) {
        Ok(username) => Ok(store::id_by_username(c, username.norm())?),
        Err(_) => Ok(None),
    }
}
