//! Sixteen bytes looked at at once. What is found is a mask of places: bit 0 is the first byte's.
//!
//! The vectors are those of `wide`: SSE2 on every x86-64, NEON on ARM, plain words elsewhere. A loop that
//! makes a mask bit by bit is not reliably made one instruction of by the compiler.

use wide::u8x16;

/// How many bytes a block has.
pub(crate) const BLOCK_BYTES: usize = 16;

/// A block, held in a vector register.
#[derive(Clone, Copy)]
pub(crate) struct Block(u8x16);

impl Block {
    #[inline(always)]
    pub(crate) const fn new(bytes: &[u8; BLOCK_BYTES]) -> Self {
        Self(u8x16::new(*bytes))
    }

    /// Where this byte stands.
    #[inline(always)]
    pub(crate) fn equal(self, byte: u8) -> u32 {
        self.0.simd_eq(u8x16::splat(byte)).to_bitmask()
    }

    /// Where both have the same byte.
    #[inline(always)]
    pub(crate) fn same(self, other: &[u8; BLOCK_BYTES]) -> u32 {
        self.0.simd_eq(u8x16::new(*other)).to_bitmask()
    }

    /// Where bytes up to this one stand.
    #[inline(always)]
    pub(crate) fn up_to(self, most: u8) -> u32 {
        self.0.simd_le(u8x16::splat(most)).to_bitmask()
    }

    /// Where bytes stand that are none of these.
    ///
    /// A byte beyond a limit has its highest bit set after a saturating addition, and a mask is made of
    /// highest bits: two instructions less than a comparison.
    #[inline(always)]
    #[allow(clippy::arithmetic_side_effects, reason = "the lanes of a vector wrap")]
    pub(crate) fn unusual(self, usual: Usual) -> u32 {
        let beyond = |from: u8, to: u8, bytes: u8x16| {
            let most = to.wrapping_sub(from);
            (bytes - u8x16::splat(from)).saturating_add(u8x16::splat(0x7f - most))
        };
        let no_letter = beyond(b'a', b'z', self.0 | u8x16::splat(0x20));
        let mut unusual = no_letter & beyond(usual.from, b'9', self.0);
        if let Some(hole) = usual.hole {
            unusual |= self.0.simd_eq(u8x16::splat(hole));
        }
        if let Some(also) = usual.also {
            unusual &= !self.0.simd_eq(u8x16::splat(also));
        }
        unusual.to_bitmask()
    }
}

/// Bytes that a block is told from others by at once: ASCII letters, and a run up to the digit 9.
#[derive(Clone, Copy)]
pub(crate) struct Usual {
    /// Where the run begins.
    pub(crate) from: u8,
    /// A byte of the run that is none of them.
    pub(crate) hole: Option<u8>,
    /// One more.
    pub(crate) also: Option<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The places of a block whose bytes are all `other` but one.
    fn places(find: impl Fn(Block) -> u32, byte: u8, other: u8) -> Vec<u32> {
        let at = |place| {
            let mut bytes = [other; BLOCK_BYTES];
            bytes[place] = byte;
            find(Block::new(&bytes))
        };
        (0..BLOCK_BYTES).map(at).collect()
    }

    #[test]
    fn a_mask_has_the_bit_of_each_place() {
        let each: Vec<u32> = (0..BLOCK_BYTES).map(|place| 1 << place).collect();
        assert_eq!(places(|block| block.equal(b':'), b':', b'a'), each);
        assert_eq!(places(|block| !block.same(&[b'a'; BLOCK_BYTES]) & 0xffff, b':', b'a'), each);
        for byte in 0..=255 {
            let found = if byte <= b'\r' { each.clone() } else { vec![0; BLOCK_BYTES] };
            assert_eq!(places(|block| block.up_to(b'\r'), byte, b'a'), found, "{byte}");
        }
    }

    #[test]
    fn the_usual_bytes_are_those_that_it_names() {
        let usual = Usual { from: b'&', hole: Some(b','), also: Some(b'=') };
        for byte in 0..=255u8 {
            let named = byte.is_ascii_alphabetic()
                || (b'&'..=b'9').contains(&byte) && byte != b','
                || byte == b'=';
            let found = if named { 0 } else { 1 };
            assert_eq!(places(|block| block.unusual(usual), byte, b'a')[0], found, "{byte}");
        }
    }
}
