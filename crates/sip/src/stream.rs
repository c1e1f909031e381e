//! Bytes of a stream to messages (RFC 3261 §18.3), and the line ends between them (RFC 5626 §3.5.1).
//!
//! The caller keeps the bytes; [`Framer::poll`] looks at all that are not yet consumed and says what they
//! begin with. Where a message ends is read by the same pass that parses it, so that nobody can hide a
//! request in what we take for a body. A fault ends the connection: behind it nobody knows where the
//! next message begins. Before that its sender may be told, from the head of what was no message.

use memchr::memchr;

use crate::head::Head;
use crate::header::Name;
use crate::scan;

/// What the bytes at hand begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A message of so many bytes.
    Message(usize),
    /// A double CRLF: the peer wants a CRLF back.
    KeepAlive,
    /// So many bytes of other line ends: the answer to a keep-alive of ours, or nothing at all.
    Pong(usize),
}

impl Frame {
    /// How many bytes it takes from the front of the stream.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Message(bytes) | Self::Pong(bytes) => bytes,
            Self::KeepAlive => 4,
        }
    }
}

/// Why a connection cannot go on. One counter each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum StreamFault {
    /// No blank line within the longest message.
    HeadEndless,
    /// Head and body together are longer than the longest message.
    MessageTooLong,
    /// No Content-Length (RFC 3261 §20.14: on a stream it must be there).
    LengthMissing,
    /// Content-Length is no number, or stands there twice.
    LengthMalformed,
    /// Line ends for ever and never a message.
    Barren,
}

impl StreamFault {
    /// Every fault, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::HeadEndless,
        Self::MessageTooLong,
        Self::LengthMissing,
        Self::LengthMalformed,
        Self::Barren,
    ];

    /// The name in `status` and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HeadEndless => "head_endless",
            Self::MessageTooLong => "message_too_long",
            Self::LengthMissing => "length_missing",
            Self::LengthMalformed => "length_malformed",
            Self::Barren => "barren",
        }
    }
}

/// One direction of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Framer {
    message_bytes_max: usize,
    barren_bytes_max: usize,
    /// No blank line begins before here.
    searched: usize,
    /// The length of the message at the front, once its head was read.
    message: Option<usize>,
    /// Line ends since the last message.
    barren: usize,
}

impl Framer {
    /// For messages up to `message_bytes_max`, with no more than `barren_bytes_max` of line ends between
    /// two of them.
    #[must_use]
    pub const fn new(message_bytes_max: usize, barren_bytes_max: usize) -> Self {
        Self { message_bytes_max, barren_bytes_max, searched: 0, message: None, barren: 0 }
    }

    /// What `bytes` begin with: all that came and is not consumed. The caller drops [`Frame::bytes`] from
    /// their front before it asks again. `None`: more must come first; `message_bytes_max` bytes of room
    /// are always enough.
    ///
    /// # Errors
    /// When the connection must end.
    pub fn poll(&mut self, bytes: &[u8]) -> Result<Option<Frame>, StreamFault> {
        let frame = if self.is_between(bytes) {
            self.line_ends(bytes)?
        } else {
            self.message(bytes)?.map(Frame::Message)
        };
        if frame.is_some() {
            (self.searched, self.message) = (0, None);
        }
        Ok(frame)
    }

    /// Whether `bytes`, as [`Self::poll`] saw them, hold no part of a message.
    #[must_use]
    pub fn is_between(&self, bytes: &[u8]) -> bool {
        matches!(bytes, [] | [b'\r' | b'\n', ..])
    }

