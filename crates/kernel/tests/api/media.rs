//! The media library through the front door: what is taken in, what comes out, and for whom.

use std::io::Cursor;
use std::time::Duration;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use kernel::media::{self, MediaFile};
use kernel::{Ctx, Id};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Doorman, Person, TestApp, TestResponse};
use uuid::Uuid;

const MEDIA: &str = "/api/v1/media";
/// A text that must never come out again.
const CANARY: &str = "52.5163N 13.3777E";

/// An app whose files lie in a folder of their own; the folder lives as long as the app.
struct Gallery {
    app: TestApp,
    folder: TempDir,
}

impl Gallery {
    async fn new() -> Gallery {
        Gallery::with(&[]).await
    }

    async fn with(settings: &[(&str, &str)]) -> Gallery {
        let folder = tempfile::tempdir().unwrap();
        let builder = TestApp::builder().module(Doorman).setting("data_dir", folder.path().to_str().unwrap());
        let app = settings.iter().fold(builder, |builder, (key, value)| builder.setting(key, value)).start().await;
        Gallery { app, folder }
    }

    async fn upload(&self, by: &Person, query: &str, bytes: Vec<u8>) -> TestResponse {
        self.app.post(&format!("{MEDIA}{query}")).by(by).body("application/octet-stream", bytes).await
    }

    /// Uploads a picture and makes its variants.
    async fn picture(&self, by: &Person) -> TestResponse {
        let made = self.upload(by, "?name=a.png", png(64, 32)).await.expect(201);
        self.app.run_jobs().await;
        made
    }

    /// Every stored file, as a path below the library's folder.
    fn files(&self) -> Vec<String> {
        let root = self.folder.path().join("media");
        let mut files = Vec::new();
        for folder in std::fs::read_dir(&root).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
            files.extend(entries.map(|path| path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned()));
        }
        files.sort();
        files
    }

    fn write(&self, key: &str) {
        let path = self.folder.path().join("media").join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "left over").unwrap();
    }
}

fn author() -> Person {
    Doorman::person("ada", &["media:files:create"])
}

fn other_author() -> Person {
    Doorman::person("bob", &["media:files:create"])
}

fn editor() -> Person {
    Doorman::person("eve", &["media:files:create", "media:files:update", "media:files:delete"])
}

/// A picture whose left half is red and whose right half is blue.
fn pixels(width: u32, height: u32) -> DynamicImage {
    RgbImage::from_fn(width, height, |x, _| if x < width / 2 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) }).into()
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn png(width: u32, height: u32) -> Vec<u8> {
    encoded(&pixels(width, height), ImageFormat::Png)
}

/// A JPEG with EXIF that says how it is turned and where it was taken, and with a comment.
fn photo(width: u32, height: u32, orientation: u8) -> Vec<u8> {
    let plain = encoded(&pixels(width, height), ImageFormat::Jpeg);
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x02\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0]);
    exif.extend(b"\x01\x0e\0\x02\0\0\0\x12\0\0\0\x26\0\0\0\0");
    exif.extend(CANARY.as_bytes());
    exif.push(0);
    let segment = |marker: u8, body: &[u8]| [&[0xff, marker][..], &(body.len() as u16 + 2).to_be_bytes(), body].concat();
    [
        &plain[..2],
        &segment(0xe1, &exif),
        &segment(0xfe, CANARY.as_bytes()),
        &segment(0xed, CANARY.as_bytes()),
        &plain[2..],
        CANARY.as_bytes(),
    ]
    .concat()
}

/// A PNG with a text chunk before its end.
fn annotated_png() -> Vec<u8> {
    let plain = png(8, 8);
    let body = format!("Comment\0{CANARY}");
    let chunk = [&(body.len() as u32).to_be_bytes()[..], b"tEXt", body.as_bytes(), &[0; 4]].concat();
    let (rest, end) = plain.split_at(plain.len() - 12);
    [rest, &chunk, end, CANARY.as_bytes()].concat()
}

fn annotated_gif() -> Vec<u8> {
    let plain = encoded(&pixels(8, 8), ImageFormat::Gif);
    let comment = [b"\x21\xfe", &[CANARY.len() as u8][..], CANARY.as_bytes(), &[0]].concat();
    let (rest, end) = plain.split_at(plain.len() - 1);
    [rest, &comment, end].concat()
}

