//! As much of Rust's grammar as the rules need: what is code and what is not.

/// The code without comments, without the contents of strings and without `#[cfg(test)]` modules.
///
/// Lines stay where they were.
pub(super) fn shipped(source: &str) -> String {
    without_test_modules(&without_text(source))
}

/// The code with comments and the contents of strings and characters blanked.
pub(super) fn without_text(source: &str) -> String {
    let mut left = source;
    let mut code = String::with_capacity(source.len());
    while let Some(first) = left.chars().next() {
        let after_name = code
            .chars()
            .next_back()
            .is_some_and(|c| c.is_alphanumeric() || c == '_');
        let length = match first {
            '/' if left.starts_with("//") => left.find('\n').unwrap_or(left.len()),
            '/' if left.starts_with("/*") => block_comment(left),
            '"' => string(left),
            'r' if !after_name => raw_string(left).unwrap_or(0),
            '\'' => character(left).unwrap_or(0),
            _ => 0,
        };
        if length == 0 {
            code.push(first);
            left = &left[first.len_utf8()..];
        } else {
            code.extend(
                left[..length]
                    .chars()
                    .map(|c| if c == '\n' { '\n' } else { ' ' }),
            );
            left = &left[length..];
        }
    }
    code
}

/// Length of the (nesting) block comment that `text` starts with.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn raw_string(text: &str) -> Option<usize> {
    let hashes = text[1..].len() - text[1..].trim_start_matches('#').len();
    let body = text[1 + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(
        body.find(&end)
            .map_or(text.len(), |at| hashes + 2 + at + end.len()),
    )
}

/// Length of a character literal; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let mut rest = text.char_indices().skip(1);
    let (_, first) = rest.next()?;
    if first == '\\' {
        rest.next()?;
        return rest.find(|&(_, c)| c == '\'').map(|(at, _)| at + 1);
    }
    rest.next()
        .filter(|&(_, c)| c == '\'')
        .map(|(at, _)| at + 1)
}

/// Blanks every `#[cfg(test)] mod name { .. }`; `code` has no comments or strings left.
fn without_test_modules(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut kept = String::with_capacity(code.len());
    let mut left = code;
    while let Some(at) = left.find(MARK) {
        let (before, from) = left.split_at(at);
        kept.push_str(before);
        let item = from[MARK.len()..].trim_start();
        let open = from.find('{').filter(|_| item.starts_with("mod "));
        let ends_first = from.find(';').unwrap_or(from.len());
        let length = match open {
            Some(open) if open < ends_first => block(from, open),
            _ => MARK.len(),
        };
        kept.extend(
            from[..length]
                .chars()
                .map(|c| if c == '\n' { '\n' } else { ' ' }),
        );
        left = &from[length..];
    }
    kept + left
}

/// Where the block that opens at `open` ends.
fn block(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return open + at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

/// Line number of a byte offset.
pub(super) fn line(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

/// Offsets at which `word` stands as a whole word (or path).
pub(super) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |&at| {
            !code[..at].ends_with(joins) && !code[at + word.len()..].starts_with(joins)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_blanked_and_lines_stay() {
        let code =
            without_text("a // b\n/* c /* d */\n e */ f \"g\\\"h\" i r#\"j\"k\"# l 'm' '\\'' n");
        assert_eq!(code.split_whitespace().collect::<String>(), "afiln");
        assert_eq!(code.lines().count(), 3);
    }

    #[test]
    fn lifetimes_are_code() {
        assert_eq!(
            without_text("fn f<'a>(x: &'a str) {}"),
            "fn f<'a>(x: &'a str) {}"
        );
    }

    #[test]
    fn test_modules_do_not_ship() {
        let code = shipped("fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() { { } }\n}\nfn c() {}");
        assert!(code.contains("fn a") && code.contains("fn c") && !code.contains("fn b"));
        assert_eq!(line(&code, code.find("fn c").unwrap()), 6);
        assert!(shipped("#[cfg(test)]\nmod tests;\nfn d() {}").contains("fn d() {}"));
    }

    #[test]
    fn words_are_whole() {
        assert_eq!(words("ab a b_a a", "a").collect::<Vec<_>>(), [3, 9]);
    }
}
