//! Bytes as they are, over TCP or TLS, for requests that no client would make.

use crate::client::{Client, Io, Lost};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Longest wait for the next bytes of an answer. Longer than the gateway's own time-outs in these tests.
const SILENCE: Duration = Duration::from_secs(10);

/// Most of an answer that is read.
const HEARD_BYTES_MAX: usize = 1 << 20;

/// What came back.
#[derive(Debug, Default)]
pub struct Heard {
    /// All bytes.
    pub bytes: Vec<u8>,
    /// Whether the server ended the connection, and did not leave us waiting.
    pub closed: bool,
}

/// A connection that sends what it is told.
pub struct Raw {
    stream: Box<dyn Io>,
}

impl Raw {
    /// Connects; `client` says where and with which protocol.
    pub async fn connect(client: &Client) -> Result<Self, Lost> {
        Ok(Self { stream: client.stream().await? })
    }

    /// Sends. The server may have closed already: that is for the reader to find.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok() && self.stream.flush().await.is_ok()
    }

    /// Reads until `enough`, the end, or silence.
    pub async fn hear(&mut self, enough: impl Fn(&[u8]) -> bool) -> Heard {
        let mut heard = Heard::default();
        let mut piece = vec![0; 16_384];
        while heard.bytes.len() < HEARD_BYTES_MAX && !enough(&heard.bytes) {
            match tokio::time::timeout(SILENCE, self.stream.read(&mut piece)).await {
                Err(_) => break,
                Ok(Ok(0) | Err(_)) => {
                    heard.closed = true;
                    break;
                }
                Ok(Ok(read)) => heard.bytes.extend_from_slice(&piece[..read]),
            }
        }
        heard
    }

    /// Sends and reads one whole answer, or whatever comes until the end.
    pub async fn exchange(client: &Client, bytes: &[u8]) -> Result<Heard, Lost> {
        let mut raw = Self::connect(client).await?;
        raw.send(bytes).await;
        Ok(raw.hear(whole).await)
    }
}

impl Heard {
    /// The status of the first answer, if one came.
    pub fn status(&self) -> Option<u16> {
        let line = self.bytes.strip_prefix(b"HTTP/1.")?;
        std::str::from_utf8(line.get(2..5)?).ok()?.parse().ok()
    }

    /// How many answers came.
    pub fn answers(&self) -> usize {
        self.bytes.windows(7).filter(|w| *w == b"HTTP/1.").count()
    }

    /// All of it as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// Whether `bytes` hold a whole answer of declared length.
fn whole(bytes: &[u8]) -> bool {
    let Some(head) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    length.is_some_and(|length| bytes.len() >= head + 4 + length)
}
