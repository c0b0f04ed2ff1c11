//! Taking slugs: each has one owner, whoever comes at the same time.

use db::Conn;
use kernel::{Id, Result, Timestamp, Tx};

use crate::posts::Post;
use crate::problems::SLUG_TAKEN;
use crate::slugs::{Slug, store};

/// Which slug a post wants.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    /// This one and no other; a former slug of another post only when it is claimed.
    Exactly { slug: Slug, claim: bool },
    /// This one, or with a number behind it.
    Like(Slug),
}

/// Makes a slug the current one of this post and the one before a former one; tells which it became.
pub(crate) fn take(tx: &mut Tx<'_, '_>, locale: &str, wish: &Wish, post: Id<Post>, now: Timestamp) -> Result<Slug> {
    match wish {
        Wish::Exactly { slug, claim } => {
            store::give_up(tx, post)?;
            let is_mine = store::insert(tx, locale, slug.as_str(), post, now)?
                || store::take_back(tx, locale, slug.as_str(), post)?
                || (*claim && store::claim(tx, locale, slug.as_str(), post)?);
            if is_mine { Ok(slug.clone()) } else { Err(SLUG_TAKEN.on("/slug")) }
        }
        Wish::Like(slug) => {
            store::give_up(tx, post)?;
            take_numbered(tx, locale, slug, post, now)
        }
    }
}

fn take_numbered(tx: &mut Tx<'_, '_>, locale: &str, slug: &Slug, post: Id<Post>, now: Timestamp) -> Result<Slug> {
    if store::insert(tx, locale, slug.as_str(), post, now)? {
        return Ok(slug.clone());
    }
    let mut number = first_free(tx, locale, slug)?;
    // Others may take numbers meanwhile; each failure moves one on.
    loop {
        let candidate = slug.numbered(number);
        if store::insert(tx, locale, candidate.as_str(), post, now)? {
            return Ok(candidate);
        }
        number += 1;
    }
}

/// A number behind all those in use: doubles until one is free, then halves the gap. Few look-ups, however many posts share a title.
fn first_free(c: &mut Conn, locale: &str, slug: &Slug) -> Result<u32> {
    let mut is_taken = |number: u32| store::exists(c, locale, slug.numbered(number).as_str());
    let (mut taken, mut free) = (1, 2);
    while is_taken(free)? {
        (taken, free) = (free, free.saturating_mul(2));
    }
    while free - taken > 1 {
        let middle = taken + (free - taken) / 2;
        if is_taken(middle)? { taken = middle } else { free = middle }
    }
    Ok(free)
}
