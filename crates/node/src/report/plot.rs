use super::{chart, escape};

/// A named row of points, from left to right.
#[derive(Debug, Clone)]
pub struct Series {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

impl Series {
    /// Points of `x` and `y`.
    #[must_use]
    pub fn new(name: &str, points: Vec<(f64, f64)>) -> Self {
        Self {
            name: name.into(),
            points,
        }
    }
}

/// Lines over a common axis, or bars.
#[derive(Debug, Clone)]
pub struct Plot {
    pub(super) title: String,
    pub(super) x: String,
    pub(super) y: String,
    pub(super) logarithmic: bool,
    pub(super) compact: bool,
    pub(super) first_colour: usize,
    pub(super) lines: Vec<Series>,
    pub(super) bars: Vec<(String, f64)>,
    pub(super) levels: Vec<(f64, String)>,
}

impl Plot {
    /// An empty plot, with what its axes are, units included.
    #[must_use]
    pub fn new(title: &str, x: &str, y: &str) -> Self {
        Self {
            title: title.into(),
            x: x.into(),
            y: y.into(),
            logarithmic: false,
            compact: false,
            first_colour: 0,
            lines: Vec::new(),
            bars: Vec::new(),
            levels: Vec::new(),
        }
    }

    /// Adds lines; more points than can be told apart are thinned out, with peaks kept.
    #[must_use]
    pub fn with_lines(mut self, lines: impl IntoIterator<Item = Series>) -> Self {
        self.lines.extend(lines);
        self
    }

    /// Adds bars, each with its name. A plot has lines or bars, not both.
    #[must_use]
    pub fn with_bars<'a>(mut self, bars: impl IntoIterator<Item = (&'a str, f64)>) -> Self {
        let named = bars.into_iter().map(|(name, value)| (name.into(), value));
        self.bars.extend(named);
        self
    }

    /// Adds a dashed line at a height, with what it means.
    #[must_use]
    pub fn with_level(mut self, at: f64, name: &str) -> Self {
        self.levels.push((at, name.into()));
        self
    }

    /// Makes the upright axis logarithmic; what is below one lies at its foot.
    #[must_use]
    pub const fn on_log_scale(mut self) -> Self {
        self.logarithmic = true;
        self
    }

    /// Gives the first line the colour that line number `first` (from 0) has elsewhere, the next the next.
    #[must_use]
    pub const fn with_colours_from(mut self, first: usize) -> Self {
        self.first_colour = first;
        self
    }

    /// Makes it half as wide, so that two stand side by side.
    #[must_use]
    pub const fn compact(mut self) -> Self {
        self.compact = true;
        self
    }

    pub(super) fn to_html(&self) -> String {
        let legend: String = self
            .lines
            .iter()
            .enumerate()
            .map(|(number, series)| {
                let stroke = chart::stroke(number + self.first_colour);
                let name = escape(&series.name);
                format!(
                    "<li><svg viewBox=\"0 0 26 12\" aria-hidden=\"true\">\
                     <path class=\"line\" {stroke} d=\"M1 6H25\"/></svg>{name}</li>"
                )
            })
            .collect();
        let legend = if self.lines.len() > 1 {
            format!("<ul class=\"legend\">{legend}</ul>\n")
        } else {
            String::new()
        };
        let title = escape(&self.title);
        let chart = chart::draw(self);
        let class = if self.compact {
            " class=\"compact\""
        } else {
            ""
        };
        format!("<figure{class}>\n<figcaption>{title}</figcaption>\n{legend}{chart}</figure>\n")
    }
}
