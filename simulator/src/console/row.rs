//! A request as a row of the table of what is asked for.

use maud::{Markup, html};
use time::macros::format_description;

use crate::Service;
use crate::events::Event;

/// The row, in one line: it is sent as a line of a stream.
pub(crate) fn row(event: &Event) -> String {
    let clock = format_description!("[hour]:[minute]:[second]");
    let who = [event.user.as_deref(), event.project.as_deref()];
    let row = html! {
        tr #{ "event-" (event.seq) } {
            td { (event.seq) }
            td { (event.at.format(clock).unwrap_or_default()) }
            td { (who.into_iter().flatten().collect::<Vec<_>>().join(" of ")) }
            td { (service(event.service)) }
            td { b { (event.method) } " " code { (event.path) } }
            td { (outcome(event)) }
        }
    };
    row.into_string().replace('\r', "&#13;").replace('\n', "&#10;")
}

fn outcome(event: &Event) -> Markup {
    html! {
        @match (event.status, event.fault) {
            (Some(status), _) => span.good[status < 400] { (status) },
            (None, Some("drop_before" | "drop_after" | "late")) => "no answer",
            (None, _) => "under way",
        }
        @if event.effect { " " span.effect { "changed something" } }
        @if let Some(fault) = event.fault { " " span.fault { (fault.replace('_', " ")) } }
    }
}

fn service(service: Service) -> &'static str {
    match service {
        Service::Keystone => "identity",
        Service::Barbican => "key manager",
        Service::BlockStorage => "block storage",
    }
}