    /// Of `bytes`, in which [`Self::poll`] found a fault, the head that it was found in: what an answer
    /// needs. `None`: there is no whole one.
    #[must_use]
    pub fn refused_head<'b>(&mut self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        let head = if self.is_between(bytes) { None } else { self.head_end(bytes).ok().flatten() };
        bytes.get(..head?)
    }

    fn line_ends(&mut self, bytes: &[u8]) -> Result<Option<Frame>, StreamFault> {
        let frame = match bytes {
            // Half of a keep-alive may be a whole pong: what follows decides.
            [] | [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => return Ok(None),
            [b'\r', b'\n', b'\r', b'\n', ..] => Frame::KeepAlive,
            [b'\r', b'\n', ..] => Frame::Pong(2),
            _ => Frame::Pong(1),
        };
        self.barren = self.barren.saturating_add(frame.bytes());
        if self.barren > self.barren_bytes_max {
            return Err(StreamFault::Barren);
        }
        Ok(Some(frame))
    }

    fn message(&mut self, bytes: &[u8]) -> Result<Option<usize>, StreamFault> {
        let length = match self.message {
            Some(length) => length,
            None => {
                let Some(head) = self.head_end(bytes)? else { return Ok(None) };
                let body = body_bytes(bytes.get(..head).unwrap_or_default())?;
                let length = head.saturating_add(body);
                if length > self.message_bytes_max {
                    return Err(StreamFault::MessageTooLong);
                }
                self.message = Some(length);
                length
            }
        };
        if bytes.len() < length {
            return Ok(None);
        }
        self.barren = 0;
        Ok(Some(length))
    }

    /// Where the body begins.
    fn head_end(&mut self, bytes: &[u8]) -> Result<Option<usize>, StreamFault> {
        loop {
            let rest = bytes.get(self.searched..).unwrap_or_default();
            let Some(line_end) = memchr(b'\n', rest) else {
                self.searched = bytes.len();
                break;
            };
            let at = self.searched.saturating_add(line_end);
            let after = at.saturating_add(1);
            match bytes.get(after..).unwrap_or_default() {
                [b'\n', ..] => return self.within(after.saturating_add(1)),
                [b'\r', b'\n', ..] => return self.within(after.saturating_add(2)),
                // The blank line may be cut: from its front on it is looked at again.
                [] | [b'\r'] => {
                    self.searched = at;
                    break;
                }
                _ => self.searched = after,
            }
        }
        if bytes.len() >= self.message_bytes_max {
            return Err(StreamFault::HeadEndless);
        }
        Ok(None)
    }

    const fn within(&self, head: usize) -> Result<Option<usize>, StreamFault> {
        if head > self.message_bytes_max {
            return Err(StreamFault::HeadEndless);
        }
        Ok(Some(head))
    }
}

