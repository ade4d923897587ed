//! A body: JSON that an event carries, inline when small, else by its content's hash.
//!
//! The bytes of a large body are stored once, compressed, by the store; this module only names them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// Bodies up to this many bytes of JSON stand in the event itself.
pub const INLINE_BYTES_MAX: usize = 1024;

/// Texts up to this many bytes are packed tightly: a message of an agent takes half its bytes instead of
/// three quarters, for some tens of microseconds. Longer ones would take milliseconds.
const TIGHT_BYTES_MAX: usize = 64 << 10;
/// The level of DEFLATE at which more time brings little for texts this short.
const TIGHT_LEVEL: u8 = 6;
/// Stands in the length in front of what is DEFLATE; no body has so many bytes.
const TIGHT: u32 = 1 << 31;

/// SHA-256 of a body's JSON text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobHash(pub [u8; 32]);

impl BlobHash {
    /// The hash of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobHash({self})")
    }
}

/// A text that is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAHash;

impl fmt::Display for NotAHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not 64 hexadecimal digits")
    }
}

impl std::error::Error for NotAHash {}

impl FromStr for BlobHash {
    type Err = NotAHash;
    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let mut hash = [0_u8; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(NotAHash);
        }
        for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
            let digits = text.get(at..at + 2).ok_or(NotAHash)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| NotAHash)?;
        }
        Ok(Self(hash))
    }
}

impl Serialize for BlobHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BlobHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// JSON text, valid by construction; cheap to clone and to write.
#[derive(Clone)]
pub struct Json(Arc<RawValue>);

impl Json {
    /// The JSON `null`.
    pub fn null() -> Self {
        Self(RawValue::NULL.to_owned().into())
    }

    /// The compact JSON of a value.
    pub fn of(value: &serde_json::Value) -> Self {
        Self::from_serialize(value).unwrap_or_else(|_| Self::null())
    }

    /// The JSON of anything that serialises to JSON without fail (maps with string keys).
    pub fn from_serialize<T: Serialize>(value: &T) -> Result<Self, serde_json::Error> {
        serde_json::value::to_raw_value(value).map(|raw| Self(raw.into()))
    }

    /// Takes a text over after checking that it is JSON.
    pub fn parse(text: String) -> Result<Self, serde_json::Error> {
        RawValue::from_string(text).map(|raw| Self(raw.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The same value with the keys of every object in order: equal values have one text.
    #[must_use]
    pub fn canonical(&self) -> Self {
        Self::of(&sorted(self.value()))
    }

    /// The value it stands for.
    pub fn value(&self) -> serde_json::Value {
        serde_json::from_str(self.as_str()).unwrap_or(serde_json::Value::Null)
    }
}

fn sorted(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
            fields.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
            Value::Object(fields.into_iter().map(|(key, value)| (key, sorted(value))).collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(sorted).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Json {}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <Box<RawValue>>::deserialize(deserializer).map(|raw| Self(raw.into()))
    }
}

/// A body as an event carries it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// At most [`INLINE_BYTES_MAX`] bytes of JSON.
    Inline(Json),
    /// Stored once, under its hash.
    Blob {
        /// Of the JSON text.
        hash: BlobHash,
        /// Bytes of the JSON text.
        size: u64,
    },
}

/// A large body on its way into the store: hashed and compressed where it was made, so that the
/// thread that owns the store does neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Blob {
    /// Of the JSON text.
    pub hash: BlobHash,
    /// The JSON text as LZ4, or where it is short as DEFLATE, with its length in front.
    pub packed: Arc<[u8]>,
}

impl Blob {
    /// Hashes and compresses a text.
    pub fn pack(text: &str) -> Self {
        let packed = match u32::try_from(text.len()) {
            Ok(size) if text.len() <= TIGHT_BYTES_MAX => {
                let tight = miniz_oxide::deflate::compress_to_vec(text.as_bytes(), TIGHT_LEVEL);
                [&(size | TIGHT).to_le_bytes(), tight.as_slice()].concat()
            }
            Ok(_) | Err(_) => lz4_flex::compress_prepend_size(text.as_bytes()),
        };
        Self { hash: BlobHash::of(text.as_bytes()), packed: packed.into() }
    }

