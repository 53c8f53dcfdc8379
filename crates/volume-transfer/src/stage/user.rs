//! A user of the cloud: logs in, and speaks HTTP like any client.

use crate::ready::Ready;
use anyhow::{Context as _, bail};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use transfer_core::ProjectId;
use transfer_core::invariants::Told;

/// The microversion that the users of a stage speak.
const MICROVERSION: &str = "volume 3.71";

/// A logged-in user.
#[derive(Clone)]
pub struct User {
    http: reqwest::Client,
    urls: Ready,
    /// The user's name.
    pub name: String,
    /// The project of the token.
    pub project: ProjectId,
    token: String,
}

/// A reply, whole.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// How many seconds it asks to wait.
    pub retry_after: Option<u64>,
    /// The body, null when empty.
    pub body: Value,
}

impl Reply {
    /// The text at a JSON pointer.
    ///
    /// # Errors
    /// When there is none; the message holds the reply.
    pub fn text(&self, pointer: &str) -> anyhow::Result<String> {
        let text = self.body.pointer(pointer).and_then(Value::as_str);
        Ok(text
            .with_context(|| format!("no {pointer} in {}: {}", self.status, self.body))?
            .to_owned())
    }

    /// The reply, if it has this status.
    ///
    /// # Errors
    /// When it has another one.
    pub fn expect(self, status: u16) -> anyhow::Result<Self> {
        if self.status != status {
            bail!("expected {status}, got {}: {}", self.status, self.body);
        }
        Ok(self)
    }

    /// What this reply to an accept or a cancel tells its caller: a 503 promises nothing.
    pub fn told(&self) -> Told {
        match self.status {
            200..300 => Told::Done,
            500.. => Told::Nothing,
            _ => Told::Refused,
        }
    }
}

