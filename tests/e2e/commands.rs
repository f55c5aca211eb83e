//! Every command of the real binary ends with the exit code that is a contract: 0 done, 1 failed, 2 denied, 3 invalid.

use std::{collections::BTreeSet, fs, process::Output};
use tests::{latchwork, origin::Origin, project::Project};

/// A command line in a folder with a sound project, and how it ends.
const ENDS: [(&str, i32); 130] = [
    ("--version", 0),
    ("--help", 0),
    ("", 3),
    ("no-such-command", 3),
    ("check", 0),
    ("check --format json", 0),
    ("check -c broken.toml", 3),
    ("check -c absent.toml", 3),
    ("check --no-such-flag", 3),
    ("policy test", 0),
    ("policy test --format json", 0),
    ("policy test -c broken.toml", 3),
    ("policy test -c absent.toml", 3),
    ("policy decide", 3),
    ("policy diff . .", 0),
    ("policy diff . absent", 3),
    ("policy replay absent", 3),
    ("policy suggest -c absent.toml", 3),
    ("policy unused -c absent.toml", 3),
    ("policy decide --policies absent.cedar", 3),
    ("policy key new latchwork.toml --person alice", 1),
    ("policy key", 3),
    ("policy sign new.bundle --key file:absent.pem", 3),
    ("policy verify absent.bundle --keys absent.toml", 3),
    ("policy verify absent.bundle --keys absent.toml --format json", 3),
    ("policy approve absent.bundle", 3),
    ("policy approve latchwork.toml --admin http://127.0.0.1:9", 1),
    ("policy publish absent.bundle", 3),
    ("policy rollback 1 new.bundle --key file:absent.pem", 3),
    ("policy history", 0),
    ("policy history --format json", 0),
    ("policy emergency", 3),
    ("policy emergency forbid --reason x", 3),
    ("policy emergency forbid --function shop.echo --reason x --admin http://127.0.0.1:9", 1),
    ("policy emergency list --admin http://127.0.0.1:9", 1),
    ("policy emergency lift 1 --reason x --admin http://127.0.0.1:9", 1),
    ("policy test no-such-case", 1),
    ("policy test --min-coverage 101", 3),
    ("policy what-if --principal anonymous --function shop.echo --set facts.transport.mtls=true", 0),
    ("policy what-if --principal anonymous --function shop.echo --set facts.transport.mtsl=true --format json", 3),
    ("policy what-if --last", 1),
    ("policy who-can shop.echo", 0),
    ("policy who-can shop.ecko", 3),
    ("policy can anonymous --format json", 0),
    ("policy can no-caller", 3),
    ("explain --principal anonymous --function shop.echo", 0),
    ("explain --principal anonymous --function shop.ecko", 3),
    ("explain --question absent.json", 3),
    ("policy", 3),
    ("policy new shop.echo --expires 2099-12-31 --id a --owner a", 0),
    ("policy new shop.echo --expires 2099-12-31 --id b --owner a", 1),
    ("policy new shop.absent", 3),
    ("policy new shop.echo --forbid --expires 2099-12-31", 3),
    ("policy new shop.echo -c absent.toml", 3),
    ("policy check", 0),
    ("policy check --format json", 0),
    ("policy check --deny-warnings", 3),
    ("policy check --lints", 0),
    ("policy check -c absent.toml", 3),
    ("policy format --check", 1),
    ("policy format", 0),
    ("policy format --check --format json", 0),
    ("policy format absent.cedar", 3),
    ("policy schema", 0),
    ("policy schema --function shop.absent", 3),
    ("policy schema -c absent.toml", 3),
    ("key", 3),
    ("key new acme -c absent.toml", 3),
    ("key rotate acme -c absent.toml", 3),
    ("key revoke acme -c absent.toml", 3),
    ("key list -c absent.toml", 3),
    ("init fresh --format json", 0),
    ("quickstart --dir policies", 3),
    ("run -c broken.toml", 3),
    ("run -c absent.toml", 3),
    ("reload --admin http://127.0.0.1:9", 1),
    ("reload -c absent.toml", 3),
    ("reload --admin :::", 3),
    ("call shop.echo", 1),
    ("call shop.absent", 3),
    ("call shop.echo --key secret", 3),
    ("call shop.echo --cert-key server.key", 3),
    ("call shop.echo --data @absent.json", 3),
    ("call shop.echo --grpc --format json", 1),
    ("call shop.echo -c absent.toml", 3),
    ("explain 00000000-0000-0000-0000-000000000000", 1),
    ("explain no-id", 3),
    ("token mint", 3),
    ("token inspect no.token.here", 1),
    ("token inspect no.token.here -c absent.toml", 3),
    ("token", 3),
    ("audit key show -c absent.toml", 3),
    ("audit key new --file made.key", 0),
    ("audit key show --file made.key --format json", 0),
    ("audit key hash -c absent.toml", 3),
    ("audit key hash --file made.hash", 0),
    ("audit key hash --file made.hash", 1),
    ("audit key auditor made.auditor --format json", 0),
    ("audit export -c absent.toml", 3),
    ("audit export --log nowhere", 1),
    ("audit hash value --key made.hash", 0),
    ("audit hash value --key made.key", 3),
    ("audit hash value", 3),
    ("audit erase corp/ada --reason x --admin http://127.0.0.1:9", 1),
    ("audit erase corp/ada", 3),
    ("audit hold", 3),
    ("audit hold set --reason x", 3),
    ("audit hold set corp/ada --all --reason x", 3),
    ("audit hold set --all --reason x --admin http://127.0.0.1:9", 1),
    ("audit hold lift corp/ada --reason x --admin http://127.0.0.1:9", 1),
    ("audit hold list --admin http://127.0.0.1:9", 1),
    ("audit reveal no-id --key made.auditor --reason x", 3),
    ("audit reveal 01930000-0000-7000-8000-000000000000 --key made.key --reason x", 3),
    ("audit reveal 01930000-0000-7000-8000-000000000000 --key made.auditor --reason x --admin http://127.0.0.1:9", 1),
    ("audit detect -c absent.toml", 3),
    ("audit detect --audit absent", 3),
    ("audit verify -c absent.toml", 3),
    ("audit prove 01930000-0000-7000-8000-000000000000 -c absent.toml", 3),
    ("audit query -c absent.toml", 3),
    ("audit tail -c absent.toml", 3),
    ("audit", 3),
    ("cost -c absent.toml", 3),
    ("cost --by colour", 3),
    ("cost --compare --by day", 3),
    ("completions bash", 0),
    ("completions zsh", 0),
    ("completions fish", 0),
    ("completions csh", 3),
    ("man", 0),
    ("man latchwork.toml", 1),
];

