//! Growing waits per typed name (LOG-1) or known device (LOG-2), failures per client address (LOG-3), mails per address (RST-9).
//!
//! All counters are rows of one table under keyed hashes, so that nodes share them and a stolen table names nobody (LOG-5). The key
//! of a name is what was typed, not who was found (ENU-5).
//!
//! While a name has free failures left, a failure counts when it happens, so that logins in parallel do not hinder each other.
//! After that a try counts before its password is checked and is taken back when it succeeds: a burst gets no more guesses than
//! a sequence. The burst before is bounded by the hashing queue.

use std::net::IpAddr;
use std::time::Duration;

use kernel::address::limit_key;
use kernel::error::RATE_LIMITED;
use kernel::platform::LimitSettings;
use kernel::{Ctx, Error, Result, Timestamp, Tx, UserId};

use crate::logins::device::Device;
use crate::logins::store::{self, Key, ThrottleRow};
use crate::problems::CHALLENGE_REQUIRED;
use crate::settings::{GuessingSettings, Rate};

/// Failures in a row after which only a proof of the mailbox helps.
const CHALLENGE_AFTER: i64 = 100;

/// The least time between two mails of one kind to one address (RST-9).
pub(crate) const MAIL_GAP: Duration = Duration::from_secs(60);

/// Which counters a guess at a password meets.
#[derive(Clone, Debug)]
pub(crate) struct Guess {
    /// The name that was typed, or the device that is known to be its owner's.
    counted: Key,
    /// The client's address; not for a known device, whose neighbours may be an attacker's.
    address: Option<Key>,
    /// What success forgets.
    cleared: [Key; 2],
}

impl Guess {
    /// At the login door, by a client of which nothing is known.
    pub(crate) fn at_login(ctx: &Ctx, name: &str) -> Guess {
        let name = name_key(ctx, name);
        Guess { counted: name, address: Some(address_key(ctx, ctx.request.client_address)), cleared: [name, name] }
    }

    /// At the login door, from a device on which the owner of this name logged in before.
    ///
    /// A new password begins a new count: whoever forgot the old one does not wait with the right one in hand.
    pub(crate) fn from_device(ctx: &Ctx, name: &str, device: &Device, password_changed_at: Option<Timestamp>) -> Guess {
        let changed_ms = password_changed_at.map_or(0, Timestamp::as_millis);
        let counted = ctx.app.keyring().mac("device throttle", &[device.body().as_slice(), &changed_ms.to_be_bytes()].concat());
        Guess { counted, address: None, cleared: [name_key(ctx, name), counted] }
    }

    /// At one's own password, by somebody who is logged in.
    pub(crate) fn at_own_password(ctx: &Ctx, name: &str) -> Guess {
        let name = name_key(ctx, name);
        Guess { counted: name, address: None, cleared: [name, name] }
    }

    /// At the second factor of this person, over all challenges (MFA-2).
    pub(crate) fn at_second_factor(ctx: &Ctx, user: UserId) -> Guess {
        let counted = ctx.app.keyring().mac("second factor throttle", user.uuid().as_bytes());
        Guess { counted, address: None, cleared: [counted, counted] }
    }
}

fn name_key(ctx: &Ctx, name: &str) -> Key {
    ctx.app.keyring().mac("login throttle", name.as_bytes())
}

