//! QR codes of links, as SVG and PNG (INV-L26). They lead to the short address with `?qr`, so that scans are counted apart.

use axum::response::{IntoResponse, Response};
use fast_qr::{ECL, QRBuilder};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use http::{HeaderValue, StatusCode};
use image::{ExtendedColorType, ImageEncoder as _};
use kernel::http::{Describe, Operation, OperationDoc, Path, Query, ResponseDoc};
use kernel::{Ctx, Error, FieldError, Id, Result};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use crate::domains;
use crate::links::{Link, service};
use crate::problems::QR_CONTRAST;
use crate::threads::off_worker;

/// Sizes in pixels.
const SIZES: std::ops::RangeInclusive<u32> = 64..=2_048;
const DEFAULT_SIZE: u32 = 512;
/// The quiet zone in modules; readers want four.
const DEFAULT_MARGIN: u32 = 4;
const MAX_MARGIN: u32 = 16;
/// The least contrast between the two colours.
const MIN_CONTRAST: f64 = 3.0;

pub(crate) fn operations() -> [Operation; 2] {
    [
        Operation::get("/api/v1/links/{link_id}/qr.svg", "getLinkQrSvg", svg)
            .tag("Links")
            .summary("Get the QR code of a link as SVG")
            .describe("Scans are counted as via=qr. Colours are six hexadecimal digits with a contrast of at least 3 to 1; the code stays the same until slug or host change.")
            .raises(&[&QR_CONTRAST])
            .authenticated(),
        Operation::get("/api/v1/links/{link_id}/qr.png", "getLinkQrPng", png)
            .tag("Links")
            .summary("Get the QR code of a link as PNG")
            .describe("At most as large as size, which it reaches up to a module: every module is a whole number of pixels.")
            .raises(&[&QR_CONTRAST])
            .authenticated(),
    ]
}

/// How much of a code may be damaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = LinkQrLevel)]
enum Level {
    /// 7 per cent.
    L,
    /// 15 per cent.
    #[default]
    M,
    /// 25 per cent.
    Q,
    /// 30 per cent.
    H,
}

/// How a code looks.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LinkQrStyle {
    /// Width and height in pixels, 64 to 2048; 512 unless given.
    #[schema(minimum = 64, maximum = 2048)]
    size: Option<u32>,
    /// The empty border in modules, 0 to 16; 4 unless given.
    #[schema(minimum = 0, maximum = 16)]
    margin: Option<u32>,
    /// How much may be damaged: l, m, q or h; m unless given.
    level: Option<Level>,
    /// The dark colour, such as 1d2330; black unless given.
    #[schema(pattern = "^[0-9a-fA-F]{6}$")]
    color: Option<String>,
    /// The light colour; white unless given.
    #[schema(pattern = "^[0-9a-fA-F]{6}$")]
    background: Option<String>,
}

type Rgb = [u8; 3];

/// How a code looks, checked.
#[derive(Clone, Copy, Debug)]
struct Style {
    size: u32,
    margin: u32,
    level: Level,
    color: Rgb,
    background: Rgb,
}

impl LinkQrStyle {
    fn checked(self) -> Result<Style> {
        let style = Style {
            size: self.size.unwrap_or(DEFAULT_SIZE),
            margin: self.margin.unwrap_or(DEFAULT_MARGIN),
            level: self.level.unwrap_or_default(),
            color: color("color", self.color.as_deref().unwrap_or("000000"))?,
            background: color("background", self.background.as_deref().unwrap_or("ffffff"))?,
        };
        if !SIZES.contains(&style.size) || style.margin > MAX_MARGIN {
            return Err(Error::invalid(vec![FieldError::parameter("size", "out_of_range", "Size 64 to 2048, margin 0 to 16.")]));
        }
        let contrast = (luminance(style.background) + 0.05) / (luminance(style.color) + 0.05);
        // Light on dark is a contrast too, but many readers do not take it.
        if contrast < MIN_CONTRAST {
            return Err(QR_CONTRAST.error().with_field(FieldError::parameter(
                "color",
                "qr_contrast",
                "Darker than background, at least 3 to 1.",
            )));
        }
        Ok(style)
    }
}

