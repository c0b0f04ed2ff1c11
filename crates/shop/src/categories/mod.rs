//! Categories: a tree that products are sorted into by hand.

pub(crate) mod http;
pub(crate) mod store;

use std::collections::{HashMap, HashSet};

use kernel::Id;

use crate::ids::Category;
use crate::resources::resource;

/// The most categories, so that the whole tree fits into one answer to one question.
pub(crate) const MAX_CATEGORIES: i64 = 2_000;
/// How deep the tree may be.
pub(crate) const MAX_DEPTH: usize = 10;

resource! {
    /// A group of products, within another group or at the top.
    NewCategory, CategoryView, Category, example {
        "title": "Shoes", "slug": "shoes", "parent_id": null, "description": "For feet.", "position": 1
    } {
        /// The name for people.
        #[schema(min_length = 1, max_length = 255)]
        title: String,
        /// The address.
        #[schema(min_length = 1, max_length = 120, pattern = "^[a-z0-9]+(-[a-z0-9]+)*$")]
        slug: String,
        /// The group that it is in.
        #[serde(default)]
        #[schema(value_type = Option<uuid::Uuid>)]
        parent_id: Option<Id<Category>>,
        /// What is in it.
        #[serde(default)]
        #[schema(max_length = 20000)]
        description: String,
        /// Where it stands among its siblings.
        #[serde(default)]
        #[schema(minimum = 0, maximum = 1000000)]
        position: i64,
    }
}

/// A category and what it is in.
pub(crate) type Branch = (Id<Category>, Option<Id<Category>>);

/// A category and everything below it.
pub(crate) fn with_descendants(tree: &[Branch], root: Id<Category>) -> HashSet<Id<Category>> {
    let mut found = HashSet::from([root]);
    let mut grows = true;
    while grows {
        let before = found.len();
        found.extend(
            tree.iter().filter(|(_, parent)| parent.is_some_and(|parent| found.contains(&parent))).map(|(id, _)| *id).collect::<Vec<_>>(),
        );
        grows = found.len() > before;
    }
    found
}

/// How many levels there are above a category, with this parent; none for a circle.
pub(crate) fn depth(tree: &[Branch], of: Option<Id<Category>>, parent: Id<Category>) -> Option<usize> {
    let parents: HashMap<_, _> = tree.iter().copied().collect();
    let mut next = Some(parent);
    let mut depth = 0;
    while let Some(id) = next {
        depth += 1;
        if Some(id) == of || depth > tree.len() {
            return None;
        }
        next = parents.get(&id).copied().flatten();
    }
    Some(depth)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> Id<Category> {
        Id::from_uuid(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn a_branch_holds_all_levels_below_and_a_circle_is_noticed() {
        let tree = [(id(1), None), (id(2), Some(id(1))), (id(3), Some(id(2))), (id(4), None)];
        assert_eq!(with_descendants(&tree, id(1)), HashSet::from([id(1), id(2), id(3)]));
        assert_eq!(depth(&tree, Some(id(4)), id(3)), Some(3));
        assert_eq!(depth(&tree, Some(id(1)), id(3)), None);
    }
}
