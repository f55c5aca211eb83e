//! `check` on scaffolds and on slips.

use super::*;

fn checked(args: &CheckArgs, further: Further<'_>) -> (Exit, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = run(args, further, &mut out, &mut err).unwrap();
    (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

fn args(config: PathBuf) -> CheckArgs {
    CheckArgs { config, format: Format::Human, deny_warnings: true, print_schema: false }
}

#[test]
fn a_fresh_project_has_no_findings() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("project");
    crate::scaffold::init(&project).unwrap();
    let (exit, out, err) = checked(&args(project.join("latchwork.toml")), &|_| Vec::new());
    assert_eq!((exit, out.as_str()), (Exit::Ok, ""));
    assert_eq!(err, "ok: 0 errors, 0 warnings (1 listener, 1 function, 2 policy files, 1 case file)\n");
}

#[test]
fn a_slip_is_shown_with_place_text_and_suggestion() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("project");
    crate::scaffold::init(&project).unwrap();
    let config = project.join("latchwork.toml");
    let text = std::fs::read_to_string(&config).unwrap().replace("identify = [\"dev\"]", "identify = [\"dve\"]");
    std::fs::write(&config, text).unwrap();
    let (exit, out, err) = checked(&args(config.clone()), &|_| Vec::new());
    assert_eq!(exit, Exit::Invalid);
    let expected = format!(
        "{0}:18:13: error: there is no issuer `dve` [unknown_issuer]\n    | \"dve\"\n    = help: did you mean `dev`?",
        config.display()
    );
    assert!(out.contains(&expected), "{out}");
    assert!(err.starts_with("not ok: 1 error, 0 warnings"), "{err}");
    let json = CheckArgs { format: Format::Json, ..args(config) };
    let (_, out, err) = checked(&json, &|_| Vec::new());
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((report["ok"].as_bool(), err.as_str()), (Some(false), ""));
    assert_eq!(report["findings"][0]["line"], 18);
}

#[test]
fn warnings_fail_only_when_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("project");
    crate::scaffold::init(&project).unwrap();
    let further = |_: &Loaded| vec![Finding::error("odd", "x", "odd").warning()];
    let strict = args(project.join("latchwork.toml"));
    assert_eq!(checked(&strict, &further).0, Exit::Invalid);
    let lenient = CheckArgs { deny_warnings: false, ..strict };
    assert_eq!(checked(&lenient, &further).0, Exit::Ok);
    assert_eq!(checked(&lenient, &|_| vec![Finding::error("bad", "x", "bad")]).0, Exit::Invalid);
}

#[test]
fn the_schema_is_printed() {
    let print = CheckArgs { print_schema: true, ..args("nowhere".into()) };
    let (exit, out, _) = checked(&print, &|_| Vec::new());
    assert_eq!(exit, Exit::Ok);
    assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok());
}
