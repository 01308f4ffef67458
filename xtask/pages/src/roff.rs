// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Markdown as man pages have it. A row of a table becomes a tagged paragraph, since tables with
//! sentences in them fit no terminal.

use std::fmt::Write as _;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// The macros of package `man` for a piece of a page, which has no headings above the third level.
pub(crate) fn of(markdown: &str) -> String {
    let mut translation = Translation::default();
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        translation.add(event);
    }
    translation.text
}

/// Text that no macro and no escape is seen in.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '\\' => escaped += "\\e",
            '-' => escaped += "\\-",
            // Typographic signs otherwise, in some devices.
            '\'' => escaped += "\\(aq",
            '"' => escaped += "\\(dq",
            '`' => escaped += "\\(ga",
            '^' => escaped += "\\(ha",
            '~' => escaped += "\\(ti",
            _ if character.is_ascii() => escaped.push(character),
            _ => {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "\\[u{:04X}]", u32::from(character));
            }
        }
    }
    escaped
}

#[derive(Debug, Default)]
struct Translation {
    text: String,
    /// The number of the next item of each list that is open, if its items are numbered.
    lists: Vec<Option<u64>>,
    /// What begins the text that comes, if it is the first of an item or a cell.
    beginning: Option<String>,
    /// What the columns of the table are called, and which one it is.
    columns: Vec<String>,
    column: usize,
    in_head: bool,
    code: bool,
    /// Where the link leads whose text comes.
    link: String,
}

