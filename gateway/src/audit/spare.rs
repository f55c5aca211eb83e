//! Records that no answer depends on: they take only what room calls can't need.

use super::{
    Unrecorded,
    log::{self, Log},
    queue::{Duty, Promise},
    record::{Kind, Shadow, tail},
};
use uuid::Uuid;

impl Log {
    /// Records what the shadow would have answered, if there is room that no call can need. Nobody waits for it.
    ///
    /// # Errors
    /// When there is no such room, or the log can't be written.
    pub fn shadow(&self, call: Uuid, shadow: &Shadow) -> Result<(), Unrecorded> {
        let tail = tail::of_call(call, shadow);
        self.0.queue.push_spare(log::entry(Kind::Shadow, tail, Duty::Owed, Promise::None, None))
    }
}
