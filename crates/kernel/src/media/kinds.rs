//! What a file is, by its content: neither its name nor what the client says counts (MED-1).

use image::ImageFormat;

/// One type of file that is recognised.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FileType {
    /// The media type.
    pub(crate) mime: &'static str,
    /// `image`, `audio`, `video` or `other`.
    pub(crate) kind: &'static str,
    /// The extension that a file of it has.
    pub(crate) extension: &'static str,
    /// Whether a browser may show it on our own origin: nothing that can hold script may (POS-5).
    pub(crate) is_inline: bool,
    /// How it is decoded, for pictures that variants are made of.
    pub(crate) image: Option<ImageFormat>,
}

const fn plain(mime: &'static str, extension: &'static str) -> FileType {
    FileType { mime, kind: "other", extension, is_inline: false, image: None }
}

const fn sound(mime: &'static str, extension: &'static str) -> FileType {
    FileType { mime, kind: "audio", extension, is_inline: true, image: None }
}

const fn film(mime: &'static str, extension: &'static str) -> FileType {
    FileType { mime, kind: "video", extension, is_inline: true, image: None }
}

const fn picture(mime: &'static str, extension: &'static str, image: ImageFormat) -> FileType {
    FileType { mime, kind: "image", extension, is_inline: true, image: Some(image) }
}

static JPEG: FileType = picture("image/jpeg", "jpg", ImageFormat::Jpeg);
static PNG: FileType = picture("image/png", "png", ImageFormat::Png);
static GIF: FileType = picture("image/gif", "gif", ImageFormat::Gif);
static WEBP: FileType = picture("image/webp", "webp", ImageFormat::WebP);
static SVG: FileType = FileType { mime: "image/svg+xml", kind: "image", extension: "svg", is_inline: false, image: None };
/// Pictures that we can neither clean nor make variants of; they are refused, since they may say where somebody lives.
static OTHER_IMAGE: FileType = plain("image/x-unsupported", "bin");
static MP3: FileType = sound("audio/mpeg", "mp3");
static FLAC: FileType = sound("audio/flac", "flac");
static OGG: FileType = sound("audio/ogg", "ogg");
static WAV: FileType = sound("audio/wav", "wav");
static M4A: FileType = sound("audio/mp4", "m4a");
static AAC: FileType = sound("audio/aac", "aac");
static MP4: FileType = film("video/mp4", "mp4");
static MOV: FileType = film("video/quicktime", "mov");
static WEBM: FileType = film("video/webm", "webm");
static OGV: FileType = film("video/ogg", "ogv");
static PDF: FileType = plain("application/pdf", "pdf");
static ZIP: FileType = plain("application/zip", "zip");
static GZIP: FileType = plain("application/gzip", "gz");
static HTML: FileType = plain("text/html", "html");
static XML: FileType = plain("application/xml", "xml");
static TEXT: FileType = plain("text/plain", "txt");
static BYTES: FileType = plain("application/octet-stream", "bin");

/// Every type, in the order of the reference.
pub(crate) static ALL: [&FileType; 22] = [
    &JPEG, &PNG, &GIF, &WEBP, &SVG, &MP3, &FLAC, &OGG, &WAV, &M4A, &AAC, &MP4, &MOV, &WEBM, &OGV, &PDF, &ZIP, &GZIP, &HTML, &XML, &TEXT,
    &BYTES,
];

/// The type with this media type, as a row has it.
pub(crate) fn of_mime(mime: &str) -> &'static FileType {
    ALL.iter().copied().find(|kind| kind.mime == mime).unwrap_or(&BYTES)
}

/// What the bytes are.
pub(crate) fn sniff(bytes: &[u8]) -> &'static FileType {
    let at = |place: usize, what: &[u8]| bytes.get(place..).is_some_and(|rest| rest.starts_with(what));
    let has = |what: &[u8], within: usize| bytes[..bytes.len().min(within)].windows(what.len()).any(|window| window == what);
    match bytes {
        [0xff, 0xd8, 0xff, ..] => &JPEG,
        _ if at(0, b"\x89PNG\r\n\x1a\n") => &PNG,
        _ if at(0, b"GIF87a") || at(0, b"GIF89a") => &GIF,
        _ if at(0, b"RIFF") && at(8, b"WEBP") => &WEBP,
        _ if at(0, b"RIFF") && at(8, b"WAVE") => &WAV,
        _ if at(0, b"ID3") => &MP3,
        [0xff, second, ..] if second & 0xf6 == 0xf0 => &AAC,
        // Layer III only: two more layers would take every text in UTF-16 for music.
        [0xff, 0xe2 | 0xe3 | 0xf2 | 0xf3 | 0xfa | 0xfb, ..] => &MP3,
        _ if at(0, b"fLaC") => &FLAC,
        _ if at(0, b"OggS") => {
            if has(b"\x80theora", 512) {
                &OGV
            } else {
                &OGG
            }
        }
        _ if at(4, b"ftyp") => sniff_brand(bytes),
        [0x1a, 0x45, 0xdf, 0xa3, ..] if has(b"webm", 64) => &WEBM,
        _ if at(0, b"%PDF-") => &PDF,
        _ if at(0, b"PK\x03\x04") || at(0, b"PK\x05\x06") => &ZIP,
        [0x1f, 0x8b, ..] => &GZIP,
        _ if at(0, b"BM") && at(6, &[0; 4]) || at(0, b"II*\0") || at(0, b"MM\0*") || at(0, b"\0\0\x01\0") || at(0, b"8BPS") => &OTHER_IMAGE,
        _ => sniff_text(bytes),
    }
}

