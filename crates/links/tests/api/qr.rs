//! QR codes through the front door (INV-L26); what they show is tested beside the code.

use serde_json::json;

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
async fn inv_l26_a_scanned_code_leads_to_the_link_and_is_counted_apart() {
    let app = app().await;
    let made = link(&app, "Über/uns", "https://example.com/").await;
    for slug in ["Über/uns", "sale"] {
        app.patch(&path_of(&made)).by(&ada()).json(&json!({ "slug": slug })).await.expect(200);
        let png = app.get(&format!("{}/qr.png", path_of(&made))).by(&ada()).query("level", "q").await.expect(200);
        let seen = image::load_from_memory(&png.bytes).expect("an image").to_luma8();
        let (width, height) = (seen.width() as usize, seen.height() as usize);
        let mut seen = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| seen.get_pixel(x as u32, y as u32).0[0]);
        let (_, text) = seen.detect_grids()[0].decode().expect("a code");
        let path = text.strip_prefix("http://undercroft.test").expect("our host");
        assert_eq!(text, format!("{}?qr", app.get(&path_of(&made)).by(&ada()).await.expect(200).text("/short_url")));
        // The marker is ours and goes no further.
        visit(&app, path).await.leads_to("https://example.com/");
    }
    visit(&app, "/sale").await.is(302);
    flush(&app).await;
    assert_eq!(items(&stats(&app, &made, "via").await.expect(200)), [("qr".to_owned(), 2), ("link".to_owned(), 1)]);
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
