//! Projects as columns with what they have, and the rules in force.

use maud::{Markup, html};
use time::{Duration, OffsetDateTime};

use super::{Board, Column};
use crate::SecretView;
use crate::control::PREFIX;
use crate::faults::RuleView;
use cinder_db::Volume;
use transfer_core::TransferId;

/// Cards of one kind that a column shows.
const MANY: usize = 60;

impl Board {
    pub(super) fn html(&self) -> Markup {
        let rules = self.simulator.faults().list();
        html! {
            @if !rules.is_empty() { (faults(&rules)) }
            section aria-labelledby="projects" {
                h2 #projects { "Projects" }
                @if self.offers.is_none() {
                    p.hint {
                        "Keystone and Barbican are alone here. With "
                        code { "volume-transfer serve --dev --control" }
                        " there are volumes, too, to be offered and accepted."
                    }
                }
                div.columns { @for column in &self.columns { (self.column(column)) } }
            }
        }
    }

    fn column(&self, column: &Column) -> Markup {
        let heading = format!("project-{}", column.id);
        html! {
            section.column aria-labelledby=(heading) data-project=(column.name) {
                h3 id=(heading) { (column.name) }
                @if self.offers.is_some() {
                    form data-ask=(format!("{PREFIX}/volumes")) data-done="There is a volume." {
                        input type="hidden" name="project" value=(column.id);
                        button id=(format!("make-{}", column.id)) {
                            "New volume" span.unseen { " in " (column.name) }
                        }
                    }
                }
                @for volume in column.volumes.iter().take(MANY) { (self.volume(volume)) }
                (more(column.volumes.len(), "volumes"))
                @for secret in column.secrets.iter().take(MANY) { (self.secret(secret)) }
                (more(column.secrets.len(), "secrets"))
                @if column.volumes.is_empty() && column.secrets.is_empty() {
                    p.hint { "Nothing." }
                }
            }
        }
    }

    fn volume(&self, volume: &Volume) -> Markup {
        let name = volume.name.as_deref().unwrap_or("(no name)");
        let created = volume.created_at.map(time::PrimitiveDateTime::assume_utc);
        html! {
            article.card.volume data-thing=(format!("volume {}", volume.id)) data-name=(name) {
                h4 { span.kind { "Volume" } " " (name) }
                p {
                    (volume.size_gb) " GiB, " (volume.status)
                    // The rows have the time of their database, which nothing moves.
                    @if let Some(created) = created { (age(created, OffsetDateTime::now_utc())) }
                }
                @if let Some(key) = &volume.key { p { "key " code { (short(key.as_str())) } } }
                @match self.offer_of(volume) {
                    Some(offer) => (self.offer(offer, volume)),
                    None if volume.status == "available" => {
                        form data-ask=(format!("{PREFIX}/offers")) data-done="It is on offer." {
                            input type="hidden" name="volume" value=(volume.id);
                            button id=(format!("offer-{}", volume.id)) {
                                "Make an offer" span.unseen { " of " (name) }
                            }
                        }
                    },
                    None => {},
                }
            }
        }
    }

    fn offer(&self, offer: &TransferId, volume: &Volume) -> Markup {
        let others = self.columns.iter().filter(|one| one.id != volume.project.as_str());
        html! {
            form.offer data-ask=(format!("{PREFIX}/offers/{offer}/accept"))
                data-done="It is accepted." {
                p { b { "On offer" } " as " code { (short(offer.as_str())) } }
                label { "Auth key " input name="auth_key" id=(format!("auth-{offer}")) required
                    size="16" autocomplete="off" spellcheck="false" data-offer=(offer); }
                label { "Accept as " select name="project" id=(format!("to-{offer}")) {
                    @for other in others {
                        option value=(other.id) selected[other.name == "recipient"] {
                            (other.name)
                        }
                    }
                } }
                button id=(format!("accept-{offer}")) { "Accept" }
            }
        }
    }

    fn secret(&self, secret: &SecretView) -> Markup {
        let name = secret.name.as_deref().unwrap_or("(no name)");
        let kind = [
            Some(secret.secret_type.clone()),
            secret.algorithm.clone(),
            secret.bit_length.map(|bits| format!("{bits} bits")),
        ];
        // The same bytes are the same thing wherever they are.
        let thing = secret.fingerprint.as_ref().map(|print| format!("key {}", &print[..16]));
        html! {
            article.card.secret.empty[!secret.filled] data-thing=[thing] data-name=(name) {
                h4 { span.kind { "Secret" } " " (name) }
                p {
                    (kind.into_iter().flatten().collect::<Vec<_>>().join(", "))
                    (age(secret.created, self.simulator.clock().now()))
                }
                p {
                    code { (short(&secret.id)) }
                    @if !secret.filled { ", empty" }
                    @if secret.consumers > 0 { ", used by " (secret.consumers) }
                }
            }
        }
    }
}

fn faults(rules: &[RuleView]) -> Markup {
    html! {
        section aria-labelledby="rules" {
            h2 #rules { "Faults" }
            ul.rules {
                @for rule in rules {
                    li {
                        code { (serde_json::to_string(&rule.rule).unwrap_or_default()) }
                        span { "fitted " (rule.seen) @if rule.struck { ", has struck" } }
                        @if rule.held > 0 {
                            form data-ask=(format!("{PREFIX}/faults/{}/release", rule.id))
                                data-done="One request goes on." {
                                button id=(format!("step-{}", rule.id)) {
                                    "Step: " (rule.held) " held"
                                    span.unseen { " by rule " (rule.id) }
                                }
                            }
                        }
                        form data-ask=(format!("{PREFIX}/faults/{}", rule.id)) data-method="DELETE"
                            data-done="The rule is gone." {
                            button id=(format!("remove-{}", rule.id)) {
                                "Remove" span.unseen { " rule " (rule.id) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn more(count: usize, what: &str) -> Markup {
    let hidden = count.saturating_sub(MANY);
    html! { @if hidden > 0 { p.hint { "and " (hidden) " more " (what) } } }
}

/// Enough of an id to tell it from others.
fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

fn age(created: OffsetDateTime, now: OffsetDateTime) -> Markup {
    let age = now - created;
    let told = match age {
        _ if age < Duration::seconds(1) => "just now".to_owned(),
        _ if age < Duration::minutes(1) => format!("{} s old", age.whole_seconds()),
        _ if age < Duration::hours(1) => format!("{} min old", age.whole_minutes()),
        _ if age < Duration::days(1) => format!("{} h old", age.whole_hours()),
        _ => format!("{} d old", age.whole_days()),
    };
    html! { ", " (told) }
}
