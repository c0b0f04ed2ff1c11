//! The development mailbox over HTTP.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::actor::Permission;
use crate::ctx::Ctx;
use crate::error::{NOT_FOUND, Result};
use crate::http::{Json, List, Operation, Path, Query};
use crate::id::Id;
use crate::messages::{Channel, Message, StoredMessage, service};
use crate::page::PageRequest;
use crate::time::Timestamp;

/// Who may read the development mailbox.
pub(crate) static READ_MESSAGES: Permission =
    Permission::new("platform:messages:read", "Read queued and delivered messages, one-time links included.").administrative();

pub(crate) fn operations() -> [Operation; 2] {
    [
        Operation::get("/api/v1/messages", "listMessages", list)
            .tag("Messages")
            .summary("List mail and text messages, newest first")
            .describe("With the development mailbox the content is readable; with SMTP it never is.")
            .raises(&[&crate::error::CURSOR_INVALID])
            .requires(&READ_MESSAGES),
        Operation::get("/api/v1/messages/{message_id}", "getMessage", get)
            .tag("Messages")
            .summary("Read one message")
            .describe("The content is null where mail leaves through SMTP.")
            .raises(&[&NOT_FOUND])
            .requires(&READ_MESSAGES),
    ]
}

/// A mail or text message as the mailbox shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000001", "channel": "mail", "template": "accounts/confirm_signup", "recipient": "ada@example.com",
    "status": "delivered", "subject": "Confirm your address", "text": "Hello …", "html": "<p>Hello …</p>",
    "created_at": "2026-11-22T12:00:00.000Z", "sent_at": "2026-11-22T12:00:01.000Z"
}))]
pub(crate) struct MessageView {
    /// The message.
    #[schema(value_type = uuid::Uuid)]
    id: Id<MessageView>,
    /// How it travels.
    channel: Channel,
    /// The template that it was made from.
    template: String,
    /// The address or number it goes to.
    recipient: String,
    /// `queued` or `delivered`.
    status: String,
    /// The subject of a mail.
    subject: Option<String>,
    /// The plain body.
    text: Option<String>,
    /// The HTML body of a mail.
    html: Option<String>,
    /// When it was queued.
    created_at: Timestamp,
    /// When it was delivered.
    sent_at: Option<Timestamp>,
}

impl From<StoredMessage> for MessageView {
    fn from(message: StoredMessage) -> Self {
        let (subject, text, html) = message.content.map_or((None, None, None), |c| (c.subject, Some(c.text), c.html));
        MessageView {
            id: message.id.cast(),
            channel: message.channel,
            template: message.template,
            recipient: message.recipient,
            status: message.status,
            subject,
            text,
            html,
            created_at: message.created_at,
            sent_at: message.sent_at,
        }
    }
}

/// Which messages to list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MessageFilter {
    /// How many messages a page holds, 1 to 100.
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schema(max_length = 1024)]
    cursor: Option<String>,
    /// Only messages to this address or number.
    #[schema(max_length = 254)]
    recipient: Option<String>,
}

async fn list(ctx: Ctx, Query(filter): Query<MessageFilter>) -> Result<List<MessageView>> {
    let request = PageRequest::new(filter.limit, filter.cursor);
    let page = service::list(&ctx, request, filter.recipient.unwrap_or_default()).await?;
    Ok(List(page.map(MessageView::from)))
}

async fn get(ctx: Ctx, Path(id): Path<Id<Message>>) -> Result<Json<MessageView>> {
    Ok(Json(service::get(&ctx, id).await?.into()))
}
