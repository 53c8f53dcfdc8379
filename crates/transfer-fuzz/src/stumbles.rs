//! Requests at which the real services answer 500, and the simulator with them.
//!
//! Each entry is as narrow as what upstream stumbles over; a server error beside them is a finding.
//! Most are recorded in `conformance/peers`; of those that no recording has, the database decides
//! (`[PostgreSQL]`), and the recording side has SQLite.

use axum::body::Bytes;
use http::{Method, Uri};
use serde_json::Value;
use std::collections::BTreeSet;
use url::form_urlencoded;

/// Longest text that Barbican's columns hold.
const COLUMN: usize = 255;

/// What the judgement needs of a request.
pub(crate) struct Asked {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    body: Value,
}

impl Asked {
    pub(crate) fn new(method: &Method, uri: &Uri, body: &Bytes) -> Self {
        let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        Self {
            method: method.clone(),
            path: uri.path().to_owned(),
            query: query.into_owned().collect(),
            body: serde_json::from_slice(body).unwrap_or_default(),
        }
    }

    /// Whether the path fits: a part `*` stands for any.
    fn is_at(&self, path: &str) -> bool {
        let parts = |path: &str| {
            path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        let (wanted, found) = (parts(path), parts(&self.path));
        let fits = |(wanted, found): (&String, &String)| wanted == "*" || wanted == found;
        wanted.len() == found.len() && wanted.iter().zip(&found).all(fits)
    }

    /// Whether one of these parameters is given more than once.
    fn repeats(&self, parameters: &[&str]) -> bool {
        let mut seen = BTreeSet::new();
        let mut given = self.query.iter().map(|(name, _)| name.as_str());
        given.any(|name| parameters.contains(&name) && !seen.insert(name))
    }

    fn text(&self, pointer: &str) -> Option<&str> {
        self.body.pointer(pointer).and_then(Value::as_str).map(str::trim)
    }
}

/// One kind of request at which a real service stumbles.
pub(crate) struct Stumble {
    methods: &'static [Method],
    /// A part `*` stands for any.
    paths: &'static [&'static str],
    /// What has to be the case besides.
    over: fn(&Asked) -> bool,
}

/// Whether the real service answers 500 to a request like this one.
pub(crate) fn stumbles(asked: &Asked, at: &[Stumble]) -> bool {
    at.iter().any(|stumble| {
        stumble.methods.contains(&asked.method)
            && stumble.paths.iter().any(|path| asked.is_at(path))
            && (stumble.over)(asked)
    })
}

