//! What the quickstart says when it is ready.

use crate::{
    command::{Format, tell},
    refusal::Refusal,
    scaffold::{
        QuickstartLayout,
        calls::{Call, GRPC, Holder},
    },
    server::Running,
};
use serde_json::{Map, Value, json};
use std::io::Write;

/// Makes a token for a holder.
pub(super) type Mint<'a> = &'a dyn Fn(Holder) -> Result<String, String>;

/// Prints calls to paste, or one line of JSON.
pub(super) fn ready(
    format: Format,
    layout: &QuickstartLayout,
    running: &Running,
    mint: Mint<'_>,
    out: &mut dyn Write,
) -> Result<(), String> {
    let at = running.addresses().next().ok_or("the project has no listener")?.1;
    let url = at.url("https");
    match format {
        Format::Json => tell(out, format_args!("{}", line(&url, layout, running, mint)?)),
        Format::Human => text(&url, layout, running, mint, out)?,
    }
    Ok(())
}

fn line(url: &str, layout: &QuickstartLayout, running: &Running, mint: Mint<'_>) -> Result<Value, String> {
    let mut calls = Vec::new();
    for call in &layout.calls {
        let mut headers: Map<String, Value> =
            call.headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).into())).collect();
        if let Some(holder) = call.token {
            headers.insert("authorization".to_owned(), format!("Bearer {}", mint(holder)?).into());
        }
        let mut printed = json!({
            "name": call.name,
            "method": call.method,
            "path": call.path,
            "headers": headers,
            "body": call.body,
            "expect_status": call.status,
        });
        if let (GRPC, Some(members)) = (call.method, printed.as_object_mut()) {
            members.insert("expect_grpc_status".to_owned(), call.status.into());
            // Every line has the status of plain HTTP; as a method of HTTP, this one is not spoken.
            members.insert("expect_status".to_owned(), Refusal::MethodUnknown.row().status.into());
        }
        calls.push(printed);
    }
    let absolute = |path: &std::path::Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    Ok(json!({
        "url": url,
        "grpc": url.trim_start_matches("https://"),
        "admin": running.admin().url("http"),
        "ca": absolute(&layout.ca),
        "dir": absolute(&layout.directory),
        "calls": calls,
    }))
}

fn text(
    url: &str,
    layout: &QuickstartLayout,
    running: &Running,
    mint: Mint<'_>,
    out: &mut dyn Write,
) -> Result<(), String> {
    let (directory, ca, program) = (layout.directory.display(), layout.ca.display(), program());
    tell(out, format_args!("Latchwork is ready at {url}; the project is in {directory}. Ctrl-C stops it.\n"));
    tell(out, format_args!("Paste this first, into another terminal in this folder:\n"));
    let mut holders: Vec<Holder> = Vec::new();
    for holder in layout.calls.iter().filter_map(|c| c.token) {
        if !holders.contains(&holder) {
            holders.push(holder);
        }
    }
    for holder in holders {
        tell(out, format_args!("{}='{}'", variable(holder), mint(holder)?));
    }
    tell(out, format_args!("\nThen call:\n"));
    for call in layout.calls.iter().filter(|call| call.method != GRPC) {
        tell(out, format_args!("# {} → {}\n# {}", call.name, call.status, call.shows));
        tell(out, format_args!("{}", curl(url, &ca.to_string(), call)));
    }
    tell(out, format_args!("\nOver gRPC at the same address, with any client that knows reflection:\n"));
    for call in layout.calls.iter().filter(|call| call.method == GRPC) {
        tell(out, format_args!("# {} → status {}\n# {}", call.name, call.status, call.shows));
        tell(out, format_args!("{}", grpcurl(url, &ca.to_string(), call)));
    }
    tell(
        out,
        format_args!("\nThe same with the client of Latchwork, which finds address, authority and token itself:\n"),
    );
    tell(
        out,
        format_args!(
            "{program} call orders.create -c {directory}/latchwork.toml --as alice --data '{{\"item\":\"tea\",\"quantity\":2,\"amount_cents\":1900}}'"
        ),
    );
    tell(out, format_args!("{program} call stock.level -c {directory}/latchwork.toml --as bob --path sku=tea-001"));
    tell(
        out,
        format_args!("{program} call stock.level --grpc -c {directory}/latchwork.toml --as bob --path sku=tea-001"),
    );
    tell(out, format_args!("\nWhy was the last call answered as it was, and what else happened:\n"));
    tell(
        out,
        format_args!(
            "{program} explain --last -c {directory}/latchwork.toml\n{program} audit tail -c {directory}/latchwork.toml"
        ),
    );
    tell(out, format_args!("curl -s {}/metrics", running.admin().url("http")));
    Ok(())
}

fn curl(url: &str, ca: &str, call: &Call) -> String {
    let mut command = format!("curl -s --cacert '{ca}' -X {} '{url}{}'", call.method, call.path);
    if let Some(holder) = call.token {
        command.push_str(&format!(" -H \"authorization: Bearer ${}\"", variable(holder)));
    }
    for (name, value) in call.headers {
        command.push_str(&format!(" -H '{name}: {value}'"));
    }
    if let Some(body) = call.body {
        command.push_str(&format!(" -d '{body}'"));
    }
    command.push_str(" -w ' [%{http_code}]\\n'");
    command
}

fn grpcurl(url: &str, ca: &str, call: &Call) -> String {
    let mut command = format!("grpcurl -cacert '{ca}'");
    if let Some(holder) = call.token {
        command.push_str(&format!(" -H \"authorization: Bearer ${}\"", variable(holder)));
    }
    let (address, method) = (url.trim_start_matches("https://"), call.path.trim_start_matches('/'));
    command.push_str(&format!(" -d '{}' {address} {method}", call.body.unwrap_or_default()));
    command
}

/// This program, as it can be called from this folder.
fn program() -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let program = std::env::current_exe().unwrap_or_else(|_| "latchwork".into());
    let on_path = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|p| p.join("latchwork") == program));
    if on_path {
        return "latchwork".to_owned();
    }
    program.strip_prefix(here).map_or_else(|_| program.display().to_string(), |near| near.display().to_string())
}

fn variable(holder: Holder) -> String {
    holder.subject.to_uppercase()
}
