/// How values lie on an axis, and where its ticks are.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
    ticks: Vec<f64>,
}

impl Axis {
    /// From nothing to at least `most`, with about `count` ticks at round numbers.
    pub(super) fn linear(most: f64, count: f64) -> Self {
        let most = if most > 0.0 && most.is_finite() {
            most
        } else {
            1.0
        };
        let rough = most / count;
        let decade = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0]
            .into_iter()
            .map(|times| times * decade)
            .find(|step| *step >= rough * 0.999)
            .unwrap_or(10.0 * decade);
        let steps = (most / step * 0.999).ceil().max(1.0);
        Self {
            low: 0.0,
            high: steps * step,
            logarithmic: false,
            ticks: (0..=steps as u32).map(|n| f64::from(n) * step).collect(),
        }
    }

    /// From nothing to exactly `most`: for time.
    pub(super) fn up_to(most: f64, count: f64) -> Self {
        let mut axis = Self::linear(most, count);
        if most > 0.0 && most.is_finite() {
            axis.high = most;
            axis.ticks.retain(|tick| *tick <= most * 1.001);
        }
        axis
    }

    /// From one to at least `most`, a tick a power of ten.
    pub(super) fn logarithmic(most: f64) -> Self {
        let decades = most.max(10.0).log10().ceil();
        Self {
            low: 0.0,
            high: decades,
            logarithmic: true,
            ticks: (0..=decades as i32).map(|n| 10_f64.powi(n)).collect(),
        }
    }

    /// Where a value lies, from 0 to 1.
    pub(super) fn place(&self, value: f64) -> f64 {
        let value = if self.logarithmic {
            value.max(1.0).log10()
        } else {
            value
        };
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    pub(super) fn ticks(&self) -> &[f64] {
        &self.ticks
    }
}

/// A number as a person writes it beside a tick: 1 200 000 is 1.2 M.
pub(super) fn written(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        size if size >= 1e9 => (value / 1e9, " G"),
        size if size >= 1e6 => (value / 1e6, " M"),
        size if size >= 1e4 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let digits = if scaled == 0.0 || scaled.abs() >= 100.0 {
        0
    } else if scaled.abs() >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{scaled:.digits$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover_what_is_there() {
        assert_eq!(
            Axis::linear(0.93, 5.0).ticks(),
            [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]
        );
        assert_eq!(
            Axis::linear(52.0, 6.0).ticks(),
            [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0]
        );
        assert_eq!(
            Axis::up_to(52.0, 6.0).ticks(),
            [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]
        );
        assert_eq!(
            Axis::logarithmic(4_000.0).ticks(),
            [1.0, 10.0, 100.0, 1_000.0, 10_000.0]
        );
        assert_eq!(
            Axis::linear(0.0, 5.0).place(0.5),
            0.5,
            "nothing to show is shown too"
        );
    }

    #[test]
    fn numbers_are_written_short() {
        let written = [0.0, 0.25, 1.1, 20.0, 1_500.0, 20_000.0, 4_000_000.0, 2.5e9].map(written);
        assert_eq!(
            written,
            ["0", "0.25", "1.1", "20", "1500", "20 k", "4 M", "2.5 G"]
        );
    }
}
