//! Types: every policy is validated against the slice of the vocabulary that its head can reach.

use super::written::Written;
use crate::{declared::Declared, finding::Finding, vocabulary::Vocabulary};

pub(crate) fn check(
    _policies: &[Written],
    _vocabulary: &Vocabulary,
    _declared: &Declared,
    _findings: &mut Vec<Finding>,
) {
}
