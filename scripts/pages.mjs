// The browser's journey through the pages under /account; see pages.sh.
import { mkdirSync } from 'node:fs';
import { AxeBuilder } from '@axe-core/playwright';
import { chromium } from 'playwright-core';

const { SERVER, MAILBOX_TOKEN, CHROMIUM, SHOTS } = process.env;
const PASSWORD = 'seven bridges of Koenigsberg', OTHER = 'an entirely different walk', THIRD = 'a third way over the river';
const SIZES = [[1280, 900], [320, 800]], SCHEMES = ['light', 'dark'];
const findings = [];
let looks = 0;

// What people press and read, by language.
const WORDS = {
  en: {
    email: 'Email address', password: 'Password', identifier: 'Email address or username', show: 'Show',
    toSignup: 'Create an account', signup: 'Continue', proof: 'Code or link from the mail', name: /^Name/, complete: 'Create account',
    account: 'Your account', welcome: 'Welcome!', logout: 'Log out', loggedOut: 'You are logged out.', login: 'Log in',
    wrong: 'The name or the password is wrong.', short: 'At least 10 characters.',
    toPassword: 'Change password', present: 'Present password', fresh: 'New password', change: 'Change password', changed: 'Your password is changed.',
    forgot: 'Forgot your password?', sendLink: 'Send the link', sent: 'If an account has this address',
    link: 'Link from the mail', set: 'Set new password', isSet: 'Your new password is set.',
    toEmail: 'Change email address', newEmail: 'New email address', sendLinks: 'Send the links', look: 'Look into your mail',
    yes: 'Yes, continue', confirmed: 'Thank you, that is confirmed.', undone: 'Your account is back',
    others: 'Log out everywhere else', ended: 'All other logins have ended.', stale: 'This page was open for too long', confirm: 'Confirm that it is you',
  },
  de: {
    email: 'E-Mail-Adresse', password: 'Passwort', identifier: 'E-Mail-Adresse oder Benutzername', show: 'Zeigen',
    toSignup: 'Konto anlegen', signup: 'Weiter', proof: 'Code oder Link aus der Nachricht', name: /^Name/, complete: 'Konto anlegen',
    account: 'Dein Konto', welcome: 'Willkommen!', logout: 'Ausloggen', loggedOut: 'Du bist ausgeloggt.', login: 'Einloggen',
    wrong: 'Name oder Passwort ist falsch.', short: 'Mindestens 10 Zeichen.',
    toPassword: 'Passwort ändern', present: 'Bisheriges Passwort', fresh: 'Neues Passwort', change: 'Passwort ändern', changed: 'Dein Passwort ist geändert.',
    forgot: 'Passwort vergessen?', sendLink: 'Link schicken', sent: 'Wenn ein Konto diese Adresse hat',
    link: 'Link aus der Nachricht', set: 'Neues Passwort setzen', isSet: 'Dein neues Passwort gilt.',
    toEmail: 'E-Mail-Adresse ändern', newEmail: 'Neue E-Mail-Adresse', sendLinks: 'Links schicken', look: 'Sieh in deine Post',
    yes: 'Ja, weiter', confirmed: 'Danke, das ist bestätigt.', undone: 'Dein Konto ist wieder',
    others: 'Überall sonst ausloggen', ended: 'Alle anderen Anmeldungen sind beendet.', stale: 'Diese Seite war zu lange offen', confirm: 'Bestätige, dass du es bist',
  },
};

function expect(isFine, what) {
  if (!isFine) throw new Error(what);
}

