//! URLs as configured, and what callers can make of them.

use super::*;
use crate::samples::get;

fn render(url: &str, change: impl FnOnce(&mut Head)) -> Result<String, InvokeError> {
    let mut head = get("/orders/7").head;
    change(&mut head);
    Template::parse(url).unwrap().render(&head).map(|uri| uri.to_string())
}

fn with_id(id: &str) -> impl FnOnce(&mut Head) {
    move |head| drop(head.parameters.insert("id".into(), id.into()))
}

#[test]
fn the_callers_path_is_kept_where_the_url_has_none() {
    for url in ["http://b:81", "http://b:81/"] {
        assert_eq!(render(url, |_| ()).unwrap(), "http://b:81/orders/7");
    }
    assert_eq!(
        render("https://[::1]", |h| h.query = Some("a=1&a=2".into())).unwrap(),
        "https://[::1]/orders/7?a=1&a=2"
    );
    assert_eq!(render("http://b?k=v", |h| h.query = Some("a=1".into())).unwrap(), "http://b/orders/7?k=v&a=1");
}

#[test]
fn a_parameter_stays_one_segment_and_one_query_value() {
    assert_eq!(render("http://b/x/{id}/y", with_id("7")).unwrap(), "http://b/x/7/y");
    assert_eq!(render("http://b/x/{id}", with_id("a/b?c#d%2e é")).unwrap(), "http://b/x/a%2Fb%3Fc%23d%252e%20%C3%A9");
    assert_eq!(render("http://b/x?id={id}", with_id("1&admin=true+")).unwrap(), "http://b/x?id=1%26admin%3Dtrue%2B");
    assert_eq!(render("http://b/x/{*id}", with_id("a/b c/d")).unwrap(), "http://b/x/a/b%20c/d");
}

#[test]
fn no_value_makes_a_dot_segment() {
    for (url, id) in
        [("http://b/x/{id}/y", ".."), ("http://b/{id}", "."), ("http://b/.{id}/y", "."), ("http://b/{*id}", "a/../b")]
    {
        assert!(matches!(render(url, with_id(id)), Err(InvokeError::Unsupported(_))), "{url} {id}");
    }
    assert_eq!(render("http://b/x/{id}", with_id("..a")).unwrap(), "http://b/x/..a");
}

#[test]
fn what_can_not_be_sent_whole_is_not_sent() {
    for (path, query) in [("/a#b", None), ("/a", Some("b#c")), ("/a b", None), ("/a", Some("x\r\ny"))] {
        let sent = render("http://b", |head| (head.path, head.query) = (path.into(), query.map(Into::into)));
        assert!(matches!(sent, Err(InvokeError::Unsupported(_))), "{path} {query:?}");
    }
    assert!(render("http://b", |head| head.query = Some("x".repeat(URL_BYTES_MAX).into())).is_err());
    assert!(render("http://b/{other}", |_| ()).is_err());
}

#[test]
fn bad_urls_name_what_is_bad() {
    for (url, words) in [
        ("b.example", "no `http://`"),
        ("ftp://b", "`ftp` is not"),
        ("http://", "not a host"),
        ("http://:80/", "not a host"),
        ("http://b:", "not a host"),
        ("http://b:99999/", "not a host"),
        ("http://b:0/", "not a host"),
        ("http://user@b/", "user name"),
        ("http://{id}.b/", "the host can't hold a parameter"),
        ("http://b/#x", "fragment"),
        ("http://b/{id", "without `}`"),
        ("http://b/id}", "without `{`"),
        ("http://b/{}", "not the name"),
        ("http://b/{a b}", "not the name"),
        ("http://b/a b", "no spaces"),
        ("http://b/é", "non-ascii"),
        ("http://b/a/../c", "dot segment"),
        ("http://b/a/%2E%2e/c", "dot segment"),
        ("http://b/?q={*id}", "path segments"),
    ] {
        let error = Template::parse(url).unwrap_err();
        assert!(error.field == "url" && error.message.contains(words), "{url}: {error}");
    }
}

#[test]
fn parameters_are_told() {
    let template = Template::parse("http://b/{a}/{*b}?c={c}").unwrap();
    assert_eq!(template.parameters().collect::<Vec<_>>(), ["a", "b", "c"]);
}
