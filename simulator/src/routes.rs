//! One list of path templates for a service's router and for the fault rules and the log.

use axum::Router;
use axum::routing::MethodRouter;

use crate::Simulator;

/// A service's paths and what it does at each.
pub(crate) struct Routes {
    templates: Vec<&'static str>,
    router: Router<Simulator>,
}

impl Routes {
    pub(crate) fn new() -> Self {
        Self { templates: Vec::new(), router: Router::new() }
    }

    pub(crate) fn at(mut self, template: &'static str, methods: MethodRouter<Simulator>) -> Self {
        self.templates.push(template);
        self.router = self.router.route(template, methods);
        self
    }

    /// Joins the paths of `other`, for instance because a layer stands around them.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.templates.extend(other.templates);
        self.router = self.router.merge(other.router);
        self
    }

    /// Changes the router and keeps the templates: for layers and fallbacks.
    pub(crate) fn map(
        mut self,
        change: impl FnOnce(Router<Simulator>) -> Router<Simulator>,
    ) -> Self {
        self.router = change(self.router);
        self
    }

    pub(crate) fn finish(self, simulator: Simulator) -> (Vec<&'static str>, Router) {
        (self.templates, self.router.with_state(simulator))
    }
}

/// The template that `path` fits; one without a parameter goes before one with.
pub(crate) fn template_of<'a>(templates: &[&'a str], path: &str) -> Option<&'a str> {
    let fitting = templates.iter().filter(|template| fits(template, path));
    fitting.min_by_key(|template| template.matches('{').count()).copied()
}

fn fits(template: &str, path: &str) -> bool {
    let (mut expected, mut found) = (template.split('/'), path.split('/'));
    loop {
        match (expected.next(), found.next()) {
            (None, None) => return true,
            (Some(name), Some(value)) if name.starts_with('{') && !value.is_empty() => {}
            (Some(name), Some(value)) if name == value => {}
            (Some(_), Some(_) | None) | (None, Some(_)) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::template_of;

    #[test]
    fn a_path_fits_the_template_with_the_fewest_parameters() {
        let templates =
            ["/", "/v1/secrets", "/v1/secrets/{id}", "/v1/secrets/{id}/payload", "/v1/{x}"];
        for (path, expected) in [
            ("/", Some("/")),
            ("/v1/secrets", Some("/v1/secrets")),
            ("/v1/orders", Some("/v1/{x}")),
            ("/v1/secrets/1", Some("/v1/secrets/{id}")),
            ("/v1/secrets/1/payload", Some("/v1/secrets/{id}/payload")),
            ("/v1/secrets/1/acl", None),
            ("/v1/secrets/", None),
            ("/v2", None),
        ] {
            assert_eq!(template_of(&templates, path), expected, "{path}");
        }
    }
}