fn color(parameter: &'static str, text: &str) -> Result<Rgb> {
    let wrong = || Error::invalid(vec![FieldError::parameter(parameter, "invalid_format", "Six hexadecimal digits.")]);
    let number = u32::from_str_radix(text, 16).ok().filter(|_| text.len() == 6).ok_or_else(wrong)?;
    let [_, red, green, blue] = number.to_be_bytes();
    Ok([red, green, blue])
}

/// The relative luminance of WCAG 2.
fn luminance(color: Rgb) -> f64 {
    let linear = |part: u8| {
        let part = f64::from(part) / 255.0;
        if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    };
    let [red, green, blue] = color.map(linear);
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/// The modules of a code, row by row; true is dark.
struct Matrix {
    width: usize,
    dark: Vec<bool>,
}

impl Matrix {
    fn of(text: &str, level: Level) -> Result<Matrix> {
        let level = match level {
            Level::L => ECL::L,
            Level::M => ECL::M,
            Level::Q => ECL::Q,
            Level::H => ECL::H,
        };
        let too_long =
            |_| Error::invalid(vec![FieldError::parameter("level", "out_of_range", "The address is too long for this level; use l.")]);
        let code = QRBuilder::new(text.as_bytes()).ecl(level).build().map_err(too_long)?;
        let dark = (0..code.size).flat_map(|row| code[row].iter().map(|module| module.value())).collect();
        Ok(Matrix { width: code.size, dark })
    }
}

fn svg_of(matrix: &Matrix, style: Style) -> String {
    use std::fmt::Write as _;
    let margin = style.margin as usize;
    let whole = matrix.width + 2 * margin;
    let hex = |[red, green, blue]: Rgb| format!("#{red:02x}{green:02x}{blue:02x}");
    let mut path = String::new();
    for (row, modules) in matrix.dark.chunks(matrix.width).enumerate() {
        let mut start = 0;
        // One stroke for each run of dark modules.
        for run in modules.chunk_by(|a, b| a == b) {
            if run[0] {
                let _ = write!(path, "M{} {}h{}v1h-{}z", start + margin, row + margin, run.len(), run.len());
            }
            start += run.len();
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{size}\" height=\"{size}\" viewBox=\"0 0 {whole} {whole}\" shape-rendering=\"crispEdges\">\
         <rect width=\"{whole}\" height=\"{whole}\" fill=\"{}\"/><path d=\"{path}\" fill=\"{}\"/></svg>\n",
        hex(style.background),
        hex(style.color),
        size = style.size,
    )
}

fn png_of(matrix: &Matrix, style: Style) -> Result<Vec<u8>> {
    let margin = style.margin as usize;
    let modules = matrix.width + 2 * margin;
    let scale = (style.size as usize / modules).max(1);
    let side = modules * scale;
    let mut pixels = Vec::with_capacity(side * side * 3);
    for y in 0..side {
        for x in 0..side {
            let (row, column) = ((y / scale).checked_sub(margin), (x / scale).checked_sub(margin));
            let is_dark = matches!((row, column), (Some(row), Some(column)) if row < matrix.width && column < matrix.width && matrix.dark[row * matrix.width + column]);
            pixels.extend_from_slice(if is_dark { &style.color } else { &style.background });
        }
    }
    let (side, mut png) = (u32::try_from(side).map_err(Error::internal)?, Vec::new());
    image::codecs::png::PngEncoder::new(&mut png).write_image(&pixels, side, side, ExtendedColorType::Rgb8).map_err(Error::internal)?;
    Ok(png)
}

/// An image with a tag of its content.
struct Image<const IS_PNG: bool>(Vec<u8>);

impl<const IS_PNG: bool> Image<IS_PNG> {
    const MEDIA_TYPE: &'static str = if IS_PNG { "image/png" } else { "image/svg+xml" };
}

impl<const IS_PNG: bool> IntoResponse for Image<IS_PNG> {
    fn into_response(self) -> Response {
        let tag: String = Sha256::digest(&self.0).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let mut response = (StatusCode::OK, self.0).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(Self::MEDIA_TYPE));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        if let Ok(tag) = HeaderValue::try_from(format!("\"{tag}\"")) {
            headers.insert(ETAG, tag);
        }
        response
    }
}

impl<const IS_PNG: bool> Describe for Image<IS_PNG> {
    fn describe(doc: &mut OperationDoc) {
        let (status, media_type) = (StatusCode::OK, Some(Self::MEDIA_TYPE));
        doc.responses.push(ResponseDoc { status, body: None, is_list: false, media_type, headers: &["ETag"] });
    }
}

/// What a code says, and how it looks.
async fn matrix(ctx: &Ctx, id: Id<Link>, style: &Style) -> Result<Matrix> {
    let tagged = service::get(ctx, id).await?;
    Matrix::of(&format!("{}?qr", domains::short_url(&ctx.app, &tagged.link.slug)), style.level)
}

async fn svg(ctx: Ctx, Path(id): Path<Id<Link>>, Query(style): Query<LinkQrStyle>) -> Result<Image<false>> {
    let style = style.checked()?;
    Ok(Image(svg_of(&matrix(&ctx, id, &style).await?, style).into_bytes()))
}

async fn png(ctx: Ctx, Path(id): Path<Id<Link>>, Query(style): Query<LinkQrStyle>) -> Result<Image<true>> {
    let style = style.checked()?;
    let matrix = matrix(&ctx, id, &style).await?;
    off_worker("links-qr", move || png_of(&matrix, style)).await?.map(Image)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: Style = Style { size: 300, margin: 4, level: Level::M, color: [0x1d, 0x23, 0x30], background: [0xff; 3] };

    #[test]
    fn inv_l26_svg_and_png_show_the_same_modules() {
        let matrix = Matrix::of("https://go.example.com/sale?qr", Level::Q).unwrap();
        let png = image::load_from_memory(&png_of(&matrix, STYLE).unwrap()).unwrap().to_rgb8();
        let scale = png.width() as usize / (matrix.width + 8);
        assert!(scale >= 1 && png.width() <= 300);
        let svg = svg_of(&matrix, STYLE);
        let mut drawn = vec![false; matrix.width * matrix.width];
        for run in svg.split("M").skip(1) {
            let numbers: Vec<usize> = run.split(|c: char| !c.is_ascii_digit()).filter_map(|text| text.parse().ok()).collect();
            (0..numbers[2]).for_each(|n| drawn[(numbers[1] - 4) * matrix.width + numbers[0] - 4 + n] = true);
        }
        assert_eq!(drawn, matrix.dark);
        for (at, is_dark) in matrix.dark.iter().enumerate() {
            let (x, y) = ((at % matrix.width + 4) * scale, (at / matrix.width + 4) * scale);
            let wanted = if *is_dark { STYLE.color } else { STYLE.background };
            assert_eq!(png.get_pixel(x as u32, y as u32).0, wanted, "{x} {y}");
        }
    }

    #[test]
    fn inv_l26_colours_that_no_reader_tells_apart_are_refused() {
        let style = |color: &str, background: &str| {
            let style =
                LinkQrStyle { size: None, margin: None, level: None, color: Some(color.into()), background: Some(background.into()) };
            style.checked().map(drop).map_err(|error| error.code())
        };
        assert_eq!(style("1d2330", "ffffff"), Ok(()));
        assert_eq!(style("000000", "777777"), Ok(()));
        for (color, background) in [("ffffff", "000000"), ("aaaaaa", "ffffff"), ("000000", "333333"), ("808080", "808080")] {
            assert_eq!(style(color, background), Err("qr_contrast"), "{color} {background}");
        }
    }
}
