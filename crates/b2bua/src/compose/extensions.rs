//! What a message of ours says of extensions: reliable provisional responses (RFC 3262) and session
//! timers (RFC 4028).

use sip::header::{Rack, SessionExpires};
use sip::{Cseq, Method, Name, Writer};

/// The option tag of reliable provisional responses.
pub(crate) const REL100: &[u8] = b"100rel";

/// The option tag of session timers.
pub(crate) const TIMER: &[u8] = b"timer";

/// Option tags in one header field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tags {
    pub(crate) rel100: bool,
    pub(crate) timer: bool,
}

impl Tags {
    pub(crate) const NONE: Self = Self { rel100: false, timer: false };

    fn write(self, writer: &mut Writer<'_>, name: Name) {
        let tags = [(self.rel100, REL100), (self.timer, TIMER)];
        let tags = tags.into_iter().filter(|&(is_there, _)| is_there).map(|(_, tag)| tag);
        if self != Self::NONE {
            writer.list(name, tags);
        }
    }
}

/// Which provisional response of the far end a PRACK is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Acked {
    pub(crate) rseq: u32,
    /// The number of the INVITE that it answered.
    pub(crate) cseq: u32,
}

/// See the head of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extensions {
    pub(crate) supported: Tags,
    pub(crate) required: Tags,
    pub(crate) unsupported: Tags,
    /// The number of a reliable provisional response.
    pub(crate) rseq: Option<u32>,
    pub(crate) acked: Option<Acked>,
    pub(crate) session: Option<SessionExpires>,
    /// In seconds.
    pub(crate) min_se: Option<u32>,
}

impl Extensions {
    /// Nothing to say.
    pub(crate) const NONE: Self = Self {
        supported: Tags::NONE,
        required: Tags::NONE,
        unsupported: Tags::NONE,
        rseq: None,
        acked: None,
        session: None,
        min_se: None,
    };

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        self.supported.write(writer, Name::Supported);
        self.required.write(writer, Name::Require);
        self.unsupported.write(writer, Name::Unsupported);
        if let Some(number) = self.rseq {
            writer.header(Name::RSeq, &[number.into()]);
        }
        if let Some(Acked { rseq, cseq }) = self.acked {
            let cseq = Cseq { number: cseq, method: Method::Invite };
            Rack { rseq, cseq }.write(writer);
        }
        if let Some(session) = self.session {
            session.write(writer);
        }
        if let Some(seconds) = self.min_se {
            writer.header(Name::MinSe, &[seconds.into()]);
        }
    }
}
