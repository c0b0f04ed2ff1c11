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
use crate::{CREATE_LINKS, READ_ANY_LINK};

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
            .keys_with(&[&CREATE_LINKS, &READ_ANY_LINK])
            .authenticated(),
        Operation::get("/api/v1/links/{link_id}/qr.png", "getLinkQrPng", png)
            .tag("Links")
            .summary("Get the QR code of a link as PNG")
            .describe("As large as size, up to a module: every module is a whole number of pixels, and at least one.")
            .raises(&[&QR_CONTRAST])
            .keys_with(&[&CREATE_LINKS, &READ_ANY_LINK])
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

    /// A picture as whoever reads it sees it: a code on paper of its own background.
    struct Picture {
        side: usize,
        pixels: Vec<Rgb>,
        paper: Rgb,
    }

    impl Picture {
        fn of_png(png: &[u8], paper: Rgb) -> Picture {
            let image = image::load_from_memory(png).unwrap().to_rgb8();
            assert_eq!(image.width(), image.height());
            Picture { side: image.width() as usize, pixels: image.pixels().map(|pixel| pixel.0).collect(), paper }
        }

        /// Draws the one rectangle and the one path of rectangles that our SVG has, each module as so many pixels.
        fn of_svg(svg: &str, scale: usize) -> Picture {
            let after = |text: &str| svg.split(text).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect::<Vec<_>>();
            let colors: Vec<Rgb> = after("fill=\"").iter().map(|fill| color("color", fill.strip_prefix('#').unwrap()).unwrap()).collect();
            let [background, dark] = colors[..] else { panic!("two colours: {svg}") };
            let whole: usize = after("viewBox=\"0 0 ")[0].split(' ').next().unwrap().parse().unwrap();
            let side = whole * scale;
            let mut pixels = vec![background; side * side];
            for run in after(" d=\"")[0].split('M').skip(1) {
                let numbers: Vec<usize> = run.split(|c: char| !c.is_ascii_digit()).filter_map(|text| text.parse().ok()).collect();
                let [x, y, width, height, back] = numbers[..] else { panic!("{run}") };
                assert_eq!((height, back), (1, width), "{run}");
                for row in y * scale..(y + 1) * scale {
                    pixels[row * side + x * scale..row * side + (x + width) * scale].fill(dark);
                }
            }
            Picture { side, pixels, paper: background }
        }

        /// What a reader that knows nothing of us reads; each pixel is shown so many times larger.
        fn read(&self, zoom: usize, border: usize) -> String {
            let side = (self.side + 2 * border) * zoom;
            let grey = |x: usize, y: usize| {
                let (x, y) = ((x / zoom).wrapping_sub(border), (y / zoom).wrapping_sub(border));
                let [red, green, blue] =
                    if x < self.side && y < self.side { self.pixels[y * self.side + x] } else { self.paper }.map(u32::from);
                u8::try_from((299 * red + 587 * green + 114 * blue) / 1_000).unwrap()
            };
            let mut seen = rqrr::PreparedImage::prepare_from_greyscale(side, side, grey);
            let grids = seen.detect_grids();
            assert_eq!(grids.len(), 1, "one code");
            grids[0].decode().unwrap().1
        }
    }

    /// The address of a slug of so many characters of many scripts.
    fn address(random: &kernel::Random, length: usize) -> String {
        let letters: Vec<char> = "abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-_.~/äßéЖ漢🙂".chars().collect();
        let mut url = url::Url::parse("https://go.example.com/").unwrap();
        let slug: String = (0..length).map(|_| letters[random.below(letters.len() as u32) as usize]).collect();
        url.set_path(&slug);
        format!("{url}?qr")
    }

    #[test]
    fn inv_l26_five_hundred_codes_are_read_back_by_a_reader_that_is_not_ours() {
        let random = kernel::Random::seeded(26);
        let sizes = [64, 65, 80, 99, 128, 150, 200, 256];
        let (mut svgs, mut pngs, mut versions) = (0, 0, std::collections::BTreeSet::new());
        for case in 0..512_u32 {
            let level = [Level::L, Level::M, Level::Q, Level::H][case as usize % 4];
            let text = address(&random, 1 + random.below(if case % 16 == 0 { 120 } else { 30 }) as usize);
            let size = if case == 256 { 1_024 } else { sizes[random.below(8) as usize] };
            let style = loop {
                let hex = || Some(format!("{:06x}", random.below(1 << 24)));
                let style =
                    LinkQrStyle { size: Some(size), margin: Some(random.below(17)), level: Some(level), color: hex(), background: hex() };
                if let Ok(style) = style.checked() {
                    break style;
                }
            };
            let matrix = Matrix::of(&text, level).unwrap();
            versions.insert(matrix.width);
            if case % 2 == 0 {
                let png = Picture::of_png(&png_of(&matrix, style).unwrap(), style.background);
                let scale = png.side / (matrix.width + 2 * style.margin as usize);
                assert!(png.side <= size as usize || scale == 1, "{} of {size}", png.side);
                assert_eq!(png.read(3_usize.div_ceil(scale), 4 * scale), text, "PNG {case}: {style:?}");
                pngs += 1;
            } else {
                let svg = svg_of(&matrix, style);
                assert_eq!(Picture::of_svg(&svg, 3).read(1, 12), text, "SVG {case}: {style:?}");
                svgs += 1;
            }
        }
        assert!(svgs + pngs >= 500 && versions.len() >= 8, "{svgs} {pngs} {versions:?}");
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
