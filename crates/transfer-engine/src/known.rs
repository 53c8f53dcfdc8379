//! What need not be asked again: what the secrets are that this service has made.
//!
//! Barbican never changes what a secret was created with (barbican: `api/controllers/secrets.py`
//! has no update but of a missing payload), so whoever created one knows it for good. The next
//! hand-over of the same key is spared a request, and goes by the attributes that the key had when
//! it was first seen. Forgotten is what was asked for the longest time ago.

use barbican_client::{Attributes, ContentType, Metadata};
use hashlink::LruCache;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use transfer_core::SecretId;

/// How many secrets are remembered: a few hundred bytes each.
const MOST: usize = 8192;

/// What a copy of a secret goes by.
pub(crate) struct Kind {
    pub(crate) attributes: Attributes,
    pub(crate) content_type: ContentType,
}

impl Kind {
    /// None of a shell, which has no payload yet.
    pub(crate) fn of(metadata: Metadata) -> Option<Self> {
        let Metadata { attributes, content_type, .. } = metadata;
        content_type.map(|content_type| Self { attributes, content_type })
    }
}

/// Secrets that this service has filled.
pub(crate) struct Known(Mutex<LruCache<SecretId, Arc<Kind>>>);

impl Default for Known {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MOST)))
    }
}

impl Known {
    pub(crate) fn find(&self, secret: &SecretId) -> Option<Arc<Kind>> {
        self.secrets().get(secret).cloned()
    }

    pub(crate) fn remember(&self, secret: SecretId, kind: Arc<Kind>) {
        self.secrets().insert(secret, kind);
    }

    fn secrets(&self) -> MutexGuard<'_, LruCache<SecretId, Arc<Kind>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
