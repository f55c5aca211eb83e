//! Writes a large project with changed policies and an audit log, to measure `policy diff` and `policy replay` on.
//!
//! `cargo run -p tests --example estate -- FOLDER [FUNCTIONS [SHAPES [RECORDS]]]`

use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};
use tests::history::{self, Decision};

fn main() {
    let mut arguments = env::args().skip(1);
    let folder: PathBuf = arguments.next().expect("a folder").into();
    let mut number = |default: u64| arguments.next().map_or(default, |word| word.parse().expect("a number"));
    let (functions, shapes, records) = (number(1_000), number(20).max(1), number(0));
    project(&folder, functions, shapes);
    let guard = "context.facts.transport.tls >= 13";
    policies(&folder.join("policies"), functions, guard, None);
    policies(&folder.join("one-changed"), functions, guard, Some(functions / 2));
    policies(&folder.join("guard-tighter"), functions, &format!("{guard} && context.facts.transport.mtls"), None);
    policies(&folder.join("guard-looser"), functions, "context.facts.transport.tls >= 12", None);
    if records > 0 {
        history::write(&folder.join("audit"), "gateway", records, |n| decision(n, functions));
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).and_then(|()| fs::write(path, text)).expect("it is ours");
}

fn project(folder: &Path, functions: u64, shapes: u64) {
    let mut text = String::from(
        "[audit]\npath = \"audit\"\n\n[listener.local]\naddress = \"127.0.0.1:0\"\nidentify = [\"corp\"]\n\n\
         [identity.issuer.corp]\nissuer = \"https://login.example.com\"\naudiences = [\"shop\"]\n\
         groups = { claim = \"groups\", external = true }\n\n[app.shop]\nenvironment = \"prod\"\n",
    );
    for n in 0..functions {
        let shape = n % shapes;
        let _ = write!(
            text,
            "\n[function.\"f.n{n}\"]\napp = \"shop\"\naction_groups = [\"money\"]\nprincipals = [\"User\"]\n\
             route = \"POST /f/{n}\"\ninput = \"shape-{shape}.json\"\n\
             targets = [{{ http = {{ url = \"http://127.0.0.1:9/f\" }} }}]\n"
        );
    }
    write(&folder.join("latchwork.toml"), &text);
    for shape in 0..shapes {
        let schema = format!(
            "{{ \"type\": \"object\", \"required\": [\"amount\"], \"properties\": {{ \"amount\": {{ \"type\": \
             \"integer\" }}, \"member_{shape}\": {{ \"type\": \"string\" }} }} }}\n"
        );
        write(&folder.join(format!("shape-{shape}.json")), &schema);
    }
}

fn policies(folder: &Path, functions: u64, guard: &str, changed: Option<u64>) {
    let mut text = String::from(
        "@id(\"run-on.default\") @owner(\"platform\") @expires(\"2099-12-31\")\n\
         permit (principal, action == Action::\"run_on\", resource);\n\n",
    );
    let _ = writeln!(
        text,
        "@id(\"guard\") @owner(\"platform\")\nforbid (principal, action in Action::\"money\", resource) unless {{ {guard} }};\n"
    );
    for n in 0..functions {
        let limit = if changed == Some(n) { 2_000 } else { 1_000 };
        let _ = writeln!(
            text,
            "@id(\"f.n{n}\") @owner(\"team-{}\") @expires(\"2099-12-31\")\npermit (principal in Group::\"corp/g{n}\", \
             action == Action::\"f.n{n}\", resource == Function::\"f.n{n}\") when {{ context.input.amount <= {limit} }};\n",
            n % 10
        );
    }
    write(&folder.join("estate.cedar"), &text);
}

fn decision(n: u64, functions: u64) -> Decision {
    let function = n % functions;
    let denied = n % 10 == 9;
    Decision {
        function: format!("f.n{function}"),
        kind: "User",
        id: format!("corp/u{}", n % 5_000),
        groups: vec![format!("corp/g{function}"), "corp/staff".into()],
        zone: "other",
        input: Some(serde_json::json!({ "amount": if denied { 5_000 } else { n % 1_000 } })),
        determining: if denied { Vec::new() } else { vec![format!("f.n{function}")] },
        denied: denied.then_some("not_permitted"),
        seconds: 7,
    }
}
