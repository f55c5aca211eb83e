//! What is asked in shadow answers no call.

use policy::{engine::Snapshot, permit::Permit, question::Question, shadow::Shadow};

pub fn ask(shadow: &Shadow, question: Question) -> Option<Permit> {
    shadow.decide(question).ok() //~ E0599
}

pub fn reach_through(shadow: &Shadow) -> &Snapshot {
    &shadow.snapshot //~ E0616
}