/// Barbican's.
pub(crate) const BARBICAN: &[Stumble] = &[
    // The schema looks at the first user alone; [PostgreSQL] for the length.
    Stumble {
        methods: &[Method::PUT, Method::PATCH],
        paths: &["/v1/secrets/*/acl", "/v1/containers/*/acl"],
        over: |asked| {
            let users = asked.body.pointer("/read/users").and_then(Value::as_array);
            let cannot_be_kept = |user: &Value| match user {
                Value::String(id) => id.trim().chars().count() > COLUMN,
                Value::Number(_) => false,
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => true,
            };
            users.is_some_and(|users| users.iter().skip(1).any(cannot_be_kept))
        },
    },
    // [PostgreSQL] The schema leaves lengths to the column.
    Stumble {
        methods: &[Method::PUT],
        paths: &["/v1/secrets/*/metadata"],
        over: |asked| {
            let is_long = |text: &str| text.trim().chars().count() > COLUMN;
            let pairs = asked.body.pointer("/metadata").and_then(Value::as_object);
            pairs
                .into_iter()
                .flatten()
                .any(|(key, value)| is_long(key) || value.as_str().is_some_and(is_long))
        },
    },
    // A list of values is taken for a text.
    Stumble {
        methods: &[Method::GET],
        paths: &["/v1/secrets"],
        over: |asked| {
            asked.repeats(&[
                "limit",
                "offset",
                "name",
                "alg",
                "mode",
                "bits",
                "secret_type",
                "acl_only",
                "created",
                "updated",
                "expiration",
                "sort",
            ])
        },
    },
    Stumble {
        methods: &[Method::GET],
        paths: &["/v1/containers"],
        over: |asked| asked.repeats(&["limit", "offset", "name", "type"]),
    },
    Stumble {
        methods: &[Method::GET],
        paths: &["/v1/orders", "/v1/project-quotas"],
        over: |asked| asked.repeats(&["limit", "offset"]),
    },
    Stumble {
        methods: &[Method::GET],
        paths: &["/v1/transport_keys"],
        over: |asked| asked.repeats(&["limit", "offset", "plugin_name"]),
    },
    // The database has no such kind of container.
    Stumble {
        methods: &[Method::GET],
        paths: &["/v1/containers"],
        over: |asked| {
            let known = ["", "generic", "rsa", "dsa", "certificate"];
            asked.query.iter().any(|(name, kind)| name == "type" && !known.contains(&kind.as_str()))
        },
    },
    // What follows the last slash is looked for, and there is none.
    Stumble {
        methods: &[Method::POST, Method::DELETE],
        paths: &["/v1/containers/*/secrets", "/v1/containers/*/secrets/*"],
        over: |asked| !asked.text("/secret_ref").unwrap_or_default().contains('/'),
    },
    // [PostgreSQL] Any whole number is taken, and the column holds 32 bits.
    Stumble {
        methods: &[Method::PUT],
        paths: &["/v1/project-quotas/*"],
        over: |asked| {
            let limits = asked.body.pointer("/project_quotas").and_then(Value::as_object);
            let is_wide = |limit: &Value| {
                limit.as_f64().is_some_and(|limit| limit.abs() > f64::from(i32::MAX))
            };
            limits.into_iter().flatten().any(|(_, limit)| is_wide(limit))
        },
    },
    // One that is not there is asked for in a way that fails.
    Stumble { methods: &[Method::GET], paths: &["/v1/transport_keys/*"], over: |_| true },
];

/// Keystone's.
pub(crate) const KEYSTONE: &[Stumble] = &[
    // The schema does not ask for the member that is then taken for granted.
    Stumble {
        methods: &[Method::POST],
        paths: &["/v3/services"],
        over: |asked| asked.body.get("service").is_none(),
    },
    Stumble {
        methods: &[Method::POST],
        paths: &["/v3/projects"],
        over: |asked| asked.body.get("project").is_none(),
    },
    // An assertion keeps the name of the domain of federated users.
    Stumble {
        methods: &[Method::POST, Method::PATCH],
        paths: &["/v3/domains", "/v3/domains/*"],
        over: |asked| is_federated(asked.text("/domain/name")),
    },
    Stumble {
        methods: &[Method::POST],
        paths: &["/v3/projects"],
        over: |asked| {
            let is_domain = asked.body.pointer("/project/is_domain").unwrap_or(&Value::Null);
            !matches!(is_domain, Value::Null | Value::Bool(false))
                && is_federated(asked.text("/project/name"))
        },
    },
    // The words for a name that is taken want the id, which only the path has.
    Stumble {
        methods: &[Method::PATCH],
        paths: &["/v3/projects/*"],
        over: |asked| {
            asked.text("/project/name").is_some() && asked.body.pointer("/project/id").is_none()
        },
    },
];

fn is_federated(name: Option<&str>) -> bool {
    name.is_some_and(|name| name.to_lowercase() == "federated")
}

#[cfg(test)]
mod tests {
    use super::{Asked, BARBICAN, Bytes, KEYSTONE, Method, Stumble, Uri, stumbles};

    fn check(at: &[Stumble], method: &Method, target: &'static str, body: &'static str, is: bool) {
        let body = Bytes::from_static(body.as_bytes());
        let asked = Asked::new(method, &Uri::from_static(target), &body);
        assert_eq!(stumbles(&asked, at), is, "{method} {target} {body:?}");
    }

