//! A believable blog for `undercroft seed --demo`; running it twice changes nothing the second time.

use std::time::Duration;

use kernel::http::IfMatch;
use kernel::{Ctx, Id, Result};
use uuid::Uuid;

use crate::authors::service::NewAuthor;
use crate::comments::create::{Guest, NewComment};
use crate::posts::lifecycle::{self, Times};
use crate::posts::service::{Links, NewPost, PostPatch, Written};
use crate::rendering::Format;
use crate::settings::BlogSettings;
use crate::slugs::Slug;
use crate::slugs::service::Wish;
use crate::tags::TagKind;
use crate::tags::service::NewTag;
use crate::threads::service::Target;
use crate::{authors, comments, posts, slugs, tags};

const AUTHORS: [(&str, &str); 3] = [
    ("Lene Brandt", "Walks across bridges and writes down what holds them up."),
    ("Tomasz Wilk", "Repairs bicycles, clocks and, on good days, sentences."),
    ("Amara Osei", "Bakes, measures, and bakes again."),
];

const TAGS: [&str; 5] = ["Bridges", "Workshop", "Kitchen", "Maps", "Notes"];

/// Title, author, tags, text.
const POSTS: [(&str, usize, &[usize], &str); 12] = [
    (
        "Seven bridges and no walk",
        0,
        &[0, 3],
        "In 1736 somebody asked whether one could cross all seven bridges of Königsberg, each of them once.\n\n## The answer\n\nNo. Every piece of land would need an *even* number of bridges, except where the walk begins and ends.\n\n| land | bridges |\n|---|---|\n| island | 5 |\n| north bank | 3 |\n| south bank | 3 |\n| east | 3 |\n\nFour odd numbers are two too many.",
    ),
    (
        "What holds an arch up",
        0,
        &[0],
        "An arch stands because every stone tries to fall and none can.\n\n> The arch never sleeps.\n\nTake the keystone away, and the others remember that they are heavy.",
    ),
    (
        "A map that fits into a pocket",
        0,
        &[3, 4],
        "Fold it along the river first. Everything else follows:\n\n1. the long side in four,\n2. the short side in three,\n3. the corner with the legend outwards.\n\nAfter a week in the rain it folds itself.",
    ),
    (
        "Truing a wheel by ear",
        1,
        &[1],
        "Pluck the spokes. A wheel that is true sings *one* note on each side; a loose spoke is flat, a tight one is sharp.\n\nA quarter of a turn is a lot. Wait, pluck, listen.",
    ),
    (
        "The clock that lost four minutes",
        1,
        &[1, 4],
        "It lost four minutes a day, every day, which is better than a clock that loses two on some days.\n\nThe pendulum was too long by the thickness of a coin. I found the coin below the case.",
    ),
    (
        "Three files, and no fourth",
        1,
        &[1],
        "- a coarse one, for what must go\n- a fine one, for what must fit\n- a round one, for what somebody else drilled\n\nEverything else in the drawer is hope.",
    ),
    (
        "Bread for people without time",
        2,
        &[2],
        "Flour 500 g, water 380 g, salt 10 g, yeast as much as a pea. Stir, forget it until tomorrow, bake it hot.\n\nIt is the forgetting that does the work.",
    ),
    (
        "Why the second pancake is better",
        2,
        &[2, 4],
        "The first one warms the pan evenly. That is its whole job, and it does it well.\n\nWe measured: 214 °C in the middle and 168 °C at the rim before, 196 °C and 189 °C after.",
    ),
    (
        "Salt, in four experiments",
        2,
        &[2],
        "Too little tastes of nothing, too much of salt. Between them lies about one gram in a hundred.\n\n```\n0.8 %  flat\n1.0 %  bread\n1.2 %  good bread\n1.6 %  thirst\n```",
    ),
    (
        "Crossing at low water",
        0,
        &[3],
        "Twice a day the old road comes up out of the sea, and for two hours one can walk to the island.\n\nThe tide table hangs on the post. The post is under water when you need it.",
    ),
    (
        "Letters we could not deliver",
        1,
        &[4],
        "A drawer of our post office holds letters whose street is no longer there. Once a year we read the dates aloud.\n\nThe oldest was posted a day before the street was named.",
    ),
    (
        "A year in the allotment",
        2,
        &[2, 4],
        "January: plans. March: more plans. May: **slugs**, not the kind that stands in addresses. August: too many courgettes, as every year, and nobody to blame.",
    ),
];

