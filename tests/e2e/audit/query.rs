//! The log of a live gateway answers by command, as JSON lines and over gRPC, to those whom policy lets, and says who asked.

use serde_json::{Value, json};
use std::fs;
use tests::{
    client::Request,
    fetch, grpcio,
    latchwork::{self, Running},
    oidc::{AUDIENCE, Issuer},
    origin::Origin,
    project::Project,
    records,
};

use proto::{
    admin::v1::{QueryRequest, QueryResponse, query_response::Part},
    prost::Message,
};

const POLICIES: &str = r#"
@id("open")
permit (principal, action in Action::"call", resource);
@id("no-gold")
forbid (principal, action == Action::"shop.gold", resource);
@id("auditors")
permit (principal in Group::"corp/audit", action == Action::"audit.read", resource);
"#;

struct World {
    issuer: Issuer,
    project: Project,
    gateway: Running,
    _origin: Origin,
}

impl World {
    async fn start() -> Option<Self> {
        let project = Project::new();
        let issuer = Issuer::start(project.folder()).await?;
        let origin = Origin::start().await;
        let table = format!(
            "[identity.issuer.corp]\nissuer = \"{}\"\naudiences = [\"{AUDIENCE}\"]\nprincipal = \"User\"\n\
             groups = {{ claim = \"groups\", declared = [\"audit\"] }}",
            issuer.url
        );
        let project = project
            .anonymous()
            .http("shop.stock", "GET /stock/{sku}", &origin.url, "")
            .http("shop.gold", "GET /gold/{sku}", &origin.url, "")
            .audited("segment_bytes_max = 65536")
            .tables(&table)
            .policy(POLICIES);
        let config = fs::read_to_string(project.config()).expect("a configuration");
        project.write("latchwork.toml", &config.replace("[admin]\n", "[admin]\nidentify = [\"corp\"]\n"));
        let gateway = latchwork::run(&project.folder().join("latchwork.toml"), &project.ca()).await;
        Some(Self { issuer, project, gateway, _origin: origin })
    }

    async fn token(&self, name: &str, groups: &[&str]) -> String {
        let now = jiff::Timestamp::now().as_second();
        let claims = json!({ "iss": self.issuer.url, "aud": AUDIENCE, "sub": name, "groups": groups,
            "iat": now, "exp": now + 600 });
        self.issuer.signed(json!({}), claims).await
    }

    fn said(&self, line: &str, expected: i32) -> String {
        said(&self.project, line, expected)
    }

    fn lines(&self, line: &str) -> Vec<Value> {
        let said = self.said(line, 0);
        said.lines()
            .filter(|line| line.starts_with('{'))
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }
}

fn said(project: &Project, line: &str, expected: i32) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let output = tokio::task::block_in_place(|| latchwork::command(project.folder(), &words));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(expected), "`{line}`: {said}");
    said
}

