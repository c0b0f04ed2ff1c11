//! Where files lie: a folder tree in the data folder, each file written whole or not at all (MED-4, MED-8).

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use uuid::Uuid;

/// The folder for files that are being written.
const UNFINISHED: &str = "tmp";

/// The files of the media library. All calls block.
#[derive(Clone, Debug)]
pub(super) struct Storage {
    root: PathBuf,
}

impl Storage {
    /// The storage in this data folder; nothing is made before the first file.
    pub(super) fn new(data_dir: &str) -> Storage {
        Storage { root: Path::new(data_dir).join("media") }
    }

    /// Where the file of this key lies.
    pub(super) fn path(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }

    /// Writes a file: it is there, durably, under its name when this returns, or not at all.
    pub(super) fn put(&self, key: &str, unfinished: Uuid, bytes: &[u8]) -> io::Result<()> {
        let (path, scratch) = (self.path(key), self.root.join(UNFINISHED));
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder)?;
        fs::create_dir_all(&scratch)?;
        let scratch = scratch.join(unfinished.hyphenated().to_string());
        let written = write_new(&scratch, bytes).and_then(|()| fs::rename(&scratch, &path)).and_then(|()| sync_folder(folder));
        if written.is_err() {
            // The first error is the one to tell; the sweeper finds what is left.
            let _ = fs::remove_file(&scratch);
        }
        written
    }

    /// Reads a whole file.
    pub(super) fn read(&self, key: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path(key))
    }

    /// Removes a file; one that is not there is fine.
    pub(super) fn remove(&self, key: &str) -> io::Result<()> {
        match fs::remove_file(self.path(key)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The folders that files lie in, that of unfinished ones included.
    pub(super) fn folders(&self) -> io::Result<Vec<String>> {
        names(&self.root)
    }

    /// The files of a folder, as keys, each with the id that its name begins with.
    pub(super) fn files(&self, folder: &str) -> io::Result<Vec<(String, Uuid)>> {
        let with_id = |name: String| {
            let id = name.get(..36).and_then(|id| Uuid::try_parse(id).ok())?;
            Some((format!("{folder}/{name}"), id))
        };
        Ok(names(&self.root.join(folder))?.into_iter().filter_map(with_id).collect())
    }
}

/// The key of an original. It says nothing about presets or names, so neither can ever change it.
pub(super) fn key_of(id: Uuid, sha256: &[u8; 32]) -> String {
    let id = id.hyphenated().to_string();
    format!("{}/{id}-{}", &id[34..], hex(&sha256[..8]))
}

/// The key of a variant.
pub(super) fn variant_key(original: &str, preset: &str, spec_hash: &str, extension: &str) -> String {
    format!("{original}-{preset}-{spec_hash}.{extension}")
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A rename is durable when its folder is.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string().ok());
    }
    Ok(names)
}
