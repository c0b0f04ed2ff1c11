//! Sample data: a catalog that can be bought from, made once.

use kernel::Ctx;
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn the_samples_can_be_bought_and_are_made_once() {
    let app = app().await;
    let ctx = Ctx::system(app.kernel(), "samples");
    for _ in 0..2 {
        app.kernel().plan().fill_with_samples(&ctx, |_| {}).await.unwrap();
    }
    let list = app.get("/api/v1/shop/products").await.expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 4);
    let shirt = app.get("/api/v1/shop/products/by-slug/linen-shirt").await.expect(200);
    let guest = guest(&app).await;
    guest.add(&app, &shirt.text("/variants/2/id"), 1).await.expect(200);
    guest.ship_to(&app, address("DE", "10115")).await.expect(200);
    let options = guest.with_secret(app.get(&guest.path("/shipping-options"))).await.expect(200);
    let choice = json!({ "method_id": options.text("/items/0/method_id") });
    let cart = guest.with_secret(app.put(&guest.path("/shipping"))).json(&choice).await.expect(200);
    assert_eq!((problems(&cart), &cart["totals"]["total"], &cart["totals"]["tax"]), (Vec::new(), &euros(8_390), &euros(1_339)));
    let cheaper = guest.enter(&app, "welcome10").await.expect(200);
    assert_eq!(cheaper["totals"]["total"], euros(7_600));
    app.run_jobs().await;
}
