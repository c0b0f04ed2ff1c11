//! RSS 2.0.

use kernel::{Result, Timestamp};

use crate::feeds::Feed;
use crate::feeds::xml::Xml;

pub(super) fn write(feed: &Feed) -> Result<Vec<u8>> {
    let namespaces = [
        ("version", "2.0"),
        ("xmlns:atom", "http://www.w3.org/2005/Atom"),
        ("xmlns:content", "http://purl.org/rss/1.0/modules/content/"),
        ("xmlns:dc", "http://purl.org/dc/elements/1.1/"),
    ];
    let mut xml = Xml::new("rss", &namespaces)?;
    xml.open("channel", &[])?;
    xml.text("title", &feed.title)?;
    xml.text("link", &feed.home_url)?;
    xml.text("description", &feed.description)?;
    xml.text("language", &feed.language)?;
    xml.text("lastBuildDate", &date(feed.updated_at))?;
    xml.empty("atom:link", &[("href", &feed.feed_url), ("rel", "self"), ("type", "application/rss+xml")])?;
    for item in &feed.items {
        xml.open("item", &[])?;
        xml.text("title", &item.title)?;
        xml.text("link", &item.url)?;
        xml.text_with("guid", &[("isPermaLink", "false")], &item.urn())?;
        xml.text("pubDate", &date(item.published_at))?;
        for (name, _) in &item.authors {
            xml.text("dc:creator", name)?;
        }
        for tag in &item.tags {
            xml.text("category", tag)?;
        }
        xml.text("description", &item.excerpt)?;
        if let Some(html) = &item.html {
            xml.text("content:encoded", html)?;
        }
        xml.text("atom:updated", &item.updated_at.to_string())?;
        xml.close("item")?;
    }
    xml.close("channel")?;
    xml.finish("rss")
}

fn date(at: Timestamp) -> String {
    crate::cache::http_date(at).and_then(|value| value.to_str().map(str::to_owned).ok()).unwrap_or_default()
}
