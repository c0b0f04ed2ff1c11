//! SQL that makes of an account what no door makes: one with an imported hash, and a locked one.

use db::{Error, Tx, params};

pub(crate) fn lock(tx: &mut Tx<'_>, email: &str) -> Result<u64, Error> {
    let sql = "UPDATE accounts_users SET status = 'disabled' WHERE id = (SELECT user_id FROM accounts_user_emails WHERE email_norm = ?)";
    tx.execute(sql, params![email])
}

/// Gives the accounts whose address starts with `legacy-` this hash.
pub(crate) fn import(tx: &mut Tx<'_>, hash: &str) -> Result<u64, Error> {
    let sql = "UPDATE accounts_passwords SET phc = ?, scheme = NULL WHERE user_id IN \
               (SELECT user_id FROM accounts_user_emails WHERE email_norm LIKE 'legacy-%')";
    tx.execute(sql, params![hash])
}
