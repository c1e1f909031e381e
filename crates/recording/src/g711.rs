//! G.711 to samples (ITU-T G.711, tables 1a and 2a).

/// µ-law; every bit of a code is turned round.
#[must_use]
pub fn mu_law(code: u8) -> i16 {
    let code = !code;
    let level = ((i16::from(code & 0x0f) << 3) + 0x84) << (code >> 4 & 7);
    if code & 0x80 == 0 { level - 0x84 } else { 0x84 - level }
}

/// A-law; every other bit of a code is turned round.
#[must_use]
pub fn a_law(code: u8) -> i16 {
    let code = code ^ 0x55;
    let (segment, step) = (code >> 4 & 7, i16::from(code & 0x0f) << 4);
    let level = match segment {
        0 => step + 8,
        _ => (step + 0x108) << (segment - 1),
    };
    if code & 0x80 == 0 { -level } else { level }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_levels_of_the_recommendation() {
        assert_eq!([0xff, 0x7f, 0x80, 0x00, 0xfe].map(mu_law), [0, 0, 32_124, -32_124, 8]);
        assert_eq!([0xd5, 0x55, 0xaa, 0x2a, 0xd4].map(a_law), [8, -8, 32_256, -32_256, 24]);
    }
}
