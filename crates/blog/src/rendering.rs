//! The one door to rendering and sanitising (SAN-1): what comes in is source, what goes out is safe HTML and plain text.

use kernel::richtext::{self, Policy};
use kernel::{Ctx, Result};
use serde::{Deserialize, Serialize};

use crate::settings::BlogSettings;

pub(crate) use kernel::richtext::{Rendered, VERSION};

/// The most characters of what stands for a text in lists.
const MAX_LEAD: usize = 280;

/// How a body is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = BodyFormat)]
pub(crate) enum Format {
    /// CommonMark with tables, task lists, strikethrough and footnotes.
    #[default]
    Markdown,
    /// HTML.
    Html,
}

impl Format {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Format::Markdown => "markdown",
            Format::Html => "html",
        }
    }

    pub(crate) fn parse(text: &str) -> Format {
        if text == "html" { Format::Html } else { Format::Markdown }
    }

    fn kernel(self) -> richtext::Format {
        match self {
            Format::Markdown => richtext::Format::Markdown,
            Format::Html => richtext::Format::Html,
        }
    }
}

/// Renders what an author wrote, off the request workers.
pub(crate) async fn post(ctx: &Ctx, format: Format, source: &str) -> Result<Rendered> {
    let hosts = ctx.settings::<BlogSettings>().embed_hosts.clone();
    richtext::render_off_worker(&ctx.app, format.kernel(), source.to_owned(), Policy::Author, hosts).await
}

/// Renders what somebody wrote below a post: a few tags, and links that count for nothing.
pub(crate) async fn comment(ctx: &Ctx, source: &str) -> Result<Rendered> {
    richtext::render_off_worker(&ctx.app, richtext::Format::Markdown, source.to_owned(), Policy::Comment, Vec::new()).await
}

/// The beginning of a text, for lists and search engines.
pub(crate) fn lead(text: &str) -> String {
    richtext::excerpt(text, MAX_LEAD)
}
