//! What most tests need: an issuer, a service that remembers, and a gateway between them.

use tests::{
    client::{Answer, Request},
    latchwork::{self, Running},
    oidc::Issuer,
    origin::Origin,
    project::Project,
};

/// An issuer, a gateway and a service.
pub struct World {
    pub issuer: Issuer,
    pub origin: Origin,
    pub project: Project,
    pub gateway: Running,
}

impl World {
    /// Starts all three; `None` when the issuer is skipped on request.
    ///
    /// `stock.level` is `GET /stock/{sku}`, `stock.order` is `POST /orders`; both run on the service.
    pub async fn start(policies: &str) -> Option<Self> {
        let project = Project::new();
        let issuer = Issuer::start(project.folder()).await?;
        let origin = Origin::start().await;
        let project = project
            .issuer("corp", &issuer.url, "groups = { claim = \"groups\", external = true }")
            .http("stock.level", "GET /stock/{sku}", &origin.url, "action_groups = [\"read\"]")
            .http("stock.order", "POST /orders", &origin.url, "action_groups = [\"write\"]")
            .policy(policies);
        let gateway = latchwork::run(&project.config(), &project.ca()).await;
        Some(Self { issuer, origin, project, gateway })
    }

    /// `GET` with a token.
    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.gateway.client().send(Request::get(path).bearer(token)).await
    }

    /// Ends the gateway and looks for leftovers; then the others.
    pub async fn stop(self) {
        self.gateway.stop().await;
    }
}
