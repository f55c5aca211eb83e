//! Records as CloudEvents 1.0, in structured mode: one event per line, whose data is the record itself.

use super::Form;
use crate::audit::query::Line;
use serde::Serialize;
use std::io::{self, Write};
use uuid::Uuid;

#[derive(Serialize)]
struct Context<'a> {
    specversion: &'static str,
    /// Together with the source it names the record, in whatever way and however often it is sent.
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Uuid>,
    datacontenttype: &'static str,
    sequence: &'a str,
}

/// See the file's first line.
#[derive(Debug)]
pub struct CloudEvents<W>(pub W);

impl<W: Write> Form for CloudEvents<W> {
    fn write(&mut self, records: &[Line]) -> io::Result<bool> {
        for Line { head, bytes, .. } in records {
            let context = Context {
                specversion: "1.0",
                id: format!("{}/{}", head.incarnation, head.seq),
                source: format!("/latchwork/{}", head.node),
                kind: format!("latchwork.audit.v{}.{}", head.v, head.kind.as_str()),
                time: format!("{:.6}", head.at),
                subject: head.call,
                datacontenttype: "application/json",
                sequence: &format!("{:020}", head.seq),
            };
            let context = serde_json::to_vec(&context)?;
            let open = context.strip_suffix(b"}").unwrap_or(&context);
            self.0.write_all(&[open, b",\"data\":", bytes, b"}\n"].concat())?;
        }
        Ok(true)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
