//! The keyring: what seals values at rest (DAT-1) and signs what comes back from clients, with keys that no database holds.
//!
//! A sealed value is a version byte, the key's id (4 bytes), a random nonce (24 bytes) and the ciphertext with its tag. The
//! context, such as `kernel_messages.body/019ab0b2-…`, is authenticated with it, so that a value moved to another column or row
//! does not open. The key file may hold several keys: the first seals and signs, all of them open and verify.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::random::Random;

/// The first line of a key file; the number is the version of the format.
const FILE_HEADER: &str = "undercroft-keys 1";
/// The version byte in front of every sealed value.
const SEAL_VERSION: u8 = 1;
const ID_LENGTH: usize = 4;
const NONCE_LENGTH: usize = 24;
const HEAD_LENGTH: usize = 1 + ID_LENGTH + NONCE_LENGTH;

/// Keys that seal, open and sign; cheap to clone, and silent in `Debug`.
///
/// ```
/// use kernel::{Random, seal::Keyring};
///
/// let random = Random::system();
/// let keys = Keyring::generate(&random);
/// let sealed = keys.seal(&random, "totp_factors.secret/7", b"seed");
/// assert_eq!(keys.open("totp_factors.secret/7", &sealed).unwrap().as_slice(), b"seed");
/// assert!(keys.open("totp_factors.secret/8", &sealed).is_err());
/// ```
#[derive(Clone)]
pub struct Keyring(Arc<Ring>);

struct Ring {
    current: Key,
    older: Vec<Key>,
}

struct Key {
    id: [u8; ID_LENGTH],
    id_text: String,
    master: Zeroizing<[u8; 32]>,
    sealing: Zeroizing<[u8; 32]>,
}

