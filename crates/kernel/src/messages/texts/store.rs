//! SQL of the operators' mail texts.

use db::{Conn, Error, params};

use super::{Edit, MAX_TEXTS, MailText};
use crate::actor::UserId;
use crate::templates::Sources;
use crate::time::Timestamp;

db::row! {
    /// A row of `platform_mail_texts`.
    struct TextRow {
        template: String,
        locale: String,
        subject: String,
        text_body: String,
        html_body: String,
        version: i64,
        changed_at: Timestamp,
        changed_by: Option<UserId>,
    }
}

impl From<TextRow> for MailText {
    fn from(row: TextRow) -> Self {
        let edit = Edit { version: row.version, changed_at: row.changed_at, changed_by: row.changed_by };
        let sources = Sources { subject: row.subject, text: row.text_body, html: row.html_body };
        MailText { template: row.template, locale: row.locale, sources, edit: Some(edit) }
    }
}

/// Every text that operators changed; there are never more than a bounded number.
pub(super) fn all(c: &mut Conn) -> Result<Vec<MailText>, Error> {
    let sql = format!(
        "SELECT template, locale, subject, text_body, html_body, version, changed_at, changed_by FROM platform_mail_texts \
         ORDER BY template, locale LIMIT {MAX_TEXTS}"
    );
    Ok(c.all::<TextRow>(sql, params![])?.into_iter().map(MailText::from).collect())
}

/// How many texts operators changed.
pub(super) fn count(c: &mut Conn) -> Result<usize, Error> {
    Ok(c.all::<(String,)>(format!("SELECT template FROM platform_mail_texts LIMIT {MAX_TEXTS}"), params![])?.len())
}

pub(super) fn find(c: &mut Conn, template: &str, locale: &str) -> Result<Option<MailText>, Error> {
    let row = c.opt::<TextRow>(
        "SELECT template, locale, subject, text_body, html_body, version, changed_at, changed_by FROM platform_mail_texts \
         WHERE template = ? AND locale = ?",
        params![template, locale],
    )?;
    Ok(row.map(MailText::from))
}

/// The version of a changed text, which nobody changes before this transaction ends.
pub(super) fn lock(tx: &mut db::Tx<'_>, template: &str, locale: &str) -> Result<Option<i64>, Error> {
    tx.opt::<i64>("SELECT version FROM platform_mail_texts WHERE template = ? AND locale = ? {for_update}", params![template, locale])
}

pub(super) fn insert(tx: &mut db::Tx<'_>, text: &MailText, edit: Edit) -> Result<(), Error> {
    let sources = &text.sources;
    tx.execute(
        "INSERT INTO platform_mail_texts (template, locale, subject, text_body, html_body, version, changed_at, changed_by) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        params![text.template, text.locale, sources.subject, sources.text, sources.html, edit.version, edit.changed_at, edit.changed_by],
    )?;
    Ok(())
}

pub(super) fn update(tx: &mut db::Tx<'_>, text: &MailText, edit: Edit) -> Result<(), Error> {
    let sources = &text.sources;
    tx.execute(
        "UPDATE platform_mail_texts SET subject = ?, text_body = ?, html_body = ?, version = ?, changed_at = ?, changed_by = ? \
         WHERE template = ? AND locale = ?",
        params![sources.subject, sources.text, sources.html, edit.version, edit.changed_at, edit.changed_by, text.template, text.locale],
    )?;
    Ok(())
}

/// Forgets a changed text; whether there was one.
pub(super) fn delete(tx: &mut db::Tx<'_>, template: &str, locale: &str) -> Result<bool, Error> {
    Ok(tx.execute("DELETE FROM platform_mail_texts WHERE template = ? AND locale = ?", params![template, locale])? > 0)
}
