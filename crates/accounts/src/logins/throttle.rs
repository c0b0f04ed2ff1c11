//! Growing waits per typed name (LOG-1). The key is what was typed, not who was found (ENU-5).
//!
//! While a name has free failures left, a failure counts when it happens, so that logins in parallel do not hinder each other.
//! After that a try counts before its password is checked and is taken back when it succeeds: a burst gets no more guesses than
//! a sequence. The burst before is bounded by the hashing queue.

use std::time::Duration;

use kernel::error::RATE_LIMITED;
use kernel::{Ctx, Result, Tx};

use crate::logins::store;
use crate::problems::CHALLENGE_REQUIRED;
use crate::settings::GuessingSettings;

/// Failures in a row after which only a proof of the mailbox helps.
const CHALLENGE_AFTER: i64 = 100;

fn key_of(ctx: &Ctx, name: &str) -> [u8; 32] {
    ctx.app.keyring().mac("login throttle", name.as_bytes())
}

/// The wait after `fails` failures in a row: none at first, then 1, 2, 4 … seconds.
fn wait_after(fails: i64, free: i64, max: Duration) -> Duration {
    match fails - free {
        ..0 => Duration::ZERO,
        beyond => Duration::from_secs(1 << beyond.min(62)).min(max),
    }
}

/// How a try was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The name has free failures left; a failure still has to be counted.
    Free,
    /// The try is counted already.
    Counted,
}

/// Lets a try for this name through, or refuses it: `rate_limited`, `challenge_required`.
pub(crate) async fn admit(ctx: &Ctx, name: &str) -> Result<Admission> {
    let key = key_of(ctx, name);
    let free = i64::from(ctx.settings::<GuessingSettings>().free_failures);
    let row = ctx.read(move |c| Ok(store::find(c, &key)?)).await?;
    if row.is_none_or(|row| row.fails < free) {
        return Ok(Admission::Free);
    }
    let context = ctx.clone();
    ctx.write(move |tx| {
        let now = context.now();
        let Some(row) = store::lock(tx, &key)? else { return Ok(Admission::Free) };
        if row.blocked_until > now {
            let wait_secs = row.blocked_until.since(now).as_millis().div_ceil(1000);
            return Err(RATE_LIMITED.error().retry_after(u64::try_from(wait_secs).unwrap_or(1)));
        }
        if row.fails >= CHALLENGE_AFTER {
            return Err(CHALLENGE_REQUIRED.error().with_member("methods", serde_json::json!(["password_reset"])));
        }
        count(tx, &context, &key, row.fails)?;
        Ok(Admission::Counted)
    })
    .await
}

/// Counts a failure, unless it was counted when it was let through.
pub(crate) fn note_failure(tx: &mut Tx<'_, '_>, ctx: &Ctx, name: &str, admission: Admission) -> Result<()> {
    if admission == Admission::Counted {
        return Ok(());
    }
    let key = key_of(ctx, name);
    store::ensure(tx, &key, ctx.now())?;
    let fails = store::lock(tx, &key)?.map_or(0, |row| row.fails);
    count(tx, ctx, &key, fails)
}

fn count(tx: &mut Tx<'_, '_>, ctx: &Ctx, key: &[u8; 32], fails_before: i64) -> Result<()> {
    let settings = ctx.settings::<GuessingSettings>();
    let (fails, now) = (fails_before + 1, ctx.now());
    let wait = wait_after(fails, i64::from(settings.free_failures), *settings.max_wait);
    Ok(store::set(tx, key, fails, now, now + wait)?)
}

/// Forgets the failures of this name: the owner logged in, or reset the password.
pub(crate) fn clear(tx: &mut Tx<'_, '_>, ctx: &Ctx, name: &str) -> Result<()> {
    Ok(store::clear(tx, &key_of(ctx, name))?)
}

/// Whether a mail of this kind may go to this address now; at most one in `gap` (ENU-3, RST-9).
pub(crate) fn may_mail(tx: &mut Tx<'_, '_>, ctx: &Ctx, kind: &str, address: &str, gap: Duration) -> Result<bool> {
    let (key, now) = (ctx.app.keyring().mac("mail throttle", format!("{kind}\n{address}").as_bytes()), ctx.now());
    store::ensure(tx, &key, now)?;
    let is_free = store::lock(tx, &key)?.is_some_and(|row| row.blocked_until <= now);
    if is_free {
        store::set(tx, &key, 0, now, now + gap)?;
    }
    Ok(is_free)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log1_five_failures_are_free_then_waits_double_up_to_the_maximum() {
        let max = Duration::from_secs(900);
        let waits: Vec<u64> = (1..=16).map(|fails| wait_after(fails, 5, max).as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
        assert_eq!(wait_after(i64::MAX, 5, max), max);
    }
}