/// A key file that cannot be used; each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// There is no file; when the database already holds sealed data, it must be found, not made anew (DAT-3).
    #[error("There is no key file {}. Restore it from its backup; without it sealed data stays unreadable.", .0.display())]
    Missing(PathBuf),
    /// There is a file already, and keys are never overwritten.
    #[error("The key file {} exists already and is not overwritten.", .0.display())]
    Exists(PathBuf),
    /// Other accounts of this machine can read or change it.
    #[error("The key file {} is open to every account of this machine (mode {mode:04o}). Run: chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// Where it is.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It holds something else than keys.
    #[error("The key file {} is damaged: {reason}. Restore it from its backup.", path.display())]
    Damaged {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it; never part of a key.
        reason: String,
    },
    /// The operating system refuses to read or write it.
    #[error("The key file {} cannot be used: {source}", path.display())]
    Io {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Keyring {
    /// The keys of this file.
    ///
    /// # Errors
    /// When it is missing, damaged, or open to other accounts of the machine.
    pub fn load(path: impl AsRef<Path>) -> Result<Keyring, KeyFileError> {
        let path = path.as_ref();
        let mut file = File::open(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => KeyFileError::Missing(path.to_owned()),
            _ => KeyFileError::Io { path: path.to_owned(), source },
        })?;
        refuse_exposed(path, &file)?;
        let mut text = Zeroizing::new(String::new());
        file.read_to_string(&mut text).map_err(|source| KeyFileError::Io { path: path.to_owned(), source })?;
        Keyring::parse(&text).map_err(|reason| KeyFileError::Damaged { path: path.to_owned(), reason })
    }

    /// Makes a new key and writes it to a new file that only its owner can read.
    ///
    /// # Errors
    /// When there is a file already, or it cannot be written.
    pub fn create(path: impl AsRef<Path>) -> Result<Keyring, KeyFileError> {
        let path = path.as_ref();
        let keyring = Keyring::generate(&Random::system());
        write_new(path, keyring.to_text().as_bytes()).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => KeyFileError::Exists(path.to_owned()),
            _ => KeyFileError::Io { path: path.to_owned(), source },
        })?;
        Ok(keyring)
    }

    /// A new key that lives in memory only, for tests.
    pub fn generate(random: &Random) -> Keyring {
        Keyring(Arc::new(Ring { current: Key::new(Zeroizing::new(random.bytes())), older: Vec::new() }))
    }

    /// The id of the key that seals now: eight hexadecimal digits, no secret.
    pub fn key_id(&self) -> &str {
        &self.0.current.id_text
    }

    /// Seals `plaintext` for exactly this context, such as `kernel_messages.body/<row id>`.
    ///
    /// # Panics
    /// When the plaintext is longer than 256 GiB.
    pub fn seal(&self, random: &Random, context: &str, plaintext: &[u8]) -> Vec<u8> {
        let key = &self.0.current;
        let nonce: [u8; NONCE_LENGTH] = random.bytes();
        let mut sealed = Vec::with_capacity(HEAD_LENGTH + plaintext.len() + 16);
        sealed.push(SEAL_VERSION);
        sealed.extend_from_slice(&key.id);
        let associated = associated_data(&sealed, context);
        sealed.extend_from_slice(&nonce);
        let payload = Payload { msg: plaintext, aad: &associated };
        let ciphertext = key.cipher().encrypt(&XNonce::from(nonce), payload).expect("the plaintext is shorter than 256 GiB");
        sealed.extend_from_slice(&ciphertext);
        sealed
    }

    /// Opens what [`Keyring::seal`] sealed for the same context, with the key of that time.
    ///
    /// # Errors
    /// `internal` when it was sealed with a key that is not in the key file, for another context, or was changed.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let fail = |reason: String| Error::internal(format!("cannot open the sealed value of {context}: {reason}"));
        let (head, ciphertext) = sealed.split_at_checked(HEAD_LENGTH).ok_or_else(|| fail("it is too short".to_owned()))?;
        if head[0] != SEAL_VERSION {
            return Err(fail(format!("its version {} is unknown", head[0])));
        }
        let (prefix, nonce) = head.split_at(1 + ID_LENGTH);
        let key = self.key(&prefix[1..]).ok_or_else(|| fail(format!("key {} is not in the key file", hex(&prefix[1..]))))?;
        let nonce = XNonce::try_from(nonce).map_err(|_| fail("it is too short".to_owned()))?;
        let payload = Payload { msg: ciphertext, aad: &associated_data(prefix, context) };
        let plaintext = key.cipher().decrypt(&nonce, payload).map_err(|_| fail("it was changed or moved".to_owned()))?;
        Ok(Zeroizing::new(plaintext))
    }

    /// The HMAC-SHA256 of `data` under the current key, apart for each purpose.
    pub fn mac(&self, purpose: &str, data: &[u8]) -> [u8; 32] {
        self.0.current.mac(purpose, data)
    }

    /// Whether `tag` is a (possibly truncated, at least 128 bits) [`Keyring::mac`] under any key of the file, in constant time.
    pub fn verify_mac(&self, purpose: &str, data: &[u8], tag: &[u8]) -> bool {
        if !(16..=32).contains(&tag.len()) {
            return false;
        }
        self.keys().any(|key| bool::from(key.mac(purpose, data)[..tag.len()].ct_eq(tag)))
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.0.current).chain(&self.0.older)
    }

    fn key(&self, id: &[u8]) -> Option<&Key> {
        self.keys().find(|key| key.id == id)
    }

    fn parse(text: &str) -> Result<Keyring, String> {
        let mut lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        match lines.next() {
            Some((_, FILE_HEADER)) => {}
            Some((_, header)) if header.starts_with("undercroft-keys ") => {
                return Err("it was written by a newer version of Undercroft".to_owned());
            }
            Some(_) => return Err(format!("it does not begin with \"{FILE_HEADER}\"")),
            None => return Err("it is empty".to_owned()),
        }
        let mut keys = Vec::new();
        for (index, line) in lines {
            keys.push(Key::parse(line).ok_or_else(|| format!("line {} is not a key", index + 1))?);
        }
        if keys.is_empty() {
            return Err("it holds no key".to_owned());
        }
        let current = keys.remove(0);
        Ok(Keyring(Arc::new(Ring { current, older: keys })))
    }

    fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(1_024));
        text.push_str("# The keys of one Undercroft server. Keep them secret, and back them up apart from the database:\n");
        text.push_str("# without them nobody can read what is sealed in it. The first key seals, all of them open.\n");
        text.push_str(FILE_HEADER);
        for key in self.keys() {
            let master = Zeroizing::new(URL_SAFE_NO_PAD.encode(key.master.as_slice()));
            for part in ["\n", &key.id_text, " ", &master] {
                text.push_str(part);
            }
        }
        text.push('\n');
        text
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring(current: {}, older: {})", self.key_id(), self.0.older.len())
    }
}

