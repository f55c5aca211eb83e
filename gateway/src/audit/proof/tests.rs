//! Proofs: made from a real log, and hostile ones.

use super::*;
use crate::{
    audit::{
        log::Log,
        prove,
        signer::{FileKey, Signer},
        tests::{completed, config, intent},
    },
    config::Durability,
};
use jiff::Timestamp;
use uuid::Uuid;

/// The proofs of one call among others, and the key of the log.
async fn proofs() -> (Vec<Proof>, VerifierKey) {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(&config(folder.path(), Durability::Write), &"gw".into(), Uuid::now_v7()).unwrap();
    let wanted = Uuid::now_v7();
    for call in [Uuid::now_v7(), Uuid::now_v7(), wanted, Uuid::now_v7()] {
        let mut guard = log.open_call(call, Timestamp::now()).unwrap();
        guard.intent(&intent(None)).await.unwrap();
        guard.closed(&completed()).await.unwrap();
    }
    let early = prove::call(&folder.path().join("gw"), wanted).unwrap_err();
    assert!(matches!(early, prove::ProveError::Unsigned { seq: 6, .. }), "{early}");
    log.shutdown().await;
    let nobody = prove::call(&folder.path().join("gw"), Uuid::now_v7()).unwrap_err();
    assert!(matches!(nobody, prove::ProveError::NoCall(_)));
    let key = FileKey::read(&folder.path().join("checkpoint.key")).unwrap().verifier_key();
    (prove::call(&folder.path().join("gw"), wanted).unwrap(), key)
}

#[tokio::test]
async fn every_record_of_a_call_is_proved_alone() {
    let (proofs, key) = proofs().await;
    assert_eq!(proofs.iter().map(|proof| proof.index).collect::<Vec<_>>(), [5, 6]);
    let text: String = proofs.iter().map(ToString::to_string).collect();
    let parsed: Vec<_> = split(&text).into_iter().map(|text| Proof::parse(text).unwrap()).collect();
    assert_eq!(parsed, proofs);
    for proof in parsed {
        let (checkpoint, head) = proof.verify(std::slice::from_ref(&key)).unwrap();
        assert_eq!((checkpoint.head.size, head.seq), (10, proof.index));
    }
}

#[tokio::test]
async fn hostile_proofs_are_refused() {
    let (proofs, key) = proofs().await;
    let keys = std::slice::from_ref(&key);
    let good = &proofs[0];
    let other = FileKey::generate(key.name()).unwrap();
    let forged =
        Note { signatures: vec![other.sign(good.checkpoint.text.as_bytes()).unwrap()], ..good.checkpoint.clone() };
    let grown = good.checkpoint.text.replace("\n10\n", "\n11\n");
    let mutations: Vec<(&str, Proof)> = vec![
        ("another record", Proof { record: proofs[1].record.clone(), ..good.clone() }),
        (
            "a changed record",
            Proof {
                record: String::from_utf8(good.record.clone()).unwrap().replace("alice", "mallo").into(),
                ..good.clone()
            },
        ),
        ("another index", Proof { index: 4, ..good.clone() }),
        ("an index beyond the tree", Proof { index: 10, ..good.clone() }),
        ("the largest index", Proof { index: u64::MAX, ..good.clone() }),
        ("a hash less", Proof { hashes: good.hashes[1..].to_vec(), ..good.clone() }),
        ("a hash more", Proof { hashes: [good.hashes.clone(), vec![Hash::of_nothing()]].concat(), ..good.clone() }),
        ("no hashes", Proof { hashes: vec![], ..good.clone() }),
        ("hashes in another order", Proof { hashes: good.hashes.iter().rev().copied().collect(), ..good.clone() }),
        ("another key", Proof { checkpoint: forged, ..good.clone() }),
        ("a changed size", Proof { checkpoint: Note { text: grown, ..good.checkpoint.clone() }, ..good.clone() }),
        ("no signature", Proof { checkpoint: Note { signatures: vec![], ..good.checkpoint.clone() }, ..good.clone() }),
    ];
    for (name, proof) in mutations {
        assert!(proof.verify(keys).is_err(), "{name}");
        assert!(Proof::parse(&proof.to_string()).and_then(|proof| proof.verify(keys)).is_err(), "{name}");
    }
    let text = good.to_string();
    for (from, to) in [
        ("@v1", "@v2"),
        ("extra ", "extra"),
        ("index 5", "index 05"),
        ("index 5", "index +5"),
        ("index 5", "index "),
        ("index 5", "index 99999999999999999999"),
        ("\n\n", "\n"),
        ("extra e", "extra *"),
        ("\u{2014}", "-"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        assert!(Proof::parse(&changed).is_err(), "{from} to {to}");
    }
    assert!(Proof::parse("").is_err());
    assert!(Proof::parse(&format!("{HEADER}\n{}", "x".repeat(PROOF_BYTES_MAX))).is_err());
    let many = format!("{}\n", Hash::of_nothing()).repeat(PROOF_HASHES_MAX + 1);
    assert!(Proof::parse(&text.replacen("index 5\n", &format!("index 5\n{many}"), 1)).is_err());
}

#[tokio::test]
async fn no_byte_of_a_proof_can_be_changed_in_silence() {
    let (proofs, key) = proofs().await;
    let text = proofs[0].to_string();
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        let verified = Proof::parse(&changed).and_then(|proof| proof.verify(std::slice::from_ref(&key)));
        assert!(verified.is_err(), "byte {at}: {changed}");
    }
}
