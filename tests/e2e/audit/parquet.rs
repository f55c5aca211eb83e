//! An export in Parquet, read by somebody else's database: each row is its record.

use super::open_shop;
use serde_json::Value;
use std::process::Command;
use tests::{client::Request, fetch, latchwork, records, scripts};

#[tokio::test]
async fn parquet_has_a_row_for_each_record() {
    let Some(python) = fetch::parquet("duckdb") else { return };
    let (project, _origin, gateway) = open_shop("").await;
    assert_eq!(gateway.client().send(Request::post("/orders", "ünïcode \u{1f511}")).await.status, 200);
    assert_eq!(gateway.client().send(Request::get("/no/such")).await.status, 404);
    gateway.stop().await;

    let output =
        latchwork::command(project.folder(), &["audit", "export", "--format", "parquet", "--out", "all.parquet"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let file = project.folder().join("all.parquet");
    let output = Command::new(python).arg(scripts().join("parquet_check.py")).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();

    let all = records::read(&project.audit());
    assert_eq!(rows.len(), all.len());
    for (row, record) in rows.iter().zip(&all) {
        let kept: Value = serde_json::from_str(row["record"].as_str().unwrap()).unwrap();
        assert_eq!(&kept, record, "the record itself");
        for column in
            ["seq", "node", "incarnation", "kind", "call", "function", "outcome", "refusal", "status", "duration_us"]
        {
            assert_eq!(row[column], record[column], "{column} of {record}");
        }
        assert_eq!(row["caller"], record["principal"]["id"], "{record}");
        assert_eq!(row["at"].as_str().unwrap().replace("+00:00", "Z"), record["at"].as_str().unwrap());
    }
    assert!(rows.iter().any(|row| row["function"] == "shop.order" && row["caller"] == "anonymous"), "{text}");
    assert!(rows.iter().any(|row| row["refusal"] == "not_found" && row["status"] == 404), "{text}");
}
