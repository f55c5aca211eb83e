//! Waits for a condition, with a bound. The only places of the tests that sleep.

use std::{
    future::Future,
    net::{SocketAddr, TcpListener},
    time::{Duration, Instant},
};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// How long anything may take that has no bound of its own: generous, because machines of CI are slow.
pub const LONG: Duration = Duration::from_secs(30);

/// Looks until `probe` has an answer.
///
/// # Panics
/// When it has none within `bound`.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, bound: Duration, mut probe: impl FnMut() -> F) -> T {
    let end = Instant::now() + bound;
    loop {
        if let Some(answer) = probe().await {
            return answer;
        }
        assert!(Instant::now() < end, "{what}: not within {bound:?}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Looks until `probe` has an answer, without a runtime; `None` when it has none within `bound`.
pub fn until_blocking<T>(bound: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + bound;
    loop {
        if let Some(answer) = probe() {
            return Some(answer);
        }
        if Instant::now() >= end {
            return None;
        }
        #[expect(clippy::disallowed_methods, reason = "the pause between two looks of a bounded poll")]
        std::thread::sleep(PAUSE);
    }
}

/// Whether something listens there.
pub async fn listens(address: SocketAddr) -> bool {
    tokio::net::TcpStream::connect(address).await.is_ok()
}

/// A port that is free now, for programs that can't take port 0. Another may take it first: start again then.
pub fn free_port() -> u16 {
    let socket = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    socket.local_addr().expect("a bound socket has an address").port()
}
