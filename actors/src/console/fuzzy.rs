//! How well letters that are typed fit a text that has them in this order: at its beginning, at the beginnings of its words and
//! next to each other best. Pure; the filter of the full screen and completion ask it.

/// Letters of a text that are looked at: a line. The cost is their number times that of the letters typed.
const LOOKED_AT_CHARS: usize = 256;

/// For each letter that is there.
const LETTER: i32 = 16;
/// Where it is the first of the text.
const BEGINS: i32 = 12;
/// Where it is the first of a word.
const BEGINS_WORD: i32 = 8;
/// Where it stands behind the one before.
const NEXT: i32 = 10;
/// For each letter between it and the one before.
const BETWEEN: i32 = 1;
/// Lower than anything that is there.
const NOT_THERE: i32 = i32::MIN / 2;

/// How well it fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit {
    /// More is better.
    pub score: i32,
    /// Where in the text the letters stand, counted in letters.
    pub places: Vec<usize>,
}

/// How well `wanted` fits the text in the best way; `None` where its letters are not there in this order. Capitals are letters
/// as others.
#[must_use]
pub fn fit(text: &str, wanted: &str) -> Option<Fit> {
    let letters: Vec<char> = text.chars().take(LOOKED_AT_CHARS).map(small).collect();
    let wanted: Vec<char> = wanted.chars().map(small).collect();
    if !is_within(&letters, &wanted) {
        return None;
    }
    let mut rows: Vec<Vec<(i32, usize)>> = Vec::with_capacity(wanted.len());
    for letter in wanted {
        rows.push(row(&letters, letter, rows.last().map(Vec::as_slice)));
    }
    let Some(last) = rows.last() else { return Some(Fit { score: 0, places: Vec::new() }) };
    let ends = last.iter().enumerate().max_by_key(|(at, (score, _))| (*score, std::cmp::Reverse(*at)));
    let (mut at, score) = ends.map(|(at, (score, _))| (at, *score))?;
    let mut places = Vec::with_capacity(rows.len());
    for row in rows.iter().rev() {
        places.push(at);
        at = row[at].1;
    }
    places.reverse();
    Some(Fit { score, places })
}

/// For each place the score of what is wanted so far where its last letter stands there, and where the one before stands then.
fn row(letters: &[char], wanted: char, before: Option<&[(i32, usize)]>) -> Vec<(i32, usize)> {
    // The best place of the letter before, as it counts from here.
    let mut best = if before.is_some() { (NOT_THERE, 0) } else { (0, 0) };
    let mut row = Vec::with_capacity(letters.len());
    for (at, letter) in letters.iter().enumerate() {
        let next = at.checked_sub(1).and_then(|last| Some((before?[last].0, last)));
        if let Some(next) = next {
            best = if best.0 - BETWEEN > next.0 { (best.0 - BETWEEN, best.1) } else { next };
        }
        let from = match next {
            Some((score, last)) if score + NEXT > best.0 => (score + NEXT, last),
            _ => best,
        };
        let is_there = *letter == wanted && from.0 > NOT_THERE / 2;
        let score = from.0 + LETTER + begins(letters, at);
        row.push(if is_there { (score, from.1) } else { (NOT_THERE, 0) });
    }
    row
}

fn begins(letters: &[char], at: usize) -> i32 {
    match at.checked_sub(1).map(|before| (letters[before], letters[at])) {
        None => BEGINS,
        Some((before, letter)) if letter.is_alphanumeric() && !before.is_alphanumeric() => BEGINS_WORD,
        Some((before, letter)) if before.is_alphabetic() && letter.is_numeric() => BEGINS_WORD,
        Some(_) => 0,
    }
}

fn is_within(letters: &[char], wanted: &[char]) -> bool {
    let mut rest = letters.iter();
    wanted.iter().all(|wanted| rest.any(|letter| letter == wanted))
}

/// One for each, so that places stay places.
fn small(letter: char) -> char {
    letter.to_lowercase().next().unwrap_or(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best<'t>(wanted: &str, texts: &[&'t str]) -> Vec<&'t str> {
        let fits = texts.iter().filter_map(|text| Some((fit(text, wanted)?.score, *text)));
        let mut fits: Vec<_> = fits.collect();
        fits.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        fits.into_iter().map(|(_, text)| text).collect()
    }

    fn places(text: &str, wanted: &str) -> Vec<usize> {
        fit(text, wanted).expect("it fits").places
    }

    #[test]
    fn beginnings_words_and_neighbours_come_first() {
        assert_eq!(
            best("st", &["plastic", "silent", "status", "lost"]),
            ["status", "plastic", "lost", "silent"]
        );
        assert_eq!(best("wm", &["swim", "worker/mac-1"]), ["worker/mac-1", "swim"]);
        assert_eq!(best("t1", &["t21", "t2", "t12"]), ["t12", "t21"]);
    }

    #[test]
    fn letters_are_found_in_their_order_where_they_fit_best() {
        assert_eq!(places("worker/mac-1@mac-1", "wmac"), [0, 7, 8, 9]);
        assert_eq!(places("xa-bab", "ab"), [4, 5], "next to each other");
        assert_eq!(places("Größe", "ÖE"), [2, 4]);
        assert_eq!(fit("abc", "cb"), None);
        assert_eq!(fit("", "x"), None);
        assert!(places("abc", "").is_empty());
    }

    proptest::proptest! {
        #[test]
        fn what_fits_has_the_letters_at_these_places(text in "[a-d/-]{0,12}", wanted in "[a-d]{0,4}") {
            let letters: Vec<char> = text.chars().collect();
            let typed: Vec<char> = wanted.chars().collect();
            match fit(&text, &wanted) {
                None => proptest::prop_assert!(!is_within(&letters, &typed)),
                Some(fit) => {
                    proptest::prop_assert!(fit.places.is_sorted_by(|one, other| one < other));
                    let at: Vec<char> = fit.places.iter().map(|at| letters[*at]).collect();
                    proptest::prop_assert_eq!(at, typed);
                }
            }
        }
    }
}