/// Ids of calls, in their order.
fn ids(answer: &[Value]) -> Vec<String> {
    answer.iter().map(|call| call["call"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_log_answers_in_every_way() {
    let Some(world) = World::start().await else { return };
    let client = world.gateway.client();
    let (mut stock, mut gold) = (Vec::new(), Vec::new());
    for number in 0..80 {
        stock.push(client.send(Request::get(&format!("/stock/{number}"))).await.call_id());
        if number % 16 == 0 {
            let denied = client.send(Request::get(&format!("/gold/{number}"))).await;
            assert_eq!(denied.status, 404);
            gold.push(denied.call_id());
        }
    }
    client.send(Request::get("/nowhere")).await;
    stock.reverse();
    gold.reverse();
    world.project.write("nora", &world.token("nora", &["audit"]).await);
    world.project.write("rita", &world.token("rita", &[]).await);

    // From the files, with an index and without.
    for way in ["", " --no-index", " --gateway --token-file nora"] {
        let ask = |question: &str| world.lines(&format!("audit query --format json {question}{way}"));
        assert_eq!(ids(&ask("--function shop.stock --outcome completed")), stock, "{way}");
        assert_eq!(ids(&ask("--policy no-gold --since 1h")), gold, "{way}");
        assert_eq!(ids(&ask("--text /gold/32")), [gold[2].clone()], "{way}");
        assert_eq!(ids(&ask("--function shop.* -n 2 --oldest"))[0], stock[79], "{way}");
        let denials = ask("--report denials");
        assert_eq!(denials[0]["by"], json!({"policy": "no-gold", "reason": "forbidden", "function": "shop.gold"}));
        assert_eq!(denials[0]["calls"], 5, "{way}");
        let functions = ask("--report functions --function shop.stock");
        assert_eq!((&functions[0]["calls"], &functions[0]["latency"]["ran"]), (&json!(80), &json!(80)), "{way}");
        assert!(functions[0]["latency"]["p50_us"].as_u64().is_some_and(|took| took > 0), "{way}");
        let counts = ask("--group-by refusal,status --outcome denied,refused");
        assert_eq!(counts.iter().map(|count| count["calls"].as_u64().unwrap()).sum::<u64>(), 6, "{way}");
        let records = ask(&format!("--records --call {}", stock[0]));
        assert_eq!(records, records::of_call(&world.project.audit(), &stock[0]), "{way}");
        assert_eq!(ask("--records --kind admin --text start --oldest")[0]["verb"], "start", "{way}");
        let table = world.said(&format!("audit query --report callers{way}"), 0);
        assert!(table.starts_with("CALLER"), "{table}");
        let line = world.said(&format!("audit query --outcome denied -n 1{way}"), 0);
        assert!(line.contains("deny") && line.contains("forbidden  by no-gold") && line.contains(&gold[0]), "{line}");
    }
    let index = world.project.audit().read_dir().unwrap().flatten().map(|node| node.path());
    let index: Vec<_> =
        index.filter(|node| node.is_dir()).flat_map(|node| fs::read_dir(node).unwrap().flatten()).collect();
    assert!(index.iter().any(|incarnation| incarnation.path().join("index").exists()), "an index was kept");
    let explained = world.said(&format!("explain {}", gold[0]), 0);
    assert!(explained.contains("no-gold"), "{explained}");

    for (line, why) in [
        ("audit query --gateway", "a credential is needed"),
        ("audit query --gateway --token-file rita", "do `audit.read`: no permit is satisfied"),
    ] {
        let said = world.said(line, 2);
        assert!(said.contains(why), "{said}");
    }
    for line in ["audit query --since soon", "audit query --status 6xx", "audit query --call x"] {
        world.said(line, 3);
    }
    over_grpc(&world, &stock, &gold).await;

    let asked = records::read(&world.project.audit()).into_iter().filter(|record| record["verb"] == "audit.read");
    let asked: Vec<_> = asked.collect();
    let by = |who: &str| asked.iter().filter(|record| record["who"] == format!("User::\"corp/{who}\"")).count();
    assert_eq!((by("nora"), by("rita")), (11 + 3, 2), "{asked:?}");
    assert!(asked.iter().any(|record| record["detail"].as_str().is_some_and(|d| d.contains("policy=no-gold"))));
    world.gateway.stop().await;
    // What lies beside the segments is no part of what is proved.
    said(&world.project, "audit verify audit --key audit/test/vkey", 0);
}

/// The same questions by Google's client, in clear text, as the interface is local.
async fn over_grpc(world: &World, stock: &[String], gold: &[String]) {
    let Some(python) = fetch::python("grpcio") else { return };
    let (nora, rita) = (world.token("nora", &["audit"]).await, world.token("rita", &[]).await);
    let step = |asked: QueryRequest, token: Option<&str>| {
        let metadata = token.map_or(json!({}), |token| json!({ "authorization": format!("Bearer {token}") }));
        let hex: String = asked.encode_to_vec().iter().map(|byte| format!("{byte:02x}")).collect();
        json!({ "kind": "native", "shape": "server", "method": "/latchwork.admin.v1.Audit/Query",
            "send_hex": [hex], "metadata": metadata })
    };
    let of_stock = QueryRequest { function: vec!["shop.stock".into()], ..QueryRequest::default() };
    let steps = [
        step(of_stock.clone(), Some(&nora)),
        step(QueryRequest { report: "denials".into(), ..QueryRequest::default() }, Some(&nora)),
        step(QueryRequest { records: true, call: vec![gold[0].clone()], ..QueryRequest::default() }, Some(&nora)),
        step(of_stock.clone(), Some(&rita)),
        step(of_stock, None),
    ];
    let url = &world.gateway.admin;
    let answers = grpcio::client(&python, url, &world.project.ca(), None, &steps).await;
    let parts = |answer: &Value| -> Vec<Part> {
        let messages = answer["hex"].as_array().expect("messages").iter();
        let bytes = messages.map(|hex| {
            let hex = hex.as_str().expect("hex");
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect::<Vec<u8>>()
        });
        bytes.filter_map(|bytes| QueryResponse::decode(&*bytes).expect("a message").part).collect()
    };
    assert_eq!(answers[0]["code"], "OK", "{}", answers[0]);
    let found = parts(&answers[0]);
    let calls =
        found.iter().filter_map(|part| if let Part::Call(call) = part { Some(call.call.clone()) } else { None });
    assert_eq!(calls.collect::<Vec<_>>(), stock);
    assert!(matches!(found.last(), Some(Part::End(end)) if end.items == 80 && end.counted), "{found:?}");
    assert!(matches!(&parts(&answers[1])[0], Part::Group(group) if group.calls == 5), "{}", answers[1]);
    let Part::Record(record) = &parts(&answers[2])[0] else { panic!("{}", answers[2]) };
    let record: Value = serde_json::from_slice(record).expect("JSON");
    assert_eq!(record, records::of_call(&world.project.audit(), &gold[0])[0]);
    assert_eq!(answers[3]["code"], "PERMISSION_DENIED", "{}", answers[3]);
    assert_eq!(answers[4]["code"], "UNAUTHENTICATED", "{}", answers[4]);
}
