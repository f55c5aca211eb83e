//! What the vocabulary says of declared functions.

use super::*;

fn function(name: &str, groups: &[&str]) -> Function {
    Function {
        name: FunctionName::parse(name).unwrap(),
        app: "shop".into(),
        action_groups: groups.iter().map(|g| Arc::from(*g)).collect(),
        principals: PrincipalKind::CALLERS.to_vec(),
        owner: None,
        tenant: None,
        shared: false,
        class: 1,
        labels: Vec::new(),
        idempotent: false,
        path: vec!["sku".into()],
        query: vec![("limit".into(), QueryType::Long), ("weird \"name\"".into(), QueryType::Bool)],
        input: None,
        targets: Vec::new(),
    }
}

fn declared(functions: Vec<Function>) -> Declared {
    Declared { functions, ..Declared::default() }
}

#[test]
fn the_whole_text_is_a_valid_schema() {
    let declared = declared(vec![function("stock.level", &["read", "pricing"]), function("orders.create", &["money"])]);
    let (vocabulary, warnings) = Vocabulary::new(&declared).unwrap();
    assert_eq!(warnings, []);
    let text = vocabulary.text();
    assert!(Schema::from_cedarschema_str(&text).unwrap().1.next().is_none(), "no warnings");
    assert!(text.contains("action \"pricing\" in [\"call\"];"), "{text}");
    assert!(text.contains("\"limit\"?: Long"), "{text}");
    let name = FunctionName::parse("orders.create").unwrap();
    let schema = vocabulary.slice([&name]);
    assert_eq!(schema.actions().filter(|a| a.id().unescaped() == "stock.level").count(), 0);
    assert!(vocabulary.function(&name).unwrap().groups.contains("write"), "money is in write");
}

#[test]
fn a_group_name_never_has_a_dot() {
    let findings = Vocabulary::new(&declared(vec![function("a.b", &["x.y"])])).unwrap_err();
    assert_eq!(findings[0].code, "invalid_action_group");
}

#[test]
fn names_of_fixed_actions_are_reserved() {
    let findings = Vocabulary::new(&declared(vec![function("audit.read", &["describe"])])).unwrap_err();
    let codes: Vec<_> = findings.iter().map(|f| f.code).collect();
    assert_eq!(codes, ["reserved_name", "reserved_name"]);
}

#[test]
fn issuers_and_apps_have_one_meaning() {
    let issuer = |alias: &str, group: &str| crate::declared::Issuer {
        alias: alias.into(),
        groups: BTreeSet::from([Arc::from(group)]),
        external_groups: false,
    };
    let check = |issuers: Vec<_>, expected: &[&str]| {
        let declared = Declared { issuers, ..Declared::default() };
        let codes: Vec<_> = Vocabulary::new(&declared).unwrap_err().into_iter().map(|finding| finding.code).collect();
        assert_eq!(codes, expected);
    };
    check(vec![issuer("corp", "corp/a"), issuer("corp", "corp/b")], &["duplicate_issuer"]);
    check(vec![issuer("partners", "corp/admins")], &["invalid_group"]);
    check(vec![issuer("corp", "corp/")], &["invalid_group"]);
    check(vec![issuer("a/b", "a/b/c")], &["invalid_issuer", "invalid_group"]);
}

#[test]
fn a_function_declared_twice_is_refused() {
    let findings = Vocabulary::new(&declared(vec![function("a.b", &[]), function("a.b", &[])])).unwrap_err();
    assert_eq!(findings[0].code, "duplicate_function");
}

#[test]
fn a_schema_of_types_is_what_the_text_says() {
    let input = serde_json::json!({ "type": "object", "required": ["total", "who"], "properties": {
        "total": { "type": "number", "multipleOf": 0.01 }, "count": { "type": "integer" }, "who": { "type": "string" },
        "sure": { "type": "boolean" }, "at": { "type": "string", "format": "date-time" }, "from": { "format": "ipv4", "type": "string" },
        "day": { "type": "string", "format": "date" }, "ü \"x\"": { "type": ["string", "null"] }, "none": { "type": "object", "properties": {} },
        "lines": { "type": "array", "items": { "type": "object", "required": ["sku"], "properties": {
            "sku": { "type": "string" }, "tags": { "type": "array", "items": { "type": "string" } } } } } } });
    let input =
        crate::declared::InputSchema { file: "a.json".into(), text: input.to_string().into(), json: Arc::new(input) };
    let one = Function {
        input: Some(input),
        principals: vec![PrincipalKind::User],
        ..function("a.one", &["money", "export"])
    };
    let two = Function { path: Vec::new(), query: Vec::new(), ..function("a.two", &["pricing"]) };
    let (vocabulary, warnings) = Vocabulary::new(&declared(vec![one, two, function("a.three", &["read"])])).unwrap();
    assert_eq!(warnings, []);
    let names = ["a.one", "a.two", "a.three"].map(|name| FunctionName::parse(name).unwrap());
    let check = |names: &[&FunctionName]| {
        let own: String = names.iter().filter_map(|name| vocabulary.function_text(name)).collect();
        let text = format!("{}{}{own}", base::TEXT, vocabulary.groups_text());
        let (written, _) = Schema::from_cedarschema_str(&text).unwrap();
        assert_eq!(vocabulary.slice(names.iter().copied()).as_ref(), written.as_ref());
        // Without what is asked of something itself: nothing else may be gone.
        let calls = text.split("// Fixed actions.").next().unwrap().to_owned() + &vocabulary.groups_text() + &own;
        let (written, _) = Schema::from_cedarschema_str(&calls).unwrap();
        assert_eq!(vocabulary.slice_of_calls(names.iter().copied()).as_ref(), written.as_ref());
    };
    let [one, two, three] = &names;
    [&[][..], &[one], &[two], &[three, one], &[one, two, three]].into_iter().for_each(check);
}