fn annotated_webp() -> Vec<u8> {
    let mut bytes = encoded(&pixels(8, 8), ImageFormat::WebP);
    bytes.extend([b"XMP ", &(CANARY.len() as u32).to_le_bytes()[..], CANARY.as_bytes(), &vec![0; CANARY.len() % 2]].concat());
    let size = (bytes.len() as u32 - 8).to_le_bytes();
    bytes[4..8].copy_from_slice(&size);
    bytes
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn path(made: &TestResponse) -> String {
    format!("{MEDIA}/{}", made.text("/id"))
}

fn id(made: &TestResponse) -> Id<MediaFile> {
    made.text("/id").parse().unwrap()
}

async fn link(app: &TestApp, id: Id<MediaFile>, subject: Uuid) -> bool {
    Ctx::system(app.kernel(), "test").write(move |tx| media::link(tx, id, "blog.post", subject)).await.unwrap()
}

#[tokio::test]
async fn med1_a_file_is_what_its_content_is() {
    let gallery = Gallery::new().await;
    let made =
        gallery.app.post(&format!("{MEDIA}?name=page.html&alt=A+flag")).by(&author()).body("text/html", png(64, 32)).await.expect(201);
    assert_eq!(made.header("location"), path(&made));
    assert_eq!(made.header("etag"), "\"v1\"");
    for (member, expected) in [
        ("mime", json!("image/png")),
        ("kind", json!("image")),
        ("name", json!("page.png")),
        ("width", json!(64)),
        ("height", json!(32)),
        ("alt", json!("A flag")),
        ("visibility", json!("public")),
        ("owner_id", json!(author().user_id)),
        ("focal_x", json!(5000)),
    ] {
        assert_eq!(made[member], expected, "{member}");
    }
    assert_eq!(made["placeholder"].as_str().unwrap().len(), 28);
    for (bytes, mime) in [
        (b"<svg onload='alert(1)'/>".to_vec(), "image/svg+xml"),
        (b"%PDF-1.7".to_vec(), "application/pdf"),
        (b"Hello".to_vec(), "text/plain"),
    ] {
        let made = gallery.upload(&author(), "?name=x.jpg", bytes).await.expect(201);
        assert_eq!((made.text("/mime"), &made["variants_url"], &made["width"]), (mime.to_owned(), &Value::Null, &Value::Null));
    }
    for refused in [&b"<!doctype html><p>x"[..], b"MZ\x90\0", b"PK\x03\x04", b"\0\0\0\x20ftypheic", b"\0\x01\x02"] {
        gallery.upload(&author(), "?name=x.png", refused.to_vec()).await.expect(415).problem("unsupported_media_type");
    }
    gallery.app.run_jobs().await;
}

#[tokio::test]
async fn med2_what_a_picture_tells_about_its_maker_is_gone() {
    let gallery = Gallery::new().await;
    for (bytes, mime) in
        [(photo(64, 32, 1), "image/jpeg"), (annotated_png(), "image/png"), (annotated_gif(), "image/gif"), (annotated_webp(), "image/webp")]
    {
        assert!(contains(&bytes, CANARY), "{mime}");
        let made = gallery.upload(&author(), "", bytes).await.expect(201);
        let stored = gallery.app.get(&made.text("/url")).await.expect(200);
        assert_eq!((made.text("/mime"), stored.header("content-type")), (mime.to_owned(), mime));
        assert!(!contains(&stored.bytes, CANARY) && !contains(&stored.bytes, "Exif"), "{mime}");
        let picture = image::load_from_memory(&stored.bytes).unwrap().to_rgb8();
        assert!(picture.get_pixel(1, 1)[0] > 200 && picture.get_pixel(picture.width() - 2, 1)[2] > 200, "{mime}");
        assert_eq!(made["size_bytes"], stored.bytes.len());
    }
    gallery.app.run_jobs().await;
}

#[tokio::test]
async fn med2_colours_are_kept_by_their_profile() {
    let gallery = Gallery::new().await;
    for (space, is_kept) in [(b"RGB ", true), (b"CMYK", false)] {
        let profile = [&[0; 16][..], space, &[7; 108]].concat();
        let mut bytes = Vec::new();
        let mut encoder = image::codecs::jpeg::JpegEncoder::new(&mut bytes);
        image::ImageEncoder::set_icc_profile(&mut encoder, profile.clone()).unwrap();
        encoder.encode_image(&pixels(64, 32)).unwrap();
        let made = gallery.upload(&author(), "", bytes).await.expect(201);
        let variant = gallery.app.get(&format!("{}/variants/card", path(&made))).await.expect(200);
        assert_eq!(variant.bytes.windows(profile.len()).any(|window| window == profile), is_kept, "{space:?}");
        let original = gallery.app.get(&made.text("/url")).await.expect(200);
        assert!(original.bytes.windows(profile.len()).any(|window| window == profile), "the pixels of the original are untouched");
    }
    gallery.app.run_jobs().await;
}

#[tokio::test]
async fn med2_a_turned_picture_stands_upright() {
    let gallery = Gallery::new().await;
    // 6: the camera was held so that the picture has to be turned clockwise.
    let made = gallery.upload(&author(), "", photo(64, 32, 6)).await.expect(201);
    assert_eq!((&made["width"], &made["height"]), (&json!(32), &json!(64)));
    let stored = gallery.app.get(&made.text("/url")).await.expect(200);
    let picture = image::load_from_memory(&stored.bytes).unwrap().to_rgb8();
    assert_eq!(picture.dimensions(), (32, 64));
    assert!(picture.get_pixel(16, 2)[0] > 200 && picture.get_pixel(16, 61)[2] > 200, "what was left is above");
    assert!(!contains(&stored.bytes, CANARY));
    gallery.app.run_jobs().await;
}

#[tokio::test]
async fn med2_bombs_and_wrecks_are_refused_before_they_do_harm() {
    let gallery = Gallery::with(&[("media.max_pixels", "10000")]).await;
    let mut bomb = png(8, 8);
    bomb[16..20].copy_from_slice(&60_000_u32.to_be_bytes());
    bomb[20..24].copy_from_slice(&60_000_u32.to_be_bytes());
    // The checksum of the header, so that its size is believed.
    let crc = crc32(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&crc.to_be_bytes());
    let mut jpeg_bomb = encoded(&pixels(8, 8), ImageFormat::Jpeg);
    let sof = jpeg_bomb.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    jpeg_bomb[sof + 5..sof + 9].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
    let gif_bomb = [b"GIF89a\xff\xff\xff\xff\0\0\0", &[0x2c, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 2, 0, 0x3b][..]].concat();
    for large in [png(101, 100), bomb, jpeg_bomb, gif_bomb] {
        gallery.upload(&author(), "", large).await.expect(422).problem("image_too_large");
    }
    let whole = png(64, 32);
    let photo = photo(64, 32, 1);
    for broken in [
        whole[..40].to_vec(),
        whole[..whole.len() - 20].to_vec(),
        b"\xff\xd8\xff\xe0".to_vec(),
        photo[..photo.len() / 3].to_vec(),
        b"GIF89a".to_vec(),
        b"RIFF\0\0\0\0WEBPVP8X".to_vec(),
    ] {
        gallery.upload(&author(), "", broken).await.expect(422).problem("image_invalid");
    }
    let mut animation = b"GIF89a\x01\0\x01\0\0\0\0".to_vec();
    for _ in 0..2_001 {
        animation.extend([0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0x80, 0, 0, 0, 255, 255, 255, 2, 2, 0x44, 1, 0]);
    }
    animation.push(0x3b);
    gallery.upload(&author(), "", animation).await.expect(422).problem("image_too_large");
    assert_eq!(gallery.files(), Vec::<String>::new(), "nothing of them is kept");
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes
        .iter()
        .fold(!0_u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())))
}

