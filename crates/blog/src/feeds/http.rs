//! Feeds, sitemaps and robots.txt at the root of the main host.

use axum::extract::RawQuery;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use kernel::http::{Operation, Path};
use kernel::{Ctx, Result};

use crate::feeds::Format;
use crate::feeds::service::{self, Of};
use crate::wire::{Finished, One};

pub(crate) fn operations() -> [Operation; 12] {
    [
        Operation::page("/feed.xml", "blogRssFeed", |ctx, query| site(ctx, query, Format::Rss)).public(),
        Operation::page("/atom.xml", "blogAtomFeed", |ctx, query| site(ctx, query, Format::Atom)).public(),
        Operation::page("/feed.json", "blogJsonFeed", |ctx, query| site(ctx, query, Format::Json)).public(),
        Operation::page("/tags/{slug}/feed.xml", "blogTagRssFeed", |ctx, slug, query| tag(ctx, slug, query, Format::Rss)).public(),
        Operation::page("/tags/{slug}/atom.xml", "blogTagAtomFeed", |ctx, slug, query| tag(ctx, slug, query, Format::Atom)).public(),
        Operation::page("/tags/{slug}/feed.json", "blogTagJsonFeed", |ctx, slug, query| tag(ctx, slug, query, Format::Json)).public(),
        Operation::page("/authors/{slug}/feed.xml", "blogAuthorRssFeed", |ctx, slug, query| author(ctx, slug, query, Format::Rss)).public(),
        Operation::page("/authors/{slug}/atom.xml", "blogAuthorAtomFeed", |ctx, slug, query| author(ctx, slug, query, Format::Atom))
            .public(),
        Operation::page("/authors/{slug}/feed.json", "blogAuthorJsonFeed", |ctx, slug, query| author(ctx, slug, query, Format::Json))
            .public(),
        Operation::page("/sitemap.xml", "blogSitemapIndex", index).public(),
        Operation::page("/sitemaps/{name}", "blogSitemap", file).public(),
        Operation::page("/robots.txt", "blogRobots", robots).public(),
    ]
}

/// The parameter `locale` of a query; others are none of a feed's business.
fn locale_in(query: Option<String>) -> Option<String> {
    let query = query?;
    url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "locale").map(|(_, value)| value.into_owned())
}

async fn site(ctx: Ctx, RawQuery(query): RawQuery, format: Format) -> Result<Finished<One<String>>> {
    feed(ctx, Of::Site, query, format).await
}

async fn tag(ctx: Ctx, Path(slug): Path<String>, RawQuery(query): RawQuery, format: Format) -> Result<Finished<One<String>>> {
    feed(ctx, Of::Tag(slug), query, format).await
}

async fn author(ctx: Ctx, Path(slug): Path<String>, RawQuery(query): RawQuery, format: Format) -> Result<Finished<One<String>>> {
    feed(ctx, Of::Author(slug), query, format).await
}

async fn feed(ctx: Ctx, of: Of, query: Option<String>, format: Format) -> Result<Finished<One<String>>> {
    let entry = service::feed(&ctx, of, format, locale_in(query)).await?;
    Ok(Finished::of(&ctx, entry))
}

async fn index(ctx: Ctx) -> Result<Finished<One<String>>> {
    let entry = service::sitemap_index(&ctx).await?;
    Ok(Finished::of(&ctx, entry))
}

async fn file(ctx: Ctx, Path(name): Path<String>) -> Result<Finished<One<String>>> {
    let entry = service::sitemap_file(&ctx, &name).await?;
    Ok(Finished::of(&ctx, entry))
}

async fn robots(ctx: Ctx) -> Response {
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], service::robots(&ctx.app)).into_response()
}