/// IPv6 clients are counted by network, like everywhere.
fn address_key(ctx: &Ctx, address: IpAddr) -> Key {
    ctx.app.keyring().mac("address throttle", limit_key(address).to_string().as_bytes())
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

/// Lets a try through, or refuses it: `rate_limited`, `challenge_required`.
pub(crate) async fn admit(ctx: &Ctx, guess: &Guess) -> Result<Admission> {
    let (counted, address) = (guess.counted, guess.address.unwrap_or(guess.counted));
    let rows = ctx.read(move |c| Ok(store::find_throttles(c, &counted, &address)?)).await?;
    let find = |key: &Key| rows.iter().find(|row| row.key_hash == *key);
    // Off for load tests, like all limits of addresses; the waits of a name stay.
    if let Some(address) = guess.address.as_ref().filter(|_| ctx.settings::<LimitSettings>().enabled) {
        check_window(ctx, find(address), ctx.settings::<GuessingSettings>().address_failures)?;
    }
    let Some(row) = find(&guess.counted).filter(|row| row.fails >= free_failures(ctx)) else { return Ok(Admission::Free) };
    check_wait(ctx, row)?;
    let (fails, last_at, context) = (row.fails, row.last_at, ctx.clone());
    ctx.write(move |tx| {
        let now = context.now();
        if store::take_turn(tx, &counted, fails, last_at, now)? {
            return Ok(Admission::Counted);
        }
        // Another try took the turn, or the owner came in and the row is gone.
        match store::find_throttles(tx, &counted, &counted)?.first() {
            Some(row) if row.fails >= free_failures(&context) => {
                check_wait(&context, row)?;
                Err(RATE_LIMITED.error().retry_after(1))
            }
            _ => Ok(Admission::Free),
        }
    })
    .await
}

fn free_failures(ctx: &Ctx) -> i64 {
    i64::from(ctx.settings::<GuessingSettings>().free_failures)
}

/// Refuses while the wait after the last failure lasts, and for good once there were too many.
fn check_wait(ctx: &Ctx, row: &ThrottleRow) -> Result<()> {
    let wait = wait_after(row.fails, free_failures(ctx), *ctx.settings::<GuessingSettings>().max_wait);
    let (until, now) = (row.last_at + wait, ctx.now());
    if until > now {
        return Err(come_back(until, now));
    }
    if row.fails >= CHALLENGE_AFTER {
        return Err(CHALLENGE_REQUIRED.error().with_member("methods", serde_json::json!(["password_reset"])));
    }
    Ok(())
}

/// Refuses when the window of this counter is used up.
fn check_window(ctx: &Ctx, row: Option<&ThrottleRow>, rate: Rate) -> Result<()> {
    let now = ctx.now();
    match row.map(|row| (row.fails, row.first_at + rate.window)) {
        Some((count, until)) if count >= i64::from(rate.count) && until > now => Err(come_back(until, now)),
        _ => Ok(()),
    }
}

fn come_back(until: Timestamp, now: Timestamp) -> Error {
    let wait_secs = until.since(now).as_millis().div_ceil(1000);
    RATE_LIMITED.error().retry_after(u64::try_from(wait_secs).unwrap_or(1))
}

/// Counts a failure: for the address always, for the name or device unless it was counted when it was let through.
pub(crate) fn note_failure(tx: &mut Tx<'_, '_>, ctx: &Ctx, guess: &Guess, admission: Admission) -> Result<()> {
    let now = ctx.now();
    if admission == Admission::Free {
        count_one(tx, &guess.counted, NEVER, now)?;
    }
    match &guess.address {
        Some(address) => count_one(tx, address, now - ctx.settings::<GuessingSettings>().address_failures.window, now),
        None => Ok(()),
    }
}

/// Takes back what was counted before the password was looked at, because it never was.
pub(crate) fn forgive(tx: &mut Tx<'_, '_>, guess: &Guess, admission: Admission) -> Result<()> {
    if admission == Admission::Counted {
        store::give_back(tx, &guess.counted, Duration::ZERO)?;
    }
    Ok(())
}

/// What `blocked_until` is where nothing is refilled.
const NOTHING_TAKEN: Timestamp = Timestamp::from_millis(0);

/// Before every window: a counter whose window began since then never starts anew.
const NEVER: Timestamp = Timestamp::from_millis(-1);

/// Adds one to a counter, whose window starts anew if it began before `since`.
fn count_one(tx: &mut Tx<'_, '_>, key: &Key, since: Timestamp, now: Timestamp) -> Result<()> {
    if store::count(tx, key, since, now)? || store::insert_throttle(tx, key, 1, now, NOTHING_TAKEN)? {
        return Ok(());
    }
    // Somebody made the row between the two statements.
    store::count(tx, key, since, now)?;
    Ok(())
}

/// Forgets the failures of this name and device: the owner logged in.
pub(crate) fn clear(tx: &mut Tx<'_, '_>, guess: &Guess) -> Result<()> {
    let [name, device] = &guess.cleared;
    Ok(store::clear(tx, name, device)?)
}

/// Forgets the failures of this name: its owner reset the password.
pub(crate) fn clear_name(tx: &mut Tx<'_, '_>, ctx: &Ctx, name: &str) -> Result<()> {
    let name = name_key(ctx, name);
    Ok(store::clear(tx, &name, &name)?)
}

/// Refuses when something was counted too often for this subject, such as a name that was taken (ENU-6).
pub(crate) async fn check_count(ctx: &Ctx, what: &'static str, subject: &str, rate: Rate) -> Result<()> {
    let key = ctx.app.keyring().mac(what, subject.as_bytes());
    let rows = ctx.read(move |c| Ok(store::find_throttles(c, &key, &key)?)).await?;
    check_window(ctx, rows.first(), rate)
}

/// Counts something for this subject, for [`check_count`].
pub(crate) async fn note_count(ctx: &Ctx, what: &'static str, subject: &str, rate: Rate) -> Result<()> {
    let (key, now) = (ctx.app.keyring().mac(what, subject.as_bytes()), ctx.now());
    ctx.write(move |tx| count_one(tx, &key, now - rate.window, now)).await
}

/// What a mail is about, as far as the limits of mails care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MailKind {
    /// Proof of the mailbox for a sign-up; anybody can ask for one to anywhere.
    Signup,
    /// To somebody who has an account and is asked to sign up again.
    Exists,
    /// Proof of the mailbox for a change of address.
    NewAddress,
    /// To the address that a change leaves.
    OldAddress,
    /// A link for a new password, to an account that there is.
    Reset,
    /// By whoever may invite.
    Invitation,
}