#[tokio::test]
async fn med3_pictures_come_in_the_sizes_of_the_presets_and_in_no_other() {
    let presets = "thumb = fill 20x20 jpg 80; card = fit 32x jpg; tall = fit x8 png; exact = fit 4000x webp";
    let gallery = Gallery::with(&[("media.presets", presets)]).await;
    let made = gallery.picture(&author()).await;
    for (name, mime, size) in [
        ("thumb", "image/jpeg", (20, 20)),
        ("thumb.jpg", "image/jpeg", (20, 20)),
        ("card", "image/jpeg", (32, 16)),
        ("tall.png", "image/png", (16, 8)),
        ("exact.webp", "image/webp", (64, 32)),
    ] {
        let answer = gallery.app.get(&made.text("/variants_url").replace("{preset}", name)).await.expect(200);
        assert_eq!(answer.header("content-type"), mime, "{name}");
        let picture = image::load_from_memory(&answer.bytes).unwrap();
        assert_eq!((picture.width(), picture.height()), size, "{name}");
    }
    for name in ["huge", "thumb.png", "thumb.jpg.jpg", "20x20", "thumb.", ".jpg"] {
        gallery.app.get(&format!("{}/variants/{name}", path(&made))).await.expect(404);
    }
    let text = gallery.upload(&author(), "", b"Hello".to_vec()).await.expect(201);
    gallery.app.get(&format!("{}/variants/thumb", path(&text))).await.expect(404).problem("not_found");
}

