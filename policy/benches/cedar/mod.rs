//! The same question to Cedar's own authorizer: all policies, with request and entities made before.

use crate::world::World;
use cedar_policy::{Authorizer, Context, Decision, Entities, PolicySet, Request};

pub(crate) struct Whole {
    policies: PolicySet,
    entities: Entities,
    request: Request,
}

impl Whole {
    pub(crate) fn new(world: &World) -> Self {
        let text: String = world.sources.iter().map(|source| source.text.as_ref()).collect();
        let uid = |kind: &str, id: &str| serde_json::json!({ "type": kind, "id": id });
        let entity = |kind: &str, id: &str, parents: &[serde_json::Value]| serde_json::json!({ "uid": uid(kind, id), "attrs": {}, "parents": parents });
        let entities = serde_json::json!([
            entity("User", "corp/alice@example.com", &[uid("Group", "corp/g0"), uid("Group", "corp/staff")]),
            entity("Group", "corp/g0", &[]),
            entity("Group", "corp/staff", &[]),
            entity("Function", "svc.f0", &[uid("App", "shop")]),
            entity("App", "shop", &[]),
            entity("Action", "svc.f0", &[uid("Action", "read"), uid("Action", "call")]),
            entity("Action", "read", &[uid("Action", "call")]),
            entity("Action", "call", &[]),
        ]);
        let ip = serde_json::json!({ "__extn": { "fn": "ip", "arg": "10.1.2.3" } });
        let context = serde_json::json!({
            "facts": { "transport": { "mtls": true, "tls": 13, "sealed": false }, "network": { "source": ip, "zone": "other" },
                "token": { "scopes": ["fn:invoke", "fn:read"] } },
            "path": {}, "query": {}, "input": { "amount_0": 100, "currency": "EUR" } });
        let context = Context::from_json_value(context, None).expect("a context");
        let parse = |text: &str| text.parse().expect("an entity");
        let request = Request::new(
            parse("User::\"corp/alice@example.com\""),
            parse("Action::\"svc.f0\""),
            parse("Function::\"svc.f0\""),
            context,
            None,
        );
        Self {
            policies: text.parse().expect("policies"),
            entities: Entities::from_json_value(entities, None).expect("entities"),
            request: request.expect("a request"),
        }
    }

    pub(crate) fn is_authorized(&self) -> bool {
        let response = Authorizer::new().is_authorized(&self.request, &self.policies, &self.entities);
        response.decision() == Decision::Allow && response.diagnostics().errors().next().is_none()
    }
}
