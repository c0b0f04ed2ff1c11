//! Pictures: decoded under limits, cleaned, turned upright, brought to the sizes of the presets. All of it runs on the image pool.

use std::f64::consts::PI;
use std::io::Cursor;

use fast_image_resize::images::Image;
use fast_image_resize::{PixelType, ResizeOptions, Resizer};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageEncoder, ImageFormat, ImageReader, Limits, RgbaImage};

use super::settings::{Preset, PresetFormat, PresetMode};
use super::strip::{self, Refusal};
use super::{IMAGE_INVALID, IMAGE_TOO_LARGE};
use crate::error::{Error, Result};

/// The quality of an original that had to be turned.
const TURNED_QUALITY: u8 = 92;

/// A picture that was looked at and cleaned.
pub(super) struct Inspected {
    pub(super) bytes: Vec<u8>,
    pub(super) width: u32,
    pub(super) height: u32,
    /// A BlurHash, to be shown until the picture is there.
    pub(super) placeholder: String,
}

/// A picture in the size of a preset.
pub(super) struct Made {
    pub(super) bytes: Vec<u8>,
    pub(super) width: u32,
    pub(super) height: u32,
}

struct Decoded {
    image: DynamicImage,
    orientation: Orientation,
    profile: Option<Vec<u8>>,
}

/// Decodes a picture, after its size was found to be within the limit.
fn decode(format: ImageFormat, bytes: &[u8], max_pixels: u32) -> Result<Decoded> {
    let (width, height) = ImageReader::with_format(Cursor::new(bytes), format).into_dimensions().map_err(invalid)?;
    if u64::from(width) * u64::from(height) > u64::from(max_pixels) {
        return Err(IMAGE_TOO_LARGE.because(format!("It has {width} × {height} pixels; {max_pixels} are read at most.")));
    }
    if width == 0 || height == 0 {
        return Err(IMAGE_INVALID.error());
    }
    let mut limits = Limits::default();
    // Up to eight bytes for a pixel of 16 bits each, twice, and some room for the decoder itself.
    limits.max_alloc = Some(u64::from(max_pixels) * 16 + 64 * 1024 * 1024);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(invalid)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    // What is decoded is red, green and blue, whatever the file had; a profile of inks or of grey would be wrong for it.
    let profile = decoder.icc_profile().unwrap_or(None).filter(|profile| profile.get(16..20) == Some(b"RGB "));
    Ok(Decoded { image: DynamicImage::from_decoder(decoder).map_err(invalid)?, orientation, profile })
}

fn invalid(error: image::ImageError) -> Error {
    let problem = if matches!(error, image::ImageError::Limits(_)) { &IMAGE_TOO_LARGE } else { &IMAGE_INVALID };
    problem.error().with_source(error)
}

/// Looks at an uploaded picture: it can be decoded, carries nothing but itself, and stands upright.
pub(super) fn inspect(format: ImageFormat, bytes: &[u8], max_pixels: u32) -> Result<Inspected> {
    let Decoded { mut image, orientation, profile } = decode(format, bytes, max_pixels)?;
    let clean = match orientation {
        Orientation::NoTransforms => strip::strip(format, bytes).map_err(|refusal| match refusal {
            Refusal::Broken => IMAGE_INVALID.error(),
            Refusal::TooManyFrames => IMAGE_TOO_LARGE.because("It has too many frames."),
        })?,
        // Its turn stands in the metadata, which goes: so the pixels are turned.
        _ => {
            image.apply_orientation(orientation);
            encode(&image, format, profile)?
        }
    };
    let (width, height) = (image.width(), image.height());
    let placeholder = blur_hash(&small(&image)?);
    Ok(Inspected { bytes: clean, width, height, placeholder })
}

/// Makes a picture in the size of a preset; it is never larger than the original.
pub(super) fn variant(format: ImageFormat, bytes: &[u8], max_pixels: u32, preset: &Preset, focal: (i64, i64)) -> Result<Made> {
    let Decoded { image, profile, .. } = decode(format, bytes, max_pixels)?;
    let frame = frame(preset, (image.width(), image.height()), focal);
    let resized = resize(&image, &frame)?;
    let (width, height) = (resized.width(), resized.height());
    let bytes = match preset.format {
        PresetFormat::Jpg => encode_jpeg(&on_white(&resized), preset.quality, profile)?,
        PresetFormat::Png => encode(&resized.into(), ImageFormat::Png, profile)?,
        PresetFormat::Webp => encode(&resized.into(), ImageFormat::WebP, profile)?,
    };
    Ok(Made { bytes, width, height })
}

