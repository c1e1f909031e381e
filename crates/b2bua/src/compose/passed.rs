//! What goes from one leg to the other: header fields of a peer that we do not understand.
//!
//! The [`Circle`] of a field and the wishes of its receiver decide. To whoever takes everything goes what
//! holds no address, nor the name of a host, nor the dialog that it came in. A peer without wishes gets
//! nothing.

use link::Profile;
use link::profile::HeadersPassed;
use link::record::EndReason;
use sip::header::Circle;
use sip::header::reason::{Protocol, Reason, write_reason};
use sip::telling::{holds_address, holds_name};
use sip::{Header, Message, Name, Writer};

use crate::cause::{cause_of, phrase};

fn is(header: &Header<'_>, name: &[u8]) -> bool {
    header.raw_name.eq_ignore_ascii_case(name)
}

/// The shortest tag or Call-ID that tells anything.
const TELLING_BYTES: usize = 4;

/// Whether a text tells of the network that a message came from, or of its dialog.
fn tells(text: &[u8], from: &Message<'_>) -> bool {
    let tags = [from.from().tag(), from.to().tag()];
    let mut dialog = tags.into_iter().flatten().chain([from.call_id()]);
    holds_address(text)
        || holds_name(text)
        || dialog.any(|word| word.len() >= TELLING_BYTES && holds(text, word))
}

/// Whether a field of a message of one leg may be seen on the other, whose peer is `to`.
fn may_pass(header: &Header<'_>, from: &Message<'_>, to: &Profile) -> bool {
    let listed = || {
        let names = to.headers_passed.as_bytes().split(|&byte| byte == b',');
        names.map(<[u8]>::trim_ascii).any(|name| {
            is(header, name) || (header.name != Name::Other && header.name == Name::new(name))
        })
    };
    match (HeadersPassed::from(to.headers), Circle::of_known(header.name, header.raw_name)) {
        (HeadersPassed::None, _) | (_, Circle::Never) => false,
        (HeadersPassed::Listed, _) => listed(),
        (HeadersPassed::All, Circle::All) => !tells(header.value, from),
        (HeadersPassed::All, Circle::Listed) => false,
    }
}

/// Copies of the caller's INVITE, or of an answer to it, what `to` may see. A field that holds
/// `hidden`, a number that is withheld, stays behind; empty: none is.
pub(super) fn write_passed(
    writer: &mut Writer<'_>,
    from: Option<&Message<'_>>,
    to: &Profile,
    hidden: &[u8],
) {
    let Some(from) = from else { return };
    let may_pass = |header: &Header<'_>| may_pass(header, from, to) && !holds(header.value, hidden);
    for header in from.headers().filter(may_pass) {
        writer.copy(&header);
    }
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && text.windows(part.len()).any(|window| window == part)
}

/// Writes what `to` may see of an answer as lines into `out`, to be kept until the answer is given; the
/// body is kept behind them, from the returned place on. What does not fit is left out.
pub(crate) fn write_kept(answer: &Message<'_>, to: &Profile, out: &mut [u8]) -> usize {
    let mut length = 0;
    for header in answer.headers().filter(|header| may_pass(header, answer, to)) {
        let parts = [header.name_bytes(), b": ", header.value];
        let end = length + parts.iter().map(|part| part.len()).sum::<usize>();
        let Some([line @ .., last]) = out.get_mut(length..=end) else { continue };
        for (place, byte) in line.iter_mut().zip(parts.into_iter().flatten()) {
            // A fold is a blank (RFC 3261 §7.3.1), and its line ends are not ours.
            *place = if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte };
        }
        *last = b'\n';
        length = end + 1;
    }
    match out.get_mut(length) {
        Some(place) => {
            *place = b'\n';
            length + 1
        }
        None => 0,
    }
}

/// The lines and the body of what was kept of an answer.
pub(crate) fn read_kept(kept: &[u8]) -> (&[u8], &[u8]) {
    let end = match kept {
        [b'\n', ..] => Some(0),
        kept => kept.windows(2).position(|pair| pair == b"\n\n").map(|at| at + 1),
    };
    end.map_or((&[], &[]), |end| (&kept[..end], &kept[end + 1..]))
}

/// Writes whole lines, each ended by LF: the operator's own, or those of [`write_kept`]. What is no field,
/// or is one that is ours to write, is left out.
pub(super) fn write_lines(writer: &mut Writer<'_>, lines: &[u8]) {
    for line in lines.split(|&byte| byte == b'\n') {
        let line = line.trim_ascii();
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let (name, value) = (line[..colon].trim_ascii_end(), line[colon + 1..].trim_ascii_start());
        let is_text = !line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t');
        if !name.is_empty() && is_text && Circle::of(name) != Circle::Never {
            writer.named(name, &[value.into()]);
        }
    }
}

/// Says why a request is sent or fails (RFC 3326): in the far side's words, or else in ours. A text that
/// names hosts is left out, and its cause stays.
pub(super) fn write_why(
    writer: &mut Writer<'_>,
    from: Option<&Message<'_>>,
    reason: EndReason,
    status: u16,
) {
    let mut theirs = from.into_iter().flat_map(|from| from.list(Name::Reason)).peekable();
    let is_said = theirs.peek().is_some();
    for value in theirs {
        if !holds_address(value) && !holds_name(value) {
            writer.header(Name::Reason, &[value.into()]);
        } else if let Some(Reason { protocol, cause: Some(cause), .. }) = Reason::parse(value) {
            write_reason(writer, protocol, cause, b"");
        }
    }
    if let Some(cause) = cause_of(reason, status).filter(|_| !is_said) {
        write_reason(writer, Protocol::Q850, cause.into(), phrase(cause).as_bytes());
    }
}

