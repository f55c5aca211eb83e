//! The example `shipping`, with only its ports and its password made for the test, and what its README says of it.

use super::{CALLS, calls, whole};
use crate::examples::{copy, replace, succeeds};
use std::{collections::BTreeSet, env, fs, os::unix::fs::PermissionsExt, process::Command};
use tests::{built, client::Request, latchwork, nats::Nats, records, root, wait};

#[tokio::test]
async fn the_example_ships_to_three_places_and_its_bucket_is_a_log_again() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let folder = parent.path().join("shipping");
    copy(&root().join("deploy/examples/shipping"), &folder);
    let (password, secret) = ("of-the-example-only", folder.join("nats.secret"));
    fs::write(&secret, format!("{password}\n")).expect("the folder is ours");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("the file is ours");
    let text = fs::read_to_string(folder.join("nats.conf")).expect("the example has it");
    let text = text.replace("127.0.0.1:4222", "127.0.0.1:-1");
    let Some(nats) = Nats::start_as(parent.path(), &text, &[("NATS_PASSWORD", password)]).await else { return };
    let config = folder.join("latchwork.toml");
    replace(
        &config,
        &[
            ("127.0.0.1:4222", &format!("127.0.0.1:{}", nats.port)),
            ("127.0.0.1:8080", "127.0.0.1:0"),
            ("127.0.0.1:9443", "127.0.0.1:0"),
            ("127.0.0.1:8090", &format!("127.0.0.1:{}", wait::free_port())),
        ],
    );
    succeeds(&folder, &["check"]);
    succeeds(&folder, &["policy", "test"]);
    crate::scenarios::judged_by_the_printed_schema(&folder);

    let no_certificate = folder.join("no-certificate.pem");
    let gateway = latchwork::run(&config, &no_certificate).await;
    for _ in 0..CALLS {
        assert_eq!(gateway.client().send(Request::get("/stock/42")).await.status, 502);
    }
    gateway.stop().await;
    let first: Vec<String> = records::lines(&folder.join("audit"));
    let gateway = latchwork::run(&config, &no_certificate).await;
    let reader = || async_nats::ConnectOptions::with_user_and_password("reader".into(), password.into());
    whole(&nats, reader, &folder.join("audit")).await;
    wait::until("everything of the first start is in the bucket", wait::LONG, || async {
        (records::lines(&folder.join("bucket")).len() >= first.len()).then_some(())
    })
    .await;
    let log = gateway.stop().await;
    assert!(!log.contains(password), "{log}");

    let decisions = fs::read_to_string(folder.join("decisions.jsonl")).expect("the file is there");
    let wanted = ["\"kind\":\"intent\"", "\"kind\":\"refused\"", "\"kind\":\"admin\""];
    let of_kind = |line: &&String| wanted.iter().any(|kind| line.contains(kind));
    let expected: BTreeSet<&str> = first.iter().filter(of_kind).map(String::as_str).collect();
    let copied: BTreeSet<&str> = decisions.lines().collect();
    assert!(expected.is_subset(&copied) && copied.iter().all(|line| of_kind(&&(*line).to_owned())), "{decisions}");

    let readme = fs::read_to_string(folder.join("README.md")).expect("the example has it");
    let commands = readme.rsplit("```sh\n").next().and_then(|rest| rest.split("```").next()).expect("commands");
    let binaries = built::latchwork().parent().expect("a folder").to_path_buf();
    let path = format!("{}:{}", binaries.display(), env::var("PATH").expect("a path"));
    let output = Command::new("sh").args(["-e", "-c", commands]).current_dir(&folder).env("PATH", path).output();
    let output = output.expect("a shell");
    assert!(output.status.success(), "{output:?}");
    let again: BTreeSet<String> = records::lines(&folder.join("again")).into_iter().collect();
    assert!(first.iter().all(|line| again.contains(line)), "every record of the first start is in it");
    nats.kill().await;
}

#[tokio::test]
async fn what_is_saved_is_shipped_to_without_a_restart() {
    let (project, _origin, gateway) = super::open_shop("[audit.ship.one]\nfile = { path = \"one.jsonl\" }").await;
    calls(&gateway, CALLS).await;
    wait::until("the first file", wait::LONG, || async {
        fs::read_to_string(project.folder().join("one.jsonl")).is_ok_and(|text| !text.is_empty()).then_some(())
    })
    .await;
    let config = project.folder().join("latchwork.toml");
    replace(
        &config,
        &[("[audit.ship.one]\nfile = { path = \"one.jsonl\" }", "[audit.ship.two]\nfile = { path = \"two.jsonl\" }")],
    );
    gateway.admin().send(Request::post("/latchwork/v1/reload", "").header("latchwork-admin", "1")).await;
    wait::until("the other file", wait::LONG, || async {
        let lines = fs::read_to_string(project.folder().join("two.jsonl")).unwrap_or_default();
        lines.lines().map(str::to_owned).eq(records::lines(&project.audit())).then_some(())
    })
    .await;
    let before = records::lines(&project.audit());
    calls(&gateway, CALLS).await;
    gateway.stop().await;
    // What it had been given it may have written meanwhile, but nothing that came since.
    let first = fs::read_to_string(project.folder().join("one.jsonl")).expect("the first file");
    assert!(first.lines().all(|line| before.iter().any(|known| known == line)), "{first}");
}
