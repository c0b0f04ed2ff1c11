//! SQL of tags.

use std::collections::HashMap;

use db::{Conn, Error, Param, ToParam as _, params};
use kernel::{Ctx, Id, UserId};

use super::{Tag, sorted};
use crate::links::Link;

/// Makes these the tags of a link, and no others.
pub(crate) fn replace(tx: &mut db::Tx<'_>, ctx: &Ctx, owner: UserId, link: Id<Link>, tags: &[String]) -> Result<(), Error> {
    tx.execute("DELETE FROM links_link_tags WHERE link_id = ?", params![link])?;
    add(tx, ctx, owner, link, tags)
}

/// Gives a new link its tags.
pub(crate) fn add(tx: &mut db::Tx<'_>, ctx: &Ctx, owner: UserId, link: Id<Link>, tags: &[String]) -> Result<(), Error> {
    for (key, name) in sorted(tags) {
        let known = find(tx, owner, &key)?;
        let id = match known {
            Some(id) => id,
            None => {
                let id: Id<Tag> = ctx.new_id();
                let sql = "INSERT INTO links_tags (id, owner_user_id, name, name_key) VALUES (?, ?, ?, ?)";
                if tx.insert_ignore(sql, params![id, owner, name, key])? {
                    id
                } else {
                    find(tx, owner, &key)?.ok_or(Error::Serialization)?
                }
            }
        };
        tx.execute("INSERT INTO links_link_tags (link_id, tag_id) VALUES (?, ?)", params![link, id])?;
    }
    Ok(())
}

fn find(c: &mut Conn, owner: UserId, key: &str) -> Result<Option<Id<Tag>>, Error> {
    let row = c.opt::<(Id<Tag>,)>("SELECT id FROM links_tags WHERE owner_user_id = ? AND name_key = ?", params![owner, key])?;
    Ok(row.map(|(id,)| id))
}

/// The names of the tags of these links, each list sorted.
pub(crate) fn of_links(c: &mut Conn, links: &[Id<Link>]) -> Result<HashMap<Id<Link>, Vec<String>>, Error> {
    let mut all: HashMap<Id<Link>, Vec<String>> = HashMap::new();
    if links.is_empty() {
        return Ok(all);
    }
    let marks = vec!["?"; links.len()].join(", ");
    let sql = format!(
        "SELECT lt.link_id, t.name FROM links_link_tags lt JOIN links_tags t ON t.id = lt.tag_id WHERE lt.link_id IN ({marks}) ORDER BY t.name_key"
    );
    let ids: Vec<Param<'_>> = links.iter().map(|id| id.to_param()).collect();
    c.each::<(Id<Link>, String)>(sql, &ids, |(link, name)| {
        all.entry(link).or_default().push(name);
        Ok(())
    })?;
    Ok(all)
}
