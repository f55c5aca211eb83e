//! `deploy/examples/tcp`, with only its ports made for the test.

use super::Echo;
use crate::examples::{copy, replace, succeeds};
use std::process::Command;
use tests::{fetch, latchwork, records, root, wait};

#[tokio::test]
async fn a_workload_connects_and_another_does_not() {
    let Some(openssl) = fetch::program_of("openssl", "openssl") else { return };
    let parent = tempfile::tempdir().expect("a temporary folder");
    let folder = parent.path().join("tcp");
    copy(&root().join("deploy/examples/tcp"), &folder);
    for words in [&[][..], &["other", "spiffe://host.example/other"]] {
        let made = Command::new("sh").arg(folder.join("certificates.sh")).args(words).output().expect("a shell");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    let echo = Echo::start(None).await;
    let port = wait::free_port().to_string();
    let changes =
        [("7443", &*port), ("127.0.0.1:4222", &format!("127.0.0.1:{}", echo.port)), ("127.0.0.1:9443", "127.0.0.1:0")];
    replace(&folder.join("latchwork.toml"), &changes);
    succeeds(&folder, &["check"]);
    succeeds(&folder, &["policy", "test"]);
    let gateway = latchwork::run(&folder.join("latchwork.toml"), &folder.join("pki/ca.pem")).await;
    for (who, said) in [("reports", "hello\n"), ("other", "")] {
        let mut command = tokio::process::Command::new(&openssl);
        command.args(["s_client", "-quiet", "-verify_return_error", "-connect", &format!("localhost:{port}")]);
        command.args(["-CAfile", "pki/ca.pem", "-cert", &format!("pki/{who}.pem"), "-key", &format!("pki/{who}.key")]);
        command.current_dir(&folder).stdin(std::process::Stdio::piped()).kill_on_drop(true);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let mut child = command.spawn().expect("openssl");
        let heard = spoken(&mut child, said).await;
        assert_eq!(heard, said, "{who}\n{}", gateway.stderr());
    }
    assert_eq!(echo.connected(), 1);
    let functions = records::read(&folder.join("audit"));
    assert!(functions.iter().any(|record| record["function"] == "host.session"), "{functions:?}");
    gateway.stop().await;
}

/// Says hello, and hears as much as is expected, or all until the end.
async fn spoken(child: &mut tokio::process::Child, expected: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (mut input, mut output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
    // Whoever is refused may be gone already.
    let _ = input.write_all(b"hello\n").await;
    let _ = input.flush().await;
    let mut heard = Vec::new();
    let reading = async {
        let mut byte = [0; 1];
        while expected.is_empty() || heard.len() < expected.len() {
            match output.read(&mut byte).await {
                Ok(1..) => heard.push(byte[0]),
                Ok(0) | Err(_) => break,
            }
        }
    };
    tokio::time::timeout(wait::LONG, reading).await.expect("an end");
    String::from_utf8_lossy(&heard).into_owned()
}