#[test]
fn every_command_ends_as_promised() {
    let project = Project::new()
        .anonymous()
        .issuer("corp", "https://login.example.test", "algorithms = [\"ES256\"]")
        .http("shop.echo", "POST /echo", "http://127.0.0.1:9/", "")
        .permit_all();
    project.config();
    project.write("broken.toml", "[nod]\n");
    let mut wrong = Vec::new();
    for (line, expected) in ENDS {
        let words: Vec<&str> = line.split_whitespace().collect();
        let output = latchwork::command(project.folder(), &words);
        if output.status.code() != Some(expected) {
            wrong.push(format!("`latchwork {line}`: {:?}, not {expected}\n{}", output.status, said(&output)));
        }
        let text = said(&output);
        assert!(!text.is_empty() && !text.contains("panicked"), "`latchwork {line}` does not say why: {text}");
        if line.contains("json") {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let lines = text.lines().filter(|l| serde_json::from_str::<serde_json::Value>(l).is_err());
            let whole = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            assert!(whole || lines.count() == 0, "`latchwork {line}`: {text}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_call_ends_as_policy_says() {
    let origin = Origin::start().await;
    let project = Project::new()
        .anonymous()
        .http("shop.open", "POST /open", &origin.url, "")
        .http("shop.shut", "POST /shut", &origin.url, "")
        .policy("@id(\"open\")\npermit (principal, action == Action::\"shop.open\", resource);")
        .policy("@id(\"seen\")\npermit (principal, action == Action::\"describe\", resource);");
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    for (function, expected) in [("shop.open", 0), ("shop.shut", 2)] {
        let url = gateway.url.clone();
        let folder = project.folder().to_path_buf();
        let call = move || latchwork::command(&folder, &["call", function, "--url", &url, "--cacert", "ca.pem"]);
        let output = tokio::task::spawn_blocking(call).await.expect("the command ends");
        assert_eq!(output.status.code(), Some(expected), "`{function}`: {}", said(&output));
    }
    let folder = project.folder().to_path_buf();
    let last = |words: &[&str]| said(&latchwork::command(&folder, words));
    let story = last(&["explain", "--last"]);
    for part in ["clause by clause, with the policies that decided:", "NOT PERMITTED", "nearest permit: `open`"] {
        assert!(story.contains(part), "{part}: {story}");
    }
    let flip = last(&["policy", "what-if", "--last", "--set", "facts.transport.tls=0"]);
    assert!(flip.contains("before: NOT PERMITTED") && flip.contains("no clause comes out otherwise"), "{flip}");
    project
        .write("policies/more.cedar", "@id(\"shut\") permit (principal, action == Action::\"shop.shut\", resource);");
    let changed = last(&["explain", "--last"]);
    assert!(changed.contains("THE POLICIES HAVE CHANGED SINCE; today's give ANOTHER answer:"), "{changed}");
    gateway.stop().await;
}

#[test]
fn every_command_is_in_the_table() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pages = folder.path().join("man");
    let output = latchwork::command(folder.path(), &["man", &pages.to_string_lossy()]);
    assert!(output.status.success(), "{}", said(&output));
    let names = fs::read_dir(&pages).expect("the pages").flatten();
    let names: BTreeSet<String> = names.map(|page| page.file_name().to_string_lossy().replace(".1", "")).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names.iter().filter_map(|name| name.strip_prefix("latchwork-")) {
        let words = name.replace('-', " ");
        assert!(
            ENDS.iter().any(|(line, _)| line.replace('-', " ").starts_with(&words)),
            "`latchwork {words}` is not in the table"
        );
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
