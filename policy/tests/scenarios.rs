//! Every folder of `scenarios/` is documentation and a test at once: its cases must pass and decide every policy, and its
//! pages must show what the commands print.

#[cfg(test)]
#[path = "scenarios/catalog.rs"]
mod catalog;
#[cfg(test)]
#[path = "scenarios/pages.rs"]
mod pages;

#[cfg(test)]
mod scenarios {
    use super::catalog::{declared, files, folders};
    use policy::{
        bundle::{Source, load},
        cases,
        command::{
            Exit,
            decide::{Given, decide},
            test::{Wanted, test},
        },
    };
    use std::{fs, path::Path, sync::Arc};

    #[test]
    fn every_scenario_passes_and_decides_every_policy() {
        let mut seen = 0;
        for folder in folders() {
            let (policies, cases) = (files(&folder.join("policies"), ".cedar"), files(&folder, ".cases.toml"));
            assert!(!policies.is_empty() && !cases.is_empty(), "{} has no policies or cases", folder.display());
            let declared = Arc::new(declared(&folder));
            let now = "2026-11-23T10:30:00Z".parse().unwrap();
            let (snapshot, warnings) = load(&policies, Arc::clone(&declared), now).unwrap();
            assert!(warnings.is_empty(), "{warnings:#?}");
            for policy in cases::run(&cases, &snapshot, now).coverage {
                assert!(policy.determining > 0, "{} decides no case", policy.policy);
            }
            let mut out = Vec::new();
            let exit = test(&policies, &cases, (declared, now), Wanted::default(), &mut out, None).unwrap();
            assert_eq!(exit, Exit::Ok, "{}", String::from_utf8_lossy(&out));
            seen += 1;
        }
        assert!(seen > 0, "there are scenarios");
    }

    #[track_caller]
    fn answers(given: &Given, folder: &Path, expected: &str) {
        let requests = fs::read_to_string(folder.join("requests.jsonl")).unwrap();
        let (mut out, mut talk) = (Vec::new(), Vec::new());
        let now = "2026-11-23T10:30:00Z".parse().unwrap();
        let exit = decide(given, now, &mut requests.as_bytes(), &mut out, &mut talk).unwrap();
        assert_eq!(exit, Exit::Ok, "{}", String::from_utf8_lossy(&talk));
        assert_eq!(String::from_utf8(out).unwrap(), fs::read_to_string(folder.join(expected)).unwrap());
    }

    #[test]
    fn requests_are_answered_as_the_scenario_says() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/decide");
        let source =
            |name: &str| Source { file: name.into(), text: fs::read_to_string(folder.join(name)).unwrap().into() };
        let mut given = Given {
            policies: files(&folder.join("policies"), ".cedar"),
            schema: Some(source("docs.cedarschema")),
            entities: Some(source("entities.json")),
            gateway: false,
        };
        answers(&given, &folder, "answers.jsonl");
        given.gateway = true;
        let named = given.policies[0]
            .text
            .replace("permit (principal in Team", "@id(\"docs.editors\")\npermit (principal in Team");
        given.policies[0].text = named.into();
        answers(&given, &folder, "answers.gateway.jsonl");
    }
}
