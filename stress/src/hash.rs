//! The hash by which the oracle remembers content: FNV-1a over 64 bits.
//!
//! Written out so that it is the same on every machine and in every release. It guards against
//! accidents of the collector, not against adversaries.

/// The hash of some bytes.
pub fn content_hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the test vectors that its authors publish (isthe.com/chongo/tech/comp/fnv).
    #[test]
    fn fnv_1a_gives_the_published_hashes() {
        assert_eq!(content_hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(content_hash(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(content_hash(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
