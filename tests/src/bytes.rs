// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Contents of sectors and buffers, which a failed comparison shows in one line.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// Some bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Bytes(Vec<u8>);

/// The length, and the bytes at both ends: in the first ones are the number of a sector of an
/// [`Image`](crate::image::Image) as it was made.
impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 16;
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        match self.0.len() {
            len if len <= 2 * SHOWN => write!(f, "{len} bytes {}", hex(&self.0)),
            len => {
                let (first, last) = (&self.0[..SHOWN], &self.0[len - SHOWN..]);
                write!(f, "{len} bytes {}...{}", hex(first), hex(last))
            }
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Bytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<Bytes> for Vec<u8> {
    fn from(bytes: Bytes) -> Self {
        bytes.0
    }
}

impl FromIterator<u8> for Bytes {
    fn from_iter<I: IntoIterator<Item = u8>>(bytes: I) -> Self {
        Self(bytes.into_iter().collect())
    }
}

impl IntoIterator for Bytes {
    type Item = u8;
    type IntoIter = std::vec::IntoIter<u8>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq<Vec<u8>> for Bytes {
    fn eq(&self, other: &Vec<u8>) -> bool {
        self.0 == *other
    }
}

impl<const N: usize> PartialEq<[u8; N]> for Bytes {
    fn eq(&self, other: &[u8; N]) -> bool {
        self.0 == *other
    }
}

impl<const N: usize> PartialEq<&[u8; N]> for Bytes {
    fn eq(&self, other: &&[u8; N]) -> bool {
        self.0 == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_bytes_are_shown_by_their_ends() {
        let bytes: Bytes = (0..=255).collect();
        let shown = "256 bytes 000102030405060708090a0b0c0d0e0f...f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";
        assert_eq!(format!("{bytes:?}"), shown);
        assert_eq!(format!("{:?}", Bytes::from(vec![0xab, 1])), "2 bytes ab01");
    }
}
