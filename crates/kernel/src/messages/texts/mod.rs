//! Mail texts as operators change them: each template and language, while the server runs.

mod http;
mod service;
mod store;

use db::Conn;

use crate::actor::{Permission, UserId};
use crate::app::App;
use crate::error::{LogAndContinue, Result};
use crate::events::StoredEvent;
use crate::module::Parts;
use crate::templates::Sources;
use crate::time::Timestamp;

/// Who may see the texts of mails.
pub(crate) static READ_MAIL_TEXTS: Permission = Permission::new("platform:mail_texts:read", "See the texts of mails.").administrative();
/// Who may change the texts of mails.
pub(crate) static UPDATE_MAIL_TEXTS: Permission =
    Permission::new("platform:mail_texts:update", "Change the texts of mails.").administrative();

/// The most texts that operators may have, over all languages.
const MAX_TEXTS: usize = 2000;

crate::event! {
    /// An operator changed the text of a mail, or took the change back.
    pub(crate) struct MailTextChanged as "platform.mail_text.changed" {
        /// The mail.
        pub template: String,
        /// The language.
        pub locale: String,
    }
}

/// One mail in one language, with what operators made of it.
#[derive(Clone, Debug)]
pub(crate) struct MailText {
    pub(crate) template: String,
    pub(crate) locale: String,
    pub(crate) sources: Sources,
    /// Who changed it and when; none for the built-in text.
    pub(crate) edit: Option<Edit>,
}

/// The last change of a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edit {
    pub(crate) version: i64,
    pub(crate) changed_at: Timestamp,
    pub(crate) changed_by: Option<UserId>,
}

pub(super) fn register(parts: &mut Parts<'_>) {
    parts
        .permissions(&[&READ_MAIL_TEXTS, &UPDATE_MAIL_TEXTS])
        .emits::<MailTextChanged>()
        .watch("platform.mail_text.changed", |app: &App, _: &StoredEvent| {
            let app = app.clone();
            app.clone().spawn(async move {
                load(&app).await.log_and_continue("reading the changed mail texts");
            });
        })
        .routes(http::operations());
}

/// Reads the operators' texts into memory.
pub(crate) async fn load(app: &App) -> Result<()> {
    let texts = app.db().read(|c: &mut Conn| store::all(c)).await?;
    app.templates().replace_edited(texts.into_iter().map(|text| (text.template, text.locale, text.sources)));
    Ok(())
}