/// Says to one of several that were called that another took the call.
pub(super) fn write_elsewhere(writer: &mut Writer<'_>) {
    write_reason(writer, Protocol::Sip, 200, b"Call completed elsewhere");
}

#[cfg(test)]
mod tests {
    use link::Text;

    use super::*;

    fn passed(profile: &Profile, lines: &str) -> String {
        let text = format!(
            "INVITE sip:b@c SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKa\r\n\
             From: <sip:a@b>;tag=f0e1\r\nTo: <sip:b@c>;tag=1\r\nCall-ID: 7c8d9e\r\n\
             CSeq: 1 INVITE\r\n{lines}\r\n"
        );
        let message = Message::parse(text.as_bytes()).unwrap();
        let mut out = [0; 2_000];
        let mut writer = Writer::new(&mut out);
        writer.status(200, b"");
        write_passed(&mut writer, Some(&message), profile, b"1234");
        let length = writer.no_body().finish().unwrap();
        let text = core::str::from_utf8(&out[..length]).unwrap().to_owned();
        let names = text.lines().filter_map(|line| Some(line.split_once(": ")?.0));
        names.filter(|name| *name != "Content-Length").collect::<Vec<_>>().join(" ")
    }

    const FIELDS: &str = "X-Test: 1\r\nx-other: 2\r\nSubject: hi\r\nIdentity: abc;info=<https://c>\r\n\
        P-Charging-Vector: icid=1\r\nJoin: x;from-tag=1;to-tag=2\r\nRecord-Route: <sip:a;lr>\r\n\
        P-Asserted-Identity: <sip:a@b>\r\nWarning: 399 a \"x\"\r\nAlert-Info: <http://ring>\r\n\
        X-Where: at 10.1.1.1.\r\nX-Who: sip:a@b\r\nX-Six: [fd00::1]\r\nX-Caller: +1234\r\n\
        X-Host: at core7.inside.example\r\nX-Call: id=7c8d9e;x\r\nX-Tag: f0e1\r\n";

    #[test]
    fn nothing_passes_by_default_and_all_means_all_that_is_harmless() {
        let profile = |headers: HeadersPassed, names: &str| Profile {
            headers: headers as u8,
            headers_passed: Text::new(names.as_bytes()).unwrap(),
            ..Profile::default()
        };
        let none = profile(HeadersPassed::None, "X-Test");
        assert_eq!(passed(&none, FIELDS), "");
        let all = profile(HeadersPassed::All, "");
        assert_eq!(passed(&all, FIELDS), "X-Test x-other Subject");
        let listed = "x-test, IDENTITY ,P-Charging-Vector,Join,Via,Record-Route,P-Asserted-Identity,\
            Warning,y,X-Where,s";
        let listed = profile(HeadersPassed::Listed, listed);
        let expected = "X-Test Subject Identity P-Charging-Vector X-Where";
        assert_eq!(passed(&listed, FIELDS), expected);
        assert_eq!(passed(&listed, "s: short\r\ny: signed\r\n"), "Subject Identity");
    }

    #[test]
    fn what_is_kept_of_an_answer_comes_back() {
        let to = Profile { headers: HeadersPassed::All as u8, ..Profile::default() };
        let answer = |lines: &str| {
            format!(
                "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKa\r\nFrom: <sip:a@b>;tag=1\r\n\
                 To: <sip:b@c>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n{lines}\r\n"
            )
        };
        for (lines, kept) in [("", ""), ("X-A: 1\r\nX-B: 2\r\n 3\r\n", "X-A: 1\nX-B: 2   3\n")] {
            let text = answer(lines);
            let answer = Message::parse(text.as_bytes()).unwrap();
            let mut out = [0; 40];
            let body = write_kept(&answer, &to, &mut out);
            out[body..body + 3].copy_from_slice(b"v=0");
            assert_eq!(read_kept(&out[..body + 3]), (kept.as_bytes(), &b"v=0"[..]));
            assert_eq!(write_kept(&answer, &to, &mut []), 0);
        }
        assert_eq!(read_kept(b""), (&b""[..], &b""[..]));
    }

    #[test]
    fn lines_are_written_unless_the_message_would_break() {
        let kept = b"X-A: 1\nno field\n\nX-B:2\r\nVia: x\nv: y\ne: gzip\nJoin: c\n: z\nX-C: a\rb\nX-D : \xc3\xa9\n";
        let mut out = [0; 200];
        let mut writer = Writer::new(&mut out);
        writer.status(200, b"");
        write_lines(&mut writer, kept);
        let length = writer.no_body().finish().unwrap();
        let text = String::from_utf8_lossy(&out[..length]).into_owned();
        assert_eq!(
            text,
            "SIP/2.0 200 OK\r\nX-A: 1\r\nX-B: 2\r\nX-D: é\r\nContent-Length: 0\r\n\r\n"
        );
    }
}
