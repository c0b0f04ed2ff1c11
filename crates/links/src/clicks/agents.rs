//! What a `User-Agent` says: person or program, device, browser, system. A committed table, read in order; the first line that fits wins.

use crate::clicks::Class;

/// What is told of a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Who visits.
    pub class: Class,
    /// `desktop`, `mobile`, `tablet` or `other`.
    pub device: &'static str,
    /// The browser's family.
    pub browser: &'static str,
    /// The system's family.
    pub os: &'static str,
}

/// Programs that show a preview to people, in lower case.
const PREVIEWS: &[&str] = &[
    "facebookexternalhit",
    "facebot",
    "facebookcatalog",
    "twitterbot",
    "linkedinbot",
    "slackbot",
    "slack-imgproxy",
    "discordbot",
    "telegrambot",
    "whatsapp",
    "skypeuripreview",
    "pinterestbot",
    "pinterest/0",
    "redditbot",
    "mastodon/",
    "pleroma",
    "misskey",
    "akkoma",
    "vkshare",
    "embedly",
    "iframely",
    "tumblr/",
    "flipboardproxy",
    "nuzzel",
    "bitlybot",
    "snapchat ads",
    "viber",
    "line-poker",
    "kakaotalk-scrap",
    "google-pagerenderer",
    "microsoftpreview",
    "bingpreview",
    "bluesky cardyb",
    "synapse",
    "signal-desktop link preview",
    "wechatbot",
];

/// Programs that check whether something works, in lower case.
const MONITORS: &[&str] = &[
    "uptimerobot",
    "pingdom",
    "statuscake",
    "site24x7",
    "better uptime",
    "betterstack",
    "uptime-kuma",
    "googlehc",
    "google-cloud-monitoring",
    "kube-probe",
    "elb-healthchecker",
    "amazon-route53-health-check",
    "blackbox exporter",
    "blackbox-exporter",
    "datadogsynthetics",
    "datadog/synthetics",
    "newrelicpinger",
    "newrelic synthetics",
    "checkly",
    "freshping",
    "hetrixtools",
    "nodeping",
    "monitis",
    "uptrends",
    "zabbix",
    "nagios",
    "check_http",
    "prometheus/",
    "cloudflare-healthchecks",
    "cloudflare-traffic-manager",
    "updown.io",
    "statuspage",
    "ohdear",
    "cronitor",
    "montastic",
    "siteuptime",
];

/// What programs call themselves, in lower case: kinds of program first, then names that say nothing of the kind.
const BOTS: &[&str] = &[
    "bot",
    "crawl",
    "spider",
    "slurp",
    "scrape",
    "fetch",
    "http-client",
    "httpclient",
    "http_client",
    "http client",
    "archiver",
    "ia_archiver",
    "curl/",
    "wget",
    "libwww",
    "lwp",
    "python",
    "aiohttp",
    "httpx",
    "urllib",
    "requests/",
    "scrapy",
    "go-http",
    "java/",
    "okhttp",
    "apache-",
    "axios",
    "node-fetch",
    "undici",
    "got (",
    "got/",
    "superagent",
    "guzzle",
    "php/",
    "ruby",
    "faraday",
    "perl",
    "mechanize",
    "reqwest",
    "hyper/",
    "ureq",
    "dart/",
    "cfnetwork",
    "powershell",
    "winhttp",
    "restsharp",
    "postman",
    "insomnia",
    "httpie",
    "k6/",
    "jmeter",
    "gatling",
    "wrk",
    "vegeta",
    "oha/",
    "locust",
    "headlesschrome",
    "headless",
    "phantomjs",
    "puppeteer",
    "playwright",
    "selenium",
    "webdriver",
    "cypress",
    "electron-fetch",
    "lighthouse",
    "pagespeed",
    "gtmetrix",
    "webpagetest",
    "validator",
    "w3c_",
    "linkcheck",
    "link checker",
    "link-check",
    "brokenlink",
    "xenu",
    "siteimprove",
    "sitebulb",
    "screaming frog",
    "semrush",
    "ahrefs",
    "moz.com",
    "rogerbot",
    "dotbot",
    "mj12",
    "majestic",
    "serpstat",
    "seokicks",
    "dataforseo",
    "netcraft",
    "censys",
    "shodan",
    "masscan",
    "zgrab",
    "nmap",
    "nikto",
    "nuclei",
    "sqlmap",
    "wpscan",
    "expanse",
    "internet-measurement",
    "gptbot",
    "chatgpt",
    "oai-search",
    "openai",
    "claude",
    "anthropic",
    "perplexity",
    "cohere",
    "ccbot",
    "bytespider",
    "petalbot",
    "yandex",
    "baidu",
    "sogou",
    "exabot",
    "duckduck",
    "qwant",
    "seznam",
    "mail.ru",
    "coccoc",
    "naver",
    "yeti",
    "daum",
    "applebot",
    "amazonbot",
    "meta-external",
    "mediapartners",
    "adsbot",
    "google-read-aloud",
    "google-inspection",
    "googleother",
    "google favicon",
    "feedly",
    "feedburner",
    "feedbin",
    "inoreader",
    "newsblur",
    "feed",
    "rss",
    "miniflux",
    "tiny tiny",
    "netvibes",
    "apple-pubsub",
    "podcast",
    "outlook-ios-android",
    "microsoft office",
    "ms-office",
    "office365",
    "barracuda",
    "proofpoint",
    "mimecast",
    "safelinks",
    "urlscan",
    "virustotal",
    "phish",
    "scanner",
    "security",
    "avast",
    "bitdefender",
    "kaspersky",
    "sophos",
    "trend micro",
    "zscaler",
    "forcepoint",
    "checkpoint",
    "paloalto",
    "wordpress/",
    "drupal",
    "jetpack",
    "bitrix",
    "shopify",
    "zapier",
    "ifttt",
    "make.com",
    "n8n",
    "pabbly",
    "integromat",
    "yourls",
    "shlink",
    "kutt",
    "dub.co",
    "unshorten",
    "expandurl",
    "longurl",
];