#[tokio::test]
async fn med3_what_shines_through_a_png_is_white_in_a_jpeg() {
    let gallery = Gallery::new().await;
    let clear = image::RgbaImage::from_pixel(16, 16, image::Rgba([0, 0, 0, 0])).into();
    let made = gallery.upload(&author(), "", encoded(&clear, ImageFormat::Png)).await.expect(201);
    gallery.app.run_jobs().await;
    let answer = gallery.app.get(&format!("{}/variants/card", path(&made))).await.expect(200);
    assert_eq!(image::load_from_memory(&answer.bytes).unwrap().to_rgb8().get_pixel(8, 8), &Rgb([255, 255, 255]));
}

#[tokio::test]
async fn med3_twenty_first_requests_get_one_variant() {
    let gallery = Gallery::new().await;
    let made = gallery.upload(&author(), "", png(400, 300)).await.expect(201);
    gallery.app.forget_jobs().await;
    let variant = format!("{}/variants/thumb", path(&made));
    let requests = (0..20).map(|_| async { gallery.app.get(&variant).await.expect(200).bytes });
    let answers = futures_util::future::join_all(requests).await;
    assert!(answers.iter().all(|answer| *answer == answers[0] && !answer.is_empty()));
    assert_eq!(gallery.files().len(), 2, "{:?}", gallery.files());
}

#[tokio::test]
async fn med4_a_variant_that_is_lost_or_outdated_is_made_anew() {
    let gallery = Gallery::with(&[("media.presets", "thumb = fill 16x16 png")]).await;
    let made = gallery.picture(&author()).await;
    let variant = format!("{}/variants/thumb", path(&made));
    let before = gallery.app.get(&variant).await.expect(200);
    let lost = gallery.files().into_iter().find(|file| file.ends_with(".png")).unwrap();
    std::fs::remove_file(gallery.folder.path().join("media").join(&lost)).unwrap();
    assert_eq!(gallery.app.get(&variant).await.expect(200).bytes, before.bytes);
    gallery.app.patch(&path(&made)).by(&author()).json(&json!({ "focal_x": 10_000 })).await.expect(200);
    let after = gallery.app.get(&variant).await.expect(200);
    assert_ne!((after.bytes.as_slice(), after.header("etag")), (before.bytes.as_slice(), before.header("etag")));
    assert_eq!(image::load_from_memory(&after.bytes).unwrap().to_rgb8().get_pixel(1, 1), &Rgb([0, 0, 255]), "the right half");
    assert!(!gallery.files().contains(&lost) && gallery.files().len() == 2, "{:?}", gallery.files());
    gallery.app.run_jobs().await;
}

