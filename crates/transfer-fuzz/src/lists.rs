//! Any list, in pages: whatever the query, the order and the microversion, pages fit together.
//!
//! An input is a structure of parameters, with names and values that the service knows and others.

use crate::cloud::Reply;
use crate::ground::{Ground, on_ground};
use crate::replies::{Exchanged, check_exchanged};
use arbitrary::{Arbitrary, Unstructured};
use axum::body::Body;
use http::{Method, Request};
use serde_json::Value;
use std::collections::BTreeSet;
use url::form_urlencoded;

/// More pages than there are offers, so that a list without end is seen.
const PAGES: usize = 10;

/// Asks for the list.
pub(crate) fn check(input: &[u8]) {
    let Ok(list) = List::arbitrary_take_rest(Unstructured::new(input)) else { return };
    on_ground(|ground| {
        list.check(ground);
        false
    });
}

#[derive(Arbitrary, Debug)]
struct List {
    caller: Caller,
    legacy: bool,
    detail: bool,
    version: Version,
    params: Vec<(Param, Meaning)>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Caller {
    X,
    Y,
    Admin,
    Reader,
    Unscoped,
}

#[derive(Arbitrary, Debug)]
enum Version {
    None,
    Minor(u8),
    Latest,
    /// After the name of another service.
    Second(u8),
    Text(String),
}

#[derive(Arbitrary, Clone, PartialEq, Eq, Debug)]
enum Param {
    Limit,
    Offset,
    Marker,
    Sort,
    SortKey,
    SortDir,
    AllTenants,
    Name,
    Column(Column),
    Text(String),
}

#[derive(Arbitrary, Clone, Copy, PartialEq, Eq, Debug)]
enum Column {
    Id,
    CreatedAt,
    UpdatedAt,
    DisplayName,
    VolumeId,
    Accepted,
    SourceProject,
    NoSnapshots,
    Deleted,
    Salt,
}

#[derive(Arbitrary, Clone, Debug)]
enum Meaning {
    Small(u8),
    Number(i64),
    Offer(u8),
    Volume(u8),
    Yes,
    Order(Vec<(Column, Option<bool>)>),
    Direction(bool),
    Text(String),
}

type Pairs = Vec<(String, String)>;

impl List {
    fn check(&self, ground: &Ground) {
        let query = self.query(ground);
        let version = self.version.text();
        let first = self.ask(ground, version.as_deref(), &query);
        check_echo(version.as_deref(), &first, |version| self.ask(ground, Some(version), &query));
        let Some(page) = Page::read(&first) else { return };
        let pages = self.pages(ground, page, &query);
        check_pages(&pages, limit(&query));
        let once = |name| query.iter().filter(|(param, _)| param == name).count() <= 1;
        // a link keeps the offset, so that each page skips as many again
        let skips = query.iter().any(|(name, _)| name == "offset");
        if pages.len() > 1 && once("limit") && once("marker") && !skips {
            let whole = query.iter().filter(|(name, _)| name != "limit" && name != "marker");
            let whole = self.ask(ground, version.as_deref(), &whole.cloned().collect());
            check_whole(&pages, &Page::read(&whole).expect("the whole list is one, too"));
        }
    }

    /// The first page and those that follow it.
    fn pages(&self, ground: &Ground, first: Page, query: &Pairs) -> Vec<Page> {
        let mut pages = vec![first];
        while let Some(next) = pages.last().and_then(|page| page.next.clone())
            && pages.len() < PAGES
        {
            check_next(query, &next);
            let reply = self.ask(ground, self.version.text().as_deref(), &next);
            pages.push(Page::read(&reply).expect("a next page is a page"));
        }
        pages
    }

    fn ask(&self, ground: &Ground, version: Option<&str>, query: &Pairs) -> Reply {
        let collection = if self.legacy { "os-volume-transfer" } else { "volume-transfers" };
        let detail = if self.detail { "/detail" } else { "" };
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let uri = format!("/v3/{collection}{detail}?{query}");
        let mut request =
            Request::get(uri).header("x-auth-token", ground.word(self.caller.token()));
        if let Some(version) = version {
            request = request.header("openstack-api-version", version);
        }
        let reply = ground.send(request.body(Body::empty()).unwrap());
        let secrets = ground.secrets().collect();
        let (method, changed) = (&Method::GET, ground.has_changed());
        check_exchanged(&Exchanged { method, reply: &reply, changed, secrets });
        reply
    }

