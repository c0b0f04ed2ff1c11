//! Prints a page with everything hostile that we know, sanitised, and a script that tells whether any of it came to life.
//!
//! `scripts/sanitiser.sh` shows it to a browser (SAN-5).

#[path = "../tests/data/cases.rs"]
mod cases;

use kernel::richtext::{Format, Policy, render_with_embeds};

/// Runs before anything else on the page: whatever a payload calls, wherever it leads, it is written down.
const WATCH: &str = r#"
const fired = [];
const flag = what => { if (fired.length < 20) fired.push(what); };
for (const name of ["alert", "confirm", "prompt", "print", "msgbox"]) window[name] = () => flag(name + " was called");
addEventListener("beforeunload", () => flag("the page was left"));
addEventListener("securitypolicyviolation", event => flag("a violation of " + event.violatedDirective));
addEventListener("click", event => event.preventDefault()); // a picture in a link leads away, and may
addEventListener("message", () => flag("a message came"));
"#;

/// Runs when all has been loaded: first the page as it was parsed, then each part parsed once more from what it serialises to.
const JUDGE: &str = r#"
const bad = "script:not([data-ours]),style,link,meta:not([data-ours]),base,form,object,embed,svg,math,template,textarea,select,button,frame,frameset,portal,applet,marquee,title:not([data-ours]),noscript,[style],[srcdoc],[formaction],[autofocus],[contenteditable],[tabindex]";
const safe = ["http:", "https:", "mailto:", "tel:", "file:"];
function judge(root, what) {
  for (const element of root.querySelectorAll(bad)) flag(what + ": " + element.outerHTML.slice(0, 80));
  for (const element of root.querySelectorAll("*")) {
    for (const attribute of element.attributes) {
      if (attribute.name.startsWith("on")) flag(what + ": " + attribute.name);
      if (["id", "name"].includes(attribute.name) && !attribute.value.startsWith("user-content-") && !element.dataset.ours) flag(what + ": " + attribute.name + " " + attribute.value);
      if (["href", "src", "poster", "cite"].includes(attribute.name) && !element.dataset.ours) {
        let url; try { url = new URL(attribute.value, "https://page.example/"); } catch { continue; }
        if (!safe.includes(url.protocol)) flag(what + ": " + url.protocol);
      }
    }
    if (element.tagName === "IFRAME" && (!element.hasAttribute("sandbox") || !element.src.startsWith("https://video.example/"))) flag(what + ": iframe " + element.src);
  }
}
addEventListener("load", () => {
  const parts = [...document.querySelectorAll("article")];
  parts.forEach((part, at) => judge(part, "part " + at));
  if (document.querySelectorAll("body > :not(article):not(script)").length) flag("something escaped from its part");
  for (const part of parts) for (const element of part.querySelectorAll("a,p,summary,details,img,input,video")) {
    if (element.tagName !== "A") element.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true }));
    for (const name of ["mouseover", "focus", "toggle", "error", "load", "pointerover"]) element.dispatchEvent(new Event(name));
  }
  parts.forEach((part, at) => {
    const twin = document.createElement("div");
    twin.innerHTML = part.innerHTML;
    document.body.append(twin);
    judge(twin, "part " + at + " parsed again");
    twin.remove();
  });
  setTimeout(() => { document.title = fired.length ? "ALIVE: " + fired.join(" | ") : "INERT: " + parts.length + " parts"; }, 500);
});
"#;

fn main() {
    let hosts = ["video.example".to_owned()];
    println!(
        "<!doctype html><meta charset=utf-8 data-ours><title data-ours>not judged</title><script data-ours>{WATCH}{JUDGE}</script><body>"
    );
    for case in cases::cases() {
        for policy in [Policy::Author, Policy::Comment] {
            for format in [Format::Markdown, Format::Html] {
                println!("<article>{}</article>", render_with_embeds(format, &case, policy, &hosts).html);
            }
        }
    }
}
