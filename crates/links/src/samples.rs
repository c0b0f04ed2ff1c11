//! Sample links for `undercroft seed --demo`.

use kernel::{Ctx, Error, Result};

use crate::links::service::{self, Options};
use crate::links::{Draft, IfExists, PasswordChange};
use crate::slugs::Slug;
use crate::targets::{ForwardQuery, Target};

/// Slug, target, title, tags.
const LINKS: [(&str, &str, &str, &[&str]); 6] = [
    ("autumn", "https://example.com/sale/autumn?utm_source=poster&utm_medium=print", "Autumn sale, posters", &["campaign", "print"]),
    ("newsletter", "https://example.com/newsletter?utm_source=receipt", "Newsletter, on every receipt", &["print"]),
    ("guide", "https://example.com/documentation/", "Documentation", &["help"]),
    ("jobs", "https://example.com/company/careers", "Open positions", &["company"]),
    ("menu", "https://example.com/restaurant/menu.pdf", "Menu, on every table", &["print"]),
    ("feedback", "https://example.com/survey/2026-q4", "Survey of the fourth quarter", &["campaign"]),
];

/// Makes the sample links that are not there yet.
pub(crate) async fn fill(ctx: Ctx) -> Result<()> {
    for (slug, url, title, tags) in LINKS {
        let refused = |what: String| Error::internal(format!("a sample link is refused: {what}"));
        let target = Target::from_body(url, "/url").map_err(|field| refused(field.detail.into_owned()))?;
        let draft = Draft {
            slug: Some(Slug::parse(slug, false).map_err(|_| refused(slug.to_owned()))?),
            title: title.to_owned(),
            tags: tags.iter().map(ToString::to_string).collect(),
            forward_path: slug == "guide",
            forward_query: if slug == "newsletter" { ForwardQuery::Merge } else { ForwardQuery::Off },
            external_id: Some(format!("sample:{slug}")),
            ..Draft::to(target, 302)
        };
        let options = Options { if_exists: Some(IfExists::Return), reuse: false };
        match service::create(&ctx, draft, PasswordChange::Keep, options).await {
            Err(error) if error.is(&crate::problems::SLUG_TAKEN) || error.is(&crate::problems::SLUG_RESERVED) => {}
            outcome => drop(outcome?),
        }
    }
    Ok(())
}
