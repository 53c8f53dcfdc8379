//! Those who look at secrets: the service, and projects whose credentials are at hand.

use crate::Sight;
use barbican_client::{Barbican, KeyBytes, SecretsPage};
use keystone_client::{Identity, ServiceSession};
use openstack_http::{Failure, Token};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use transfer_core::{ProjectId, SecretId, UserId};
use transfer_engine::Caller;

/// How often an unanswered question is asked.
const ATTEMPTS: u32 = 3;

/// Somebody who looks.
#[derive(Clone)]
pub struct Viewer {
    name: String,
    project: ProjectId,
    user: UserId,
    session: Arc<ServiceSession>,
}

/// Why somebody cannot look.
#[derive(Debug, thiserror::Error)]
pub enum ViewerError {
    /// Keystone gives no token.
    #[error("no token for {name}: {failure}")]
    NoToken {
        /// Whose credentials.
        name: String,
        /// Keystone's words.
        failure: Failure,
    },
    /// The token is of no project.
    #[error("the token for {name} is of no project")]
    NoProject {
        /// Whose credentials.
        name: String,
    },
    /// Barbican does not show a project's secrets to it.
    #[error("{name} may not list secrets, so nothing that it sees would count: {failure}")]
    MayNotList {
        /// Whose credentials.
        name: String,
        /// Barbican's words.
        failure: Failure,
    },
}

impl Viewer {
    /// Who the credentials of a session belong to.
    ///
    /// # Errors
    /// [`ViewerError`].
    pub async fn open(name: &str, session: Arc<ServiceSession>) -> Result<Self, ViewerError> {
        let name = name.to_owned();
        let issued = match session.token().await {
            Ok(issued) => issued,
            Err(failure) => return Err(ViewerError::NoToken { name, failure }),
        };
        let Identity { user, project, .. } = &issued.identity;
        let Some(project) = project.clone() else { return Err(ViewerError::NoProject { name }) };
        Ok(Self { name, project, user: user.clone(), session })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its project.
    pub fn project(&self) -> &ProjectId {
        &self.project
    }

    /// Who lends the authority of its project.
    ///
    /// # Errors
    /// When Keystone gives no token.
    pub async fn caller(&self) -> Result<Caller, Failure> {
        Ok(Caller {
            project: self.project.clone(),
            user: self.user.clone(),
            is_admin: false,
            token: self.session.token().await?.token.clone(),
        })
    }

    /// Its user.
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// The catalogue of its token.
    ///
    /// # Errors
    /// Keystone's failure.
    pub async fn identity(&self) -> Result<(Token, Identity), Failure> {
        let issued = self.session.token().await?;
        Ok((issued.token.clone(), issued.identity.clone()))
    }
}

/// All who look, at one Barbican.
#[derive(Clone)]
pub struct Viewers {
    barbican: Barbican,
    /// The service first; one of each project.
    all: Vec<Viewer>,
    pause: Duration,
}

impl Viewers {
    /// The service and the others. Of several that look for one project the first counts.
    ///
    /// # Errors
    /// [`ViewerError::MayNotList`] when one of them has no role that counts at Barbican.
    pub async fn new(
        barbican: Barbican,
        service: Viewer,
        others: Vec<Viewer>,
        pause: Duration,
    ) -> Result<Self, ViewerError> {
        let mut viewers = Self { barbican, all: vec![service], pause };
        for other in others {
            if viewers.of(&other.project).is_none() {
                viewers.all.push(other);
            }
        }
        for viewer in &viewers.all {
            if let Err(failure) = viewers.list_older(viewer, "1970-01-01T00:00:00", 0).await {
                return Err(ViewerError::MayNotList { name: viewer.name.clone(), failure });
            }
        }
        Ok(viewers)
    }

    /// The service.
    pub fn service(&self) -> &Viewer {
        &self.all[0]
    }

    /// All of them, the service first.
    pub fn all(&self) -> &[Viewer] {
        &self.all
    }

    /// Who looks for a project.
    pub fn of(&self, project: &ProjectId) -> Option<&Viewer> {
        self.all.iter().find(|viewer| viewer.project == *project)
    }

    /// What can be seen of a secret; the project that should have it looks first.
    pub(crate) async fn look(&self, secret: &SecretId, custodian: &ProjectId) -> Sight {
        let (mut filled, mut not_of) = (None, BTreeSet::new());
        let first = self.of(custodian);
        let others = self.all.iter().filter(|viewer| viewer.project != *custodian);
        for viewer in first.into_iter().chain(others) {
            match self.look_as(viewer, secret).await {
                Ok((seen, true)) => {
                    let owner = Some(viewer.project.clone());
                    return Sight::There { filled: Some(seen), owner, not_of };
                }
                Ok((seen, false)) => filled = Some(seen),
                Err(failure) if failure.is_refusal(404) => return Sight::Gone,
                Err(failure) if failure.is_refusal(403) => {}
                Err(failure) => return Sight::Unanswered(failure.to_string()),
            }
            not_of.insert(viewer.project.clone());
        }
        Sight::There { filled, owner: None, not_of }
    }

    /// Whether it has a payload, and whether it is the viewer's own.
    async fn look_as(&self, viewer: &Viewer, secret: &SecretId) -> Result<(bool, bool), Failure> {
        let metadata =
            self.ask(viewer, |token| async move { self.barbican.metadata(&token, secret).await });
        let filled = metadata.await?.content_type.is_some();
        let own =
            self.ask(viewer, |token| async move { self.barbican.is_own(&token, secret).await });
        Ok((filled, own.await?))
    }

    pub(crate) async fn payload(
        &self,
        viewer: &Viewer,
        secret: &SecretId,
    ) -> Result<KeyBytes, Failure> {
        self.ask(viewer, |token| async move { self.barbican.payload(&token, secret).await }).await
    }

    pub(crate) async fn list_older(
        &self,
        viewer: &Viewer,
        before: &str,
        page: usize,
    ) -> Result<SecretsPage, Failure> {
        let list = self.ask(viewer, |token| async move {
            self.barbican.list_older(&token, before, page).await
        });
        list.await
    }

    /// The callers that lend the authority of these projects; the service's is always at hand.
    pub(crate) async fn callers(&self, projects: &[&ProjectId]) -> Result<Vec<Caller>, Failure> {
        let mut callers = Vec::new();
        for viewer in projects.iter().filter_map(|project| self.of(project)) {
            callers.push(viewer.caller().await?);
        }
        Ok(callers)
    }

    /// Asks as somebody. A token that has ended is renewed once, and what was not answered is asked
    /// again, a few times.
    async fn ask<T, F>(&self, viewer: &Viewer, call: impl Fn(Token) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut pause = self.pause;
        let mut attempt = 1;
        loop {
            let token = viewer.session.token().await?.token.clone();
            match call(token.clone()).await {
                Err(failure) if failure.is_refusal(401) && attempt < ATTEMPTS => {
                    viewer.session.invalidate(&token);
                }
                Err(Failure::Unknown(_)) if attempt < ATTEMPTS => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                outcome => return outcome,
            }
            attempt += 1;
        }
    }
}
