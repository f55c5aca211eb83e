//! A service at several places: a connection goes to the first that can be reached.

use super::{Echo, Front, ends, project_of, talks};
use serde_json::json;
use tests::{latchwork, raw::Raw, records};
use tokio::net::TcpListener;

const FUNCTION: &str = "function = \"shop.events\"";

/// A place where nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    format!("tcp://{}", listener.local_addr().expect("an address"))
}

async fn front_of(urls: &[String], more: &str) -> Front {
    let (project, authority) = project_of(urls, more, FUNCTION);
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    Front { project, gateway, authority }
}

#[tokio::test]
async fn a_connection_goes_to_the_first_target_that_can_be_reached() {
    // The second takes connections and never says a word of TLS.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = silent.local_addr().expect("an address").port();
    let echo = Echo::start(None).await;
    let urls = [nobody().await, format!("tls://localhost:{port}"), format!("tcp://127.0.0.1:{}", echo.port)];
    let front = front_of(&urls, "dispatch = { attempt_timeout = \"200ms\", failures_max = 1, rest = \"5m\" }").await;
    let mut app = Raw::connect(&front.client("app")).await.expect("a handshake");
    // It speaks before anybody is reached, and is heard by the one who is.
    talks(&mut app).await;
    drop(app);
    let closed = front.closed().await;
    assert_eq!(records::kinds(&closed), ["intent", "attempt", "attempt", "answered", "closed"], "{closed:?}");
    assert_eq!((&closed[0]["target"], &closed[0]["targets"]), (&json!(0), &json!([0, 1, 2])), "{}", closed[0]);
    assert_eq!((&closed[1]["target"], &closed[1]["failed"]), (&json!(1), &json!("unreachable")), "{}", closed[1]);
    assert_eq!((&closed[2]["target"], &closed[2]["failed"]), (&json!(2), &json!("timed_out")), "{}", closed[2]);
    assert_eq!(closed[4]["run"], json!({ "target": 2, "provider": "tcp" }), "{}", closed[4]);
    assert_eq!((&closed[4]["bytes_in"], &closed[4]["bytes_out"]), (&json!(6), &json!(6)), "{}", closed[4]);
    // Both rest now, so the next connection is made at once.
    let mut app = Raw::connect(&front.client("app")).await.expect("a handshake");
    talks(&mut app).await;
    drop(app);
    let closed = front.closed().await;
    assert_eq!(records::kinds(&closed), ["intent", "answered", "closed"], "{closed:?}");
    let resting = closed[0]["resting"].as_array().map(Vec::len);
    assert_eq!((&closed[0]["target"], resting), (&json!(2), Some(2)), "{}", closed[0]);
    assert_eq!(echo.connected(), 2);
    let story = latchwork::command(front.project.folder(), &["explain", "--last", "-c", "latchwork.toml"]);
    let story = String::from_utf8_lossy(&story.stdout).into_owned();
    assert!(story.contains("101 from target 2"), "{story}");
    front.gateway.stop().await;
}

#[tokio::test]
async fn a_target_that_policy_forbids_is_not_connected_to() {
    let echo = Echo::start(None).await;
    let urls = [nobody().await, format!("tcp://127.0.0.1:{}", echo.port)];
    let (project, authority) = project_of(&urls, "dispatch = { attempts_max = 3 }", FUNCTION);
    let config = project.config();
    let text = std::fs::read_to_string(&config).expect("the configuration");
    let second = format!("{{ tcp = {{ url = \"{}\" }} }}", urls[1]);
    assert!(text.contains(&second), "{text}");
    std::fs::write(&config, text.replace(&second, &second.replacen('{', "{ region = \"us\",", 1))).expect("ours");
    project.write_policies(&format!(
        "{}\n@id(\"here\")\nforbid (principal, action == Action::\"run_on\", resource in Region::\"us\");",
        super::POLICY
    ));
    let gateway = latchwork::run(&config, &project.ca()).await;
    let front = Front { project, gateway, authority };
    let mut app = Raw::connect(&front.client("app")).await.expect("a handshake");
    ends(&mut app).await;
    let closed = front.closed().await;
    // Time and again the one that is permitted, and no other.
    assert_eq!(records::kinds(&closed), ["intent", "attempt", "attempt", "closed"], "{closed:?}");
    assert_eq!((&closed[0]["targets"], &closed[3]["error"]), (&json!([0]), &json!("unreachable")), "{closed:?}");
    assert!(closed[1..3].iter().all(|attempt| attempt["target"] == 0), "{closed:?}");
    assert_eq!(echo.connected(), 0, "it may not run there");
    front.gateway.stop().await;
}

#[tokio::test]
async fn a_connection_that_was_made_is_not_made_again() {
    // It takes connections and hangs up on whoever speaks.
    let rude = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("tcp://{}", rude.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = rude.accept().await {
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 16]).await;
        }
    });
    let echo = Echo::start(None).await;
    let front = front_of(&[url, format!("tcp://127.0.0.1:{}", echo.port)], "").await;
    let mut app = Raw::connect(&front.client("app")).await.expect("a handshake");
    assert!(app.send(b"hello").await);
    ends(&mut app).await;
    drop(app);
    let closed = front.closed().await;
    assert_eq!(records::kinds(&closed), ["intent", "answered", "closed"], "{closed:?}");
    assert_eq!((closed[1]["target"].as_u64(), echo.connected()), (Some(0), 0), "{closed:?}");
    front.gateway.stop().await;
}

#[test]
fn what_makes_no_sense_for_connections_is_said() {
    let urls = ["tcp://127.0.0.1:1", "tcp://127.0.0.1:2"].map(str::to_owned);
    for (dispatch, said) in [
        ("attempt_timeout = \"1s\"", None),
        ("hedge_after = \"1s\"", Some("connections are made one after the other")),
        ("attempt_timeout = \"3s\"", Some("not shorter than the function's `timeout`")),
    ] {
        let (project, _) = project_of(&urls, &format!("dispatch = {{ {dispatch} }}"), FUNCTION);
        let output = latchwork::command(project.folder(), &["check", "-c", &project.config().display().to_string()]);
        let found = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        match said {
            Some(said) => assert!(found.contains(said), "{dispatch}: {found}"),
            None => assert!(output.status.success(), "{dispatch}: {found}"),
        }
    }
}