#[tokio::test]
async fn med5_public_bytes_may_be_kept_and_are_served_in_parts() {
    let gallery = Gallery::new().await;
    let made = gallery.picture(&author()).await;
    let all = gallery.app.get(&made.text("/url")).await.expect(200);
    assert_eq!(all.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!((all.header("accept-ranges"), all.header("x-content-type-options")), ("bytes", "nosniff"));
    assert_eq!(all.header("content-disposition"), "inline; filename=\"a.png\"; filename*=UTF-8''a.png");
    let plain = format!("{}/content", path(&made));
    let fresh = gallery.app.get(&plain).await.expect(200);
    assert_eq!((fresh.header("cache-control"), fresh.header("etag")), ("public, max-age=0, must-revalidate", all.header("etag")));
    gallery.app.get(&plain).header("If-None-Match", all.header("etag")).await.expect(304);
    assert_eq!(gallery.app.head(&plain).await.expect(200).header("content-length"), all.bytes.len().to_string());
    let part = gallery.app.get(&plain).header("Range", "bytes=1-3").await.expect(206);
    assert_eq!(
        (part.bytes.as_slice(), part.header("content-range")),
        (&all.bytes[1..4], format!("bytes 1-3/{}", all.bytes.len()).as_str())
    );
    let whole = gallery.app.get(&plain).header("Range", "bytes=1-3").header("If-Range", "\"other\"").await.expect(200);
    assert_eq!(whole.bytes, all.bytes);
    gallery.app.get(&format!("{plain}?w=100")).await.expect(422).field("w", "unknown_parameter");
    let variant = gallery.app.get(&made.text("/variants_url").replace("{preset}", "thumb")).await.expect(200);
    assert_eq!(variant.header("cache-control"), "public, max-age=31536000, immutable");
}

#[tokio::test]
async fn med5_a_private_file_opens_for_its_owner_its_editors_and_whoever_has_a_signed_address() {
    let gallery = Gallery::new().await;
    let made = gallery.upload(&author(), "?visibility=private", png(64, 32)).await.expect(201);
    gallery.app.run_jobs().await;
    let content = format!("{}/content", path(&made));
    for door in [path(&made), content.clone(), made.text("/url"), format!("{}/variants/thumb", path(&made))] {
        gallery.app.get(&door).await.expect(404).problem("not_found");
        gallery.app.get(&door).by(&other_author()).await.expect(404).problem("not_found");
        for friend in [author(), editor()] {
            let answer = gallery.app.get(&door).by(&friend).await.expect(200);
            assert!(answer.header("cache-control").starts_with("private"), "{answer}");
        }
    }
    let sign = |body: Value| gallery.app.post(&format!("{}/signed-urls", path(&made))).by(&author()).json(&body);
    let signed = sign(json!({ "expires_in_seconds": 60 })).await.expect(201);
    let local = |response: &TestResponse| response.text("/url").replace("http://undercroft.test", "");
    let open = local(&signed);
    assert_eq!(signed["expires_at"], "2026-11-22T12:01:00.000Z");
    gallery.app.get(&open).await.expect(200);
    let thumb = local(&sign(json!({ "preset": "thumb", "expires_in_seconds": 60 })).await.expect(201));
    gallery.app.get(&thumb).await.expect(200);
    let other = gallery.upload(&author(), "?visibility=private", png(8, 8)).await.expect(201);
    gallery.app.run_jobs().await;
    for forged in [
        open.replace("/content", "/variants/thumb"),
        thumb.replace("/variants/thumb", "/content"),
        thumb.replace("/thumb", "/card"),
        open.replace(&made.text("/id"), &other.text("/id")),
        open.replace("expires=1", "expires=2"),
        open.split("&signature").next().unwrap().to_owned(),
        format!("{open}A"),
    ] {
        gallery.app.get(&forged).await.expect(404);
    }
    gallery.app.advance(Duration::from_secs(61));
    gallery.app.get(&open).await.expect(404).problem("not_found");
    sign(json!({ "preset": "huge" })).await.expect(422).field("/preset", "unknown_reference");
    sign(json!({ "expires_in_seconds": 700_000 })).await.expect(422).field("/expires_in_seconds", "out_of_range");
}

#[tokio::test]
async fn med6_a_file_in_use_is_kept_unless_it_is_forced() {
    let gallery = Gallery::new().await;
    let made = gallery.picture(&author()).await;
    let post = Uuid::from_u128(7);
    assert!(link(&gallery.app, id(&made), post).await && link(&gallery.app, id(&made), post).await, "twice is fine");
    assert!(!link(&gallery.app, Id::from_uuid(Uuid::from_u128(1)), post).await, "there is no such file");
    let refused = gallery.app.delete(&path(&made)).by(&author()).await.expect(409).problem("media_in_use");
    assert_eq!(refused["subjects"], json!([{ "subject_kind": "blog.post", "subject_id": post }]));
    gallery.app.delete(&format!("{}?force=true", path(&made))).by(&author()).await.expect(403).problem("forbidden");
    gallery.app.delete(&format!("{}?force=true", path(&made))).by(&editor()).await.expect(204);
    gallery.app.get(&path(&made)).await.expect(404);
    assert_eq!(gallery.files(), Vec::<String>::new());
    let second = gallery.picture(&author()).await;
    link(&gallery.app, id(&second), post).await;
    let media = id(&second);
    Ctx::system(gallery.app.kernel(), "test").write(move |tx| media::unlink(tx, media, "blog.post", post)).await.unwrap();
    gallery.app.delete(&path(&second)).by(&author()).await.expect(204);
    gallery.app.delete(&path(&second)).by(&author()).await.expect(404);
}

#[tokio::test]
async fn med6_a_file_that_somebody_begins_to_use_is_not_deleted_under_their_hands() {
    let gallery = Gallery::new().await;
    for round in 0..12_u128 {
        let made = gallery.upload(&author(), "", b"text".to_vec()).await.expect(201);
        let (id, post) = (id(&made), Uuid::from_u128(round));
        let door = path(&made);
        let deletion = async { gallery.app.delete(&door).by(&author()).await.status.as_u16() };
        let (is_linked, deleted) = futures_util::future::join(link(&gallery.app, id, post), deletion).await;
        assert!(matches!((is_linked, deleted), (true, 409) | (false, 204)), "round {round}: {is_linked} {deleted}");
    }
}

#[tokio::test]
async fn med6_uploads_that_nothing_uses_are_swept_after_a_week() {
    let gallery = Gallery::new().await;
    let (unused, used) = (gallery.picture(&author()).await, gallery.picture(&author()).await);
    link(&gallery.app, id(&used), Uuid::from_u128(1)).await;
    gallery.app.advance(Duration::from_secs(6 * 86_400));
    let young = gallery.picture(&author()).await;
    gallery.app.advance(Duration::from_secs(2 * 86_400));
    gallery.app.run_jobs().await;
    gallery.app.get(&path(&unused)).await.expect(404);
    gallery.app.get(&path(&used)).await.expect(200);
    gallery.app.get(&path(&young)).await.expect(200);
    assert_eq!(gallery.files().len(), 8, "an original and three variants of each: {:?}", gallery.files());
    assert_eq!(gallery.app.event_names().await.iter().filter(|name| *name == "media.file.deleted").count(), 1);
}

#[tokio::test]
async fn med7_pictures_without_alt_text_can_be_found() {
    let gallery = Gallery::new().await;
    let bare = gallery.picture(&author()).await;
    let told = gallery.upload(&author(), "?alt=A+lighthouse", png(8, 8)).await.expect(201);
    let decorative = gallery.picture(&author()).await;
    gallery.app.patch(&path(&decorative)).by(&author()).json(&json!({ "is_decorative": true })).await.expect(200);
    gallery.upload(&author(), "", b"no picture".to_vec()).await.expect(201);
    let lacking = gallery.app.get(&format!("{MEDIA}?missing_alt=true")).by(&author()).await.expect(200);
    assert_eq!(lacking["items"].as_array().unwrap().len(), 1);
    assert_eq!(lacking["items"][0]["id"], bare["id"]);
    let removed = gallery.app.patch(&path(&told)).by(&author()).json(&json!({ "alt": null })).await.expect(200);
    assert_eq!(removed["alt"], Value::Null);
    assert_eq!(gallery.app.get(&format!("{MEDIA}?missing_alt=true")).by(&author()).await["items"].as_array().unwrap().len(), 2);
    gallery.app.run_jobs().await;
}

#[tokio::test]
async fn med8_what_a_crash_left_is_cleaned_up_and_nothing_else() {
    let gallery = Gallery::new().await;
    let made = gallery.picture(&author()).await;
    let kept = gallery.files();
    let orphan: Uuid = gallery.app.kernel().new_id::<MediaFile>().uuid();
    let unfinished: Uuid = gallery.app.kernel().new_id::<MediaFile>().uuid();
    gallery.write(&format!("ab/{orphan}-0011223344556677"));
    gallery.write(&format!("ab/{orphan}-0011223344556677-thumb-0011223344556677.jpg"));
    gallery.write(&format!("tmp/{unfinished}"));
    gallery.write("ab/not ours");
    gallery.app.advance(Duration::from_secs(86_400));
    let fresh: Uuid = gallery.app.kernel().new_id::<MediaFile>().uuid();
    gallery.write(&format!("cd/{fresh}-0011223344556677"));
    gallery.app.run_jobs().await;
    let mut expected = kept;
    expected.extend(["ab/not ours".to_owned(), format!("cd/{fresh}-0011223344556677")]);
    expected.sort();
    assert_eq!(gallery.files(), expected, "an upload may still be under way");
    gallery.app.get(&made.text("/url")).await.expect(200);
}

#[tokio::test]
async fn med8_an_upload_that_is_refused_late_leaves_nothing() {
    let gallery = Gallery::new().await;
    let send = |key: &'static str| gallery.app.post(MEDIA).by(&author()).header("Idempotency-Key", key).body("image/png", png(8, 8));
    let first = send("the-very-first-upload").await.expect(201);
    let again = send("the-very-first-upload").await.expect(201);
    assert_eq!((&again["id"], again.header("idempotency-replayed")), (&first["id"], "true"));
    gallery.app.run_jobs().await;
    assert_eq!(gallery.files().len(), 4, "{:?}", gallery.files());
}

#[tokio::test]
async fn pos5_what_can_hold_script_is_an_attachment_in_a_sandbox() {
    let gallery = Gallery::new().await;
    for bytes in [b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>".to_vec(), b"%PDF-1.7".to_vec(), b"plain".to_vec()] {
        let made = gallery.upload(&author(), "?name=a%22b.svg", bytes).await.expect(201);
        let answer = gallery.app.get(&made.text("/url")).await.expect(200);
        assert!(answer.header("content-disposition").starts_with("attachment; filename=\"ab."), "{answer}");
        assert_eq!(answer.header("content-security-policy"), "default-src 'none'; sandbox");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
}

fn multipart(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (head, bytes) in parts {
        body.extend(format!("--frontier\r\nContent-Disposition: form-data; {head}\r\n\r\n").into_bytes());
        body.extend_from_slice(bytes);
        body.extend(b"\r\n");
    }
    body.extend(b"--frontier--\r\n");
    body
}

const MULTIPART: &str = "multipart/form-data; boundary=frontier";

#[tokio::test]
async fn an_upload_may_be_a_form() {
    let gallery = Gallery::new().await;
    let send = |body: Vec<u8>| gallery.app.post(MEDIA).by(&author()).body(MULTIPART, body);
    let picture = png(8, 8);
    let made = send(multipart(&[
        ("name=\"alt\"", "Ein Bär".as_bytes()),
        ("name=\"file\"; filename=\"bär.gif\"", &picture),
        ("name=\"visibility\"", b"private"),
        ("name=\"is_decorative\"", b"true"),
    ]))
    .await
    .expect(201);
    assert_eq!((made.text("/name"), made.text("/alt"), made.text("/visibility")), ("bär.png".into(), "Ein Bär".into(), "private".into()));
    assert_eq!(made["is_decorative"], true);
    for (parts, field, code) in [
        (vec![("name=\"alt\"", &b"x"[..])], "/file", "required"),
        (vec![("name=\"file\"", &b""[..])], "/file", "too_short"),
        (vec![("name=\"file\"", &picture[..]), ("name=\"file\"", &picture[..])], "/file", "not_allowed"),
        (vec![("name=\"file\"", &picture[..]), ("name=\"owner\"", &b"x"[..])], "/owner", "unknown_field"),
        (vec![("name=\"file\"", &picture[..]), ("name=\"alt\"", &[b'x'; 1001][..])], "/alt", "too_long"),
        (vec![("name=\"file\"", &picture[..]), ("name=\"alt\"", &[0xff][..])], "/alt", "invalid_format"),
        (vec![("name=\"file\"", &picture[..]), ("name=\"visibility\"", &b"secret"[..])], "/visibility", "not_allowed"),
    ] {
        send(multipart(&parts)).await.expect(422).field(field, code);
    }
    let cut = multipart(&[("name=\"file\"", &picture)]);
    for broken in [Vec::new(), b"nonsense".to_vec(), cut[..cut.len() - 20].to_vec(), multipart(&vec![("name=\"alt\"", &b"x"[..]); 17])] {
        send(broken).await.expect(400).problem("malformed_request");
    }
    gallery.app.post(MEDIA).by(&author()).body("multipart/form-data", cut.clone()).await.expect(400).problem("malformed_request");
    gallery.app.run_jobs().await;
    assert_eq!(gallery.files().len(), 4, "{:?}", gallery.files());
}

#[tokio::test]
async fn bad_uploads_get_the_answers_of_the_table() {
    let gallery = Gallery::with(&[("media.max_bytes", "4KiB")]).await;
    gallery.upload(&author(), "", vec![b'x'; 5_000]).await.expect(413).problem("payload_too_large");
    gallery.upload(&author(), "", vec![b'x'; 200_000]).await.expect(413).problem("payload_too_large");
    gallery.upload(&author(), "", Vec::new()).await.expect(422).field("/file", "too_short");
    gallery.upload(&author(), "?visibility=secret", png(8, 8)).await.expect(422).field("visibility", "invalid_format");
    gallery.app.post(MEDIA).by(&author()).json(&json!({})).await.expect(415).problem("unsupported_media_type");
    let made = gallery.picture(&author()).await;
    let patch = |body: Value| gallery.app.patch(&path(&made)).by(&author()).json(&body);
    patch(json!({ "focal_x": 10_001 })).await.expect(422).field("/focal_x", "out_of_range");
    patch(json!({ "mime": "text/html" })).await.expect(422).field("/mime", "unknown_field");
    patch(json!({ "version": 4 })).await.expect(422).field("/version", "read_only_field");
    patch(json!({ "alt": "b" })).header("If-Match", "\"v1\"").await.expect(200);
    let stale = patch(json!({ "alt": "c" })).header("If-Match", "\"v1\"").await.expect(412).problem("version_conflict");
    assert_eq!(stale["current_version"], 2);
    gallery.app.delete(&path(&made)).by(&author()).header("If-Match", "\"v1\"").await.expect(412).problem("version_conflict");
    let renamed = patch(json!({ "name": "evil.html" })).await.expect(200);
    assert_eq!(renamed["name"], "evil.png");
    gallery.app.get(&format!("{MEDIA}?sort=mime")).by(&author()).await.expect(422).problem("sort_not_supported");
    gallery.app.get(&format!("{MEDIA}?kind=spell")).by(&author()).await.expect(422);
    gallery.app.get(&format!("{MEDIA}/nonsense")).await.expect(404);
}

#[tokio::test]
async fn pos1_each_door_opens_for_whom_it_should() {
    let gallery = Gallery::new().await;
    let made = gallery.picture(&author()).await;
    let stranger = Doorman::person("kim", &["blog:posts:create"]);
    let nobody = gallery.app.anyone();
    let door = path(&made);
    for (who, list, upload, patch, sign, delete) in [
        (&nobody, 401, 401, 401, 401, 401),
        (&stranger, 200, 403, 403, 403, 403),
        (&other_author(), 200, 201, 403, 403, 403),
        (&author(), 200, 201, 200, 201, 204),
    ] {
        gallery.app.get(&door).by(who).await.expect(200);
        gallery.app.get(MEDIA).by(who).await.expect(list);
        gallery.upload(who, "", b"text".to_vec()).await.expect(upload);
        gallery.app.patch(&door).by(who).json(&json!({ "alt": "x" })).await.expect(patch);
        gallery.app.post(&format!("{door}/signed-urls")).by(who).json(&json!({})).await.expect(sign);
        gallery.app.delete(&door).by(who).await.expect(delete);
    }
    let third = gallery.picture(&author()).await;
    gallery.app.patch(&path(&third)).by(&editor()).json(&json!({ "alt": "y" })).await.expect(200);
    let lacking = Doorman::person("ada", &["other:things:do"]);
    gallery.app.patch(&path(&third)).by(&lacking).json(&json!({ "alt": "z" })).await.expect(403);
    gallery.app.delete(&path(&third)).by(&editor()).await.expect(204);
    gallery.app.run_jobs().await;
}

#[tokio::test]
async fn the_list_shows_ones_own_files_and_everybodys_to_editors() {
    let gallery = Gallery::new().await;
    let mut sizes = Vec::new();
    for length in [3_usize, 1, 2] {
        gallery.upload(&author(), "", vec![b'x'; length]).await.expect(201);
        gallery.upload(&other_author(), "", vec![b'y'; length * 10]).await.expect(201);
        sizes.push(length);
    }
    let page = gallery.app.get(&format!("{MEDIA}?sort=size_bytes&limit=2")).by(&author()).await.expect(200);
    let rest = gallery
        .app
        .get(&format!("{MEDIA}?sort=size_bytes"))
        .query("cursor", page["next_cursor"].as_str().unwrap())
        .by(&author())
        .await
        .expect(200);
    let size = |item: &Value| item["size_bytes"].as_i64().unwrap();
    let walked: Vec<i64> = [&page, &rest].into_iter().flat_map(|page| page["items"].as_array().unwrap()).map(size).collect();
    assert_eq!(walked, [1, 2, 3]);
    assert_eq!(gallery.app.get(MEDIA).by(&editor()).await["items"].as_array().unwrap().len(), 6);
    assert_eq!(gallery.app.get(&format!("{MEDIA}?kind=image")).by(&editor()).await["items"], json!([]));
}

#[tokio::test]
async fn every_change_is_an_event() {
    let gallery = Gallery::new().await;
    let made = gallery.picture(&author()).await;
    gallery.app.patch(&path(&made)).by(&author()).json(&json!({ "alt": "x" })).await.expect(200);
    gallery.app.delete(&path(&made)).by(&author()).await.expect(204);
    let events = gallery.app.events().await;
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["media.file.created", "media.file.updated", "media.file.deleted"]);
    assert_eq!((&events[0].1["file"]["id"], &events[0].1["file"]["mime"]), (&made["id"], &json!("image/png")));
    assert_eq!((&events[1].1["file"]["alt"], &events[1].1["file"]["version"]), (&json!("x"), &json!(2)));
    assert_eq!(events[2].1["media_id"], made["id"]);
}

#[tokio::test]
async fn other_modules_see_many_files_with_one_statement() {
    let gallery = Gallery::new().await;
    let (first, second) = (gallery.picture(&author()).await, gallery.picture(&author()).await);
    let unknown = Id::from_uuid(Uuid::from_u128(1));
    let ids = vec![id(&second), unknown, id(&first)];
    let read = gallery.app.kernel().db().read(move |c| Ok::<_, kernel::Error>((media::views(c, &ids)?, media::exists(c, &ids)?)));
    let ((views, existing), statements) = gallery.app.statements(async { read.await.unwrap() }).await;
    let shown: Vec<String> = views.iter().map(|view| view.id.to_string()).collect();
    assert_eq!(shown, [second.text("/id"), first.text("/id")]);
    assert_eq!((existing.len(), statements), (2, 2));
    assert_eq!(serde_json::to_value(&views[1]).unwrap(), first.body);
}
