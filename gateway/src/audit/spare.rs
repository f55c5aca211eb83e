//! Records that no answer depends on: they take only what room calls can't need.

use super::{
    Unrecorded,
    log::{self, Log},
    queue::{Duty, Promise},
    record::{Kind, Shadow, System, tail},
};
use policy::{engine::looks::Looks, question::Question};
use std::borrow::Cow;
use uuid::Uuid;

impl Log {
    /// Records what the shadow would have answered, if there is room that no call can need. Nobody waits for it.
    ///
    /// # Errors
    /// When there is no such room, or the log can't be written.
    pub fn shadow(&self, call: Uuid, shadow: &Shadow) -> Result<(), Unrecorded> {
        let tail = tail::of_call(call, shadow);
        self.0.pen.push_spare(log::entry(Kind::Shadow, tail, Duty::Owed, Promise::None, None))
    }

    /// Records what was found in the log, if there is room that no call can need. Nobody waits for it.
    ///
    /// # Errors
    /// When there is no such room, or the log can't be written.
    pub(crate) fn found(&self, found: &System) -> Result<(), Unrecorded> {
        self.0.pen.push_spare(log::entry(Kind::System, tail::plain(found), Duty::Owed, Promise::None, None))
    }

    /// Errors of a question as they may be recorded, where the record of the call has only `looks` of its input.
    #[must_use]
    pub fn shown(&self, errors: &[String], question: &Question, looks: &Looks) -> Vec<String> {
        let shown = self.0.redaction.errors(errors, Some(question), looks);
        shown.into_iter().map(Cow::into_owned).collect()
    }
}
