//! ITU-T G.722 at 64 kbit/s: 16 kHz, two bands, a byte for two samples.
//!
//! Written from the blocks of §3 and §6.2 of the Recommendation; the tables are its own. The RTP clock
//! of G.722 is 8 kHz (RFC 3551 §4.5.2): a byte is one tick.

/// Table 11: half of the filter that parts and joins the bands; the other half is its mirror image.
const MIRROR: [i32; 12] = [3, -11, 12, 32, -210, 951, 3_876, -805, 362, -156, 53, -11];

/// Table 14: where one level of the lower band's quantizer ends and the next begins.
const LEVELS: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1_023,
    1_121, 1_219, 1_339, 1_458, 1_612, 1_765, 1_980, 2_195, 2_557, 2_919,
];
/// Table 17: what the six bits of the lower band mean; 0 to 3 are never sent.
const SIX_BITS: [i32; 64] = [
    -136, -136, -136, -136, -24_808, -21_904, -19_008, -16_704, -14_984, -13_512, -12_280, -11_192,
    -10_232, -9_360, -8_576, -7_856, -7_192, -6_576, -6_000, -5_456, -4_944, -4_464, -4_008,
    -3_576, -3_168, -2_776, -2_400, -2_032, -1_688, -1_360, -1_040, -728, 24_808, 21_904, 19_008,
    16_704, 14_984, 13_512, 12_280, 11_192, 10_232, 9_360, 8_576, 7_856, 7_192, 6_576, 6_000,
    5_456, 4_944, 4_464, 4_008, 3_576, 3_168, 2_776, 2_400, 2_032, 1_688, 1_360, 1_040, 728, 432,
    136, -432, -136,
];
/// The same of their upper four, by which both ends adapt.
const FOUR_BITS: [i32; 16] = [
    0, -20_456, -12_896, -8_968, -6_288, -4_240, -2_584, -1_200, 20_456, 12_896, 8_968, 6_288,
    4_240, 2_584, 1_200, 0,
];
/// What the two bits of the higher band mean.
const TWO_BITS: [i32; 4] = [-7_408, -1_616, 7_408, 1_616];
/// By how much four bits move the logarithm of the lower band's scale.
const LOWER_MOVES: [i32; 16] =
    [-60, 3_042, 1_198, 538, 334, 172, 58, -30, 3_042, 1_198, 538, 334, 172, 58, -30, -60];
/// The same of two bits and the higher band.
const HIGHER_MOVES: [i32; 4] = [798, -214, 798, -214];
/// Table 15: the antilogarithm.
const SCALES: [i32; 32] = [
    2_048, 2_093, 2_139, 2_186, 2_233, 2_282, 2_332, 2_383, 2_435, 2_489, 2_543, 2_599, 2_656,
    2_714, 2_774, 2_834, 2_896, 2_960, 3_025, 3_091, 3_158, 3_228, 3_298, 3_371, 3_444, 3_520,
    3_597, 3_676, 3_756, 3_838, 3_922, 4_008,
];

/// One band's predictor and scale, which both ends keep alike.
#[derive(Clone, Debug)]
struct Band {
    /// Logarithm of the scale, and the scale.
    log: i32,
    scale: i32,
    /// What is expected next, and the share of the zeros in it.
    expected: i32,
    of_zeros: i32,
    poles: [i32; 2],
    zeros: [i32; 6],
    /// The last two partly and wholly reconstructed samples, and the last six differences.
    partial: [i32; 2],
    whole: [i32; 2],
    differences: [i32; 6],
}

fn saturate(value: i32) -> i32 {
    value.clamp(-32_768, 32_767)
}

impl Band {
    fn new(scale: i32) -> Self {
        Self {
            log: 0,
            scale,
            expected: 0,
            of_zeros: 0,
            poles: [0; 2],
            zeros: [0; 6],
            partial: [0; 2],
            whole: [0; 2],
            differences: [0; 6],
        }
    }

    /// LOGSCL, SCALEL and their likes of the higher band.
    fn rescale(&mut self, moved: i32, log_max: i32, shift: i32) {
        self.log = (((self.log * 127) >> 7) + moved).clamp(0, log_max);
        let mantissa = SCALES[(self.log >> 6 & 31) as usize];
        let places = shift - (self.log >> 11);
        self.scale = (if places < 0 { mantissa << -places } else { mantissa >> places }) << 2;
    }

