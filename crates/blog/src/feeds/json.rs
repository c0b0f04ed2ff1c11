//! JSON Feed 1.1.

use kernel::{Error, Result};
use serde_json::{Value, json};

use crate::feeds::{Feed, Item};

pub(super) fn write(feed: &Feed) -> Result<Vec<u8>> {
    let document = json!({
        "version": "https://jsonfeed.org/version/1.1",
        "title": feed.title,
        "description": feed.description,
        "home_page_url": feed.home_url,
        "feed_url": feed.feed_url,
        "language": feed.language,
        "items": feed.items.iter().map(item).collect::<Vec<_>>(),
    });
    serde_json::to_vec(&document).map_err(Error::internal)
}

fn item(item: &Item) -> Value {
    let mut value = json!({
        "id": item.urn(),
        "url": item.url,
        "title": item.title,
        "summary": item.excerpt,
        "language": item.language,
        "date_published": item.published_at.to_string(),
        "date_modified": item.updated_at.to_string(),
        "authors": item.authors.iter().map(|(name, url)| json!({ "name": name, "url": url })).collect::<Vec<_>>(),
        "tags": item.tags,
    });
    // One of the two must be there.
    match &item.html {
        Some(html) => value["content_html"] = json!(html),
        None => value["content_text"] = json!(item.excerpt),
    }
    value
}
