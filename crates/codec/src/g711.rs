//! ITU-T G.711: a sample is a byte, by one of two laws.

/// Code words of silence.
pub const MU_LAW_SILENCE: u8 = 0xff;
/// The same of the A-law.
pub const A_LAW_SILENCE: u8 = 0xd5;

const FROM_MU_LAW: [i16; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = of_mu_law(code as u8);
        code += 1;
    }
    table
};
const FROM_A_LAW: [i16; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = of_a_law(code as u8);
        code += 1;
    }
    table
};

/// Table 2a: eight segments of sixteen steps, all bits turned round.
#[must_use]
pub fn to_mu_law(sample: i16) -> u8 {
    const BIAS: u16 = 0x84;
    const CLIP: u16 = 32_635;
    let sign = if sample < 0 { 0x80 } else { 0 };
    // A negative sample is turned round, not negated, as by G.191: a boundary is nobody's twice.
    let level = (if sample < 0 { !sample } else { sample }).unsigned_abs().min(CLIP) + BIAS;
    let segment = level.ilog2().saturating_sub(7);
    let step = (level >> (segment + 3)) & 0x0f;
    !(sign | (segment << 4) as u8 | step as u8)
}

/// Table 1a: the same with even bits turned round.
#[must_use]
pub fn to_a_law(sample: i16) -> u8 {
    let sign = if sample < 0 { 0 } else { 0x80 };
    let level = (if sample < 0 { !sample } else { sample }).unsigned_abs() >> 3;
    let segment = level.checked_ilog2().map_or(0, |bits| bits.saturating_sub(4));
    let step = if segment == 0 { level >> 1 } else { level >> segment };
    (sign | (segment << 4) as u8 | (step & 0x0f) as u8) ^ 0x55
}

/// What a code word of the µ-law means.
#[must_use]
pub fn from_mu_law(code: u8) -> i16 {
    FROM_MU_LAW[usize::from(code)]
}

/// What a code word of the A-law means.
#[must_use]
pub fn from_a_law(code: u8) -> i16 {
    FROM_A_LAW[usize::from(code)]
}

const fn of_mu_law(code: u8) -> i16 {
    const BIAS: i16 = 0x84;
    let (segment, step) = ((!code >> 4) & 7, (!code & 0x0f) as i16);
    let level = (((step << 3) + BIAS) << segment) - BIAS;
    if code & 0x80 == 0 { -level } else { level }
}

const fn of_a_law(code: u8) -> i16 {
    let code = code ^ 0x55;
    let (segment, step) = ((code >> 4) & 7, (code & 0x0f) as i16);
    let level = match segment {
        0 => (step << 4) + 8,
        _ => ((step << 4) + 0x108) << (segment - 1),
    };
    if code & 0x80 == 0 { -level } else { level }
}

#[cfg(test)]
mod tests {
    use audio_codec_algorithms as oracle;

    use super::*;

    #[test]
    fn both_laws_are_those_of_the_recommendation() {
        // Silence, the smallest step below it, and as loud as can be.
        for (sample, mu, a) in
            [(0, 0xff, 0xd5), (-1, 0x7f, 0x55), (i16::MAX, 0x80, 0xaa), (i16::MIN, 0x00, 0x2a)]
        {
            assert_eq!((to_mu_law(sample), to_a_law(sample)), (mu, a), "{sample}");
        }
    }

    #[test]
    fn every_code_word_means_what_another_library_says() {
        for code in 0..=u8::MAX {
            assert_eq!(from_mu_law(code), oracle::decode_ulaw(code), "µ-law {code:#04x}");
            assert_eq!(from_a_law(code), oracle::decode_alaw(code), "A-law {code:#04x}");
        }
    }

    #[test]
    fn every_sample_becomes_what_another_library_says() {
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(to_mu_law(sample), oracle::encode_ulaw(sample), "µ-law {sample}");
            assert_eq!(to_a_law(sample), oracle::encode_alaw(sample), "A-law {sample}");
        }
    }

    #[test]
    fn a_code_word_survives_its_sample() {
        for code in 0..=u8::MAX {
            // The µ-law knows two zeros.
            assert!(to_mu_law(from_mu_law(code)) == code || code == 0x7f, "{code:#04x}");
            assert_eq!(to_a_law(from_a_law(code)), code);
        }
    }
}