impl User {
    /// Logs in with a password, in the domain Default.
    ///
    /// # Errors
    /// When Keystone issues no token.
    pub async fn log_in(
        urls: &Ready,
        name: &str,
        password: &str,
        project: &str,
    ) -> anyhow::Result<Self> {
        let domain = json!({"name": "Default"});
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": name, "password": password, "domain": domain,
            }}},
            "scope": {"project": {"name": project, "domain": domain}},
        }});
        let http = client()?;
        let reply = http
            .post(format!("{}/v3/auth/tokens", urls.identity))
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await?;
        let token = reply.headers().get("x-subject-token").and_then(|value| value.to_str().ok());
        let token = token.with_context(|| format!("no token for {name}"))?.to_owned();
        let document: Value = serde_json::from_slice(&reply.bytes().await?)?;
        let id = document.pointer("/token/project/id").and_then(Value::as_str);
        Ok(Self {
            http,
            urls: urls.clone(),
            name: name.to_owned(),
            project: ProjectId::new(id.context("a token without a project")?),
            token,
        })
    }

    /// One request to `url`; any status is a reply.
    ///
    /// # Errors
    /// When no whole reply arrives.
    pub async fn ask(
        &self,
        method: Method,
        url: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Reply> {
        let mut request = self
            .http
            .request(method, url)
            .header("x-auth-token", &self.token)
            .header("openstack-api-version", MICROVERSION);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let reply = request.send().await?;
        let status = reply.status().as_u16();
        let retry_after = reply.headers().get("retry-after");
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
        let bytes = reply.bytes().await?;
        let body = match bytes.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned())),
        };
        Ok(Reply { status, retry_after, body })
    }

    /// One request to the block storage.
    ///
    /// # Errors
    /// When no whole reply arrives.
    pub async fn block_storage(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Reply> {
        let url = format!("{}/v3/{}{path}", self.urls.block_storage, self.project);
        self.ask(method, &url, body).await
    }

    /// Makes a volume of this type, or a plain one.
    ///
    /// # Errors
    /// When it is not made.
    pub async fn create_volume(&self, name: &str, kind: Option<&str>) -> anyhow::Result<String> {
        let mut volume = json!({"name": name, "size": 1});
        if let Some(kind) = kind {
            volume["volume_type"] = json!(kind);
        }
        let body = json!({ "volume": volume });
        let reply = self.block_storage(Method::POST, "/volumes", Some(body)).await?;
        reply.expect(202)?.text("/volume/id")
    }

    /// Makes a snapshot.
    ///
    /// # Errors
    /// When it is not made.
    pub async fn create_snapshot(&self, name: &str, volume: &str) -> anyhow::Result<String> {
        let body = json!({"snapshot": {"name": name, "volume_id": volume}});
        let reply = self.block_storage(Method::POST, "/snapshots", Some(body)).await?;
        reply.expect(202)?.text("/snapshot/id")
    }

    /// Deletes a volume and its snapshots.
    ///
    /// # Errors
    /// When they are not deleted.
    pub async fn delete_volume(&self, volume: &str) -> anyhow::Result<()> {
        let path = format!("/snapshots?volume_id={volume}");
        let list = self.block_storage(Method::GET, &path, None).await?.expect(200)?;
        for snapshot in list.body["snapshots"].as_array().context("no list of snapshots")? {
            let id = snapshot["id"].as_str().context("a snapshot without an id")?;
            let path = format!("/snapshots/{id}");
            self.block_storage(Method::DELETE, &path, None).await?.expect(202)?;
        }
        let path = format!("/volumes/{volume}");
        self.block_storage(Method::DELETE, &path, None).await?.expect(202)?;
        Ok(())
    }

    /// Makes an encrypted volume type as the OpenStack clients do: the type, then its encryption.
    ///
    /// # Errors
    /// When it is not made.
    pub async fn create_encrypted_type(&self, name: &str) -> anyhow::Result<()> {
        let body = json!({"volume_type": {"name": name}});
        let reply = self.block_storage(Method::POST, "/types", Some(body)).await?.expect(200)?;
        let path = format!("/types/{}/encryption", reply.text("/volume_type/id")?);
        let encryption = json!({"encryption": {
            "provider": "luks",
            "cipher": "aes-xts-plain64",
            "key_size": 256,
            "control_location": "front-end",
        }});
        self.block_storage(Method::POST, &path, Some(encryption)).await?.expect(200)?;
        Ok(())
    }

    /// Orders a key from Barbican, as Cinder does for an encrypted volume; returns its id.
    ///
    /// # Errors
    /// When none is made.
    pub async fn order_key(&self) -> anyhow::Result<String> {
        let orders = format!("{}/v1/orders", self.urls.key_manager);
        let meta = json!({"algorithm": "aes", "bit_length": 256, "mode": "xts"});
        let body = json!({"type": "key", "meta": meta});
        let ordered = self.ask(Method::POST, &orders, Some(body)).await?.expect(202)?;
        let order = ordered.text("/order_ref")?;
        let done = self.ask(Method::GET, &order, None).await?.expect(200)?;
        let secret = done.text("/secret_ref")?;
        Ok(secret.rsplit('/').next().unwrap_or_default().to_owned())
    }

    /// `POST volume-transfers` at the service's address.
    ///
    /// # Errors
    /// When no whole reply arrives.
    pub async fn offer(&self, service: &str, volume: &str) -> anyhow::Result<Reply> {
        let url = format!("{service}/v3/{}/volume-transfers", self.project);
        let body = json!({"transfer": {"volume_id": volume}});
        self.ask(Method::POST, &url, Some(body)).await
    }

    /// `POST volume-transfers/{id}/accept`.
    ///
    /// # Errors
    /// When no whole reply arrives.
    pub async fn accept(
        &self,
        service: &str,
        offer: &str,
        auth_key: &str,
    ) -> anyhow::Result<Reply> {
        let url = format!("{service}/v3/{}/volume-transfers/{offer}/accept", self.project);
        self.ask(Method::POST, &url, Some(json!({"accept": {"auth_key": auth_key}}))).await
    }

    /// `DELETE volume-transfers/{id}`.
    ///
    /// # Errors
    /// When no whole reply arrives.
    pub async fn cancel(&self, service: &str, offer: &str) -> anyhow::Result<Reply> {
        let url = format!("{service}/v3/{}/volume-transfers/{offer}", self.project);
        self.ask(Method::DELETE, &url, None).await
    }

    /// `GET volume-transfers`: any authenticated call lets a project's debts be paid.
    ///
    /// # Errors
    /// When no whole reply arrives.
    pub async fn offers(&self, service: &str) -> anyhow::Result<Reply> {
        let url = format!("{service}/v3/{}/volume-transfers", self.project);
        self.ask(Method::GET, &url, None).await
    }

    /// Reads a key from Barbican: the SHA-256 of its bytes, or the status of the refusal.
    ///
    /// # Errors
    /// When no whole reply arrives.
    pub async fn read_key(&self, secret: &str) -> anyhow::Result<Result<String, u16>> {
        let reply = self
            .http
            .get(format!("{}/v1/secrets/{secret}/payload", self.urls.key_manager))
            .header("x-auth-token", &self.token)
            .header("accept", "application/octet-stream")
            .send()
            .await?;
        let status = reply.status().as_u16();
        if status != 200 {
            return Ok(Err(status));
        }
        let digest = Sha256::digest(&reply.bytes().await?);
        Ok(Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect()))
    }
}

/// HTTP without TLS, as the users of a stage speak it.
///
/// # Errors
/// None that are known.
pub fn client() -> anyhow::Result<reqwest::Client> {
    let tls = rustls::ClientConfig::builder_with_provider(std::sync::Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()?
    .with_root_certificates(rustls::RootCertStore::empty())
    .with_no_client_auth();
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .timeout(std::time::Duration::from_secs(60))
        .build()?)
}