/// Which part of a picture is shown, and how large.
#[derive(Debug, PartialEq)]
struct Frame {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
    to: (u32, u32),
}

fn frame(preset: &Preset, (width, height): (u32, u32), (focal_x, focal_y): (i64, i64)) -> Frame {
    let (full_width, full_height) = (f64::from(width), f64::from(height));
    let wanted_width = preset.width.map_or(f64::INFINITY, f64::from);
    let wanted_height = preset.height.map_or(f64::INFINITY, f64::from);
    let side = |length: f64| (length.round() as u32).max(1);
    if preset.mode == PresetMode::Fit {
        let scale = (wanted_width / full_width).min(wanted_height / full_height).min(1.0);
        return Frame {
            left: 0.0,
            top: 0.0,
            width: full_width,
            height: full_height,
            to: (side(full_width * scale), side(full_height * scale)),
        };
    }
    let scale = (wanted_width / full_width).max(wanted_height / full_height);
    let (cut_width, cut_height) = ((wanted_width / scale).min(full_width), (wanted_height / scale).min(full_height));
    let begin = |focal: i64, full: f64, cut: f64| (full * focal as f64 / 10_000.0 - cut / 2.0).clamp(0.0, full - cut);
    let shrink = scale.min(1.0);
    Frame {
        left: begin(focal_x, full_width, cut_width),
        top: begin(focal_y, full_height, cut_height),
        width: cut_width,
        height: cut_height,
        to: (side(cut_width * shrink), side(cut_height * shrink)),
    }
}

fn resize(image: &DynamicImage, frame: &Frame) -> Result<RgbaImage> {
    let source = image.to_rgba8();
    let (width, height) = frame.to;
    let source = Image::from_vec_u8(source.width(), source.height(), source.into_raw(), PixelType::U8x4).map_err(Error::internal)?;
    let mut target = Image::new(width, height, PixelType::U8x4);
    let options = ResizeOptions::new().crop(frame.left, frame.top, frame.width, frame.height);
    Resizer::new().resize(&source, &mut target, &options).map_err(Error::internal)?;
    RgbaImage::from_raw(width, height, target.into_vec()).ok_or_else(|| Error::internal("a resized picture has another size"))
}

fn small(image: &DynamicImage) -> Result<RgbaImage> {
    let (width, height) = (f64::from(image.width()), f64::from(image.height()));
    let scale = (32.0 / width).min(32.0 / height).min(1.0);
    let to = (((width * scale) as u32).max(1), ((height * scale) as u32).max(1));
    resize(image, &Frame { left: 0.0, top: 0.0, width, height, to })
}