/// What Content-Length says.
fn body_bytes(head: &[u8]) -> Result<usize, StreamFault> {
    let head = Head::scan(head);
    let mut lengths = head.headers().filter(|header| header.name == Name::ContentLength);
    let length = lengths.next().ok_or(StreamFault::LengthMissing)?;
    let bytes = scan::number(length.value, u32::MAX).and_then(|bytes| usize::try_from(bytes).ok());
    match (bytes, lengths.next()) {
        (Some(bytes), None) => Ok(bytes),
        _ => Err(StreamFault::LengthMalformed),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Fault, Message};

    const MESSAGE_BYTES_MAX: usize = 600;
    const BARREN_BYTES_MAX: usize = 64;

    /// A whole conversation, given in pieces: its frames, and the fault that ended it.
    fn frames(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Option<StreamFault>) {
        let mut framer = Framer::new(MESSAGE_BYTES_MAX, BARREN_BYTES_MAX);
        let (mut at_hand, mut seen) = (Vec::new(), Vec::new());
        for piece in pieces {
            at_hand.extend_from_slice(piece);
            loop {
                match framer.poll(&at_hand) {
                    Ok(Some(frame)) => seen.push(at_hand.drain(..frame.bytes()).collect()),
                    Ok(None) => break,
                    Err(fault) => return (seen, Some(fault)),
                }
            }
        }
        (seen, None)
    }

    fn whole(stream: &[u8]) -> (Vec<Vec<u8>>, Option<StreamFault>) {
        frames(&[stream])
    }

    fn message(length: &str, body: &str) -> Vec<u8> {
        let head = "OPTIONS sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.2;branch=z9hG4bKa\r\n\
             From: <sip:b@192.0.2.2>;tag=1\r\nTo: <sip:a@192.0.2.1>\r\nCall-ID: c\r\n\
             CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n";
        format!("{head}{length}\r\n{body}").into_bytes()
    }

    fn plain(body: &str) -> Vec<u8> {
        message(&format!("Content-Length: {}\r\n", body.len()), body)
    }

    #[test]
    fn a_message_ends_where_its_content_length_says() {
        let (first, second) = (plain("v=0\r\n\r\nOPTIONS "), plain(""));
        let stream = [&first[..], &second, &first].concat();
        assert_eq!(whole(&stream), (vec![first.clone(), second, first], None));
    }

    #[test]
    fn a_length_may_be_compact_folded_blank_or_in_any_case() {
        for length in [
            "l: 2\r\n",
            "L:2\r\n",
            "Content-Length:\r\n 2\r\n",
            "CONTENT-LENGTH \t:\t2 \r\n",
            "Content-Length: 0002\r\nX: y\r\n",
        ] {
            let one = message(length, "ab");
            let stream = [&one[..], b"rest"].concat();
            assert_eq!(whole(&stream), (vec![one], None), "{length}");
        }
    }

    #[test]
    fn a_length_in_a_fold_or_in_a_body_is_none() {
        let folded = message("Subject: x\r\n Content-Length: 4\r\nl: 0\r\n", "");
        assert_eq!(whole(&folded), (vec![folded.clone()], None));
        let body = plain("Content-Length: 400\r\n\r\n");
        assert_eq!(whole(&body), (vec![body.clone()], None));
    }

    #[test]
    fn what_has_no_readable_length_ends_the_connection() {
        use StreamFault::*;
        for (length, fault) in [
            ("", LengthMissing),
            ("Content-Lengths: 0\r\n", LengthMissing),
            ("Content-Length: -1\r\n", LengthMalformed),
            ("Content-Length: 1, 1\r\n", LengthMalformed),
            ("Content-Length: 0x10\r\n", LengthMalformed),
            ("Content-Length:\r\n", LengthMalformed),
            ("Content-Length: 99999999999999999999\r\n", LengthMalformed),
            ("Content-Length: 0\r\nl: 0\r\n", LengthMalformed),
            ("Content-Length: 5\r\nContent-Length: 0\r\n", LengthMalformed),
            ("Content-Length: 9000\r\n", MessageTooLong),
            ("Content-Length: 4294967295\r\n", MessageTooLong),
        ] {
            assert_eq!(whole(&message(length, "")), (vec![], Some(fault)), "{length}");
        }
    }

    #[test]
    fn what_is_refused_for_its_length_has_a_head_to_answer() {
        for length in ["", "Content-Length: -1\r\n", "Content-Length: 9000\r\n"] {
            let head = message(length, "");
            for body in ["", "v=0\r\n\r\n"] {
                let mut framer = Framer::new(MESSAGE_BYTES_MAX, BARREN_BYTES_MAX);
                let stream = [&head[..], body.as_bytes()].concat();
                assert!(framer.poll(&stream).is_err());
                assert_eq!(framer.refused_head(&stream), Some(&head[..]), "{length}");
            }
        }
        for stream in [b"x".repeat(MESSAGE_BYTES_MAX), b"\r\n\r\n".repeat(BARREN_BYTES_MAX)] {
            let mut framer = Framer::new(MESSAGE_BYTES_MAX, BARREN_BYTES_MAX);
            while let Ok(Some(_)) = framer.poll(&stream) {}
            assert_eq!(framer.refused_head(&stream), None);
        }
    }

    #[test]
    fn a_head_without_end_is_not_waited_for() {
        let endless = b"x".repeat(MESSAGE_BYTES_MAX);
        assert_eq!(whole(&endless[1..]), (vec![], None));
        assert_eq!(whole(&endless), (vec![], Some(StreamFault::HeadEndless)));
        let lines = b"X: y\r\n".repeat(MESSAGE_BYTES_MAX);
        assert_eq!(whole(&lines), (vec![], Some(StreamFault::HeadEndless)));
    }

    #[test]
    fn line_ends_between_messages_are_keep_alives_or_nothing() {
        let one = plain("");
        let stream = [b"\r\n\r\n", &one[..], b"\r\n", &one, b"\n\r\n\r\n\r", &one].concat();
        let expected: Vec<Vec<u8>> = vec![
            b"\r\n\r\n".to_vec(),
            one.clone(),
            b"\r\n".to_vec(),
            one.clone(),
            b"\n".to_vec(),
            b"\r\n\r\n".to_vec(),
            b"\r".to_vec(),
            one,
        ];
        assert_eq!(whole(&stream), (expected, None));
        let mut framer = Framer::new(MESSAGE_BYTES_MAX, BARREN_BYTES_MAX);
        assert_eq!(framer.poll(b"\r\n\r\n"), Ok(Some(Frame::KeepAlive)));
        assert_eq!(framer.poll(b"\r\n\r"), Ok(None));
        assert!(framer.is_between(b"\r\n\r"));
        assert_eq!(framer.poll(b"\r\nS"), Ok(Some(Frame::Pong(2))));
        assert!(!framer.is_between(b"S"));
    }

    #[test]
    fn who_only_ever_sends_line_ends_is_cut_off() {
        let many = b"\r\n\r\n".repeat(BARREN_BYTES_MAX / 4);
        assert_eq!(whole(&many).1, None);
        let more = [&many[..], b"\r\n\r\n"].concat();
        assert_eq!(whole(&more).1, Some(StreamFault::Barren));
        let busy = [&many[..], &plain(""), &many].concat();
        assert_eq!(whole(&busy).1, None);
    }

    #[test]
    fn every_fault_has_its_number_and_an_own_name() {
        let mut names = std::collections::BTreeSet::new();
        for (number, fault) in StreamFault::ALL.into_iter().enumerate() {
            assert_eq!(fault as usize, number);
            assert!(names.insert(fault.name()));
        }
    }

    /// What a hostile or careless peer strings together.
    fn conversation() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            4 => "[a-z\r\n: ]{0,40}".prop_map(|body| plain(&body)),
            1 => Just(b"\r\n\r\n".to_vec()),
            1 => Just(b"\r\n".to_vec()),
            1 => Just(b"\n".to_vec()),
            1 => "[A-Za-z:\r\n 0-9-]{0,60}".prop_map(String::into_bytes),
            1 => "(l|Content-Length) ?: ?[0-9]{0,6}(\r\n){0,2}".prop_map(String::into_bytes),
            1 => proptest::collection::vec(any::<u8>(), 0..20),
        ];
        proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn cut_anywhere_a_stream_gives_the_same_frames(
            stream in conversation(),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|ends| &stream[ends[0]..ends[1]]).collect();
            prop_assert_eq!(frames(&pieces), whole(&stream));
            let bytes: Vec<&[u8]> = stream.chunks(1).collect();
            prop_assert_eq!(frames(&bytes), whole(&stream));
        }

        #[test]
        fn frames_are_the_stream_and_no_message_lacks_a_part_of_its_body(stream in conversation()) {
            let (seen, _) = whole(&stream);
            prop_assert!(stream.starts_with(&seen.concat()));
            for frame in seen.iter().filter(|frame| !matches!(frame[0], b'\r' | b'\n')) {
                prop_assert!(frame.len() <= MESSAGE_BYTES_MAX);
                match Message::parse(frame) {
                    // The parser sees the same end: nothing of the next message in this one's body.
                    Ok(message) => prop_assert_eq!(message.as_bytes().len(), frame.len()),
                    Err(fault) => prop_assert_ne!(fault, Fault::BodyShort),
                }
            }
        }
    }
}
