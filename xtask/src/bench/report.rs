//! The figures: a median of rounds, a table with ratios.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::host::Host;
use super::wrk::Answers;

/// What one measurement gave.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Figures {
    /// Of the server, for each request. Not known when something else kept it busy too.
    cpu_us: Option<f64>,
    requests_per_sec: f64,
    p50_ms: f64,
    p99_ms: f64,
    memory_mib: f64,
    peak_memory_mib: f64,
    start_ms: f64,
}

impl Figures {
    pub(crate) fn new(answers: &Answers, cpu: Option<Duration>, host: &Host) -> Result<Figures> {
        let requests = answers.requests as f64;
        Ok(Figures {
            cpu_us: cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / requests),
            requests_per_sec: requests / (answers.duration_us as f64 / 1e6),
            p50_ms: answers.p50_us as f64 / 1e3,
            p99_ms: answers.p99_us as f64 / 1e3,
            memory_mib: host.memory("VmRSS")? / 1024.0,
            peak_memory_mib: host.memory("VmHWM")? / 1024.0,
            start_ms: host.start.as_secs_f64() * 1e3,
        })
    }

    /// In the table's order.
    fn columns(&self) -> [Option<f64>; 7] {
        let Figures { cpu_us, requests_per_sec, p50_ms, p99_ms, memory_mib, peak_memory_mib, start_ms } = *self;
        [cpu_us, Some(requests_per_sec), Some(p50_ms), Some(p99_ms), Some(memory_mib), Some(peak_memory_mib), Some(start_ms)]
    }
}

const TITLES: [&str; 7] = ["CPU µs", "req/s", "p50 ms", "p99 ms", "MiB", "peak", "start ms"];
const DECIMALS: [usize; 7] = [1, 0, 2, 2, 1, 1, 1];

/// One server in one scenario.
#[derive(Serialize)]
pub(crate) struct Line {
    scenario: &'static str,
    server: &'static str,
    median: Figures,
    rounds: Vec<Figures>,
}

impl Line {
    /// `rounds` is not empty.
    pub(crate) fn new(scenario: &'static str, server: &'static str, rounds: &[Figures]) -> Line {
        let of = |figure: fn(&Figures) -> f64| median(rounds.iter().map(figure).collect());
        let median = Figures {
            cpu_us: rounds[0].cpu_us.map(|_| of(|figures| figures.cpu_us.unwrap_or_default())),
            requests_per_sec: of(|figures| figures.requests_per_sec),
            p50_ms: of(|figures| figures.p50_ms),
            p99_ms: of(|figures| figures.p99_ms),
            memory_mib: of(|figures| figures.memory_mib),
            peak_memory_mib: of(|figures| figures.peak_memory_mib),
            start_ms: of(|figures| figures.start_ms),
        };
        Line { scenario, server, median, rounds: rounds.to_vec() }
    }
}

/// Every line, and below each scenario the ratio of its first server to its last.
pub(crate) fn table(lines: &[Line]) -> String {
    let mut text = row("", "", TITLES.map(str::to_owned));
    for scenario in lines.chunk_by(|a, b| a.scenario == b.scenario) {
        for (number, line) in scenario.iter().enumerate() {
            let name = if number == 0 { line.scenario } else { "" };
            let columns = line.median.columns();
            text += &row(name, line.server, std::array::from_fn(|at| shown(columns[at], DECIMALS[at])));
        }
        if let [first, .., last] = scenario {
            let (ours, base) = (first.median.columns(), last.median.columns());
            text += &row("", "ratio", std::array::from_fn(|at| ratio(ours[at], base[at])));
        }
    }
    text
}

fn row(scenario: &str, server: &str, columns: [String; 7]) -> String {
    let columns: String = columns.iter().map(|column| format!("{column:>10}")).collect();
    format!("{scenario:<25} {server:<6}{columns}\n")
}

fn shown(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.decimals$}"))
}

fn ratio(ours: Option<f64>, base: Option<f64>) -> String {
    match (ours, base) {
        (Some(ours), Some(base)) if base > 0.0 => format!("{:.2} ×", ours / base),
        _ => "–".to_owned(),
    }
}

/// The middle one; of two middle ones the lower.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(server: &'static str, cpu_us: Option<f64>) -> Line {
        let figures =
            Figures { cpu_us, requests_per_sec: 1000.0, p50_ms: 1.0, p99_ms: 2.0, memory_mib: 3.0, peak_memory_mib: 4.0, start_ms: 5.0 };
        Line::new("read", server, &[figures])
    }

    #[test]
    fn the_median_is_the_middle_round() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![2.0, 1.0]), 1.0);
    }

    #[test]
    fn two_servers_have_a_ratio() {
        let text = table(&[line("ours", Some(15.0)), line("limit", Some(10.0))]);
        assert!(text.contains("1.50 ×"), "{text}");
        assert_eq!(text.lines().count(), 4);
    }

    #[test]
    fn one_server_has_none_and_unknown_is_a_dash() {
        let text = table(&[line("ours", None)]);
        assert!(text.contains('–') && !text.contains("ratio"), "{text}");
    }
}
