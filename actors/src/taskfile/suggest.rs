//! Finds the name that was probably meant.

/// Names longer than this are not compared: the cost grows with the square.
const COMPARED_CHARS: usize = 64;

/// The name that is closest to `wanted`, if one is close.
pub(crate) fn closest<'n>(wanted: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let length = wanted.chars().count();
    let tolerated = match length {
        0..=2 => 1,
        3..=7 => 2,
        _ => 3,
    };
    names
        .map(|name| (distance(wanted, name), name))
        .filter(|&(distance, _)| distance <= tolerated && distance < length)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, name)| name)
}

/// Letters to insert, remove or replace to make one name from the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(COMPARED_CHARS).flat_map(char::to_lowercase).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().take(COMPARED_CHARS).flat_map(char::to_lowercase).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_name_is_found_and_a_far_one_is_not() {
        let names = ["build", "test", "timeout"];
        assert_eq!(closest("biuld", names.into_iter()), Some("build"));
        assert_eq!(closest("Timeut", names.into_iter()), Some("timeout"));
        assert_eq!(closest("deploy", names.into_iter()), None);
        assert_eq!(closest("x", names.into_iter()), None);
    }
}