    fn query(&self, ground: &Ground) -> Pairs {
        let pair = |(name, meaning): &(Param, Meaning)| (name.text(), meaning.text(ground));
        self.params.iter().map(pair).collect()
    }
}

impl Caller {
    fn token(self) -> &'static str {
        match self {
            Self::X => "{token_x}",
            Self::Y => "{token_y}",
            Self::Admin => "{token_admin}",
            Self::Reader => "{token_reader}",
            Self::Unscoped => "{token_unscoped}",
        }
    }
}

impl Version {
    fn text(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Minor(minor) => Some(format!("volume 3.{minor}")),
            Self::Latest => Some("volume latest".to_owned()),
            Self::Second(minor) => Some(format!("compute 2.1, volume 3.{minor}")),
            // what no header carries cannot be asked for
            Self::Text(text) => Some(text.chars().filter(|c| !c.is_control()).collect()),
        }
    }
}

impl Param {
    fn text(&self) -> String {
        match self {
            Self::Limit => "limit",
            Self::Offset => "offset",
            Self::Marker => "marker",
            Self::Sort => "sort",
            Self::SortKey => "sort_key",
            Self::SortDir => "sort_dir",
            Self::AllTenants => "all_tenants",
            Self::Name => "name",
            Self::Column(column) => column.text(),
            Self::Text(text) => text,
        }
        .to_owned()
    }
}

impl Column {
    fn text(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::CreatedAt => "created_at",
            Self::UpdatedAt => "updated_at",
            Self::DisplayName => "display_name",
            Self::VolumeId => "volume_id",
            Self::Accepted => "accepted",
            Self::SourceProject => "source_project_id",
            Self::NoSnapshots => "no_snapshots",
            Self::Deleted => "deleted",
            Self::Salt => "salt",
        }
    }
}

