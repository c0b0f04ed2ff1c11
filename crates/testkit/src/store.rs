//! SQL of the kernel's tables, as a test looks at them.

use db::{Conn, Error, Tx, params};
use kernel::{Id, Timestamp};

use crate::mail::Mail;

db::row! {
    /// A queued or delivered message.
    pub(crate) struct MailRow {
        pub(crate) id: Id<Mail>,
        pub(crate) recipient: String,
        pub(crate) template: String,
        pub(crate) content_sealed: Option<Vec<u8>>,
    }
}

pub(crate) fn mails(c: &mut Conn) -> Result<Vec<MailRow>, Error> {
    c.all("SELECT id, recipient, template, content_sealed FROM platform_messages WHERE channel = 'mail' ORDER BY created_at, id", params![])
}

pub(crate) fn events(c: &mut Conn) -> Result<Vec<(String, String)>, Error> {
    c.all("SELECT name, data FROM platform_events ORDER BY at, id", params![])
}

pub(crate) fn audit(c: &mut Conn) -> Result<Vec<(String, Option<String>, String)>, Error> {
    c.all("SELECT action, subject, result FROM platform_audit ORDER BY at, id", params![])
}

pub(crate) fn jobs(c: &mut Conn) -> Result<Vec<(String, i64, Option<String>)>, Error> {
    c.all("SELECT kind, attempts, last_error FROM platform_jobs ORDER BY created_at, id", params![])
}

pub(crate) fn unfinished_jobs(c: &mut Conn, now: Timestamp) -> Result<Vec<(String, Option<String>)>, Error> {
    c.all("SELECT kind, last_error FROM platform_jobs WHERE is_dead = 1 OR run_at <= ? ORDER BY created_at, id", params![now])
}

pub(crate) fn delete_jobs(tx: &mut Tx<'_>) -> Result<u64, Error> {
    tx.execute("DELETE FROM platform_jobs", params![])
}
