//! Whether an image is encrypted with a key.
//!
//! Cinder gives an image that it makes of an encrypted volume a copy of the volume's key, in the
//! project of the user, and writes its id into a property of the image: such a copy is no stray.

use crate::Viewer;
use http::{Method, StatusCode};
use openstack_http::{Exchange, Failure, Service};
use serde::Deserialize;
use std::sync::Arc;
use transfer_core::SecretId;

/// The property that names the key.
const PROPERTY: &str = "cinder_encryption_key_id";

/// The image service, if the catalogue has one.
#[derive(Clone)]
pub struct Images {
    exchange: Arc<dyn Exchange>,
    interface: String,
    region: Option<String>,
}

impl Images {
    /// The image service at this interface in this region of whoever asks.
    pub fn new(exchange: Arc<dyn Exchange>, interface: String, region: Option<String>) -> Self {
        Self { exchange, interface, region }
    }

    /// Whether an image that the viewer sees names this secret; never, where there are no images.
    ///
    /// # Errors
    /// As any call.
    pub(crate) async fn name(&self, viewer: &Viewer, secret: &SecretId) -> Result<bool, Failure> {
        #[derive(Deserialize)]
        struct Page {
            images: Vec<serde::de::IgnoredAny>,
        }
        let (token, identity) = viewer.identity().await?;
        let region = self.region.as_deref();
        let Some(url) = identity.catalog.endpoint(&["image"], &self.interface, region) else {
            return Ok(false);
        };
        let service = Service::new(&url, "v2", self.exchange.clone());
        for hidden in ["false", "true"] {
            let call = service.call(Method::GET, "/images").token(&token);
            let call = call.query(PROPERTY, secret.as_str()).query("os_hidden", hidden);
            let reply = call.query("limit", "1").send(&[StatusCode::OK]).await?;
            if !reply.json::<Page>("a list of images")?.images.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
