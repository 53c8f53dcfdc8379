//! The links of a reply: always to `os-volume-transfer`, as Cinder's.
//!
//! cinder: `api/common.py` `ViewBuilder`, `get_request_url`.

use http::{HeaderMap, header};
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

/// What Cinder's links name whichever collection was asked.
const COLLECTION: &str = "os-volume-transfer";

/// The beginning of the links of one reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Links {
    /// What stands in front of `/v3`, without a slash at the end.
    origin: String,
    /// The project, where the request's path named it.
    project: Option<String>,
}

impl Links {
    /// Links into the public endpoint, or else to the host that a proxy or the caller named.
    pub(crate) fn new(
        public_endpoint: Option<&Url>,
        headers: &HeaderMap,
        project: Option<String>,
    ) -> Self {
        let origin = match public_endpoint {
            Some(endpoint) => endpoint.as_str().trim_end_matches('/').to_owned(),
            None => format!("http://{}", host(headers)),
        };
        Self { origin, project }
    }

    /// Where the versions are.
    pub(crate) fn versions(&self) -> String {
        format!("{}/v3/", self.origin)
    }

    /// The `links` of a transfer.
    pub(crate) fn transfer(&self, id: &str) -> Value {
        json!([
            {"rel": "self", "href": format!("{}/{id}", self.collection("/v3"))},
            {"rel": "bookmark", "href": format!("{}/{id}", self.collection(""))},
        ])
    }

    /// The `transfers_links` of a page that may not be the last: the same query, from `marker` on.
    pub(crate) fn next(&self, query: &[(String, String)], marker: &str) -> Value {
        let query = query.iter().filter(|(name, _)| name != "marker");
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(query)
            .append_pair("marker", marker)
            .finish();
        json!([{"rel": "next", "href": format!("{}?{query}", self.collection("/v3"))}])
    }

    fn collection(&self, version: &str) -> String {
        let project = self.project.iter().map(|project| format!("/{project}")).collect::<String>();
        format!("{}{version}{project}/{COLLECTION}", self.origin)
    }
}

/// The last host of `X-Forwarded-Host`, or `Host`.
fn host(headers: &HeaderMap) -> &str {
    let text = |name| headers.get(name).and_then(|host| host.to_str().ok());
    let forwarded = text("x-forwarded-host").and_then(|hosts| hosts.rsplit(',').next());
    forwarded.or_else(|| text(header::HOST.as_str())).map_or("localhost", str::trim)
}

#[cfg(test)]
mod tests {
    use super::Links;
    use http::HeaderMap;
    use url::Url;

    fn links(endpoint: Option<&str>, headers: &[(&'static str, &str)]) -> Links {
        let endpoint = endpoint.map(|endpoint| Url::parse(endpoint).unwrap());
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        Links::new(endpoint.as_ref(), &headers, Some("p".to_owned()))
    }

    #[test]
    fn links_start_with_the_public_endpoint_or_the_host() {
        let host = ("host", "c:8776");
        let forwarded = ("x-forwarded-host", "a.example, b.example:99");
        for (endpoint, headers, origin) in [
            (None, vec![], "http://localhost"),
            (None, vec![host], "http://c:8776"),
            (None, vec![host, forwarded], "http://b.example:99"),
            (Some("https://cloud"), vec![host, forwarded], "https://cloud"),
            (Some("https://cloud/volume/"), vec![host], "https://cloud/volume"),
        ] {
            let links = links(endpoint, &headers).transfer("t");
            let href = |at: usize| links[at]["href"].as_str().unwrap().to_owned();
            assert_eq!(href(0), format!("{origin}/v3/p/os-volume-transfer/t"));
            assert_eq!(href(1), format!("{origin}/p/os-volume-transfer/t"));
        }
    }

    #[test]
    fn a_path_without_project_makes_links_without_project() {
        let links = Links::new(None, &HeaderMap::new(), None).transfer("t");
        assert_eq!(links[0]["href"], "http://localhost/v3/os-volume-transfer/t");
        assert_eq!(links[1]["href"], "http://localhost/os-volume-transfer/t");
    }

    #[test]
    fn the_next_page_has_the_same_query_and_another_marker() {
        let query = [("limit", "1"), ("marker", "old"), ("name", "a b&é")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(
            links(None, &[]).next(&query, "new")[0]["href"],
            "http://localhost/v3/p/os-volume-transfer?limit=1&name=a+b%26%C3%A9&marker=new"
        );
    }
}