/// JPEG knows no transparency: what shines through is white.
fn on_white(image: &RgbaImage) -> DynamicImage {
    let mut flat = image::RgbImage::new(image.width(), image.height());
    for (to, from) in flat.pixels_mut().zip(image.pixels()) {
        let alpha = u32::from(from[3]);
        let over = |channel: u8| ((u32::from(channel) * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
        to.0 = [over(from[0]), over(from[1]), over(from[2])];
    }
    flat.into()
}

fn encode_jpeg(image: &DynamicImage, quality: u8, profile: Option<Vec<u8>>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, quality);
    with_profile(&mut encoder, profile);
    let image = image.to_rgb8();
    encoder.write_image(&image, image.width(), image.height(), image::ExtendedColorType::Rgb8).map_err(Error::internal)?;
    Ok(bytes)
}

fn encode(image: &DynamicImage, format: ImageFormat, profile: Option<Vec<u8>>) -> Result<Vec<u8>> {
    if format == ImageFormat::Jpeg {
        return encode_jpeg(image, TURNED_QUALITY, profile);
    }
    let (mut bytes, image) = (Vec::new(), image.to_rgba8());
    let (width, height) = (image.width(), image.height());
    if format == ImageFormat::WebP {
        let mut encoder = WebPEncoder::new_lossless(&mut bytes);
        with_profile(&mut encoder, profile);
        encoder.write_image(&image, width, height, image::ExtendedColorType::Rgba8).map_err(Error::internal)?;
    } else {
        let mut encoder = PngEncoder::new(&mut bytes);
        with_profile(&mut encoder, profile);
        encoder.write_image(&image, width, height, image::ExtendedColorType::Rgba8).map_err(Error::internal)?;
    }
    Ok(bytes)
}

fn with_profile(encoder: &mut impl ImageEncoder, profile: Option<Vec<u8>>) {
    if let Some(profile) = profile
        && encoder.set_icc_profile(profile).is_err()
    {
        tracing::debug!("a colour profile was left out of a picture whose format has no place for it");
    }
}

/// The BlurHash of a small picture: four waves across, three down.
fn blur_hash(image: &RgbaImage) -> String {
    const ACROSS: u32 = 4;
    const DOWN: u32 = 3;
    let (width, height) = (f64::from(image.width()), f64::from(image.height()));
    let mut waves = Vec::new();
    for down in 0..DOWN {
        for across in 0..ACROSS {
            let mut sum = [0.0; 3];
            for (x, y, pixel) in image.enumerate_pixels() {
                let basis = (PI * f64::from(across) * f64::from(x) / width).cos() * (PI * f64::from(down) * f64::from(y) / height).cos();
                for (channel, value) in sum.iter_mut().zip(pixel.0) {
                    *channel += basis * to_linear(value);
                }
            }
            let norm = if across == 0 && down == 0 { 1.0 } else { 2.0 };
            waves.push(sum.map(|channel| channel * norm / (width * height)));
        }
    }
    let (average, others) = (waves[0], &waves[1..]);
    let strongest = others.iter().flatten().fold(0.0_f64, |most, value| most.max(value.abs()));
    let scale = ((strongest * 166.0 - 0.5).floor().clamp(0.0, 82.0)) as u32;
    let strongest = f64::from(scale + 1) / 166.0;
    let mut hash = String::new();
    push_base83(&mut hash, (ACROSS - 1) + (DOWN - 1) * 9, 1);
    push_base83(&mut hash, scale, 1);
    let [red, green, blue] = average.map(from_linear);
    push_base83(&mut hash, (red << 16) | (green << 8) | blue, 4);
    for wave in others {
        let quantised = wave.map(|value| {
            let value = value / strongest;
            (value.signum() * value.abs().sqrt() * 9.0 + 9.5).floor().clamp(0.0, 18.0) as u32
        });
        push_base83(&mut hash, (quantised[0] * 19 + quantised[1]) * 19 + quantised[2], 2);
    }
    hash
}

fn to_linear(value: u8) -> f64 {
    let value = f64::from(value) / 255.0;
    if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

fn from_linear(value: f64) -> u32 {
    let value = value.clamp(0.0, 1.0);
    let value = if value <= 0.003_130_8 { value * 12.92 } else { 1.055 * value.powf(1.0 / 2.4) - 0.055 };
    (value * 255.0 + 0.5) as u32
}

fn push_base83(hash: &mut String, value: u32, digits: u32) {
    const DIGITS: &[u8; 83] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~";
    for place in (0..digits).rev() {
        hash.push(char::from(DIGITS[(value / 83_u32.pow(place) % 83) as usize]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(preset: &str, size: (u32, u32), focal: (i64, i64)) -> Frame {
        frame(&preset.parse().unwrap(), size, focal)
    }

    #[test]
    fn med3_fit_keeps_the_whole_picture_and_never_enlarges_it() {
        assert_eq!(framed("fit 800x jpg", (1600, 900), (5000, 5000)).to, (800, 450));
        assert_eq!(framed("fit x90 jpg", (1600, 900), (5000, 5000)).to, (160, 90));
        assert_eq!(framed("fit 800x100 jpg", (1600, 900), (5000, 5000)).to, (178, 100));
        assert_eq!(framed("fit 800x jpg", (40, 30), (5000, 5000)).to, (40, 30));
        assert_eq!(framed("fit 10x jpg", (10_000, 1), (5000, 5000)).to, (10, 1));
    }

    #[test]
    fn med3_fill_cuts_around_the_focal_point() {
        let frame = |focal| framed("fill 100x100 jpg", (400, 200), focal);
        assert_eq!(frame((5000, 5000)), Frame { left: 100.0, top: 0.0, width: 200.0, height: 200.0, to: (100, 100) });
        assert_eq!(frame((0, 0)).left, 0.0);
        assert_eq!(frame((10_000, 10_000)).left, 200.0);
        assert_eq!(framed("fill 100x100 jpg", (60, 30), (5000, 5000)).to, (30, 30));
    }

    #[test]
    fn a_plain_picture_has_the_blur_hash_of_its_colour() {
        let image = RgbaImage::from_pixel(8, 8, image::Rgba([255, 0, 0, 255]));
        let hash = blur_hash(&image);
        assert_eq!((hash.len(), &hash[..1]), (28, "L"));
        // 0xff0000 in base 83.
        assert_eq!(&hash[2..6], "TI:j");
    }
}
