//! SQL of users and their addresses.

use db::{Conn, Error, ToParam as _, params};
use kernel::page::Keyset;
use kernel::{Id, Timestamp, UserId};

use crate::emails::address::EmailAddress;
use crate::roles::Role;
use crate::users::{UserRecord, UserStatus};

/// The marker of an address row's identifier.
pub(crate) enum EmailRow {}

db::row! {
    /// A user with the primary address.
    pub(crate) struct UserRow {
        pub(crate) id: UserId,
        pub(crate) status: String,
        pub(crate) email: String,
        pub(crate) email_norm: String,
        pub(crate) username: Option<String>,
        pub(crate) display_name: String,
        pub(crate) locale: String,
        pub(crate) sec_epoch: i64,
        pub(crate) created_at: Timestamp,
        pub(crate) updated_at: Timestamp,
        pub(crate) last_login_at: Option<Timestamp>,
        pub(crate) version: i64,
    }
}

impl From<UserRow> for UserRecord {
    fn from(row: UserRow) -> Self {
        UserRecord {
            id: row.id,
            status: UserStatus::parse(&row.status),
            email: row.email,
            email_norm: row.email_norm,
            username: row.username,
            display_name: row.display_name,
            locale: row.locale,
            sec_epoch: row.sec_epoch,
            created_at: row.created_at,
            updated_at: row.updated_at,
            last_login_at: row.last_login_at,
            version: row.version,
        }
    }
}

pub(crate) struct NewUser<'a> {
    pub(crate) id: UserId,
    pub(crate) username: Option<(&'a str, &'a str)>,
    pub(crate) display_name: &'a str,
    pub(crate) locale: &'a str,
}

pub(crate) fn insert(tx: &mut db::Tx<'_>, user: &NewUser<'_>, now: Timestamp) -> Result<(), Error> {
    let (username, norm) = user.username.unzip();
    tx.execute(
        "INSERT INTO accounts_users (id, status, username, username_norm, display_name, locale, sec_epoch, created_at, updated_at, version) \
         VALUES (?, 'active', ?, ?, ?, ?, 1, ?, ?, 1)",
        params![user.id, username, norm, user.display_name, user.locale, now, now],
    )?;
    Ok(())
}

/// Adds a proven address; `verified_by` is `mail` or `operator`.
pub(crate) fn insert_email(
    tx: &mut db::Tx<'_>,
    id: Id<EmailRow>,
    user: UserId,
    email: &EmailAddress,
    verified_by: &str,
    now: Timestamp,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO accounts_user_emails (id, user_id, email, email_norm, verified_at, verified_by, is_primary) VALUES (?, ?, ?, ?, ?, ?, 1)",
        params![id, user, email.stored(), email.norm(), now, verified_by],
    )?;
    Ok(())
}

/// Replaces a person's address by another one that they proved.
pub(crate) fn set_email(tx: &mut db::Tx<'_>, user: UserId, email: &EmailAddress, now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "UPDATE accounts_user_emails SET email = ?, email_norm = ?, verified_at = ?, verified_by = 'mail' WHERE user_id = ? AND is_primary = 1",
        params![email.stored(), email.norm(), now, user],
    )?;
    Ok(())
}

/// Notes that something which the profile shows has changed.
pub(crate) fn note_change(tx: &mut db::Tx<'_>, id: UserId, now: Timestamp) -> Result<(), Error> {
    tx.execute("UPDATE accounts_users SET updated_at = ?, version = version + 1 WHERE id = ?", params![now, id])?;
    Ok(())
}

pub(crate) fn find(c: &mut Conn, id: UserId) -> Result<Option<UserRecord>, Error> {
    let row = c.opt::<UserRow>(
        "SELECT u.id, u.status, e.email, e.email_norm, u.username, u.display_name, u.locale, u.sec_epoch, u.created_at, u.updated_at, u.last_login_at, u.version \
         FROM accounts_users u JOIN accounts_user_emails e ON e.user_id = u.id AND e.is_primary = 1 WHERE u.id = ?",
        params![id],
    )?;
    Ok(row.map(UserRecord::from))
}

/// Holds a user's row until the transaction ends, so that what is decided on it stays true on every database; false when there is none.
pub(crate) fn lock(tx: &mut db::Tx<'_>, id: UserId) -> Result<bool, Error> {
    Ok(tx.opt::<i64>("SELECT version FROM accounts_users WHERE id = ? {for_update}", params![id])?.is_some())
}

/// The user with this proven address.
pub(crate) fn id_by_email(c: &mut Conn, email_norm: &str) -> Result<Option<UserId>, Error> {
    let row = c.opt::<(UserId,)>("SELECT user_id FROM accounts_user_emails WHERE email_norm = ?", params![email_norm])?;
    Ok(row.map(|(id,)| id))
}

/// The user with this username.
pub(crate) fn id_by_username(c: &mut Conn, username_norm: &str) -> Result<Option<UserId>, Error> {
    let row = c.opt::<(UserId,)>("SELECT id FROM accounts_users WHERE username_norm = ?", params![username_norm])?;
    Ok(row.map(|(id,)| id))
}