impl Meaning {
    fn text(&self, ground: &Ground) -> String {
        let numbered = |kind: &str, n: &u8| {
            let n = n % 4 + 1;
            ground.word(&format!("{{{kind}_{n}}}")).to_owned()
        };
        let direction = |up: &bool| if *up { "asc" } else { "desc" };
        match self {
            Self::Small(n) => (n % 6).to_string(),
            Self::Number(n) => n.to_string(),
            Self::Offer(n) => numbered("offer", n),
            Self::Volume(n) => numbered("offered", n),
            Self::Yes => "true".to_owned(),
            Self::Order(keys) => {
                let key = |(column, up): &(Column, Option<bool>)| match up {
                    Some(up) => format!("{}:{}", column.text(), direction(up)),
                    None => column.text().to_owned(),
                };
                keys.iter().map(key).collect::<Vec<_>>().join(",")
            }
            Self::Direction(up) => direction(up).to_owned(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// A list that was told.
#[derive(Clone, Debug)]
struct Page {
    ids: Vec<String>,
    /// The query of the next page.
    next: Option<Pairs>,
}

impl Page {
    fn read(reply: &Reply) -> Option<Self> {
        if reply.status != 200 {
            return None;
        }
        let body: Value = serde_json::from_str(&reply.text).expect("a list in JSON");
        let transfers = body["transfers"].as_array().expect("transfers");
        let id = |transfer: &Value| transfer["id"].as_str().expect("an id").to_owned();
        let next = body.get("transfers_links").map(|links| {
            let href = links[0]["href"].as_str().expect("a link");
            let (_, query) = href.split_once('?').expect("a link with a query");
            form_urlencoded::parse(query.as_bytes()).into_owned().collect()
        });
        Some(Self { ids: transfers.iter().map(id).collect(), next })
    }
}

/// How long a page may be.
fn limit(query: &Pairs) -> Option<usize> {
    query.iter().find(|(name, _)| name == "limit").and_then(|(_, limit)| limit.trim().parse().ok())
}

/// A reply names the microversion that it is of, and that very one gets the same reply.
fn check_echo(asked: Option<&str>, first: &Reply, again: impl FnOnce(&str) -> Reply) {
    let header = first.headers.get("openstack-api-version").and_then(|value| value.to_str().ok());
    let Some(version) = header else {
        assert_eq!(first.status, 400, "no microversion in the reply to {asked:?}");
        return;
    };
    let minor = version.strip_prefix("volume 3.").and_then(|minor| minor.parse::<u32>().ok());
    let supported = minor.is_some_and(|minor| minor <= 71);
    assert_eq!(supported, first.status != 406, "{version} was answered with {}", first.status);
    let again = again(version);
    assert_eq!(
        (again.status, &again.text),
        (first.status, &first.text),
        "{version} after {asked:?}"
    );
}

/// The next page is asked for with the same query from another marker on.
fn check_next(query: &Pairs, next: &Pairs) {
    let others = |pairs: &Pairs| -> Pairs {
        pairs.iter().filter(|(name, _)| name != "marker").cloned().collect()
    };
    assert_eq!(others(query), others(next), "the next page is of another query");
}

/// No page is too long, none is twice the same, and the last one is reached.
fn check_pages(pages: &[Page], limit: Option<usize>) {
    let mut known = BTreeSet::new();
    for page in pages {
        assert!(limit.is_none_or(|limit| page.ids.len() <= limit), "{page:?} is over {limit:?}");
        for id in &page.ids {
            assert!(known.insert(id), "{id} is listed twice in {pages:?}");
        }
    }
    assert!(pages.len() < PAGES, "a list without end: {pages:?}");
}

/// All pages together are the end of the list that one reply holds.
fn check_whole(pages: &[Page], whole: &Page) {
    let ids: Vec<&String> = pages.iter().flat_map(|page| &page.ids).collect();
    let whole: Vec<&String> = whole.ids.iter().collect();
    assert!(whole.ends_with(&ids), "{ids:?} are no part of {whole:?}");
}

#[cfg(test)]
mod tests {
    use super::{Page, Pairs, Reply, check_echo, check_next, check_pages, check_whole};
    use crate::objection::objection;
    use http::HeaderMap;

    fn page(ids: &str) -> Page {
        Page { ids: ids.chars().map(String::from).collect(), next: None }
    }

    fn check(words: &str, check: impl FnOnce()) {
        let objection = objection(check);
        assert!(objection.contains(words), "{words}: {objection}");
    }

    #[test]
    fn pages_that_do_not_fit_together_are_found() {
        check_pages(&[page("ab"), page("c")], Some(2));
        check_whole(&[page("b"), page("c")], &page("abc"));
        check("listed twice", || check_pages(&[page("ab"), page("b")], Some(2)));
        check("is over", || check_pages(&[page("ab")], Some(1)));
        check("without end", || check_pages(&vec![page(""); super::PAGES], None));
        check("no part", || check_whole(&[page("a"), page("c")], &page("abc")));
        check("no part", || check_whole(&[page("a"), page("b")], &page("abc")));
    }

    #[test]
    fn a_next_page_of_another_query_is_found() {
        let pairs = |text: &str| -> Pairs {
            url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
        };
        check_next(&pairs("limit=1&name=a"), &pairs("limit=1&name=a&marker=m"));
        check("another query", || check_next(&pairs("limit=1&name=a"), &pairs("limit=1&marker=m")));
    }

    #[test]
    fn a_microversion_that_is_not_the_replys_is_found() {
        let reply = |status, version: &str, text: &str| {
            let version = ("openstack-api-version".parse().unwrap(), version.parse().unwrap());
            Reply { status, headers: HeaderMap::from_iter([version]), text: text.to_owned() }
        };
        let good = || reply(200, "volume 3.71", "a");
        check_echo(None, &good(), |_| good());
        check("after", || check_echo(None, &good(), |_| reply(200, "volume 3.71", "b")));
        check("was answered with", || check_echo(None, &reply(200, "volume 3.72", ""), |_| good()));
        check("was answered with", || check_echo(None, &reply(406, "volume 3.7", ""), |_| good()));
        let silent = Reply { status: 200, headers: HeaderMap::new(), text: String::new() };
        check("no microversion", || check_echo(None, &silent, |_| good()));
    }
}
