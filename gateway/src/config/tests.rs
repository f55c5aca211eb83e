//! Slips and what is said of them, as data; the full example, as written and as checked.

use super::load::{Loaded, load};
use policy::finding::{Finding, Severity};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

mod files;
mod mutated;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/tests");

/// A copy of the full example, with certificates of its own.
struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    fn new() -> Self {
        let project = Self { folder: tempfile::tempdir().unwrap() };
        copy(&Path::new(DATA).join("full"), project.folder.path());
        fs::create_dir(project.path("tls")).unwrap();
        let (key, other) = (rcgen::KeyPair::generate().unwrap(), rcgen::KeyPair::generate().unwrap());
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        project.write("tls/server.pem", &params.self_signed(&key).unwrap().pem());
        project.write("tls/ca.pem", &params.self_signed(&other).unwrap().pem());
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(2001, 2, 3);
        project.write("tls/expired.pem", &params.self_signed(&key).unwrap().pem());
        project.write("tls/hook.secret", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\n");
        project.write("tls/short.secret", "whsec_AAAA\n");
        project.write("tls/text.secret", "this is no base64, is it?\n");
        project.write("tls/otlp.secret", "shop\n");
        project.write("tls/lines.secret", "one\ntwo\n");
        for name in ["hook", "short", "text", "otlp", "lines"] {
            let file = format!("tls/{name}.secret");
            fs::set_permissions(project.path(&file), fs::Permissions::from_mode(0o600)).unwrap();
        }
        for (file, key, mode) in
            [("tls/server.key", &key, 0o600), ("tls/exposed.key", &key, 0o644), ("tls/other.key", &other, 0o600)]
        {
            project.write(file, &key.serialize_pem());
            fs::set_permissions(project.path(file), fs::Permissions::from_mode(mode)).unwrap();
        }
        project
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.path(file), text).unwrap();
    }

    fn replace(&self, file: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(file)).unwrap();
        assert!(text.contains(from), "`{from}` is not in {file}");
        self.write(file, &text.replacen(from, to, 1));
    }

    fn load(&self) -> Result<Loaded, Vec<Finding>> {
        load(&self.path("latchwork.toml"))
    }

    /// Everything that is found, without the folder.
    fn findings(&self) -> Vec<Finding> {
        let mut findings = self.load().map_or_else(|findings| findings, |loaded| loaded.warnings);
        let folder = format!("{}/", self.folder.path().display());
        for finding in &mut findings {
            finding.file = finding.file.replace(&folder, "");
            finding.message = finding.message.replace(&folder, "");
        }
        findings
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Code and place, as the data has them.
fn place(finding: &Finding) -> String {
    let severity = if finding.severity == Severity::Warning { "warning " } else { "" };
    format!("{severity}{} {}:{}:{}", finding.code, finding.file, finding.line, finding.column)
}

struct Case {
    name: String,
    /// File, what is taken out, what is put in.
    changes: Vec<(String, String, String)>,
    expected: Vec<String>,
}

fn cases() -> Vec<Case> {
    let text = fs::read_to_string(Path::new(DATA).join("malformed.txt")).unwrap();
    let mut cases: Vec<Case> = Vec::new();
    let mut file = String::new();
    let mut last = ' ';
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("== ") {
            cases.push(Case { name: name.to_owned(), changes: Vec::new(), expected: Vec::new() });
        }
        let Some(case) = cases.last_mut() else { continue };
        let Some((mark, rest)) = line.chars().next().map(|mark| (mark, line.get(1..).unwrap())) else { continue };
        match mark {
            'i' => file = rest.strip_prefix("n ").unwrap().to_owned(),
            '-' if last == '-' => {
                let change = case.changes.last_mut().unwrap();
                change.1 += &format!("{rest}\n");
            }
            '-' => case.changes.push((file.clone(), format!("{rest}\n"), String::new())),
            '+' if matches!(last, '-' | '+') => case.changes.last_mut().unwrap().2 += &format!("{rest}\n"),
            '+' => case.changes.push((file.clone(), String::new(), format!("{rest}\n"))),
            '!' => case.expected.push(rest.trim().to_owned()),
            '=' => {}
            _ => panic!("`{line}` is not understood"),
        }
        last = mark;
    }
    cases
}