/// The normalised names under which a user can log in.
pub(crate) fn login_names(c: &mut Conn, id: UserId) -> Result<Vec<String>, Error> {
    let mut names: Vec<String> = c.all("SELECT email_norm FROM accounts_user_emails WHERE user_id = ?", params![id])?;
    names
        .extend(c.opt::<(Option<String>,)>("SELECT username_norm FROM accounts_users WHERE id = ?", params![id])?.and_then(|(name,)| name));
    Ok(names)
}

pub(crate) struct ProfileChange<'a> {
    pub(crate) username: Option<(&'a str, &'a str)>,
    pub(crate) display_name: &'a str,
    pub(crate) locale: &'a str,
}

/// Changes the profile if it still has the expected version; false when it does not.
pub(crate) fn update_profile(
    tx: &mut db::Tx<'_>,
    id: UserId,
    expected: i64,
    change: &ProfileChange<'_>,
    now: Timestamp,
) -> Result<bool, Error> {
    let (username, norm) = change.username.unzip();
    let changed = tx.execute(
        "UPDATE accounts_users SET username = ?, username_norm = ?, display_name = ?, locale = ?, updated_at = ?, version = version + 1 \
         WHERE id = ? AND version = ?",
        params![username, norm, change.display_name, change.locale, now, id, expected],
    )?;
    Ok(changed == 1)
}

pub(crate) fn note_login(tx: &mut db::Tx<'_>, id: UserId, now: Timestamp) -> Result<(), Error> {
    tx.execute("UPDATE accounts_users SET last_login_at = ? WHERE id = ?", params![now, id])?;
    Ok(())
}

/// Locks or unlocks an account; false when it is in that state already or not there.
pub(crate) fn set_status(tx: &mut db::Tx<'_>, id: UserId, to: UserStatus, now: Timestamp) -> Result<bool, Error> {
    let disabled_at = (to == UserStatus::Disabled).then_some(now);
    let changed = tx.execute(
        "UPDATE accounts_users SET status = ?, disabled_at = ?, sec_epoch = sec_epoch + 1, updated_at = ?, version = version + 1 \
         WHERE id = ? AND status <> ?",
        params![to.as_str(), disabled_at, now, id, to.as_str()],
    )?;
    Ok(changed == 1)
}

/// Users in the order of their making, after this one.
pub(crate) fn list(c: &mut Conn, after: Option<(Timestamp, UserId)>, limit: u32) -> Result<Vec<UserRecord>, Error> {
    let (at, id) = after.unwrap_or((Timestamp::from_millis(i64::MIN), Id::from_uuid(uuid::Uuid::nil())));
    let sql = format!(
        "SELECT u.id, u.status, e.email, e.email_norm, u.username, u.display_name, u.locale, u.sec_epoch, u.created_at, u.updated_at, u.last_login_at, u.version \
         FROM accounts_users u JOIN accounts_user_emails e ON e.user_id = u.id AND e.is_primary = 1 \
         WHERE u.created_at > ? OR (u.created_at = ? AND u.id > ?) ORDER BY u.created_at, u.id LIMIT {limit}"
    );
    Ok(c.all::<UserRow>(sql, params![at, at, id])?.into_iter().map(UserRecord::from).collect())
}

/// What narrows a list of users.
#[derive(Clone, Debug, Default)]
pub(crate) struct Narrowed {
    /// A piece of an address, a username or a name, in lower case.
    pub(crate) text: Option<String>,
    pub(crate) status: Option<UserStatus>,
    pub(crate) role: Option<Id<Role>>,
}

/// One page of the users.
pub(crate) fn search(c: &mut Conn, narrowed: &Narrowed, keyset: &Keyset) -> Result<Vec<UserRecord>, Error> {
    let pattern = narrowed.text.as_deref().map(pattern);
    let (mut condition, mut values) = keyset.condition();
    if let Some(status) = narrowed.status {
        condition.push_str(" AND u.status = ?");
        values.push(status.as_str().to_param());
    }
    if let Some(role) = &narrowed.role {
        condition.push_str(" AND u.id IN (SELECT user_id FROM accounts_user_roles WHERE role_id = ?)");
        values.push(role.to_param());
    }
    if let Some(pattern) = &pattern {
        condition.push_str(
            " AND (e.email_norm LIKE ? ESCAPE '!' OR u.username_norm LIKE ? ESCAPE '!' OR LOWER(u.display_name) LIKE ? ESCAPE '!')",
        );
        values.extend([pattern.to_param(), pattern.to_param(), pattern.to_param()]);
    }
    let sql = format!(
        "SELECT u.id, u.status, e.email, e.email_norm, u.username, u.display_name, u.locale, u.sec_epoch, u.created_at, u.updated_at, \
         u.last_login_at, u.version FROM accounts_users u JOIN accounts_user_emails e ON e.user_id = u.id AND e.is_primary = 1 \
         WHERE {condition} ORDER BY {} LIMIT {}",
        keyset.order_by(),
        keyset.limit()
    );
    Ok(c.all::<UserRow>(sql, &values)?.into_iter().map(UserRecord::from).collect())
}

/// What contains the text, taken literally.
fn pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for letter in text.chars() {
        if matches!(letter, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

/// These users with their primary addresses; unknown ids are left out.
pub(crate) fn people(c: &mut Conn, ids: &[UserId]) -> Result<Vec<UserRecord>, Error> {
    ids.iter().filter_map(|id| find(c, *id).transpose()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_takes_what_is_typed_literally() {
        assert_eq!(pattern("a_b%c!"), "%a!_b!%c!!%");
    }
}
