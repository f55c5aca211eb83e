//! What is published besides the binary: bill of materials, container definition, unit and the script that makes them.

use std::{fs, process::Command};
use tests::{built, fetch, root, scripts};

/// The worst exposure that the unit may have, as `systemd-analyze security` counts: 0 is none, 10 is all.
const EXPOSURE_MAX: f64 = 2.0;

#[test]
fn the_bill_of_materials_is_whole_and_valid() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("latchwork.cdx.json");
    let output = Command::new(built::executable("sbom")).arg("x86_64-unknown-linux-gnu").arg(&file).output();
    let output = output.expect("the example starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = fs::read_to_string(&file).expect("the bill");
    let bill: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(bill["metadata"]["component"]["name"], "latchwork");
    let components = bill["components"].as_array().expect("a list");
    let named = |name: &str| components.iter().any(|component| component["name"] == name);
    assert!(components.len() > 100 && named("rustls") && named("cedar-policy"), "{} components", components.len());
    assert!(!named("proptest") && !named("trybuild"), "what only tests need is not in the binary");
    for component in components.iter().filter(|c| !["mesh", "policy", "proto"].contains(&c["name"].as_str().unwrap())) {
        assert_eq!(component["hashes"][0]["content"].as_str().map(str::len), Some(64), "{component}");
        assert!(component["licenses"][0]["expression"].is_string(), "{component}");
    }
    let Some(python) = fetch::sbom("cyclonedx-python-lib") else { return };
    let checked = Command::new(python).arg(scripts().join("sbom_check.py")).arg(&file).output().expect("Python starts");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn the_unit_may_do_little() {
    let Some(analyze) = fetch::program_of("systemd-analyze", "systemd") else { return };
    let unit = root().join("deploy/systemd/latchwork.service");
    let output = Command::new(analyze).args(["security", "--offline=true", "--no-pager"]).arg(&unit).output();
    let output = output.expect("systemd-analyze starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let rated = text.lines().find_map(|line| line.split("Overall exposure level for latchwork.service: ").nth(1));
    let exposure = rated.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse::<f64>().ok());
    assert!(exposure.is_some_and(|exposure| exposure <= EXPOSURE_MAX), "{text}");
}

#[test]
fn the_container_holds_the_gateway_alone_and_is_not_root() {
    let text = fs::read_to_string(root().join("deploy/docker/Containerfile")).expect("the definition");
    let instructions: Vec<(&str, &str)> = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once(' ').unwrap_or_else(|| panic!("`{line}` has no argument")))
        .collect();
    let known = ["FROM", "COPY", "WORKDIR", "VOLUME", "USER", "EXPOSE", "STOPSIGNAL", "ENTRYPOINT", "CMD"];
    for (name, _) in &instructions {
        assert!(known.contains(name), "`{name}` is no instruction that a small image needs");
    }
    let one = |wanted: &str| {
        let mut found = instructions.iter().filter(|(name, _)| *name == wanted).map(|(_, argument)| *argument);
        let first = found.next().unwrap_or_else(|| panic!("no {wanted}"));
        assert_eq!(found.next(), None, "{wanted} twice");
        first
    };
    assert_eq!(instructions[0].0, "FROM");
    assert!(one("FROM").contains(":nonroot"), "the base has no shell and no root");
    let user: u32 = one("USER").split(':').next().and_then(|id| id.parse().ok()).expect("a user by number");
    assert!(user > 0, "not root");
    assert_eq!(one("STOPSIGNAL"), "SIGTERM");
    let words = |argument: &str| serde_json::from_str::<Vec<String>>(argument).expect("the form without a shell");
    assert_eq!(words(one("ENTRYPOINT")), ["/usr/local/bin/latchwork"]);
    assert_eq!(words(one("CMD")), ["run", "--config", "/etc/latchwork/latchwork.toml"]);
    // What is copied is what the script puts beside the definition.
    let script = fs::read_to_string(root().join("deploy/dist.sh")).expect("the script");
    let copies = instructions.iter().filter(|(name, _)| *name == "COPY").map(|(_, argument)| *argument);
    for argument in copies {
        let words: Vec<&str> = argument.split_whitespace().filter(|word| !word.starts_with("--")).collect();
        let (place, files) = words.split_last().expect("a place");
        assert!(place.starts_with('/') && !files.is_empty(), "{argument}");
        assert!(argument.contains("--chown=0:0") && argument.contains("--chmod=0"), "not the user's to change");
        for file in files {
            assert!(script.contains(file), "`{file}` is not made by deploy/dist.sh");
        }
    }
}

#[test]
fn the_script_is_one_that_a_plain_shell_reads() {
    let output = Command::new("sh").arg("-n").arg(root().join("deploy/dist.sh")).output().expect("sh starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made = fs::read_to_string(root().join("deploy/dist.sh")).expect("the script");
    for wanted in ["--locked", "--profile dist", "sha256sum", "set -eu"] {
        assert!(made.contains(wanted), "no `{wanted}`");
    }
}
