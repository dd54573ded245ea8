//! Versions as labels write them, `16`, `16.2`, `v1.80.0-nightly`: numbers between dots, compared one by one.

use std::cmp::Ordering;

/// How two versions stand to each other: what one does not say is 0, and what follows the digits of a part counts for
/// nothing. `None` where one of them does not begin with a number.
pub(super) fn compare(one: &str, other: &str) -> Option<Ordering> {
    let (mut one, mut other) = (numbers(one)?, numbers(other)?);
    let length = one.len().max(other.len());
    one.resize(length, 0);
    other.resize(length, 0);
    Some(one.cmp(&other))
}

/// The numbers of a version, up to the first part that does not begin with one.
fn numbers(text: &str) -> Option<Vec<u64>> {
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let number = |part: &str| {
        let digits = part.find(|c: char| !c.is_ascii_digit()).map_or(part, |end| &part[..end]);
        if digits.is_empty() { None } else { Some(digits.parse().unwrap_or(u64::MAX)) }
    };
    let numbers: Vec<u64> = text.split('.').map_while(number).collect();
    (!numbers.is_empty()).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_number_by_number() {
        for (one, other, expected) in [
            ("16", "16.0", Some(Ordering::Equal)),
            ("16.2", "16", Some(Ordering::Greater)),
            ("9.9", "10", Some(Ordering::Less)),
            ("v1.80.0-nightly", "1.80", Some(Ordering::Equal)),
            ("14.0b3", "14.1", Some(Ordering::Less)),
            ("99999999999999999999999", "1", Some(Ordering::Greater)),
            ("Sonoma", "14", None),
            ("", "1", None),
        ] {
            assert_eq!(compare(one, other), expected, "{one} {other}");
        }
    }
}
