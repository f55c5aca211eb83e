//! What becomes of what functions write.

use super::*;
use crate::samples::PATIENCE;
use std::io::{self, Write};
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// What is logged when a function writes this; the call id is set.
async fn logged(text: Vec<u8>, call_id: Option<Uuid>) -> String {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).without_time().with_ansi(false).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let current = Current::default();
    current.set(call_id);
    let function = FunctionName::parse("shop.echo").unwrap();
    let source = Source { function, pid: 42, stream: "stdout", current };
    let (reader, mut writer) = io::pipe().unwrap();
    let written = std::thread::spawn(move || writer.write_all(&text));
    tokio::time::timeout(PATIENCE, capture(reader.into(), source)).await.unwrap();
    written.join().unwrap().unwrap();
    drop(guard);
    String::from_utf8(log.0.lock().unwrap().clone()).unwrap()
}

#[tokio::test]
async fn a_line_is_logged_with_its_source() {
    let call_id = Uuid::now_v7();
    let log = logged(b"one\ntwo\r\nlast".to_vec(), Some(call_id)).await;
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 3);
    for part in [
        "latchwork::function",
        "INFO",
        "one",
        "function=shop.echo",
        "pid=42",
        "stream=\"stdout\"",
        &call_id.to_string(),
    ] {
        assert!(lines[0].contains(part), "{part}: {log}");
    }
    assert!(lines[1].contains(": two ") && lines[2].contains(": last "), "{log}");
    assert!(!logged(b"x\n".to_vec(), None).await.contains("call_id"));
}

#[tokio::test]
async fn control_characters_do_not_reach_the_log() {
    let log = logged(b"a\x1b[31mb\x00\xffc\td\re\n".to_vec(), None).await;
    assert!(log.contains("a\u{fffd}[31mb\u{fffd}\u{fffd}c\td e"), "{log:?}");
}

#[tokio::test]
async fn long_lines_are_cut_and_too_many_are_counted() {
    let log = logged([vec![b'x'; 3 * LINE_BYTES_MAX], b"\nnext\n".to_vec()].concat(), None).await;
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines[0].contains("cut=true") && lines[0].len() < LINE_BYTES_MAX + 200);
    assert!(lines[1].contains("next") && lines[1].contains("cut=false"));
    let written = 20 * LINES_PER_SECOND_MAX as usize;
    let log = logged(b"y\n".repeat(written), None).await;
    assert!(log.lines().count() < written, "nothing was dropped");
    assert!(log.contains("too many lines in a second"));
}
