//! Amounts as people write them: `1h30m`, `4 GiB`, `0.5`. Exact integer arithmetic, with limits.

use std::time::Duration;

use policy::bounds::Deadline;
use policy::time::Timestamp;

/// The longest time anything takes: longer ones are mistakes.
pub const DURATION_LIMIT: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// The largest amount of memory, 1 PiB: larger ones are mistakes.
pub const SIZE_LIMIT_BYTES: u64 = 1 << 50;
/// The most cores, in thousandths: more are mistakes.
pub const CPU_LIMIT_MILLIS: u64 = 1_000_000_000;

/// A text that is not the amount it should be; shown as what it must be instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a length of time.
    #[error("must be a length of time such as \"90s\", \"5m\" or \"1h30m\" (units: ms, s, m, h, d)")]
    Duration,
    /// Longer than [`DURATION_LIMIT`].
    #[error("must not be longer than 366 days")]
    DurationTooLong,
    /// Not a point in time.
    #[error(
        "must be a length of time from the submission on, such as \"2h\", or a point in time such as \"2026-12-24T18:00:00Z\""
    )]
    Deadline,
    /// Not a size.
    #[error("must be a size such as \"512 MB\" or \"4 GiB\", or a number of bytes")]
    Size,
    /// Larger than [`SIZE_LIMIT_BYTES`].
    #[error("must not be larger than 1 PiB")]
    SizeTooLarge,
    /// Not a number of cores.
    #[error("must be between 0.001 and 1,000,000 in steps of 0.001")]
    Cpus,
}

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// Reads `90s`, `1h30m`, `1.5h`, `250ms`; a bare number is seconds.
///
/// # Errors
/// What it must be instead.
pub fn duration(text: &str) -> Result<Duration, QuantityError> {
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let mut rest = compact.as_str();
    if rest.is_empty() {
        return Err(QuantityError::Duration);
    }
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let (number, unit, after) = leading_amount(rest);
        let scale = duration_unit(unit).ok_or(QuantityError::Duration)?;
        let amount = scaled(number, scale).ok_or(QuantityError::Duration)?;
        nanos = nanos.saturating_add(amount);
        rest = after;
    }
    if nanos > DURATION_LIMIT.as_nanos() {
        return Err(QuantityError::DurationTooLong);
    }
    u64::try_from(nanos).map(Duration::from_nanos).map_err(|_| QuantityError::DurationTooLong)
}

/// Reads `2h`, which counts from the submission, or `2026-12-24T18:00:00Z`.
///
/// # Errors
/// What it must be instead.
pub fn deadline(text: &str) -> Result<Deadline, QuantityError> {
    match duration(text) {
        Ok(length) => Ok(Deadline::After(length)),
        Err(QuantityError::DurationTooLong) => Err(QuantityError::DurationTooLong),
        Err(_) => {
            let at = text.trim().parse::<jiff::Timestamp>().map_err(|_| QuantityError::Deadline)?;
            let micros = u64::try_from(at.as_microsecond()).map_err(|_| QuantityError::Deadline)?;
            Ok(Deadline::At(Timestamp(micros)))
        }
    }
}

/// Reads `4 GiB`, `512MB`, `2G` (binary, like most tools), `1048576`.
///
/// # Errors
/// What it must be instead.
pub fn size(text: &str) -> Result<u64, QuantityError> {
    let (number, unit, after) = leading_amount(text.trim());
    let scale = size_unit(unit.trim()).filter(|_| after.is_empty()).ok_or(QuantityError::Size)?;
    let bytes = scaled(number.trim(), scale).ok_or(QuantityError::Size)?;
    u64::try_from(bytes).ok().filter(|&bytes| bytes <= SIZE_LIMIT_BYTES).ok_or(QuantityError::SizeTooLarge)
}

