//! A browser that is told what to do: Chromium's DevTools protocol over a pair of pipes.
//!
//! One page at a time. Whatever the page writes to its console, or throws, is kept. Everything has
//! a limit in time; a browser that is dropped is ended.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// How long the browser may take for an answer, and a page until something is so.
const PATIENCE: Duration = Duration::from_secs(30);
/// The browser reads from descriptor 3 and writes to 4; its own output goes nowhere.
const PIPES: &str = "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1";

pub(super) struct DevTools {
    browser: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    last: u64,
    page: Option<String>,
    /// What the page has said on its console.
    pub(super) console: Vec<String>,
}

/// A key on the keyboard: its name, its number, and the text that it makes.
pub(super) const TAB: (&str, u8, &str) = ("Tab", 9, "");
pub(super) const ENTER: (&str, u8, &str) = ("Enter", 13, "\r");

impl DevTools {
    /// A browser with one empty page.
    pub(super) fn start(program: &Path, profile: &Path) -> Result<Self> {
        let mut browser = Command::new("sh")
            .args(["-c", PIPES])
            .arg(program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--no-first-run", "--hide-scrollbars", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the browser does not start")?;
        let input = browser.stdin.take().context("no pipe to the browser")?;
        let output = browser.stdout.take().context("no pipe from the browser")?;
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(output).split(0).map_while(Result::ok) {
                let read = serde_json::from_slice(&message).unwrap_or(Value::Null);
                if sender.send(read).is_err() {
                    return;
                }
            }
        });
        let mut tools = Self { browser, input, messages, last: 0, page: None, console: Vec::new() };
        let target = tools.ask("Target.createTarget", json!({"url": "about:blank"}))?;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = tools.ask("Target.attachToTarget", attach)?;
        tools.page = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            tools.ask(&format!("{domain}.enable"), json!({}))?;
        }
        Ok(tools)
    }

    pub(super) fn ask(&mut self, method: &str, parameters: Value) -> Result<Value> {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": parameters});
        if let Some(page) = &self.page {
            message["sessionId"] = page.as_str().into();
        }
        self.input.write_all(format!("{message}\0").as_bytes())?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut message = self.messages.recv_timeout(left).with_context(|| {
                format!("{method}: no answer of the browser in {} s", PATIENCE.as_secs())
            })?;
            if message["id"] == self.last {
                ensure!(message["error"].is_null(), "{method}: {}", message["error"]);
                return Ok(message["result"].take());
            }
            self.listen(&message);
        }
    }

    fn listen(&mut self, message: &Value) {
        let said = match message["method"].as_str() {
            Some("Runtime.consoleAPICalled") => &message["params"]["args"],
            Some("Runtime.exceptionThrown") => &message["params"]["exceptionDetails"],
            Some("Log.entryAdded") => &message["params"]["entry"],
            Some(_) | None => return,
        };
        self.console.push(said.to_string());
    }

    pub(super) fn open(&mut self, url: &str) -> Result<()> {
        let opened = self.ask("Page.navigate", json!({ "url": url }))?;
        ensure!(opened["errorText"].is_null(), "{url}: {}", opened["errorText"]);
        self.wait("document.readyState === 'complete'")
    }

    /// What an expression of the page comes to.
    pub(super) fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let ask = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let mut answer = self.ask("Runtime.evaluate", ask)?;
        let thrown = &answer["exceptionDetails"];
        ensure!(thrown.is_null(), "{expression}: {thrown}");
        Ok(answer["result"]["value"].take())
    }

    /// Waits until a condition holds in the page.
    pub(super) fn wait(&mut self, condition: &str) -> Result<()> {
        let millis = PATIENCE.as_millis() - 5000;
        let patient = format!(
            "new Promise((done) => {{ const end = Date.now() + {millis}; const look = () => \
             ({condition}) ? done(true) : Date.now() > end ? done(false) : setTimeout(look, 10); \
             look(); }})"
        );
        if self.evaluate(&patient)? == true {
            return Ok(());
        }
        let shown = self.evaluate("document.body.innerText")?;
        bail!("does not come about: {condition}\n{}", shown.as_str().unwrap_or_default())
    }

    pub(super) fn press(&mut self, (key, code, text): (&str, u8, &str)) -> Result<()> {
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let stroke = json!({"type": kind, "key": key, "code": key, "text": text,
                "windowsVirtualKeyCode": code});
            self.ask("Input.dispatchKeyEvent", stroke)?;
        }
        Ok(())
    }

    /// Goes on by the tabulator until what has the focus fits a selector.
    pub(super) fn tab_to(&mut self, selector: &str) -> Result<()> {
        for _ in 0..200 {
            self.press(TAB)?;
            let fits = format!("document.activeElement.matches({})", json!(selector));
            if self.evaluate(&fits)? == true {
                let outline = "getComputedStyle(document.activeElement).outlineStyle !== 'none'";
                ensure!(self.evaluate(outline)? == true, "{selector}: the focus is not seen");
                return Ok(());
            }
        }
        bail!("the keyboard does not reach {selector}")
    }

    pub(super) fn write(&mut self, text: &str) -> Result<()> {
        self.ask("Input.insertText", json!({ "text": text }))?;
        Ok(())
    }

    /// A window of this size, for a reader who prefers `scheme`.
    pub(super) fn show(&mut self, scheme: &str, width: u32, height: u32) -> Result<()> {
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.ask("Emulation.setEmulatedMedia", media)?;
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.ask("Emulation.setDeviceMetricsOverride", size)?;
        Ok(())
    }

    pub(super) fn photograph(&mut self, path: &Path) -> Result<()> {
        let picture = self.ask("Page.captureScreenshot", json!({"format": "png"}))?;
        let bytes = STANDARD.decode(picture["data"].as_str().unwrap_or_default())?;
        std::fs::write(path, bytes).with_context(|| path.display().to_string())
    }
}

impl Drop for DevTools {
    fn drop(&mut self) {
        // one that has ended already is what this is for
        drop(self.browser.kill());
        drop(self.browser.wait());
    }
}
