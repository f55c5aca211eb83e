//! Every refusal as a fault, in both versions: whose fault it is, and what it says.

use super::*;
use crate::refusal::Refusal;
use http::{StatusCode, header::RETRY_AFTER};
use http_body_util::BodyExt;
use mesh::soap::{Name, envelope::glance};
use uuid::Uuid;

#[tokio::test]
async fn every_refusal_is_a_fault_with_its_own_status() {
    for version in [Version::V11, Version::V12] {
        for refusal in Refusal::every() {
            let (row, call) = (refusal.public(), Uuid::now_v7());
            let mut problem = Response::new(Wire::Full("{}".into()));
            *problem.status_mut() = StatusCode::from_u16(row.status).unwrap();
            problem.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("7"));
            problem.extensions_mut().insert(Problem::of(&refusal, call));
            let fault = told(version, Watched::unwatched(problem));
            assert_eq!(
                (fault.status().as_u16(), &fault.headers()[RETRY_AFTER]),
                (row.status, &HeaderValue::from_static("7"))
            );
            let kind = format!("{}; charset=utf-8", version.media_type());
            assert_eq!(fault.headers()[CONTENT_TYPE], kind.as_str());
            let bytes = fault.into_body().collect().await.unwrap().to_bytes();
            let seen = glance(&bytes).unwrap();
            assert_eq!(seen.element, Some(Name::new(version.namespace(), "Fault")));
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            for part in [row.title, &format!(">{}<", row.word), &format!(">{call}<")] {
                assert!(text.contains(part), "{part}: {text}");
            }
            let sender = text.contains("soap:Client<") || text.contains("soap:Sender<");
            assert_eq!(sender, row.status < 500 && row.status != 429, "{text}");
        }
    }
}

#[test]
fn other_answers_are_as_they_were() {
    let mut answer = Response::new(Wire::Full("{}".into()));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    let passed = told(Version::V11, Watched::unwatched(answer));
    assert_eq!(passed.headers()[CONTENT_TYPE], "application/problem+json", "it is the function's own");
}
