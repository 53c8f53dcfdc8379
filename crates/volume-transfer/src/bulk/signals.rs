//! The signals that end a run: what is under way is finished first, unless somebody is impatient.
//!
//! SIGINT, SIGTERM and SIGHUP stop it; a SIGINT after that ends the program at once. A SIGHUP that
//! somebody has the program ignore, as `nohup` does, is ignored. It may also come twice, from the
//! shell and from the terminal, so that its second means nothing.

use super::notices::Notices;
use anyhow::Context as _;
use std::future::pending;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// As a shell tells of a program that SIGINT has ended.
const INTERRUPTED: i32 = 130;

/// A token that is cancelled by the first signal. `last` is said at the second one.
///
/// # Errors
/// When the signals cannot be listened to.
pub(super) fn stop_on_signals(
    notices: Notices,
    last: impl Fn() -> String + Send + 'static,
) -> anyhow::Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be handled")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be handled")?;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut hangup = (!ignores_hangup(&status))
        .then(|| signal(SignalKind::hangup()).context("SIGHUP cannot be handled"))
        .transpose()?;
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = comes(hangup.as_mut()) => {}
        }
        notices.say("interrupted: finishing what is under way; Ctrl-C once more stops at once");
        told.cancel();
        if interrupt.recv().await.is_some() {
            notices.say(&last());
            std::process::exit(INTERRUPTED);
        }
    });
    Ok(stop)
}

async fn comes(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => pending().await,
    }
}

/// Whether SIGHUP is ignored, by what Linux says of a process (`proc_pid_status(5)`).
fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // Its number is 1, and that of the lowest bit.
    mask.is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::ignores_hangup;

    #[test]
    fn a_process_says_whether_it_ignores_hangups() {
        for (status, expected) in [
            ("Name:\tx\nSigIgn:\t0000000000000001\nSigCgt:\t0000000000000000\n", true),
            ("SigIgn:\t0000000000001001\n", true),
            ("SigIgn:\t0000000000001000\nSigCgt:\t0000000000000001\n", false),
            ("SigIgn:\tnothing\n", false),
            ("", false),
        ] {
            assert_eq!(ignores_hangup(status), expected, "{status:?}");
        }
    }
}