/// Files of the ISO family say in their first box what they are.
fn sniff_brand(bytes: &[u8]) -> &'static FileType {
    match bytes.get(8..12) {
        Some(b"avif" | b"avis" | b"heic" | b"heix" | b"heim" | b"heis" | b"mif1" | b"msf1") => &OTHER_IMAGE,
        Some(b"M4A " | b"M4B ") => &M4A,
        Some(b"qt  ") => &MOV,
        _ => &MP4,
    }
}

/// Markup is dangerous wherever it stands, so text that has any near its beginning is no plain text.
fn sniff_text(bytes: &[u8]) -> &'static FileType {
    let Ok(text) = std::str::from_utf8(bytes) else { return &BYTES };
    if text.is_empty() || text.chars().any(|character| character.is_control() && !matches!(character, '\t' | '\n' | '\r' | '\u{c}')) {
        return &BYTES;
    }
    let start = text[..text.floor_char_boundary(4_096)].trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    if start.contains("<svg") {
        return &SVG;
    }
    const TAGS: [&str; 14] =
        ["<!doctype", "<html", "<head", "<body", "<script", "<iframe", "<style", "<title", "<table", "<div", "<p>", "<a ", "<img", "<h1"];
    if TAGS.iter().any(|tag| start.contains(tag)) {
        return &HTML;
    }
    if start.starts_with("<?xml") || start.starts_with('<') { &XML } else { &TEXT }
}

/// The name of a file with the extension that its content asks for; no folders, no control characters, at most 200 characters.
pub(crate) fn corrected_name(name: &str, kind: &FileType) -> String {
    let base = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = base
        .chars()
        .filter(|character| !character.is_control() && !matches!(character, '"' | '<' | '>' | '\u{202a}'..='\u{202e}'))
        .collect();
    let clean = clean.trim().trim_matches('.');
    let (stem, extension) = clean.rsplit_once('.').map_or((clean, ""), |(stem, extension)| (stem, extension));
    let fits = extension.eq_ignore_ascii_case(kind.extension) || (kind.extension == "jpg" && extension.eq_ignore_ascii_case("jpeg"));
    let is_extension = !extension.is_empty() && extension.len() <= 5 && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let stem = if is_extension { stem } else { clean };
    let stem: String = stem.chars().take(200).collect();
    let stem = if stem.is_empty() { "file" } else { &stem };
    format!("{stem}.{}", if fits { extension.to_ascii_lowercase() } else { kind.extension.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn med1_the_content_decides() {
        for (bytes, mime) in [
            (&b"\xff\xd8\xff\xe0\0\x10JFIF"[..], "image/jpeg"),
            (b"\x89PNG\r\n\x1a\n....", "image/png"),
            (b"GIF89a....", "image/gif"),
            (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
            (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
            (b"ID3\x04", "audio/mpeg"),
            (b"\xff\xfb\x90\x00", "audio/mpeg"),
            (b"\xff\xf1\x50\x80", "audio/aac"),
            (b"\0\0\0\x20ftypisom", "video/mp4"),
            (b"\0\0\0\x20ftypM4A ", "audio/mp4"),
            (b"\0\0\0\x20ftypheic", "image/x-unsupported"),
            (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01B\x82\x84webm", "video/webm"),
            (b"%PDF-1.7", "application/pdf"),
            (b"PK\x03\x04", "application/zip"),
            (b"  <svg xmlns='x'>", "image/svg+xml"),
            (b"\xef\xbb\xbf<?xml version='1.0'?><!-- x --><svg>", "image/svg+xml"),
            (b"<!DOCTYPE html>", "text/html"),
            (b"hello <script>alert(1)</script>", "text/html"),
            (b"<?xml version='1.0'?><a/>", "application/xml"),
            (b"plain text, 1 < 2", "text/plain"),
            (b"text with \0", "application/octet-stream"),
            (b"\xff\xfe\x00\x00", "application/octet-stream"),
            (b"MZ\x90", "application/octet-stream"),
            (b"", "application/octet-stream"),
        ] {
            assert_eq!(sniff(bytes).mime, mime, "{:?}", String::from_utf8_lossy(bytes));
        }
        assert!(ALL.iter().all(|kind| of_mime(kind.mime) == *kind));
    }

    #[test]
    fn med1_a_wrong_extension_is_corrected() {
        for (name, expected) in [
            ("a.jpg", "a.jpg"),
            ("a.JPEG", "a.jpeg"),
            ("a.png", "a.jpg"),
            ("a.svg.html", "a.svg.jpg"),
            ("a", "a.jpg"),
            ("", "file.jpg"),
            ("..", "file.jpg"),
            ("../../etc/passwd", "passwd.jpg"),
            ("C:\\x\\y.gif", "y.jpg"),
            ("v1.2 final", "v1.2 final.jpg"),
            ("a\r\nb\"c.jpg", "abc.jpg"),
            ("gpj\u{202e}exe.", "gpjexe.jpg"),
        ] {
            assert_eq!(corrected_name(name, &JPEG), expected, "{name:?}");
        }
        assert_eq!(corrected_name(&"é".repeat(500), &PNG).chars().count(), 204);
    }
}
