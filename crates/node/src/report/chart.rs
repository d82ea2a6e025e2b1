use core::fmt::Write as _;

use super::{
    Plot, Series,
    axis::{Axis, written},
    escape,
};

/// Where the axes are: so far from the left, the right, the top and the foot.
const LEFT: f64 = 68.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 14.0;
const FOOT: f64 = 46.0;

/// Points that can be told apart on a line.
const POINTS: usize = 600;

/// Colour and dashes of a line: the colours repeat after eight, the dashes do not.
pub(super) fn stroke(number: usize) -> String {
    let dashes = ["", " stroke-dasharray=\"7 4\"", " stroke-dasharray=\"2 3\""];
    let dash = dashes[number / 4 % dashes.len()];
    format!("stroke=\"var(--c{})\"{dash}", number % 8)
}

/// The drawing itself.
pub(super) fn draw(plot: &Plot) -> String {
    let (width, height) = if plot.compact {
        (430.0, 220.0)
    } else {
        (880.0, 320.0)
    };
    let mut canvas = Canvas {
        plot,
        right: width - RIGHT,
        foot: height - FOOT,
        svg: format!(
            "<svg class=\"plot\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">\n",
            escape(&plot.title)
        ),
    };
    if plot.bars.is_empty() {
        canvas.lines();
    } else {
        canvas.bars();
    }
    canvas.svg.push_str("</svg>\n");
    canvas.svg
}

struct Canvas<'a> {
    plot: &'a Plot,
    right: f64,
    foot: f64,
    svg: String,
}

impl Canvas<'_> {
    fn lines(&mut self) {
        let plot = self.plot;
        let points = || plot.lines.iter().flat_map(|line| line.points.iter());
        let y = self.upright(points().map(|(_, y)| *y));
        let ticks = if plot.compact { 5.0 } else { 8.0 };
        let x = Axis::up_to(points().map(|(x, _)| *x).fold(0.0, f64::max), ticks);
        self.frame(&y);
        for tick in x.ticks() {
            let (at, foot) = (self.across(x.place(*tick)), self.foot);
            let _ = writeln!(self.svg, "<path class=\"axis\" d=\"M{at:.1} {foot}v5\"/>");
            self.text((at, foot + 18.0), "middle", "", &written(*tick));
        }
        for (number, line) in plot.lines.iter().enumerate() {
            let mut path = String::new();
            for (at, (px, py)) in thinned(line).into_iter().enumerate() {
                let command = if at == 0 { 'M' } else { 'L' };
                let (px, py) = (self.across(x.place(px)), self.up(y.place(py)));
                let _ = write!(path, "{command}{px:.1} {py:.1}");
            }
            let (stroke, name) = (stroke(number + plot.first_colour), escape(&line.name));
            let _ = writeln!(
                self.svg,
                "<path class=\"line\" {stroke} d=\"{path}\"><title>{name}</title></path>"
            );
        }
        self.levels(&y);
    }

    fn bars(&mut self) {
        let plot = self.plot;
        let y = self.upright(plot.bars.iter().map(|(_, value)| *value * 1.08));
        self.frame(&y);
        let room = (self.right - LEFT) / plot.bars.len() as f64;
        for (number, (name, value)) in plot.bars.iter().enumerate() {
            let middle = LEFT + room * (number as f64 + 0.5);
            let (width, top) = (room * 0.6, self.up(y.place(*value)));
            let (left, height, colour) = (middle - width / 2.0, self.foot - top, number % 8);
            let _ = writeln!(
                self.svg,
                "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
                 fill=\"var(--c{colour})\"/>"
            );
            self.text((middle, self.foot + 18.0), "middle", "", name);
            self.text((middle, top - 5.0), "middle", "value", &written(*value));
        }
        self.levels(&y);
    }

    /// The upright axis for these values and all levels.
    fn upright(&self, values: impl Iterator<Item = f64>) -> Axis {
        let levels = self.plot.levels.iter().map(|(at, _)| *at);
        let most = values.chain(levels).fold(0.0, f64::max);
        if self.plot.logarithmic {
            Axis::logarithmic(most)
        } else {
            Axis::linear(most, if self.plot.compact { 4.0 } else { 5.0 })
        }
    }

    /// The axes, their names, and the upright one's ticks.
    fn frame(&mut self, y: &Axis) {
        let (right, foot) = (self.right, self.foot);
        for tick in y.ticks() {
            let at = self.up(y.place(*tick));
            let _ = writeln!(
                self.svg,
                "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{right}\"/>"
            );
            self.text((LEFT - 8.0, at + 4.0), "end", "", &written(*tick));
        }
        let (centre, y_name) = ((TOP + foot) / 2.0, escape(&self.plot.y));
        let _ = writeln!(
            self.svg,
            "<path class=\"axis\" d=\"M{LEFT} {TOP}V{foot}H{right}\" fill=\"none\"/>\n\
             <text transform=\"translate(14 {centre}) rotate(-90)\" text-anchor=\"middle\">{y_name}</text>"
        );
        self.text(
            ((LEFT + right) / 2.0, foot + 40.0),
            "middle",
            "",
            &self.plot.x.clone(),
        );
    }

    fn levels(&mut self, y: &Axis) {
        for (at, name) in &self.plot.levels {
            let (at, right) = (self.up(y.place(*at)), self.right);
            let _ = writeln!(
                self.svg,
                "<path class=\"level\" d=\"M{LEFT} {at:.1}H{right}\"/>"
            );
            let beside = if at < TOP + 16.0 { at + 14.0 } else { at - 5.0 };
            self.text((right - 4.0, beside), "end", "level", name);
        }
    }

    fn text(&mut self, (x, y): (f64, f64), anchor: &str, class: &str, text: &str) {
        let text = escape(text);
        let _ = writeln!(
            self.svg,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
        );
    }

    fn across(&self, place: f64) -> f64 {
        LEFT + place * (self.right - LEFT)
    }

    fn up(&self, place: f64) -> f64 {
        self.foot - place * (self.foot - TOP)
    }
}

