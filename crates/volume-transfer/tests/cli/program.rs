//! The program as a test starts it, and a developer stack of it that runs for a while.

use serde::de::DeserializeOwned;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The program, in an environment that says nothing of clouds.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_volume-transfer"));
    for (name, _) in std::env::vars() {
        if name.starts_with("OS_") || name.starts_with("VOLUME_TRANSFER_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// A running stack.
pub(crate) struct Stack(Child);

impl Stack {
    /// Starts it, and waits for its ready file, which is what `R` says.
    pub(crate) fn start<R: DeserializeOwned>(folder: &Path, arguments: &[&str]) -> (Self, R) {
        let ready = folder.join("ready.json");
        drop(std::fs::remove_file(&ready));
        let child = program()
            .args(arguments)
            .args(["--ephemeral", "--ready-file"])
            .arg(&ready)
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let stack = Self(child);
        let deadline = Instant::now() + Duration::from_secs(30);
        while !ready.exists() {
            assert!(Instant::now() < deadline, "no ready file");
            std::thread::yield_now();
        }
        let text = std::fs::read_to_string(&ready).expect("the ready file appears whole");
        (stack, serde_json::from_str(&text).expect("URLs"))
    }

    pub(crate) fn stop(mut self) {
        let sent = Command::new("kill").arg(self.0.id().to_string()).status().expect("kill");
        assert!(sent.success());
        assert_eq!(self.0.wait().expect("an exit status").code(), Some(0));
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
