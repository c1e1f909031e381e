//! The Internet checksum (RFC 1071), of a header and of UDP with its pseudo-header.

use std::net::IpAddr;

/// Adds `bytes` to a running sum of big-endian 16-bit words. All but the last piece are of even length.
#[must_use]
pub fn add(sum: u64, bytes: &[u8]) -> u64 {
    // The byte order of a sum is that of its words (RFC 1071 §2(B)), so they are added as they lie, several
    // at once, and the sum alone is turned: that is faster than pair by pair, and every packet is summed.
    let mut native = 0;
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        let word: [u8; 4] = word.try_into().unwrap_or_default();
        native += u64::from(u32::from_ne_bytes(word));
    }
    let mut last = [0; 4];
    for (to, from) in last.iter_mut().zip(words.remainder()) {
        *to = *from;
    }
    native += u64::from(u32::from_ne_bytes(last));
    sum + u64::from(u16::from_be(fold(native)))
}

/// Folds a running sum into the 16 bits of the checksum field.
#[must_use]
pub fn finish(sum: u64) -> u16 {
    !fold(sum)
}

fn fold(sum: u64) -> u16 {
    let mut sum = sum;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// The sum of the pseudo-header of UDP (RFC 768, RFC 8200 §8.1).
#[must_use]
pub fn pseudo(source: IpAddr, destination: IpAddr, udp_bytes: u16) -> u64 {
    let sum = u64::from(udp_bytes) + 17;
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            add(add(sum, &source.octets()), &destination.octets())
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            add(add(sum, &source.octets()), &destination.octets())
        }
        // Mixed families have no pseudo-header; nobody can build such a datagram.
        _ => sum,
    }
}

/// The checksum of a UDP header with a zero checksum field and its payload; 0 goes out as 0xFFFF.
#[must_use]
pub fn udp(source: IpAddr, destination: IpAddr, header_and_payload: &[u8]) -> u16 {
    let length = u16::try_from(header_and_payload.len()).unwrap_or(u16::MAX);
    match finish(add(pseudo(source, destination, length), header_and_payload)) {
        0 => 0xffff,
        checksum => checksum,
    }
}

/// The checksum after a part of what it covers changed from `old` to `new`, both of even length
/// (RFC 1624 eqn. 3).
#[must_use]
pub fn update(checksum: u16, old: &[u8], new: &[u8]) -> u16 {
    let mut sum = u64::from(!checksum);
    for word in old.chunks(2) {
        let word: [u8; 2] = word.try_into().unwrap_or_default();
        sum += u64::from(!u16::from_be_bytes(word));
    }
    finish(add_words(sum, new))
}

fn add_words(mut sum: u64, bytes: &[u8]) -> u64 {
    for word in bytes.chunks(2) {
        let word: [u8; 2] = word.try_into().unwrap_or_default();
        sum += u64::from(u16::from_be_bytes(word));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1071_adds_up() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(finish(add(0, &bytes)), !0xddf2);
    }

    #[test]
    fn a_length_that_is_no_multiple_of_four_is_padded_with_zeros() {
        for length in 0..9 {
            let bytes: Vec<u8> = (1..=length).collect();
            assert_eq!(finish(add(0, &bytes)), finish(add_words(0, &padded(&bytes))));
        }
    }

    fn padded(bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        bytes.resize(bytes.len().next_multiple_of(2), 0);
        bytes
    }

    proptest::proptest! {
        #[test]
        fn an_update_equals_the_sum_from_scratch(
            mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 40),
            new in proptest::array::uniform8(proptest::num::u8::ANY),
        ) {
            let before = finish(add(0, &bytes));
            let old = bytes[8..16].to_vec();
            bytes[8..16].copy_from_slice(&new);
            let after = update(before, &old, &new);
            let whole = finish(add(0, &bytes));
            // Zero has two names in ones' complement; UDP and IP treat them alike.
            proptest::prop_assert!(after == whole || (after ^ whole) == 0xffff && (whole == 0 || after == 0));
        }
    }
}
