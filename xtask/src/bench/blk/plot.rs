// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A picture of the rates: a panel for each scenario, a bar for each contestant, and a line from the
//! least to the most.

use std::fmt::Write;

use super::outcome::{Measured, Outcome};
use super::statistics::{Spread, rate};

/// Sizes in pixels.
const WIDTH: f64 = 860.0;
const LABELS: f64 = 300.0;
const BARS: f64 = 440.0;
const ROW: f64 = 20.0;
const TITLE: f64 = 30.0;

/// All scenarios about speed that have figures.
pub(super) fn svg(outcomes: &[Outcome]) -> String {
    let (mut panels, mut top) = (String::new(), 0.0);
    for outcome in outcomes.iter().filter(|outcome| !outcome.scenario.is_of_memory()) {
        let rows: Vec<_> = outcome.measured.iter().filter_map(figures).collect();
        let most = rows.iter().map(|(_, spread)| spread.most).fold(0.0, f64::max);
        if most > 0.0 {
            top += TITLE;
            text(&mut panels, [0.0, top - 9.0], "title", outcome.scenario.title);
            for (measured, spread) in rows {
                row(&mut panels, top, measured, spread, BARS / most);
                top += ROW;
            }
        }
    }
    let height = top + 10.0;
    format!(
        "<!-- SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause -->\n\
         <svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\">\n\
         <title>Requests per second of a block device: medians, and the range of all runs</title>\n\
         <style>\n{STYLE}</style>\n\
         <rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\"/>\n{panels}</svg>\n"
    )
}

const STYLE: &str = "  text { font: 12px sans-serif; fill: #222 }\n\
  .title { font-weight: bold }\n\
  .name { text-anchor: end }\n\
  .paper { fill: #fff }\n\
  .ours { fill: #1b7f5c }\n\
  .others { fill: #b4bcc6 }\n\
  line { stroke: #222; stroke-width: 1.5 }\n";

fn figures(measured: &Measured) -> Option<(&Measured, Spread)> {
    Some((measured, measured.rate()?))
}

fn row(panels: &mut String, top: f64, measured: &Measured, spread: Spread, scale: f64) {
    let ours = measured.name.starts_with("ours");
    let class = if ours { "ours" } else { "others" };
    let (width, height) = (spread.median * scale, ROW - 5.0);
    let middle = top + height / 2.0;
    text(panels, [LABELS - 8.0, middle + 4.0], "name", &measured.name);
    put(
        panels,
        format_args!(
            "<rect class=\"{class}\" x=\"{LABELS}\" y=\"{top:.1}\" width=\"{width:.1}\" \
             height=\"{height}\"/>"
        ),
    );
    let [from, to] = [spread.least, spread.most].map(|end| LABELS + end * scale);
    put(
        panels,
        format_args!(
            "<line x1=\"{from:.1}\" y1=\"{middle:.1}\" x2=\"{to:.1}\" y2=\"{middle:.1}\"/>"
        ),
    );
    text(panels, [to + 8.0, middle + 4.0], "figure", &rate(spread.median));
}

fn text(panels: &mut String, [x, y]: [f64; 2], class: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    put(panels, format_args!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>"));
}

fn put(panels: &mut String, element: std::fmt::Arguments<'_>) {
    writeln!(panels, "{element}").expect("memory for one more line");
}

#[cfg(test)]
mod tests {
    use super::super::outcome::tests::outcome;
    use super::*;

    #[test]
    fn plot_has_a_bar_for_each_and_the_longest_fills_the_panel() {
        let svg = svg(&[outcome("cached-read", &[1e5, 3e5, 2e5]), outcome("memory", &[1e5])]);
        assert_eq!(svg.matches("<rect class=\"ours\"").count(), 1);
        assert_eq!(svg.matches("<rect class=\"others\"").count(), 4);
        // The most of the last one, 5 x 300 k, is at the end of the panel.
        assert!(svg.contains("x2=\"740.0\""), "{svg}");
        assert!(svg.contains(">1.00 M</text>"), "{svg}");
        assert!(svg.ends_with("</svg>\n"));
    }

    #[test]
    fn names_are_escaped() {
        let mut outcome = outcome("null", &[1e5]);
        outcome.measured[1].name = "a<b&c".to_owned();
        assert!(svg(&[outcome]).contains(">a&lt;b&amp;c</text>"));
    }
}
