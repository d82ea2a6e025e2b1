use super::{Plot, escape};

/// A page with a title, a summary and sections.
#[derive(Debug, Clone)]
pub struct Report {
    title: String,
    summary: String,
    sections: Vec<Section>,
}

/// A heading and what stands below it.
#[derive(Debug, Clone)]
pub struct Section {
    heading: String,
    blocks: Vec<Block>,
}

#[derive(Debug, Clone)]
enum Block {
    Text(String),
    Plot(Plot),
    Table(Table),
}

/// Rows of text below column heads; all columns but the first are numbers, unless all are sentences.
#[derive(Debug, Clone)]
pub struct Table {
    sentences: bool,
    head: Vec<String>,
    rows: Vec<(bool, Vec<String>)>,
}

impl Report {
    /// An empty page.
    #[must_use]
    pub fn new(title: &str, summary: &str) -> Self {
        Self {
            title: title.into(),
            summary: summary.into(),
            sections: Vec::new(),
        }
    }

    /// Adds a section.
    #[must_use]
    pub fn with_section(mut self, section: Section) -> Self {
        self.sections.push(section);
        self
    }

    /// The page.
    #[must_use]
    pub fn to_html(&self) -> String {
        let (title, summary) = (escape(&self.title), escape(&self.summary));
        let sections: String = self.sections.iter().map(Section::to_html).collect();
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <h1>{title}</h1>\n<p class=\"summary\">{summary}</p>\n{sections}</main>\n</body>\n</html>\n"
        )
    }
}

impl Section {
    /// A section without anything in it.
    #[must_use]
    pub fn new(heading: &str) -> Self {
        Self {
            heading: heading.into(),
            blocks: Vec::new(),
        }
    }

    /// Adds a paragraph.
    #[must_use]
    pub fn with_text(mut self, text: &str) -> Self {
        self.blocks.push(Block::Text(text.into()));
        self
    }

    /// Adds a plot.
    #[must_use]
    pub fn with_plot(mut self, plot: Plot) -> Self {
        self.blocks.push(Block::Plot(plot));
        self
    }

    /// Adds a table.
    #[must_use]
    pub fn with_table(mut self, table: Table) -> Self {
        self.blocks.push(Block::Table(table));
        self
    }

    fn to_html(&self) -> String {
        let blocks: String = self.blocks.iter().map(Block::to_html).collect();
        let heading = escape(&self.heading);
        format!("<section>\n<h2>{heading}</h2>\n{blocks}</section>\n")
    }
}

impl Block {
    fn to_html(&self) -> String {
        match self {
            Self::Text(text) => format!("<p>{}</p>\n", escape(text)),
            Self::Plot(plot) => plot.to_html(),
            Self::Table(table) => table.to_html(),
        }
    }
}

impl Table {
    /// A table with these column heads.
    #[must_use]
    pub fn new<'a>(head: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            sentences: false,
            head: head.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    /// Lets all columns be sentences, which are broken into lines.
    #[must_use]
    pub const fn of_sentences(mut self) -> Self {
        self.sentences = true;
        self
    }

    /// Adds a row.
    #[must_use]
    pub fn with_row(mut self, cells: impl IntoIterator<Item = String>) -> Self {
        self.rows.push((false, cells.into_iter().collect()));
        self
    }

    /// Adds a row that stands out.
    #[must_use]
    pub fn with_strong_row(mut self, cells: impl IntoIterator<Item = String>) -> Self {
        self.rows.push((true, cells.into_iter().collect()));
        self
    }

    fn to_html(&self) -> String {
        let cells = |tag: &str, cells: &[String]| -> String {
            let cell = |text: &String| format!("<{tag}>{}</{tag}>", escape(text));
            cells.iter().map(cell).collect()
        };
        let row = |(strong, texts): &(bool, Vec<String>)| {
            let class = if *strong { " class=\"strong\"" } else { "" };
            format!("<tr{class}>{}</tr>\n", cells("td", texts))
        };
        let (head, rows) = (cells("th", &self.head), self.rows.iter().map(row));
        let class = if self.sentences {
            " class=\"sentences\""
        } else {
            ""
        };
        format!(
            "<div class=\"wide\"><table{class}>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{}</tbody>\n</table></div>\n",
            rows.collect::<String>()
        )
    }
}

const STYLE: &str = "\
:root{--ground:#fcfcfa;--card:#fff;--ink:#1c2024;--faint:#5f6b76;--line:#d9dee3;--mark:#b3261e;\
--c0:#0b6bcb;--c1:#c2410c;--c2:#2e7d32;--c3:#7b3fb5;--c4:#a16207;--c5:#be185d;--c6:#0e7490;--c7:#57534e}
@media (prefers-color-scheme:dark){:root{--ground:#14171a;--card:#1c2126;--ink:#e7eaed;--faint:#a3adb7;--line:#3a434c;--mark:#ff8a80;\
--c0:#6cb2ff;--c1:#ff9e66;--c2:#7ddb84;--c3:#c9a0ff;--c4:#f2c94c;--c5:#ff8fbf;--c6:#5fd4e6;--c7:#bdb6ad}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}
main{max-width:60rem;margin:0 auto;padding:2rem 1rem 4rem}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 .5rem}
h2{font-size:1.2rem;margin:2.5rem 0 .5rem}
p{max-width:48rem;margin:.4rem 0 .8rem}
.summary{font-size:1.05rem;color:var(--faint)}
figure{margin:1rem 0 1.5rem;padding:1rem;background:var(--card);border:1px solid var(--line);border-radius:6px}
figure.compact{display:inline-block;width:calc(50% - .8rem);margin:.4rem .2rem;padding:.7rem}
@media (max-width:44rem){figure.compact{width:100%;margin:.4rem 0}}
figcaption{font-weight:600;margin:0 0 .4rem}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;margin:.2rem 0 .4rem;padding:0;list-style:none;font-size:.9rem}
.legend svg{width:1.6rem;height:.8rem;vertical-align:-.05rem;margin-right:.35rem}
svg.plot{width:100%;height:auto;display:block}
svg text{fill:var(--faint);font:12px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}
svg .axis{stroke:var(--faint);stroke-width:1}
svg .grid{stroke:var(--line);stroke-width:1}
svg .level{stroke:var(--mark);stroke-width:1.5;stroke-dasharray:5 4}
svg text.level{stroke:none;fill:var(--mark)}
svg .line{fill:none;stroke-width:2;stroke-linejoin:round}
svg text.value{fill:var(--ink)}
.wide{overflow-x:auto}
table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums;font-size:.95rem}
th,td{padding:.35rem .6rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th{color:var(--faint);font-weight:600}
th:first-child,td:first-child{text-align:left}
table.sentences th,table.sentences td{text-align:left;white-space:normal;vertical-align:top}
tr.strong td{font-weight:700}
";
