//! Files that are odd in themselves: missing, hidden, huge, looping.

use super::*;
use crate::config::text::FILE_BYTES_MAX;
use std::os::unix::fs::symlink;

/// The one finding there is: code and place.
fn only(project: &Project) -> String {
    let findings = project.findings();
    assert_eq!(findings.len(), 1, "{findings:#?}");
    place(&findings[0])
}

#[test]
fn a_configuration_that_is_not_there() {
    let project = Project::new();
    fs::remove_file(project.path("latchwork.toml")).unwrap();
    assert_eq!(only(&project), "missing_file latchwork.toml:0:0");
}

#[test]
fn a_folder_in_place_of_the_configuration() {
    let findings = load(Path::new(DATA)).unwrap_err();
    assert_eq!(findings[0].code, "unreadable_file");
}

#[test]
fn a_byte_order_mark() {
    let project = Project::new();
    project.replace("catalog/stock.toml", "[app.warehouse]", "\u{feff}[app.warehouse]");
    let findings = project.findings();
    assert_eq!(place(&findings[0]), "byte_order_mark catalog/stock.toml:1:1");
}

#[test]
fn a_nul_character() {
    let project = Project::new();
    project.replace("latchwork.toml", "id = \"gw-1\"", "id = \"gw\0-1\"");
    assert_eq!(only(&project), "nul_character latchwork.toml:4:9");
}

#[test]
fn a_file_that_is_not_utf8() {
    let project = Project::new();
    fs::write(project.path("groups.toml"), b"groups = [\n\"\xff\"]").unwrap();
    let findings = project.findings();
    assert!(findings.iter().any(|finding| place(finding) == "not_utf8 groups.toml:2:2"), "{findings:#?}");
}

#[test]
fn a_huge_file_is_not_read_to_its_end() {
    let project = Project::new();
    let file = fs::File::create(project.path("policies/huge.cedar")).unwrap();
    file.set_len(FILE_BYTES_MAX + 1).unwrap();
    assert_eq!(only(&project), "file_too_large policies/huge.cedar:0:0");
}

#[test]
fn a_folder_of_policies_inside_itself() {
    let project = Project::new();
    symlink(project.path("policies"), project.path("policies/team/again")).unwrap();
    assert_eq!(only(&project), "folder_loop policies/team/again:0:0");
}

#[test]
fn a_link_to_nowhere_among_the_policies() {
    let project = Project::new();
    symlink("nowhere", project.path("policies/gone.cedar")).unwrap();
    assert_eq!(only(&project), "missing_file policies/gone.cedar:0:0");
}

#[test]
fn hidden_policies_are_left_out_and_the_order_is_lexical() {
    let project = Project::new();
    fs::create_dir(project.path("policies/..data")).unwrap();
    project.write("policies/..data/copy.cedar", "a second copy");
    project.write("policies/a.cedar", "");
    project.write("policies/notes.txt", "");
    let loaded = project.load().unwrap();
    let names: Vec<_> = loaded.policies.iter().map(|s| s.file.rsplit('/').next().unwrap().to_owned()).collect();
    assert_eq!(names, ["a.cedar", "shop.cedar", "stock.cedar"]);
}

#[test]
fn a_catalog_that_two_patterns_match_is_read_once() {
    let project = Project::new();
    project.replace("latchwork.toml", "[\"catalog/*.toml\"]", "[\"catalog/*.toml\", \"./catalog/shop.toml\"]");
    assert_eq!(project.findings(), []);
}

#[test]
fn an_empty_catalog_is_odd() {
    let project = Project::new();
    project.write("catalog/new.toml", "");
    assert_eq!(only(&project), "warning empty_catalog catalog/new.toml:0:0");
}

#[test]
fn an_empty_configuration_says_what_is_needed() {
    let project = Project::new();
    project.write("latchwork.toml", "");
    let found: Vec<String> = project.findings().iter().map(place).collect();
    assert_eq!(found, ["no_function latchwork.toml:1:1", "no_listener latchwork.toml:1:1"]);
}

#[test]
fn a_key_written_into_the_configuration_is_not_repeated() {
    let project = Project::new();
    let key = "-----BEGIN PRIVATE KEY-----secret";
    project.replace("latchwork.toml", "file:tls/server.key", key);
    let findings = project.findings();
    assert_eq!(place(&findings[0]), "inline_secret latchwork.toml:10:47");
    assert!(!format!("{findings:?}").contains("KEY-----secret"), "{findings:?}");
}

#[test]
fn findings_have_an_end() {
    let project = Project::new();
    let functions: String = (0..300).map(|n| format!("[function.f{n}]\n")).collect();
    project.write("catalog/many.toml", &functions);
    let findings = project.findings();
    assert_eq!(findings.len(), crate::config::report::FINDINGS_MAX + 1);
    assert_eq!(findings.last().unwrap().code, "too_many_findings");
}

#[test]
fn a_relative_path_without_a_folder_works_from_there() {
    // `latchwork.toml` alone has the empty path as its folder.
    let findings = load(Path::new("latchwork.toml")).unwrap_err();
    assert_eq!((findings[0].code, findings[0].file.as_str()), ("missing_file", "latchwork.toml"));
}

#[test]
fn a_large_catalog_is_loaded_whole() {
    let project = Project::new();
    let function = |n: usize| {
        format!(
            "[function.\"bulk.f{n}\"]\napp = \"shop\"\nroute = \"GET /bulk/{n}/{{id}}\"\n\
             targets = [{{ http = {{ url = \"http://127.0.0.1:9500/{{id}}\" }} }}]\n"
        )
    };
    let functions: String = (0..3_000).map(function).collect();
    project.write("catalog/bulk.toml", &functions);
    let loaded = project.load().unwrap_or_else(|findings| panic!("{findings:#?}"));
    let last = loaded.config.functions.iter().find(|f| f.declared.name.as_str() == "bulk.f2999").unwrap();
    assert_eq!((loaded.config.functions.len(), last.written.1), (3_005, 4 * 2_999 + 1));
}
