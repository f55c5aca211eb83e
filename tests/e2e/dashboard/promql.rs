//! As much of PromQL as it takes to know which series and labels a query names. What it does not know, it panics at.

use std::collections::BTreeSet;

/// Functions and aggregations that may be called.
const CALLED: [&str; 14] = [
    "sum",
    "min",
    "max",
    "count",
    "topk",
    "rate",
    "increase",
    "changes",
    "histogram_quantile",
    "time",
    "label_values",
    "avg",
    "clamp_min",
    "abs",
];
/// Words before a list of labels.
const GROUPING: [&str; 4] = ["by", "without", "on", "ignoring"];

/// A series, and the labels by which a query takes or groups it.
#[derive(Debug, PartialEq, Eq)]
pub struct Selector {
    /// Its name.
    pub metric: String,
    /// The labels.
    pub labels: BTreeSet<String>,
}

#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    Text,
    Number,
    Sign(char),
}

/// Every selector of a query; labels of a grouping count for the selectors inside it.
///
/// # Panics
/// At what is not understood.
pub fn selectors(query: &str) -> Vec<Selector> {
    let tokens = tokens(&query.replace("$__rate_interval", "5m").replace("$__range", "1h"));
    let mut reader = Reader { query, tokens: &tokens, at: 0, found: Vec::new(), groups: vec![BTreeSet::new()] };
    while reader.at < tokens.len() {
        reader.step();
    }
    assert_eq!(reader.groups.len(), 1, "`{query}`: brackets do not match");
    reader.found
}

struct Reader<'q> {
    query: &'q str,
    tokens: &'q [Token],
    at: usize,
    found: Vec<Selector>,
    /// Labels by which what is inside each open bracket is grouped.
    groups: Vec<BTreeSet<String>>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn step(&mut self) {
        let query = self.query;
        self.at += 1;
        match &self.tokens[self.at - 1] {
            Token::Word(word) if GROUPING.contains(&word.as_str()) => panic!("`{query}`: `{word}` groups nothing"),
            Token::Word(word) if CALLED.contains(&word.as_str()) => self.call(word),
            Token::Word(word) => self.selector(word.clone()),
            Token::Sign('(') => self.groups.push(self.inherited()),
            Token::Sign(')') => drop(self.groups.pop()),
            Token::Sign('[') => {
                assert_eq!(
                    (self.tokens.get(self.at), self.tokens.get(self.at + 1)),
                    (Some(&Token::Number), Some(&Token::Sign(']'))),
                    "`{query}`"
                );
                self.at += 2;
            }
            Token::Sign('+' | '-' | '*' | '/' | '>' | '<' | ',') | Token::Number => {}
            other => panic!("`{query}`: {other:?} is not understood"),
        }
    }

    /// `sum by (a, b) (`, `rate(`.
    fn call(&mut self, word: &str) {
        let mut inside = self.inherited();
        if let Some(Token::Word(by)) = self.peek() {
            assert!(GROUPING.contains(&by.as_str()), "`{}`: `{word} {by}` is not understood", self.query);
            self.at += 1;
            inside.extend(self.labels());
        }
        assert_eq!(self.peek(), Some(&Token::Sign('(')), "`{}`: `{word}` is not called", self.query);
        self.at += 1;
        if word == "label_values" {
            return self.label_values();
        }
        self.groups.push(inside);
    }

    /// Grafana's own: `label_values(metric, label)`.
    fn label_values(&mut self) {
        let [Token::Word(metric), Token::Sign(','), Token::Word(label), Token::Sign(')')] = &self.tokens[self.at..]
        else {
            panic!("`{}` is no list of a label's values", self.query)
        };
        self.found.push(Selector { metric: metric.clone(), labels: [label.clone()].into() });
        self.at += 4;
    }

    fn selector(&mut self, metric: String) {
        let mut labels = self.inherited();
        if self.peek() == Some(&Token::Sign('{')) {
            self.at += 1;
            while self.peek() != Some(&Token::Sign('}')) {
                let Some(Token::Word(label)) = self.peek() else { panic!("`{}`: a label was expected", self.query) };
                labels.insert(label.clone());
                self.at += 1;
                while matches!(self.peek(), Some(Token::Sign('=' | '!' | '~'))) {
                    self.at += 1;
                }
                assert_eq!(self.peek(), Some(&Token::Text), "`{}`: a value was expected", self.query);
                self.at += 1;
                if self.peek() == Some(&Token::Sign(',')) {
                    self.at += 1;
                }
            }
            self.at += 1;
        }
        self.found.push(Selector { metric, labels });
    }

    fn labels(&mut self) -> BTreeSet<String> {
        assert_eq!(self.peek(), Some(&Token::Sign('(')), "`{}`: labels were expected", self.query);
        let mut labels = BTreeSet::new();
        loop {
            self.at += 1;
            match self.peek() {
                Some(Token::Word(label)) => drop(labels.insert(label.clone())),
                Some(Token::Sign(',')) => {}
                Some(Token::Sign(')')) => break,
                other => panic!("`{}`: {other:?} is no label", self.query),
            }
        }
        self.at += 1;
        labels
    }

    fn inherited(&self) -> BTreeSet<String> {
        self.groups.last().cloned().unwrap_or_else(|| panic!("`{}`: a bracket too many", self.query))
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = |part: fn(char) -> bool| rest.find(|c| !part(c)).unwrap_or(rest.len());
        let (token, taken) = match first {
            'a'..='z' | 'A'..='Z' | '_' | ':' => {
                let end = length(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'));
                (Token::Word(rest[..end].to_owned()), end)
            }
            '0'..='9' => (Token::Number, length(|c| c.is_ascii_alphanumeric() || c == '.')),
            '"' => {
                let mut escaped = false;
                let end = rest[1..].find(|c| {
                    let ends = c == '"' && !escaped;
                    escaped = c == '\\' && !escaped;
                    ends
                });
                (Token::Text, end.unwrap_or_else(|| panic!("`{text}`: a text does not end")) + 2)
            }
            sign => (Token::Sign(sign), sign.len_utf8()),
        };
        tokens.push(token);
        rest = rest[taken..].trim_start();
    }
    tokens
}

#[test]
fn names_and_labels_are_found() {
    let one = |metric: &str, labels: &[&str]| Selector {
        metric: metric.to_owned(),
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
    };
    let query = "histogram_quantile(0.9, sum by (le, f) (rate(a_bucket{x=~\"$y|{z\",w!=\"\"}[$__rate_interval]))) / (b - time())";
    assert_eq!(selectors(query), [one("a_bucket", &["f", "le", "w", "x"]), one("b", &[])]);
    assert_eq!(selectors("label_values(c, instance)"), [one("c", &["instance"])]);
    assert_eq!(selectors("d{e=\"f\\\"g\"}"), [one("d", &["e"])]);
}

#[test]
fn what_is_not_known_is_no_query() {
    for query in ["sum(a", "a)", "b{c}", "rate a", "sum of (d) (e)", "f[5m", "g @ 1", "h{i=\"j}"] {
        assert!(std::panic::catch_unwind(|| selectors(query)).is_err(), "`{query}` was taken");
    }
}
