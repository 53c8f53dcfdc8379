//! What the demo tells: scenes, who holds which key, and facts that hold or do not.

use super::Show;
use crate::ready::Ready;
use anstream::println;
use anstyle::{AnsiColor, Style};
use serde::Serialize;

/// A volume and its key, for a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holding {
    /// The volume's name.
    pub volume: String,
    /// Its Cinder status.
    pub status: String,
    /// The name of the project that owns it.
    pub owner: String,
    /// The key's id; none for a plain volume.
    pub key: Option<String>,
    /// The name of the project that owns the key.
    pub custodian: Option<String>,
    /// How many snapshots it has, and how many of them name the same key.
    pub snapshots: (usize, usize),
}

/// Something that is announced and looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// In words.
    pub what: String,
    /// Whether it is so.
    pub holds: bool,
}

/// One scene.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Scene {
    /// What happens.
    pub title: String,
    /// Who holds which key afterwards.
    pub holdings: Vec<Holding>,
    /// What was looked at.
    pub facts: Vec<Fact>,
}

#[derive(Serialize)]
struct Report<'a> {
    scenes: &'a [Scene],
    facts: usize,
    failed: usize,
    consistent: bool,
}

pub(super) struct Printer {
    show: Show,
    scenes: Vec<Scene>,
}

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

impl Printer {
    pub(super) fn new(show: Show) -> Self {
        Self { show, scenes: Vec::new() }
    }

    pub(super) fn opening(&self, urls: &Ready) {
        if self.show == Show::Tables {
            println!("{BOLD}Encrypted volumes change hands, with their keys{BOLD:#}");
            println!(
                "{DIM}identity {}  key manager {}  block storage {}{DIM:#}",
                urls.identity, urls.key_manager, urls.block_storage
            );
            println!("{DIM}x owns project donor, y project recipient{DIM:#}");
        }
    }

    pub(super) fn scene(&mut self, scene: Scene) {
        if self.show == Show::Tables {
            println!("\n{BOLD}{}. {}{BOLD:#}", self.scenes.len() + 1, scene.title);
            print_holdings(&scene.holdings);
            for fact in &scene.facts {
                let (style, mark) = if fact.holds { (GOOD, "ok") } else { (BAD, "NOT SO") };
                println!("   {style}{mark}{style:#} {}", fact.what);
            }
        }
        self.scenes.push(scene);
    }

    /// Says how it went; true when everything held.
    pub(super) fn closing(&self) -> anyhow::Result<bool> {
        let facts: Vec<&Fact> = self.scenes.iter().flat_map(|scene| &scene.facts).collect();
        let failed = facts.iter().filter(|fact| !fact.holds).count();
        let consistent = failed == 0;
        match self.show {
            Show::Tables => {
                let (style, verdict) = match consistent {
                    true => (GOOD, "every key is where its volume is"),
                    false => (BAD, "something is wrong"),
                };
                let total = facts.len();
                println!("\n{style}{verdict}{style:#}: {} of {total} facts hold", total - failed);
            }
            Show::Json => {
                let report =
                    Report { scenes: &self.scenes, facts: facts.len(), failed, consistent };
                println!("{}", serde_json::to_string_pretty(&report)?);
            }
        }
        Ok(consistent)
    }
}

fn print_holdings(holdings: &[Holding]) {
    let head = ["volume", "status", "owner", "key", "key's owner", "snapshots on it"];
    let rows: Vec<[String; 6]> = holdings.iter().map(cells).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].len());
        cells.chain([head[column].len()]).max().unwrap_or_default()
    };
    let line = |cells: [&str; 6]| {
        let padded: Vec<String> =
            cells.iter().enumerate().map(|(i, cell)| format!("{cell:<w$}", w = width(i))).collect();
        padded.join("  ").trim_end().to_owned()
    };
    println!("   {DIM}{}{DIM:#}", line(head));
    for row in &rows {
        println!("   {}", line(row.each_ref().map(String::as_str)));
    }
}

fn cells(holding: &Holding) -> [String; 6] {
    let (all, same) = holding.snapshots;
    [
        holding.volume.clone(),
        holding.status.clone(),
        holding.owner.clone(),
        holding.key.as_ref().map_or("-".to_owned(), |key| key.chars().take(8).collect()),
        holding.custodian.clone().unwrap_or_else(|| "-".to_owned()),
        format!("{same} of {all}"),
    ]
}
