//! Plots as SVG: lines over linear or logarithmic axes, and bars of ratios with their intervals.
//!
//! White ground and dark text, so that they can be read on light and dark pages. The three shapes
//! that the suite needs are less code than the configuration of a plotting library.

use std::fmt::Write as _;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 480.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 168.0;
const TOP: f64 = 52.0;
const BOTTOM: f64 = 62.0;
const BAR: f64 = 26.0;
/// Colours that stay apart for colour-blind readers (Okabe and Ito, 2008).
const COLOURS: [&str; 8] =
    ["#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7a7a7a"];

/// How values lie on an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Evenly from zero.
    Linear,
    /// By powers of ten.
    Logarithmic,
    /// Percentiles, by their distance to 100 %: 90, 99 and 99.9 are equally far apart.
    Percentile,
}

/// An axis.
#[derive(Debug, Clone)]
pub struct Axis {
    /// What it shows, with the unit.
    pub title: String,
    /// How.
    pub scale: Scale,
}

/// A line.
#[derive(Debug, Clone)]
pub struct Line {
    /// The name in the legend.
    pub name: String,
    /// Its points.
    pub points: Vec<(f64, f64)>,
}

/// A bar with an interval.
#[derive(Debug, Clone)]
pub struct Bar {
    /// The name at its left.
    pub name: String,
    /// Its length.
    pub median: f64,
    /// The interval.
    pub interval: (f64, f64),
}

/// Lines over two axes.
#[must_use]
pub fn lines(title: &str, x: &Axis, y: &Axis, lines: &[Line]) -> String {
    let mut svg = open(title, HEIGHT);
    let values = |of: fn(&(f64, f64)) -> f64| {
        lines.iter().flat_map(|line| line.points.iter().map(of)).collect::<Vec<f64>>()
    };
    let across = Range::of(x.scale, &values(|point| point.0));
    let up = Range::of(y.scale, &values(|point| point.1));
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let to_x = |value: f64| LEFT + across.share(value) * (right - LEFT);
    let to_y = |value: f64| bottom - up.share(value) * (bottom - TOP);
    for (value, label) in across.ticks() {
        let at = to_x(value);
        rule(&mut svg, (at, TOP), (at, bottom));
        text(&mut svg, (at, bottom + 18.0), "middle", &label);
    }
    for (value, label) in up.ticks() {
        let at = to_y(value);
        rule(&mut svg, (LEFT, at), (right, at));
        text(&mut svg, (LEFT - 8.0, at + 4.0), "end", &label);
    }
    text(&mut svg, (f64::midpoint(LEFT, right), HEIGHT - 18.0), "middle", &x.title);
    let middle = f64::midpoint(TOP, bottom);
    put(
        &mut svg,
        &format!(
            r#"<text transform="translate(20 {middle:.1}) rotate(-90)" text-anchor="middle">{}</text>"#,
            escape(&y.title)
        ),
    );
    for (index, line) in lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let points: Vec<String> =
            line.points.iter().map(|(x, y)| format!("{:.1},{:.1}", to_x(*x), to_y(*y))).collect();
        put(
            &mut svg,
            &format!(
                r#"<polyline fill="none" stroke="{colour}" stroke-width="2.2" stroke-linejoin="round" points="{}"/>"#,
                points.join(" ")
            ),
        );
        let at = TOP + 8.0 + 22.0 * index as f64;
        let from = right + 16.0;
        put(
            &mut svg,
            &format!(
                r#"<line x1="{from}" y1="{at}" x2="{}" y2="{at}" stroke="{colour}" stroke-width="3"/>"#,
                from + 22.0
            ),
        );
        text(&mut svg, (from + 30.0, at + 4.0), "start", &line.name);
    }
    svg.push_str("</svg>\n");
    svg
}

/// Horizontal bars from zero, ours in another colour; a dashed line marks 1, where both are equal.
#[must_use]
pub fn bars(title: &str, axis: &str, bars: &[Bar]) -> String {
    let left = 190.0;
    let right = WIDTH - 90.0;
    let bottom = TOP + bars.len() as f64 * BAR;
    let mut svg = open(title, bottom + BOTTOM);
    let most = bars.iter().map(|bar| bar.interval.1).fold(1.0, f64::max);
    let range = Range::of(Scale::Linear, &[0.0, most]);
    let to_x = |value: f64| left + range.share(value) * (right - left);
    for (value, label) in range.ticks() {
        rule(&mut svg, (to_x(value), TOP), (to_x(value), bottom));
        text(&mut svg, (to_x(value), bottom + 18.0), "middle", &label);
    }
    for (index, bar) in bars.iter().enumerate() {
        let top = TOP + index as f64 * BAR;
        let middle = top + BAR / 2.0;
        let (low, high) = (to_x(bar.interval.0), to_x(bar.interval.1));
        let colour = COLOURS[usize::from(!bar.name.starts_with("troupe"))];
        text(&mut svg, (left - 10.0, middle + 4.0), "end", &bar.name);
        put(
            &mut svg,
            &format!(
                r#"<rect x="{left}" y="{:.1}" width="{:.1}" height="{}" fill="{colour}" fill-opacity="0.75"/>"#,
                top + 4.0,
                to_x(bar.median) - left,
                BAR - 8.0
            ),
        );
        put(
            &mut svg,
            &format!(
                r##"<path d="M{low:.1} {middle:.1}H{high:.1}M{low:.1} {0:.1}v8M{high:.1} {0:.1}v8" stroke="#222" stroke-width="1.5"/>"##,
                middle - 4.0
            ),
        );
    }
    let one = to_x(1.0);
    put(
        &mut svg,
        &format!(
            r##"<line x1="{one:.1}" y1="{TOP}" x2="{one:.1}" y2="{bottom}" stroke="#222" stroke-width="1.5" stroke-dasharray="5 4"/>"##
        ),
    );
    for (index, bar) in bars.iter().enumerate() {
        let at = (to_x(bar.interval.1) + 8.0, TOP + (index as f64 + 0.5) * BAR + 4.0);
        text(&mut svg, at, "start", &format!("{:.2}×", bar.median));
    }
    text(&mut svg, (f64::midpoint(left, right), bottom + 44.0), "middle", axis);
    svg.push_str("</svg>\n");
    svg
}

