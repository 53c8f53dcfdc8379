//! The page as a browser reads it: well formed, complete, and nothing in it that runs or loads.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod fixture;
mod hostile;

use check_page::Page;
use scraper::{ElementRef, Html, Selector};
use transfer_model::Trace;

fn parsed(page: &Page) -> Html {
    let html = Html::parse_document(&page.html());
    assert_eq!(html.errors, Vec::<std::borrow::Cow<'_, str>>::new());
    html
}

fn all<'a>(html: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    html.select(&Selector::parse(selector).unwrap()).collect()
}

fn text(element: &ElementRef<'_>) -> String {
    element.text().collect::<String>().replace('\u{202f}', " ").trim().to_owned()
}

fn texts(html: &Html, selector: &str) -> Vec<String> {
    all(html, selector).iter().map(text).collect()
}

fn of_run(trace: Trace) -> Html {
    parsed(&Page { title: "one run".to_owned(), traces: vec![trace], ..Page::default() })
}

#[test]
fn the_same_input_gives_the_same_page() {
    assert_eq!(fixture::failing().html(), fixture::failing().html());
}

#[test]
fn a_page_loads_nothing_and_runs_nothing() {
    for page in [fixture::failing(), fixture::passing(), hostile::page()] {
        let html = parsed(&page);
        assert_eq!(all(&html, "script, iframe, object, embed, link, img, base, form").len(), 0);
        for element in all(&html, "*") {
            for (name, value) in element.value().attrs() {
                assert!(!name.starts_with("on") && name != "style" && name != "src", "{name}");
                assert!(name != "href" || value.starts_with('#'), "{name}={value}");
            }
        }
        let style = texts(&html, "style").concat();
        assert!(!style.contains("url(") && !style.contains("@import"));
    }
    let page = fixture::failing().html();
    assert!(!page.contains("http://") && !page.contains("https://"));
}

#[test]
fn every_drawing_is_well_formed_and_has_a_name_or_is_hidden() {
    for drawing in fixture::failing().html().split("<svg class=\"arrow\"").skip(1) {
        // nested drawings end first: take the shortest end that parses
        let ends = drawing.match_indices("</svg>").map(|(at, end)| at + end.len());
        let parses = ends
            .into_iter()
            .any(|end| roxmltree::Document::parse(&format!("<svg{}", &drawing[..end])).is_ok());
        assert!(parses, "{drawing}");
    }
    for drawing in all(&parsed(&fixture::failing()), "td > svg, p > svg, span > svg") {
        let of = drawing.value();
        let named = of.attr("role") == Some("img") && of.attr("aria-label").is_some();
        assert!(named || of.attr("aria-hidden") == Some("true"), "{}", drawing.html());
    }
}

#[test]
fn ids_are_unique_and_every_link_leads_somewhere() {
    let html = parsed(&fixture::failing());
    let mut ids: Vec<_> = all(&html, "[id]").iter().filter_map(|e| e.attr("id")).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
    let links = all(&html, "a[href]");
    assert!(links.len() >= 6);
    for link in links {
        let target = link.attr("href").unwrap().trim_start_matches('#');
        assert!(ids.contains(&target), "{target}");
    }
}

#[test]
fn every_step_is_in_the_table_with_its_arrow() {
    let trace = fixture::upstream();
    let html = of_run(trace.clone());
    let rows = all(&html, "tr.step");
    assert_eq!(rows.len(), trace.steps.len());
    for (number, (row, step)) in (1..).zip(rows.iter().zip(&trace.steps)) {
        let words = text(row);
        for word in [&step.what, &step.actor].into_iter().chain(&step.fault) {
            assert!(words.contains(word), "{words} lacks {word}");
        }
        let arrow = row.select(&Selector::parse("svg.arrow[role=img]").unwrap()).next().unwrap();
        let label = arrow.attr("aria-label").unwrap();
        assert!(label.starts_with(&format!("step {number}, ")), "{label}");
        let faulty = Selector::parse(".message.faulty circle.fault").unwrap();
        assert_eq!(arrow.select(&faulty).next().is_some(), step.fault.is_some(), "{label}");
    }
}

