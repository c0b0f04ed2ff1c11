//! What search engines and link previews are told about a post (BLG-13): what was set, completed by what can be derived.

use std::borrow::Cow;

use kernel::{App, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::posts::{PostBody, PostRecord};
use crate::settings::BlogSettings;

/// What was set by hand; everything absent is derived.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = PostSeo, example = json!({"title": "Seven bridges", "is_indexed": true}))]
pub(crate) struct Seo {
    /// The title in results; the title of the post when absent.
    #[schema(min_length = 1, max_length = 255)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<String>,
    /// The description in results; the excerpt when absent.
    #[schema(min_length = 1, max_length = 1000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// Where the post stands in the first place, http or https; its own address when absent.
    #[schema(min_length = 8, max_length = 2000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) canonical_url: Option<String>,
    /// The picture of link previews, http or https; the picture that stands for the post, or its first one, when absent.
    #[schema(min_length = 8, max_length = 2000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) image_url: Option<String>,
    /// Whether search engines may show it; yes when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) is_indexed: Option<bool>,
}

/// Everything that the head of a page says about a post.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = PostSeoView)]
pub(crate) struct SeoView {
    /// The title in results.
    pub(crate) title: String,
    /// The description in results.
    pub(crate) description: String,
    /// Where the post stands in the first place.
    pub(crate) canonical_url: String,
    /// The picture of link previews.
    pub(crate) image_url: Option<String>,
    /// Whether search engines may show it.
    pub(crate) is_indexed: bool,
    /// Open Graph: the value of each property.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub(crate) open_graph: OpenGraph,
    /// Structured data: a BlogPosting of schema.org.
    #[schema(value_type = Object)]
    pub(crate) json_ld: BlogPosting,
}

/// The properties of the Open Graph protocol (ogp.me), by their names.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OpenGraph {
    #[serde(rename = "og:type")]
    kind: Cow<'static, str>,
    #[serde(rename = "og:title")]
    title: String,
    #[serde(rename = "og:description")]
    description: String,
    #[serde(rename = "og:url")]
    url: String,
    #[serde(rename = "og:locale")]
    locale: String,
    #[serde(rename = "og:site_name")]
    site_name: String,
    #[serde(rename = "og:image", skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    #[serde(rename = "article:published_time", skip_serializing_if = "Option::is_none")]
    published_time: Option<Timestamp>,
}

/// A post as schema.org describes it (schema.org/BlogPosting), in JSON-LD.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BlogPosting {
    #[serde(rename = "@context")]
    context: Cow<'static, str>,
    #[serde(rename = "@type")]
    kind: Cow<'static, str>,
    headline: String,
    description: String,
    url: String,
    main_entity_of_page: String,
    in_language: String,
    word_count: i64,
    date_modified: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    date_published: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    author: Vec<Person>,
}

/// An author as schema.org describes people.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Person {
    #[serde(rename = "@type")]
    kind: Cow<'static, str>,
    name: String,
    url: String,
}

impl SeoView {
    /// The complete view; `pages` are the names of the authors with the addresses of their pages, `featured` is the path of the post's picture.
    pub(crate) fn of(
        app: &App,
        post: &PostRecord,
        body: &PostBody,
        url: &str,
        pages: Vec<(String, String)>,
        featured: Option<&str>,
    ) -> SeoView {
        let (seo, settings) = (&body.seo, app.settings::<BlogSettings>());
        let title = seo.title.clone().unwrap_or_else(|| post.title.clone());
        let description = seo.description.clone().unwrap_or_else(|| post.shown_excerpt().to_owned());
        let canonical_url = seo.canonical_url.clone().unwrap_or_else(|| url.to_owned());
        let image_url = seo
            .image_url
            .clone()
            .or_else(|| featured.map(|path| format!("{}{path}", app.public_url())))
            .or_else(|| first_image(&body.html, &settings.site_url(app)));
        let open_graph = OpenGraph {
            kind: "article".into(),
            title: title.clone(),
            description: description.clone(),
            url: canonical_url.clone(),
            locale: post.locale.replace('-', "_"),
            site_name: settings.title.clone(),
            image: image_url.clone(),
            published_time: post.published_at,
        };
        let json_ld = BlogPosting {
            context: "https://schema.org".into(),
            kind: "BlogPosting".into(),
            headline: title.clone(),
            description: description.clone(),
            url: canonical_url.clone(),
            main_entity_of_page: canonical_url.clone(),
            in_language: post.locale.clone(),
            word_count: post.word_count,
            date_modified: post.updated_at,
            date_published: post.published_at,
            image: image_url.clone(),
            author: pages.into_iter().map(|(name, url)| Person { kind: "Person".into(), name, url }).collect(),
        };
        SeoView { title, description, canonical_url, image_url, is_indexed: seo.is_indexed.unwrap_or(true), open_graph, json_ld }
    }
}

/// The address of the first picture in sanitised HTML, made absolute.
fn first_image(html: &str, site_url: &str) -> Option<String> {
    let tag = html.split("<img ").nth(1)?.split('>').next()?;
    let source = tag.split("src=\"").nth(1)?.split('"').next()?.replace("&amp;", "&");
    let base = url::Url::parse(site_url).ok()?;
    base.join(&source).ok().filter(|url| matches!(url.scheme(), "http" | "https")).map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blg13_the_first_picture_is_found_and_made_absolute() {
        let found = |html: &str| first_image(html, "https://example.com/blog");
        assert_eq!(found("<p><img alt=\"\" src=\"/a.png?x=1&amp;y=2\"></p>").as_deref(), Some("https://example.com/a.png?x=1&y=2"));
        assert_eq!(found("<img src=\"https://cdn.example/b.png\"><img src=\"c\">").as_deref(), Some("https://cdn.example/b.png"));
        assert_eq!(found("<p>none</p>"), None);
    }
}
