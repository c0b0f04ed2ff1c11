//! How much a comment looks like spam (CMT-7). Nothing is asked of anybody else.

/// From here on a comment waits for a moderator.
pub(crate) const SUSPICIOUS: i64 = 50;
/// From here on a comment is spam.
pub(crate) const CERTAIN: i64 = 80;

/// What is known about a comment and the way it came.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts {
    /// How many links it has.
    pub(crate) links: usize,
    /// Whether the field that people do not see was filled in.
    pub(crate) is_trap_filled: bool,
    /// How long writing it took, if the page tells.
    pub(crate) seconds: Option<i64>,
    /// How often the same text came lately.
    pub(crate) repeats: usize,
    /// How many comments came from the same address lately.
    pub(crate) burst: usize,
    /// Whether a blocked word or host is in it.
    pub(crate) is_blocked: bool,
}

/// 0 to 100: the sum of what speaks against it.
pub(crate) fn score(facts: &Facts) -> i64 {
    let links = match facts.links {
        0 | 1 => 0,
        2 => 15,
        3..=5 => 35,
        _ => 60,
    };
    let haste = match facts.seconds {
        Some(seconds) if seconds < 2 => 40,
        Some(seconds) if seconds < 5 => 15,
        _ => 0,
    };
    let repeats = match facts.repeats {
        0 => 0,
        1 => 40,
        _ => 80,
    };
    let burst = if facts.burst > 5 { 30 } else { 0 };
    let trap = if facts.is_trap_filled { 100 } else { 0 };
    let blocked = if facts.is_blocked { 80 } else { 0 };
    (links + haste + repeats + burst + trap + blocked).min(100)
}

/// Whether a blocked word stands in a text; both in lower case.
pub(crate) fn has_blocked(text: &str, blocked: &[String]) -> bool {
    let text = text.to_lowercase();
    blocked.iter().map(|word| word.trim().to_lowercase()).any(|word| !word.is_empty() && text.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cmt7_a_plain_comment_is_fine_and_a_trapped_one_is_spam() {
        assert_eq!(score(&Facts::default()), 0);
        assert!(score(&Facts { links: 1, seconds: Some(30), ..Facts::default() }) < SUSPICIOUS);
        assert!(score(&Facts { links: 6, ..Facts::default() }) >= SUSPICIOUS);
        assert!(score(&Facts { is_trap_filled: true, ..Facts::default() }) >= CERTAIN);
        assert!(score(&Facts { repeats: 2, ..Facts::default() }) >= CERTAIN);
        assert!(score(&Facts { is_blocked: true, ..Facts::default() }) >= CERTAIN);
    }

    #[test]
    fn cmt7_blocked_words_are_found_in_any_case() {
        assert!(has_blocked("Buy at CASINO.example now", &["casino.example".to_owned()]));
        assert!(!has_blocked("Hello", &["casino".to_owned(), "  ".to_owned()]));
    }
}
