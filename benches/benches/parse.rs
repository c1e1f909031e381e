//! Parse of a 900-byte INVITE with SDP, all fields forced that a call needs, beside two other crates.
//!
//! Neither rival reads SDP: both get `sdp_types` for it. A rival that must own its input gets it for
//! nothing. The floor is one look at every byte.

use std::error::Error;
use std::hint::black_box;

use benches::invite;
use benches::measure::{Repeat, price};
use bytes::Bytes;

const RUN: u32 = 1_000;

fn main() -> Result<(), Box<dyn Error>> {
    let bytes = invite::bytes();
    ours(bytes).ok_or("tollgate refuses the INVITE")?;
    sipx(&Bytes::from_static(bytes)).ok_or("sipx-sip refuses the INVITE")?;
    rsip_reads(bytes)?;
    price(&mut [
        Box::new(Repeat::new("tollgate sip", RUN, || {
            black_box(ours(black_box(bytes)));
        })),
        Box::new(Repeat::new("sipx-sip 1.0", RUN, || {
            black_box(sipx(&Bytes::from_static(black_box(bytes))));
        })),
        Box::new(Repeat::new("rsip 0.4", RUN, || {
            let _ = black_box(rsip_reads(black_box(bytes)));
        })),
        Box::new(Repeat::new("memchr pass", RUN, || {
            black_box(memchr::memchr_iter(b'\n', black_box(bytes)).count());
        })),
    ])
}

fn ours(bytes: &[u8]) -> Option<()> {
    let message = sip::Message::parse(bytes).ok()?;
    let uri = message.request()?.uri;
    black_box((message.method(), uri.user(), uri.host(), uri.port(), uri.params()));
    black_box((message.via().branch()?, message.via().host(), message.via().port()));
    black_box((message.from().tag()?, message.to().tag(), message.call_id(), message.cseq()));
    black_box((message.contact()?.uri().user(), message.contact()?.uri().host()));
    black_box((message.max_forwards()?, message.body().len()));
    let sdp = sip::Sdp::parse(message.body()).ok()?;
    black_box((sdp.connection()?.ip, sdp.media().first()?.port));
    Some(())
}

fn sipx(bytes: &Bytes) -> Option<()> {
    use sipx_sip::headers::{CSeq, CallId, Contact, ContentLength, From, MaxForwards, To, Via};
    use sipx_sip::parser::{Limits, parse_datagram};
    let message = parse_datagram(bytes.clone(), &Limits::datagram()).ok()?;
    let request = message.as_request()?;
    black_box((&request.method, request.uri.user(), request.uri.host(), request.uri.port()));
    let headers = message.headers();
    let via = headers.typed::<Via>()?.ok()?;
    black_box((via.branch()?, &via));
    black_box(headers.typed::<From>()?.ok()?.0.tag()?);
    black_box(headers.typed::<To>()?.ok()?.0.tag());
    black_box(headers.typed::<CallId>()?.ok()?);
    black_box(headers.typed::<CSeq>()?.ok()?);
    black_box(headers.typed::<Contact>()?.ok()?.0.uri);
    black_box((headers.typed::<MaxForwards>()?.ok()?, headers.typed::<ContentLength>()?.ok()?));
    describe(message.body())
}

fn rsip_reads(bytes: &[u8]) -> Result<(), rsip::Error> {
    use rsip::headers::ToTypedHeader;
    use rsip::prelude::{HeadersExt, UntypedHeader};
    let request = rsip::Request::try_from(bytes)?;
    black_box((&request.method, request.uri.user(), request.uri.host(), request.uri.port()));
    let via = request.via_header()?.typed()?;
    black_box((via.branch(), via.sent_by()));
    black_box(request.from_header()?.typed()?.tag());
    black_box(request.to_header()?.typed()?.tag());
    black_box((request.call_id_header()?.value(), request.cseq_header()?.typed()?));
    black_box(request.contact_header()?.typed()?.uri);
    black_box((request.max_forwards_header()?.num()?, request.body.len()));
    describe(&request.body);
    Ok(())
}

/// The connection and the media of a description, for those who do not read it themselves.
fn describe(body: &[u8]) -> Option<()> {
    let sdp = sdp_types::Session::parse(body).ok()?;
    black_box((&sdp.connection.as_ref()?.connection_address, sdp.medias.first()?.port));
    Some(())
}
