//! The verbs of invitations: invite, list, withdraw, accept, decline.

use std::sync::Arc;
use std::time::Duration;

use kernel::error::{ALREADY_EXISTS, NOT_FOUND, RATE_LIMITED};
use kernel::page::{CursorValue, KeyKind, Keyset, Page, PageRequest, SortKey};
use kernel::{AuditEntry, Ctx, Error, FieldError, Id, Result, Tx, UserId};
use serde::Serialize;

use crate::emails::{self, address::EmailAddress};
use crate::events::{InvitationAccepted, InvitationCreated};
use crate::invitations::{Invitation, InvitationRecord, store};
use crate::logins::throttle;
use crate::passwords::{self, resemblance::Known};
use crate::problems::{SIGNUP_CLOSED, TOKEN_INVALID, TOKEN_SPENT};
use crate::roles::{self, Role, RoleRecord};
use crate::secrets::{Password, Token};
use crate::sessions::SessionKind;
use crate::sessions::service::{NewSession, Started};
use crate::settings::{AccountSettings, PageSettings, SignupMode};
use crate::signups;
use crate::users::names::{DisplayName, Username};
use crate::users::{self, service::Creation};

/// How long an invitation lives (RST-3).
const LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// The least time between two mails to one address (RST-9).
const MAIL_GAP: Duration = Duration::from_secs(60);
const SORT_KEYS: &[SortKey] = &[SortKey { name: "created_at", column: "created_at", kind: KeyKind::Int }];

#[derive(Serialize)]
struct InvitationMail<'a> {
    link: &'a str,
    days: u64,
}

/// An invitation with the names of its roles.
pub(crate) type Named = (InvitationRecord, Vec<String>);

/// Mails an invitation with roles whose permissions the caller holds (ADM-3); a newer one voids the older (RST-4).
pub(crate) async fn invite(ctx: &Ctx, email: EmailAddress, role_names: Vec<String>, locale: Option<String>) -> Result<Named> {
    refuse_when_closed(ctx)?;
    let (token, now) = (Token::generate(ctx.app.random()), ctx.now());
    let (id, locale, context) = (ctx.new_id(), locale.unwrap_or_else(|| ctx.request.locale.clone()), ctx.clone());
    ctx.write(move |tx| {
        let roles = roles_named(tx, &role_names)?;
        roles::require_held(&context.actor, roles.iter().flat_map(|role| &role.permissions))?;
        if users::store::id_by_email(tx, email.norm())?.is_some() {
            return Err(ALREADY_EXISTS.on("/email"));
        }
        if !throttle::may_mail(tx, &context, "invitation", email.stored(), MAIL_GAP)? {
            return Err(RATE_LIMITED.because("A mail to this address went out within the last minute.").retry_after(MAIL_GAP.as_secs()));
        }
        store::void(tx, email.norm(), now)?;
        let new = InvitationRecord {
            id,
            email: email.stored().to_owned(),
            email_norm: email.norm().to_owned(),
            role_ids: roles.iter().map(|role| role.id).collect(),
            locale: locale.clone(),
            invited_by: context.actor.maybe_user_id(),
            created_at: now,
            expires_at: now + LIFE,
            accepted_at: None,
            revoked_at: None,
        };
        store::insert(tx, &new, &token.hash())?;
        let data = InvitationMail { link: &link(&context, &token), days: LIFE.as_secs() / (24 * 3600) };
        tx.mail("accounts/invitation", email.stored(), &locale, &data)?;
        tx.record(&InvitationCreated { invitation_id: id.uuid() })?;
        let names: Vec<String> = roles.into_iter().map(|role| role.name).collect();
        tx.audit(AuditEntry::ok("accounts.invitation.create", &subject(id)).with_detail(serde_json::json!({ "roles": names })))?;
        Ok((new, names))
    })
    .await
}

/// The roles of these names, or which of the names are none.
fn roles_named(tx: &mut Tx<'_, '_>, names: &[String]) -> Result<Vec<RoleRecord>> {
    let roles = roles::store::named(tx, names)?;
    let wrong = |(index, _): (usize, &String)| FieldError::body(format!("/roles/{index}"), "not_allowed", "There is no role of this name.");
    let errors: Vec<FieldError> =
        names.iter().enumerate().filter(|(_, name)| !roles.iter().any(|role| role.name == **name)).map(wrong).collect();
    if errors.is_empty() { Ok(roles) } else { Err(Error::invalid(errors)) }
}

/// The token stands in the fragment, which no server log and no `Referer` ever sees (RST-5).
fn link(ctx: &Ctx, token: &Token) -> String {
    let page = &ctx.settings::<PageSettings>().invitation;
    let base = if page.is_empty() { format!("{}/account/invitation", ctx.app.public_url()) } else { page.clone() };
    format!("{base}#{}", token.as_str())
}

fn refuse_when_closed(ctx: &Ctx) -> Result<()> {
    match ctx.settings::<AccountSettings>().signup {
        SignupMode::Closed => Err(SIGNUP_CLOSED.error()),
        _ => Ok(()),
    }
}

fn subject(id: Id<Invitation>) -> String {
    format!("invitation:{id}")
}

