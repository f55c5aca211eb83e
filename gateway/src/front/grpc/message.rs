//! Messages with their five-byte prefix: those that the gateway reads and writes itself.

use crate::{
    call::{Envelope, Unread},
    front::body::{Bounds, Received},
    refusal::Refusal,
};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use proto::prost::Message;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Largest message that the gateway reads, in bytes.
pub(crate) const MESSAGE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The prefix: whether it is compressed, and its length.
pub(super) const PREFIX_BYTES: usize = 5;

/// A message as it goes over the wire.
pub(crate) fn framed(message: &impl Message) -> Bytes {
    frame(&message.encode_to_vec())
}

/// The bytes of a message as they go over the wire.
pub(crate) fn frame(message: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    bytes.put_slice(message);
    bytes.freeze()
}

/// What a request's body must keep to.
pub(crate) fn bounds(envelope: &Envelope, bytes_max: u64) -> Bounds {
    Bounds {
        bytes_max: bytes_max + PREFIX_BYTES as u64,
        frame_timeout: envelope.listener.timeouts.body,
        seen: envelope.bytes_in.clone(),
        fault: envelope.fault.clone(),
    }
}

/// Reads the one message of a unary request.
pub(crate) async fn one<M: Message + Default>(
    body: Unread,
    bounds: Bounds,
    budget: &Arc<Semaphore>,
) -> Result<M, Refusal> {
    let Unread::Incoming(incoming) = body else { return Err(malformed("there is no message")) };
    let mut bytes = Received::new(incoming, bounds).whole(budget).await?;
    let message = next(&mut bytes)?.ok_or(malformed("the message is not whole"))?;
    if !bytes.is_empty() {
        return Err(malformed("there is more than one message"));
    }
    M::decode(message).map_err(|_| malformed("the message is not what the method takes"))
}

/// Takes a message from what has come; `None` while it is not whole.
///
/// # Errors
/// [`Refusal::MethodUnknown`] for a compressed one: no decompression, no bomb. [`Refusal::TooLarge`].
pub(crate) fn next(bytes: &mut Bytes) -> Result<Option<Bytes>, Refusal> {
    split(bytes, MESSAGE_BYTES_MAX)
}

/// As [`next`], with another limit.
pub(super) fn split(bytes: &mut Bytes, bytes_max: u64) -> Result<Option<Bytes>, Refusal> {
    let mut prefix = bytes.clone();
    if prefix.len() < PREFIX_BYTES {
        return Ok(None);
    }
    if prefix.get_u8() != 0 {
        return Err(Refusal::MethodUnknown);
    }
    let length = prefix.get_u32() as usize;
    if length as u64 > bytes_max {
        return Err(Refusal::TooLarge { bytes_max: Some(bytes_max) });
    }
    if prefix.len() < length {
        return Ok(None);
    }
    bytes.advance(PREFIX_BYTES);
    Ok(Some(bytes.split_to(length)))
}

fn malformed(why: &'static str) -> Refusal {
    Refusal::Malformed(why.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::invoke::v1::InvokeRequest;

    #[test]
    fn messages_come_out_as_they_went_in() {
        let request = InvokeRequest { function: "orders.create".to_owned(), ..InvokeRequest::default() };
        let mut bytes = [framed(&request), framed(&InvokeRequest::default())].concat().into();
        let first = next(&mut bytes).unwrap().unwrap();
        assert_eq!(InvokeRequest::decode(first).unwrap(), request);
        assert_eq!(next(&mut bytes).unwrap().unwrap().len(), 0);
        assert!(next(&mut bytes).unwrap().is_none());
    }

    #[test]
    fn what_is_not_whole_compressed_or_too_large_is_told_apart() {
        let next = |bytes: &[u8]| next(&mut Bytes::copy_from_slice(bytes));
        assert!(next(&[0, 0, 0, 0]).unwrap().is_none());
        assert!(next(&[0, 0, 0, 0, 2, 1]).unwrap().is_none());
        assert!(matches!(next(&[1, 0, 0, 0, 0]), Err(Refusal::MethodUnknown)));
        assert!(matches!(next(&[0, 0, 64, 0, 1]), Err(Refusal::TooLarge { .. })));
        assert!(next(&[0, 0, 64, 0, 0]).unwrap().is_none());
    }
}
