//! Takes out of pictures what is not the picture: where and when it was taken, with what, by whom (MED-2).
//!
//! The pixels stay as they were encoded. Colour profiles, densities and animations stay too.

use image::ImageFormat;

/// The most frames of an animation.
const FRAMES_MAX: usize = 2_000;

/// What keeps a picture from being cleaned.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Its structure is not that of its format.
    Broken,
    /// It has more frames than allowed.
    TooManyFrames,
}

/// The picture without metadata.
pub(super) fn strip(format: ImageFormat, bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    match format {
        ImageFormat::Jpeg => jpeg(bytes).ok_or(Refusal::Broken),
        ImageFormat::Png => png(bytes),
        ImageFormat::WebP => webp(bytes),
        ImageFormat::Gif => gif(bytes),
        _ => Err(Refusal::Broken),
    }
}

/// Keeps JFIF, Adobe's colour transform and the colour profile; all other application segments and comments go.
fn jpeg(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = bytes.get(..2)?.to_vec();
    let mut at = 2;
    loop {
        if *bytes.get(at)? != 0xff {
            return None;
        }
        let marker = *bytes.get(at + 1)?;
        match marker {
            0xff => at += 1,
            // What follows the end of the picture is no picture.
            0xd9 => {
                out.extend([0xff, 0xd9]);
                return Some(out);
            }
            0x01 | 0xd0..=0xd7 => {
                out.extend([0xff, marker]);
                at += 2;
            }
            _ => {
                let length = usize::from(u16::from_be_bytes([*bytes.get(at + 2)?, *bytes.get(at + 3)?]));
                let segment = bytes.get(at..at + 2 + length).filter(|_| length >= 2)?;
                let body = &segment[4..];
                let is_kept = match marker {
                    0xe0 => body.starts_with(b"JFIF\0"),
                    0xe2 => body.starts_with(b"ICC_PROFILE\0"),
                    0xee => body.starts_with(b"Adobe"),
                    0xe1 | 0xe3..=0xed | 0xef | 0xfe => false,
                    _ => true,
                };
                if is_kept {
                    out.extend_from_slice(segment);
                }
                at += segment.len();
                if marker == 0xda {
                    // The scan: up to the next marker that is neither an escaped 0xff nor a restart.
                    let scan = bytes.get(at..)?;
                    let end = scan.windows(2).position(|pair| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xd0..=0xd7 | 0xff));
                    let Some(end) = end else {
                        // Many cameras and editors leave the end out; decoders do not mind.
                        out.extend_from_slice(scan);
                        out.extend([0xff, 0xd9]);
                        return Some(out);
                    };
                    out.extend_from_slice(&scan[..end]);
                    at += end;
                }
            }
        }
    }
}

fn png(bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    const KEPT: [&[u8; 4]; 16] = [
        b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"sBIT", b"bKGD", b"pHYs", b"acTL",
        b"fcTL", b"fdAT",
    ];
    let mut out = bytes.get(..8).ok_or(Refusal::Broken)?.to_vec();
    let (mut at, mut frames) = (8, 0);
    loop {
        let head = bytes.get(at..at + 8).and_then(|head| head.split_first_chunk::<4>()).ok_or(Refusal::Broken)?;
        let length = u32::from_be_bytes(*head.0) as usize;
        let chunk = at.checked_add(12 + length).and_then(|end| bytes.get(at..end)).ok_or(Refusal::Broken)?;
        if KEPT.iter().any(|kept| head.1 == *kept) {
            out.extend_from_slice(chunk);
        }
        frames += usize::from(head.1 == b"fcTL");
        if frames > FRAMES_MAX {
            return Err(Refusal::TooManyFrames);
        }
        if head.1 == b"IEND" {
            return Ok(out);
        }
        at += chunk.len();
    }
}

fn webp(bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    /// The flags of VP8X that say: there is EXIF, there is XMP.
    const METADATA: u8 = 0b0000_1100;
    let mut out = bytes.get(..12).ok_or(Refusal::Broken)?.to_vec();
    let (mut at, mut frames) = (12, 0);
    while let Some((name, length)) = bytes.get(at..at + 8).and_then(|head| head.split_first_chunk::<4>()) {
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
        let end = at.checked_add(8 + length).ok_or(Refusal::Broken)?;
        let chunk = bytes.get(at..end).ok_or(Refusal::Broken)?;
        if matches!(name, b"VP8X" | b"VP8 " | b"VP8L" | b"ALPH" | b"ANIM" | b"ANMF" | b"ICCP") {
            let begin = out.len();
            out.extend_from_slice(chunk);
            if name == b"VP8X"
                && let Some(flags) = out.get_mut(begin + 8)
            {
                *flags &= !METADATA;
            }
            if length % 2 == 1 {
                out.push(0);
            }
        }
        frames += usize::from(name == b"ANMF");
        if frames > FRAMES_MAX {
            return Err(Refusal::TooManyFrames);
        }
        at = end + length % 2;
    }
    let size = u32::try_from(out.len() - 8).map_err(|_| Refusal::Broken)?;
    out[4..8].copy_from_slice(&size.to_le_bytes());
    Ok(out)
}

/// Keeps the frames, their timing and the number of loops; comments and other extensions go.
fn gif(bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    let broken = || Refusal::Broken;
    let colours = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let head = 13 + colours(*bytes.get(10).ok_or_else(broken)?);
    let mut out = bytes.get(..head).ok_or_else(broken)?.to_vec();
    let (mut at, mut frames) = (head, 0);
    loop {
        // A file that just ends is shown as far as it goes.
        let Some(introducer) = bytes.get(at) else {
            out.push(0x3b);
            return Ok(out);
        };
        let (begin, is_kept) = (
            at,
            match introducer {
                0x3b => {
                    out.push(0x3b);
                    return Ok(out);
                }
                0x21 => {
                    let label = *bytes.get(at + 1).ok_or_else(broken)?;
                    let is_loop = bytes
                        .get(at + 2..)
                        .is_some_and(|rest| rest.starts_with(b"\x0bNETSCAPE2.0") || rest.starts_with(b"\x0bANIMEXTS1.0"));
                    at += 2;
                    label == 0xf9 || (label == 0xff && is_loop)
                }
                0x2c => {
                    frames += 1;
                    at += 10 + colours(*bytes.get(at + 9).ok_or_else(broken)?) + 1;
                    true
                }
                _ => return Err(Refusal::Broken),
            },
        );
        if frames > FRAMES_MAX {
            return Err(Refusal::TooManyFrames);
        }
        // Blocks, each with its length before it, up to an empty one.
        loop {
            let length = usize::from(*bytes.get(at).ok_or_else(broken)?);
            at += 1 + length;
            if length == 0 {
                break;
            }
        }
        if is_kept {
            out.extend_from_slice(bytes.get(begin..at).ok_or_else(broken)?);
        }
    }
}
