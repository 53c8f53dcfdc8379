//! Reading a request's body, and refusing one that is too large.
//!
//! A connection that is closed on a body takes the answer with it, and a proxy tells its client
//! that there was none: what is too large is read on, within limits, before it is refused.

use crate::fault::{self, Fault};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::time::Duration;

/// How much of a body that is too large is read on, and for how long.
const MOST_DISCARDED: usize = 4 << 20;
const LINGER: Duration = Duration::from_secs(2);

/// The whole body.
pub(crate) async fn read(mut body: Body, max_body: usize) -> Result<Bytes, Response> {
    match Limited::new(&mut body, max_body).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            discard(body).await;
            Err(fault::body_too_large(max_body))
        }
        // The caller went away in the middle; nobody reads this.
        Err(_) => Err(Fault::new(StatusCode::BAD_REQUEST, fault::MALFORMED_BODY).into_response()),
    }
}

/// The answer to a request whose body is too large by its own account, if it is.
pub(crate) async fn refused_by_length(
    headers: &HeaderMap,
    body: &mut Body,
    max_body: usize,
) -> Option<Response> {
    let length = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse::<u64>().ok()?;
    if usize::try_from(length).is_ok_and(|length| length <= max_body) {
        return None;
    }
    // Who asks first is told before anything is sent.
    if !headers.contains_key(header::EXPECT) {
        discard(std::mem::take(body)).await;
    }
    Some(fault::body_too_large(max_body))
}

async fn discard(mut body: Body) {
    let reading = async {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > MOST_DISCARDED {
                break;
            }
        }
    };
    // Whoever takes longer is answered as he stands.
    let _ = tokio::time::timeout(LINGER, reading).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt as _;
    use http::HeaderValue;
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const CHUNK: usize = 64 << 10;

    /// So many chunks, and how many have been taken.
    fn chunks(chunks: usize) -> (Body, Arc<AtomicUsize>) {
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&taken);
        let body = futures::stream::iter(0..chunks).map(move |_chunk| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(Bytes::from_static(&[b' '; CHUNK]))
        });
        (Body::from_stream(body), taken)
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_is_read_to_its_end_within_limits() {
        let endless = 1 + MOST_DISCARDED / CHUNK;
        for (sent, read_of_them) in [(4, 4), (1_000_000, endless + 1)] {
            let (body, taken) = chunks(sent);
            let refused = read(body, CHUNK / 2).await.unwrap_err();
            assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
            assert_eq!(taken.load(Ordering::Relaxed), read_of_them);
        }
        let mut headers =
            HeaderMap::from_iter([(header::CONTENT_LENGTH, HeaderValue::from(4 * CHUNK))]);
        let (mut body, taken) = chunks(4);
        assert!(refused_by_length(&headers, &mut body, 4 * CHUNK).await.is_none());
        assert_eq!(taken.load(Ordering::Relaxed), 0);
        let refused = refused_by_length(&headers, &mut body, CHUNK).await.unwrap();
        assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(taken.load(Ordering::Relaxed), 4);

        headers.insert(header::EXPECT, HeaderValue::from_static("100-continue"));
        let (mut body, taken) = chunks(4);
        assert!(refused_by_length(&headers, &mut body, CHUNK).await.is_some());
        assert_eq!(taken.load(Ordering::Relaxed), 0, "it has not been asked for");
    }
}