// The newest mail of a template to an address: its link and its code.
async function mail(to, template) {
  for (let tries = 0; tries < 200; tries += 1) {
    const answer = await fetch(`${SERVER}/api/v1/messages?recipient=${encodeURIComponent(to)}`, { headers: { Authorization: `Bearer ${MAILBOX_TOKEN}` } });
    expect(answer.ok, `the mailbox answers ${answer.status}`);
    const { items } = await answer.json();
    const found = items.find((item) => item.template === `accounts/${template}`);
    if (found) {
      return { link: found.text.match(/https?:\S+#\S+/)?.[0], code: found.text.match(/^[0-9A-Z]{4}-[0-9A-Z]{4}$/m)?.[0] };
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`no mail ${template} to ${to}`);
}

async function post(path, body, token) {
  const headers = { 'Content-Type': 'application/json', 'X-Session-Mode': 'token', ...(token && { Authorization: `Bearer ${token}` }) };
  const answer = await fetch(`${SERVER}${path}`, { method: 'POST', body: JSON.stringify(body), headers });
  expect(answer.ok, `${path} answers ${answer.status}`);
  return answer.json();
}

// Somebody with an account that no page made.
async function member(email) {
  const { signup_token } = await post('/api/v1/auth/signup', { email, password: PASSWORD });
  const { link } = await mail(email, 'confirm_signup');
  await post('/api/v1/auth/signup/complete', { token: link.split('#')[1], signup_token });
}

class Journey {
  constructor(context, page, language, hasScript) {
    Object.assign(this, { context, page, w: WORDS[language], language, hasScript, email: `ada-${language}@example.com` });
  }

  // Axe, the width and a picture, in both schemes and at both sizes; without a script axe cannot look.
  async look(name) {
    looks += 1;
    for (const [width, height] of SIZES) {
      for (const colorScheme of SCHEMES) {
        await this.page.setViewportSize({ width, height });
        await this.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
        const where = `${name}-${this.language}-${width}-${colorScheme}`;
        if (SHOTS) await this.page.screenshot({ path: `${SHOTS}/${where}.png`, fullPage: true });
        if (!this.hasScript) continue;
        const { violations } = await new AxeBuilder({ page: this.page }).analyze();
        for (const { id, impact, help, nodes } of violations) findings.push(`${where}: ${impact} ${id}: ${help}: ${nodes[0].html}`);
        const over = await this.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        if (over > 0) findings.push(`${where}: ${over} pixels too wide`);
      }
    }
    await this.page.setViewportSize({ width: 1280, height: 900 });
  }

  fill(label, value) {
    return this.page.getByLabel(label, { exact: typeof label === 'string' }).fill(value);
  }

  async press(name) {
    await this.page.getByRole('button', { name, exact: true }).click();
  }

  async follow(name) {
    await this.page.getByRole('link', { name, exact: true }).first().click();
  }

  async reads(text) {
    await this.page.getByText(text).first().waitFor();
  }

  // Opens a mailed link; without a script it is pasted.
  async open(link, label) {
    await this.page.goto(link);
    if (this.hasScript) {
      await this.page.waitForURL((url) => !url.hash);
      await this.page.getByLabel(label).waitFor({ state: 'hidden' });
    } else {
      await this.fill(label, link);
    }
  }

  async logIn(password) {
    await this.fill(this.w.identifier, this.email);
    await this.fill(this.w.password, password);
    await this.press(this.w.login);
  }

  async signUp() {
    const { w, page } = this;
    await page.goto(`${SERVER}/account`);
    expect(new URL(page.url()).pathname === '/account/login', 'nobody is led to the login');
    await this.look('login');
    await this.follow(w.toSignup);
    await this.look('signup');
    await this.fill(w.email, this.email);
    await this.fill(w.password, 'short');
    await this.press(w.signup);
    await this.reads(w.short);
    expect((await page.getByRole('alert').count()) === 1, 'errors are announced');
    expect((await page.getByLabel(w.password, { exact: true }).inputValue()) === '', 'the password came back');
    expect((await page.getByLabel(w.email, { exact: true }).inputValue()) === this.email, 'the address is lost');
    await this.look('signup-wrong');
    await this.fill(w.password, PASSWORD);
    await this.press(w.signup);
    await page.getByLabel(w.proof).waitFor();
    await this.look('complete');
    const { link, code } = await mail(this.email, 'confirm_signup');
    if (this.hasScript) {
      await this.open(link, w.proof);
      await this.look('complete-linked');
    } else {
      await this.fill(w.proof, code.toLowerCase());
    }
    await this.fill(w.name, 'Ada <b>Lovelace</b>');
    await this.press(w.complete);
    await this.reads(w.welcome);
    await this.reads('Ada <b>Lovelace</b>');
    await this.look('account');
  }

  async logOutAndIn() {
    const { w } = this;
    await this.press(w.logout);
    await this.reads(w.loggedOut);
    await this.look('logged-out');
    await this.logIn('nobody ever chose this');
    await this.reads(w.wrong);
    await this.look('login-wrong');
    if (this.hasScript) {
      await this.fill(w.password, 'looked at');
      await this.press(w.show);
      expect((await this.page.getByLabel(w.password, { exact: true }).getAttribute('type')) === 'text', 'the password is not shown');
    }
    await this.fill(w.password, PASSWORD);
    await this.press(w.login);
    await this.page.getByRole('heading', { name: w.account }).waitFor();
  }

  async changePassword() {
    const { w } = this;
    await this.follow(w.toPassword);
    await this.look('password');
    await this.fill(w.present, PASSWORD);
    await this.fill(w.fresh, OTHER);
    await this.press(w.change);
    await this.reads(w.changed);
  }

  async resetPassword() {
    const { w, page } = this;
    await this.press(w.logout);
    await this.follow(w.forgot);
    await this.look('reset');
    await this.fill(w.email, this.email);
    await this.press(w.sendLink);
    await this.reads(w.sent);
    await this.look('reset-sent');
    const { link } = await mail(this.email, 'reset_password');
    await this.open(link, w.link);
    await this.look('reset-confirm');
    await this.fill(w.fresh, THIRD);
    await this.press(w.set);
    await this.reads(w.isSet);
    await this.logIn(OTHER);
    await this.reads(w.wrong);
    await this.fill(w.password, THIRD);
    await this.press(w.login);
    await page.getByRole('heading', { name: w.account }).waitFor();
  }

  async changeEmail() {
    const { w, page } = this;
    // Somebody else: within a minute of her own, a second mail to set a password would be held back (RST-9).
    const former = this.email = `grace-${this.language}@example.com`;
    await member(this.email);
    await this.press(w.logout);
    await this.logIn(PASSWORD);
    await page.getByRole('heading', { name: w.account }).waitFor();
    this.email = `admiral-${this.language}@example.com`;
    await this.follow(w.toEmail);
    await this.look('email-new');
    await this.fill(w.newEmail, this.email);
    await this.press(w.sendLinks);
    await this.reads(w.look);
    await this.look('account-waiting');
    for (const [to, template] of [[this.email, 'confirm_email'], [former, 'leave_email']]) {
      await this.open((await mail(to, template)).link, w.link);
      await this.look(`email-${template}`);
      await this.press(w.yes);
      await this.reads(w.confirmed);
    }
    await page.goto(`${SERVER}/account`);
    await this.reads(this.email);
    await this.open((await mail(former, 'email_changed')).link, w.link);
    await this.look('email-undo');
    await this.press(w.yes);
    await this.reads(w.undone);
    this.email = former;
    await this.open((await mail(this.email, 'reset_password')).link, w.link);
    await this.fill(w.fresh, PASSWORD);
    await this.press(w.set);
    await this.reads(w.isSet);
  }

  async endOthers(browser) {
    const { w, page } = this;
    await this.logIn(PASSWORD);
    await page.getByRole('heading', { name: w.account }).waitFor();
    const elsewhere = await (await begin(browser, this.language, this.hasScript)).visitor(this.email);
    await page.reload();
    await this.look('account-two-logins');
    await this.press(w.others);
    await this.reads(w.ended);
    await elsewhere.reload();
    expect(new URL(elsewhere.url()).pathname === '/account/login', 'the other login goes on');
    await page.goto(`${SERVER}/account/confirm?next=/account/password`);
    await this.look('confirm');
    await this.fill(w.password, PASSWORD);
    await this.press(w.signup);
    await page.getByRole('heading', { name: w.toPassword }).waitFor();
    await page.goto(`${SERVER}/account/login`);
    await this.context.clearCookies();
    await this.logIn(PASSWORD);
    await this.reads(w.stale);
    await this.look('stale');
  }

  async visitor(email) {
    await this.page.goto(`${SERVER}/account/login`);
    this.email = email;
    await this.logIn(PASSWORD);
    await this.page.getByRole('heading', { name: this.w.account }).waitFor();
    return this.page;
  }
}

async function begin(browser, language, hasScript) {
  const context = await browser.newContext({ locale: language, javaScriptEnabled: hasScript, viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(`${SERVER}/`) && !url.startsWith('data:')) findings.push(`asks another host: ${url}`);
    if (new URL(url).search.match(/[A-Za-z0-9_-]{43}/)) findings.push(`a token stands in a query: ${url}`);
  });
  page.on('pageerror', (error) => findings.push(`script: ${error}`));
  page.on('console', (line) => {
    if (line.text().includes('Content Security Policy')) findings.push(`policy: ${line.text()}`);
  });
  return new Journey(context, page, language, hasScript);
}

// The page of an invitation, which the owner mails.
async function invitation(browser) {
  const journey = await begin(browser, 'en', true);
  await post('/api/v1/users', { email: 'jean@example.com', roles: [] }, MAILBOX_TOKEN);
  await journey.open((await mail('jean@example.com', 'invitation')).link, journey.w.link);
  await journey.look('invitation');
  await journey.fill(journey.w.password, PASSWORD);
  await journey.press(journey.w.complete);
  await journey.reads(journey.w.welcome);
  await journey.page.goto(`${SERVER}/account/invitation`);
  await journey.look('invitation-unlinked');
}

if (SHOTS) mkdirSync(SHOTS, { recursive: true });
const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
    '--disable-sync', '--disable-dev-shm-usage'],
});
try {
  for (const [language, hasScript] of [['en', true], ['de', false]]) {
    const journey = await begin(browser, language, hasScript);
    for (const step of ['signUp', 'logOutAndIn', 'changePassword', 'resetPassword', 'changeEmail', 'endOthers']) {
      await journey[step](browser).catch(async (error) => {
        const text = await journey.page.locator('body').innerText().catch(() => '');
        throw new Error(`${language}, ${hasScript ? 'with' : 'without'} JavaScript, ${step}: ${error.message}\n${journey.page.url()}\n${text}`);
      });
    }
    console.log(`${language}, ${hasScript ? 'with' : 'without'} JavaScript: the whole journey`);
  }
  await invitation(browser);
} finally {
  await browser.close();
}
console.log(`${looks} pages in ${SIZES.length * SCHEMES.length} forms, ${findings.length} findings`);
findings.forEach((finding) => console.error(finding));
process.exitCode = findings.length ? 1 : 0;