/// Reads a number of cores, `2` or `0.5`, as thousandths.
///
/// # Errors
/// What it must be instead.
pub fn cpus(text: &str) -> Result<u64, QuantityError> {
    let text = text.trim();
    let exact = text.split_once('.').is_none_or(|(_, digits)| digits.trim_end_matches('0').len() <= 3);
    scaled(text, 1000)
        .filter(|_| exact)
        .and_then(|millis| u64::try_from(millis).ok())
        .filter(|millis| (1..=CPU_LIMIT_MILLIS).contains(millis))
        .ok_or(QuantityError::Cpus)
}

/// Splits `12ab34cd` into `12`, `ab`, `34cd`.
fn leading_amount(text: &str) -> (&str, &str, &str) {
    let number_end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, rest) = text.split_at(number_end);
    let unit_end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
    let (unit, after) = rest.split_at(unit_end);
    (number, unit, after)
}

fn duration_unit(unit: &str) -> Option<u128> {
    Some(match unit {
        "ms" => NANOS_PER_SECOND / 1000,
        "" | "s" | "sec" => NANOS_PER_SECOND,
        "m" | "min" => 60 * NANOS_PER_SECOND,
        "h" => 3600 * NANOS_PER_SECOND,
        "d" => 86_400 * NANOS_PER_SECOND,
        _ => return None,
    })
}

fn size_unit(unit: &str) -> Option<u128> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        _ => return None,
    })
}

/// A plain decimal number times `scale`, digits beyond the scale cut off; `None` for anything else.
fn scaled(number: &str, scale: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || number.ends_with('.') {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let one = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let part = digits(fraction)?.checked_mul(scale)? / one;
    digits(whole)?.checked_mul(scale)?.checked_add(part)
}

fn digits(text: &str) -> Option<u128> {
    match text {
        "" => Some(0),
        _ if text.chars().all(|c| c.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_as_written() {
        let seconds = |text| duration(text).map(|length| length.as_secs_f64());
        assert_eq!(seconds("90s"), Ok(90.0));
        assert_eq!(seconds("1h30m"), Ok(5400.0));
        assert_eq!(seconds("1h 30m"), Ok(5400.0));
        assert_eq!(seconds("1.5h"), Ok(5400.0));
        assert_eq!(seconds("250ms"), Ok(0.25));
        assert_eq!(seconds("5"), Ok(5.0));
        assert_eq!(seconds("0"), Ok(0.0));
        for wrong in ["", "m", "5x", "-5s", "1..5s", "5.s", "s5", "ten"] {
            assert_eq!(duration(wrong), Err(QuantityError::Duration), "{wrong}");
        }
        assert_eq!(duration("400d"), Err(QuantityError::DurationTooLong));
        assert_eq!(duration(&"9".repeat(40)), Err(QuantityError::Duration));
    }

    #[test]
    fn sizes_are_read_as_written() {
        assert_eq!(size("4 GiB"), Ok(4 << 30));
        assert_eq!(size("512MB"), Ok(512_000_000));
        assert_eq!(size("1.5g"), Ok(3 << 29));
        assert_eq!(size("123"), Ok(123));
        for wrong in ["", "GB", "4 GiB 2", "-1", "4 XB", "1.2.3"] {
            assert_eq!(size(wrong), Err(QuantityError::Size), "{wrong}");
        }
        assert_eq!(size("2000 TiB"), Err(QuantityError::SizeTooLarge));
    }

    #[test]
    fn cores_are_exact_to_the_thousandth() {
        assert_eq!(cpus("0.5"), Ok(500));
        assert_eq!(cpus("2"), Ok(2000));
        assert_eq!(cpus("2.50000"), Ok(2500));
        for wrong in ["", "0", "0.0001", "1.2345", "-1", "NaN", "inf", "1000001", "1e3"] {
            assert_eq!(cpus(wrong), Err(QuantityError::Cpus), "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,20}") {
            let _ = (duration(&text), size(&text), cpus(&text));
        }
    }
}
