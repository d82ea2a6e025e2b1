//! The rows, for people and for programs.

use core::fmt::Write as _;

use serde_json::Value;

const COLUMNS: usize = 8;
const HEADER: [&str; COLUMNS] = [
    "name",
    "value",
    "unit",
    "peer",
    "peer value",
    "ratio",
    "target",
    "reached?",
];
/// Columns of numbers, which end at one edge.
const RIGHT: [usize; 3] = [1, 4, 5];

fn number(value: &Value) -> String {
    match value.as_f64() {
        None => String::new(),
        Some(value) if value == value.trunc() => format!("{value}"),
        Some(value) if value < 10.0 => format!("{value:.3}"),
        Some(value) if value < 1000.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.0}"),
    }
}

fn cells(row: &Value) -> [String; COLUMNS] {
    HEADER.map(|column| match column {
        "value" | "ratio" => number(&row[column]),
        "peer value" => number(&row["peer_value"]),
        "reached?" => match row["reached"].as_bool() {
            Some(true) => "yes".into(),
            Some(false) => "NO".into(),
            None => String::new(),
        },
        text => row[text].as_str().unwrap_or_default().into(),
    })
}

/// The table for people, which is Markdown as well.
pub(super) fn show(rows: &[Value]) -> String {
    let mut lines = vec![HEADER.map(String::from)];
    lines.extend(rows.iter().map(cells));
    let mut widths = [0; COLUMNS];
    for (column, width) in widths.iter_mut().enumerate() {
        let cells = lines.iter().map(|line| line[column].chars().count());
        *width = cells.max().unwrap_or(0);
    }
    let mut text = String::new();
    for (at, line) in lines.iter().enumerate() {
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            let room = " ".repeat(width - cell.chars().count());
            let _ = if RIGHT.contains(&column) {
                write!(text, "| {room}{cell} ")
            } else {
                write!(text, "| {cell}{room} ")
            };
        }
        text.push_str("|\n");
        if at == 0 {
            let rules = widths.map(|width| "-".repeat(width + 2));
            text.push_str(&format!("|{}|\n", rules.join("|")));
        }
    }
    text
}

/// The rows for programs: an array with an object a line, of what was measured alone.
pub(super) fn public(rows: Vec<Value>) -> String {
    let lines = rows.into_iter().map(|mut row| {
        if let Some(row) = row.as_object_mut() {
            row.remove("target");
            row.remove("reached");
        }
        row.to_string()
    });
    format!("[\n{}\n]\n", lines.collect::<Vec<_>>().join(",\n"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows() -> Vec<Value> {
        let long = json!({
            "name": "µ", "value": 1.5, "unit": "µs", "peer": "p", "peer_value": 3.0,
            "ratio": 0.5, "target": "≤ 0.4 ×", "reached": false,
        });
        let short = json!({"name": "bytes", "value": 12, "unit": "B"});
        vec![long, short]
    }

    #[test]
    fn all_lines_are_as_wide_and_a_missed_target_shows() {
        let text = show(&rows());
        let widths: Vec<_> = text.lines().map(|line| line.chars().count()).collect();
        assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
        assert!(text.contains("| NO "));
    }

    #[test]
    fn programs_get_an_array_of_six_fields() {
        let rows: Vec<Value> = serde_json::from_str(&public(rows())).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].as_object().unwrap().len(), 6);
    }
}
