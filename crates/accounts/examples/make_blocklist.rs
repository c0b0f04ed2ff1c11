//! Makes the filter of common passwords (PWD-3) from a list with one password a line.
//!
//! `cargo run --release -p accounts --example make_blocklist -- LIST crates/accounts/blocklist/common.fuse16`
//! The same list always gives the same bytes. `scripts/blocklist.sh` fetches the list and runs this.

use std::collections::BTreeSet;
use std::error::Error;

use accounts::passwords::blocklist::{SHORTEST_ENTRY, contains, key_of};
use xorf::{BinaryFuse16, DmaSerializable as _};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, list, to] = arguments.as_slice() else { return Err("usage: make_blocklist LIST TO".into()) };
    let text = std::fs::read_to_string(list)?;
    let entries: BTreeSet<String> = text.lines().map(str::to_lowercase).filter(|entry| entry.chars().count() >= SHORTEST_ENTRY).collect();
    let keys: BTreeSet<u64> = entries.iter().map(|entry| key_of(entry)).collect();
    let filter = BinaryFuse16::try_from(keys.into_iter().collect::<Vec<u64>>())?;
    let mut bytes = vec![0; BinaryFuse16::DESCRIPTOR_LEN];
    filter.dma_copy_descriptor_to(&mut bytes);
    bytes.extend_from_slice(filter.dma_fingerprints());
    let is_new = std::fs::read(to).ok().as_ref() != Some(&bytes);
    std::fs::write(to, &bytes)?;
    println!("{} entries, {} bytes: {}", entries.len(), bytes.len(), if is_new { "written anew" } else { "as before" });
    if !is_new {
        let missing = entries.iter().filter(|entry| !contains(entry)).count();
        println!("{missing} entries are missing in the filter of this program");
    }
    Ok(())
}
