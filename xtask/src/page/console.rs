//! The simulator's console in a browser: a key is handed over by keyboard alone, and looked at.
//!
//! A developer stack runs beside it. The page must say nothing on the browser's console, show where
//! every button has the focus, fit into two widths and have contrast in either scheme.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::devtools::{DevTools, ENTER};
use super::{MEASURE, Picture, Scheme, WIDTHS};
use crate::process;
use crate::workspace::Workspace;

/// How long the stack may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run(workspace: &Workspace, program: &Path, directory: &Path) -> Result<()> {
    process::run(&mut workspace.cargo("build -p volume-transfer".split(' ')))?;
    let stack = Stack::start(workspace, directory)?;
    let mut browser = DevTools::start(program, &directory.join("console-profile"))?;
    browser.show("light", WIDTHS[0], 1000)?;
    browser.open(&stack.identity)?;
    browser.wait("document.querySelectorAll('.column').length >= 5")?;

    hand_over(&mut browser)?;
    for scheme in [Scheme::Light, Scheme::Dark] {
        let name = format!("{scheme:?}").to_lowercase();
        let path = directory.join(format!("console.{name}.png"));
        browser.show(&name, WIDTHS[0], 1000)?;
        browser.wait("document.getAnimations().every((one) => one.playState === 'finished')")?;
        browser.photograph(&path)?;
        let picture = Picture::read(&path)?;
        ensure!(picture.shows(scheme), "the console is not {scheme:?}: {picture:?}");
    }
    accept(&mut browser)?;
    for scheme in ["light", "dark"] {
        for width in WIDTHS {
            browser.show(scheme, width, 1000)?;
            let measure = format!("(() => {{ {MEASURE} return problems.join('\\n'); }})()");
            let problems = browser.evaluate(&measure)?;
            ensure!(problems == "", "the console, {scheme}, {width}:\n{problems}");
        }
    }
    notices(&mut browser)?;
    browser.tab_to(".tools form[data-ask$=reset] button")?;
    browser.press(ENTER)?;
    browser.wait("log.childElementCount === 0")?;
    ensure!(browser.console.is_empty(), "on the console: {}", browser.console.join("\n"));
    drop(browser);
    stack.stop()?;
    println!("console: a key handed over by keyboard, light and dark, fits into {WIDTHS:?}");
    Ok(())
}

/// From nothing to an offer, whose copy of the key is held on its way.
fn hand_over(browser: &mut DevTools) -> Result<()> {
    browser.tab_to("[data-project=donor] button[id^=make-]")?;
    browser.press(ENTER)?;
    browser.wait("document.querySelector('[data-project=donor] .card.volume')")?;
    browser.wait("document.querySelector('[data-project=donor] .card.secret')")?;
    browser.tab_to("#line")?;
    browser.write("barbican POST /v1/secrets hold_before")?;
    browser.press(ENTER)?;
    browser.wait("document.querySelector('.rules li')")?;
    browser.tab_to("[data-project=donor] button[id^=offer-]")?;
    browser.press(ENTER)?;
    browser.wait("document.querySelector('button[id^=step-]')")?;
    ensure!(
        browser.evaluate("document.querySelector('[data-project=service] .card')")?.is_null(),
        "the copy is made although it is held"
    );
    browser.tab_to("button[id^=step-]")?;
    browser.press(ENTER)?;
    browser.wait("document.querySelector('.wire.key')")?;
    browser.wait("said.textContent.includes('went from donor to service')")?;
    browser.wait("document.querySelector('[data-offer]')?.value")
}

fn accept(browser: &mut DevTools) -> Result<()> {
    browser.tab_to("button[id^=accept-]")?;
    browser.press(ENTER)?;
    browser.wait("document.querySelector('[data-project=recipient] .card.volume')")?;
    browser.wait("document.querySelector('[data-project=recipient] .card.secret')")?;
    browser.wait("document.querySelector('.wire.volume')")?;
    browser.wait("[...log.rows].some((row) => row.textContent.includes('hold before'))")
}

/// Makes sure that a word on the console, and an overflow, would be noticed.
fn notices(browser: &mut DevTools) -> Result<()> {
    let planted = "document.querySelector('main').insertAdjacentHTML('beforeend', \
                   '<p id=planted style=\"color: red\"></p>'); \
                   planted.getBoundingClientRect().width";
    browser.evaluate(planted)?;
    browser.evaluate("planted.remove()")?;
    let noticed = browser.console.drain(..).any(|line| line.contains("Content Security Policy"));
    ensure!(noticed, "a style against the policy is not noticed");
    Ok(())
}

/// A developer stack with its control.
struct Stack {
    process: Child,
    identity: String,
}

impl Stack {
    fn start(workspace: &Workspace, directory: &Path) -> Result<Self> {
        let ready = directory.join("ready.json");
        let process = Command::new(workspace.target.join("debug/volume-transfer"))
            .args(["serve", "--dev", "--control", "--ephemeral", "--seed", "7", "--ready-file"])
            .arg(&ready)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("the stack does not start")?;
        let mut stack = Self { process, identity: String::new() };
        let begun = Instant::now();
        while !ready.exists() {
            if let Some(status) = stack.process.try_wait()? {
                bail!("the stack has ended: {status}");
            }
            ensure!(begun.elapsed() < PATIENCE, "the stack is not ready");
            std::thread::sleep(Duration::from_millis(20));
        }
        let urls: Value = serde_json::from_str(&fs::read_to_string(&ready)?)?;
        urls["identity"].as_str().unwrap_or_default().clone_into(&mut stack.identity);
        Ok(stack)
    }

    /// Stops it as an operator does, so that it leaves nothing behind.
    fn stop(mut self) -> Result<()> {
        process::run(Command::new("kill").arg(self.process.id().to_string()))?;
        let status = self.process.wait()?;
        ensure!(status.success(), "the stack ended with {status}");
        Ok(())
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // one that was stopped has ended already
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
