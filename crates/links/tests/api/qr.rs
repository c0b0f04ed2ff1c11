//! QR codes through the front door (INV-L26); what they show is tested beside the code.

use crate::support::*;

#[tokio::test]
async fn inv_l26_a_code_is_an_image_that_can_be_kept() {
    let app = app().await;
    let made = link(&app, "sale", "https://example.com/").await;
    for (end, media_type) in [("qr.svg", "image/svg+xml"), ("qr.png", "image/png")] {
        let path = format!("{}/{end}", path_of(&made));
        let image = app.get(&path).by(&ada()).await.expect(200);
        assert_eq!((image.header("content-type"), image.header("cache-control")), (media_type, "private, no-cache"));
        let kept = app.get(&path).by(&ada()).header("If-None-Match", image.header("etag")).await;
        assert_eq!((kept.status.as_u16(), kept.bytes.len()), (304, 0));
        let other =
            app.get(&path).by(&ada()).query("color", "1d2330").query("level", "h").query("size", 128).query("margin", 0).await.expect(200);
        assert_ne!(other.header("etag"), image.header("etag"));
        app.get(&path).await.expect(401);
    }
    let png = app.get(&format!("{}/qr.png", path_of(&made))).by(&ada()).query("size", 100).await.expect(200);
    let decoded = image::load_from_memory(&png.bytes).expect("an image");
    assert!(decoded.width() == decoded.height() && (58..=100).contains(&decoded.width()), "{}", decoded.width());
}

#[tokio::test]
async fn inv_l26_styles_that_cannot_be_scanned_are_refused() {
    let app = app().await;
    let made = link(&app, "sale", "https://example.com/").await;
    let ask = |name: &str, value: &str| app.get(&format!("{}/qr.svg", path_of(&made))).by(&ada()).query(name, value);
    ask("color", "cccccc").await.expect(422).problem("qr_contrast").field("color", "qr_contrast");
    ask("background", "000000").await.problem("qr_contrast");
    ask("color", "red").await.expect(422).field("color", "invalid_format");
    ask("size", "63").await.expect(422).field("size", "out_of_range");
    ask("size", "2049").await.expect(422).field("size", "out_of_range");
    ask("margin", "17").await.expect(422).field("margin", "out_of_range");
    ask("level", "x").await.expect(422);
}
