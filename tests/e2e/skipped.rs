//! Says at the end which peers were skipped: a green run that proved less must not look like one that proved all.

use tests::skip;

#[test]
fn zz_summary_of_skipped_peers() {
    assert_eq!(skip::unknown(), Vec::<String>::new(), "`{}` names no such peers", skip::VARIABLE);
    skip::say(&skip::summary());
}