impl Key {
    fn new(master: Zeroizing<[u8; 32]>) -> Key {
        let digest = Sha256::new().chain_update(b"undercroft key id").chain_update(master.as_slice()).finalize();
        let mut id = [0; ID_LENGTH];
        id.copy_from_slice(&digest[..ID_LENGTH]);
        let sealing = derive(&master, "seal", "");
        Key { id, id_text: hex(&id), master, sealing }
    }

    /// Reads a line of the key file. The id is a digest of the key, so that a damaged key is noticed.
    fn parse(line: &str) -> Option<Key> {
        let (id, encoded) = line.split_once(' ')?;
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(encoded.trim()).ok()?);
        let mut master = Zeroizing::new([0; 32]);
        if bytes.len() != master.len() {
            return None;
        }
        master.copy_from_slice(&bytes);
        Some(Key::new(master)).filter(|key| key.id_text == id)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.sealing).into())
    }

    fn mac(&self, purpose: &str, data: &[u8]) -> [u8; 32] {
        hmac(derive(&self.master, "mac", purpose).as_slice(), &[data])
    }
}

/// A subkey for one use and purpose, in the manner of HKDF-Expand: one block of HMAC over an unambiguous label.
fn derive(master: &[u8; 32], what: &str, purpose: &str) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(hmac(master, &[b"undercroft/1/", what.as_bytes(), b"/", purpose.as_bytes(), &[1]]))
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn associated_data(prefix: &[u8], context: &str) -> Vec<u8> {
    [prefix, context.as_bytes()].concat()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Refuses a file that accounts outside owner and group can read or write (POS-15). The group may: container secrets need it.
#[cfg(unix)]
fn refuse_exposed(path: &Path, file: &File) -> Result<(), KeyFileError> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = file.metadata().map_err(|source| KeyFileError::Io { path: path.to_owned(), source })?;
    match metadata.permissions().mode() & 0o7777 {
        mode if mode & 0o007 != 0 => Err(KeyFileError::Exposed { path: path.to_owned(), mode }),
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn refuse_exposed(_path: &Path, _file: &File) -> Result<(), KeyFileError> {
    Ok(())
}

/// Writes a file that did not exist, durably, or leaves none behind.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| sync_folder(path));
    if written.is_err() {
        // Nothing was sealed with a key that its maker never got to see.
        _ = fs::remove_file(path);
    }
    written
}

/// Makes the new name in the folder durable too.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys() -> (Keyring, Random) {
        let random = Random::seeded(1);
        (Keyring::generate(&random), random)
    }

    fn rotated(old: &Keyring) -> Keyring {
        let new = Keyring::generate(&Random::seeded(2));
        let old_line = old.to_text().lines().last().unwrap().to_owned();
        Keyring::parse(&format!("{}{old_line}\n", *new.to_text())).unwrap()
    }

    #[test]
    fn dat1_a_sealed_value_opens_only_in_its_context() {
        let (keys, random) = keys();
        let sealed = keys.seal(&random, "kernel_messages.body/1", b"a token");
        assert_eq!(keys.open("kernel_messages.body/1", &sealed).unwrap().as_slice(), b"a token");
        let error = keys.open("kernel_messages.body/2", &sealed).unwrap_err();
        assert_eq!(error.code(), "internal");
        assert!(error.causes().unwrap().contains("changed or moved"));
    }

    #[test]
    fn dat1_a_sealed_value_shows_nothing_and_never_repeats() {
        let (keys, random) = keys();
        let [first, second] = [0, 1].map(|_| keys.seal(&random, "c", b"the same plaintext"));
        assert_ne!(first, second);
        assert_ne!(first[5..29], second[5..29], "nonces differ");
        assert_eq!(first.len(), HEAD_LENGTH + 18 + 16);
        assert!(!first.windows(9).any(|window| window == b"plaintext"));
    }

    #[test]
    fn dat1_another_servers_key_opens_nothing() {
        let (keys, random) = keys();
        let other = Keyring::generate(&random);
        let sealed = keys.seal(&random, "c", b"x");
        assert!(other.open("c", &sealed).unwrap_err().causes().unwrap().contains("is not in the key file"));
        assert_ne!(keys.mac("p", b"x"), other.mac("p", b"x"));
    }

    #[test]
    fn garbage_does_not_open() {
        let (keys, _) = keys();
        for sealed in [&b""[..], &[1; 4], &[1; 28], &[1; 29], &[9; 60]] {
            assert!(keys.open("c", sealed).is_err());
        }
    }

    #[test]
    fn old_keys_still_open_and_verify_after_a_rotation() {
        let (old, random) = keys();
        let sealed = old.seal(&random, "c", b"x");
        let tag = old.mac("p", b"data");
        let new = rotated(&old);
        assert_ne!(new.key_id(), old.key_id());
        assert_eq!(new.open("c", &sealed).unwrap().as_slice(), b"x");
        assert!(new.verify_mac("p", b"data", &tag));
        assert!(old.open("c", &new.seal(&random, "c", b"x")).is_err());
    }

    #[test]
    fn macs_differ_by_purpose_and_may_be_cut_to_128_bits() {
        let (keys, _) = keys();
        let tag = keys.mac("cursor", b"data");
        assert_ne!(tag, keys.mac("link", b"data"));
        assert!(keys.verify_mac("cursor", b"data", &tag[..16]));
        assert!(!keys.verify_mac("cursor", b"data", &tag[..15]));
        assert!(!keys.verify_mac("cursor", b"data", b""));
        assert!(!keys.verify_mac("link", b"data", &tag));
    }

    #[test]
    fn the_mac_is_hmac_sha256() {
        // RFC 4231, test case 2.
        let tag = hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(hex(&tag), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn debug_shows_no_key() {
        let (keys, _) = keys();
        let master = URL_SAFE_NO_PAD.encode(keys.0.current.master.as_slice());
        assert!(!format!("{keys:?}").contains(&master));
        assert!(format!("{keys:?}").contains(keys.key_id()));
    }

    #[test]
    fn a_key_file_is_made_once_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        assert!(matches!(Keyring::load(&path), Err(KeyFileError::Missing(_))));
        let made = Keyring::create(&path).unwrap();
        assert_eq!(Keyring::load(&path).unwrap().key_id(), made.key_id());
        assert!(matches!(Keyring::create(&path), Err(KeyFileError::Exists(_))));
        assert_eq!(Keyring::load(&path).unwrap().key_id(), made.key_id());
    }

    #[cfg(unix)]
    #[test]
    fn pos15_a_world_readable_key_file_is_refused_with_the_cure() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        Keyring::create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for mode in [0o604, 0o644, 0o602] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = Keyring::load(&path).unwrap_err().to_string();
            assert!(error.contains(&format!("chmod 600 {}", path.display())), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
        assert!(Keyring::load(&path).is_ok());
    }

    #[test]
    fn a_damaged_key_file_is_refused_by_line_without_quoting_it() {
        let (keys, _) = keys();
        let text = keys.to_text();
        let line = text.lines().last().unwrap();
        let changed = format!("{}{}", &line[..line.len() - 2], if line.ends_with("AA") { "EE" } else { "AA" });
        for (text, reason) in [
            (String::new(), "it is empty"),
            ("# only a comment\n".to_owned(), "it is empty"),
            ("undercroft-keys 2\n".to_owned(), "newer version"),
            ("-----BEGIN PRIVATE KEY-----\n".to_owned(), "does not begin with"),
            (format!("{FILE_HEADER}\n"), "it holds no key"),
            (format!("{FILE_HEADER}\n{changed}\n"), "line 2 is not a key"),
            (format!("{FILE_HEADER}\n{}\n", &line[9..]), "line 2 is not a key"),
        ] {
            let found = Keyring::parse(&text).unwrap_err();
            assert!(found.contains(reason), "{text}: {found}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn dat1_one_flipped_bit_never_opens(plaintext in prop::collection::vec(any::<u8>(), 0..40), bit in 0usize..1_000) {
            let (keys, random) = keys();
            let mut sealed = keys.seal(&random, "c", &plaintext);
            let bit = bit % (sealed.len() * 8);
            sealed[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(keys.open("c", &sealed).is_err());
        }

        #[test]
        fn dat1_what_was_sealed_opens(plaintext in prop::collection::vec(any::<u8>(), 0..200), context in "\\PC{0,40}") {
            let (keys, random) = keys();
            let sealed = keys.seal(&random, &context, &plaintext);
            let opened = keys.open(&context, &sealed).unwrap();
            prop_assert_eq!(opened.as_slice(), plaintext.as_slice());
        }
    }
}