#[test]
fn every_slip_is_found_at_its_place_and_nothing_else() {
    let cases = cases();
    assert!(cases.len() >= 100);
    let mut wrong = Vec::new();
    for case in &cases {
        let project = Project::new();
        for (file, from, to) in &case.changes {
            if from.is_empty() {
                let text = fs::read_to_string(project.path(file)).unwrap();
                project.write(file, &(text + to));
            } else {
                project.replace(file, from, to);
            }
        }
        let found = project.findings();
        let mut unmatched: Vec<&Finding> = found.iter().collect();
        for expected in &case.expected {
            let hit = unmatched.iter().position(|finding| {
                let shown = place(finding);
                let part = expected.strip_prefix(&shown).filter(|part| part.is_empty() || part.starts_with(' '));
                part.is_some_and(|part| finding.to_string().contains(part.trim()))
            });
            match hit {
                Some(index) => drop(unmatched.remove(index)),
                None => wrong.push(format!("{}: not found: {expected}", case.name)),
            }
        }
        wrong.extend(unmatched.iter().map(|finding| format!("{}: found besides: {finding}", case.name)));
        let errors = case.expected.iter().any(|expected| !expected.starts_with("warning "));
        assert_eq!(project.load().is_err(), errors, "{}", case.name);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Compares with a file beside the tests; `LATCHWORK_BLESS=1` writes it instead.
fn golden(file: &Path, actual: &str) {
    if std::env::var_os("LATCHWORK_BLESS").is_some_and(|value| value == "1") {
        fs::write(file, actual).unwrap();
    }
    let expected = fs::read_to_string(file).unwrap_or_default();
    let differs = expected.lines().zip(actual.lines()).position(|(expected, actual)| expected != actual);
    let line = differs.unwrap_or_else(|| expected.lines().count().min(actual.lines().count()));
    assert!(
        expected == actual,
        "{}:{}: expected {:?}, found {:?}; `LATCHWORK_BLESS=1` accepts it",
        file.display(),
        line + 1,
        expected.lines().nth(line),
        actual.lines().nth(line),
    );
}

#[test]
fn the_full_example_as_checked() {
    let project = Project::new();
    let loaded = project.load().unwrap_or_else(|findings| panic!("{findings:#?}"));
    assert_eq!(loaded.warnings, []);
    let files: Vec<_> = loaded.policies.iter().chain(&loaded.cases).map(|source| &source.file).collect();
    let shown = format!("{:#?}\n{files:#?}\n", loaded.config);
    golden(&Path::new(DATA).join("full.checked"), &shown.replace(&project.folder.path().display().to_string(), "DIR"));
}

#[test]
fn the_published_schema_is_the_one_of_this_code() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/latchwork.schema.json");
    golden(Path::new(file), &super::schema::text().unwrap());
}

#[test]
fn the_published_schema_accepts_the_full_example() {
    let schema: serde_json::Value = serde_json::from_str(&super::schema::text().unwrap()).unwrap();
    let compiled = mesh::bind::InputSchema::compile(&schema).unwrap();
    let mut headers = http::HeaderMap::new();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    let check = |text: &str| {
        let written: toml::Table = toml::from_str(text).unwrap();
        compiled.read(&headers, serde_json::to_string(&written).unwrap().as_bytes()).map(|_| ())
    };
    let text = fs::read_to_string(Path::new(DATA).join("full/latchwork.toml")).unwrap();
    assert_eq!(check(&text), Ok(()));
    assert!(check(&text.replace("hosts =", "host =")).is_err());
    assert!(check(&text.replace("connections_max = 500", "connections_max = \"500\"")).is_err());
}