/// One page of the open invitations, newest first.
pub(crate) async fn list(ctx: &Ctx, request: PageRequest) -> Result<Page<Named>> {
    let now = ctx.now();
    let keyset = Keyset::parse(ctx, SORT_KEYS, "-created_at", None, "listInvitations", "", &request)?;
    let place = keyset.clone();
    let rows = ctx
        .read(move |c| {
            let rows = store::open(c, now, &place)?;
            let ids: Vec<Id<Role>> = rows.iter().flat_map(|row| row.role_ids.iter().copied()).collect();
            let names = roles::store::names_by_id(c, &ids)?;
            let of =
                |row: &InvitationRecord| names.iter().filter(|(id, _)| row.role_ids.contains(id)).map(|(_, name)| name.clone()).collect();
            Ok(rows
                .into_iter()
                .map(|row| {
                    let roles = of(&row);
                    (row, roles)
                })
                .collect::<Vec<Named>>())
        })
        .await?;
    Ok(keyset.page(ctx, rows, |(row, _)| (CursorValue::Int(row.created_at.as_millis()), row.id.uuid())))
}

/// Withdraws an open invitation.
pub(crate) async fn withdraw(ctx: &Ctx, id: Id<Invitation>) -> Result<()> {
    let now = ctx.now();
    ctx.write(move |tx| {
        if !store::revoke(tx, id, now)? {
            return Err(NOT_FOUND.error());
        }
        tx.audit(AuditEntry::ok("accounts.invitation.delete", &subject(id)))
    })
    .await
}

/// What an invited person starts with.
pub(crate) struct Acceptance {
    pub(crate) password: Option<Password>,
    pub(crate) username: Option<Username>,
    pub(crate) display_name: Option<DisplayName>,
}

/// Looks an invitation up without using it: `token_invalid` or `token_spent` unless it is good now.
async fn look(ctx: &Ctx, token: &str) -> Result<InvitationRecord> {
    let hash = Token::parse(token).ok_or(&TOKEN_INVALID)?.hash();
    let row = ctx.read(move |c| Ok(store::find_by_token(c, &hash)?)).await?.ok_or(&TOKEN_INVALID)?;
    if row.is_open(ctx.now()) { Ok(row) } else { Err(TOKEN_SPENT.error()) }
}

/// Makes the invited account, exactly once however many try, and logs it in (RST-2).
pub(crate) async fn accept(ctx: &Ctx, token: &str, acceptance: Acceptance, kind: SessionKind) -> Result<Started> {
    refuse_when_closed(ctx)?;
    let row = look(ctx, token).await?;
    let email = EmailAddress::parse(&row.email).map_err(|_| Error::internal("an invited address cannot be read"))?;
    let phc = match &acceptance.password {
        Some(password) => {
            let known = Known::of_site(ctx).and_email(&email);
            let known = match &acceptance.username {
                Some(username) => known.and_username(username.shown()),
                None => known,
            };
            passwords::service::check_new(ctx, password, "/password", &known)?;
            Some(passwords::service::hash(ctx, password).await?)
        }
        None => None,
    };
    let user_id = ctx.new_id();
    let session = Arc::new(NewSession::new(ctx, user_id, kind, "invitation"));
    let (context, new_session, now) = (ctx.clone(), session.clone(), ctx.now());
    ctx.write(move |tx| {
        if !store::accept(tx, row.id, now)? || users::store::id_by_email(tx, email.norm())?.is_some() {
            return Err(TOKEN_SPENT.error());
        }
        // The mailbox is proven now: what others began with this address is void (SGN-4).
        signups::store::void(tx, email.norm(), now)?;
        emails::store::end_all_to(tx, email.norm(), now)?;
        let new = Creation {
            id: user_id,
            email: &email,
            verified_by: "mail",
            username: acceptance.username.as_ref(),
            display_name: acceptance.display_name.as_ref().map_or_else(|| signups::service::local_part(&email), DisplayName::as_str),
            locale: &row.locale,
            role: roles::MEMBER,
        };
        signups::service::create(tx, &context, &new)?;
        give_roles(tx, &row, user_id)?;
        if let Some(phc) = &phc {
            passwords::store::set(tx, user_id, phc, now)?;
        }
        tx.record(&InvitationAccepted { invitation_id: row.id.uuid(), user_id: user_id.uuid() })?;
        tx.audit(AuditEntry::ok("accounts.invitation.accept", &subject(row.id)))?;
        new_session.insert(tx)
    })
    .await?;
    session.finish(ctx).await
}

/// Gives the roles that still exist and that whoever invited could still give now (ADM-3).
fn give_roles(tx: &mut Tx<'_, '_>, row: &InvitationRecord, user: UserId) -> Result<()> {
    let inviter = match row.invited_by {
        Some(inviter) => {
            let is_active = users::store::find(tx, inviter)?.is_some_and(|inviter| inviter.status == users::UserStatus::Active);
            let permissions = roles::service::permissions_of(tx, inviter)?;
            if is_active { permissions } else { kernel::Permissions::none() }
        }
        None => kernel::Permissions::everything(),
    };
    for id in &row.role_ids {
        let Some(role) = roles::store::lock(tx, *id)? else { continue };
        if role.permissions.iter().all(|name| inviter.allow_name(name)) {
            roles::service::assign(tx, user, &role.name)?;
        }
    }
    Ok(())
}

/// Ends an invitation by whoever holds its mail.
pub(crate) async fn decline(ctx: &Ctx, token: &str) -> Result<()> {
    let (row, now) = (look(ctx, token).await?, ctx.now());
    ctx.write(move |tx| {
        if !store::revoke(tx, row.id, now)? {
            return Err(TOKEN_SPENT.error());
        }
        tx.audit(AuditEntry::ok("accounts.invitation.decline", &subject(row.id)))
    })
    .await
}
