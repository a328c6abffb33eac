//! Figures as people read them.

/// The width of a bar. A count that is there is seen.
pub(super) fn percent(count: u64, most: u64) -> f64 {
    match count {
        0 => 0.0,
        count => (count as f64 * 100.0 / most.max(1) as f64).max(0.5),
    }
}

/// Bytes in a unit that fits.
pub(super) fn bytes(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} bytes"),
        10_240..10_485_760 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// A time in a unit that fits.
pub(super) fn time(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} µs", ns as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", ns as f64 / 1e6),
        _ => format!("{:.1} s", ns as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_told_in_units_that_fit() {
        let told = [bytes(10_239), bytes(10_240), bytes(10 << 20)];
        assert_eq!(told, ["10239 bytes", "10.0 KiB", "10.0 MiB"]);
        let told = [
            time(999),
            time(1_500),
            time(12_000_000),
            time(1_200_000_000),
        ];
        assert_eq!(told, ["999 ns", "1.5 µs", "12.0 ms", "1.2 s"]);
    }
}
