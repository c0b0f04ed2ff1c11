//! Between the password and the second factor: a challenge, which opens nothing but the next step of the login (MFA-2).

use std::sync::Arc;
use std::time::Duration;

use kernel::error::RATE_LIMITED;
use kernel::{AuditEntry, Ctx, Id, Result, Timestamp, Tx, UserId};

use crate::logins::device::Device;
use crate::logins::store::lock_person;
use crate::logins::throttle::{self, Guess};
use crate::mfa::service::prove;
use crate::mfa::{Method, store};
use crate::problems::{CHALLENGE_EXPIRED, CHALLENGE_REQUIRED, CODE_INVALID};
use crate::secrets::Token;
use crate::sessions::SessionKind;
use crate::sessions::service::{NewSession, Started};

/// How long a login waits for its second factor (MFA-2).
const LIFE: Duration = Duration::from_secs(10 * 60);

/// The marker of a challenge's identifier.
#[derive(Debug)]
pub(crate) enum StoredChallenge {}

/// A challenge about to be stored: its id and secret are made before the transaction.
pub(crate) struct NewChallenge {
    pub(crate) id: Id<StoredChallenge>,
    pub(crate) token: Token,
    pub(crate) user_id: UserId,
    pub(crate) kind: SessionKind,
    pub(crate) is_remembered: bool,
    pub(crate) password_changed_at: Timestamp,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

impl NewChallenge {
    /// For the login of a person with this password, which may become a session of this kind.
    pub(crate) fn new(ctx: &Ctx, user_id: UserId, kind: SessionKind, is_remembered: bool, password_changed_at: Timestamp) -> NewChallenge {
        let now = ctx.now();
        let token = Token::generate(ctx.app.random());
        NewChallenge { id: ctx.new_id(), token, user_id, kind, is_remembered, password_changed_at, created_at: now, expires_at: now + LIFE }
    }

    /// Stores it in the caller's transaction.
    pub(crate) fn insert(&self, tx: &mut Tx<'_, '_>) -> Result<()> {
        store::insert_challenge(tx, self)?;
        tx.audit(AuditEntry::ok("accounts.session.challenge", &format!("user:{}", self.user_id)))
    }

    /// What the client gets to hold.
    pub(crate) fn issued(&self) -> Challenge {
        Challenge { token: self.token.clone(), expires_at: self.expires_at }
    }
}

/// A challenge as its client holds it.
pub(crate) struct Challenge {
    pub(crate) token: Token,
    pub(crate) expires_at: Timestamp,
}

impl Challenge {
    /// The ways to answer it; the same for everybody who has a second factor.
    pub(crate) fn methods() -> Vec<String> {
        [Method::Totp, Method::RecoveryCode].iter().map(|method| method.as_str().to_owned()).collect()
    }
}

/// Answers a challenge: the login becomes a session, once, however many try with one code (MFA-1, MFA-4).
///
/// # Errors
/// `challenge_expired` when it is unknown, used, too old, or the password has changed; `mfa_code_invalid` when the code is wrong, which is
/// counted for the person over all challenges.
pub(crate) async fn answer(ctx: &Ctx, id: &str, method: Method, code: &str, device: Option<Device>) -> Result<Started> {
    let (hash, now) = (Token::parse(id).ok_or(&CHALLENGE_EXPIRED)?.hash(), ctx.now());
    let row = ctx.read(move |c| Ok(store::find_challenge(c, &hash)?)).await?;
    let row = row.filter(|row| row.used_at.is_none() && now < row.expires_at).ok_or(&CHALLENGE_EXPIRED)?;
    let (user, guess) = (row.user_id, Guess::at_second_factor(ctx, row.user_id));
    let admission = match throttle::admit(ctx, &guess).await {
        Ok(admission) => admission,
        Err(error) => {
            let code = if error.is(&CHALLENGE_REQUIRED) { CHALLENGE_REQUIRED.code } else { RATE_LIMITED.code };
            ctx.write(move |tx| audit_refusal(tx, user, method, code)).await?;
            return Err(error);
        }
    };
    let Some(proof) = prove(ctx, user, method, code).await? else {
        let context = ctx.clone();
        ctx.write(move |tx| {
            throttle::note_failure(tx, &context, &guess, admission)?;
            audit_refusal(tx, user, method, CODE_INVALID.code)
        })
        .await?;
        return Err(CODE_INVALID.error());
    };
    let kind = if row.kind == SessionKind::Token.as_str() { SessionKind::Token } else { SessionKind::Browser };
    let device = device.filter(|device| device.user == user).map(|device| device.seen_again(ctx));
    let methods = format!("password {}", method.as_str());
    let new = Arc::new(NewSession::new(ctx, user, kind, &methods).on(device).remembered(row.is_remembered));
    let (session, context) = (new.clone(), ctx.clone());
    let must_change = ctx
        .write(move |tx| {
            if !store::use_challenge(tx, &hash, now)? {
                return Err(CHALLENGE_EXPIRED.error());
            }
            // Disabled meanwhile, or another password? Then this login never happened.
            let person = lock_person(tx, user)?.filter(|person| person.is_active() && person.changed_at == Some(row.password_changed_at));
            let person = person.ok_or(&CHALLENGE_EXPIRED)?;
            proof.take(tx, &context, user)?;
            throttle::clear(tx, &guess)?;
            session.insert(tx)?;
            Ok(person.must_change == Some(true))
        })
        .await?;
    Ok(Started { must_change, ..new.finish(ctx).await? })
}

fn audit_refusal(tx: &mut Tx<'_, '_>, user: UserId, method: Method, code: &str) -> Result<()> {
    let detail = serde_json::json!({ "method": method.as_str() });
    tx.audit(AuditEntry::refused("accounts.session.start", Some(&format!("user:{user}")), code).with_detail(detail))
}