impl MailKind {
    fn as_str(self) -> &'static str {
        match self {
            MailKind::Signup => "sign-up",
            MailKind::Exists => "already have an account",
            MailKind::NewAddress => "change of address",
            MailKind::OldAddress => "leaving an address",
            MailKind::Reset => "password reset",
            MailKind::Invitation => "invitation",
        }
    }

    /// Which of the two budgets of the instance it comes out of: floods to made-up addresses must not stop what account holders need.
    fn budget(self) -> &'static [u8] {
        match self {
            MailKind::Signup | MailKind::NewAddress => b"everybody",
            MailKind::Exists | MailKind::OldAddress | MailKind::Reset | MailKind::Invitation => b"account holders",
        }
    }

    /// Whether whoever causes it is limited as well: all but those who look after others.
    fn is_limited_by_client(self, ctx: &Ctx) -> bool {
        ctx.actor.is_anonymous() || matches!(self, MailKind::NewAddress | MailKind::OldAddress | MailKind::Exists)
    }
}

/// Whether a mail of this kind may go to this address now (RST-9): one in `gap`, three an hour, within what one client may cause and
/// within the instance's budget.
///
/// After the hour's mails one more is free every twenty minutes, which is sooner than a link ends: nobody who asks for mails in
/// somebody's name keeps them without a link that works. A mail that is refused uses nothing up.
pub(crate) fn may_mail(tx: &mut Tx<'_, '_>, ctx: &Ctx, kind: MailKind, address: &str, gap: Duration) -> Result<bool> {
    let settings = ctx.settings::<GuessingSettings>();
    let key = |subject: &[u8]| ctx.app.keyring().mac("mail throttle", subject);
    let client = match ctx.actor.maybe_user_id() {
        Some(user) => format!("client\n{user}"),
        None => format!("client\n{}", limit_key(ctx.request.client_address)),
    };
    let mut quotas = Vec::with_capacity(3);
    if kind.is_limited_by_client(ctx) {
        quotas.push((key(client.as_bytes()), settings.mail_per_client, Duration::ZERO));
    }
    quotas.push((key(format!("{}\n{address}", kind.as_str()).as_bytes()), settings.mail_per_address, gap));
    quotas.push((key(kind.budget()), settings.mail_budget, Duration::ZERO));
    for (at, (key, rate, gap)) in quotas.iter().enumerate() {
        if take(tx, ctx, key, *rate, *gap)? {
            continue;
        }
        for (key, rate, _) in &quotas[..at] {
            store::give_back(tx, key, rate.interval())?;
        }
        if at + 1 == quotas.len() {
            tracing::warn!(
                "the budget of mails is used up, so a mail that a stranger asked for was not sent (accounts.limits.mail_budget)"
            );
        }
        return Ok(false);
    }
    Ok(true)
}

/// Takes one of an evenly refilled quota, in one conditional statement, or in another one the first of all.
fn take(tx: &mut Tx<'_, '_>, ctx: &Ctx, key: &Key, rate: Rate, gap: Duration) -> Result<bool> {
    let (now, interval) = (ctx.now(), rate.interval());
    let is_taken = store::take(tx, key, now, interval, now - gap, now + rate.window.saturating_sub(interval))?;
    // Whoever finds no row makes it, used once; of two at once one does.
    Ok(is_taken || store::insert_throttle(tx, key, 1, now, now + interval)?)
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