/// The ends of an axis, in the measure of its scale.
struct Range {
    scale: Scale,
    low: f64,
    high: f64,
}

impl Range {
    fn of(scale: Scale, values: &[f64]) -> Self {
        let placed: Vec<f64> =
            values.iter().map(|value| place(scale, *value)).filter(|at| at.is_finite()).collect();
        let low = placed.iter().copied().fold(f64::INFINITY, f64::min);
        let high = placed.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        match scale {
            Scale::Linear => Self { scale, low: 0.0, high: (high * 1.05).max(f64::MIN_POSITIVE) },
            Scale::Logarithmic => {
                Self { scale, low: low.floor(), high: high.ceil().max(low.floor() + 1.0) }
            }
            Scale::Percentile => {
                Self { scale, low: 0.0, high: (high - 1e-6).ceil().clamp(1.0, 6.0) }
            }
        }
    }

    /// 0 at the lower end, 1 at the upper.
    fn share(&self, value: f64) -> f64 {
        ((place(self.scale, value) - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Linear => {
                let step = round_step(self.high / 6.0);
                let count = (self.high / step).floor().max(0.0) as u32;
                (0..=count).map(|tick| f64::from(tick) * step).map(|at| (at, label(at))).collect()
            }
            Scale::Logarithmic => {
                let (low, high) = (self.low as i32, self.high as i32);
                // Few powers of ten leave room for steps between them.
                let steps: &[f64] = if high - low > 3 { &[1.0] } else { &[1.0, 2.0, 5.0] };
                (low..=high)
                    .flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)))
                    .filter(|at| at.log10() <= self.high + 1e-9)
                    .map(|at| (at, label(at)))
                    .collect()
            }
            Scale::Percentile => {
                let nines = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999];
                let shown =
                    nines.into_iter().filter(|at| place(self.scale, *at) <= self.high + 1e-6);
                shown.map(|at| (at, format!("{at} %"))).collect()
            }
        }
    }
}

fn place(scale: Scale, value: f64) -> f64 {
    match scale {
        Scale::Linear => value,
        Scale::Logarithmic => value.max(f64::MIN_POSITIVE).log10(),
        Scale::Percentile => -((100.0 - value) / 100.0).log10(),
    }
}

/// 1, 2 or 5 times a power of ten, not below the value.
fn round_step(value: f64) -> f64 {
    let power = 10f64.powf(value.max(f64::MIN_POSITIVE).log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= value);
    factor.unwrap_or(10.0) * power
}

fn label(value: f64) -> String {
    if value >= 1e6 {
        format!("{}M", value / 1e6)
    } else if value >= 1e4 {
        format!("{}k", value / 1e3)
    } else {
        format!("{}", (value * 1000.0).round() / 1000.0)
    }
}

fn open(title: &str, height: f64) -> String {
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" font-family="system-ui, sans-serif" font-size="13" fill="#222">"##
    );
    svg.push_str("\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n");
    put(
        &mut svg,
        &format!(
            r#"<text x="{}" y="28" text-anchor="middle" font-size="16" font-weight="600">{}</text>"#,
            WIDTH / 2.0,
            escape(title)
        ),
    );
    svg
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, content: &str) {
    let content = escape(content);
    // The white edge keeps it readable over lines.
    let edge = r##"stroke="#fff" stroke-width="3" paint-order="stroke""##;
    put(
        svg,
        &format!(r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" {edge}>{content}</text>"#),
    );
}

fn rule(svg: &mut String, from: (f64, f64), to: (f64, f64)) {
    put(
        svg,
        &format!(
            r##"<line x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}" stroke="#ddd"/>"##,
            from.0, from.1, to.0, to.1
        ),
    );
}

fn put(svg: &mut String, element: &str) {
    writeln!(svg, "{element}").expect("a text takes all");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nines_are_equally_far_apart_and_a_hundred_stays_on_the_plot() {
        let range = Range::of(Scale::Percentile, &[0.0, 50.0, 99.9]);
        assert!((range.share(90.0) - 1.0 / 3.0).abs() < 1e-9);
        assert!((range.share(99.0) - 2.0 / 3.0).abs() < 1e-9);
        assert!((range.share(100.0) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn steps_are_round() {
        let steps = [0.3, 1.0, 17.0, 900.0].map(round_step);
        assert_eq!(steps.map(|step| step.to_string()), ["0.5", "1", "20", "1000"]);
    }

    #[test]
    fn a_plot_names_its_axes_and_lines() {
        let axis = |title: &str, scale| Axis { title: title.to_owned(), scale };
        let line = Line { name: "a<b".to_owned(), points: vec![(1.0, 10.0), (2.0, 100.0)] };
        let (x, y) = (axis("rate, 1/s", Scale::Linear), axis("p99, µs", Scale::Logarithmic));
        let svg = lines("title", &x, &y, &[line]);
        for part in ["rate, 1/s", "p99, µs", "a&lt;b", "<polyline", "fill=\"#fff\""] {
            assert!(svg.contains(part), "{part}");
        }
    }
}
