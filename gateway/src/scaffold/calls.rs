//! Calls to try on a fresh quickstart, each with what it shows.

/// The method of calls over gRPC.
pub const GRPC: &str = "GRPC";

/// A call to print and to paste.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// A word for it.
    pub name: &'static str,
    /// Method; [`GRPC`] for a call whose path names a method of gRPC.
    pub method: &'static str,
    /// Path and query.
    pub path: &'static str,
    /// Headers besides `authorization`.
    pub headers: &'static [(&'static str, &'static str)],
    /// Body; JSON of the message for gRPC.
    pub body: Option<&'static str>,
    /// Whose token it carries.
    pub token: Option<Holder>,
    /// Status that it is answered with: of HTTP, or the code of gRPC.
    pub status: u16,
    /// What it shows, in one sentence.
    pub shows: &'static str,
}

/// The holder of a development token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// `sub`
    pub subject: &'static str,
    /// `groups`
    pub groups: &'static [&'static str],
}

/// Of the staff.
pub const ALICE: Holder = Holder { subject: "alice", groups: &["staff"] };
/// A contractor.
pub const BOB: Holder = Holder { subject: "bob", groups: &["contractors"] };

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
const SMALL_ORDER: &str = r#"{"item":"tea","quantity":2,"amount_cents":1900}"#;
/// The same two orders, as messages of `latchwork.invoke.v1`.
const SMALL_BY_NAME: &str =
    r#"{"function":"orders.create","input":{"json":"{\"item\":\"tea\",\"quantity\":2,\"amount_cents\":1900}"}}"#;
const LARGE_BY_NAME: &str =
    r#"{"function":"orders.create","input":{"json":"{\"item\":\"tea\",\"quantity\":900,\"amount_cents\":900000}"}}"#;
const LARGE_ORDER: &str = r#"{"item":"tea","quantity":900,"amount_cents":900000}"#;

/// The calls of the quickstart project.
pub(crate) fn quickstart() -> Vec<Call> {
    over_http().into_iter().chain(over_grpc()).collect()
}

fn over_grpc() -> Vec<Call> {
    let watch = Call {
        name: "grpc",
        method: GRPC,
        path: "/shop.v1.Inventory/Watch",
        headers: &[],
        body: Some(r#"{"sku":"tea-001"}"#),
        token: Some(BOB),
        status: 0,
        shows: "Bob may watch the stock; a gRPC service answers in a stream, and its frames pass through.",
    };
    let by_name = Call { path: "/latchwork.invoke.v1.Invoke/Invoke", token: Some(ALICE), ..watch.clone() };
    vec![
        Call {
            name: "grpc-no-credential",
            token: None,
            status: 16,
            shows: "Without a token nothing is answered, over gRPC neither.",
            ..watch.clone()
        },
        watch,
        Call {
            name: "grpc-by-name",
            body: Some(SMALL_BY_NAME),
            shows: "Any function can be called over gRPC by its name: the same process, the same policy.",
            ..by_name.clone()
        },
        Call {
            name: "grpc-denied-by-payload",
            body: Some(LARGE_BY_NAME),
            status: 7,
            shows: "The policy on the payload holds whichever way the order comes.",
            ..by_name
        },
    ]
}

fn over_http() -> Vec<Call> {
    let order = Call {
        name: "allowed",
        method: "POST",
        path: "/orders",
        headers: JSON,
        body: Some(SMALL_ORDER),
        token: Some(ALICE),
        status: 200,
        shows: "Alice is staff and may order; a process on this machine answers.",
    };
    let get = Call { method: "GET", headers: &[], body: None, ..order.clone() };
    vec![
        order.clone(),
        Call {
            name: "denied-by-payload",
            body: Some(LARGE_ORDER),
            status: 403,
            shows: "The same Alice, but a policy forbids orders above 5,000.00.",
            ..order.clone()
        },
        Call {
            name: "denied-by-group",
            token: Some(BOB),
            status: 403,
            shows: "Bob is a contractor, and contractors write nothing.",
            ..order.clone()
        },
        Call {
            name: "legacy",
            path: "/stock/tea-001",
            token: Some(BOB),
            shows: "Bob may look at the stock; a plain HTTP/1.1 service answers, without a change to it.",
            ..get.clone()
        },
        Call {
            name: "typed-query",
            path: "/reports/revenue?months=3",
            shows: "Alice may see a quarter's revenue: policy reads the declared query parameter as a number.",
            ..get.clone()
        },
        Call {
            name: "hidden",
            path: "/reports/revenue?months=3",
            token: Some(BOB),
            status: 404,
            shows: "Bob may not even know that the report exists, so it is not found.",
            ..get.clone()
        },
        Call {
            name: "unknown",
            path: "/nowhere",
            status: 404,
            shows: "There is no such function, and the answer is the same.",
            ..get
        },
        Call {
            name: "no-credential",
            token: None,
            status: 401,
            shows: "Without a token nothing is answered, for known and unknown functions alike.",
            ..order
        },
    ]
}
