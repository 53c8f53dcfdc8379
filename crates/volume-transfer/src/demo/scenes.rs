//! The scenes: each acts as a user would, and then looks.

use super::report::{Fact, Holding, Printer, Scene};
use crate::stage::{Server, ServerOptions, Stage, User};
use anyhow::Context as _;
use simulator::Service;
use simulator::faults::{Action, Rule};
use std::collections::BTreeMap;
use transfer_core::invariants::{Row, RowId, VolumeView, check_at_rest};
use transfer_core::{Invariant, Operation, ProjectId, World};

/// The people and things of the play.
struct Cast<'a> {
    stage: &'a Stage,
    x: User,
    y: User,
    /// Volume names by id, in the order of the table.
    names: BTreeMap<String, String>,
    projects: BTreeMap<ProjectId, &'static str>,
    /// The digest of each encrypted volume's key bytes, as read by X at the start.
    bytes: BTreeMap<String, String>,
}

/// An open offer, as its donor knows it.
struct OpenOffer {
    volume: String,
    id: String,
    auth_key: String,
}

pub(super) async fn play(
    stage: &Stage,
    options: &ServerOptions,
    printer: &mut Printer,
) -> anyhow::Result<()> {
    let mut cast = Cast::gather(stage).await?;
    let mut server = stage.start_server(options).await?;

    let encrypted = ["accepted", "cancelled", "interrupted"];
    for name in encrypted {
        cast.make_volume(name, Some("luks")).await?;
    }
    cast.make_volume("plain", None).await?;
    stage.observe().await?;
    let facts = vec![cast.bytes_are_known().await?];
    cast.close(
        printer,
        "x creates encrypted volumes with two snapshots each, and a plain one",
        facts,
    )
    .await?;

    let offer = cast.offer(&server, "accepted").await?;
    let facts = cast.key_is_with_the_service(&offer).await?;
    cast.close(printer, "x offers a volume: the service keeps its key", facts).await?;
    let facts = cast.accept(&server, &offer).await?;
    cast.close(printer, "y accepts: the key is y's", facts).await?;

    let offer = cast.offer(&server, "cancelled").await?;
    let facts = cast.cancel(&server, &offer).await?;
    cast.close(printer, "x offers another one and takes it back: the key is x's again", facts)
        .await?;

    let offer = cast.offer(&server, "plain").await?;
    let facts = cast.accept(&server, &offer).await?;
    cast.close(printer, "a plain volume changes hands the same way, without a key", facts).await?;

    let offer = cast.offer(&server, "interrupted").await?;
    let facts = cast.crash(server, &offer).await?;
    server = stage.start_server(options).await?;
    // Recovery aborts; the copy in y's project waits for y's authority, which any call brings.
    stage.rest_of_claims().await?;
    cast.y.offers(server.url()).await?.expect(200)?;
    cast.close(
        printer,
        "the service is killed while it copies the key to y, and started again: \
         the offer stands, and y's next call takes the half-made copy away",
        facts,
    )
    .await?;
    let facts = cast.accept(&server, &offer).await?;
    cast.close(printer, "y accepts again: the key is y's", facts).await?;

    let status = server.stop().await?;
    anyhow::ensure!(status.success(), "the service stopped with {status}");
    Ok(())
}

impl<'a> Cast<'a> {
    async fn gather(stage: &'a Stage) -> anyhow::Result<Self> {
        let admin = stage.log_in("admin", "admin").await?;
        admin.create_encrypted_type("luks").await?;
        let mut projects = BTreeMap::new();
        for name in ["admin", "donor", "recipient", "third", "service"] {
            let id = stage.simulator.project_id(name).context("a project is missing")?;
            projects.insert(ProjectId::new(id), name);
        }
        Ok(Self {
            stage,
            x: stage.log_in("x", "donor").await?,
            y: stage.log_in("y", "recipient").await?,
            names: BTreeMap::new(),
            projects,
            bytes: BTreeMap::new(),
        })
    }

    async fn make_volume(&mut self, name: &str, kind: Option<&str>) -> anyhow::Result<()> {
        let id = self.x.create_volume(name, kind).await?;
        for number in 1..=2 {
            self.x.create_snapshot(&format!("{name}-{number}"), &id).await?;
        }
        self.names.insert(id, name.to_owned());
        Ok(())
    }

    fn id_of(&self, name: &str) -> anyhow::Result<String> {
        let found = self.names.iter().find(|(_, known)| *known == name);
        Ok(found.with_context(|| format!("no volume {name}"))?.0.clone())
    }

    async fn bytes_are_known(&mut self) -> anyhow::Result<Fact> {
        let world = self.stage.world().await?;
        for volume in &world.volumes {
            if let (Some(key), RowId::Volume(id)) = (&volume.row.key, &volume.row.id)
                && let Ok(digest) = self.x.read_key(key.as_str()).await?
            {
                self.bytes.insert(id.to_string(), digest);
            }
        }
        Ok(fact("x can read the keys of all three", self.bytes.len() == 3))
    }

    async fn offer(&self, server: &Server, name: &str) -> anyhow::Result<OpenOffer> {
        let volume = self.id_of(name)?;
        let reply = self.x.offer(server.url(), &volume).await?.expect(202)?;
        let offer = OpenOffer {
            id: reply.text("/transfer/id")?,
            auth_key: reply.text("/transfer/auth_key")?,
            volume,
        };
        self.stage.rest().await?;
        Ok(offer)
    }

    async fn key_is_with_the_service(&self, offer: &OpenOffer) -> anyhow::Result<Vec<Fact>> {
        let key = self.key_of(&offer.volume).await?.context("no key")?;
        Ok(vec![
            fact("x cannot read the key any more", self.x.read_key(&key).await? == Err(403)),
            fact("y cannot read it yet", self.y.read_key(&key).await? == Err(403)),
        ])
    }

