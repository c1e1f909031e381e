//! Parse of a 900-byte INVITE, all fields forced that a call needs, beside two other crates: with its
//! SDP, then without (`parse_index`).
//!
//! Neither rival reads SDP: both get `sdp_types` for it. A rival that must own its input gets it for
//! nothing. The floor is one look at every byte.

use std::error::Error;
use std::hint::black_box;
use std::io::Write;

use benches::invite;
use benches::measure::{Repeat, price};
use bytes::Bytes;

const RUN: u32 = 1_000;

fn main() -> Result<(), Box<dyn Error>> {
    let bytes = invite::bytes();
    // For those that cannot be called from here: `benches/kamailio/measure`.
    if std::env::args().any(|argument| argument == "--message") {
        return Ok(std::io::stdout().write_all(bytes)?);
    }
    ours(bytes).and_then(our_sdp).ok_or("tollgate refuses the INVITE")?;
    sipx(&Bytes::from_static(bytes))
        .and_then(|body| describe(&body))
        .ok_or("sipx-sip refuses it")?;
    describe(&rsip_reads(bytes)?).ok_or("sdp-types refuses the offer")?;
    price(&mut [
        Box::new(Repeat::new("tollgate sip", RUN, || {
            black_box(ours(black_box(bytes)).and_then(our_sdp));
        })),
        Box::new(Repeat::new("sipx-sip 1.0", RUN, || {
            let body = sipx(&Bytes::from_static(black_box(bytes)));
            black_box(body.and_then(|body| describe(&body)));
        })),
        Box::new(Repeat::new("rsip 0.4", RUN, || {
            black_box(rsip_reads(black_box(bytes)).ok().and_then(|body| describe(&body)));
        })),
        Box::new(Repeat::new("memchr pass", RUN, || {
            black_box(memchr::memchr_iter(b'\n', black_box(bytes)).count());
        })),
    ])?;
    println!("\n## parse_index");
    price(&mut [
        Box::new(Repeat::new("tollgate sip, no SDP", RUN, || {
            black_box(ours(black_box(bytes)));
        })),
        Box::new(Repeat::new("sipx-sip 1.0, no SDP", RUN, || {
            black_box(sipx(&Bytes::from_static(black_box(bytes))));
        })),
        Box::new(Repeat::new("rsip 0.4, no SDP", RUN, || {
            let _ = black_box(rsip_reads(black_box(bytes)));
        })),
    ])
}

/// All fields but those of the SDP; returns the body.
fn ours(bytes: &[u8]) -> Option<&[u8]> {
    let message = sip::Message::parse(bytes).ok()?;
    let uri = message.request()?.uri;
    black_box((message.method(), uri.user(), uri.host(), uri.port(), uri.params()));
    let via = message.via();
    black_box((via.branch()?, via.host(), via.port(), via.rport()));
    for address in [message.from(), message.to()] {
        black_box((address.uri().user(), address.uri().host(), address.tag()));
    }
    black_box((message.call_id(), message.cseq()));
    let contact = message.contact()?.uri();
    black_box((contact.user(), contact.host(), contact.port()));
    black_box((message.max_forwards()?, message.content_type()?));
    Some(message.body())
}

fn our_sdp(body: &[u8]) -> Option<()> {
    let sdp = sip::Sdp::parse(body).ok()?;
    black_box((sdp.connection()?.ip, sdp.media().first()?.port));
    Some(())
}

fn sipx(bytes: &Bytes) -> Option<Bytes> {
    use sipx_sip::headers::{
        CSeq, CallId, Contact, ContentLength, ContentType, From, MaxForwards, To, Via,
    };
    use sipx_sip::parser::{Limits, parse_datagram};
    let message = parse_datagram(bytes.clone(), &Limits::datagram()).ok()?;
    let request = message.as_request()?;
    black_box((&request.method, request.uri.user(), request.uri.host(), request.uri.port()));
    let headers = message.headers();
    let via = headers.typed::<Via>()?.ok()?;
    black_box((via.branch()?, &via));
    let (from, to) = (headers.typed::<From>()?.ok()?.0, headers.typed::<To>()?.ok()?.0);
    for address in [&from, &to] {
        black_box((address.uri.user(), address.uri.host(), address.tag()));
    }
    black_box((headers.typed::<CallId>()?.ok()?, headers.typed::<CSeq>()?.ok()?));
    black_box(headers.typed::<Contact>()?.ok()?.0.uri);
    black_box((headers.typed::<MaxForwards>()?.ok()?, headers.typed::<ContentType>()?.ok()?));
    black_box(headers.typed::<ContentLength>()?.ok()?);
    Some(message.body().clone())
}

fn rsip_reads(bytes: &[u8]) -> Result<Vec<u8>, rsip::Error> {
    use rsip::headers::ToTypedHeader;
    use rsip::prelude::{HeadersExt, UntypedHeader};
    let request = rsip::Request::try_from(bytes)?;
    black_box((&request.method, request.uri.user(), request.uri.host(), request.uri.port()));
    let via = request.via_header()?.typed()?;
    black_box((via.branch(), via.sent_by()));
    let (from, to) = (request.from_header()?.typed()?, request.to_header()?.typed()?);
    black_box((from.uri.user(), from.uri.host(), from.tag()));
    black_box((to.uri.user(), to.uri.host(), to.tag()));
    black_box((request.call_id_header()?.value(), request.cseq_header()?.typed()?));
    black_box(request.contact_header()?.typed()?.uri);
    black_box((request.max_forwards_header()?.num()?, &request.headers));
    Ok(request.body)
}

/// The connection and the media of a description, for those who do not read it themselves.
fn describe(body: &[u8]) -> Option<()> {
    let sdp = sdp_types::Session::parse(body).ok()?;
    black_box((&sdp.connection.as_ref()?.connection_address, sdp.medias.first()?.port));
    Some(())
}
