//! RTCP as a relay reads it: who sent when, and what was heard of whom (RFC 3550 §6.4).
//!
//! A datagram is a chain of packets, each with its length in words. Sender and receiver reports are read, whatever
//! else stands between them is passed over, and the chain ends at the first packet that is none: another version, a
//! length that leads out of the datagram, more blocks promised than there is room for. Nothing is copied.

/// Bytes of the head that all packets have.
const HEAD_BYTES: usize = 4;
/// Bytes of a head and the SSRC behind it.
const NAMED_BYTES: usize = HEAD_BYTES + 4;
/// What a sender report says of its sender, behind its SSRC (§6.4.1).
const SENDER_BYTES: usize = 20;
/// Bytes of one report block.
const BLOCK_BYTES: usize = 24;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;

/// A sender report or a receiver report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report<'a> {
    /// Who reports.
    pub ssrc: u32,
    /// Of a sender: the middle 32 bits of its NTP time, by which others name this report.
    pub sent: Option<u32>,
    blocks: &'a [u8],
}

/// What its reporter heard of one stream (§6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Whose stream.
    pub ssrc: u32,
    /// Of what was sent since the report before, how much never came, in 1/256.
    pub fraction_lost: u8,
    /// Packets that never came since the beginning; below zero where some came twice.
    pub lost: i32,
    /// Interarrival jitter, in units of the stream's clock.
    pub jitter: u32,
    /// Which sender report came last ([`Report::sent`]); 0: none did.
    pub last_report: u32,
    /// How long ago, in 1/65,536 s.
    pub delay: u32,
}

/// The reports of a datagram, in order.
#[must_use]
pub fn reports(datagram: &[u8]) -> Reports<'_> {
    Reports { rest: datagram }
}

/// See [`reports`].
#[derive(Clone, Copy, Debug)]
pub struct Reports<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Reports<'a> {
    type Item = Report<'a>;

    fn next(&mut self) -> Option<Report<'a>> {
        loop {
            // What is no packet ends the chain for good.
            let rest = core::mem::take(&mut self.rest);
            let &[first, kind, l0, l1] = rest.first_chunk::<HEAD_BYTES>()?;
            let bytes = (usize::from(u16::from_be_bytes([l0, l1])) + 1) * 4;
            if first >> 6 != 2 {
                return None;
            }
            let (packet, behind) = rest.split_at_checked(bytes)?;
            if matches!(kind, SENDER_REPORT | RECEIVER_REPORT) {
                let report = report(packet, kind == SENDER_REPORT, usize::from(first & 0x1f))?;
                self.rest = behind;
                return Some(report);
            }
            self.rest = behind;
        }
    }
}