/// The browsers by what their `User-Agent` contains. Most claim to be others too, so the order matters.
const BROWSERS: &[(&str, &str)] = &[
    ("edg/", "Edge"),
    ("edga/", "Edge"),
    ("edgios/", "Edge"),
    ("edge/", "Edge"),
    ("opr/", "Opera"),
    ("opt/", "Opera"),
    ("opera", "Opera"),
    ("opios/", "Opera"),
    ("samsungbrowser/", "Samsung Internet"),
    ("ucbrowser/", "UC Browser"),
    ("yabrowser/", "Yandex Browser"),
    ("vivaldi/", "Vivaldi"),
    ("duckduckgo/", "DuckDuckGo"),
    ("ddg/", "DuckDuckGo"),
    ("miuibrowser/", "Miui Browser"),
    ("huaweibrowser/", "Huawei Browser"),
    ("instagram", "Instagram"),
    ("fban/", "Facebook"),
    ("fbav/", "Facebook"),
    ("micromessenger/", "WeChat"),
    ("line/", "Line"),
    ("musical_ly", "TikTok"),
    ("bytedance", "TikTok"),
    ("snapchat/", "Snapchat"),
    ("gsa/", "Google App"),
    ("fxios/", "Firefox"),
    ("focus/", "Firefox"),
    ("firefox/", "Firefox"),
    ("seamonkey/", "SeaMonkey"),
    ("crios/", "Chrome"),
    ("chromium/", "Chromium"),
    ("chrome/", "Chrome"),
    ("msie ", "Internet Explorer"),
    ("trident/", "Internet Explorer"),
    ("safari/", "Safari"),
    ("applewebkit/", "WebKit"),
];

/// The systems by what the `User-Agent` contains.
const SYSTEMS: &[(&str, &str)] = &[
    ("windows phone", "Windows Phone"),
    ("windows", "Windows"),
    ("iphone", "iOS"),
    ("ipad", "iOS"),
    ("ipod", "iOS"),
    ("android", "Android"),
    ("kaios", "KaiOS"),
    ("harmonyos", "HarmonyOS"),
    ("cros ", "ChromeOS"),
    ("mac os x", "macOS"),
    ("macintosh", "macOS"),
    ("tizen", "Tizen"),
    ("web0s", "webOS"),
    ("webos", "webOS"),
    ("freebsd", "FreeBSD"),
    ("openbsd", "OpenBSD"),
    ("linux", "Linux"),
    ("x11", "Linux"),
];

