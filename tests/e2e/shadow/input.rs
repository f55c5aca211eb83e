//! An input that only the shadow reads: it is copied while it passes, and one that can't be read refuses nobody.

use super::*;

const READS: &str = "@id(\"big\") @mode(\"shadow\")\nforbid (principal, action == Action::\"shop.order\", resource)\n\
    when { context.input.amount > 50 };\n\
    @id(\"small\") @mode(\"shadow\")\npermit (principal, action == Action::\"shop.refund\", resource)\n\
    when { context.input.amount < 10 };";

const ORDERS: &str = "@id(\"order\")\npermit (principal, action == Action::\"shop.order\", resource);\n\
    @id(\"tell\")\npermit (principal, action == Action::\"describe\", resource);";

fn project(origin: &Origin, policies: &str) -> Project {
    let schema = json!({"type": "object", "required": ["amount"], "properties": {"amount": {"type": "integer"}}});
    let input = "input = \"schemas/order.json\"\nrequest_bytes_max = 100000";
    Project::new()
        .anonymous()
        .schema("order.json", &schema)
        .http("shop.order", "POST /orders", &origin.url, input)
        .http("shop.refund", "POST /refunds", &origin.url, input)
        .policy(ORDERS)
        .policy(policies)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_the_shadow_reads_is_refused_to_nobody() {
    let origin = Origin::start().await;
    let (plain, watched) = (project(&origin, ""), project(&origin, READS));
    let without = latchwork::run(&plain.config(), &plain.ca()).await;
    let with = latchwork::run(&watched.config(), &watched.ca()).await;
    let json = |path: &str, body: &str| Request::post(path, body.to_owned()).header("content-type", "application/json");
    let long = format!("{{\"amount\": 1, \"note\": \"{}\"}}", "x".repeat(90_000));
    let mut judged = 0;
    for (request, would, policies) in [
        (json("/orders", "{\"amount\": 51}"), Some("deny"), json!(["big"])),
        (json("/orders", "{\"amount\": 50}"), None, Value::Null),
        (json("/orders", &long), None, Value::Null),
        (json("/refunds", "{\"amount\": 9}"), Some("allow"), json!(["small"])),
        (json("/refunds", "{\"amount\": 10}"), None, Value::Null),
    ] {
        let expected = without.client().send(request.clone()).await;
        let answer = with.client().send(request).await;
        assert_eq!(seen(&answer), seen(&expected));
        judged += 1;
        metric(&with, &format!("latchwork_shadow_asked_total {judged}")).await;
        match would {
            Some(would) => {
                let record = shadowed(&watched, &answer.call_id()).await;
                assert_eq!((&record["would"], &record["determining"]), (&json!(would), &policies), "{record}");
                assert!(record.get("input").is_none(), "{record}");
            }
            None => {
                let kinds = records::of_call(&watched.audit(), &answer.call_id());
                assert!(!records::kinds(&kinds).contains(&"shadow"), "{kinds:?}");
            }
        }
    }
    // Twice the member, no JSON, no content type, not of the schema, nothing at all: 200, and not judged.
    for (place, request) in [
        json("/orders", "{\"amount\": 1, \"amount\": 99}"),
        json("/orders", "{\"amount\": "),
        Request::post("/orders", "{\"amount\": 99}"),
        json("/orders", "{\"amount\": \"99\"}"),
        json("/orders", ""),
        json("/refunds", "{\"amount\": \"1\"}").header("expect", "100-continue"),
        // Much of it is still to come when the denial is out, and the connection is closed.
        json("/refunds", &long),
    ]
    .into_iter()
    .enumerate()
    {
        let expected = without.client().send(request.clone()).await;
        let answer = with.client().send(request).await;
        assert_eq!(seen(&answer), seen(&expected), "{place}");
        let record = shadowed(&watched, &answer.call_id()).await;
        assert_eq!((&record["not_judged"], record.get("would")), (&json!("input"), None), "{place}: {record}");
        metric(&with, &format!("latchwork_shadow_lost_total{{why=\"input\"}} {}", place + 1)).await;
    }
    let stream = without.client().http2().send(json("/refunds", &long)).await;
    let answer = with.client().http2().send(json("/refunds", &long)).await;
    assert_eq!(seen(&answer), seen(&stream));
    assert_eq!(shadowed(&watched, &answer.call_id()).await["would"], "allow", "a stream is read on");
    let seen: Vec<_> = origin.seen().into_iter().map(|seen| seen.body).collect();
    assert!(seen.chunks(2).all(|pair| pair[0] == pair[1]), "the service was sent the same bytes");
    without.stop().await;
    with.stop().await;
}
