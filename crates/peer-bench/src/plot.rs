//! Bars on a logarithmic scale, as SVG that needs nothing else.

use std::fmt::Write as _;

const WIDTH: f64 = 900.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 64.0;
/// From one panel's top to the next one's.
const PANEL: f64 = 300.0;
/// Of the bars.
const HEIGHT: f64 = 210.0;
const COLOURS: [&str; 5] = ["#b8574b", "#2f6f9f", "#9aa5ad", "#6f8f3f", "#c79a3a"];

/// Bars that stand together: one for each series.
pub struct Group {
    /// What stands below them.
    pub label: String,
    /// How high they are; nothing is drawn of what is not positive.
    pub values: Vec<f64>,
}

/// A picture of panels, one below the other.
pub struct Plot {
    title: String,
    series: Vec<String>,
    panels: Vec<(String, Vec<Group>)>,
}

impl Plot {
    /// An empty picture, with the names of the series.
    pub fn new(title: &str, series: &[&str]) -> Self {
        let series = series.iter().map(|name| (*name).to_owned()).collect();
        Self { title: title.to_owned(), series, panels: Vec::new() }
    }

    /// Adds a panel.
    pub fn panel(&mut self, title: &str, groups: Vec<Group>) {
        self.panels.push((title.to_owned(), groups));
    }

    /// The picture.
    pub fn svg(&self) -> String {
        let height = TOP + PANEL * self.panels.len() as f64;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n"
        );
        text(&mut svg, LEFT, 22.0, "font-size=\"15\"", &self.title);
        let mut x = LEFT;
        for (name, colour) in self.series.iter().zip(COLOURS) {
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"34\" width=\"12\" height=\"12\" fill=\"{colour}\"/>"
            );
            text(&mut svg, x + 17.0, 45.0, "", name);
            x += 40.0 + 7.0 * name.len() as f64;
        }
        for (place, (title, groups)) in self.panels.iter().enumerate() {
            panel(&mut svg, TOP + PANEL * place as f64, title, groups);
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn panel(svg: &mut String, top: f64, title: &str, groups: &[Group]) {
    text(svg, LEFT, top + 14.0, "font-weight=\"bold\"", title);
    let values = || groups.iter().flat_map(|group| &group.values).filter(|v| **v > 0.0);
    let low = values().copied().fold(f64::INFINITY, f64::min).min(1.0).log10().floor();
    let high = values().copied().fold(1.0, f64::max).log10().ceil().max(low + 1.0);
    let (ceiling, base) = (top + 26.0, top + 26.0 + HEIGHT);
    let y = |value: f64| base - (value.log10() - low) / (high - low) * HEIGHT;
    let mut power = low;
    while power <= high {
        let (value, line) = (10_f64.powf(power), y(10_f64.powf(power)));
        let _ =
            writeln!(svg, "<path d=\"M{LEFT} {line:.1}H{:.0}\" stroke=\"#dddddd\"/>", WIDTH - 20.0);
        text(svg, LEFT - 6.0, line + 4.0, "text-anchor=\"end\"", &value.to_string());
        power += 1.0;
    }
    let step = (WIDTH - LEFT - 30.0) / groups.len().max(1) as f64;
    for (place, group) in groups.iter().enumerate() {
        let left = LEFT + 8.0 + step * place as f64;
        let bar = step * 0.8 / group.values.len().max(1) as f64;
        for (number, value) in group.values.iter().enumerate() {
            if *value <= 0.0 || !value.is_finite() {
                continue;
            }
            let (x, head) = (left + bar * number as f64, y(*value).max(ceiling));
            let colour = COLOURS[number % COLOURS.len()];
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{head:.1}\" width=\"{:.1}\" height=\"{:.1}\" \
                 fill=\"{colour}\"/>",
                bar - 2.0,
                base - head
            );
            let centre = x + bar / 2.0 - 1.0;
            text(svg, centre, head - 3.0, "text-anchor=\"middle\" font-size=\"8\"", &short(*value));
        }
        text(svg, left + step * 0.4, base + 16.0, "text-anchor=\"middle\"", &group.label);
    }
}

fn short(value: f64) -> String {
    if value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

fn text(svg: &mut String, x: f64, y: f64, attributes: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" {attributes}>{text}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_stands_for_each_value_that_there_is() {
        let mut plot = Plot::new("a < b", &["one", "two"]);
        let values = vec![2.0, f64::NAN];
        plot.panel("panel", vec![Group { label: "group".to_owned(), values }]);
        let svg = plot.svg();
        assert_eq!(svg.matches("fill=\"#b8574b\"").count(), 2, "legend and bar: {svg}");
        assert_eq!(svg.matches("fill=\"#2f6f9f\"").count(), 1, "legend alone: {svg}");
        assert!(svg.contains("a &lt; b"));
    }
}
