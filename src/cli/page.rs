//! A check's page, from its doc comment to the terminal.

/// The columns that a page fills.
const WIDTH: usize = 80;

/// The page as text: headings as they stand, paragraphs and list items filled to 80 columns.
pub(super) fn text(page: &str) -> String {
    let mut out = String::new();
    let mut paragraph = String::new();
    for line in page.lines().map(str::trim).chain([""]) {
        let starts = line.is_empty() || line.starts_with("## ") || line.starts_with("- ");
        if starts && !paragraph.is_empty() {
            fill(&mut out, &paragraph);
            paragraph.clear();
        }
        match line.strip_prefix("## ") {
            Some(heading) => {
                out.push_str(heading);
                out.push('\n');
            }
            None if line.is_empty() => out.push('\n'),
            None => {
                if !paragraph.is_empty() {
                    paragraph.push(' ');
                }
                paragraph.push_str(line);
            }
        }
    }
    out.trim_end().to_owned() + "\n"
}

fn fill(out: &mut String, paragraph: &str) {
    let indent = if paragraph.starts_with("- ") { "  " } else { "" };
    let mut column = 0;
    for (number, word) in paragraph.split_whitespace().enumerate() {
        let width = word.chars().count();
        if number > 0 && column + 1 + width > WIDTH {
            out.push('\n');
            out.push_str(indent);
            column = indent.len();
        } else if number > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += width;
    }
    out.push('\n');
}

#[test]
fn paragraphs_are_filled_and_headings_stand_alone() {
    let long = "word ".repeat(30);
    let page = format!(" First line.\n\n ## Why\n {long}\n - one\n two\n - three\n");
    let text = text(&page);
    assert!(text.lines().all(|line| line.len() <= WIDTH));
    assert!(text.starts_with("First line.\n\nWhy\nword word"));
    assert!(text.ends_with("- one two\n- three\n"));
}