    #[test]
    fn barbican_stumbles_there_and_nowhere_beside() {
        let (get, put, post, patch) = (&Method::GET, &Method::PUT, &Method::POST, &Method::PATCH);
        for (method, target, body, is) in [
            (put, "/v1/secrets/s/acl", r#"{"read": {"users": ["a", null]}}"#, true),
            (patch, "/v1/containers/c/acl", r#"{"read": {"users": ["a", {}]}}"#, true),
            (put, "/v1/secrets/s/acl", r#"{"read": {"users": [null, "a"]}}"#, false),
            (put, "/v1/secrets/s/acl", r#"{"read": {"users": ["a", 5]}}"#, false),
            (get, "/v1/secrets/s/acl", r#"{"read": {"users": ["a", null]}}"#, false),
            (put, "/v1/secrets/s/metadata", r#"{"metadata": {"k": "v"}}"#, false),
            (get, "/v1/secrets?bits=1&bits=1", "", true),
            (get, "/v1/secrets/?bits=1&bits=1", "", true),
            (get, "/v1/secrets?bits=1&name=1&x=1&x=2", "", false),
            (get, "/v1/containers?bits=1&bits=2", "", false),
            (get, "/v1/containers?type=cow", "", true),
            (get, "/v1/containers?type=rsa", "", false),
            (post, "/v1/containers/c/secrets", r#"{"secret_ref": "x"}"#, true),
            (post, "/v1/containers/c/secrets", r#"{"secret_ref": "/x"}"#, false),
            (post, "/v1/containers", r#"{"secret_ref": "x"}"#, false),
            (put, "/v1/project-quotas/p", r#"{"project_quotas": {"orders": 3e9}}"#, true),
            (put, "/v1/project-quotas/p", r#"{"project_quotas": {"orders": 3}}"#, false),
            (get, "/v1/orders?limit=1&limit=1", "", true),
            (get, "/v1/orders?meta=1&meta=1", "", false),
            (get, "/v1/project-quotas?offset=1&offset=1", "", true),
            (get, "/v1/transport_keys?plugin_name=1&plugin_name=1", "", true),
            (get, "/v1/transport_keys?name=1&name=1", "", false),
            (get, "/v1/transport_keys/t", "", true),
            (post, "/v1/transport_keys/t", "", false),
            (get, "/v1/secret-stores", "", false),
        ] {
            check(BARBICAN, method, target, body, is);
        }
        let long = format!(r#"{{"metadata": {{"k": "{}"}}}}"#, "v".repeat(256));
        let metadata = Uri::from_static("/v1/secrets/s/metadata");
        assert!(stumbles(&Asked::new(put, &metadata, &long.clone().into()), BARBICAN));
        assert!(!stumbles(&Asked::new(post, &metadata, &long.into()), BARBICAN));
    }

    #[test]
    fn keystone_stumbles_there_and_nowhere_beside() {
        let (post, patch) = (&Method::POST, &Method::PATCH);
        for (method, target, body, is) in [
            (post, "/v3/services", "{}", true),
            (post, "/v3/services", r#"{"service": {}}"#, false),
            (post, "/v3/projects", "{}", true),
            (post, "/v3/projects", r#"{"project": {"name": "p"}}"#, false),
            (post, "/v3/projects", r#"{"project": {"name": "Federated"}}"#, false),
            (
                post,
                "/v3/projects",
                r#"{"project": {"name": " Federated", "is_domain": true}}"#,
                true,
            ),
            (post, "/v3/domains", r#"{"domain": {"name": "FEDERATED"}}"#, true),
            (patch, "/v3/domains/d", r#"{"domain": {"name": "federated"}}"#, true),
            (patch, "/v3/domains/d", r#"{"domain": {"name": "d"}}"#, false),
            (patch, "/v3/projects/p", r#"{"project": {"name": "q"}}"#, true),
            (patch, "/v3/projects/p", r#"{"project": {"name": "q", "id": "p"}}"#, false),
            (patch, "/v3/projects/p", r#"{"project": {"enabled": false}}"#, false),
            (patch, "/v3/users/u", r#"{"user": {"name": "federated"}}"#, false),
        ] {
            check(KEYSTONE, method, target, body, is);
        }
    }
}