    async fn accept(&self, server: &Server, offer: &OpenOffer) -> anyhow::Result<Vec<Fact>> {
        self.stage.showed_auth_key(&offer.volume, &self.y.project).await?;
        let wrong = self.y.accept(server.url(), &offer.id, "0000000000000000").await?;
        let reply = self.y.accept(server.url(), &offer.id, &offer.auth_key).await?;
        self.stage.told(&offer.id, Operation::Accept, &self.y.project, reply.told());
        self.stage.rest().await?;
        let mut facts = vec![
            fact("a wrong auth key is refused", wrong.status == 400),
            fact("the accept is answered with 202", reply.status == 202),
        ];
        if let Some(key) = self.key_of(&offer.volume).await? {
            let before = self.bytes.get(&offer.volume).cloned().context("unknown key")?;
            facts.push(fact(
                "y can read the key, and its bytes are those that x had",
                self.y.read_key(&key).await? == Ok(before),
            ));
            facts.push(fact("x cannot read it", self.x.read_key(&key).await? == Err(403)));
        }
        Ok(facts)
    }

    async fn cancel(&self, server: &Server, offer: &OpenOffer) -> anyhow::Result<Vec<Fact>> {
        let reply = self.x.cancel(server.url(), &offer.id).await?;
        self.stage.told(&offer.id, Operation::Cancel, &self.x.project, reply.told());
        self.stage.rest().await?;
        let key = self.key_of(&offer.volume).await?.context("no key")?;
        let before = self.bytes.get(&offer.volume).cloned().context("unknown key")?;
        Ok(vec![
            fact("the cancel is answered with 202", reply.status == 202),
            fact(
                "x can read the key, and its bytes are those that it had",
                self.x.read_key(&key).await? == Ok(before),
            ),
            fact("y cannot read it", self.y.read_key(&key).await? == Err(403)),
        ])
    }

    /// Kills the server after Barbican has taken the key for y and before the reply arrives: the
    /// worst moment, with a second, filled copy that no row names.
    async fn crash(&self, server: Server, offer: &OpenOffer) -> anyhow::Result<Vec<Fact>> {
        self.stage.showed_auth_key(&offer.volume, &self.y.project).await?;
        let fill = Rule::on(Service::Barbican, Action::HoldAfter)
            .method("PUT")
            .template("/v1/secrets/{id}")
            .project("recipient");
        let held = self.stage.simulator.faults().add(fill);
        let url = server.url().to_owned();
        let accept = async { self.y.accept(&url, &offer.id, &offer.auth_key).await };
        let kill = async {
            held.reached().await;
            server.kill().await
        };
        let (lost, killed) = tokio::join!(accept, kill);
        killed?;
        held.release();
        let world = self.stage.world().await?;
        let key = find(&world, &offer.volume)?.row.key.as_ref().context("no key")?;
        let material = &world.secrets.get(key).context("the key is gone")?.material;
        let copies = world.secrets.values().filter(|secret| secret.material == *material);
        Ok(vec![
            fact("the accept got no answer", lost.is_err()),
            fact("two copies of the key existed at that moment", copies.count() == 2),
        ])
    }

    async fn key_of(&self, volume: &str) -> anyhow::Result<Option<String>> {
        let world = self.stage.world().await?;
        let view = find(&world, volume)?;
        Ok(view.row.key.as_ref().map(ToString::to_string))
    }

    /// Waits until everything has come to rest, then shows who holds what and checks everything.
    async fn close(
        &self,
        printer: &mut Printer,
        title: &str,
        mut facts: Vec<Fact>,
    ) -> anyhow::Result<()> {
        let world = self.stage.rest().await?;
        let broken = check_at_rest(&world, &self.stage.history());
        for violation in &broken {
            facts.push(fact(&violation.to_string(), false));
        }
        let names: Vec<&str> = Invariant::ALL.into_iter().map(Invariant::name).collect();
        facts.push(fact(&format!("invariants hold: {}", names.join(", ")), broken.is_empty()));
        let owed = world.debts.len();
        facts.push(fact("nothing is left behind", owed == 0));
        let mut holdings = Vec::new();
        for (id, name) in &self.names {
            holdings.push(self.holding(&world, name, find(&world, id)?));
        }
        holdings.sort_by(|a, b| a.volume.cmp(&b.volume));
        printer.scene(Scene { title: title.to_owned(), holdings, facts });
        Ok(())
    }

    fn holding(&self, world: &World, name: &str, view: &VolumeView) -> Holding {
        let project = |id: &ProjectId| {
            self.projects.get(id).map_or_else(|| id.to_string(), |name| (*name).to_owned())
        };
        let same = |row: &&Row| row.key == view.row.key;
        Holding {
            volume: name.to_owned(),
            status: view.status.clone(),
            owner: project(&view.row.project),
            key: view.row.key.as_ref().map(ToString::to_string),
            custodian: view
                .row
                .key
                .as_ref()
                .and_then(|key| world.secrets.get(key))
                .map(|secret| project(&secret.owner)),
            snapshots: (view.snapshots.len(), view.snapshots.iter().filter(same).count()),
        }
    }
}

fn find<'w>(world: &'w World, volume: &str) -> anyhow::Result<&'w VolumeView> {
    let found = world.volumes.iter().find(|view| view.id().is_some_and(|id| id.as_str() == volume));
    found.with_context(|| format!("volume {volume} is gone"))
}

fn fact(what: &str, holds: bool) -> Fact {
    Fact { what: what.to_owned(), holds }
}
