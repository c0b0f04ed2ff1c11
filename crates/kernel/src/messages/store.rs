//! SQL of queued and delivered messages.

use db::{Conn, params};

use crate::app::App;
use crate::error::{Error, Result};
use crate::id::Id;
use crate::messages::{Channel, Content, Message, NewMessage};
use crate::page::Keyset;
use crate::time::Timestamp;

db::row! {
    /// A row of `platform_messages`.
    pub(crate) struct MessageRow {
        pub(crate) id: Id<Message>,
        pub(crate) channel: String,
        pub(crate) template: String,
        pub(crate) recipient: String,
        pub(crate) content_sealed: Option<Vec<u8>>,
        pub(crate) status: String,
        pub(crate) created_at: Timestamp,
        pub(crate) sent_at: Option<Timestamp>,
    }
}

/// A message with its content unsealed.
#[derive(Clone, Debug)]
pub(crate) struct StoredMessage {
    pub(crate) id: Id<Message>,
    pub(crate) channel: Channel,
    pub(crate) template: String,
    pub(crate) recipient: String,
    pub(crate) content: Option<Content>,
    pub(crate) status: String,
    pub(crate) created_at: Timestamp,
    pub(crate) sent_at: Option<Timestamp>,
}

fn context(id: Id<Message>) -> String {
    format!("platform_messages.content/{id}")
}

pub(crate) fn insert(tx: &mut db::Tx<'_>, app: &App, id: Id<Message>, message: &NewMessage, now: Timestamp) -> Result<()> {
    let plain = serde_json::to_vec(&message.content).map_err(Error::internal)?;
    let sealed = app.keyring().seal(app.random(), &context(id), &plain);
    tx.execute(
        "INSERT INTO platform_messages (id, channel, template, recipient, content_sealed, status, created_at) VALUES (?, ?, ?, ?, ?, 'queued', ?)",
        params![id, message.channel.as_str(), message.template, message.recipient, sealed, now],
    )?;
    Ok(())
}

fn unseal(app: &App, row: MessageRow) -> Result<StoredMessage> {
    let content = match &row.content_sealed {
        Some(sealed) => {
            let plain = app.keyring().open(&context(row.id), sealed)?;
            Some(serde_json::from_slice(&plain).map_err(Error::internal)?)
        }
        None => None,
    };
    let channel = if row.channel == "sms" { Channel::Sms } else { Channel::Mail };
    Ok(StoredMessage {
        id: row.id,
        channel,
        template: row.template,
        recipient: row.recipient,
        content,
        status: row.status,
        created_at: row.created_at,
        sent_at: row.sent_at,
    })
}

pub(crate) fn find_queued(c: &mut Conn, app: &App, id: Id<Message>) -> Result<Option<StoredMessage>> {
    let row = c.opt::<MessageRow>(
        "SELECT id, channel, template, recipient, content_sealed, status, created_at, sent_at FROM platform_messages WHERE id = ? AND status = 'queued'",
        params![id],
    )?;
    row.map(|row| unseal(app, row)).transpose()
}

/// One page of the messages; of those to one recipient only if `to` is given.
pub(crate) fn page(c: &mut Conn, app: &App, to: Option<&str>, keyset: &Keyset) -> Result<Vec<StoredMessage>> {
    let only = if to.is_some() { "recipient = ?" } else { "? IS NULL" };
    let (condition, values) = keyset.condition();
    let sql = format!(
        "SELECT id, channel, template, recipient, content_sealed, status, created_at, sent_at FROM platform_messages \
         WHERE {only} AND {condition} ORDER BY {} LIMIT {}",
        keyset.order_by(),
        keyset.limit()
    );
    let rows = c.all::<MessageRow>(sql, &[params![to], values.as_slice()].concat())?;
    rows.into_iter().map(|row| unseal(app, row)).collect()
}

pub(crate) fn find(c: &mut Conn, app: &App, id: Id<Message>) -> Result<Option<StoredMessage>> {
    let row = c.opt::<MessageRow>(
        "SELECT id, channel, template, recipient, content_sealed, status, created_at, sent_at FROM platform_messages WHERE id = ?",
        params![id],
    )?;
    row.map(|row| unseal(app, row)).transpose()
}

/// Notes the delivery; the content stays only where the development mailbox shows it.
pub(crate) fn mark_sent(tx: &mut db::Tx<'_>, id: Id<Message>, now: Timestamp, keep_content: bool) -> Result<(), db::Error> {
    let sql = if keep_content {
        "UPDATE platform_messages SET status = 'delivered', sent_at = ?, last_error = NULL WHERE id = ?"
    } else {
        "UPDATE platform_messages SET status = 'delivered', sent_at = ?, last_error = NULL, content_sealed = NULL WHERE id = ?"
    };
    tx.execute(sql, params![now, id])?;
    Ok(())
}

pub(crate) fn note_error(tx: &mut db::Tx<'_>, id: Id<Message>, error: &str) -> Result<(), db::Error> {
    tx.execute("UPDATE platform_messages SET last_error = ? WHERE id = ?", params![error, id])?;
    Ok(())
}

/// Forgets messages older than `before`.
pub(crate) fn purge(tx: &mut db::Tx<'_>, before: Timestamp) -> Result<u64, db::Error> {
    tx.execute("DELETE FROM platform_messages WHERE id IN (SELECT id FROM (SELECT id FROM platform_messages WHERE created_at < ? AND status <> 'queued' LIMIT 500) AS batch)", params![before])
}
