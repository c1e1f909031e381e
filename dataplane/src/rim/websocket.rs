//! SIP over WebSocket (RFC 7118): the handshake, and one message per WebSocket message. A message that has
//! begun must be whole soon, as in a stream of bytes.

use std::io;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use super::connection::{Inlet, Line, Outlet, broken_by};
use super::counter::StreamCounter;
use super::frames::Followed;

/// What a peer must offer to speak (§4.1).
const PROTOCOL: &str = "sip";

/// A WebSocket that has been agreed upon.
pub(super) struct Agreed<S> {
    stream: WebSocketStream<Followed<S>>,
    /// When what has not come whole began.
    begun: watch::Receiver<Option<Instant>>,
}

/// The handshake. `None`: the peer wants something else, or left.
pub(super) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    message_bytes_max: usize,
) -> Option<Agreed<S>> {
    let config = WebSocketConfig::default()
        .read_buffer_size(4_096)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * message_bytes_max)
        .max_message_size(Some(message_bytes_max))
        .max_frame_size(Some(message_bytes_max));
    let agreed = accept_hdr_async_with_config(stream, agree, Some(config)).await.ok()?;
    // Frames begin right behind the handshake, which takes no byte of them.
    let (followed, begun) = Followed::new(agreed.into_inner());
    let stream = WebSocketStream::from_raw_socket(followed, Role::Server, Some(config)).await;
    Some(Agreed { stream, begun })
}

/// Whether the peer offers SIP.
#[expect(clippy::result_large_err, reason = "the library says how a handshake is refused")]
fn agree(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let offers = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let offers_sip = offers.filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|protocol| protocol.trim().eq_ignore_ascii_case(PROTOCOL))
    });
    if !offers_sip {
        let mut refusal = ErrorResponse::new(None);
        *refusal.status_mut() = StatusCode::BAD_REQUEST;
        return Err(refusal);
    }
    let protocol = HeaderValue::from_static(PROTOCOL);
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    Ok(response)
}

/// SIP until one side ends it.
pub(super) async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send>(
    line: &mut Line,
    agreed: Agreed<S>,
) -> StreamCounter {
    let (to, from) = agreed.stream.split();
    let (inlet, hints) = line.inlet();
    line.exchange(read(from, agreed.begun, inlet), to, hints).await
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Outlet for SplitSink<WebSocketStream<S>, Message> {
    /// As text, where it is text: some peers read no other (§5).
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let message = match Utf8Bytes::try_from(bytes.to_vec()) {
            Ok(text) => Message::Text(text),
            Err(_) => Message::Binary(bytes.to_vec().into()),
        };
        self.send(message).await.map_err(io::Error::other)
    }

    async fn close(&mut self, why: StreamCounter) -> io::Result<()> {
        if let Some(code) = close_code(why) {
            let reason = Utf8Bytes::from_static("");
            let _ = self.send(Message::Close(Some(CloseFrame { code, reason }))).await;
        }
        SinkExt::close(self).await.map_err(io::Error::other)
    }
}

/// What a peer is told of the end of its connection (RFC 6455 §7.4.1), where the fault is its own.
fn close_code(why: StreamCounter) -> Option<CloseCode> {
    match why {
        StreamCounter::FrameMalformed => Some(CloseCode::Protocol),
        StreamCounter::TextMalformed => Some(CloseCode::Invalid),
        StreamCounter::MessageTooLong => Some(CloseCode::Size),
        _ => None,
    }
}

async fn read<S: AsyncRead + AsyncWrite + Unpin>(
    mut from: SplitStream<WebSocketStream<Followed<S>>>,
    mut unfinished: watch::Receiver<Option<Instant>>,
    mut inlet: Inlet,
) -> StreamCounter {
    use tokio_tungstenite::tungstenite::Error;
    use tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;
    let mut heard = Instant::now();
    loop {
        let begun = *unfinished.borrow_and_update();
        let end = begun.map_or(inlet.idle_end(heard), |begun| inlet.message_end(begun));
        let came = tokio::select! {
            came = from.next() => came,
            Ok(()) = unfinished.changed() => continue,
            () = sleep_until(end) => {
                return if begun.is_some() { StreamCounter::Stuck } else { StreamCounter::Idle };
            }
        };
        heard = Instant::now();
        let message = match came {
            None | Some(Err(Error::ConnectionClosed)) => return StreamCounter::Closed,
            Some(Err(Error::Capacity(_))) => return StreamCounter::MessageTooLong,
            Some(Err(Error::Io(error))) => return broken_by(&error),
            Some(Err(Error::Protocol(ResetWithoutClosingHandshake))) => {
                return StreamCounter::Broken;
            }
            Some(Err(Error::Protocol(_))) => return StreamCounter::FrameMalformed,
            Some(Err(Error::Utf8(_))) => return StreamCounter::TextMalformed,
            Some(Err(_)) => return StreamCounter::Broken,
            Some(Ok(message)) => message,
        };
        inlet.note_heard();
        let bytes = match &message {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
            Message::Close(_) => return StreamCounter::Closed,
            // Pings are answered by the library.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
        };
        if bytes == b"\r\n\r\n" {
            inlet.answer_keep_alive();
        } else if !bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
            && !inlet.pass(bytes).await
        {
            return StreamCounter::Closed;
        }
    }
}
