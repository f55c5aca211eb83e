//! Which partition a key belongs to: as Kafka's own producer in Java decides it, so that records of one key stay together
//! whoever sends them.

/// What the hash begins with.
const SEED: u32 = 0x9747_b28c;

/// The hash's multiplier.
const MULTIPLIER: u32 = 0x5bd1_e995;

/// The partition of a key among so many, of which there is at least one.
pub(super) fn of(key: &[u8], count: usize) -> usize {
    let positive = murmur2(key) & 0x7fff_ffff;
    usize::try_from(positive).unwrap_or_default().checked_rem(count).unwrap_or_default()
}

/// MurmurHash2 with 32 bits, as Kafka has it.
fn murmur2(bytes: &[u8]) -> u32 {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let (words, rest) = bytes.as_chunks::<4>();
    let mut hash = SEED ^ length;
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        k ^= k >> 24;
        hash = hash.wrapping_mul(MULTIPLIER) ^ k.wrapping_mul(MULTIPLIER);
    }
    if !rest.is_empty() {
        let shifted = rest.iter().enumerate().map(|(at, byte)| u32::from(*byte) << (8 * at));
        hash = (hash ^ shifted.fold(0, |all, one| all | one)).wrapping_mul(MULTIPLIER);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `kafka-python-ng` 2.2.3 says, which is checked against Java.
    #[test]
    fn keys_are_hashed_as_java_does() {
        for (key, expected) in [
            (&b""[..], 0x106e_08d9),
            (&b"a"[..], 0xa2d0_b27c),
            (&b"ab"[..], 0x12d8_262a),
            (&b"abc"[..], 0x1c94_221b),
            (&b"abcd"[..], 0xb11a_b5f4),
            (&b"abcde"[..], 0x1b89_7edd),
            (&b"21"[..], 0xc5f2_f8ec),
            (&b"foobar"[..], 0xd0e4_7bbe),
            (&b"a-little-bit-long-string"[..], 0xc53b_1da0),
            (&b"\x00\xff\x80"[..], 0x9562_0f7b),
            (&b"\xc5\xbc\xc3\xb3\xc5\x82\xc4\x87"[..], 0x1c53_c761),
        ] {
            assert_eq!(murmur2(key), expected, "{key:?}");
        }
        assert_eq!((of(b"a", 3), of(b"b", 3), of(b"c", 3), of(b"12", 3)), (1, 2, 1, 1));
    }
}
