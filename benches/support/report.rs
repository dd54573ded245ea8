//! What is printed, and how much is asked.

use std::time::Duration;

/// Whether to be done in seconds.
pub(crate) fn is_quick() -> bool {
    std::env::var_os("CRAB_BENCH_QUICK").is_some_and(|value| value != "0")
}

/// The full size, or the one for a quick run.
pub(crate) fn size<T>(full: T, quick: T) -> T {
    if is_quick() { quick } else { full }
}

/// Begins a table.
pub(crate) fn title(question: &str, goal: &str) {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?").to_owned();
    println!("\n## {question}\n   goal: {goal}; load before: {load}");
}

/// A line of it.
pub(crate) fn row(what: &str, figure: &str, beside: &str) {
    println!("   {what:<44} {figure:>24}   {beside}");
}

/// Milliseconds.
pub(crate) fn ms(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1e3)
}

/// So many in that time.
pub(crate) fn per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

/// The one in the middle.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The one that so many are below.
pub(crate) fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * part).round() as usize]
}
