//! Tokens of the development issuer, by hand and over OAuth.

use super::rig::{self, AUDIENCE, accepted, bearer};
use crate::{
    dev::{self, issuer::Claims},
    identify::{Identify, Lookup},
};
use jiff::Timestamp;

#[tokio::test]
async fn a_token_made_by_hand_is_verified_once_and_then_known() {
    let folder = tempfile::tempdir().unwrap();
    let server = dev::Issuer::load_or_create(folder.path()).unwrap().bind().unwrap();
    let minter = server.issuer();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve(async { drop(stopped.await) }));

    let identify = Identify::new(&[rig::issuer(minter.identifier())], None).unwrap();
    let mut claims = Claims::new("alice", AUDIENCE);
    claims.groups = vec!["buyers".into()];
    let (headers, now) = (bearer(&minter.mint(&claims).unwrap()), Timestamp::now());
    assert!(matches!(identify.look_up(&accepted(), &headers, now), Lookup::Wait(_)));
    let identity = rig::identify(&identify, &accepted(), &headers, now).await.unwrap();
    assert_eq!(&*identity.principal.id, "corp/alice");
    assert_eq!(*identity.principal.groups, ["corp/buyers".into()]);
    assert!(matches!(identify.look_up(&accepted(), &headers, now), Lookup::Known(known) if known == identity));

    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
}
