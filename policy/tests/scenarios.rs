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
    use super::catalog::{declared, files};
    use policy::{
        bundle::load,
        cases,
        command::{
            Exit,
            test::{Wanted, test},
        },
    };
    use std::{fs, path::Path, sync::Arc};

    #[test]
    fn every_scenario_passes_and_decides_every_policy() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let mut seen = 0;
        for folder in fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()) {
            assert!(folder.join("README.md").exists(), "{} needs a README", folder.display());
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
}
