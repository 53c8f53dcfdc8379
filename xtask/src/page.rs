//! `cargo xtask page`: the page of `check --report`, and the simulator's console (`console.rs`), in
//! a real browser, light and dark.
//!
//! The page of a check must load without a word on the console, which is where a browser says that
//! its policy blocked something, and its pictures must show the scheme that was asked for. Copies
//! without the policy and with `measure.js` are measured at two widths: nothing overflows, the
//! lifelines go on from row to row, texts have contrast. A copy with a planted fault goes first: it
//! must be noticed.

mod console;
mod devtools;

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::process;
use crate::workspace::Workspace;

const MEASURE: &str = include_str!("page/measure.js");
const DIAGRAMS: &str = include_str!("page/diagrams.js");
/// A style that the policy forbids, and that is too wide for any window.
const FAULT: &str = "<div style=\"width: 9999px\">planted</div>";
/// How long one start of the browser may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Widths of a large and of a narrow window.
const WIDTHS: [u32; 2] = [1400, 700];

/// What the reader prefers, as Blink numbers it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Scheme {
    Dark = 0,
    Light = 1,
}

/// Renders the pages of check-page's example and judges them.
///
/// # Errors
/// When there is no browser, or a page is not as it should be.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let directory = workspace.target.join("page");
    // a browser that was killed leaves its profile locked
    if directory.exists() {
        fs::remove_dir_all(&directory).with_context(|| directory.display().to_string())?;
    }
    fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
    let program = find()?;
    console::run(workspace, &program, &directory)?;
    let browser = Browser { program, directory };
    let mut example = workspace.cargo("run -p check-page --example pages --".split(' '));
    process::run(example.arg(&browser.directory))?;
    for name in ["failing", "passing"] {
        let page = browser.directory.join(name).with_extension("html");
        let html = fs::read_to_string(&page).with_context(|| page.display().to_string())?;
        browser.notices(&html)?;
        for scheme in [Scheme::Light, Scheme::Dark] {
            let picture = browser.photograph(&page, scheme)?;
            ensure!(picture.shows(scheme), "{name} is not {scheme:?}: {picture:?}");
            for width in WIDTHS {
                let problems = browser.measure(&html, scheme, width)?;
                ensure!(problems.is_empty(), "{name}, {scheme:?}, {width}:\n{problems}");
            }
        }
        println!("{name}: nothing on the console, light and dark, fits into {WIDTHS:?}");
    }
    Ok(())
}

