//! A connection ends when it is silent for too long, whichever side was last, and when it has carried what it may.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

fn limited(
    idle: Duration,
    bytes_max: u64,
) -> (Limited<DuplexStream>, DuplexStream, Arc<AtomicU64>, oneshot::Receiver<()>) {
    let (near, far) = duplex(64);
    let (received, (done, ended)) = (Arc::new(AtomicU64::new(0)), oneshot::channel());
    let tcp = Tcp { function: None, names: BTreeMap::new(), idle, bytes_max };
    (Limited::new(near, &tcp, received.clone(), done), far, received, ended)
}

#[tokio::test(start_paused = true)]
async fn silence_ends_it_and_talk_does_not() {
    let (mut near, mut far, received, ended) = limited(Duration::from_secs(10), 1_000);
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(9)).await;
        far.write_all(b"ab").await.unwrap();
        let mut read = [0; 2];
        near.read_exact(&mut read).await.unwrap();
    }
    // What is only written counts as talk, too.
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(9)).await;
        near.write_all(b"ab").await.unwrap();
    }
    assert_eq!(received.load(Ordering::Relaxed), 10);
    let began = tokio::time::Instant::now();
    let error = near.read_u8().await.unwrap_err();
    assert_eq!((error.kind(), began.elapsed().as_secs()), (io::ErrorKind::TimedOut, 10));
    drop(near);
    assert!(ended.await.is_err(), "its end is told");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_silent() {
    let (mut near, _far, _, _ended) = limited(Duration::from_secs(10), 1_000);
    let error = near.write_all(&[0; 100]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn it_carries_so_much_and_no_more() {
    let (mut near, mut far, _, _ended) = limited(Duration::from_secs(10), 10);
    far.write_all(b"123456").await.unwrap();
    let mut read = [0; 6];
    near.read_exact(&mut read).await.unwrap();
    near.write_all(b"1234").await.unwrap();
    let error = near.write_all(b"5").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
}
