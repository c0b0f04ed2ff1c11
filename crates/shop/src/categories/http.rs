//! Categories over HTTP.

use kernel::error::{QUOTA_EXCEEDED, SLUG_TAKEN};
use kernel::{Permission, Problem};

use crate::categories::{CategoryView, NewCategory};
use crate::permissions::MANAGE_PRODUCTS;
use crate::problems::IN_USE;
use crate::resources::http::Resource;

impl Resource for NewCategory {
    type View = CategoryView;
    const PERMISSION: &'static Permission = &MANAGE_PRODUCTS;
    const IS_PUBLIC: bool = true;
    const TAG: &'static str = "Categories";
    const PATHS: [&'static str; 2] = ["/api/v1/shop/categories", "/api/v1/shop/categories/{category_id}"];
    const OPERATIONS: [&'static str; 5] = ["listCategories", "getCategory", "createCategory", "replaceCategory", "deleteCategory"];
    const SUMMARIES: [&'static str; 5] =
        ["List the categories", "Read a category", "Add a category", "Change a category", "Delete a category"];
    const ABOUT: &'static str = "A group of products. Groups form a tree of at most ten levels.";
    const PROBLEMS: [&'static [&'static Problem]; 2] = [&[&SLUG_TAKEN, &QUOTA_EXCEEDED], &[&IN_USE]];
    const SUBJECT: &'static str = "category";
    const ACTIONS: [&'static str; 3] = ["shop.category.create", "shop.category.replace", "shop.category.delete"];
}
