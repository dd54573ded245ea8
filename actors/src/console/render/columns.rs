//! Which columns of a table are shown, and how wide: names whole, words cut short, and where that is not
//! enough the least important columns left out, and said so.

use unicode_width::UnicodeWidthStr;

use crate::console::reply::{Kind, Reply, Shape};

/// Columns of words are not cut below this before another is left out: a name and a half.
const WORDS: usize = 14;
/// From this rank on a column of nothing but zeros is left out.
const DETAIL: u8 = 4;
/// From this rank on a column is for programs, and for who selects it.
const HIDDEN: u8 = 8;
/// What stands between two columns.
const GAP: usize = 2;

/// How a table is laid out.
#[derive(Debug)]
pub(super) struct Layout {
    /// Every cell as text, row by row.
    pub(super) texts: Vec<Vec<String>>,
    /// The columns that are shown, by place in the reply.
    pub(super) shown: Vec<usize>,
    /// Their widths.
    pub(super) widths: Vec<usize>,
    /// Whether they stand to the right.
    pub(super) right: Vec<bool>,
    /// The names of those that are not shown.
    pub(super) hidden: Vec<String>,
}

impl Layout {
    pub(super) fn of(reply: &Reply, prefixes: &[String], width: usize) -> Self {
        let text = |(row, prefix): (&Vec<_>, &String)| -> Vec<String> {
            let texts = reply.columns.iter().zip(row).enumerate();
            let prefix = |place: usize| if place == 0 { prefix.as_str() } else { "" };
            texts.map(|(place, (column, cell))| format!("{}{}", prefix(place), column.text(cell))).collect()
        };
        let texts: Vec<Vec<String>> = reply.rows.iter().zip(prefixes).map(text).collect();
        let is_level = |at: &usize| reply.shape == Shape::Tree && reply.columns[*at].name == "level";
        let is_filled = |at: &usize| {
            let says = |row: &Vec<String>| {
                !row[*at].is_empty() && (row[*at] != "0" || reply.columns[*at].rank < DETAIL)
            };
            texts.iter().any(says)
        };
        let mut shown: Vec<usize> = (0..reply.columns.len()).filter(|at| !is_level(at)).collect();
        // A column in which nothing stands is not worth its room, unless it was asked for.
        shown.retain(|at| reply.columns[*at].rank < HIDDEN);
        shown.retain(|at| reply.columns[*at].rank == 0 || is_filled(at));
        let natural = |at: usize| {
            let cells = texts.iter().map(|row| row[at].width()).max().unwrap_or(0);
            cells.max(reply.columns[at].name.width())
        };
        let naturals: Vec<usize> = (0..reply.columns.len()).map(natural).collect();
        let mut hidden = Vec::new();
        while least(reply, &shown, &naturals) > width {
            let leaves = shown.iter().enumerate().filter(|(_, at)| reply.columns[**at].rank > 0);
            let Some((place, _)) = leaves.max_by_key(|(place, at)| (reply.columns[**at].rank, *place)) else {
                break;
            };
            hidden.push(reply.columns[shown.remove(place)].name.clone());
        }
        hidden.reverse();
        let widths = fitted(reply, &shown, &naturals, width);
        let right = shown.iter().map(|at| reply.columns[*at].is_amount()).collect();
        Self { texts, shown, widths, right, hidden }
    }
}

fn is_elastic(reply: &Reply, at: usize) -> bool {
    reply.columns[at].kind == Kind::Text
}

/// The narrowest that these columns can be.
fn least(reply: &Reply, shown: &[usize], naturals: &[usize]) -> usize {
    let narrow = |at: &usize| if is_elastic(reply, *at) { naturals[*at].min(WORDS) } else { naturals[*at] };
    shown.iter().map(narrow).sum::<usize>() + GAP * shown.len().saturating_sub(1)
}

/// Their widths: the widest words give way first.
fn fitted(reply: &Reply, shown: &[usize], naturals: &[usize], width: usize) -> Vec<usize> {
    let mut widths: Vec<usize> = shown.iter().map(|at| naturals[*at]).collect();
    let room = width.saturating_sub(GAP * shown.len().saturating_sub(1));
    while widths.iter().sum::<usize>() > room {
        let elastic = shown.iter().enumerate().filter(|(_, at)| is_elastic(reply, **at));
        let widest = elastic.map(|(place, _)| place).max_by_key(|place| widths[*place]);
        match widest.filter(|place| widths[*place] > 4) {
            Some(place) => widths[place] -= 1,
            None => break,
        }
    }
    widths
}