fn first(table: &[(&str, &'static str)], agent: &str) -> &'static str {
    table.iter().find(|(token, _)| agent.contains(token)).map_or("other", |(_, name)| name)
}

fn has(table: &[&str], agent: &str) -> bool {
    table.iter().any(|token| agent.contains(token))
}

/// Person or program; who sends no `User-Agent` is a program.
pub fn class_of(user_agent: &str) -> Class {
    class(&user_agent.to_ascii_lowercase())
}

fn class(agent: &str) -> Class {
    if has(PREVIEWS, agent) {
        Class::Preview
    } else if has(MONITORS, agent) {
        Class::Monitor
    } else if !looks_like_a_browser(agent) || has(BOTS, agent) {
        Class::Bot
    } else {
        Class::Human
    }
}

/// Every browser of the last twenty years begins like this.
fn looks_like_a_browser(agent: &str) -> bool {
    agent.starts_with("mozilla/") || agent.starts_with("opera/")
}

fn device(agent: &str) -> &'static str {
    let is = |token: &str| agent.contains(token);
    if is("ipad") || is("tablet") || is("kindle") || is("silk/") || is("playbook") || (is("android") && !is("mobile")) {
        "tablet"
    } else if is("mobile") || is("iphone") || is("ipod") || is("android") || is("windows phone") || is("opera mini") || is("kaios") {
        "mobile"
    } else if is("windows") || is("macintosh") || is("x11") || is("linux") || is("cros ") {
        "desktop"
    } else {
        "other"
    }
}

/// Everything that the table knows about a `User-Agent`.
///
/// ```
/// use links::clicks::agents::classify;
///
/// let agent = classify("Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1");
/// assert_eq!((agent.device, agent.browser, agent.os), ("mobile", "Safari", "iOS"));
/// ```
pub fn classify(user_agent: &str) -> Agent {
    let agent = user_agent.to_ascii_lowercase();
    Agent { class: class(&agent), device: device(&agent), browser: first(BROWSERS, &agent), os: first(SYSTEMS, &agent) }
}

/// What a classified `User-Agent` begins with; no header can.
const ENCODED: char = '\u{1}';

impl Agent {
    /// What is told of it as a text that takes the place of the `User-Agent`; [`recognise`] reads it.
    pub(crate) fn encoded(self) -> String {
        format!("{ENCODED}{}\n{}\n{}\n{}", self.class.as_str(), self.device, self.browser, self.os)
    }

    fn decoded(text: &str) -> Option<Agent> {
        let mut parts = text.strip_prefix(ENCODED)?.split('\n');
        let class = CLASSES.into_iter().find(|class| Some(class.as_str()) == parts.clone().next())?;
        parts.next();
        let name = |known: &[&'static str], part: Option<&str>| known.iter().find(|name| Some(**name) == part).copied().unwrap_or("other");
        let names = |table: &[(&str, &'static str)]| table.iter().map(|(_, name)| *name).collect::<Vec<_>>();
        let device = name(&DEVICES, parts.next());
        let browser = name(&names(BROWSERS), parts.next());
        Some(Agent { class, device, browser, os: name(&names(SYSTEMS), parts.next()) })
    }
}

const CLASSES: [Class; 4] = [Class::Human, Class::Bot, Class::Preview, Class::Monitor];
const DEVICES: [&str; 3] = ["desktop", "mobile", "tablet"];

/// The same as [`classify`], also of what is left of a `User-Agent` that was classified before.
pub(crate) fn recognise(user_agent: &str) -> Agent {
    Agent::decoded(user_agent).unwrap_or_else(|| classify(user_agent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inv_l12_what_is_left_of_an_agent_says_the_same() {
        let tokens = PREVIEWS.iter().chain(MONITORS).chain(BOTS).copied().chain(BROWSERS.iter().chain(SYSTEMS).map(|(token, _)| *token));
        for text in tokens.map(|token| format!("Mozilla/5.0 ({token}; mobile) canary")).chain([String::new()]) {
            let agent = classify(&text);
            let left = agent.encoded();
            assert_eq!((recognise(&text), recognise(&left)), (agent, agent), "{text}");
            assert!(!left.contains("canary") && !left.contains("Mozilla"), "{left}");
            assert_eq!(recognise(&left).encoded(), left);
        }
    }

    #[test]
    fn browsers_are_people_and_told_apart() {
        let cases = [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
                "desktop",
                "Chrome",
                "Windows",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
                "desktop",
                "Edge",
                "Windows",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15",
                "desktop",
                "Safari",
                "macOS",
            ),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "desktop", "Firefox", "Linux"),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
                "mobile",
                "Chrome",
                "Android",
            ),
            (
                "Mozilla/5.0 (Linux; Android 15; SM-X910) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/29.0 Chrome/136.0.0.0 Safari/537.36",
                "tablet",
                "Samsung Internet",
                "Android",
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 17_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0 Mobile/15E148 Safari/604.1",
                "tablet",
                "Chrome",
                "iOS",
            ),
            (
                "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
                "desktop",
                "Chrome",
                "ChromeOS",
            ),
            (
                "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Version/4.0 Chrome/140.0 Mobile Safari/537.36 Instagram 400.0 Android",
                "mobile",
                "Instagram",
                "Android",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/142.0 Safari/537.36 OPR/124.0",
                "desktop",
                "Opera",
                "Windows",
            ),
        ];
        for (text, device, browser, os) in cases {
            assert_eq!(classify(text), Agent { class: Class::Human, device, browser, os }, "{text}");
        }
    }

    #[test]
    fn inv_l21_programs_are_not_people() {
        let cases = [
            ("", Class::Bot),
            ("curl/8.5.0", Class::Bot),
            ("python-requests/2.32.3", Class::Bot),
            ("Go-http-client/2.0", Class::Bot),
            ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", Class::Bot),
            ("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)", Class::Bot),
            ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/142.0.0.0 Safari/537.36", Class::Bot),
            ("Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)", Class::Bot),
            ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", Class::Preview),
            ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", Class::Preview),
            ("WhatsApp/2.23.20.0", Class::Preview),
            ("Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)", Class::Monitor),
            ("kube-probe/1.31", Class::Monitor),
        ];
        for (text, class) in cases {
            assert_eq!(class_of(text), class, "{text}");
        }
    }

    #[test]
    fn the_tables_are_lower_case_so_that_they_can_match() {
        let tokens = PREVIEWS.iter().chain(MONITORS).chain(BOTS).copied().chain(BROWSERS.iter().chain(SYSTEMS).map(|(token, _)| *token));
        let wrong: Vec<&str> = tokens.filter(|token| token.chars().any(|c| c.is_ascii_uppercase())).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
