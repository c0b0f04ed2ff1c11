//! The verbs of a change of address: ask, confirm at both ends, cancel, undo (RST-10).

use std::time::Duration;

use db::OnViolation as _;
use kernel::error::{NOT_FOUND, RATE_LIMITED};
use kernel::{AuditEntry, Ctx, Error, FieldError, Id, Result, Timestamp, Tx, UserId};
use serde::Serialize;

use crate::emails::address::EmailAddress;
use crate::emails::store::{self, ChangeRow, EmailChange, NewChange};
use crate::events::{EmailChangeUndone, EmailChanged};
use crate::logins::throttle::{self, MAIL_GAP};
use crate::problems::{TOKEN_INVALID, TOKEN_SPENT};
use crate::secrets::Token;
use crate::settings::{PageSettings, ResetSettings, SessionSettings};
use crate::users::{self, UserStatus};
use crate::{api_keys, one_time, passwords, sessions, signups};

/// How long a change waits for its proofs.
const LIFE: Duration = Duration::from_secs(24 * 3600);
/// How long the old address can undo a change.
const UNDO: Duration = Duration::from_secs(7 * 24 * 3600);

#[derive(Serialize)]
struct NewMail<'a> {
    link: &'a str,
    hours: u64,
}

#[derive(Serialize)]
struct OldMail<'a> {
    display_name: &'a str,
    email: &'a str,
    link: &'a str,
    hours: u64,
}

#[derive(Serialize)]
struct ChangedMail<'a> {
    display_name: &'a str,
    link: &'a str,
    at: Timestamp,
    days: u64,
}

/// Asks for another address: needs a recent login. The answer is the same whether or not somebody has the address (ENU-4).
pub(crate) async fn begin(ctx: &Ctx, email: EmailAddress) -> Result<ChangeRow> {
    ctx.require_recent(*ctx.settings::<SessionSettings>().fresh_auth)?;
    let needs_old = ctx.settings::<ResetSettings>().email_change_needs_old;
    let (user, id, now) = (ctx.actor.user_id()?, ctx.new_id(), ctx.now());
    let (at_new, at_old) = (Token::generate(ctx.app.random()), Token::generate(ctx.app.random()));
    let context = ctx.clone();
    ctx.write(move |tx| {
        users::store::lock(tx, user)?;
        let person = users::store::find(tx, user)?.ok_or(&NOT_FOUND)?;
        if EmailAddress::parse(&person.email).is_ok_and(|present| present.norm() == email.norm()) {
            return Err(Error::invalid(vec![FieldError::body("/email", "not_allowed", "This is your address already.")]));
        }
        // Counted before anybody is looked up, so that a taken address uses up as much as a free one.
        let may_mail = throttle::may_mail(tx, &context, "change of address", email.norm(), MAIL_GAP)?;
        if !may_mail && let Some(same) = store::pending_of(tx, user, now)?.into_iter().find(|row| row.email_norm == email.norm()) {
            // Asked twice: the mails that went out stay good.
            return Ok(same);
        }
        // This one concerns the caller alone, who may as well be told; unsent, it would leave a change that nobody can confirm.
        if needs_old && !throttle::may_mail(tx, &context, "leaving an address", &person.email, MAIL_GAP)? {
            return Err(RATE_LIMITED.error().retry_after(MAIL_GAP.as_secs()));
        }
        store::end_all(tx, user, now)?;
        let new = NewChange {
            id,
            user,
            email: email.stored(),
            email_norm: email.norm(),
            old_email: &person.email,
            new_hash: at_new.hash(),
            old_hash: needs_old.then(|| at_old.hash()),
            expires_at: now + LIFE,
        };
        store::insert(tx, &new, now)?;
        let owner = users::store::id_by_email(tx, email.norm())?;
        match owner {
            Some(owner) => signups::service::tell_owner(tx, &context, owner, "accounts.email.begin_change")?,
            None if may_mail => {
                let data = NewMail { link: &link(&context, "", &at_new), hours: LIFE.as_secs() / 3600 };
                tx.mail("accounts/confirm_email", email.stored(), &person.locale, &data)?;
            }
            None => {}
        }
        if needs_old {
            let link = link(&context, "", &at_old);
            let data = OldMail { display_name: &person.display_name, email: email.stored(), link: &link, hours: LIFE.as_secs() / 3600 };
            tx.mail("accounts/leave_email", &person.email, &person.locale, &data)?;
        }
        tx.audit(AuditEntry::ok("accounts.email.begin_change", &format!("user:{user}")))?;
        store::find(tx, id)?.ok_or_else(|| NOT_FOUND.error())
    })
    .await
}

/// The token stands in the fragment, which no server log and no `Referer` ever sees (RST-5).
fn link(ctx: &Ctx, act: &str, token: &Token) -> String {
    let page = &ctx.settings::<PageSettings>().email;
    let base = if page.is_empty() { format!("{}/account/email", ctx.app.public_url()) } else { page.clone() };
    format!("{base}#{act}{}", token.as_str())
}

