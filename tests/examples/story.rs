//! Writes the audit log that the story of a narrower permit begins with.
//!
//! `cargo run -p tests --example story -- policy/scenarios/story`

use std::{env, path::Path};

fn main() {
    let folder = env::args().nth(1).expect("the folder of the story");
    tests::story::write(Path::new(&folder));
}