impl Translation {
    fn add(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.in_head => self.columns[self.column] += &text,
            Event::Code(text) if self.in_head => self.columns[self.column] += &text,
            Event::Text(text) if self.code => self.literally(&text),
            Event::Text(text) => self.words(&text),
            Event::Code(text) => {
                self.begin_paragraph();
                self.text += &format!("\\fB{}\\fR", escaped(&text));
            }
            Event::SoftBreak => self.text.push('\n'),
            Event::HardBreak => self.line(".br"),
            Event::InlineHtml(html) if html.starts_with("<br") => self.line(".br"),
            _ => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Heading { .. } => self.line(".SS "),
            Tag::Paragraph => self.begin_paragraph_or(".PP"),
            Tag::CodeBlock(_) => {
                self.code = true;
                self.begin_paragraph_or(".PP");
                self.line(".RS 4\n.EX\n");
            }
            Tag::List(first) => {
                if !self.lists.is_empty() {
                    self.line(".RS 2\n");
                }
                self.lists.push(*first);
            }
            Tag::Item => self.start_item(),
            Tag::Table(columns) => {
                self.columns = vec![String::new(); columns.len()];
            }
            Tag::TableHead => {
                (self.in_head, self.column) = (true, 0);
            }
            Tag::TableRow => self.column = 0,
            Tag::TableCell if !self.in_head => self.start_cell(),
            Tag::Link { dest_url, .. } => self.link = dest_url.to_string(),
            Tag::Emphasis => self.text += "\\fI",
            Tag::Strong => self.text += "\\fB",
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_) | TagEnd::Paragraph | TagEnd::Item => self.line(""),
            TagEnd::CodeBlock => {
                self.code = false;
                self.line(".EE\n.RE\n");
            }
            TagEnd::List(_) => {
                self.lists.pop();
                if !self.lists.is_empty() {
                    self.line(".RE\n");
                }
            }
            TagEnd::TableHead => self.in_head = false,
            TagEnd::TableCell => {
                self.column += 1;
                self.beginning = None;
                if !self.in_head {
                    self.line("");
                }
            }
            // One within the page says nothing to who has it on paper.
            TagEnd::Link if !self.link.starts_with('#') => {
                self.text += &format!(" ({})", escaped(&self.link));
            }
            TagEnd::Emphasis | TagEnd::Strong => self.text += "\\fR",
            _ => {}
        }
    }

    fn start_item(&mut self) {
        let item = match self.lists.last_mut() {
            Some(Some(number)) => {
                *number += 1;
                format!(".IP {}. 4\n", *number - 1)
            }
            _ => ".IP \\(bu 2\n".to_owned(),
        };
        self.beginning = Some(item);
    }

    fn start_cell(&mut self) {
        match self.column {
            0 => self.line(".TP\n"),
            1 if self.columns.len() == 2 => {}
            // A cell that stays empty needs no name.
            at => {
                let name = escaped(&self.columns[at]);
                let above = if at == 1 { "" } else { ".br\n" };
                self.beginning = Some(format!("{above}\\fI{name}:\\fR "));
            }
        }
    }

    /// What an item or a cell begins with, if this is its first word.
    fn begin_paragraph(&mut self) {
        if let Some(beginning) = self.beginning.take() {
            self.line(&beginning);
        }
    }

    fn begin_paragraph_or(&mut self, paragraph: &str) {
        if self.beginning.is_some() {
            self.begin_paragraph();
        } else if self.lists.is_empty() {
            // Behind a title it begins by itself.
            if !self.is_below_a_title() {
                self.line(&format!("{paragraph}\n"));
            }
        } else {
            self.line(".IP \"\" 2\n");
        }
    }

    fn is_below_a_title(&self) -> bool {
        let last = self.text.lines().next_back();
        last.is_none_or(|line| line.starts_with(".SS "))
    }

    fn words(&mut self, text: &str) {
        self.begin_paragraph();
        self.guard(text);
        self.text += &escaped(text);
    }

    fn literally(&mut self, text: &str) {
        for line in text.lines() {
            self.guard(line);
            self.text += &escaped(line);
            self.text.push('\n');
        }
    }

    /// Keeps text at the beginning of a line from being taken for a macro.
    fn guard(&mut self, text: &str) {
        if self.text.ends_with('\n') && text.starts_with('.') {
            self.text += "\\&";
        }
    }

    /// Goes on in a new line with `text`.
    fn line(&mut self, text: &str) {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        self.text += text;
        if text == ".br" {
            self.text.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraph_with_fonts_and_signs_is_escaped() {
        let text = of("Say `--x` *now*, **or**\n'never' \\ é.\n");
        let expected =
            "Say \\fB\\-\\-x\\fR \\fInow\\fR, \\fBor\\fR\n\\(aqnever\\(aq \\e \\[u00E9].\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn line_that_begins_like_a_macro_is_none() {
        assert_eq!(of("a\n.b c\n"), "a\n\\&.b c\n");
        assert_eq!(of("```\n.x\n```\n"), ".RS 4\n.EX\n\\&.x\n.EE\n.RE\n");
    }

    #[test]
    fn links_are_what_they_are_called_and_where_they_lead_if_that_is_elsewhere() {
        assert_eq!(of("See [there](#there).\n"), "See there.\n");
        assert_eq!(of("See [it](it.md#x).\n"), "See it (it.md#x).\n");
    }

    #[test]
    fn lists_have_their_items_marked_and_go_on_below_them() {
        let expected = ".IP \\(bu 2\none\n.IP \"\" 2\nmore\n.IP \\(bu 2\n\\fBtwo\\fR\n";
        assert_eq!(of("- one\n\n  more\n- `two`\n"), expected);
        assert_eq!(of("3. one\n4. two\n"), ".IP 3. 4\none\n.IP 4. 4\ntwo\n");
    }

    #[test]
    fn rows_of_two_columns_are_tagged_paragraphs() {
        let text = of("| a | b |\n|---|---|\n| `c` | d<br>e |\n");
        assert_eq!(text, ".TP\n\\fBc\\fR\nd\n.br\ne\n");
    }

    #[test]
    fn rows_of_more_columns_name_them() {
        let text = of("| a | b | c |\n|---|---|---|\n| d | e | |\n");
        assert_eq!(text, ".TP\nd\n\\fIb:\\fR e\n");
        let text = of("| a | b | c |\n|---|---|---|\n| d | `e` | f |\n");
        assert_eq!(text, ".TP\nd\n\\fIb:\\fR \\fBe\\fR\n.br\n\\fIc:\\fR f\n");
    }

    #[test]
    fn paragraphs_are_told_apart_but_for_the_first() {
        assert_eq!(of("a\n\nb\n"), "a\n.PP\nb\n");
    }

    #[test]
    fn headings_are_those_of_subsections() {
        assert_eq!(of("### The `--x`\n\ny\n"), ".SS The \\fB\\-\\-x\\fR\ny\n");
    }
}
