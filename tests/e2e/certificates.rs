//! Client certificates over real TLS: an SVID is let in under its own name, everything that is nearly one is not.

pub mod table;

use rcgen::{Issuer, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use table::{Want, authority, cases, leaf};
use tests::{
    client::{Client, Request},
    latchwork::{self, Running},
    origin::Origin,
    project::Project,
    wait,
};

/// From the save of new authorities to the first call that obeys them.
const IN_FORCE: Duration = Duration::from_secs(1);

const EVERYBODY: &str = "@id(\"everyone\")\npermit (principal, action in Action::\"call\", resource);";

/// A gateway whose listener takes SVIDs of `prod.test`.
pub struct Front {
    pub project: Project,
    pub origin: Origin,
    pub gateway: Running,
}

impl Front {
    /// `change` adds to the project before it is written.
    pub async fn start(ca: &str, policy: &str, change: impl FnOnce(Project) -> Project) -> Self {
        let origin = Origin::start().await;
        let project = Project::new();
        project.write("clients.pem", ca);
        let project = change(project)
            .http("shop.stock", "GET /stock/{sku}", &origin.url, "")
            .tables("[identity.mtls.workloads]\ntrust_domain = \"prod.test\"")
            .policy(policy);
        let gateway = latchwork::run(&project.config(), &project.ca()).await;
        Self { project, origin, gateway }
    }
}

/// A client that shows a certificate.
pub fn showing(gateway: &Running, chain: &[CertificateDer<'static>], key: &KeyPair) -> Client {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    gateway.client().with_certificate(chain.to_vec(), key)
}

/// An SVID of `prod.test` and its key.
pub fn svid(path: &str, authority: &Issuer<'_, KeyPair>) -> (Vec<CertificateDer<'static>>, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let made = leaf(&[&format!("spiffe://prod.test/{path}")]).signed_by(&key, authority).unwrap();
    (vec![made.der().clone()], key)
}

#[tokio::test]
async fn svids_are_let_in_and_everything_nearly_one_is_not() {
    let (root, cases) = cases();
    assert!(cases.len() >= 40, "{}", cases.len());
    let front = Front::start(&root, EVERYBODY, |p| p.client_ca("clients.pem", "").identify("\"workloads\"")).await;
    let mut wrong = Vec::new();
    let mut good = Vec::new();
    for case in &cases {
        let client = showing(&front.gateway, &case.chain, &case.key);
        let answered = client.try_send(Request::get("/stock/7")).await;
        match (&case.want, answered) {
            (Want::Workload(id), Ok(answer)) if answer.status == 200 => good.push(id.clone()),
            (Want::Refused(words), Ok(answer)) if answer.status == 401 => {
                let challenge = answer.header("www-authenticate");
                let said = challenge.starts_with("ClientCertificate ") && challenge.contains("invalid_certificate");
                if !said || !challenge.contains(words) || !answer.text().contains(words) {
                    wrong.push(format!("{}: `{words}` is not in `{challenge}`", case.what));
                }
            }
            (Want::Alert, Err(_)) => {}
            (want, Ok(answer)) => {
                wrong.push(format!("{}: {} for {want:?}: {}", case.what, answer.status, answer.text()))
            }
            (want, Err(lost)) => wrong.push(format!("{}: {lost} for {want:?}", case.what)),
        }
    }
    assert!(wrong.is_empty(), "{} of {} are wrong:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    let seen = front.origin.seen();
    assert_eq!(seen.len(), good.len(), "a refused call reached the backend");
    for (seen, id) in seen.iter().zip(&good) {
        assert_eq!(seen.headers["latchwork-caller"], id.as_str());
        assert_eq!(seen.headers["latchwork-caller-kind"], "Workload");
    }
    let none = front.gateway.client().try_send(Request::get("/stock/7")).await;
    assert!(none.is_err(), "every entry of `identify` is a certificate, so one is required");
    front.gateway.stop().await;
}

#[tokio::test]
async fn where_others_count_too_a_certificate_is_optional() {
    let root = authority("clients");
    let policy = "@id(\"mtls\")\npermit (principal is Workload, action in Action::\"call\", resource)\n\
        when { context.facts.transport.mtls };\n\
        @id(\"tell\")\npermit (principal, action == Action::\"describe\", resource);";
    let anonymous = |p: Project| p.client_ca("clients.pem", "").identify("\"workloads\"").anonymous();
    let front = Front::start(&root.pem(), policy, anonymous).await;
    let nobody = front.gateway.client().send(Request::get("/stock/7")).await;
    assert_eq!(nobody.status, 403, "{}", nobody.text());
    let (chain, key) = svid("ns/shop/sa/checkout", &root);
    let workload = showing(&front.gateway, &chain, &key).http2().send(Request::get("/stock/7")).await;
    assert_eq!(workload.status, 200, "{}", workload.text());
    let bad = leaf(&["spiffe://other.test/a"]).signed_by(&key, &root).unwrap();
    let refused = showing(&front.gateway, &[bad.der().clone()], &key).send(Request::get("/stock/7")).await;
    assert_eq!(refused.status, 401, "a bad certificate is not as good as none: {}", refused.text());
    front.gateway.stop().await;
}

#[tokio::test]
async fn new_authorities_count_within_a_second_and_no_call_fails() {
    let (old, new) = (authority("old"), authority("new"));
    let front =
        Front::start(&old.pem(), EVERYBODY, |p| p.client_ca("clients.pem", "").identify("\"workloads\"").anonymous())
            .await;
    let ((old_chain, old_key), (new_chain, new_key)) = (svid("old", &old), svid("new", &new));
    let (by_old, by_new) =
        (showing(&front.gateway, &old_chain, &old_key), showing(&front.gateway, &new_chain, &new_key));
    let mut open = by_old.open().await.unwrap();
    assert_eq!(open.send(Request::get("/stock/7")).await.unwrap().status, 200);
    assert!(by_new.try_send(Request::get("/stock/7")).await.is_err(), "its authority does not count yet");

    let bystander = front.gateway.client();
    let (told, stopped) = tokio::sync::watch::channel(false);
    let traffic = tokio::spawn(async move {
        let mut calls = 0;
        while !*stopped.borrow() {
            assert_eq!(bystander.send(Request::get("/stock/7")).await.status, 200);
            calls += 1;
        }
        calls
    });
    front.project.write("clients.pem", &format!("{}{}", old.pem(), new.pem()));
    let saved = Instant::now();
    let let_in =
        || async { by_new.try_send(Request::get("/stock/7")).await.ok().filter(|a| a.status == 200).map(drop) };
    wait::until("the new authority", wait::LONG, let_in).await;
    assert!(saved.elapsed() <= IN_FORCE, "in force after {:?}", saved.elapsed());
    assert_eq!(open.send(Request::get("/stock/7")).await.unwrap().status, 200, "it still counts");

    front.project.write("clients.pem", &new.pem());
    let gone = || async { by_old.try_send(Request::get("/stock/7")).await.is_err().then_some(()) };
    wait::until("the old authority's end", wait::LONG, gone).await;
    let answer = open.send(Request::get("/stock/7")).await.unwrap();
    assert_eq!(answer.status, 401, "an open connection does not outlive its authority: {}", answer.text());
    front.project.write("clients.pem", "no certificate");
    let output = latchwork::command(front.project.folder(), &["reload", "--wait", "-c", "latchwork.toml"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(by_new.send(Request::get("/stock/7")).await.status, 200, "what was in force stays");
    told.send_replace(true);
    assert!(traffic.await.unwrap() > 0);
    front.gateway.stop().await;
}

#[tokio::test]
async fn an_open_connection_does_not_outlive_its_certificate() {
    let root = authority("clients");
    let front =
        Front::start(&root.pem(), EVERYBODY, |p| p.client_ca("clients.pem", "").identify("\"workloads\"")).await;
    let key = KeyPair::generate().unwrap();
    let mut short = leaf(&["spiffe://prod.test/short"]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    short.not_after = rcgen::date_time_ymd(1970, 1, 1) + now + Duration::from_secs(3);
    let made = short.signed_by(&key, &root).unwrap();
    let mut open = showing(&front.gateway, &[made.der().clone()], &key).open().await.unwrap();
    assert_eq!(open.send(Request::get("/stock/7")).await.unwrap().status, 200);
    let deadline = Instant::now() + wait::LONG;
    let ended = loop {
        let answer = open.send(Request::get("/stock/7")).await.unwrap();
        assert!(Instant::now() < deadline, "it still counts");
        match answer.status {
            401 => break answer,
            // The rate of a caller is limited, and this one is eager.
            status => assert!(matches!(status, 200 | 429), "{status}"),
        }
    };
    assert!(ended.text().contains("the client certificate has expired"), "{}", ended.text());
    front.gateway.stop().await;
}
