//! The trust matrix for people: a table, and below it the reason for every cell.

use comfy_table::{ContentArrangement, Table, presets};

use super::text::wrap;
use crate::checks::trust::{Cell, Matrix, Row};

/// The matrix on a page of so many columns.
pub fn matrix_text(matrix: &Matrix, width: usize) -> String {
    if matrix.rows.is_empty() {
        return "no endpoint is configured here; name one: gldoctor trust HOST[:PORT]\n".to_owned();
    }
    let mut lines: Vec<String> = table(matrix, width).lines().map(str::to_owned).collect();
    for row in &matrix.rows {
        lines.push(String::new());
        let seen = row.seen.as_ref().or(row.obstacle.as_ref());
        let heading = format!("{} ({})", row.endpoint, seen.map_or("", String::as_str));
        hang(&mut lines, "", "  ", &heading, width);
        for cell in &row.clients {
            hang(&mut lines, "  ", "    ", &format!("{}: {}", cell.client, words(cell)), width);
        }
    }
    lines.join("\n") + "\n"
}

fn table(matrix: &Matrix, width: usize) -> String {
    let widest = matrix.rows.iter().map(|row| &row.clients).max_by_key(|clients| clients.len());
    let clients: Vec<_> = widest.into_iter().flatten().map(|cell| cell.client).collect();
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(width).unwrap_or(u16::MAX))
        .set_header([""].into_iter().chain(clients.iter().copied()));
    for row in &matrix.rows {
        let signs = (0..clients.len()).map(|column| sign(row, column));
        table.add_row([row.endpoint.as_str()].into_iter().chain(signs));
    }
    table.trim_fmt()
}

fn sign(row: &Row, column: usize) -> &'static str {
    match row.clients.get(column).map(|cell| cell.accepted) {
        Some(Some(true)) => "yes",
        Some(Some(false)) => "NO",
        Some(None) => "?",
        None => "-",
    }
}

fn words(cell: &Cell) -> String {
    match (cell.accepted, &cell.error) {
        (Some(true), _) => format!("accepts: {}", cell.why),
        (Some(false), Some(error)) => format!("refuses: {} ({error})", cell.why),
        (Some(false), None) => format!("refuses: {}", cell.why),
        (None, _) => cell.why.clone(),
    }
}

/// Wraps a text; its first line begins with one indent and the others with another.
fn hang(lines: &mut Vec<String>, first: &str, rest: &str, text: &str, width: usize) {
    let wrapped = wrap(text, width.saturating_sub(rest.len()));
    lines.extend(wrapped.into_iter().enumerate().map(|(number, line)| {
        let indent = if number == 0 { first } else { rest };
        format!("{indent}{line}")
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::Endpoint;

    fn cell(client: &'static str, accepted: Option<bool>) -> Cell {
        let error = (accepted == Some(false)).then(|| "x509: no".to_owned());
        let why = "the rule".to_owned();
        Cell { client, accepted, through: None, error, why, verifies: true, connects: true }
    }

    #[test]
    fn every_cell_has_its_sign_and_its_reason() {
        let row = |endpoint: &str, clients| Row {
            endpoint: endpoint.to_owned(),
            seen: Some("served at 10.0.0.1:443".to_owned()),
            obstacle: None,
            clients,
            leaf: None,
            server: Endpoint::parse(endpoint).unwrap(),
        };
        let clients =
            vec![cell("Docker", Some(true)), cell("runner", Some(false)), cell("git/curl", None)];
        let rows = vec![row("https://git.example.test", clients), row("https://b", Vec::new())];
        let matrix = Matrix { version: 1, at: jiff::Timestamp::UNIX_EPOCH, rows };
        let text = matrix_text(&matrix, 60);
        let first: Vec<_> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(first, ["https://git.example.test", "yes", "NO", "?"]);
        assert!(text.contains("  Docker: accepts: the rule\n"), "{text}");
        assert!(text.contains("  runner: refuses: the rule (x509: no)\n"), "{text}");
        assert!(text.lines().all(|line| line.len() <= 60), "{text}");
    }
}
