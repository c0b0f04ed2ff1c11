//! A file of the journal: a header, then blocks of records, each with its length and checksum.
//!
//! A block that a crash cut short, and what follows damage, is nothing. A file is locked as long as its process lives.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::clicks::record::{self, Record};

/// What every segment begins with, before the name of its database.
const MAGIC: &[u8; 8] = b"UCCLICK1";
pub(crate) const HEADER: usize = 8 + 16;
/// Length and checksum before every block.
const BLOCK_HEADER: usize = 4 + 16;
/// Bytes of one block of a segment that is written anew.
const REWRITTEN_BLOCK: usize = 1 << 20;

/// Which segment of which journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentName {
    pub(crate) journal: u128,
    pub(crate) number: u32,
}

/// What a closed segment holds.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) name: SegmentName,
    pub(crate) bytes: Vec<u8>,
}

impl Segment {
    /// The records of all whole blocks; a block that a crash cut short, and what follows it, is nothing.
    pub(crate) fn records(&self) -> Records<'_> {
        records_of(&self.bytes)
    }

    #[cfg(test)]
    pub(crate) fn of_block(block: &[u8]) -> Segment {
        let bytes = [&[0; HEADER][..], &framed(block).expect("a small block")].concat();
        Segment { name: SegmentName { journal: 1, number: 1 }, bytes }
    }
}

/// A file of the journal. While it is open, no other process takes it for a leftover.
pub(crate) struct OpenSegment {
    pub(crate) name: SegmentName,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<File>,
    pub(crate) bytes: u64,
    /// When its oldest click was made; the beginning of time where nobody knows.
    pub(crate) since: i64,
    pub(crate) is_synced: bool,
    pub(crate) is_redacted: bool,
}

impl OpenSegment {
    /// Makes the file of a segment of this database; `AlreadyExists` when there is one.
    pub(crate) fn create(folder: &Path, name: SegmentName, database: &[u8; 16], since: i64) -> io::Result<OpenSegment> {
        let path = folder.join(format!("{:032x}-{:08}.clicks", name.journal, name.number));
        let mut file = File::options().create_new(true).read(true).append(true).open(&path)?;
        file.try_lock().map_err(io::Error::from)?;
        if let Err(error) = file.write_all(MAGIC).and_then(|()| file.write_all(database)) {
            // On a full disk every try would leave another empty file.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        Ok(OpenSegment { name, path, file: Arc::new(file), bytes: HEADER as u64, since, is_synced: false, is_redacted: false })
    }
}

/// Puts a file in the place of a segment that has the same records with less in them; gives it and its length.
pub(crate) fn redacted(segment: &OpenSegment, sync: fn(&File) -> io::Result<()>) -> io::Result<(File, u64)> {
    let old = fs::read(&segment.path)?;
    let header = old.get(..HEADER).ok_or(io::ErrorKind::UnexpectedEof)?;
    let path = segment.path.with_extension("new");
    let mut file = File::options().create(true).truncate(true).read(true).write(true).open(&path)?;
    // Before it has the name under which others look for leftovers.
    file.try_lock().map_err(io::Error::from)?;
    let (mut bytes, mut block) = (header.to_vec(), Vec::new());
    for record in records_of(&old) {
        record.write_redacted(&mut block);
        if block.len() >= REWRITTEN_BLOCK {
            bytes.extend(framed(&std::mem::take(&mut block))?);
        }
    }
    if !block.is_empty() {
        bytes.extend(framed(&block)?);
    }
    file.write_all(&bytes)?;
    sync(&file)?;
    fs::rename(&path, &segment.path)?;
    Ok((file, bytes.len() as u64))
}

/// A block as it stands in a file.
pub(crate) fn framed(block: &[u8]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(BLOCK_HEADER + block.len());
    bytes.extend_from_slice(&u32::try_from(block.len()).map_err(io::Error::other)?.to_le_bytes());
    bytes.extend_from_slice(&checksum(block));
    bytes.extend_from_slice(block);
    Ok(bytes)
}

/// When the first click of a block was made.
pub(crate) fn since(mut block: &[u8]) -> i64 {
    match record::read(&mut block) {
        Some(Record::Click(click)) => click.at,
        Some(Record::Count { hour, .. }) => hour,
        None => i64::MIN,
    }
}

fn checksum(block: &[u8]) -> [u8; 16] {
    let digest = Sha256::digest(block);
    std::array::from_fn(|n| digest[n])
}

/// Removes a file that a crash left half cut down; the whole one is still there.
pub(crate) fn remove_unfinished(path: &Path) {
    if File::open(path).is_ok_and(|file| file.try_lock().is_ok()) {
        // It stays where it cannot be removed, and is written over when its segment is cut down again.
        let _ = fs::remove_file(path);
    }
}

/// A file of a process that is gone, if it belongs to this database; locked from now on.
pub(crate) fn leftover(path: &Path, database: &[u8; 16]) -> Option<OpenSegment> {
    let (journal, number) = path.file_name()?.to_str()?.strip_suffix(".clicks")?.split_once('-')?;
    let name = SegmentName { journal: u128::from_str_radix(journal, 16).ok()?, number: number.parse().ok()? };
    let mut file = File::options().read(true).append(true).open(path).ok()?;
    file.try_lock().ok()?;
    let mut header = [0; HEADER];
    file.read_exact(&mut header).ok()?;
    let bytes = file.metadata().ok()?.len();
    let is_ours = header[..8] == MAGIC[..] && header[8..] == database[..];
    let (path, file, since) = (path.to_owned(), Arc::new(file), i64::MIN);
    is_ours.then_some(OpenSegment { name, path, file, bytes, since, is_synced: false, is_redacted: false })
}

/// The records of a file.
pub(crate) fn records_of(bytes: &[u8]) -> Records<'_> {
    Records { rest: bytes.get(HEADER..).unwrap_or_default(), block: &[] }
}