    /// Blocks 4L and 4H: learns from one difference what to expect next.
    fn learn(&mut self, difference: i32) {
        let whole = saturate(self.expected + difference);
        let partial = saturate(self.of_zeros + difference);
        let same = |one: i32, other: i32| (one < 0) == (other < 0);

        // UPPOL2, UPPOL1.
        let steep = saturate(self.poles[0] << 2);
        let push = if same(partial, self.partial[0]) { -steep } else { steep }.min(32_767);
        let second = (push >> 7)
            + if same(partial, self.partial[1]) { 128 } else { -128 }
            + ((self.poles[1] * 32_512) >> 15);
        let second = second.clamp(-12_288, 12_288);
        let push = if same(partial, self.partial[0]) { 192 } else { -192 };
        let limit = saturate(15_360 - second);
        let first = saturate(push + ((self.poles[0] * 32_640) >> 15)).clamp(-limit, limit);
        self.poles = [first, second];

        // UPZERO.
        let step = if difference == 0 { 0 } else { 128 };
        for (zero, past) in self.zeros.iter_mut().zip(&self.differences) {
            let push = if same(difference, *past) { step } else { -step };
            *zero = saturate(push + ((*zero * 32_640) >> 15));
        }

        self.differences.copy_within(..5, 1);
        self.differences[0] = difference;
        self.partial = [partial, self.partial[0]];
        self.whole = [whole, self.whole[0]];

        // FILTEP, FILTEZ, PREDIC.
        let share = |weight: i32, sample: i32| (weight * saturate(sample * 2)) >> 15;
        let of_poles = saturate(share(first, self.whole[0]) + share(second, self.whole[1]));
        let of_zeros =
            self.zeros.iter().zip(&self.differences).map(|(zero, past)| share(*zero, *past)).sum();
        self.of_zeros = saturate(of_zeros);
        self.expected = saturate(of_poles + self.of_zeros);
    }

    fn learn_lower(&mut self, four_bits: usize) {
        let difference = (self.scale * FOUR_BITS[four_bits]) >> 15;
        self.rescale(LOWER_MOVES[four_bits], 18_432, 8);
        self.learn(difference);
    }

    fn learn_higher(&mut self, two_bits: usize) -> i32 {
        let difference = (self.scale * TWO_BITS[two_bits]) >> 15;
        self.rescale(HIGHER_MOVES[two_bits], 22_528, 10);
        self.learn(difference);
        difference
    }
}

/// The last samples of the filter, two of them new at each step, and its two sums.
#[derive(Clone, Debug)]
struct Mirror([i32; 24]);

impl Mirror {
    fn step(&mut self, first: i32, second: i32) -> (i32, i32) {
        self.0.copy_within(2.., 0);
        (self.0[22], self.0[23]) = (first, second);
        let mut sums = (0, 0);
        for (at, pair) in self.0.as_chunks::<2>().0.iter().enumerate() {
            sums.0 += pair[0] * MIRROR[at];
            sums.1 += pair[1] * MIRROR[11 - at];
        }
        sums
    }
}

/// 16 kHz in, code words out.
#[derive(Clone, Debug)]
pub struct Encoder {
    mirror: Mirror,
    lower: Band,
    higher: Band,
}

impl Default for Encoder {
    fn default() -> Self {
        Self { mirror: Mirror([0; 24]), lower: Band::new(32), higher: Band::new(8) }
    }
}

impl Encoder {
    /// The code word of two samples.
    #[must_use]
    pub fn encode(&mut self, pair: [i16; 2]) -> u8 {
        let (odd, even) = self.mirror.step(pair[0].into(), pair[1].into());
        let (low, high) = ((even + odd) >> 14, (even - odd) >> 14);

        // SUBTRA, QUANTL: the further, the smaller the code, but for the two levels next to zero.
        let error = saturate(low - self.lower.expected);
        let distance = if error < 0 { !error } else { error };
        let level = LEVELS.partition_point(|end| distance >= (end * self.lower.scale) >> 12);
        let six_bits = match (error < 0, level) {
            (true, 0) => 63,
            (true, 1) => 62,
            (true, level) => 33 - level,
            (false, level) => 61 - level,
        };
        self.lower.learn_lower(six_bits >> 2);

        // QUANTH.
        let error = saturate(high - self.higher.expected);
        let distance = if error < 0 { !error } else { error };
        let far = distance >= (564 * self.higher.scale) >> 12;
        let two_bits = match (error < 0, far) {
            (true, false) => 1,
            (true, true) => 0,
            (false, false) => 3,
            (false, true) => 2,
        };
        self.higher.learn_higher(two_bits);
        (two_bits << 6 | six_bits) as u8
    }
}

/// Code words in, 16 kHz out.
#[derive(Clone, Debug)]
pub struct Decoder {
    mirror: Mirror,
    lower: Band,
    higher: Band,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { mirror: Mirror([0; 24]), lower: Band::new(32), higher: Band::new(8) }
    }
}

impl Decoder {
    /// The two samples of a code word.
    #[must_use]
    pub fn decode(&mut self, code: u8) -> [i16; 2] {
        let (six_bits, two_bits) = (usize::from(code & 63), usize::from(code >> 6));
        let low = self.lower.expected + ((self.lower.scale * SIX_BITS[six_bits]) >> 15);
        self.lower.learn_lower(six_bits >> 2);
        let expected = self.higher.expected;
        let high = expected + self.higher.learn_higher(two_bits);
        let (low, high) = (low.clamp(-16_384, 16_383), high.clamp(-16_384, 16_383));
        let (second, first) = self.mirror.step(low + high, low - high);
        [saturate(first >> 11) as i16, saturate(second >> 11) as i16]
    }
}
