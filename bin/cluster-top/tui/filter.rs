//! Rows that have what is typed, the best first, and where in them it stands.

use std::cmp::Reverse;

use actors::console::fuzzy::fit;
use actors::console::render::{Strip, Tone};
use actors::console::reply::{Cell, Column, Reply};

/// Keeps the rows that fit, those that fit best first.
pub(super) fn keep(reply: &mut Reply, wanted: &str) {
    let columns = &reply.columns;
    let scored = std::mem::take(&mut reply.rows).into_iter();
    let mut kept: Vec<_> = scored.filter_map(|row| Some((score(columns, &row, wanted)?, row))).collect();
    kept.sort_by_key(|(score, _)| Reverse(*score));
    reply.rows = kept.into_iter().map(|(_, row)| row).collect();
}

/// How well a row fits: every word must fit in a column of it. Amounts are numbers, not letters: they contain it or do not.
fn score(columns: &[Column], row: &[Cell], wanted: &str) -> Option<i32> {
    wanted.split_whitespace().try_fold(0, |sum, word| {
        let of = |(column, cell): (&Column, &Cell)| match column.text(cell) {
            text if column.is_amount() => text.to_lowercase().contains(&word.to_lowercase()).then_some(0),
            text => fit(&text, word).map(|fit| fit.score),
        };
        columns.iter().zip(row).filter_map(of).max().map(|best| sum + best)
    })
}

/// The pieces of a row that is shown, cut where letters begin that were typed, and where they end; those are told.
pub(super) fn marked(strip: &Strip, wanted: &str) -> Vec<(String, Tone, bool)> {
    let mut marks = vec![Vec::new(); strip.len()];
    for word in wanted.split_whitespace() {
        let fits = strip.iter().enumerate().filter_map(|(at, (text, _))| Some((at, fit(text, word)?)));
        if let Some((at, fit)) = fits.max_by_key(|(at, fit)| (fit.score, Reverse(*at))) {
            marks[at].extend(fit.places);
        }
    }
    let mut pieces: Vec<(String, Tone, bool)> = Vec::new();
    for ((text, tone), marks) in strip.iter().zip(&marks) {
        pieces.push((String::new(), *tone, false));
        for (at, letter) in text.chars().enumerate() {
            let is_marked = marks.contains(&at);
            match pieces.last_mut().filter(|piece| piece.2 == is_marked) {
                Some(piece) => piece.0.push(letter),
                None => pieces.push((letter.to_string(), *tone, is_marked)),
            }
        }
    }
    pieces.retain(|(text, ..)| !text.is_empty());
    pieces
}