/// The records of one block.
pub(crate) fn records_in(block: &[u8]) -> Records<'_> {
    Records { rest: &[], block }
}

/// The records of a segment, one after the other, up to the first damage.
#[derive(Debug)]
pub(crate) struct Records<'b> {
    rest: &'b [u8],
    block: &'b [u8],
}

impl<'b> Records<'b> {
    /// Bytes that are not read: at the end, those that are no record any more.
    pub(crate) fn left(&self) -> usize {
        self.rest.len() + self.block.len()
    }
}

impl<'b> Iterator for Records<'b> {
    type Item = Record<'b>;

    fn next(&mut self) -> Option<Record<'b>> {
        while self.block.is_empty() {
            self.block = next_block(&mut self.rest)?;
        }
        record::read(&mut self.block)
    }
}

fn next_block<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = u32::from_le_bytes(rest.get(..4)?.try_into().ok()?) as usize;
    let sum = rest.get(4..BLOCK_HEADER)?;
    let block = rest.get(BLOCK_HEADER..BLOCK_HEADER.checked_add(length)?)?;
    if checksum(block) != sum {
        return None;
    }
    *rest = &rest[BLOCK_HEADER + length..];
    Some(block)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clicks::journal::tests::visit;

    fn file_of(blocks: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = [&MAGIC[..], &[1; 16]].concat();
        for block in blocks {
            bytes.extend_from_slice(&(block.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&checksum(block));
            bytes.extend_from_slice(block);
        }
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn inv_l2_a_damaged_or_cut_file_gives_its_whole_blocks_and_never_more(cut in any::<prop::sample::Index>(), flip in any::<prop::sample::Index>()) {
            let blocks: Vec<Vec<u8>> = (1..=5).map(|n| { let mut block = Vec::new(); visit(n).write(&mut block); visit(n).write(&mut block); block }).collect();
            let whole = file_of(&blocks);
            let all: Vec<_> = records_of(&whole).collect();
            prop_assert_eq!(all.len(), 10);
            let short = &whole[..cut.index(whole.len())];
            let mut reader = records_of(short);
            let found: Vec<_> = reader.by_ref().collect();
            prop_assert!(found.len() % 2 == 0 && found[..] == all[..found.len()]);
            // Every byte is read or told.
            let read = file_of(&blocks[..found.len() / 2]).len();
            prop_assert_eq!(reader.left(), short.len().saturating_sub(read));
            let mut damaged = whole.clone();
            let at = HEADER + flip.index(whole.len() - HEADER);
            damaged[at] ^= 1;
            let found: Vec<_> = records_of(&damaged).collect();
            prop_assert!(found.len() < 10 && found[..] == all[..found.len()]);
        }
    }
}