/// Confirms a change by a token that was mailed to the new or the old address; the last of them makes it.
pub(crate) async fn confirm(ctx: &Ctx, token: &str) -> Result<()> {
    let hash = Token::parse(token).ok_or(&TOKEN_INVALID)?.hash();
    let (undo, now, context) = (Token::generate(ctx.app.random()), ctx.now(), ctx.clone());
    ctx.write(move |tx| {
        let (row, is_at_new) = match store::find_by_new(tx, &hash)? {
            Some(row) => (row, true),
            None => (store::find_by_old(tx, &hash)?.ok_or(&TOKEN_INVALID)?, false),
        };
        // One at a time for each person: neither a disabling nor the other proof comes in between.
        users::store::lock(tx, row.user_id)?;
        let is_first = if is_at_new { store::confirm_new(tx, row.id, now)? } else { store::confirm_old(tx, row.id, now)? };
        if !is_first {
            return Err(TOKEN_SPENT.error());
        }
        let place = if is_at_new { "new" } else { "old" };
        let subject = format!("user:{}", row.user_id);
        tx.audit(AuditEntry::ok("accounts.email.confirm", &subject).with_detail(serde_json::json!({ "at": place })))?;
        let row = store::find(tx, row.id)?.ok_or(&TOKEN_SPENT)?;
        if row.is_confirmed() { apply(tx, &context, &row, &undo) } else { Ok(()) }
    })
    .await
}

/// Makes the change: the new address opens the account, the old one is told and can undo it.
fn apply(tx: &mut Tx<'_, '_>, ctx: &Ctx, row: &ChangeRow, undo: &Token) -> Result<()> {
    let now = ctx.now();
    let person = users::store::find(tx, row.user_id)?.filter(|person| person.status == UserStatus::Active).ok_or(&TOKEN_SPENT)?;
    if !store::apply(tx, row.id, &person.email, &undo.hash(), now + UNDO, now)? {
        return Err(TOKEN_SPENT.error());
    }
    let email = EmailAddress::parse(&row.email).map_err(|_| Error::internal("a stored address cannot be read"))?;
    move_to(tx, row.user_id, &email, now)?;
    let data =
        ChangedMail { display_name: &person.display_name, link: &link(ctx, "undo=", undo), at: now, days: UNDO.as_secs() / (24 * 3600) };
    tx.mail("accounts/email_changed", &person.email, &person.locale, &data)?;
    tx.record(&EmailChanged { user_id: row.user_id.uuid() })?;
    tx.audit(AuditEntry::ok("accounts.email.change", &format!("user:{}", row.user_id)))
}

/// Gives a person another address, which is proven theirs: all that waits for it ends, and every open token of the person (RST-4).
fn move_to(tx: &mut Tx<'_, '_>, user: UserId, email: &EmailAddress, now: Timestamp) -> Result<()> {
    // Somebody else may have proven the address meanwhile; then the token leads nowhere any more.
    users::store::set_email(tx, user, email, now).on_unique("accounts_user_emails_email_norm", || TOKEN_SPENT.error())?;
    users::store::note_change(tx, user, now)?;
    signups::store::void(tx, email.norm(), now)?;
    store::end_all_to(tx, email.norm(), now)?;
    one_time::void_all(tx, user, now)
}

/// Gives the account back to the old address: every login ends, and the password, which somebody else may know, is gone.
///
/// Changes that followed are undone with it. A link for a new password goes to the old address.
pub(crate) async fn undo(ctx: &Ctx, token: &str) -> Result<()> {
    let hash = Token::parse(token).ok_or(&TOKEN_INVALID)?.hash();
    let (reset, now, context) = (Token::generate(ctx.app.random()), ctx.now(), ctx.clone());
    ctx.write(move |tx| {
        let row = store::find_by_undo(tx, &hash)?.ok_or(&TOKEN_INVALID)?;
        let user = row.user_id;
        users::store::lock(tx, user)?;
        if !store::undo(tx, row.id, now)? {
            return Err(TOKEN_SPENT.error());
        }
        store::undo_later(tx, user, row.applied_at.unwrap_or(now), now)?;
        let email = EmailAddress::parse(&row.old_email).map_err(|_| Error::internal("a stored address cannot be read"))?;
        move_to(tx, user, &email, now)?;
        passwords::store::delete(tx, user)?;
        sessions::service::revoke_all(tx, &context, user, None)?;
        // Whoever took the account may have left a key behind.
        api_keys::service::revoke_all(tx, &context, user)?;
        if let Some(person) = users::store::find(tx, user)?.filter(|person| person.status == UserStatus::Active) {
            passwords::service::mail_reset(tx, &context, &person, &reset)?;
        }
        tx.record(&EmailChangeUndone { user_id: user.uuid() })?;
        tx.audit(AuditEntry::ok("accounts.email.undo", &format!("user:{user}")))
    })
    .await
}

/// The caller's changes that wait for a proof.
pub(crate) async fn list(ctx: &Ctx) -> Result<Vec<ChangeRow>> {
    let (user, now) = (ctx.actor.user_id()?, ctx.now());
    ctx.read(move |c| Ok(store::pending_of(c, user, now)?)).await
}

/// Ends one of the caller's changes; another person's is not found (ENU-8).
pub(crate) async fn cancel(ctx: &Ctx, id: Id<EmailChange>) -> Result<()> {
    let (user, now) = (ctx.actor.user_id()?, ctx.now());
    ctx.write(move |tx| {
        if !store::end(tx, user, id, now)? {
            return Err(NOT_FOUND.error());
        }
        tx.audit(AuditEntry::ok("accounts.email.cancel_change", &format!("user:{user}")))
    })
    .await
}
