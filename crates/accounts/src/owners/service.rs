//! The verbs of the first owner: offer the link, use it.

use std::sync::Arc;

use kernel::error::NOT_FOUND;
use kernel::{App, AuditEntry, Ctx, Error, Result};

use crate::emails;
use crate::emails::address::EmailAddress;
use crate::one_time::{self, Purpose};
use crate::passwords;
use crate::passwords::resemblance::Known;
use crate::problems::TOKEN_INVALID;
use crate::roles::{self, OWNER};
use crate::secrets::{Password, Token};
use crate::sessions::SessionKind;
use crate::sessions::service::{NewSession, Started};
use crate::signups;
use crate::users::{self, service::Creation};

/// Makes a one-time token for the first owner, voiding older ones; none once there is an owner.
pub(crate) async fn offer(app: &App) -> Result<Option<Token>> {
    let ctx = Ctx::system(app, "owner-link");
    let token = Token::generate(app.random());
    let (context, issued) = (ctx.clone(), token.clone());
    let is_offered = ctx
        .write(move |tx| {
            if roles::store::is_held(tx, OWNER)? {
                return Ok(false);
            }
            one_time::issue(tx, &context, &issued, Purpose::Owner, None, None)?;
            tx.audit(AuditEntry::ok("accounts.owner.offer", "system"))?;
            Ok(true)
        })
        .await?;
    Ok(is_offered.then_some(token))
}

/// What to tell the operator about a fresh owner token.
pub(crate) fn invitation(token: &Token) -> String {
    format!("There is no owner yet. For 24 hours, this token makes one at POST /api/v1/auth/owner: {}", token.as_str())
}

/// Makes the first owner and logs them in; the route is gone as soon as there is one.
pub(crate) async fn create(ctx: &Ctx, token: String, email: EmailAddress, password: Password, kind: SessionKind) -> Result<Started> {
    let now = ctx.now();
    let peeked = token.clone();
    let is_held = ctx.read(move |c| Ok(roles::store::is_held(c, OWNER)?)).await?;
    if is_held {
        return Err(NOT_FOUND.error());
    }
    ctx.read(move |c| one_time::look(c, &peeked, Purpose::Owner, now).map(|_| ())).await?;
    let known = Known::of_site(ctx).and_email(&email);
    passwords::service::check_new(ctx, &password, "/password", &known)?;
    let phc = passwords::service::hash(ctx, &password).await?;
    let user_id = ctx.new_id();
    let session = Arc::new(NewSession::new(ctx, user_id, kind, "owner_link"));
    let (context, new_session) = (ctx.clone(), session.clone());
    ctx.write(move |tx| {
        one_time::consume(tx, &token, Purpose::Owner, now)?;
        if roles::store::is_held(tx, OWNER)? {
            return Err(NOT_FOUND.error());
        }
        let new = Creation {
            id: user_id,
            email: &email,
            verified_by: "operator",
            username: None,
            display_name: signups::service::local_part(&email),
            locale: &context.request.locale,
            role: OWNER,
        };
        users::service::create(tx, &context, &new).map_err(taken_is_invalid)?;
        signups::store::void(tx, email.norm(), now)?;
        emails::store::end_all_to(tx, email.norm(), now)?;
        passwords::store::set(tx, user_id, &phc, now)?;
        roles::service::assign(tx, user_id, roles::MEMBER)?;
        new_session.insert(tx)
    })
    .await?;
    session.finish(ctx).await
}

/// The address belongs to somebody already: the link is for a new person.
fn taken_is_invalid(error: Error) -> Error {
    use db::TransactionError as _;
    match error.db_error() {
        Some(cause) if cause.is_unique("accounts_user_emails_email_norm") => TOKEN_INVALID.because("This address has an account already."),
        _ => error,
    }
}
