//! Writes the bill of materials (CycloneDX 1.6, JSON) of the binary: `sbom TARGET FILE`. `deploy/dist.sh` runs it.

use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    process::{Command, ExitCode},
};

/// The package whose binary it is.
const ROOT: &str = "gateway";

/// What can go wrong is told and ends the program.
type Told<T> = Result<T, String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [target, file] = arguments.as_slice() else {
        return told("usage: sbom TARGET FILE");
    };
    let written = metadata(target).and_then(|metadata| bill(&metadata)).and_then(|bill| {
        let text = serde_json::to_string_pretty(&bill).map_err(|error| error.to_string())?;
        fs::write(file, text + "\n").map_err(|error| format!("`{file}` can't be written: {error}"))
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => told(&problem),
    }
}

fn told(problem: &str) -> ExitCode {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "sbom: {problem}");
    ExitCode::FAILURE
}

fn metadata(target: &str) -> Told<Value> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["metadata", "--format-version", "1", "--locked", "--filter-platform", target];
    let output = Command::new(cargo).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = output.map_err(|error| format!("cargo does not start: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo's answer can't be read: {error}"))
}

/// The bill: what the binary is built from, and what each of that needs. The same sources make the same bill.
fn bill(metadata: &Value) -> Told<Value> {
    let packages: BTreeMap<&str, &Value> = list(metadata, "packages").iter().map(|p| (text(p, "id"), p)).collect();
    let nodes: BTreeMap<&str, &Value> =
        list(metadata.get("resolve").unwrap_or(&Value::Null), "nodes").iter().map(|n| (text(n, "id"), n)).collect();
    let root = packages.values().find(|p| text(p, "name") == ROOT).ok_or("the workspace has no such package")?;
    let mut needs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut open = vec![text(root, "id")];
    while let Some(id) = open.pop() {
        if needs.contains_key(id) {
            continue;
        }
        let node = nodes.get(id).ok_or_else(|| format!("`{id}` is not resolved"))?;
        let built: BTreeSet<&str> =
            list(node, "deps").iter().filter(|dep| is_built(dep)).map(|dep| text(dep, "pkg")).collect();
        open.extend(&built);
        needs.insert(id, built);
    }
    let sums = checksums(text(metadata, "workspace_root"))?;
    let reference = |id: &str| packages.get(id).map(|package| purl(package)).unwrap_or_default();
    let others = needs.keys().filter(|id| **id != text(root, "id"));
    let components: Vec<Value> =
        others.filter_map(|id| packages.get(id)).map(|package| component(package, "library", &sums)).collect();
    let dependencies: Vec<Value> = needs
        .iter()
        .map(|(id, on)| json!({ "ref": reference(id), "dependsOn": on.iter().map(|id| reference(id)).collect::<BTreeSet<_>>() }))
        .collect();
    let mut application = component(root, "application", &sums);
    if let Some(fields) = application.as_object_mut() {
        fields.insert("name".to_owned(), "latchwork".into());
    }
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "component": application, "lifecycles": [{ "phase": "build" }] },
        "components": components,
        "dependencies": dependencies,
    }))
}

/// Tests need more than the binary is built from.
fn is_built(dependency: &Value) -> bool {
    list(dependency, "dep_kinds").iter().any(|kind| kind.get("kind").and_then(Value::as_str) != Some("dev"))
}

fn component(package: &Value, kind: &str, sums: &BTreeMap<(String, String), String>) -> Value {
    let (name, version) = (text(package, "name"), text(package, "version"));
    let mut fields = Map::new();
    fields.insert("type".to_owned(), kind.into());
    fields.insert("bom-ref".to_owned(), purl(package).into());
    fields.insert("name".to_owned(), name.into());
    fields.insert("version".to_owned(), version.into());
    fields.insert("purl".to_owned(), purl(package).into());
    if let Some(license) = package.get("license").and_then(Value::as_str) {
        // The older way to write a choice is none in SPDX.
        let expression = license.replace(" / ", " OR ").replace('/', " OR ");
        fields.insert("licenses".to_owned(), json!([{ "expression": expression }]));
    }
    if let Some(sum) = sums.get(&(name.to_owned(), version.to_owned())) {
        fields.insert("hashes".to_owned(), json!([{ "alg": "SHA-256", "content": sum }]));
    }
    if let Some(repository) = package.get("repository").and_then(Value::as_str) {
        fields.insert("externalReferences".to_owned(), json!([{ "type": "vcs", "url": repository }]));
    }
    Value::Object(fields)
}

fn purl(package: &Value) -> String {
    // A `+` of a version would be read as a space.
    format!("pkg:cargo/{}@{}", text(package, "name"), text(package, "version").replace('+', "%2B"))
}

/// The checksums of the lock file, by name and version.
fn checksums(root: &str) -> Told<BTreeMap<(String, String), String>> {
    let file = format!("{root}/Cargo.lock");
    let lock = fs::read_to_string(&file).map_err(|error| format!("`{file}` can't be read: {error}"))?;
    let lock: toml::Table = lock.parse().map_err(|error| format!("`{file}` is not TOML: {error}"))?;
    let packages = lock.get("package").and_then(toml::Value::as_array).ok_or("the lock file names no packages")?;
    let field = |package: &toml::Value, key: &str| package.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    Ok(packages
        .iter()
        .filter_map(|p| Some(((field(p, "name")?, field(p, "version")?), field(p, "checksum")?)))
        .collect())
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
