//! The commands of a page in Markdown: the lines of its fenced code, in order.
//!
//! The README tells a newcomer two commands first. CI runs those lines as they stand there, so that
//! page and CI cannot drift apart.

/// The demo, as the README must have it.
pub(crate) const DEMO: &str = "cargo run --release -p volume-transfer -- demo";
/// The tests, as the README must have them.
pub(crate) const TEST: &str = "cargo test --workspace";

/// Every command of the page's fenced code: no prompt, no trailing comment, no blank line.
pub(crate) fn commands(page: &str) -> Vec<&str> {
    let mut fenced = false;
    let mut found = Vec::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            let line = line.trim().trim_start_matches("$ ");
            let command = line.split(" #").next().unwrap_or_default().trim();
            if !command.is_empty() && !command.starts_with('#') {
                found.push(command);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fenced_lines_are_commands() {
        let page = "cargo no\n\n```sh\n$ cargo run  # the demo\n# a word\n\ncargo test\n```\nno\n";
        assert_eq!(commands(page), ["cargo run", "cargo test"]);
    }

    #[test]
    fn a_page_without_fences_has_no_commands() {
        assert!(commands("`cargo test`\n").is_empty());
    }
}