/// The browser of the variable CHROMIUM, else the first on the path.
fn find() -> Result<PathBuf> {
    if let Some(program) = std::env::var_os("CHROMIUM") {
        return Ok(program.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut programs = std::env::split_paths(&path)
        .flat_map(|directory| ["chromium", "chromium-browser"].map(|name| directory.join(name)));
    programs
        .find(|program| program.is_file())
        .context("no browser: install Debian's package chromium, or set CHROMIUM to a program")
}

struct Browser {
    program: PathBuf,
    directory: PathBuf,
}

impl Browser {
    /// Makes sure that what is wrong would be noticed.
    fn notices(&self, html: &str) -> Result<()> {
        let planted = html.replace("<main>", &format!("<main>{FAULT}"));
        let page = self.write("planted.html", &planted)?;
        let (_, errors) = self.start(&page, Scheme::Light, WIDTHS[0], "--dump-dom")?;
        ensure!(console(&errors).is_some(), "a style against the policy is not reported");
        let problems = self.measure(&planted, Scheme::Light, WIDTHS[0])?;
        ensure!(problems.contains("the page is"), "an overflow is not measured: {problems}");
        Ok(())
    }

    /// A picture of the page as it is; the console must stay empty.
    fn photograph(&self, page: &Path, scheme: Scheme) -> Result<Picture> {
        let path = page.with_extension(format!("{scheme:?}.png").to_lowercase());
        let action = format!("--screenshot={}", path.display());
        let (_, errors) = self.start(page, scheme, WIDTHS[0], &action)?;
        if let Some(line) = console(&errors) {
            bail!("{}: {line}", page.display());
        }
        Picture::read(&path)
    }

    /// What `measure.js` finds wrong.
    fn measure(&self, html: &str, scheme: Scheme, width: u32) -> Result<String> {
        let open = html.replace("Content-Security-Policy", "x-nothing");
        let page = self.write(
            "measured.html",
            &open.replace("</body>", &format!("<script>{MEASURE}{DIAGRAMS}</script></body>")),
        )?;
        let (dom, _) = self.start(&page, scheme, width, "--dump-dom")?;
        measured(&dom).context("the page was not measured")
    }

    fn write(&self, name: &str, html: &str) -> Result<PathBuf> {
        let path = self.directory.join(name);
        fs::write(&path, html).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// Starts the browser for one action, and returns what it wrote: output and errors.
    fn start(
        &self,
        page: &Path,
        scheme: Scheme,
        width: u32,
        action: &str,
    ) -> Result<(String, String)> {
        let [output, errors] = ["output", "errors"].map(|name| self.directory.join(name));
        let profile = self.directory.join("profile");
        let mut command = Command::new(&self.program);
        command
            // our own page, and often a container's root
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--no-first-run", "--hide-scrollbars", "--enable-logging=stderr"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(format!("--blink-settings=preferredColorScheme={}", scheme as u8))
            .arg(format!("--window-size={width},1800"))
            .arg(action)
            .arg(format!("file://{}", page.display()))
            .stdout(File::create(&output)?)
            .stderr(File::create(&errors)?);
        wait(command, PATIENCE)?;
        let read = |path: &Path| fs::read(path).map(|text| String::from_utf8_lossy(&text).into());
        Ok((read(&output)?, read(&errors)?))
    }
}

/// Runs a command for as long as patience lasts.
fn wait(mut command: Command, patience: Duration) -> Result<()> {
    let shown = process::shown(&command);
    let mut child = command.spawn().with_context(|| format!("does not start: {shown}"))?;
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "{shown}: {status}");
            return Ok(());
        }
        if begun.elapsed() > patience {
            child.kill()?;
            child.wait()?;
            bail!("{shown}: still running after {} s", patience.as_secs());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The first line that the page has on the console.
fn console(errors: &str) -> Option<&str> {
    errors.lines().find(|line| line.contains(":CONSOLE"))
}

/// The problems in a measured page; none if it was not measured.
fn measured(dom: &str) -> Option<String> {
    let (_, rest) = dom.rsplit_once("<pre id=\"measured\">")?;
    Some(rest.split_once("</pre>")?.0.to_owned())
}

/// What matters of a picture.
#[derive(PartialEq, Eq, Debug)]
struct Picture {
    /// Red, green and blue in the corner.
    corner: [u8; 3],
    /// How many colours there are; a blank one has one.
    colours: usize,
}

impl Picture {
    fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        let mut decoder = png::Decoder::new(BufReader::new(file));
        decoder.set_transformations(png::Transformations::ALPHA | png::Transformations::STRIP_16);
        let mut reader = decoder.read_info()?;
        let mut bytes = vec![0; reader.output_buffer_size().context("too large a picture")?];
        let frame = reader.next_frame(&mut bytes)?;
        ensure!(frame.color_type == png::ColorType::Rgba, "{:?}", frame.color_type);
        let pixels = bytes.chunks_exact(4).map(|pixel| [pixel[0], pixel[1], pixel[2]]);
        let colours: std::collections::BTreeSet<_> = pixels.collect();
        Ok(Self { corner: [bytes[0], bytes[1], bytes[2]], colours: colours.len() })
    }

    /// Whether there is something on it, and its ground is light or dark.
    fn shows(&self, scheme: Scheme) -> bool {
        let ground = match scheme {
            Scheme::Light => self.corner.iter().all(|part| *part > 200),
            Scheme::Dark => self.corner.iter().all(|part| *part < 60),
        };
        ground && self.colours > 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_on_the_console_is_found_among_others() {
        let other = "[1:2:0101/000000.0:ERROR:dbus/bus.cc:408] no bus\n";
        let line = "[1:2:0101/000000.0:INFO:CONSOLE:1] \"Refused\", source: file:///p (1)";
        assert_eq!(console(other), None);
        assert_eq!(console(&format!("{other}{line}\n")), Some(line));
    }

    #[test]
    fn a_page_that_was_not_measured_has_no_problems_to_show() {
        assert_eq!(measured("<body><pre>measured</pre></body>"), None);
        assert_eq!(measured("<pre id=\"measured\"></pre>").as_deref(), Some(""));
        assert_eq!(measured("<pre id=\"measured\">a\nb</pre></body>").as_deref(), Some("a\nb"));
    }

    #[test]
    fn a_blank_picture_and_the_other_scheme_are_told_apart() {
        for (corner, colours, light, dark) in [
            ([255; 3], 300, true, false),
            ([20, 23, 28], 300, false, true),
            ([255; 3], 1, false, false),
            ([128; 3], 300, false, false),
        ] {
            let picture = Picture { corner, colours };
            let shown = (picture.shows(Scheme::Light), picture.shows(Scheme::Dark));
            assert_eq!(shown, (light, dark));
        }
    }

    #[test]
    fn a_program_that_does_not_end_is_killed() {
        let mut endless = Command::new("sleep");
        endless.arg("60");
        let error = wait(endless, Duration::ZERO).unwrap_err().to_string();
        assert_eq!(error, "sleep 60: still running after 0 s");
    }
}
