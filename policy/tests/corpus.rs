//! Cedar's published corpus, put through what `latchwork policy decide` does. It is fetched by hand, so it is asked for.

#[cfg(test)]
mod corpus {
    use policy::{
        bundle::Source,
        command::decide::{Given, decide},
    };
    use serde_json::Value;
    use std::{collections::BTreeSet, env, fs, path::Path};

    /// Compares one file of requests; returns how many it has.
    fn compare(root: &Path, case: &Value) -> usize {
        let source = |name: &str| {
            let path = root.join(case[name].as_str().unwrap());
            Source { file: path.to_string_lossy().into(), text: fs::read_to_string(&path).unwrap().into() }
        };
        let given = Given {
            policies: vec![source("policies")],
            schema: Some(source("schema")),
            entities: Some(source("entities")),
            gateway: false,
        };
        let requests = case["requests"].as_array().unwrap();
        let mut lines = String::new();
        for request in requests {
            let parts = ["principal", "action", "resource", "context"];
            let line: serde_json::Map<_, _> =
                parts.iter().map(|part| ((*part).to_owned(), request[part].clone())).collect();
            lines.push_str(&(Value::Object(line).to_string() + "\n"));
        }
        let (mut out, mut talk) = (Vec::new(), Vec::new());
        decide(&given, jiff::Timestamp::UNIX_EPOCH, &mut lines.as_bytes(), &mut out, &mut talk).unwrap();
        let answers = String::from_utf8(out).unwrap();
        let said = |value: &Value| -> BTreeSet<String> {
            value.as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
        };
        let mut seen = 0;
        for (request, line) in requests.iter().zip(answers.lines()) {
            let answer: Value = serde_json::from_str(line).unwrap();
            assert_eq!(answer["decision"], request["decision"], "{case:#} {answer}");
            for part in ["reason", "errors"] {
                assert_eq!(said(&answer[part]), said(&request[part]), "{request:#} {answer}");
            }
            seen += 1;
        }
        assert_eq!(seen, requests.len(), "{} {}", case["policies"], String::from_utf8_lossy(&talk));
        seen
    }

    #[test]
    #[ignore = "needs LATCHWORK_CEDAR_CORPUS, a folder with Cedar's integration tests"]
    fn every_request_is_answered_as_published() {
        let root = env::var("LATCHWORK_CEDAR_CORPUS").expect("LATCHWORK_CEDAR_CORPUS names the folder");
        let root = Path::new(&root);
        let (mut files, mut requests) = (0, 0);
        for entry in fs::read_dir(root.join("corpus-tests")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if !name.ends_with(".json") || name.ends_with(".entities.json") {
                continue;
            }
            requests += compare(root, &serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap());
            files += 1;
        }
        assert!(files > 1_000, "{files} files");
        eprintln!("{files} policy sets, {requests} requests, no difference");
    }
}
