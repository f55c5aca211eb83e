//! Bodies that are sent again: the same bytes, whatever had passed before.

use super::*;
use crate::{payload::Wire, samples::post};
use http_body_util::{Full, StreamBody};
use proptest::prelude::*;

fn outbound(payload: Payload) -> Outbound {
    Outbound { payload, ..post("") }
}

fn pieces(pieces: Vec<Vec<u8>>, trailers: Option<HeaderMap>) -> Payload {
    let data = pieces.into_iter().map(|piece| Ok(Frame::data(Bytes::from(piece))));
    let frames: Vec<_> = data.chain(trailers.into_iter().map(|trailers| Ok(Frame::trailers(trailers)))).collect();
    Payload::Stream(StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync())
}

fn body(outbound: Outbound) -> Wire {
    match outbound.payload {
        Payload::Empty => Wire::Empty,
        Payload::Buffered(bytes) => Wire::Full(bytes),
        Payload::Stream(body) => Wire::Stream(body),
        Payload::Duplex(_) => panic!("an upgrade"),
    }
}

proptest! {
    #[test]
    fn every_sender_sends_the_same(
        parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 0..16),
        stops in proptest::collection::vec(0_usize..16, 0..4),
        trailed in any::<bool>(),
    ) {
        let whole = parts.concat();
        let trailers = trailed.then(|| HeaderMap::from_iter([("x-sum".parse().unwrap(), "7".parse().unwrap())]));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (first, source) = Source::split(outbound(pieces(parts, trailers.clone())));
            let mut sender = body(first);
            for stop in stops {
                for _ in 0..stop {
                    let _ = sender.frame().await;
                }
                drop(sender);
                sender = body(source.again().await.unwrap());
            }
            let sent = sender.collect().await.unwrap();
            assert_eq!(sent.trailers(), trailers.as_ref());
            assert_eq!(sent.to_bytes(), whole);
            let again = source.whole_again().map(body);
            assert_eq!(again.is_some(), trailers.is_none());
            if let Some(again) = again {
                assert_eq!(again.collect().await.unwrap().to_bytes(), whole);
            }
        });
    }
}

#[tokio::test]
async fn what_is_too_long_or_broke_off_is_sent_once() {
    let long = vec![vec![0; KEPT_BYTES_MAX], vec![0]];
    let (first, source) = Source::split(outbound(pieces(long, None)));
    assert_eq!(body(first).collect().await.unwrap().to_bytes().len(), KEPT_BYTES_MAX + 1, "it passes whole");
    assert!(source.again().await.is_none() && source.whole_again().is_none());

    let sized = Full::new(Bytes::from(vec![0; KEPT_BYTES_MAX + 1])).map_err(|never| match never {}).boxed_unsync();
    let (first, source) = Source::split(outbound(Payload::Stream(sized)));
    assert_eq!(body(first).size_hint().exact(), Some(KEPT_BYTES_MAX as u64 + 1));
    assert!(source.again().await.is_none());

    let broken: Vec<Result<Frame<Bytes>, BodyError>> = vec![Ok(Frame::data("a".into())), Err("broke".into())];
    let broken = StreamBody::new(futures_util::stream::iter(broken)).boxed_unsync();
    let (first, source) = Source::split(outbound(Payload::Stream(broken)));
    assert!(body(first).collect().await.is_err());
    assert!(source.again().await.is_none());
}

#[tokio::test]
async fn nothing_is_sent_twice_at_once_before_all_of_it_is_here() {
    let (first, source) = Source::split(outbound(pieces(vec![b"a".to_vec(), b"b".to_vec()], None)));
    let mut first = body(first);
    let _ = first.frame().await;
    assert!(source.whole_again().is_none(), "the rest is still to come");
    assert!(source.again().await.is_none(), "another sender has the rest");
    assert_eq!(first.collect().await.unwrap().to_bytes(), "b");
    assert!(source.whole_again().is_some());
}

#[tokio::test]
async fn a_known_length_stays_known() {
    let sized = Full::new(Bytes::from_static(b"abc")).map_err(|never| match never {}).boxed_unsync();
    let (first, source) = Source::split(outbound(Payload::Stream(sized)));
    let mut first = body(first);
    assert_eq!(first.size_hint().exact(), Some(3));
    let _ = first.frame().await;
    assert!(first.is_end_stream());
    drop(first);
    let again = body(source.again().await.unwrap());
    assert_eq!((again.size_hint().exact(), again.collect().await.unwrap().to_bytes()), (Some(3), "abc".into()));
}

#[tokio::test]
async fn a_connection_is_lent_until_somebody_waits_for_it() {
    let promise = Box::pin(async { Ok(Box::new(tokio::io::duplex(1).0) as Box<dyn crate::payload::Io>) });
    let (first, source) = Source::split(outbound(Payload::Duplex(promise)));
    assert!(source.again().await.is_none(), "the first attempt has it");
    drop(first);
    assert!(source.whole_again().is_none(), "there is no second one");
    let again = source.again().await.unwrap();
    let Payload::Duplex(promise) = again.payload else { panic!("no connection") };
    promise.await.unwrap();
    assert!(source.again().await.is_none(), "bytes may have passed");
}