    /// The text again, if the bytes are what the hash says.
    pub fn unpack(&self) -> Result<Json, BlobDamaged> {
        let damaged = BlobDamaged { hash: self.hash };
        let bytes = self.bytes().ok_or(damaged)?;
        if BlobHash::of(&bytes) != self.hash {
            return Err(damaged);
        }
        let text = String::from_utf8(bytes).map_err(|_| damaged)?;
        Json::parse(text).map_err(|_| damaged)
    }

    /// What was packed, if it can be unpacked at all.
    fn bytes(&self) -> Option<Vec<u8>> {
        let (length, tight) = self.packed.split_first_chunk()?;
        let length = u32::from_le_bytes(*length);
        if length & TIGHT == 0 {
            return lz4_flex::decompress_size_prepended(&self.packed).ok();
        }
        let size = usize::try_from(length ^ TIGHT).ok()?;
        // What claims to have more was not packed here.
        let size = Some(size).filter(|size| *size <= TIGHT_BYTES_MAX)?;
        miniz_oxide::inflate::decompress_to_vec_with_limit(tight, size).ok()
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({}, {} bytes packed)", self.hash, self.packed.len())
    }
}

/// A blob whose bytes are not those its hash was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobDamaged {
    /// The hash under which it stood.
    pub hash: BlobHash,
}

impl fmt::Display for BlobDamaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the blob {} does not have the content it was stored with", self.hash)
    }
}

impl std::error::Error for BlobDamaged {}

impl Body {
    /// The JSON `null`, inline.
    pub fn null() -> Self {
        Self::Inline(Json::null())
    }

    /// Splits a text into what the event carries and, when it is large, what the store must keep.
    pub fn split(text: Json) -> (Self, Option<Blob>) {
        let size = text.as_str().len();
        if size <= INLINE_BYTES_MAX {
            return (Self::Inline(text), None);
        }
        let blob = Blob::pack(text.as_str());
        (Self::Blob { hash: blob.hash, size: size as u64 }, Some(blob))
    }

    /// How many bytes of JSON it has, wherever they stand.
    pub fn size(&self) -> u64 {
        match self {
            Self::Inline(json) => json.as_str().len() as u64,
            Self::Blob { size, .. } => *size,
        }
    }

    /// The hash of its JSON text, wherever that stands.
    pub fn content_hash(&self) -> BlobHash {
        match self {
            Self::Inline(json) => BlobHash::of(json.as_str().as_bytes()),
            Self::Blob { hash, .. } => *hash,
        }
    }

    /// The hash of a body that is not inline.
    pub fn hash(&self) -> Option<BlobHash> {
        match self {
            Self::Inline(_) => None,
            Self::Blob { hash, .. } => Some(*hash),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(bytes: usize) -> String {
        let words = (0_u64..).map(|n| format!("{:x} ", n * n * 2_654_435_761));
        let all = words.scan(0, |length, word| {
            *length += word.len();
            (*length <= bytes).then_some(word)
        });
        format!("\"{}\"", all.collect::<String>())
    }

    #[test]
    fn what_was_packed_is_the_same_again_whatever_its_size() {
        for size in [0, 1, 1_500, TIGHT_BYTES_MAX - 40, TIGHT_BYTES_MAX + 40, 1 << 20] {
            let text = text_of(size);
            let blob = Blob::pack(&text);
            assert_eq!(blob.unpack().map(|json| json.as_str().to_owned()), Ok(text), "{size}");
        }
    }

    #[test]
    fn what_was_packed_before_there_were_two_ways_is_still_read() {
        let text = text_of(1_500);
        let packed = lz4_flex::compress_prepend_size(text.as_bytes()).into();
        let blob = Blob { hash: BlobHash::of(text.as_bytes()), packed };
        assert_eq!(blob.unpack().map(|json| json.as_str().to_owned()), Ok(text));
    }

    #[test]
    fn bytes_that_are_not_what_was_packed_are_told_from_it() {
        let whole = Blob::pack(&text_of(1_500));
        let damaged = Err(BlobDamaged { hash: whole.hash });
        let with = |packed: &[u8]| Blob { packed: packed.into(), ..whole.clone() };
        assert_eq!(with(&[]).unpack(), damaged);
        assert_eq!(with(&[0xff; 4]).unpack(), damaged);
        let cut = whole.packed.len() / 2;
        assert_eq!(with(&whole.packed[..cut]).unpack(), damaged);
        let mut claims = whole.packed.to_vec();
        claims[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(with(&claims).unpack(), damaged);
    }
}
