//! The tree of categories.

use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn products_are_found_in_their_category_and_in_those_above() {
    let app = app().await;
    let clothes = make(&app, "categories", json!({ "title": "Clothes", "slug": "clothes" })).await;
    let shoes = make(&app, "categories", json!({ "title": "Shoes", "slug": "shoes", "parent_id": clothes })).await;
    let other = make(&app, "categories", json!({ "title": "Other", "slug": "other" })).await;
    let body = json!({ "title": "Boot", "status": "active", "category_ids": [shoes] });
    let boot = app.post("/api/v1/shop/products").by(&merchant()).json(&body).await.expect(201);
    for (category, found) in [(&clothes, 1), (&shoes, 1), (&other, 0)] {
        let list = app.get(&format!("/api/v1/shop/products?category_id={category}")).await.expect(200);
        assert_eq!(list["items"].as_array().unwrap().len(), found);
    }
    app.get(&format!("/api/v1/shop/categories/{shoes}")).await.expect(200);
    assert_eq!(app.get("/api/v1/shop/categories").await.expect(200)["items"].as_array().unwrap().len(), 3);
    let moved = app.patch(boot.header("location")).by(&merchant()).json(&json!({ "category_ids": [other] })).await.expect(200);
    assert_eq!(moved["category_ids"], json!([other]));
    let unknown = json!({ "category_ids": [boot.text("/id")] });
    app.patch(boot.header("location")).by(&merchant()).json(&unknown).await.expect(422).field("/category_ids/0", "unknown_reference");
}

#[tokio::test]
async fn a_category_is_never_within_itself_not_even_by_two_moves_at_once() {
    let app = app().await;
    let one = make(&app, "categories", json!({ "title": "One", "slug": "one" })).await;
    let two = make(&app, "categories", json!({ "title": "Two", "slug": "two", "parent_id": one })).await;
    let put = |id: &str, slug: &str, parent: serde_json::Value| {
        app.put(&format!("/api/v1/shop/categories/{id}")).by(&merchant()).json(&json!({ "title": slug, "slug": slug, "parent_id": parent }))
    };
    put(&one, "one", json!(two)).await.expect(422).field("/parent_id", "not_allowed");
    put(&one, "one", json!(one)).await.expect(422).field("/parent_id", "not_allowed");
    put(&one, "one", json!("019ab0b2-8f00-7000-8000-00000000ffff")).await.expect(422).field("/parent_id", "unknown_reference");
    app.delete(&format!("/api/v1/shop/categories/{one}")).by(&merchant()).await.expect(409).problem("in_use");
    put(&two, "two", json!(null)).await.expect(200);
    let answers = at_once([put(&one, "one", json!(two)), put(&two, "two", json!(one))]).await;
    assert_eq!((count(&answers, 200), count(&answers, 422)), (1, 1));
    put(&two, "one", json!(null)).await.expect(409).problem("slug_taken").field("/slug", "slug_taken");
}

#[tokio::test]
async fn the_tree_is_at_most_ten_levels_deep() {
    let app = app().await;
    let mut parent = json!(null);
    for level in 0..10 {
        parent = json!(make(&app, "categories", json!({ "title": "Level", "slug": format!("level-{level}"), "parent_id": parent })).await);
    }
    let eleventh = json!({ "title": "Level", "slug": "level-10", "parent_id": parent });
    app.post("/api/v1/shop/categories").by(&merchant()).json(&eleventh).await.expect(422).field("/parent_id", "not_allowed");
}
