//! The settings of the media library, and the sizes that pictures are offered in.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::settings::ByteSize;

crate::settings! {
    /// Files that people upload.
    pub struct MediaSettings in "media" {
        /// Where files lie: "local" is the folder media in the data folder.
        pub storage: MediaStorage = MediaStorage::Local,
        /// The largest file.
        pub max_bytes: ByteSize = ByteSize::mib(25),
        /// The most pixels of a picture; while it is worked on, each needs up to 16 bytes of memory.
        pub max_pixels: u32 = 40_000_000,
        /// After how many days an upload that nothing uses is deleted; 0 keeps all. A picture that only the text of a post, of its
        /// draft or of an earlier revision shows counts as used.
        pub orphan_days: u32 = 7,
        /// What may be uploaded, by what the content is: media types, or groups such as "image/*".
        pub allowed_types: Vec<String> =
            ["image/*", "audio/*", "video/*", "application/pdf", "text/plain"].map(str::to_owned).to_vec(),
        /// The sizes of pictures: "name = fit|fill WIDTHxHEIGHT jpg|png|webp", for jpg also a quality; separated by semicolons, or a table.
        pub presets: Presets = Presets::default(),
    }
}

/// Where files lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaStorage {
    /// In the data folder.
    #[default]
    Local,
}

/// The most presets there may be.
const PRESETS_MAX: usize = 20;
/// The longest side of a variant.
const SIDE_MAX: u32 = 8_192;

/// How a picture is brought to a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresetMode {
    /// Whole, within the width and the height.
    Fit,
    /// Exactly this size, cut around the focal point.
    Fill,
}

/// The format of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresetFormat {
    /// JPEG.
    Jpg,
    /// PNG.
    Png,
    /// WebP, lossless.
    Webp,
}

impl PresetFormat {
    /// The extension in addresses.
    pub fn extension(self) -> &'static str {
        match self {
            PresetFormat::Jpg => "jpg",
            PresetFormat::Png => "png",
            PresetFormat::Webp => "webp",
        }
    }

    /// The media type.
    pub fn mime(self) -> &'static str {
        match self {
            PresetFormat::Jpg => "image/jpeg",
            PresetFormat::Png => "image/png",
            PresetFormat::Webp => "image/webp",
        }
    }
}

/// One size that pictures are offered in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// Whole or cut.
    pub mode: PresetMode,
    /// The width, if it is bounded.
    pub width: Option<u32>,
    /// The height, if it is bounded.
    pub height: Option<u32>,
    /// The format.
    pub format: PresetFormat,
    /// The quality of a JPEG, 1 to 100.
    pub quality: u8,
}

impl FromStr for Preset {
    type Err = String;

    fn from_str(text: &str) -> Result<Preset, String> {
        let wrong = |what: &str| format!("expected a preset such as \"fill 320x320 jpg 80\", found {text:?}: {what}");
        let words: Vec<&str> = text.split_whitespace().collect();
        let ([mode, size, format], rest) = words.split_first_chunk().ok_or_else(|| wrong("three words are needed"))?;
        let mode = match *mode {
            "fit" => PresetMode::Fit,
            "fill" => PresetMode::Fill,
            _ => return Err(wrong("it begins with fit or fill")),
        };
        let side = |text: &str| match text {
            "" => Ok(None),
            digits => digits
                .parse()
                .ok()
                .filter(|side| (1..=SIDE_MAX).contains(side))
                .map(Some)
                .ok_or_else(|| wrong("a side has 1 to 8192 pixels")),
        };
        let (width, height) = size.split_once('x').ok_or_else(|| wrong("the size is WIDTHxHEIGHT; one of them may be left out"))?;
        let (width, height) = (side(width)?, side(height)?);
        match mode {
            PresetMode::Fill if width.is_none() || height.is_none() => return Err(wrong("fill needs width and height")),
            PresetMode::Fit if width.is_none() && height.is_none() => return Err(wrong("fit needs a width or a height")),
            _ => {}
        }
        let format = match *format {
            "jpg" => PresetFormat::Jpg,
            "png" => PresetFormat::Png,
            "webp" => PresetFormat::Webp,
            _ => return Err(wrong("the format is jpg, png or webp")),
        };
        let quality = match rest {
            [] => 80,
            [quality] => {
                quality.parse().ok().filter(|quality| (1..=100).contains(quality)).ok_or_else(|| wrong("the quality is 1 to 100"))?
            }
            _ => return Err(wrong("there are too many words")),
        };
        Ok(Preset { mode, width, height, format, quality })
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = if self.mode == PresetMode::Fit { "fit" } else { "fill" };
        let side = |side: Option<u32>| side.map_or(String::new(), |side| side.to_string());
        write!(f, "{mode} {}x{} {}", side(self.width), side(self.height), self.format.extension())?;
        if self.format == PresetFormat::Jpg { write!(f, " {}", self.quality) } else { Ok(()) }
    }
}