fn report(packet: &[u8], is_sender: bool, blocks: usize) -> Option<Report<'_>> {
    let begin = if is_sender { NAMED_BYTES + SENDER_BYTES } else { NAMED_BYTES };
    let sent = if is_sender { Some(word(packet, NAMED_BYTES + 2)?) } else { None };
    Some(Report {
        ssrc: word(packet, HEAD_BYTES)?,
        sent,
        blocks: packet.get(begin..begin + blocks * BLOCK_BYTES)?,
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}

impl<'a> Report<'a> {
    /// What it says of whom, 31 streams at most.
    pub fn blocks(&self) -> impl Iterator<Item = Block> + use<'a> {
        self.blocks.chunks_exact(BLOCK_BYTES).filter_map(|bytes| {
            let losses = word(bytes, 4)?;
            Some(Block {
                ssrc: word(bytes, 0)?,
                fraction_lost: (losses >> 24) as u8,
                // 24 bits with their sign.
                lost: (losses << 8).cast_signed() >> 8,
                jitter: word(bytes, 12)?,
                last_report: word(bytes, 16)?,
                delay: word(bytes, 20)?,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet of RTCP: its head, then these words.
    fn packet(first: u8, kind: u8, words: &[u32]) -> Vec<u8> {
        let mut bytes = vec![first, kind];
        bytes.extend((words.len() as u16).to_be_bytes());
        bytes.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        bytes
    }

    const BLOCK: [u32; 6] = [7, 0x0800_0003, 0x0001_0064, 80, 0x1234_5678, 0x0001_0000];

    fn sender() -> Vec<u8> {
        let info = [9, 0xaaaa_1234, 0x5678_bbbb, 160, 1, 172];
        packet(0x81, 200, &[&info[..], &BLOCK].concat())
    }

    fn names(datagram: &[u8]) -> Vec<u32> {
        reports(datagram).map(|report| report.ssrc).collect()
    }

    #[test]
    fn a_sender_report_says_when_and_what_was_heard() {
        let datagram = sender();
        let report = reports(&datagram).next().unwrap();
        assert_eq!((report.ssrc, report.sent), (9, Some(0x1234_5678)));
        let said = Block {
            ssrc: 7,
            fraction_lost: 8,
            lost: 3,
            jitter: 80,
            last_report: 0x1234_5678,
            delay: 0x0001_0000,
        };
        assert_eq!(report.blocks().collect::<Vec<_>>(), [said]);
    }

    #[test]
    fn a_receiver_report_has_no_time_and_losses_may_be_below_zero() {
        let words = [[5].as_slice(), &[7, 0x00ff_fffe, 0, 0, 0, 0], &BLOCK].concat();
        let datagram = packet(0x82, 201, &words);
        let report = reports(&datagram).next().unwrap();
        assert_eq!((report.ssrc, report.sent), (5, None));
        let lost: Vec<_> = report.blocks().map(|block| block.lost).collect();
        assert_eq!(lost, [-2, 3]);
    }

    #[test]
    fn what_is_no_report_is_passed_over() {
        let named = packet(0x81, 202, &[9, 0x0102_6162, 0]);
        let ours = packet(0x80, 204, &[9, 0x5447_5447, 1, 2, 3]);
        let goodbye = packet(0x81, 203, &[9]);
        let unknown = packet(0x80, 255, &[1]);
        let heard = packet(0x80, 201, &[4]);
        let chain = [named, sender(), ours, goodbye, unknown, heard].concat();
        assert_eq!(names(&chain), [9, 4]);
    }

    #[test]
    fn a_chain_ends_where_it_is_none_and_what_came_before_holds() {
        let whole = sender();
        for hostile in [
            packet(0x41, 200, &[1, 2, 3, 4, 5, 6]),
            packet(0x9f, 201, &[1]),
            packet(0x80, 200, &[1, 2, 3]),
            packet(0x80, 201, &[]),
            vec![0x80, 201, 0xff, 0xff, 0, 0, 0, 1],
            vec![0x80, 201, 0],
            vec![0; 40],
            vec![0xff; 40],
        ] {
            let chain = [whole.clone(), hostile.clone(), whole.clone()].concat();
            assert_eq!(names(&chain), [9], "{hostile:02x?}");
            assert_eq!(names(&[hostile, whole.clone()].concat()), [0; 0]);
        }
    }

    #[test]
    fn cut_off_anywhere_it_says_less_or_nothing() {
        let chain = [sender(), packet(0x81, 201, &[&[4][..], &BLOCK].concat())].concat();
        for length in 0..chain.len() {
            let known = usize::from(length >= sender().len());
            assert_eq!(names(&chain[..length]).len(), known, "{length}");
        }
        assert_eq!(names(&chain), [9, 4]);
    }

    #[test]
    fn no_bytes_at_all_make_it_fail_or_go_on_for_ever() {
        // Every first two bytes of every length, the rest as it comes.
        let mut state = 1_u32;
        for head in 0..=u16::MAX {
            let mut datagram = [0_u8; 61];
            for byte in &mut datagram {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *byte = (state >> 24) as u8;
            }
            datagram[..2].copy_from_slice(&head.to_be_bytes());
            datagram[2] = 0;
            let blocks = reports(&datagram).flat_map(|report| report.blocks()).count();
            assert!(blocks <= 2, "{datagram:02x?}");
        }
    }
}
