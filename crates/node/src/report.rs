//! Reports: a page of HTML with plots and tables that needs nothing but itself.
//!
//! ```
//! use refpoint_node::report::{Plot, Report, Section, Series};
//!
//! let plot = Plot::new("Devices that are back", "seconds since the restart", "devices")
//!     .with_lines([Series::new("core", vec![(0.0, 0.0), (1.0, 800.0), (2.0, 1_000.0)])])
//!     .with_level(1_000.0, "all");
//! let page = Report::new("A restart", "One thousand devices, one core.")
//!     .with_section(Section::new("Recovery").with_text("All were back after two seconds.").with_plot(plot))
//!     .to_html();
//! assert!(page.starts_with("<!doctype html>"));
//! ```
//!
//! No script and no address of anything outside: a page can be mailed and opened anywhere. It is legible on light and
//! on dark grounds, as the reader's system prefers.

mod axis;
mod chart;
mod page;
mod plot;

pub use page::{Report, Section, Table};
pub use plot::{Plot, Series};

/// A whole number with its digits in groups: 1 000 000.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// Text as HTML shows it.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_from_the_right() {
        let numbers =
            [0, 999, 1_000, 1_234_567].map(|number| grouped(number).replace('\u{202f}', " "));
        assert_eq!(numbers, ["0", "999", "1 000", "1 234 567"]);
    }
}