#[test]
fn lanes_stand_in_order_and_each_has_a_lifeline_in_every_row() {
    let html = of_run(fixture::upstream());
    let lanes = texts(&html, ".lanes .name");
    assert_eq!(lanes, ["X", "Y", "service", "database", "X", "Y", "service"]);
    for arrow in all(&html, "svg.arrow") {
        let lines = arrow.select(&Selector::parse("line.lifeline").unwrap()).count();
        assert_eq!(lines, lanes.len());
    }
}

#[test]
fn the_keys_stand_with_their_owners_after_each_step() {
    let html = of_run(fixture::upstream());
    assert_eq!(texts(&html, "th.owner"), ["X", "Y", "service", "nobody"]);
    let keys = |step: usize| texts(&html, &format!("#run-1-step-{step} td.keys"));
    let all_rows = "A-Xvolumesnapshot-1snapshot-2";
    assert_eq!(texts(&html, "tr.start td.keys"), [&format!("custodian{all_rows}"), "", "", ""]);
    assert_eq!(keys(2), [&format!("{all_rows}≠ custodian"), "", "custodian", ""]);
    assert_eq!(
        keys(4),
        ["A-Xsnapshot-1snapshot-2volume≠ custodian", "", "custodianA-servicevolume", ""]
    );
    assert_eq!(keys(11)[2], "A-servicedeleted");
    let last = ["A-Xdeleted", "custodianA-Yvolumesnapshot-1", "", "A-Xdoes not existsnapshot-2"];
    assert_eq!(keys(12), last);
    let changed = texts(&html, "#run-1-step-4 .chip.changed .secret");
    assert_eq!(changed, ["A-X", "A-service"]);
    assert_eq!(texts(&html, "#run-1-step-4 .came"), ["volume"]);
    assert_eq!(texts(&html, "#run-1-step-4 del"), ["volume"]);
    assert_eq!(texts(&html, "#run-1-step-7 .changed").len(), 0);
}

#[test]
fn shells_and_different_keys_can_be_told_apart() {
    let html = of_run(fixture::holding());
    let service =
        |step: usize| texts(&html, &format!("#run-1-step-{step} td.keys .service.chip")).concat();
    assert_eq!(service(3), "9f8e7d6c…emptynew");
    assert_eq!(service(4), "9f8e7d6c…bytes 1filled");
    assert!(texts(&html, "#run-1-step-4 td.keys").contains(&"otherbytes 2".to_owned()));
}

#[test]
fn every_violation_stands_at_its_step_and_at_the_top_with_its_meaning() {
    let trace = fixture::upstream();
    let html = of_run(trace.clone());
    // the first two are of one invariant and stand together
    let callouts = texts(&html, "tr.violation");
    assert_eq!(callouts.len(), 3);
    let places = [0, 0, 1, 2].map(|place: usize| &callouts[place]);
    let broken: Vec<_> = trace.broken().collect();
    assert_eq!(broken.len(), places.len());
    for (callout, violation) in places.into_iter().zip(broken) {
        assert!(callout.contains(violation.invariant.name()) && callout.contains(&violation.what));
    }
    let above = texts(&html, ".violations li");
    assert!(above[2].contains("Step 12 breaks referenced_key_is_live"), "{above:?}");
    assert!(above[2].contains("names a secret that exists and is filled"), "{above:?}");
    assert_eq!(texts(&html, "header .verdict"), ["The run breaks an invariant."]);
    assert_eq!(
        texts(&html, "pre"),
        ["volume-transfer check --replay model/upstream-crash/0.1.0.0.0.3.9.1.0.2.0"]
    );
}

