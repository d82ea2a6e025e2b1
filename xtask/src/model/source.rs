//! As much of ProVerif's language as it takes to count queries.

use std::collections::BTreeMap;

/// How many queries `model` has, with those of the macros that it expands and of `libs`.
pub(super) fn queries(model: &str, libs: &[String]) -> usize {
    let mut macros = BTreeMap::new();
    let mut count = 0;
    for text in libs.iter().map(String::as_str).chain([model]) {
        let text = without_comments(text);
        let outside = take_macros(&text, &mut macros);
        let words: Vec<&str> = words(&outside).collect();
        count += words.iter().filter(|word| **word == "query").count();
        let expanded = words.windows(2).filter(|pair| pair[0] == "expand");
        count += expanded
            .filter_map(|pair| macros.get(pair[1]))
            .sum::<usize>();
    }
    count
}

/// Moves the macros of `text` into `macros`, each with its number of queries; returns what is outside them.
fn take_macros(text: &str, macros: &mut BTreeMap<String, usize>) -> String {
    let mut outside = String::new();
    let mut rest = text;
    while let Some((before, body, after)) = next_macro(rest) {
        let at = before.rfind("def ").unwrap_or(before.len());
        outside.push_str(&before[..at]);
        let name = words(&before[at..]).nth(1).unwrap_or_default();
        let queries = words(body).filter(|word| *word == "query").count();
        macros.insert(name.to_owned(), queries);
        rest = after;
    }
    outside.push_str(rest);
    outside
}

/// Only macros have braces.
fn next_macro(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (body, after) = rest.split_once('}')?;
    Some((before, body, after))
}

/// `text` without its comments, which may hold comments.
fn without_comments(text: &str) -> String {
    let mut code = String::new();
    let mut depth = 0_usize;
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if rest.starts_with("(*") {
            depth += 1;
            rest = &rest[2..];
        } else if depth > 0 && rest.starts_with("*)") {
            depth -= 1;
            rest = &rest[2..];
        } else {
            if depth == 0 {
                code.push(next);
            }
            rest = &rest[next.len_utf8()..];
        }
    }
    code
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_counted_where_they_are_asked() {
        let lib =
            "free c: channel. query attacker(c). def claims(a) { query event(X). query event(Y). }";
        let model = "(* query (* query *) *) expand claims(b). query attacker(d). process 0";
        assert_eq!(queries(model, &[]), 1);
        assert_eq!(queries(model, &[lib.to_owned()]), 4);
        assert_eq!(queries("process 0", &[lib.to_owned()]), 1);
    }
}