const COMMENTS: [(usize, &str, &str); 6] = [
    (0, "Jonas", "There are only five bridges left, and now there *is* a walk. I have done it, with a dog."),
    (0, "Mira", "Does the dog count as crossing too?"),
    (3, "Ilse", "Mine sings a fourth. Is that bad?"),
    (6, "Paul", "Forgot it for two days. Still bread."),
    (7, "Emmy", "We eat the first one in the kitchen, so that nobody knows."),
    (11, "Vera", "The courgettes are mine. Nobody asked for them."),
];

/// Makes authors, tags, posts and comments, except for those that are there.
pub(crate) async fn fill(ctx: Ctx) -> Result<()> {
    let mut author_ids = Vec::new();
    for (name, bio) in AUTHORS {
        author_ids.push(author(&ctx, name, bio).await?);
    }
    let mut tag_ids = Vec::new();
    for name in TAGS {
        tag_ids.push(tag(&ctx, name).await?);
    }
    for (number, (title, author, tags, source)) in POSTS.iter().enumerate() {
        let links = Links { author_ids: Some(vec![author_ids[*author]]), tag_ids: Some(tags.iter().map(|tag| tag_ids[*tag]).collect()) };
        // The newest is a day old, each other one five days older.
        let days = 1 + 5 * (POSTS.len() - 1 - number) as u64;
        post(&ctx, number, title, source, links, days).await?;
    }
    Ok(())
}

async fn author(ctx: &Ctx, name: &str, bio: &str) -> Result<Uuid> {
    let slug = Slug::from_text(name, "author");
    let wanted = slug.clone();
    let found = ctx.read(move |c| Ok(authors::store::find_by_slug(c, wanted.as_str())?)).await?;
    if let Some(found) = found {
        return Ok(found.id.uuid());
    }
    let new = NewAuthor { user_id: None, slug, name: name.to_owned(), bio: bio.to_owned(), website: None };
    Ok(authors::service::create(ctx, new).await?.id.uuid())
}

async fn tag(ctx: &Ctx, name: &str) -> Result<Uuid> {
    let slug = Slug::from_text(name, "tag");
    let wanted = slug.clone();
    let found = ctx.read(move |c| Ok(tags::store::find_by_slug(c, wanted.as_str())?)).await?;
    if let Some(found) = found {
        return Ok(found.id.uuid());
    }
    let new = NewTag { kind: TagKind::Tag, slug, name: name.to_owned(), description: String::new() };
    Ok(tags::service::create(ctx, new).await?.id.uuid())
}

async fn post(ctx: &Ctx, number: usize, title: &str, source: &str, links: Links, days: u64) -> Result<()> {
    let slug = Slug::from_text(title, "post");
    let (wanted, locale) = (slug.clone(), ctx.settings::<BlogSettings>().default_locale.clone());
    if ctx.read(move |c| Ok(slugs::store::exists(c, &locale, wanted.as_str())?)).await? {
        return Ok(());
    }
    let patch = PostPatch {
        title: Some(title.to_owned()),
        body: Some(Written { format: Format::Markdown, source: source.to_owned() }),
        links,
        ..PostPatch::default()
    };
    let wish = Wish::Exactly { slug, claim: false };
    let id = posts::service::create(ctx, NewPost { locale: None, wish, patch }).await?.record.id;
    let publish_at = Some(ctx.now() - Duration::from_secs(days * 24 * 3600));
    lifecycle::publish(ctx, id, Times { publish_at, unpublish_at: None }, IfMatch::Any).await?;
    let mut parent_id: Option<Id<comments::Comment>> = None;
    for (_, name, text) in COMMENTS.iter().filter(|(post, ..)| *post == number) {
        let guest = Some(Guest { name: (*name).to_owned(), email: None, website: None });
        let new = NewComment { parent_id, source: (*text).to_owned(), guest, is_trap_filled: false, seconds: None };
        let receipt = comments::create::create(ctx, Target::post(ctx, id), new).await?;
        // The second one answers the first.
        parent_id = Some(receipt.comment.id);
    }
    Ok(())
}
