//! What secrets and containers have in common: an access list and consumers.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use time::OffsetDateTime;

use super::Caller;
use super::error::Refusal;
use super::policy::Target;
use super::schema::{Kind, Schema, Shape};
use super::validate::FILLED;
use super::{containers, secrets};
use crate::Simulator;
use crate::key_manager::{Acl, Consumer, Container, ContainerUse, KeyManager, Secret, SecretUse};

/// A secret or a container.
pub(super) trait Holder: Sized + Send + Sync + 'static {
    /// How a consumer says what it is.
    type Usage: Serialize + DeserializeOwned + PartialEq + Clone + Send;

    /// The collection in paths and references.
    const COLLECTION: &'static str;
    const CONSUMER: Schema;

    /// The one of that id, whoever owns it.
    fn find<'a>(
        key_manager: &'a KeyManager,
        id: &str,
        now: OffsetDateTime,
    ) -> Result<&'a Self, Refusal>;

    /// The parts of the one of that id that change.
    fn parts<'a>(key_manager: &'a mut KeyManager, id: &str) -> Option<Parts<'a, Self::Usage>>;

    /// Every one there is.
    fn all(key_manager: &KeyManager) -> impl Iterator<Item = &Self>;

    fn target(&self) -> Target<'_>;
    fn project_id(&self) -> &str;
    fn acl(&self) -> Option<&Acl>;
    fn consumers(&self) -> &[Consumer<Self::Usage>];
    /// What its consumers are listed by before the order in which they came.
    fn rank(usage: &Self::Usage) -> &str;
    fn document(&self, simulator: &Simulator, caller: &Caller) -> Value;
}

/// What may be changed about a holder.
pub(super) struct Parts<'a, U> {
    pub(super) acl: &'a mut Option<Box<Acl>>,
    pub(super) consumers: &'a mut Vec<Consumer<U>>,
    pub(super) updated: &'a mut OffsetDateTime,
}

impl Holder for Secret {
    type Usage = SecretUse;

    const COLLECTION: &'static str = "secrets";
    const CONSUMER: Schema = Schema {
        name: "Secret Consumer",
        shape: Shape {
            fields: &[
                ("service", FILLED),
                ("resource_type", FILLED),
                ("resource_id", Kind::Text { or_null: false, longest: usize::MAX, shortest: 1 }),
            ],
            required: &["service", "resource_type", "resource_id"],
            closed: false,
        },
        draft_3: false,
    };

    fn find<'a>(
        key_manager: &'a KeyManager,
        id: &str,
        now: OffsetDateTime,
    ) -> Result<&'a Self, Refusal> {
        secrets::find(key_manager, id, now)
    }

    fn parts<'a>(key_manager: &'a mut KeyManager, id: &str) -> Option<Parts<'a, SecretUse>> {
        key_manager.secrets.get_mut(id).map(|secret| Parts {
            acl: &mut secret.acl,
            consumers: &mut secret.consumers,
            updated: &mut secret.updated,
        })
    }

    fn all(key_manager: &KeyManager) -> impl Iterator<Item = &Self> {
        key_manager.secrets.values()
    }

    fn target(&self) -> Target<'_> {
        self.into()
    }

    fn project_id(&self) -> &str {
        &self.project_id
    }

    fn acl(&self) -> Option<&Acl> {
        self.acl.as_deref()
    }

    fn consumers(&self) -> &[Consumer<SecretUse>] {
        &self.consumers
    }

    fn rank(_: &SecretUse) -> &str {
        ""
    }

    fn document(&self, simulator: &Simulator, caller: &Caller) -> Value {
        secrets::document(simulator, self, &caller.with_consumers())
    }
}

impl Holder for Container {
    type Usage = ContainerUse;

    const COLLECTION: &'static str = "containers";
    const CONSUMER: Schema = Schema {
        name: "Consumer",
        shape: Shape {
            fields: &[
                ("URL", FILLED),
                ("name", Kind::Text { or_null: false, longest: 36, shortest: 1 }),
            ],
            required: &["name", "URL"],
            closed: false,
        },
        draft_3: false,
    };

    fn find<'a>(
        key_manager: &'a KeyManager,
        id: &str,
        _: OffsetDateTime,
    ) -> Result<&'a Self, Refusal> {
        containers::find(key_manager, id)
    }

    fn parts<'a>(key_manager: &'a mut KeyManager, id: &str) -> Option<Parts<'a, ContainerUse>> {
        key_manager.containers.get_mut(id).map(|container| Parts {
            acl: &mut container.acl,
            consumers: &mut container.consumers,
            updated: &mut container.updated,
        })
    }

    fn all(key_manager: &KeyManager) -> impl Iterator<Item = &Self> {
        key_manager.containers.values()
    }

    fn target(&self) -> Target<'_> {
        self.into()
    }

    fn project_id(&self) -> &str {
        &self.project_id
    }

    fn acl(&self) -> Option<&Acl> {
        self.acl.as_deref()
    }

    fn consumers(&self) -> &[Consumer<ContainerUse>] {
        &self.consumers
    }

    fn rank(usage: &ContainerUse) -> &str {
        &usage.name
    }

    fn document(&self, simulator: &Simulator, _: &Caller) -> Value {
        containers::document(simulator, self)
    }
}