/// The presets by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presets(BTreeMap<String, Preset>);

impl Presets {
    /// The preset of this name.
    pub fn get(&self, name: &str) -> Option<&Preset> {
        self.0.get(name)
    }

    /// All presets, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Preset)> {
        self.0.iter().map(|(name, preset)| (name.as_str(), preset))
    }

    fn of(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Presets, String> {
        let mut presets = BTreeMap::new();
        for (name, text) in pairs {
            let is_name = (1..=32).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
            if !is_name {
                return Err(format!("the name of a preset has 1 to 32 of a-z, 0-9 and _, found {name:?}"));
            }
            if presets.insert(name.clone(), text.parse()?).is_some() {
                return Err(format!("the preset {name} is there twice"));
            }
        }
        if presets.len() > PRESETS_MAX {
            return Err(format!("there are at most {PRESETS_MAX} presets"));
        }
        Ok(Presets(presets))
    }
}

impl Default for Presets {
    fn default() -> Presets {
        let jpg = |mode, width, height, quality| Preset { mode, width, height, format: PresetFormat::Jpg, quality };
        Presets(BTreeMap::from([
            ("thumb".to_owned(), jpg(PresetMode::Fill, Some(320), Some(320), 80)),
            ("card".to_owned(), jpg(PresetMode::Fit, Some(800), None, 82)),
            ("full".to_owned(), jpg(PresetMode::Fit, Some(1920), None, 84)),
        ]))
    }
}

impl FromStr for Presets {
    type Err = String;

    fn from_str(text: &str) -> Result<Presets, String> {
        let pair = |part: &str| match part.split_once('=') {
            Some((name, preset)) => Ok((name.trim().to_owned(), preset.trim().to_owned())),
            None => Err(format!("expected \"name = preset\", found {:?}", part.trim())),
        };
        Presets::of(text.split(';').filter(|part| !part.trim().is_empty()).map(pair).collect::<Result<Vec<_>, _>>()?)
    }
}

impl fmt::Display for Presets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.iter().map(|(name, preset)| format!("{name} = {preset}")).collect();
        f.write_str(&all.join("; "))
    }
}

impl Serialize for Presets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Presets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Presets, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Table(BTreeMap<String, String>),
        }
        match Form::deserialize(deserializer)? {
            Form::Text(text) => text.parse(),
            Form::Table(table) => Presets::of(table),
        }
        .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn med3_presets_are_read_from_text_and_table_and_printed_as_they_were_written() {
        let text = "card = fit 800x jpg 82; full = fit 1920x jpg 84; thumb = fill 320x320 jpg 80";
        assert_eq!(Presets::default().to_string(), text);
        assert_eq!(text.parse::<Presets>().unwrap(), Presets::default());
        let table: Presets = serde_json::from_value(serde_json::json!({ "icon": "fit x64 png" })).unwrap();
        assert_eq!(table.get("icon").unwrap(), &"fit x64 png".parse::<Preset>().unwrap());
    }

    #[test]
    fn med3_a_preset_that_cannot_be_made_is_refused() {
        for wrong in [
            "",
            "fit",
            "fit 800 jpg",
            "fit x jpg",
            "fill 320x jpg",
            "fit 0x1 jpg",
            "fit 9000x jpg",
            "fit 1x1 gif",
            "fit 1x1 jpg 0",
            "fit 1x1 jpg 80 x",
            "scale 1x1 jpg",
        ] {
            assert!(wrong.parse::<Preset>().is_err(), "{wrong}");
        }
        for wrong in ["thumb", "Thumb = fit 1x jpg", "a = fit 1x jpg; a = fit 2x jpg", "a/b = fit 1x jpg"] {
            assert!(wrong.parse::<Presets>().is_err(), "{wrong}");
        }
    }
}
