//! SIP over WebSocket (RFC 7118): the handshake, and one message per WebSocket message.

use std::io;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use super::connection::{Inlet, Line, Outlet};
use super::counter::StreamCounter;

/// What a peer must offer to speak (§4.1).
const PROTOCOL: &str = "sip";

/// The handshake. `None`: the peer wants something else, or left.
pub(super) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    message_bytes_max: usize,
) -> Option<WebSocketStream<S>> {
    let config = WebSocketConfig::default()
        .read_buffer_size(4_096)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * message_bytes_max)
        .max_message_size(Some(message_bytes_max))
        .max_frame_size(Some(message_bytes_max));
    accept_hdr_async_with_config(stream, agree, Some(config)).await.ok()
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
    stream: WebSocketStream<S>,
) -> StreamCounter {
    let (to, from) = stream.split();
    let (inlet, hints) = line.inlet();
    line.exchange(read(from, inlet), to, hints).await
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

    async fn close(&mut self) -> io::Result<()> {
        SinkExt::close(self).await.map_err(io::Error::other)
    }
}

async fn read<S: AsyncRead + AsyncWrite + Unpin>(
    mut from: SplitStream<WebSocketStream<S>>,
    mut inlet: Inlet,
) -> StreamCounter {
    use tokio_tungstenite::tungstenite::Error;
    loop {
        let end = inlet.idle_end(Instant::now());
        let message = match timeout_at(end, from.next()).await {
            Err(_) => return StreamCounter::Idle,
            Ok(None) => return StreamCounter::Closed,
            Ok(Some(Err(Error::Capacity(_)))) => return StreamCounter::MessageTooLong,
            Ok(Some(Err(Error::ConnectionClosed))) => return StreamCounter::Closed,
            Ok(Some(Err(_))) => return StreamCounter::Broken,
            Ok(Some(Ok(message))) => message,
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
