// What the pages under /account gain by a script. Without it they work all the same.
'use strict';

// A mailed link carries its token behind the #, which no server ever sees: it goes into the field that asks for it, and out of
// the address bar and the history.
const takeToken = () => {
  const mailed = document.querySelector('[data-mailed]');
  const found = decodeURIComponent(location.hash.slice(1));
  if (!mailed || !/^(undo=|token=)?[A-Za-z0-9_-]{43}$/.test(found)) return;
  mailed.value = found;
  mailed.closest('.field').hidden = true;
  history.replaceState(null, '', location.pathname + location.search);
  const act = found.startsWith('undo=') ? 'undo' : 'confirm';
  document.querySelectorAll('[data-when]').forEach((part) => { part.hidden = part.dataset.when !== act; });
  document.querySelectorAll('[data-without]').forEach((part) => { part.hidden = true; });
};
takeToken();
addEventListener('hashchange', takeToken);

// Errors are read out and reached first.
const summary = document.querySelector('.summary');
if (summary) summary.focus();

// What is typed unseen can be looked at.
document.querySelectorAll('input[type="password"]').forEach((input) => {
  const { show, hide } = input.dataset;
  if (!show) return;
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = show;
  button.setAttribute('aria-controls', input.id);
  button.addEventListener('click', () => {
    const isShown = input.type === 'text';
    input.type = isShown ? 'password' : 'text';
    button.textContent = isShown ? show : hide;
    input.focus();
  });
  input.parentElement.append(button);
});

// A double click sends once, and a page that comes back from the cache can be sent again.
document.querySelectorAll('form').forEach((form) => {
  form.addEventListener('submit', (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = 'yes';
    form.querySelectorAll('input[data-show]').forEach((input) => { input.type = 'password'; });
    form.querySelectorAll('button:not([type="button"])').forEach((button) => button.setAttribute('aria-disabled', 'true'));
  });
});
addEventListener('pageshow', () => document.querySelectorAll('form').forEach((form) => {
  delete form.dataset.sent;
  form.querySelectorAll('button').forEach((button) => button.removeAttribute('aria-disabled'));
}));