/// At most [`POINTS`] points: of each group of neighbours the least and the most, in their order.
fn thinned(line: &Series) -> Vec<(f64, f64)> {
    let group = (2 * line.points.len()).div_ceil(POINTS).max(1);
    if group <= 2 {
        return line.points.clone();
    }
    let by_height = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
    let ends = line.points.chunks(group).flat_map(|points| {
        let least = points.iter().min_by(by_height).copied();
        let most = points.iter().max_by(by_height).copied();
        let mut ends: Vec<_> = least.into_iter().chain(most).collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        ends
    });
    ends.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_the_peak_and_the_trough() {
        let mut points: Vec<_> = (0..100_000).map(|x| (f64::from(x), 5.0)).collect();
        points[33_333].1 = 9.0;
        points[44_444].1 = 1.0;
        let thin = thinned(&Series::new("line", points));
        assert!(thin.len() <= 2 * POINTS, "{}", thin.len());
        assert!(thin.contains(&(33_333.0, 9.0)) && thin.contains(&(44_444.0, 1.0)));
        assert!(thin.windows(2).all(|pair| pair[0].0 <= pair[1].0));
    }

    #[test]
    fn a_drawing_shows_its_lines_bars_levels_and_escaped_names() {
        let lines = Plot::new("a < b", "seconds", "devices")
            .with_lines([Series::new("x & y", vec![(0.0, 1.0), (1.0, 2.0)])])
            .with_level(1.5, "limit");
        let svg = draw(&lines);
        assert!(svg.contains("a &lt; b") && svg.contains("x &amp; y") && svg.contains(">limit<"));
        let bars = Plot::new("bars", "", "attempts").with_bars([("one", 1.0), ("two", 2.0)]);
        assert_eq!(draw(&bars).matches("<rect").count(), 2);
    }
}
