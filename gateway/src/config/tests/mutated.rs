//! Whatever is done to a configuration, loading it ends with a result.

use super::*;
use proptest::prelude::*;

/// Pieces that mean something to TOML, to a path or to a name.
const PIECES: [&str; 24] = [
    "\"",
    "'",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ".",
    ",",
    "\n",
    "#",
    "\\",
    "{*",
    "}/",
    "%",
    "é",
    "\u{0}",
    "-1",
    "9223372036854775808",
    "true",
    "1979-05-27",
    "[function.\"a.b\"]\n",
];

fn mutate(text: &str, edits: &[(usize, usize, usize)]) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for (at, removed, piece) in edits {
        let at = at % (characters.len() + 1);
        let end = (at + removed).min(characters.len());
        characters.splice(at..end, PIECES[piece % PIECES.len()].chars());
    }
    characters.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn loading_never_panics(
        file in 0..4_usize,
        edits in prop::collection::vec((any::<usize>(), 0..12_usize, any::<usize>()), 1..6),
    ) {
        let project = Project::new();
        let file = ["latchwork.toml", "catalog/shop.toml", "catalog/stock.toml", "schemas/order.json"][file];
        let text = mutate(&fs::read_to_string(project.path(file)).unwrap(), &edits);
        project.write(file, &text);
        for finding in project.load().map_or_else(|findings| findings, |loaded| loaded.warnings) {
            prop_assert!(!finding.message.is_empty());
            prop_assert!(!finding.message.ends_with('.'), "{}", finding.message);
        }
    }
}