#[test]
fn a_run_that_breaks_nothing_says_so() {
    let html = of_run(fixture::holding());
    assert_eq!(all(&html, ".broken, .violation, .violations").len(), 0);
    assert_eq!(texts(&html, "header .verdict"), ["The run breaks no invariant."]);
    assert_eq!(texts(&html, "main .verdict"), ["Every invariant holds after each step."]);
    assert_eq!(
        texts(&html, "pre"),
        ["volume-transfer check --replay 'stack: offer X/0 1 0 2r 0 0'"]
    );
}

#[test]
fn a_run_without_steps_and_a_page_of_nothing_are_pages() {
    let html = of_run(Trace { steps: Vec::new(), ..fixture::upstream() });
    assert_eq!(all(&html, "tr.start").len(), 1);
    let html = parsed(&Page { title: "nothing".to_owned(), ..Page::default() });
    assert_eq!(texts(&html, "h1, .verdict"), ["nothing", "No run breaks an invariant."]);
}

#[test]
fn counts_of_the_matrix_are_those_of_the_coverage() {
    let coverage = fixture::coverage();
    let html = parsed(&Page {
        title: "coverage".to_owned(),
        coverage: vec![("model".to_owned(), coverage.clone())],
        ..Page::default()
    });
    let mut outcomes = texts(&html, ".matrix thead th");
    assert_eq!(outcomes.remove(0), "Step");
    assert_eq!(outcomes.pop().unwrap(), "all");
    let rows = all(&html, ".matrix tbody tr");
    assert_eq!((rows.len(), outcomes.len()), (30, 12));
    let number = |text: &str| text.replace(' ', "").parse::<u64>().unwrap_or(0);
    for (row, (step, became)) in rows.iter().zip(&coverage.steps) {
        let cells: Vec<_> = row.child_elements().map(|cell| text(&cell)).collect();
        assert_eq!(cells[0], *step);
        for (outcome, cell) in outcomes.iter().zip(&cells[1..]) {
            assert_eq!(number(cell), became.get(outcome).copied().unwrap_or(0), "{step} {outcome}");
            assert_eq!(cell.contains("never"), !became.contains_key(outcome));
        }
        assert_eq!(number(&cells[13]), became.values().sum::<u64>());
    }
    let all_of_them = coverage.steps.values().flat_map(|became| became.values()).sum::<u64>();
    assert_eq!(number(texts(&html, ".matrix tfoot td").last().unwrap()), all_of_them);
}

#[test]
fn situations_have_their_counts_and_missing_ones_stand_first() {
    let coverage = fixture::coverage();
    let html = parsed(&fixture::passing());
    let rows = texts(&html, "#coverage-1 .situations tbody tr");
    assert_eq!(rows.len(), coverage.situations.len());
    assert_eq!(rows[0], "cancel: crash before while another is at worknever");
    assert!(rows.contains(&"accept: takes over while another is at work390 625".to_owned()));
    assert_eq!(all(&html, "#coverage-1 tr.missing").len(), 1);
    assert_eq!(all(&html, "#coverage-2 tr.missing").len(), 0);
    let verdicts = texts(&html, "section .verdict");
    assert_eq!(verdicts, ["1 of 42 situations missing.", "all 42 situations came about."]);
}

#[test]
fn hostile_text_stays_text_wherever_it_stands() {
    let html = parsed(&hostile::page());
    assert_eq!(all(&html, "script, b.planted").len(), 0);
    let shown: String = html.root_element().text().collect();
    let attributes: String = all(&html, "*")
        .iter()
        .flat_map(|element| element.value().attrs().map(|(_, value)| format!("{value}\n")))
        .collect();
    for place in hostile::PLACES {
        let planted = match place {
            // the apostrophe is the shell's here
            "replay" => hostile::text(place).replace('\'', ""),
            _ => hostile::text(place),
        };
        assert!(shown.contains(&planted), "{place} is not shown as it is");
    }
    assert!(attributes.contains(&hostile::text("secret")));
}
